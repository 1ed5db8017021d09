"""Order along an axis: the largest, the k-th, the median, quantiles, the most frequent, so far."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend.halves import as_one_op
from ..dtypes import FLOATING, int64
from ..errors import ArgumentError, ShapeError
from ..op import Requirement, describe
from ..precision import in_float32
from ..promotion import floating
from ..state import STATE
from ..tensor import Tensor, as_tensor
from . import primitives
from .arguments import one_axis, whole
from .creation import arange, zeros_like
from .elementwise import (
    ceil,
    clip,
    floor,
    isfinite,
    isnan,
    logical_and,
    logical_not,
    round,
    where,
)
from .indexing import take_along_axis
from .manipulation import concat, moveaxis, reshape, squeeze
from .pieces import piece
from .reductions import any as any_true
from .reductions import argmax, sum
from .searching import argsort, sort

__all__ = [
    "cummax",
    "cummin",
    "kthvalue",
    "median",
    "mode",
    "nanmedian",
    "nanquantile",
    "quantile",
    "topk",
]


class Ranked(NamedTuple):
    """Elements, and where they were along the axis."""

    values: Tensor
    indices: Tensor


def _axis_of(name: str, x: Any, axis: int) -> tuple[Tensor, int, bool]:
    """x with at least one axis, the axis from the front, and whether it was a single number."""
    x = as_tensor(x)
    if x.ndim == 0 and axis in (0, -1):
        return reshape(x, (1,)), 0, True
    return x, one_axis(name, axis, x.ndim), False


def _ranked(x: Tensor, indices: Tensor, axis: int, keepdims: bool, single: bool) -> Ranked:
    """The elements at places along an axis, in the shape that was asked for."""
    values = take_along_axis(x, indices, axis=axis)
    if single:
        return Ranked(reshape(values, ()), reshape(indices, ()))
    if keepdims:
        return Ranked(values, indices)
    return Ranked(squeeze(values, axis=axis), squeeze(indices, axis=axis))


def _not_empty(name: str, x: Tensor, axis: int) -> None:
    if x.shape[axis] == 0:
        raise ShapeError(f"{name}: axis {axis} must not be empty, got {describe(x)}")


def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> Ranked:
    """The k largest (or smallest) elements along an axis and their places: (values, indices).

    They are in order whether `sorted` or not; of equal ones the first are taken, and NaN is the
    largest. The gradient goes to the elements that were taken.

    >>> topk(as_tensor([3.0, 1.0, 2.0]), 2).values
    Tensor([3., 2.], shape=(2,), dtype=float32)
    """
    x, axis, single = _axis_of("topk", x, axis)
    count = whole("topk: k", k, 0)
    if count > x.shape[axis]:
        raise ShapeError(
            f"topk: k must be at most the {x.shape[axis]} elements of axis {axis}, got {count}"
        )
    indices = primitives.argtop(x, axis, count, largest)
    return _ranked(x, indices, axis, True, single and count == 1)


def kthvalue(x: Any, k: int, axis: int = -1, keepdims: bool = False) -> Ranked:
    """The k-th smallest element along an axis, 1 is the smallest, and its place.

    >>> kthvalue(as_tensor([3.0, 1.0, 2.0]), 2)
    Ranked(values=Tensor(2., shape=(), dtype=float32), indices=Tensor(2, shape=(), dtype=int64))
    """
    x, axis, single = _axis_of("kthvalue", x, axis)
    rank = whole("kthvalue: k", k)
    if rank > x.shape[axis]:
        raise ShapeError(
            f"kthvalue: k must be at most the {x.shape[axis]} elements of axis {axis}, got {rank}"
        )
    return _ranked(x, primitives.argkth(x, axis, rank - 1), axis, keepdims, single)


def _shared(x: Tensor, y: Tensor) -> Tensor:
    """y, an element of the vector x, with its gradient shared equally by all that equal it."""
    if x.dtype not in FLOATING:
        return y
    value = y.detach()
    hit = (x == value) | logical_and(isnan(x), isnan(value))
    mean = sum(where(hit, x, 0.0) / sum(hit).astype(x.dtype))
    # The mean of equal numbers is that number, but for rounding, which is taken off again.
    return where(isfinite(value), value + (mean - mean.detach()), mean)


def median(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The middle element in order, of an even number the lower one, as in PyTorch; NaN wins.

    Along an axis the result is (values, indices). Of all elements (None) it is a Tensor, and equal
    elements share the gradient. For the mean of the two in the middle see `quantile(x, 0.5)`.

    >>> median(as_tensor([4.0, 1.0, 3.0, 2.0]))
    Tensor(2., shape=(), dtype=float32)
    """
    return _median("median", x, axis, keepdims, _middle)


