"""What PyTorch has in `torch.special` alone."""

from __future__ import annotations

import math
from typing import Any

from ..array_api import erfc, erfinv, i0e, i1, i1e, lgamma, log, log1p, where, xlogy
from ..dtypes import float64
from ..tensor import Tensor, as_tensor


def entr(input: Any) -> Tensor:
    """-x log x, 0 where x = 0, and -∞ where x < 0."""
    x = as_tensor(input)
    return where(x < 0, -math.inf, -xlogy(x, where(x < 0, 1.0, x)))


def xlog1py(input: Any, other: Any) -> Tensor:
    """x log(1 + y), and 0 where x = 0 and y is a number; both gradients are 0 where that has none.

    >>> from backlit import tensor
    >>> xlog1py(tensor([0.0, 2.0]), tensor([-1.0, 0.0]))
    Tensor([0., 0.], shape=(2,), dtype=float32)
    """
    x, y = as_tensor(input), as_tensor(other)
    alone = (x == 0) & ((y <= -1) | (y == math.inf))
    return x * log1p(where(alone, 0.0, y))


def ndtr(input: Any) -> Tensor:
    """Φ(x) = (1 + erf(x / √2)) / 2: the standard normal distribution."""
    return 0.5 * erfc(-as_tensor(input) / math.sqrt(2))


def ndtri(input: Any) -> Tensor:
    """The inverse of Φ."""
    return math.sqrt(2) * erfinv(2.0 * as_tensor(input) - 1.0)


def log_ndtr(input: Any) -> Tensor:
    """log Φ(x); far below 0, where Φ is hardly a number, by its asymptotic series.

    -x²/2 - log(-x √(2π)) + log(1 - 1/x² + 3/x⁴ - 15/x⁶ …): Abramowitz & Stegun, 26.2.12.
    """
    x = as_tensor(input)
    least = -30.0 if x.dtype == float64 else -10.0
    low = x < least
    near = log(ndtr(where(low, 0.0, x)))
    z = where(low, x, least)
    u = 1.0 / (z * z)
    series = 1.0 - u * (1.0 - 3.0 * u * (1.0 - 5.0 * u * (1.0 - 7.0 * u * (1.0 - 9.0 * u))))
    far = -0.5 * z * z - log(-z) - 0.5 * math.log(2 * math.pi) + log(series)
    return where(low, far, near)


def multigammaln(input: Any, p: int) -> Tensor:
    """log Γ_p(x) = p(p-1)/4 log π + Σ_j log Γ(x - j/2), j from 0 to p - 1."""
    x = as_tensor(input)
    total: Any = 0.25 * p * (p - 1) * math.log(math.pi)
    for j in range(p):
        total = total + lgamma(x - 0.5 * j)
    return total


__all__ = ["entr", "i0e", "i1", "i1e", "log_ndtr", "multigammaln", "ndtr", "ndtri", "xlog1py"]
