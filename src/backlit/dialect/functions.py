"""PyTorch's functions that are none of ours under another name, made of ours.

Their arguments have our names (`axis`, `keepdims`), in PyTorch's order and with its defaults:
`translate` hands them on.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import array_api as ours
from .. import dtypes, linalg
from ..array_api import indexing, primitives
from ..array_api.arguments import integers, one_axis
from ..array_api.assignment import setitem
from ..array_api.elementwise import constant_in
from ..array_api.ranking import Ranked
from ..conversion import check_place
from ..errors import ArgumentError, ShapeError
from ..nn import functional
from ..op import describe
from ..ops.indexing import gathered_shape
from ..tensor import Tensor, as_tensor, copied
from .pieces import atleast_1d, ravel

# -- arithmetic -----------------------------------------------------------------------------------


def add(x: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """x + α other."""
    return ours.add(x, other if alpha == 1 else ours.multiply(other, alpha))


def sub(x: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """x - α other."""
    return ours.subtract(x, other if alpha == 1 else ours.multiply(other, alpha))


def rsub(x: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - α x."""
    return sub(other, x, alpha=alpha)


def div(x: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """x / other, as it is, rounded down ("floor") or towards 0 ("trunc")."""
    if rounding_mode is None:
        return ours.divide(x, other)
    if rounding_mode == "floor":
        return ours.floor_divide(x, other)
    if rounding_mode != "trunc":
        raise ArgumentError(
            f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
        )
    y = ours.trunc(ours.divide(x, other))
    whole = all(
        getattr(v, "dtype", None) in dtypes.INTEGER or isinstance(v, int) for v in (x, other)
    )
    return y.astype(dtypes.result_type(x, other)) if whole else y


def clamp_min(x: Any, min: Any) -> Tensor:
    """The larger of x and the limit."""
    return ours.clip(x, min)


def clamp_max(x: Any, max: Any) -> Tensor:
    """The smaller of x and the limit."""
    return ours.clip(x, None, max)


def round(x: Any, *, decimals: int = 0) -> Tensor:
    """To so many decimals, halves to the even one."""
    return ours.round(x) if decimals == 0 else as_tensor(x).__round__(decimals)


def equal(x: Any, other: Any) -> bool:
    """Whether two Tensors have the same shape and elements: one truth value."""
    x, other = as_tensor(x), as_tensor(other)
    return x.shape == other.shape and bool(ours.all(ours.equal(x, other)))


def logit(x: Any, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), of x limited to [eps, 1 - eps]."""
    x = as_tensor(x) if eps is None else ours.clip(x, eps, 1 - eps)
    return ours.subtract(ours.log(x), ours.log1p(ours.negative(x)))


def clone(x: Any) -> Tensor:
    """The same elements in a Tensor of their own, on the tape."""
    return copied(as_tensor(x))


def fill(x: Any, value: Any) -> Tensor:
    """A number in place of every element of x, to which the gradient is 0."""
    x = as_tensor(x)
    return constant_in(x, as_tensor(value).astype(x.dtype))


def ldexp(x: Any, other: Any) -> Tensor:
    """x · 2 to the power of other."""
    return ours.multiply(x, ours.exp2(other))


def float_power(x: Any, exponent: Any) -> Tensor:
    """The power, computed in float64."""
    return ours.pow(as_tensor(x).astype(dtypes.float64), exponent)


def isposinf(x: Any) -> Tensor:
    """Whether elements are +∞."""
    return ours.equal(x, math.inf)


def isneginf(x: Any) -> Tensor:
    """Whether elements are -∞."""
    return ours.equal(x, -math.inf)


def isreal(x: Any) -> Tensor:
    """True everywhere: there are no complex numbers."""
    return ours.ones(as_tensor(x).shape, dtype=dtypes.bool_)


def is_nonzero(x: Any) -> bool:
    """Whether the only element is not 0."""
    return bool(as_tensor(x))


def fmax(x: Any, other: Any) -> Tensor:
    """The larger of two; of a number and NaN the number."""
    x, other = as_tensor(x), as_tensor(other)
    y = ours.where(ours.isnan(other), x, ours.maximum(x, other))
    return ours.where(ours.isnan(x), other, y)


def fmin(x: Any, other: Any) -> Tensor:
    """The smaller of two; of a number and NaN the number."""
    return ours.negative(fmax(ours.negative(as_tensor(x)), ours.negative(as_tensor(other))))


# -- sums and searches ----------------------------------------------------------------------------


def mean(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """Σ x / n."""
    x = as_tensor(x) if dtype is None else as_tensor(x).astype(dtype)
    return ours.mean(x, axis=axis, keepdims=keepdims)


def _corrected(axis: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """The axis and correction of PyTorch's `var`, which takes `unbiased` in several places."""
    if isinstance(axis, bool):
        axis, unbiased = None, axis
    if unbiased is not None:
        correction = unbiased
    return axis, 1.0 if correction is None else float(correction)


def var(
    x: Any,
    axis: Any = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float = 1,
) -> Tensor:
    """Σ (x - mean)² / (n - correction), with 1 as the correction."""
    axis, correction = _corrected(axis, unbiased, correction)
    return ours.var(x, axis=axis, correction=correction, keepdims=keepdims)


def std(
    x: Any,
    axis: Any = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float = 1,
) -> Tensor:
    """The square root of `var`."""
    axis, correction = _corrected(axis, unbiased, correction)
    return ours.std(x, axis=axis, correction=correction, keepdims=keepdims)


def var_mean(
    x: Any, axis: Any = None, unbiased: Any = None, keepdims: bool = False, *, correction: float = 1
) -> tuple[Tensor, Tensor]:
    """The variance and the mean."""
    axis, correction = _corrected(axis, unbiased, correction)
    means = ours.mean(x, axis=axis, keepdims=keepdims)
    return ours.var(x, axis=axis, correction=correction, keepdims=keepdims), means


def std_mean(
    x: Any, axis: Any = None, unbiased: Any = None, keepdims: bool = False, *, correction: float = 1
) -> tuple[Tensor, Tensor]:
    """The deviation and the mean."""
    axis, correction = _corrected(axis, unbiased, correction)
    means = ours.mean(x, axis=axis, keepdims=keepdims)
    return ours.std(x, axis=axis, correction=correction, keepdims=keepdims), means


def _extreme(name: str, x: Any, axis: Any, keepdims: bool, other: Any) -> Any:
    x = as_tensor(x)
    if other is not None:
        return getattr(x, name)(other=other)
    if isinstance(axis, Tensor):
        return getattr(x, name)(axis)
    return getattr(x, name)() if axis is None else getattr(x, name)(dim=axis, keepdim=keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False, *, other: Any = None) -> Any:
    """The largest of all elements, (values, indices) along an axis, or the larger of two."""
    return _extreme("max", x, axis, keepdims, other)


def min(x: Any, axis: Any = None, keepdims: bool = False, *, other: Any = None) -> Any:
    """The smallest of all elements, (values, indices) along an axis, or the smaller of two."""
    return _extreme("min", x, axis, keepdims, other)


def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = False) -> Ranked:
    """The elements along an axis in order, and where they were: (values, indices). It is stable."""
    x = as_tensor(x)
    order = ours.argsort(x, axis=axis, descending=descending)
    return Ranked(ours.take_along_axis(x, order, axis=axis), order)


