"""Diagonals, and matrices and grids that are made of vectors and other matrices."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..op import describe
from ..ops import indexing
from ..ops import movement as ops
from ..precision import in_float32
from ..tensor import Tensor, apply, as_tensor, constant
from .arguments import cached, one_axis, shape_tuple, whole
from .creation import meshgrid
from .manipulation import (
    broadcast_arrays,
    concat,
    expand_dims,
    moveaxis,
    pad,
    permute_dims,
    reshape,
    roll,
    stack,
)
from .reductions import sum

__all__ = [
    "block_diag",
    "cartesian_prod",
    "combinations",
    "cross",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "kron",
    "trace",
    "tril_indices",
    "triu_indices",
    "vander",
]


def _diagonal_of(rows: int, columns: int, offset: int) -> tuple[int, int]:
    """Where a diagonal begins in a matrix that is laid out row after row, and its length."""
    first, room = (offset, columns - offset) if offset >= 0 else (-offset * columns, columns)
    left = rows if offset >= 0 else rows + offset
    return first, max(0, min(left, room))


def _two_axes(name: str, axis1: int, axis2: int, ndim: int) -> tuple[int, int]:
    first, second = one_axis(name, axis1, ndim), one_axis(name, axis2, ndim)
    if first == second:
        raise ShapeError(f"{name}: axis1 and axis2 must differ, got {axis1} and {axis2}")
    return first, second


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A diagonal of the matrices in two axes, as the last axis;  gx = gy there, 0 elsewhere.

    y[..., i] = x[..., i, i + offset], or x[..., i - offset, i] where the offset is negative.

    >>> diagonal(as_tensor([[1, 2], [3, 4]]))
    Tensor([1, 4], shape=(2,), dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"diagonal: x must have at least 2 axes, got {describe(x)}")
    first, second = _two_axes("diagonal", axis1, axis2, x.ndim)
    others = [a for a in range(x.ndim) if a not in (first, second)]
    x = permute_dims(x, (*others, first, second))
    *lead, rows, columns = x.shape
    start, count = _diagonal_of(rows, columns, whole("diagonal: offset", offset, -math.inf))
    index = (*((0, n, 1) for n in lead), (start if count else 0, count, columns + 1))
    return apply(cached(ops.Slice, index), reshape(x, (*lead, rows * columns)))


def diag_embed(x: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """Square matrices, in two new axes, that are 0 but for a diagonal, which is the last axis of x.

    >>> diag_embed(as_tensor([1, 2]), offset=1)
    Tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]], shape=(3, 3), dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError(f"diag_embed: x must have at least one axis, got {describe(x)}")
    first, second = _two_axes("diag_embed", axis1, axis2, x.ndim + 1)
    offset = whole("diag_embed: offset", offset, -math.inf)
    *lead, count = x.shape
    n = count + abs(offset)
    start, _ = _diagonal_of(n, n, offset)
    index = (*((0, m, 1) for m in lead), (start if count else 0, count, n + 1))
    y = reshape(apply(cached(ops.Place, index, (*lead, n * n)), x), (*lead, n, n))
    if first > second:
        return moveaxis(y, (-1, -2), (second, first))
    return moveaxis(y, (-2, -1), (first, second))


