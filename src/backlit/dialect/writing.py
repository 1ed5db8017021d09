"""PyTorch's functions that write into a copy: along a diagonal, or what several slices come to."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import array_api as ours
from ..array_api.arguments import one_axis
from ..array_api.assignment import setitem
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..tensor import Tensor, as_tensor


def diagonal_scatter(x: Any, src: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """x with src in the place of a diagonal."""
    x, src = as_tensor(x), as_tensor(src)
    axes = tuple(one_axis("diagonal_scatter", a, x.ndim) for a in (axis1, axis2))
    wanted = ours.diagonal(x, offset, *axes).shape
    if src.shape != wanted:
        raise ShapeError(
            f"diagonal_scatter: src must have the diagonal's shape {wanted}, got {describe(src)}"
        )
    places = np.arange(wanted[-1])
    key = (places - min(offset, 0), places + max(offset, 0))
    y = setitem(ours.moveaxis(x, axes, (0, 1)), key, ours.moveaxis(src, -1, 0))
    return ours.moveaxis(y, (0, 1), axes)


def index_reduce(
    x: Any, axis: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Tensor:
    """x with the "prod", "mean", "amax" or "amin" of the slices of source at a vector of indices.

    The slice of x that was there counts, too, unless `include_self` is False.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise ArgumentError(
            f"index_reduce: reduce must be prod, mean, amax or amin, got {reduce!r}; to add, use "
            "index_add"
        )
    x, index, source = as_tensor(x), as_tensor(index), as_tensor(source)
    a = one_axis("index_reduce", axis, x.ndim)
    wanted = (*x.shape[:a], index.size, *x.shape[a + 1 :])
    if index.ndim > 1 or source.shape != wanted:
        raise ShapeError(
            f"index_reduce: source must have a slice for each of a vector of indices, "
            f"{wanted}, got index: {describe(index)} and source: {describe(source)}"
        )
    column = ours.reshape(index, (-1, *(1,) * (x.ndim - a - 1)))
    places = ours.broadcast_to(column, wanted)
    return ours.scatter_reduce(x, a, places, source, reduce, include_self=include_self)
