"""Arrays as data: batches of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data import DataLoader, Dataset, TensorDataset
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import Generator
from ..tensor import Tensor, wrap
from ..tree import flatten, unflatten
from .batch import as_tensors


class Rows(Dataset):
    """Examples that are the rows of nested Tensors of equal length, as `TensorDataset` of a tuple.

    >>> from backlit import tensor
    >>> rows = Rows({"a": tensor([1.0, 2.0]), "b": tensor([3, 4])})
    >>> rows[1]["b"]
    Tensor(4, shape=(), dtype=int64)
    """

    def __init__(self, tree: Any):
        self.leaves, self.structure = flatten(tree)
        if len({t.shape[:1] for t in self.leaves}) != 1 or not self.leaves[0].shape:
            raise ShapeError(
                "data: all arrays must have equally many rows, got "
                + " and ".join(map(describe, self.leaves))
            )

    def __len__(self) -> int:
        return self.leaves[0].shape[0]

    def __getitem__(self, index: int) -> Any:
        return unflatten(self.structure, [wrap(np.asarray(t.array[index])) for t in self.leaves])


def is_arrays(data: Any) -> bool:
    """Whether data is an array, or arrays in a tuple or dict, and not batches of such."""
    if isinstance(data, Mapping):
        return bool(data)
    if isinstance(data, tuple):
        return bool(data) and all(map(is_arrays, data))
    return isinstance(data, Tensor | np.ndarray) or hasattr(data, "__array__")


def loaders_of(
    x: Any,
    y: Any,
    held_out: Any,
    weights: Any,
    batch_size: int,
    share: float,
    seed: int,
    *,
    weighted: bool,
) -> tuple[DataLoader, DataLoader | None]:
    """What `fit` is given as arrays, as loaders for training and validation."""
    if weights is not None and not weighted:
        raise ArgumentError("fit: sample_weight needs Trainer(..., weighted=True)")
    if held_out is not None and share:
        raise ArgumentError(
            "fit: what is validated is given by validation_split or by validation_data, got "
            "both; leave one out"
        )
    if weighted and weights is None and not isinstance(x, Mapping):
        raise ArgumentError(
            "fit: weighted=True needs the weights of the examples: sample_weight=[...]"
        )
    train, test = _split_rows(x, y, weights, share, seed)
    if held_out is not None:
        test = held_out
        if weighted and isinstance(test, tuple) and len(test) < len(train):
            test = *test, np.ones(len(test[0]), np.float32)
    loader = rows_of_arrays("fit", train, batch_size, shuffle=True, seed=seed)
    return loader, None if test is None else rows_of_arrays("fit", test, batch_size)


def _split_rows(x: Any, y: Any, weights: Any, share: float, seed: int) -> tuple[Any, Any]:
    """The entries of batches for training and for validation, whose rows are drawn from a seed."""
    more = [e for e in (y, weights) if e is not None]
    entries = _entries((*(x if isinstance(x, tuple) else (x,)), *more) if more else x)
    if not 0 <= share < 1:
        raise ArgumentError(f"fit: validation_split must lie in [0, 1), got {share}")
    if not share:
        return entries, None
    rows = Rows(entries)
    order = Generator(seed).permutation(len(rows)).numpy()
    count = min(max(1, round(share * len(rows))), len(rows) - 1)
    if count < 1:
        raise ArgumentError("fit: validation_split needs at least two examples, got 1")
    picked = (np.sort(order[count:]), np.sort(order[:count]))
    training, validation = (
        unflatten(rows.structure, [wrap(t.array[part]) for t in rows.leaves]) for part in picked
    )
    return training, validation


def _entries(data: Any) -> Any:
    """Arrays as the entries of a batch: a tuple, or a dict."""
    if isinstance(data, Mapping):
        return as_tensors(data)
    return tuple(map(as_tensors, data)) if isinstance(data, tuple) else (as_tensors(data),)


def rows_of_arrays(who: str, data: Any, batch_size: int, **options: Any) -> DataLoader:
    """A loader of the rows of arrays, which are the entries of a batch."""
    tree = _entries(data)
    leaves = flatten(tree)[0]
    if any(not t.shape for t in leaves):
        raise ArgumentError(f"{who}: arrays must have an axis of examples, got a single number")
    flat = isinstance(tree, tuple) and all(isinstance(entry, Tensor) for entry in tree)
    return DataLoader(TensorDataset(*tree) if flat else Rows(tree), batch_size, **options)
