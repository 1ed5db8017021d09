"""Reductions of Tensors: sums, extremes and where they are, means, variances; running folds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..backend.halves import as_one_op
from ..errors import ArgumentError
from ..ops import activation
from ..ops import reductions as ops
from ..precision import in_float32
from ..promotion import floating
from ..tensor import Tensor, apply, as_tensor, wrap
from . import elementwise
from .arguments import axes, cached, number, one_axis
from .manipulation import concat, expand_dims, permute_dims, reshape

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]


def _accumulator(x: Tensor, dtype: Any) -> Tensor:
    """x in the type of its sum: small integers and truth values are added up in 64 bits."""
    if dtype is not None:
        return x.astype(dtype)
    if x.dtype in dtypes.FLOATING:
        return x
    return x.astype(dtypes.uint64 if x.dtype in dtypes.UNSIGNED else dtypes.int64)


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """y = Σ x over an axis, several, or all (None);  gx = gy at every element.

    >>> sum(as_tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.], shape=(2,), dtype=float32)
    """
    x = _accumulator(as_tensor(x), dtype)
    return apply(cached(ops.Sum, axes("sum", axis, x.ndim), keepdims), x)


@in_float32
def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """y = Π x;  gx = gy times the product of all other elements, also where x is 0.

    >>> prod(as_tensor([2.0, 3.0, 4.0]))
    Tensor(24., shape=(), dtype=float32)
    """
    x = _accumulator(as_tensor(x), dtype)
    folded = axes("prod", axis, x.ndim)
    if len(folded) == 1:
        return apply(cached(ops.Prod, folded, keepdims), x)
    kept = tuple(a for a in range(x.ndim) if a not in folded)
    shape = tuple(x.shape[a] for a in kept)
    rows = reshape(permute_dims(x, kept + folded), (*shape, math.prod(x.shape[a] for a in folded)))
    y = apply(cached(ops.Prod, (len(kept),), False), rows)
    return expand_dims(y, axis=folded) if keepdims else y


def mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """y = Σ x / n;  gx = gy / n. The mean of nothing is NaN, as in NumPy.

    >>> mean(as_tensor([1.0, 2.0, 6.0]))
    Tensor(3., shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    folded = axes("mean", axis, x.ndim)
    return apply(cached(ops.Mean, folded, keepdims), x)


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """y = Σ (x - mean)² / (n - correction), in two passes, so offsets cost no digits.

    `correction=1` is the unbiased estimate of a sample. With n ≤ correction the result is NaN.

    >>> var(as_tensor([1.0, 2.0, 6.0]), correction=1)
    Tensor(7., shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    return apply(
        cached(ops.Var, axes("var", axis, x.ndim), keepdims, number("var: correction", correction)),
        x,
    )


@as_one_op
def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of the variance;  its gradient is 0 where the variance is 0.

    >>> std(as_tensor([1.0, 3.0]))
    Tensor(1., shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    return apply(
        cached(ops.Std, axes("std", axis, x.ndim), keepdims, number("std: correction", correction)),
        x,
    )


def max(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element; the gradient goes to it, shared equally in a tie. NaN wins.

    >>> max(as_tensor([[1, 5], [7, 3]]), axis=1)
    Tensor([5, 7], shape=(2,), dtype=int64)
    """
    x = as_tensor(x)
    return apply(cached(ops.Max, axes("max", axis, x.ndim), keepdims), x)


def min(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element; the gradient goes to it, shared equally in a tie. NaN wins.

    >>> min(as_tensor([[1, 5], [7, 3]]), axis=1)
    Tensor([1, 3], shape=(2,), dtype=int64)
    """
    x = as_tensor(x)
    return apply(cached(ops.Min, axes("min", axis, x.ndim), keepdims), x)


def _arg(cls: type, name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is not None:
        return apply(cached(cls, (one_axis(name, axis, x.ndim),), keepdims), x)
    y = apply(cached(cls, (0,), False), x.flatten())
    return reshape(y, (1,) * x.ndim) if keepdims else y


def argmax(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element along an axis, or in the flattened Tensor (None).

    >>> argmax(as_tensor([[1, 5], [7, 3]]), axis=1)
    Tensor([1, 0], shape=(2,), dtype=int64)
    """
    return _arg(ops.Argmax, "argmax", x, axis, keepdims)


def argmin(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The index of the first smallest element along an axis, or in the flattened Tensor (None).

    >>> argmin(as_tensor([4, 2, 2]))
    Tensor(1, shape=(), dtype=int64)
    """
    return _arg(ops.Argmin, "argmin", x, axis, keepdims)


def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true (not 0).

    >>> all(as_tensor([True, False]))
    Tensor(False, shape=(), dtype=bool)
    """
    x = as_tensor(x)
    return apply(cached(ops.All, axes("all", axis, x.ndim), keepdims), x)


def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true (not 0).

    >>> any(as_tensor([True, False]))
    Tensor(True, shape=(), dtype=bool)
    """
    x = as_tensor(x)
    return apply(cached(ops.Any, axes("any", axis, x.ndim), keepdims), x)


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The number of elements that are not 0.

    >>> count_nonzero(as_tensor([0, 3, 4]))
    Tensor(2, shape=(), dtype=int64)
    """
    return sum(elementwise.not_equal(as_tensor(x), 0), axis=axis, keepdims=keepdims)


def logsumexp(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """y = log Σ eˣ without overflow;  gx = gy e^(x-y).

    >>> logsumexp(as_tensor([1000.0, 1000.0]))
    Tensor(1000.6932, shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    folded = axes("logsumexp", axis, x.ndim)
    if math.prod(x.shape[a] for a in folded) == 0:
        return elementwise.log(sum(x, axis=folded, keepdims=keepdims))  # log 0
    return apply(cached(activation.Logsumexp, folded, keepdims), x)


def _running_axis(name: str, x: Tensor, axis: Any) -> int:
    if axis is None:
        if x.ndim != 1:
            raise ArgumentError(f"{name}: axis is required for a Tensor of {x.ndim} axes")
        return 0
    return one_axis(name, axis, x.ndim)


def _with_initial(name: str, x: Tensor, y: Tensor, axis: int, value: float) -> Tensor:
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    first = wrap(np.full(shape, value, y.dtype))
    return concat((first, y), axis=axis)


def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """yᵢ = x₀ + … + xᵢ along an axis;  with `include_initial` a 0 stands before.

    >>> cumulative_sum(as_tensor([1.0, 2.0, 3.0]))
    Tensor([1., 3., 6.], shape=(3,), dtype=float32)
    """
    x = _accumulator(as_tensor(x), dtype)
    axis = _running_axis("cumulative_sum", x, axis)
    y = apply(cached(ops.CumulativeSum, axis), x)
    return _with_initial("cumulative_sum", x, y, axis, 0) if include_initial else y


def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """yᵢ = x₀ ⋯ xᵢ along an axis;  with `include_initial` a 1 stands before.

    >>> cumulative_prod(as_tensor([1.0, 2.0, 3.0]))
    Tensor([1., 2., 6.], shape=(3,), dtype=float32)
    """
    x = _accumulator(as_tensor(x), dtype)
    axis = _running_axis("cumulative_prod", x, axis)
    y = apply(cached(ops.CumulativeProd, axis), x)
    return _with_initial("cumulative_prod", x, y, axis, 1) if include_initial else y


def diff(
    x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None
) -> Tensor:
    """yᵢ = xᵢ₊₁ - xᵢ along an axis, n times.

    >>> diff(as_tensor([1.0, 4.0, 9.0]))
    Tensor([3., 5.], shape=(2,), dtype=float32)
    """
    x = as_tensor(x)
    axis = one_axis("diff", axis, x.ndim)
    if n < 0:
        raise ArgumentError(f"diff: n must not be negative, got {n}")
    if n == 0:
        return x  # whatever is put before or after it, as in NumPy
    pieces = [as_tensor(p) for p in (prepend, x, append) if p is not None]
    if len(pieces) > 1:
        x = concat(pieces, axis=axis)
    for _ in range(n):
        before: list[Any] = [slice(None)] * x.ndim
        after = list(before)
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        x = x[tuple(after)] - x[tuple(before)]
    return x
