"""Tensors cut into pieces and laid side by side, and axes exchanged, under PyTorch's names."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..ops import movement as ops
from ..tensor import Tensor, apply, as_tensor
from .arguments import cached, integers, one_axis, sequence, whole
from .manipulation import concat, expand_dims, flip, moveaxis, permute_dims, repeat, unstack

__all__ = [
    "chunk",
    "dstack",
    "hstack",
    "movedim",
    "narrow",
    "repeat_interleave",
    "rot90",
    "split",
    "swapaxes",
    "tensor_split",
    "unbind",
    "vstack",
]


def piece(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    """`count` slices along an axis, from `start` on."""
    whole = [(0, n, 1) for n in x.shape]
    index = (*whole[:axis], (start, count, 1), *whole[axis + 1 :])
    return apply(cached(ops.Slice, index), x)


def _pieces(x: Tensor, axis: int, sizes: Any) -> tuple[Tensor, ...]:
    """Pieces of these sizes, one after the other."""
    starts = itertools.accumulate(sizes, initial=0)
    return tuple(
        [piece(x, axis, start, count) for start, count in zip(starts, sizes, strict=False)]
    )


def narrow(x: Any, axis: int, start: Any, length: int) -> Tensor:
    """`length` slices along an axis from `start` on, which may count from the end.

    >>> narrow(as_tensor([1, 2, 3, 4]), 0, -3, 2)
    Tensor([2, 3], shape=(2,), dtype=int64)
    """
    x = as_tensor(x)
    axis = one_axis("narrow", axis, x.ndim)
    n = x.shape[axis]
    first = whole("narrow: start", start.item() if isinstance(start, Tensor) else start, -math.inf)
    count = whole("narrow: length", length, 0)
    if not (-n <= first <= n and (first % n if first < 0 else first) + count <= n):
        raise ShapeError(
            f"narrow: start and start + length must lie in the {n} slices of axis {axis}, got "
            f"start {first} and length {count}"
        )
    return piece(x, axis, first % n if first < 0 else first, count)


def split(x: Any, split_size_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Pieces of one size along an axis, the last one perhaps smaller; or of the sizes in a list.

    >>> [p.tolist() for p in split(as_tensor([1, 2, 3, 4, 5]), 2)]
    [[1, 2], [3, 4], [5]]
    >>> [p.tolist() for p in split(as_tensor([1, 2, 3, 4, 5]), [1, 4])]
    [[1], [2, 3, 4, 5]]
    """
    x = as_tensor(x)
    axis = one_axis("split", axis, x.ndim)
    n = x.shape[axis]
    if isinstance(split_size_or_sections, tuple | list):
        sizes = integers("split", split_size_or_sections)
        if sum(sizes) != n or any(size < 0 for size in sizes):
            raise ShapeError(
                f"split: the sizes must add up to the {n} slices of axis {axis}, got "
                f"{list(sizes)}, which add up to {sum(sizes)}"
            )
        return _pieces(x, axis, sizes)
    size = whole("split: the size of a piece", split_size_or_sections, 0 if n == 0 else 1)
    if size == 0:
        return (piece(x, axis, 0, 0),)
    return _pieces(x, axis, [min(size, n - i) for i in range(0, n, size)] or [0])


def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most so many pieces of one size along an axis, the last one perhaps smaller.

    >>> [p.tolist() for p in chunk(as_tensor([1, 2, 3, 4, 5]), 3)]
    [[1, 2], [3, 4], [5]]
    """
    x = as_tensor(x)
    axis = one_axis("chunk", axis, x.ndim)
    count = whole("chunk: chunks", chunks)
    n = x.shape[axis]
    if n == 0:
        return _pieces(x, axis, [0] * count)
    return split(x, -(-n // count), axis)


def tensor_split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """So many pieces along an axis whose sizes differ by at most 1; or cut at the places in a list.

    >>> [p.tolist() for p in tensor_split(as_tensor([1, 2, 3, 4, 5]), 3)]
    [[1, 2], [3, 4], [5]]
    >>> [p.tolist() for p in tensor_split(as_tensor([1, 2, 3, 4, 5]), [1, 3])]
    [[1], [2, 3], [4, 5]]
    """
    x = as_tensor(x)
    axis = one_axis("tensor_split", axis, x.ndim)
    n = x.shape[axis]
    given = indices_or_sections
    if isinstance(given, Tensor):
        given = given.tolist()
    if isinstance(given, tuple | list):
        cuts = [slice(i).indices(n)[1] for i in integers("tensor_split", given)]
        ends = [0, *cuts, n]
        sizes = [max(0, b - a) for a, b in itertools.pairwise(ends)]
        return tuple([piece(x, axis, a, k) for a, k in zip(ends, sizes, strict=False)])
    count = whole("tensor_split: sections", given)
    return _pieces(x, axis, [n // count + (i < n % count) for i in range(count)])


def unbind(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without that axis; see `unstack`."""
    return unstack(x, axis=axis)