def msort(x: Any) -> Tensor:
    """The elements along the first axis in order."""
    return ours.sort(x, axis=0)


def _pieces_of_area(y: Any, x: Any, dx: Any, axis: int) -> Tensor:
    """The areas of the trapezoids between neighbours."""
    y = as_tensor(y)
    a = one_axis("trapezoid", axis, y.ndim)
    n = y.shape[a]
    width = dx
    if x is not None:
        x = as_tensor(x)
        width = ours.diff(x, axis=0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            width = width.reshape((-1,) + (1,) * (y.ndim - a - 1))
    return width * (ours.narrow(y, a, 1, n - 1) + ours.narrow(y, a, 0, n - 1)) / 2


def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, axis: int = -1) -> Tensor:
    """The area under y over x, between straight lines."""
    return ours.sum(_pieces_of_area(y, x, dx, axis), axis=axis)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, axis: int = -1) -> Tensor:
    """The area under y over x up to each point but the first."""
    return ours.cumulative_sum(_pieces_of_area(y, x, dx, axis), axis=axis)


def unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    """The place along each axis of a shape, of places counted through all of it."""
    places = np.unravel_index(as_tensor(indices).numpy(), integers("unravel_index", shape))
    return tuple(ours.asarray(place) for place in places)


def searchsorted(
    x1: Any,
    x2: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Tensor:
    """Where to insert x2 in the sorted x1: before equal elements, behind them with `right`."""
    y = ours.searchsorted(x1, x2, side=side or ("right" if right else "left"), sorter=sorter)
    return y.astype(dtypes.int32) if out_int32 else y


def bucketize(x: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the bucket in which each element lies, between sorted boundaries."""
    y = ours.bucketize(x, boundaries, right=right)
    return y.astype(dtypes.int32) if out_int32 else y


def norm(
    x: Any, p: Any = "fro", axis: Any = None, keepdims: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements over the axes; "fro" is 2, "nuc" the sum of singular values."""
    x = as_tensor(x) if dtype is None else as_tensor(x).astype(dtype)
    if p == "nuc":
        return ours.matrix_norm(x, keepdims=keepdims, ord="nuc")
    order = 2 if p in ("fro", None) else float(p)
    return ours.vector_norm(x, axis=axis, keepdims=keepdims, ord=order)


def dist(x: Any, other: Any, p: float = 2) -> Tensor:
    """The p-norm of x - other."""
    return ours.vector_norm(ours.subtract(x, other), ord=p)


# -- choosing -------------------------------------------------------------------------------------


def gather(x: Any, axis: int, index: Any) -> Tensor:
    """The elements of x at `index` along an axis; other axes of x may be longer, and are cut."""
    x, index = as_tensor(x), as_tensor(index)
    if not math.prod(index.shape):
        return constant_in(ours.sum(x), ours.zeros(index.shape, dtype=x.dtype))
    wanted = index.shape
    x, index = (t if t.ndim else t.reshape(1) for t in (x, index))
    if x.ndim != index.ndim:
        raise ShapeError(
            f"gather: index must have as many axes as x, got {describe(index)} for {describe(x)}"
        )
    a = one_axis("gather", axis, x.ndim)
    if any(i > n for k, (i, n) in enumerate(zip(index.shape, x.shape, strict=True)) if k != a):
        raise ShapeError(
            f"gather: index must not be longer than x but along axis {a}, got {describe(index)} "
            f"for {describe(x)}"
        )
    cut = tuple(slice(None if k == a else i) for k, i in enumerate(index.shape))
    return ours.take_along_axis(x[cut], index, axis=a).reshape(wanted)


def take_along_dim(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The elements at `indices` along an axis, or of all of them in order."""
    if axis is None:
        return ours.take(ravel(x), ravel(indices))
    return ours.take_along_axis(x, indices, axis=axis)


def take(x: Any, index: Any) -> Tensor:
    """The elements at places counted through all of x."""
    return ours.take(ravel(x), index)


def _with(x: Any, key: Any, value: Any) -> Tensor:
    """A copy of x with a value in the place of what a key selects."""
    return setitem(as_tensor(x), key, value)


def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """x with values at the places that index Tensors name, or added there, also repeatedly."""
    if not accumulate:
        return _with(x, tuple(indices), values)
    x = as_tensor(x)
    _, pattern, arrays, _ = indexing.select(x, tuple(indices))
    added = ours.broadcast_to(values, gathered_shape(pattern, arrays))
    return x + primitives.scatter_add(added, *arrays, pattern=pattern, shape=x.shape)


def put(x: Any, index: Any, source: Any, accumulate: bool = False) -> Tensor:
    """x with values at places counted through all of it."""
    x, index = as_tensor(x), as_tensor(index)
    flat = index_put(ravel(x), (ravel(index),), ravel(source), accumulate)
    return ours.reshape(flat, x.shape)


def select_scatter(x: Any, src: Any, axis: int, index: int) -> Tensor:
    """x with src in the place of one slice."""
    return _with(x, (slice(None),) * one_axis("select_scatter", axis, x.ndim) + (index,), src)


def slice_scatter(
    x: Any, src: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    """x with src in the place of several slices."""
    before = (slice(None),) * one_axis("slice_scatter", axis, x.ndim)
    return _with(x, (*before, slice(start, end, step)), src)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; of a condition alone where it does."""
    if input is None and other is None:
        return ours.nonzero(condition)
    return ours.where(condition, input, other)


def nonzero(x: Any, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0: a matrix with a row for each, or a tuple."""
    x = as_tensor(x)
    found = ours.nonzero(atleast_1d(x))
    if as_tuple:
        return found
    matrix = ours.stack(found, axis=1)
    return matrix if x.ndim else matrix[:, :0]


argwhere = nonzero


# -- others ---------------------------------------------------------------------------------------


def softmax(x: Any, axis: int, dtype: Any = None) -> Tensor:
    """The softmax along an axis."""
    return functional.softmax(as_tensor(x) if dtype is None else as_tensor(x).astype(dtype), axis)


def log_softmax(x: Any, axis: int, dtype: Any = None) -> Tensor:
    """The logarithm of the softmax along an axis."""
    x = as_tensor(x) if dtype is None else as_tensor(x).astype(dtype)
    return functional.log_softmax(x, axis)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    """The p-norms of all differences of rows, of the differences themselves."""
    return ours.cdist(x1, x2, p)


def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
) -> Tensor:
    """The places on and below a diagonal: (rows, columns)."""
    check_place(device, layout)
    return ours.tril_indices(row, col, offset).astype(dtype or dtypes.int64)


def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
) -> Tensor:
    """The places on and above a diagonal: (rows, columns)."""
    check_place(device, layout)
    return ours.triu_indices(row, col, offset).astype(dtype or dtypes.int64)


def cross(x: Any, other: Any, axis: int | None = None) -> Tensor:
    """The cross product of vectors along an axis: the first one of size 3 where none is named."""
    x, other = as_tensor(x), as_tensor(other)
    if axis is None:
        axis = next((a for a, n in enumerate(x.shape) if n == 3), -1)
    return ours.cross(x, other, axis)


def dropout(x: Any, p: float, train: bool) -> Tensor:
    """Elements left out with probability p, and the others larger, while training."""
    return functional.dropout(as_tensor(x), p, train)


class SVD(NamedTuple):
    """What PyTorch's old `svd` returns: x = U diag(S) Vᵀ."""

    U: Tensor
    S: Tensor
    V: Tensor


def svd(x: Any, some: bool = True, compute_uv: bool = True) -> SVD:
    """The old form, with V where `torch.linalg.svd` has its transpose."""
    u, s, vh = linalg.svd(x, full_matrices=not some)
    if compute_uv:
        return SVD(u, s, ours.matrix_transpose(vh))
    return SVD(ours.zeros_like(u), s, ours.zeros_like(ours.matrix_transpose(vh)))


def qr(x: Any, some: bool = True) -> Any:
    """(Q, R) with x = Q R."""
    return linalg.qr(x, mode="reduced" if some else "complete")


def logdet(x: Any) -> Tensor:
    """log det x; NaN where the determinant is negative."""
    sign, size = linalg.slogdet(x)
    return ours.where(ours.less(sign, 0), math.nan, size)


def inner(x: Any, other: Any) -> Tensor:
    """Σ x y over the last axis of both."""
    x, other = as_tensor(x), as_tensor(other)
    if not x.ndim or not other.ndim:
        return x * other
    return ours.tensordot(x, other, axes=([-1], [-1]))
