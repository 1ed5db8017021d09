"""How often something occurs: counts of numbers, histograms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import dtypes
from ..dtypes import FLOATING, float64, int64
from ..errors import ArgumentError, DTypeError, ShapeError
from ..op import describe
from ..ops import indexing
from ..tensor import Tensor, apply, as_tensor
from .arguments import cached, number, whole
from .creation import linspace, ones
from .elementwise import clip, logical_and, where
from .reductions import max, min
from .searching import searchsorted

__all__ = ["bincount", "histc", "histogram"]


def _counted(places: Tensor, weights: Tensor, size: int) -> Tensor:
    """The sum of the weights at each of `size` places."""
    return apply(cached(indexing.TakeAdd, 0, size), weights, places)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each integer from 0 on occurs; with weights, what they add up to.

    >>> bincount(as_tensor([0, 2, 2]))
    Tensor([1, 0, 2], shape=(3,), dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim != 1 or x.dtype not in dtypes.INTEGER:
        raise DTypeError(f"bincount: x must be a vector of integers, got {describe(x)}")
    least = whole("bincount: minlength", minlength, 0)
    values = x._concrete("bincount()")
    if values.size and values.min() < 0:
        raise ArgumentError(f"bincount: x must not be negative, got {values.min()}")
    if weights is not None:
        weights = as_tensor(weights)
        if weights.shape != x.shape:
            raise ShapeError(
                f"bincount: weights must have the shape of x, got x: {describe(x)} and weights: "
                f"{describe(weights)}"
            )
        weights = weights if weights.dtype == dtypes.float32 else weights.astype(float64)
    size = int(values.max()) + 1 if values.size else 0
    size = size if size > least else least
    return _counted(x, ones(x.shape, dtype=int64) if weights is None else weights, size)


def _limits(name: str, low: Any, high: Any) -> tuple[float, float]:
    """From where to where is counted, as finite numbers in order."""
    low, high = number(f"{name}: min", low), number(f"{name}: max", high)
    if not low <= high or math.isinf(low) or math.isinf(high):
        raise ArgumentError(f"{name}: min must be at most max, both finite, got {low} and {high}")
    return low, high


def _apart(low: Any, high: Any, room: float) -> tuple[Any, Any]:
    """The same with room to both sides, if both are one number."""
    if isinstance(low, Tensor):
        return where(low == high, low - room, low), where(low == high, high + room, high)
    return (low - room, high + room) if low == high else (low, high)


def _extremes(x: Tensor) -> tuple[Any, Any]:
    return min(x), max(x)


def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of so many equal parts of [min, max], the last one closed.

    Others are not counted. With min = max the range is that of x. The counts are of x's type.

    >>> histc(as_tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    Tensor([0., 2., 1., 0.], shape=(4,), dtype=float32)
    """
    x = as_tensor(x).detach()
    if x.dtype not in FLOATING:
        raise DTypeError(f"histc: x must be floating, got {describe(x)}; use x.astype('float32')")
    count = whole("histc: bins", bins)
    low, high = _limits("histc", min, max)
    if low == high and x.size:
        low, high = _extremes(x)
    low, high = _apart(low, high, 1.0)
    values = x.flatten()
    inside = logical_and(values >= low, values <= high)
    place = (where(inside, values, low) - low) * count / (high - low)
    place = clip(place.astype(int64), 0, count - 1)
    return _counted(place, inside.astype(x.dtype), count)


class Histogram(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


def histogram(
    x: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> Histogram:
    """Counts between edges, the last part closed, and the edges: (hist, bin_edges).

    `bins` is the edges in order, or how many equal parts there are of `range`, which is that of x
    if it is not given. With `weight` the elements' weights are added up; with `density` the result
    is a density, whose integral is 1.

    >>> histogram(as_tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
    Tensor([0., 2., 1., 0.], shape=(4,), dtype=float32)
    """
    x = as_tensor(x).detach()
    if x.dtype not in FLOATING:
        raise DTypeError(
            f"histogram: x must be floating, got {describe(x)}; use x.astype('float32')"
        )
    if isinstance(bins, int):
        if range is not None:
            low, high = _limits("histogram", *range)
        else:
            low, high = _extremes(x) if x.size else (0.0, 1.0)
        low, high = _apart(low, high, 0.5)
        edges = linspace(low, high, whole("histogram: bins", bins) + 1, dtype=x.dtype)
    else:
        edges = as_tensor(bins).astype(x.dtype)
        if edges.ndim != 1 or edges.size < 2:
            raise ShapeError(f"histogram: bins must be at least 2 edges, got {describe(edges)}")
    count = edges.size - 1
    values = x.flatten()
    weights = ones(values.shape, dtype=x.dtype) if weight is None else as_tensor(weight).flatten()
    if weights.shape != values.shape:
        raise ShapeError(
            f"histogram: weight must have the shape of x, got {weights.shape} and {values.shape}"
        )
    inside = logical_and(values >= edges[0], values <= edges[-1])
    place = clip(searchsorted(edges, values, side="right") - 1, 0, count - 1)
    hist = _counted(place, where(inside, weights.astype(x.dtype), 0.0), count)
    if density:
        hist = hist / (edges[1:] - edges[:-1]) / hist.sum()
    return Histogram(hist, edges)
