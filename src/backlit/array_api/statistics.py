"""Sums and means that leave NaN out, extremes under PyTorch's names, running log-sums."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..backend.halves import as_one_op
from ..dtypes import FLOATING
from ..promotion import floating
from ..tensor import Tensor, as_tensor
from .arguments import one_axis
from .elementwise import isnan, logaddexp, logical_not, where
from .manipulation import concat, reshape
from .pieces import piece
from .reductions import max, min, sum

__all__ = ["amax", "amin", "aminmax", "logcumsumexp", "nanmean", "nansum"]


def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element along an axis, several, or all (None): see `max`."""
    return max(x, axis=axis, keepdims=keepdims)


def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element along an axis, several, or all (None): see `min`."""
    return min(x, axis=axis, keepdims=keepdims)


class Extremes(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor


def aminmax(x: Any, *, axis: Any = None, keepdims: bool = False) -> Extremes:
    """The smallest and the largest element, as a named tuple (min, max).

    >>> aminmax(as_tensor([3, 1, 2])).max
    Tensor(3, shape=(), dtype=int64)
    """
    return Extremes(min(x, axis=axis, keepdims=keepdims), max(x, axis=axis, keepdims=keepdims))


def nansum(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """y = Σ x of what is not NaN;  gx = gy there, 0 elsewhere.

    >>> nansum(as_tensor([1.0, float("nan"), 2.0]))
    Tensor(3., shape=(), dtype=float32)
    """
    x = as_tensor(x)
    known = where(isnan(x), 0.0, x) if x.dtype in FLOATING else x
    return sum(known, axis=axis, dtype=dtype, keepdims=keepdims)


@as_one_op
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of what is not NaN; NaN if there is nothing.

    >>> nanmean(as_tensor([1.0, float("nan"), 2.0]))
    Tensor(1.5, shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    count = sum(logical_not(isnan(x)), axis=axis, keepdims=keepdims)
    return nansum(x, axis=axis, keepdims=keepdims) / count.astype(x.dtype)


@as_one_op
def logcumsumexp(x: Any, axis: int) -> Tensor:
    """yᵢ = log Σ_{j≤i} e^xⱼ along an axis, without overflow.

    Each turn adds what stands 1, 2, 4, … places before: Hillis & Steele, "Data parallel
    algorithms", Comm. ACM 29 (1986), so that errors do not add up along the axis.

    >>> logcumsumexp(as_tensor([1000.0, 1000.0]), axis=0)
    Tensor([1000.    , 1000.6932], shape=(2,), dtype=float32)
    """
    x = floating(as_tensor(x))
    if x.ndim == 0 and axis in (0, -1):
        return reshape(logcumsumexp(reshape(x, (1,)), 0), ())
    axis = one_axis("logcumsumexp", axis, x.ndim)
    n, step, y = x.shape[axis], 1, x
    while step < n:
        later = logaddexp(piece(y, axis, step, n - step), piece(y, axis, 0, n - step))
        y = concat((piece(y, axis, 0, step), later), axis=axis)
        step *= 2
    return y
