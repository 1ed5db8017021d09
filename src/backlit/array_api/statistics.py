"""Statistics beside the standard's: without NaN, extremes, running log-sums, covariances."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..backend.halves import as_one_op
from ..dtypes import FLOATING
from ..errors import ShapeError
from ..op import describe
from ..promotion import floating
from ..tensor import Tensor, as_tensor
from .arguments import one_axis
from .creation import ones
from .elementwise import clip, isnan, logaddexp, logical_not, maximum, sqrt, where
from .linear_algebra import matmul
from .manipulation import concat, expand_dims, reshape, squeeze
from .matrices import diagonal
from .pieces import piece
from .reductions import max, min, sum

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "corrcoef",
    "cov",
    "logcumsumexp",
    "nanmean",
    "nansum",
]


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


def _weights(name: str, given: Any, count: int) -> Tensor:
    weights = as_tensor(given)
    if weights.shape != (count,):
        raise ShapeError(
            f"cov: {name} must be one number for each of {count} observations, got "
            f"{describe(weights)}"
        )
    return weights


@as_one_op
def cov(x: Any, *, correction: float = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """cᵢⱼ = Σₖ (xᵢₖ - mᵢ) (xⱼₖ - mⱼ) / (K - correction): variables in rows, K observations each.

    `fweights` says how often each observation is counted, `aweights` how much each one matters.
    Of a single variable it is the variance, a number. Without degrees of freedom it is NaN or
    infinite, as in PyTorch.

    >>> cov(as_tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    Tensor([[ 1., -1.],
            [-1.,  1.]], shape=(2, 2), dtype=float32)
    """
    x = floating(as_tensor(x))
    if x.ndim > 2:
        raise ShapeError(f"cov: x must have at most 2 axes, got {describe(x)}")
    rows = x if x.ndim == 2 else x.reshape((1, x.size))
    count = rows.shape[1]
    weights = ones(count, dtype=x.dtype)
    lost: Any = correction
    if fweights is not None:
        weights = _weights("fweights", fweights, count).astype(x.dtype)
    if aweights is not None:
        matters = _weights("aweights", aweights, count).astype(x.dtype)
        weights = weights * matters
        lost = correction * sum(weights * matters) / sum(weights)
    total = sum(weights)
    centred = rows - sum(rows * weights, axis=1, keepdims=True) / total
    y = matmul(centred * weights, centred.mT) / maximum(total - lost, 0)
    return squeeze(y, axis=(0, 1)) if rows.shape[0] == 1 else y


@as_one_op
def corrcoef(x: Any) -> Tensor:
    """rᵢⱼ = cᵢⱼ / √(cᵢᵢ cⱼⱼ), the correlation of the variables in the rows of x; see `cov`.

    >>> corrcoef(as_tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    Tensor([[ 1., -1.],
            [-1.,  1.]], shape=(2, 2), dtype=float32)
    """
    c = cov(x)
    if c.ndim == 0:
        return c / c
    scale = sqrt(diagonal(c))
    return clip(c / expand_dims(scale, axis=1) / scale, -1, 1)
