"""Special functions in NumPy: the derivatives of the gamma function's logarithm."""

from __future__ import annotations

import math

import numpy as np
from numpy import gcd

__all__ = ["gcd", "polygamma"]

#: B₂, B₄, … B₂₀.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510,
              43867 / 798, -174611 / 330)  # fmt: skip
#: From here on the asymptotic series of ψ and its derivatives are exact in float64.
_FAR = 16.0


def polygamma(x: np.ndarray, n: int) -> np.ndarray:
    """The n-th derivative of ψ; ψ itself for n = 0.

    Below ½ it is reflected: ψ⁽ⁿ⁾(x) = (-1)ⁿ ψ⁽ⁿ⁾(1 - x) - π dⁿ/dxⁿ cot πx (DLMF 5.5.4, 5.15.6).
    """
    wide = np.asarray(x, np.float64)
    low = wide < 0.5
    right = _right(np.where(low, 1.0 - wide, wide), n)
    if not low.any():
        return right.astype(x.dtype)
    apart = np.where(low, wide - np.rint(wide), 0.25) * math.pi
    cotangent = np.cos(apart) / np.sin(apart)
    factors = [0, 1]  # of 1, c, c², …: cot itself; and then its derivatives, c' = -(1 + c²)
    for _ in range(n):
        slopes = [k * f for k, f in enumerate(factors)][1:]
        factors = [-a - b for a, b in zip([*slopes, 0, 0], [0, 0, *slopes], strict=True)]
    turned = np.zeros(x.shape)
    for factor in reversed(factors):
        turned = turned * cotangent + factor
    turned = turned * math.pi ** (n + 1)
    y = np.where(low, (-1) ** n * right - turned, right)
    if n == 0:  # from the left and from the right ψ goes to different infinities
        y = np.where(wide == 0, np.copysign(math.inf, -wide), np.where(apart == 0, math.nan, y))
    return y.astype(x.dtype)


def _right(x: np.ndarray, n: int) -> np.ndarray:
    """The same for x ≥ ½: upwards by ψ(x) = ψ(x + 1) - 1/x, then the asymptotic series.

    Source: DLMF 5.11.2 and 5.15.8.
    """
    sign, faculty = (-1.0) ** (n + 1), float(math.factorial(n))
    total = np.zeros(x.shape)
    for _ in range(16):
        small = x < _FAR
        total += np.where(small, sign * faculty / np.where(small, x, 1.0) ** (n + 1), 0.0)
        x = np.where(small, x + 1.0, x)
    if n == 0:
        y = np.log(x) - 0.5 / x
    else:
        y = sign * (math.factorial(n - 1) / x**n + faculty / (2 * x ** (n + 1)))
    for k, b in enumerate(_BERNOULLI, 1):
        y = y + sign * b * (math.factorial(2 * k + n - 1) / math.factorial(2 * k)) / x ** (
            2 * k + n
        )
    return total + y