def diag(x: Any, diagonal: int = 0) -> Tensor:
    """The matrix with a vector as its diagonal; of a matrix, its diagonal.

    >>> diag(as_tensor([1, 2]))
    Tensor([[1, 0],
            [0, 2]], shape=(2, 2), dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim == 2:
        return _diagonal(x, diagonal)
    raise ShapeError(
        f"diag: x must be a vector or a matrix, got {describe(x)}; use diagonal or diag_embed"
    )


_diagonal = diagonal  # the argument of `diag` has the same name


def diagflat(x: Any, offset: int = 0) -> Tensor:
    """The matrix with all elements of x, in row-major order, as its diagonal.

    >>> diagflat(as_tensor([[1], [2]]))
    Tensor([[1, 0],
            [0, 2]], shape=(2, 2), dtype=int64)
    """
    return diag_embed(as_tensor(x).flatten(), offset)


@in_float32
def trace(x: Any) -> Tensor:
    """y = Σ xᵢᵢ of a matrix; of stacks of matrices see `linalg.trace`.

    >>> trace(as_tensor([[1, 2], [3, 4]]))
    Tensor(5, shape=(), dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim != 2:
        raise ShapeError(f"trace: x must be a matrix, got {describe(x)}; use linalg.trace")
    return sum(diagonal(x))


def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product: each element of x1 times the whole of x2, laid out in its place.

    >>> kron(as_tensor([1, 10]), as_tensor([2, 3]))
    Tensor([ 2,  3, 20, 30], shape=(4,), dtype=int64)
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    ndim = max(x1.ndim, x2.ndim)
    first, second = ((1,) * (ndim - x.ndim) + x.shape for x in (x1, x2))
    left = reshape(x1, tuple(n for size in first for n in (size, 1)))
    right = reshape(x2, tuple(n for size in second for n in (1, size)))
    return reshape(left * right, tuple(n * m for n, m in zip(first, second, strict=True)))


def cross(x1: Any, x2: Any, axis: int = -1) -> Tensor:
    """y = x1 × x2 of vectors of three numbers along an axis, the others broadcast.

    >>> cross(as_tensor([1, 0, 0]), as_tensor([0, 1, 0]))
    Tensor([0, 0, 1], shape=(3,), dtype=int64)
    """
    x1, x2 = broadcast_arrays(x1, x2)
    axis = one_axis("cross", axis, x1.ndim)
    if x1.shape[axis] != 3:
        raise ShapeError(f"cross: axis {axis} must have size 3, got {describe(x1)}")
    ahead, behind = ([roll(x, shift, axis=axis) for x in (x1, x2)] for shift in (-1, -2))
    return ahead[0] * behind[1] - behind[0] * ahead[1]


def block_diag(*tensors: Any) -> Tensor:
    """The matrix with these matrices along its diagonal and zeros elsewhere; a vector is a row.

    >>> block_diag(as_tensor([[1, 2]]), as_tensor([[3], [4]]))
    Tensor([[1, 2, 0],
            [0, 0, 3],
            [0, 0, 4]], shape=(3, 3), dtype=int64)
    """
    blocks = [as_tensor(x) for x in tensors]
    for i, x in enumerate(blocks):
        if x.ndim > 2:
            raise ShapeError(
                f"block_diag: each input must have at most 2 axes, got {describe(x)} for input {i}"
            )
        blocks[i] = reshape(x, (1, x.size)) if x.ndim < 2 else x
    if not blocks:
        return constant(np.zeros((1, 0), np.float32))
    widths = [x.shape[1] for x in blocks]
    before = [0, *np.cumsum(widths).tolist()]
    return concat(
        [
            pad(x, ((0, 0), (start, before[-1] - start - width)))
            for x, start, width in zip(blocks, before, widths, strict=False)
        ]
    )


def _triangle_indices(name: str, pick: Any, row: int, col: int, offset: int) -> Tensor:
    rows, columns = shape_tuple(name, (row, col))
    return constant(np.stack(pick(rows, whole(f"{name}: offset", offset, -math.inf), columns)))


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """The rows and the columns of all places on and below a diagonal, (2, count) int64.

    >>> tril_indices(2, 2)
    Tensor([[0, 1, 1],
            [0, 0, 1]], shape=(2, 3), dtype=int64)
    """
    return _triangle_indices("tril_indices", np.tril_indices, row, col, offset)


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """The rows and the columns of all places on and above a diagonal, (2, count) int64.

    >>> triu_indices(2, 2)
    Tensor([[0, 0, 1],
            [0, 1, 1]], shape=(2, 3), dtype=int64)
    """
    return _triangle_indices("triu_indices", np.triu_indices, row, col, offset)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element in a row: xᴺ⁻¹ … x 1, or 1 x … xᴺ⁻¹; N is as many as elements.

    >>> vander(as_tensor([1, 2, 3]))
    Tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]], shape=(3, 3), dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ShapeError(f"vander: x must be a vector, got {describe(x)}")
    count = x.size if N is None else whole("vander: N", N, 0)
    powers = np.arange(count) if increasing else np.arange(count)[::-1].copy()
    return expand_dims(x, axis=1) ** as_tensor(powers)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element of each vector, one a row; of one vector, that itself.

    >>> cartesian_prod(as_tensor([1, 2]), as_tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    vectors = [as_tensor(x) for x in tensors]
    if not vectors or any(v.ndim != 1 for v in vectors):
        given = ", ".join(map(describe, vectors)) or "none"
        raise ShapeError(f"cartesian_prod: vectors are required, got {given}")
    if len(vectors) == 1:
        return vectors[0]
    return stack([g.flatten() for g in meshgrid(*vectors, indexing="ij")], axis=1)


def combinations(x: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, in order, one a row.

    >>> combinations(as_tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ShapeError(f"combinations: x must be a vector, got {describe(x)}")
    size = whole("combinations: r", r, 0)
    if size == 0:
        return x[:0]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(x.size), size)), np.int64).reshape(-1, size)
    return apply(cached(indexing.Take, 0), x, as_tensor(places))
