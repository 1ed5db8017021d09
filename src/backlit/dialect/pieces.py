"""PyTorch's functions that show a Tensor in another shape, take pieces of it, or join them.

Their arguments have our names, as in `functions`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import array_api as ours
from ..array_api.arguments import integers, one_axis, sequence
from ..errors import ShapeError
from ..nn import functional
from ..op import describe
from ..tensor import Tensor, as_tensor


def t(x: Any) -> Tensor:
    """The transposed matrix; a vector is its own."""
    x = as_tensor(x)
    if x.ndim > 2:
        raise ShapeError(f"t: x must have at most 2 axes, got {describe(x)}; use transpose or mT")
    return x if x.ndim < 2 else ours.matrix_transpose(x)


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Without the axes of size 1: all of them, or those that are named and have size 1."""
    x = as_tensor(x)
    if axis is None:
        named: Any = range(x.ndim)
    else:
        named = axis if isinstance(axis, tuple | list) else (axis,)
    if not x.ndim:
        return x
    gone = {one_axis("squeeze", a, x.ndim) for a in named}
    return ours.reshape(x, tuple(n for a, n in enumerate(x.shape) if n != 1 or a not in gone))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from one to another as one."""
    return as_tensor(x).flatten(start_dim, end_dim)


def ravel(x: Any) -> Tensor:
    """All elements along one axis."""
    return ours.reshape(x, -1)


def unflatten(x: Any, axis: int, sizes: Any) -> Tensor:
    """One axis as several."""
    x = as_tensor(x)
    a = one_axis("unflatten", axis, x.ndim)
    inner = list(integers("unflatten", sizes))
    if inner.count(-1) == 1:
        known = -math.prod(inner)
        inner[inner.index(-1)] = x.shape[a] // known if known else 0
    return ours.reshape(x, (*x.shape[:a], *inner, *x.shape[a + 1 :]))


def view_as(x: Any, other: Any) -> Tensor:
    """x in the shape of another Tensor."""
    return ours.reshape(x, other.shape)


reshape_as = view_as


def sum_to_size(x: Any, size: Any) -> Tensor:
    """Summed over the axes along which a Tensor of that shape would be broadcast to x."""
    x, shape = as_tensor(x), integers("sum_to_size", size)
    extra = x.ndim - len(shape)
    axes = tuple(
        a for a, n in enumerate(x.shape) if a < extra or (shape[a - extra] == 1 and n != 1)
    )
    return ours.reshape(ours.sum(x, axis=axes, keepdims=True), shape)


def fliplr(x: Any) -> Tensor:
    """The second axis in reverse order."""
    return ours.flip(x, axis=1)


def flipud(x: Any) -> Tensor:
    """The first axis in reverse order."""
    return ours.flip(x, axis=0)


def cat(tensors: Any, axis: int = 0) -> Tensor:
    """The Tensors one after the other along an axis; empty vectors among them do not count."""
    given = [as_tensor(x) for x in sequence("cat: the Tensors", tensors)]
    full = [x for x in given if x.shape != (0,)]
    return ours.concat(full or given, axis=axis)


def select(x: Any, axis: int, index: Any) -> Tensor:
    """The slice at one place of an axis, without that axis."""
    x = as_tensor(x)
    return x[(slice(None),) * one_axis("select", axis, x.ndim) + (index,)]


def constant_pad_nd(x: Any, pad: Any, value: Any = 0) -> Tensor:
    """More elements of one value around x, the widths of the last axis first."""
    return functional.pad(x, pad, "constant", value)


def hsplit(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the second axis; of a vector along its only one."""
    return ours.tensor_split(x, indices_or_sections, 0 if as_tensor(x).ndim == 1 else 1)


def vsplit(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the first axis."""
    return ours.tensor_split(x, indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the third axis."""
    return ours.tensor_split(x, indices_or_sections, 2)


def column_stack(tensors: Any) -> Tensor:
    """Vectors as columns, and matrices, side by side."""
    given = [as_tensor(x) for x in sequence("column_stack: the Tensors", tensors)]
    return ours.hstack([x.reshape(-1, 1) if x.ndim < 2 else x for x in given])


def chain_matmul(*matrices: Any) -> Tensor:
    """The product of matrices."""
    return functools.reduce(ours.matmul, matrices)


def atleast_1d(*tensors: Any) -> Any:
    """Each Tensor with at least one axis."""
    return _each(tensors, lambda x: x.reshape(1) if x.ndim < 1 else x)


def atleast_2d(*tensors: Any) -> Any:
    """Each Tensor with at least two axes, new ones in front."""
    return _each(tensors, lambda x: x.reshape((1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x)


def atleast_3d(*tensors: Any) -> Any:
    """Each Tensor with at least three axes: a vector is (1, N, 1), a matrix (M, N, 1)."""

    def deep(x: Tensor) -> Tensor:
        x = atleast_2d(x)
        return x if x.ndim > 2 else ours.expand_dims(x, axis=-1)

    return _each(tensors, deep)


def _each(tensors: tuple[Any, ...], change: Any) -> Any:
    alone = len(tensors) == 1
    given = tensors[0] if alone and isinstance(tensors[0], tuple | list) else tensors
    found = tuple(change(as_tensor(x)) for x in given)
    return found[0] if alone and given is tensors else found
