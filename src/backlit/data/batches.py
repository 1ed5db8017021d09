"""What becomes of examples: stacked to a batch, or one alone as Tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dtypes import SUPPORTED, result_type
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, as_tensor, wrap


def collate(examples: list[Any]) -> Any:
    """Examples stacked to a batch: Tensors, arrays and numbers become Tensors with one axis more.

    Tuples, lists and dicts are stacked entry by entry; texts stay a list.

    >>> collate([(1.0, 0), (2.0, 1)])
    (Tensor([1., 2.], shape=(2,), dtype=float32), Tensor([0, 1], shape=(2,), dtype=int64))
    """
    if not examples:
        raise ArgumentError("collate: a batch needs at least one example, got none")
    first = examples[0]
    if isinstance(first, tuple | list):
        if any(not isinstance(e, tuple | list) for e in examples):
            raise ShapeError(
                f"collate: all examples must be of one kind, got {type(first).__name__} and others"
                "; pass a collate_fn"
            )
        if len({len(e) for e in examples}) != 1:
            raise ShapeError(
                "collate: all examples must have equally many entries, got "
                f"{sorted({len(e) for e in examples})}; pass a collate_fn"
            )
        columns = [collate(list(column)) for column in zip(*examples, strict=True)]
        named = hasattr(first, "_fields")
        return type(first)(*columns) if named else type(first)(columns)
    if isinstance(first, dict):
        if any(not isinstance(e, dict) or e.keys() != first.keys() for e in examples):
            raise ShapeError(
                f"collate: all examples must have the keys {', '.join(map(str, first))}; pass a "
                "collate_fn"
            )
        return {key: collate([e[key] for e in examples]) for key in first}
    if isinstance(first, str | bytes):
        return examples
    alike = _alike(examples)
    if alike is not None:
        return alike
    tensors = [as_tensor(e) for e in examples]
    for t in tensors:
        t._require_cut("collate", "give t.detach(), or a collate_fn that uses backlit.stack")
    arrays = [t.array for t in tensors]
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1:
        raise ShapeError(
            "collate: all examples must have the same shape, got "
            f"{' and '.join(map(str, sorted(shapes)))}; pass a collate_fn that pads them"
        )
    dtype = result_type(*(a.dtype for a in arrays))
    return wrap(np.stack([a.astype(dtype, copy=False) for a in arrays]))


def _alike(examples: list[Any]) -> Tensor | None:
    """The batch of numbers of one type, or of arrays of one dtype and shape; None if unlike."""
    kind = type(examples[0])
    if any(type(e) is not kind for e in examples):
        return None
    if kind in (int, float, bool):
        return as_tensor(examples)
    arrays = examples
    if kind is Tensor:
        if any(t.requires_grad for t in examples):
            return None
        arrays = [t.numpy() for t in examples]
    elif kind is not np.ndarray:
        return None
    shape, dtype = arrays[0].shape, arrays[0].dtype
    if dtype not in SUPPORTED or any(a.dtype != dtype or a.shape != shape for a in arrays):
        return None
    whole = np.concatenate(arrays) if shape else np.array(arrays)
    return wrap(whole.reshape(len(arrays), *shape))


def default_convert(example: Any) -> Any:
    """An example whose arrays are Tensors; everything else is as it was.

    >>> default_convert({"x": np.arange(2.0), "name": "a"})
    {'x': Tensor([0., 1.], shape=(2,), dtype=float64), 'name': 'a'}
    """
    if isinstance(example, np.ndarray | np.generic):
        return as_tensor(example) if example.dtype.kind in "biuf" else example
    if isinstance(example, Mapping):
        return {key: default_convert(value) for key, value in example.items()}
    if isinstance(example, tuple | list):
        parts = [default_convert(part) for part in example]
        return type(example)(*parts) if hasattr(example, "_fields") else type(example)(parts)
    return example


__all__ = ["collate", "default_convert"]
