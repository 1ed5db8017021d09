"""Elements written, added and filled in at indices and under masks; classes as unit vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import FLOATING, bool_, int64
from ..errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ..op import Requirement, describe
from ..ops import indexing as ops
from ..ops import movement
from ..promotion import differ
from ..state import STATE
from ..tensor import Tensor, apply, as_tensor
from .arguments import cached, one_axis, whole
from .creation import arange, full, ones_like
from .elementwise import equal, where
from .indexing import _indices, getitem, take
from .manipulation import broadcast_arrays, expand_dims, reshape
from .reductions import cumulative_sum, sum

__all__ = [
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "one_hot",
    "scatter",
    "scatter_add",
    "scatter_reduce",
]


def one_hot(x: Any, num_classes: int = -1) -> Tensor:
    """y[..., c] = 1 where c is the class that x gives, else 0: (...) -> (..., C) int64.

    Without `num_classes` there are as many as the largest class in x says.

    >>> one_hot(as_tensor([0, 2]))
    Tensor([[1, 0, 0],
            [0, 0, 1]], shape=(2, 3), dtype=int64)
    """
    x = _indices("one_hot", x)
    if num_classes == -1:
        if x.size == 0:
            raise ArgumentError("one_hot: num_classes is required for no classes at all")
        count = int(x._concrete("one_hot without num_classes", "give num_classes").max()) + 1
    else:
        count = whole("one_hot: num_classes", num_classes)
    if x.size:
        STATE.execution.require("one_hot", lambda xp, x: _is_class(xp, x, count), (x,))
    return equal(expand_dims(x, axis=x.ndim), arange(count)).astype(int64)


def _is_class(xp: Any, x: Any, count: int) -> tuple[Requirement, ...]:
    return (
        Requirement(
            xp.logical_and(x >= 0, x < count), x, IndexRangeError,
            f"classes must lie in [0, {count})", "give num_classes larger than the largest class",
        ),
    )  # fmt: skip


# -- at indices along an axis ---------------------------------------------------------------------


def _along(
    name: str, x: Any, axis: int, index: Any, source: Any
) -> tuple[Tensor, Any, tuple[Tensor, ...]]:
    """x, the part of the source that is used, and an index array for each axis of x."""
    x, index = as_tensor(x), _indices(name, index)
    if x.ndim == 0:
        raise ShapeError(f"{name}: x must have at least one axis, got {describe(x)}")
    axis = one_axis(name, axis, x.ndim)
    if index.ndim == 0 and x.ndim == 1:  # one place
        index = reshape(index, (1,))
        source = reshape(source, (1,)) if isinstance(source, Tensor) else source
    if index.ndim != x.ndim or any(
        n > m for a, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)) if a != axis
    ):
        raise ShapeError(
            f"{name}: index must have the axes of x and, but for axis {axis}, no larger sizes, got "
            f"x: {describe(x)} and index: {describe(index)}"
        )
    if isinstance(source, int | float):
        source = full(index.shape, _fitting(name, "src", source, x), dtype=x.dtype)
    else:
        source = _alike(name, "src", as_tensor(source), x)
        if source.ndim != x.ndim or any(
            n > m for n, m in zip(index.shape, source.shape, strict=True)
        ):
            raise ShapeError(
                f"{name}: src must have the axes of index and no smaller sizes, got "
                f"index: {describe(index)} and src: {describe(source)}"
            )
        if source.shape != index.shape:
            used = tuple((0, n, 1) for n in index.shape)
            source = apply(cached(movement.Slice, used), source)
    places = []
    for a, n in enumerate(index.shape):
        own = tuple(n if b == a else 1 for b in range(x.ndim))
        places.append(index if a == axis else reshape(arange(n), own))
    return x, source, tuple(places)


def _alike(name: str, what: str, source: Tensor, x: Tensor) -> Tensor:
    """A Tensor of the dtype of x."""
    if differ(source, x):
        raise DTypeError(
            f"{name}: x and {what} must have one dtype, got x: {describe(x)} and {what}: "
            f"{describe(source)}; use {what}.astype('{x.dtype.name}')"
        )
    return source


def _fitting(name: str, what: str, value: Any, x: Tensor) -> Any:
    """A number that can be an element of x."""
    if isinstance(value, float) and x.dtype not in FLOATING:
        raise DTypeError(
            f"{name}: {what} must be an integer for x: {describe(x)}, got {value}; "
            "use x.astype('float32')"
        )
    return value


def _pattern(x: Tensor) -> tuple[str, ...]:
    return ("array",) * x.ndim


def scatter(x: Any, axis: int, index: Any, src: Any, *, reduce: str | None = None) -> Tensor:
    """x with y[..., index[i], ...] = src[i] along an axis, everything else matched one to one.

    `src` is a Tensor or a number. Where an index repeats, the last element of src stays, and it
    alone gets a gradient. `reduce` may be "add" or "multiply".

    >>> scatter(as_tensor([[0, 0, 0]]), 1, as_tensor([[2, 0]]), as_tensor([[5, 7]]))
    Tensor([[7, 0, 5]], shape=(1, 3), dtype=int64)
    """
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise ArgumentError(
                f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}; see scatter_reduce"
            )
        return scatter_reduce(x, axis, index, src, "sum" if reduce == "add" else "prod")
    x, source, places = _along("scatter", x, axis, index, src)
    if source.size == 0:
        return x
    return apply(cached(ops.SetItems, _pattern(x)), x, source, *places)


def scatter_add(x: Any, axis: int, index: Any, src: Any) -> Tensor:
    """x with src[i] added at index[i] along an axis; where an index repeats, all are added.

    >>> scatter_add(as_tensor([1, 1, 1]), 0, as_tensor([0, 0, 2]), as_tensor([5, 6, 7]))
    Tensor([12,  1,  8], shape=(3,), dtype=int64)
    """
    x, source, places = _along("scatter_add", x, axis, index, src)
    return x + apply(cached(ops.ScatterAdd, _pattern(x), x.shape), source, *places)


def scatter_reduce(
    x: Any, axis: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Tensor:
    """x with the "sum", "prod", "mean", "amax" or "amin" of all src[i] at index[i] along an axis.

    The element of x that was there counts, too, unless `include_self` is False. The gradient of an
    extreme is shared equally by all that attain it.

    >>> x, src = as_tensor([1.0, 1.0]), as_tensor([5.0, 3.0])
    >>> scatter_reduce(x, 0, as_tensor([0, 0]), src, "mean", include_self=False)
    Tensor([4., 1.], shape=(2,), dtype=float32)
    """
    x, source, places = _along("scatter_reduce", x, axis, index, src)
    first = {"sum": 0, "mean": 0, "prod": 1, "amax": -math.inf, "amin": math.inf}
    if reduce not in first:
        raise ArgumentError(
            f"scatter_reduce: reduce must be one of {', '.join(first)}, got {reduce!r}"
        )
    pattern, start = _pattern(x), x
    add = cached(ops.ScatterAdd, pattern, x.shape)
    if not include_self and source.size:
        value = first[reduce]
        if x.dtype in dtypes.INTEGER and math.isinf(value):
            info = np.iinfo(x.dtype)
            value = info.min if value < 0 else info.max
        start = apply(cached(ops.SetItems, pattern), x, value, *places)
    if reduce == "prod":
        return apply(cached(ops.ScatterProd, pattern), start, source, *places)
    if reduce in ("amax", "amin"):
        op = cached(ops.ScatterExtreme, pattern, reduce == "amax")
        return apply(op, start, source, *places)
    total = start + apply(add, source, *places)
    if reduce == "sum":
        return total
    count = apply(add, ones_like(source.detach()), *places)
    count = count + 1 if include_self else where(count == 0, 1, count)
    return total // count if x.dtype in dtypes.INTEGER else total / count


# -- whole slices ---------------------------------------------------------------------------------


def _vector(name: str, index: Any) -> Tensor:
    index = _indices(name, index)
    if index.ndim > 1:
        raise ShapeError(f"{name}: index must be a vector, got {describe(index)}")
    return reshape(index, (-1,))


def index_select(x: Any, axis: int, index: Any) -> Tensor:
    """The slices of x at a vector of indices along an axis: see `take`.

    >>> index_select(as_tensor([10, 20, 30]), 0, as_tensor([2, 0]))
    Tensor([30, 10], shape=(2,), dtype=int64)
    """
    return take(x, _vector("index_select", index), axis=axis)


def _slices(
    name: str, x: Any, axis: int, index: Any, source: Any
) -> tuple[Tensor, int, Tensor, Tensor]:
    """x, the axis, the indices, and a source with a slice for each of them."""
    x, index, source = as_tensor(x), _vector(name, index), as_tensor(source)
    axis = one_axis(name, axis, x.ndim)
    wanted = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
    if source.shape != wanted:
        raise ShapeError(
            f"{name}: source must have a slice for each index, {wanted}, got "
            f"source: {describe(source)}"
        )
    return x, axis, index, _alike(name, "source", source, x)


def index_add(x: Any, axis: int, index: Any, source: Any, *, alpha: float = 1) -> Tensor:
    """x with alpha times the slices of source added at a vector of indices along an axis.

    >>> index_add(as_tensor([1, 1, 1]), 0, as_tensor([0, 0]), as_tensor([5, 6]))
    Tensor([12,  1,  1], shape=(3,), dtype=int64)
    """
    x, axis, index, source = _slices("index_add", x, axis, index, source)
    if alpha != 1:
        source = source * _fitting("index_add", "alpha", alpha, x)
    before = tuple((0, n, 1) for n in x.shape[:axis])
    after = tuple((0, n, 1) for n in x.shape[axis + 1 :])
    op = cached(ops.ScatterAdd, (*before, "array", *after), x.shape)
    return x + apply(op, source, index)


def index_copy(x: Any, axis: int, index: Any, source: Any) -> Tensor:
    """x with the slices at a vector of indices along an axis replaced by those of source.

    >>> index_copy(as_tensor([1, 1, 1]), 0, as_tensor([2, 0]), as_tensor([5, 6]))
    Tensor([6, 1, 5], shape=(3,), dtype=int64)
    """
    x, axis, index, source = _slices("index_copy", x, axis, index, source)
    return _written(x, axis, index, source)


def index_fill(x: Any, axis: int, index: Any, value: Any) -> Tensor:
    """x with one number in all slices at a vector of indices along an axis.

    >>> index_fill(as_tensor([1, 1, 1]), 0, as_tensor([2, 0]), 9)
    Tensor([9, 1, 9], shape=(3,), dtype=int64)
    """
    x, index = as_tensor(x), _vector("index_fill", index)
    axis = one_axis("index_fill", axis, x.ndim)
    return _written(x, axis, index, _one_number("index_fill", value, x))


def _written(x: Tensor, axis: int, index: Tensor, value: Any) -> Tensor:
    before = tuple((0, n, 1) for n in x.shape[:axis])
    after = tuple((0, n, 1) for n in x.shape[axis + 1 :])
    return apply(cached(ops.SetItems, (*before, "array", *after)), x, value, index)


def _one_number(name: str, value: Any, x: Tensor) -> Any:
    """A number, or a Tensor of one, as an element of x."""
    if isinstance(value, int | float):
        return _fitting(name, "value", value, x)
    value = as_tensor(value)
    if value.ndim:
        raise ShapeError(
            f"{name}: value must be a number or a Tensor of no axes, got {describe(value)}"
        )
    if value.dtype in FLOATING and x.dtype not in FLOATING:
        raise DTypeError(
            f"{name}: value must be an integer for x: {describe(x)}, got {describe(value)}; "
            "use x.astype('float32')"
        )
    return value.astype(x.dtype)


# -- under masks ----------------------------------------------------------------------------------


def _mask(name: str, mask: Any) -> Tensor:
    mask = as_tensor(mask)
    if mask.dtype != bool_:
        raise DTypeError(
            f"{name}: mask must be truth values, got {describe(mask)}; use mask.astype('bool')"
        )
    return mask


def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """x with one number where the mask is true, both broadcast;  gx = gy elsewhere, 0 there.

    >>> masked_fill(as_tensor([1.0, 2.0]), as_tensor([True, False]), -math.inf)
    Tensor([-inf,   2.], shape=(2,), dtype=float32, inf=1)
    """
    x, mask = as_tensor(x), _mask("masked_fill", mask)
    return where(mask, _one_number("masked_fill", value, x), x)


def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements where the mask is true, both broadcast, as a vector.

    >>> masked_select(as_tensor([1.0, 2.0, 3.0]), as_tensor([True, False, True]))
    Tensor([1., 3.], shape=(2,), dtype=float32)
    """
    x, mask = broadcast_arrays(x, _mask("masked_select", mask))
    return getitem(x, mask)


def masked_scatter(x: Any, mask: Any, source: Any) -> Tensor:
    """x with the elements of source, one after the other, in the places where the mask is true.

    >>> masked_scatter(as_tensor([1, 1, 1]), as_tensor([True, False, True]), as_tensor([5, 6, 7]))
    Tensor([5, 1, 6], shape=(3,), dtype=int64)
    """
    x, mask = broadcast_arrays(x, _mask("masked_scatter", mask))
    source = _alike("masked_scatter", "source", as_tensor(source), x)

    def enough(xp: Any, wanted: Any) -> tuple[Requirement, ...]:
        n = source.size
        condition = (
            f"source must have an element for each true one of the mask, of which it has {n}"
        )
        return (Requirement(wanted <= n, wanted, ArgumentError, condition, "give more"),)

    STATE.execution.require("masked_scatter", enough, (sum(mask),))
    if source.size == 0:
        return x
    order = cumulative_sum(mask.flatten()) - 1
    chosen = take(source.flatten(), where(mask.flatten(), order, 0), axis=0)
    return where(mask, reshape(chosen, x.shape), x)
