"""Remainders, fractions, interpolation, what is nearly equal, and what replaces NaN."""

from __future__ import annotations

import math
from typing import Any

from ..backend.halves import as_one_op
from ..dtypes import FLOATING, finfo
from ..ops import special as ops
from ..promotion import floating, operand
from ..tensor import Tensor, apply, as_tensor
from . import reductions
from .arguments import cached, number
from .elementwise import (
    abs,
    equal,
    isfinite,
    isnan,
    logical_and,
    logical_or,
    trunc,
    where,
)
from .special import both

__all__ = [
    "allclose",
    "fmod",
    "frac",
    "gcd",
    "heaviside",
    "isclose",
    "lcm",
    "lerp",
    "nan_to_num",
]


def fmod(x1: Any, x2: Any) -> Tensor:
    """y = x1 - x2 trunc(x1 / x2), with the sign of x1;  `remainder` has that of x2.

    >>> fmod(as_tensor([-3.0, 3.0]), 2)
    Tensor([-1.,  1.], shape=(2,), dtype=float32)
    """
    return apply(cached(ops.Fmod), *both(operand(x1), operand(x2)))


def frac(x: Any) -> Tensor:
    """y = x - trunc x, with the sign of x;  gx = gy.

    >>> frac(as_tensor([2.5, -2.5]))
    Tensor([ 0.5, -0.5], shape=(2,), dtype=float32)
    """
    x = floating(as_tensor(x))
    return x - trunc(x)


def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor of integers, not negative.

    >>> gcd(as_tensor([12, -9]), 8)
    Tensor([4, 1], shape=(2,), dtype=int64)
    """
    return apply(cached(ops.Gcd), *both(operand(x1), operand(x2)))


def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple of integers, not negative; 0 if one of them is 0.

    >>> lcm(as_tensor([4, 0]), 6)
    Tensor([12,  0], shape=(2,), dtype=int64)
    """
    a, b = both(operand(x1), operand(x2))
    divisor = gcd(a, b)
    return abs(a // where(divisor == 0, 1, divisor) * b)


def heaviside(x: Any, values: Any) -> Tensor:
    """y = 0 where x < 0, 1 where x > 0, and `values` where x = 0.

    >>> heaviside(as_tensor([-2.0, 0.0, 3.0]), as_tensor(0.5))
    Tensor([0. , 0.5, 1. ], shape=(3,), dtype=float32)
    """
    x, values = both(operand(x), operand(values))
    return where(equal(x, 0), values, (x > 0).astype(x.dtype))


@as_one_op
def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    """y = start + weight (end - start), exact at both ends.

    >>> lerp(as_tensor([0.0, 10.0]), as_tensor([10.0, 20.0]), 0.25)
    Tensor([ 2.5, 12.5], shape=(2,), dtype=float32)
    """
    start, end = both(operand(start), operand(end))
    way = end - start
    if isinstance(weight, int | float):
        return start + weight * way if weight < 0.5 else end - (1 - weight) * way
    weight = as_tensor(weight)
    return where(weight < 0.5, start + weight * way, end - (1 - weight) * way)


def nan_to_num(
    x: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with numbers for NaN, ∞ and -∞: the largest and the lowest of its type for None.

    The gradient is 0 where x was replaced.

    >>> nan_to_num(as_tensor([1.0, math.nan, -math.inf]), neginf=-1)
    Tensor([ 1.,  0., -1.], shape=(3,), dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype not in FLOATING:
        return x
    most = float(finfo(x.dtype).max)
    y = where(isnan(x), 0.0 if nan is None else number("nan_to_num: nan", nan), x)
    high = most if posinf is None else number("nan_to_num: posinf", posinf)
    low = -most if neginf is None else number("nan_to_num: neginf", neginf)
    return where(x == math.inf, high, where(x == -math.inf, low, y))


@as_one_op
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |x1 - x2| ≤ atol + rtol |x2|, or both are equal; NaN is close to nothing else.

    >>> isclose(as_tensor([1.0, 1.0]), as_tensor([1.000001, 1.1]))
    Tensor([ True, False], shape=(2,), dtype=bool)
    """
    a, b = both(operand(x1), operand(x2))
    same = equal(a, b)
    if equal_nan and a.dtype in FLOATING:
        same = logical_or(same, logical_and(isnan(a), isnan(b)))
    if a.dtype not in FLOATING:
        if a.dtype.kind == "b":
            return same
        a, b = a.astype("float64"), b.astype("float64")
    near = abs(a - b) <= atol + abs(rtol * b)
    return logical_or(same, logical_and(near, isfinite(b)))


def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close: see `isclose`. A Python truth value, as in PyTorch.

    >>> allclose(as_tensor([1.0]), as_tensor([1.1]))
    False
    """
    return bool(reductions.all(isclose(x1, x2, rtol, atol, equal_nan)))