def _at_least(name: str, tensors: Any, axes: int) -> list[Tensor]:
    """The Tensors with axes of size 1 added, as NumPy's `atleast_2d` and `atleast_3d` add them."""
    result = []
    for x in map(as_tensor, sequence(f"{name}: the Tensors", tensors)):
        if x.ndim == 0:
            x = expand_dims(x)
        if axes > 1 and x.ndim == 1:
            x = expand_dims(x, axis=0)
        if axes > 2 and x.ndim == 2:
            x = expand_dims(x, axis=2)
        result.append(x)
    return result


def hstack(tensors: Any) -> Tensor:
    """The Tensors side by side: joined along axis 1, vectors and numbers along axis 0.

    >>> hstack([as_tensor([1, 2]), as_tensor(3)])
    Tensor([1, 2, 3], shape=(3,), dtype=int64)
    """
    pieces = _at_least("hstack", tensors, 1)
    return concat(pieces, axis=0 if pieces and pieces[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """The Tensors one below the other: joined along axis 0, a vector as a row.

    >>> vstack([as_tensor([1, 2]), as_tensor([3, 4])]).shape
    (2, 2)
    """
    return concat(_at_least("vstack", tensors, 2), axis=0)


def dstack(tensors: Any) -> Tensor:
    """The Tensors one behind the other: joined along axis 2, which matrices get.

    >>> dstack([as_tensor([1, 2]), as_tensor([3, 4])]).shape
    (1, 2, 2)
    """
    return concat(_at_least("dstack", tensors, 3), axis=2)


def movedim(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places; see `moveaxis`."""
    return moveaxis(x, source, destination)


def swapaxes(x: Any, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged.

    >>> swapaxes(as_tensor([[1, 2, 3]]), 0, 1).shape
    (3, 1)
    """
    x = as_tensor(x)
    if not x.ndim and {axis0, axis1} <= {0, -1}:
        return x  # PyTorch's
    first, second = (one_axis("swapaxes", a, x.ndim) for a in (axis0, axis1))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return permute_dims(x, tuple(order))


def rot90(x: Any, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """x turned k times by 90° in the plane of two axes, from the first towards the second.

    >>> rot90(as_tensor([[1, 2], [3, 4]]))
    Tensor([[2, 4],
            [1, 3]], shape=(2, 2), dtype=int64)
    """
    x = as_tensor(x)
    plane = [one_axis("rot90", a, x.ndim) for a in sequence("rot90: axes", axes)]
    if len(plane) != 2 or plane[0] == plane[1]:
        raise ArgumentError(f"rot90: axes must be two different ones, got {tuple(axes)}")
    turns = whole("rot90: k", k, -math.inf) % 4
    if turns == 2:
        return flip(x, axis=tuple(plane))
    if turns == 1:
        return swapaxes(flip(x, axis=plane[1]), *plane)
    return flip(swapaxes(x, *plane), axis=plane[1]) if turns else x


def repeat_interleave(
    x: Any, repeats: Any = None, axis: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice) so many times in place; of counts alone, each place so many times.

    `output_size` is how many there are then, if that is known; it is only checked.

    >>> repeat_interleave(as_tensor([7, 8]), 2)
    Tensor([7, 7, 8, 8], shape=(4,), dtype=int64)
    >>> repeat_interleave(as_tensor([1, 2]))
    Tensor([0, 1, 1], shape=(3,), dtype=int64)
    """
    x = as_tensor(x)
    if repeats is None:
        if x.ndim != 1:
            raise ShapeError(
                f"repeat_interleave: counts alone must be a vector, got {describe(x)}; "
                "give repeats, too"
            )
        x, repeats, axis = as_tensor(np.arange(x.size)), x, 0
    y = repeat(x, repeats, axis=axis)
    size = y.shape[axis or 0]
    if output_size is not None and output_size != size:
        raise ArgumentError(
            f"repeat_interleave: output_size must be the sum of repeats, {size}, got {output_size}"
        )
    return y