def nanmedian(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The median of what is not NaN; NaN if there is nothing else. See `median`.

    >>> nanmedian(as_tensor([float("nan"), 1.0, 3.0]))
    Tensor(1., shape=(), dtype=float32)
    """
    return _median("nanmedian", x, axis, keepdims, _middle_of_known)


def _median(name: str, x: Any, axis: int | None, keepdims: bool, place: Any) -> Any:
    x = as_tensor(x)
    if axis is None:
        row = x.flatten()
        _not_empty(name, row, 0)
        y = squeeze(take_along_axis(row, place(row, 0), axis=0), axis=0)
        y = _shared(row, y)
        return reshape(y, (1,) * x.ndim) if keepdims else y
    x, axis, single = _axis_of(name, x, axis)
    _not_empty(name, x, axis)
    return _ranked(x, place(x, axis), axis, keepdims, single)


def _middle(x: Tensor, axis: int) -> Tensor:
    """The place of the lower median along an axis, or of the first NaN."""
    place = primitives.argkth(x, axis, (x.shape[axis] - 1) // 2)
    if x.dtype not in FLOATING:
        return place
    nan = isnan(x)
    first = argmax(nan.astype("int8"), axis=axis, keepdims=True)
    return where(any_true(nan, axis=axis, keepdims=True), first, place)


def _middle_of_known(x: Tensor, axis: int) -> Tensor:
    """The same of those that are not NaN, which come last in order."""
    if x.dtype not in FLOATING:
        return _middle(x, axis)
    known = sum(logical_not(isnan(x)), axis=axis, keepdims=True)
    rank = clip(known - 1, 0, None) // 2
    return take_along_axis(argsort(x, axis=axis), rank, axis=axis)


def mode(x: Any, axis: int = -1, keepdims: bool = False) -> Ranked:
    """The most frequent element along an axis, the smallest of several, and its last place.

    >>> mode(as_tensor([3, 1, 3, 2])).values
    Tensor(3, shape=(), dtype=int64)
    """
    x, axis, single = _axis_of("mode", x, axis)
    _not_empty("mode", x, axis)
    n = x.shape[axis]
    order = argsort(x, axis=axis)
    row = take_along_axis(x, order, axis=axis).detach()
    shape = [1] * x.ndim
    shape[axis] = n
    place = reshape(arange(n), tuple(shape))
    new = piece(row, axis, 1, n - 1) != piece(row, axis, 0, n - 1)
    begin = where(new, piece(place, axis, 1, n - 1), 0)
    begin = concat((zeros_like(piece(order, axis, 0, 1)), begin), axis=axis)
    begin = take_along_axis(begin, primitives.argrunning(begin, axis, True), axis=axis)
    longest = argmax(place - begin, axis=axis, keepdims=True)
    return _ranked(x, take_along_axis(order, longest, axis=axis), axis, keepdims, single)


# -- quantiles ------------------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@in_float32
def quantile(
    x: Any, q: Any, axis: int | None = None, keepdims: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The number below which a share q of the elements lies, between the two nearest if need be.

    q is a number in [0, 1], or a vector of them, whose axis comes first. `interpolation` is
    "linear", "lower", "higher", "midpoint" or "nearest". With a NaN among the elements it is NaN.

    >>> quantile(as_tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    Tensor(2.5, shape=(), dtype=float32)
    """
    return _quantile("quantile", x, q, axis, keepdims, interpolation, skip_nan=False)


@in_float32
def nanquantile(
    x: Any, q: Any, axis: int | None = None, keepdims: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The quantile of what is not NaN; NaN if there is nothing else. See `quantile`.

    >>> nanquantile(as_tensor([1.0, float("nan"), 3.0]), 0.5)
    Tensor(2., shape=(), dtype=float32)
    """
    return _quantile("nanquantile", x, q, axis, keepdims, interpolation, skip_nan=True)


def _quantile(
    name: str, x: Any, q: Any, axis: int | None, keepdims: bool, how: str, skip_nan: bool
) -> Tensor:
    x = floating(as_tensor(x))
    shares = as_tensor(np.array(q) if isinstance(q, int | float) else q).astype(x.dtype)
    if shares.ndim > 1:
        raise ShapeError(f"{name}: q must be a number or a vector, got {describe(shares)}")
    if how not in _INTERPOLATIONS:
        raise ArgumentError(
            f"{name}: interpolation must be one of {', '.join(_INTERPOLATIONS)}, got {how!r}"
        )
    STATE.execution.require(name, _is_share, (shares,))
    if axis is None:
        row, kept = x.flatten(), (1,) * x.ndim
    else:
        row, place, _ = _axis_of(name, x, axis)
        kept = tuple([1 if a == place else n for a, n in enumerate(x.shape)])
        row = moveaxis(row, place, -1)
    _not_empty(name, row, row.ndim - 1)
    y = _between(row, shares.flatten(), how, skip_nan)
    lead = kept if keepdims else y.shape[:-1]
    y = reshape(moveaxis(y, -1, 0), (shares.size, *lead))
    return y if shares.ndim else squeeze(y, axis=0)


def _is_share(xp: Any, q: Any) -> tuple[Requirement, ...]:
    inside = xp.logical_and(q >= 0, q <= 1)
    return (Requirement(inside, q, ArgumentError, "q must lie in [0, 1]", "50 % is 0.5"),)


@as_one_op
def _between(row: Tensor, shares: Tensor, how: str, skip_nan: bool) -> Tensor:
    """The quantiles of the last axis, (..., Q)."""
    nan = isnan(row)  # they come last in order
    last = float(row.shape[-1] - 1)
    ordered = sort(row)
    if skip_nan:
        known = sum(logical_not(nan), axis=-1, keepdims=True)
        place = shares * clip(known - 1, 0, None).astype(row.dtype)
    else:
        place = where(any_true(nan, axis=-1, keepdims=True), last, shares * last)
    below, above = floor(place), ceil(place)
    if how == "lower":
        above = below
    elif how == "higher":
        below = above
    elif how == "nearest":
        below = above = round(place)
    low = take_along_axis(ordered, below.astype(int64), axis=-1)
    high = take_along_axis(ordered, above.astype(int64), axis=-1)
    weight = 0.5 * (above - below) if how == "midpoint" else place - below
    way = high - low
    return where(
        above == below, low, where(weight < 0.5, low + weight * way, high - (1 - weight) * way)
    )


# -- so far ---------------------------------------------------------------------------------------


def cummax(x: Any, axis: int) -> Ranked:
    """The largest element so far along an axis, and its place, of equal ones the last; NaN wins.

    >>> cummax(as_tensor([1, 3, 2, 3]), axis=0)
    Ranked(values=Tensor([1, 3, 3, 3], shape=(4,), dtype=int64), \
indices=Tensor([0, 1, 1, 3], shape=(4,), dtype=int64))
    """
    return _running("cummax", x, axis, True)


def cummin(x: Any, axis: int) -> Ranked:
    """The smallest element so far along an axis, and its place, of equal ones the last; NaN wins.

    >>> cummin(as_tensor([2, 3, 1]), axis=0).values
    Tensor([2, 2, 1], shape=(3,), dtype=int64)
    """
    return _running("cummin", x, axis, False)


def _running(name: str, x: Any, axis: int, largest: bool) -> Ranked:
    x, axis, single = _axis_of(name, x, axis)
    return _ranked(x, primitives.argrunning(x, axis, largest), axis, True, single)
