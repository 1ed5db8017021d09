"""Records of the special functions and remainders. References use Python's `math`, or a series."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit.array_api import primitives
from backlit.errors import ArgumentError, DTypeError
from backlit.ops import special as ops

from .record import Bad, Record, Special, either, grid, integers, lattice, pointwise, uniform

inf, nan = math.inf, math.nan
EULER = 0.57721566490153286061


def inverse_erf(x: float) -> float:
    """By bisection."""
    low, high = -6.0, 6.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if math.erf(middle) < x else (low, middle)
    return low


def polygamma(x: float, n: int) -> float:
    """n!(-1)ⁿ⁺¹ Σ 1/(x + k)ⁿ⁺¹, for n = 0 as differences; the rest of the sum is an integral."""
    many = 20_000
    y = x + many  # the sum of what is left is about the integral from half a step before
    if n == 0:
        return (
            math.log(y - 0.5)
            + 1 / (24 * (y - 0.5) ** 2)
            - math.fsum(1 / (x + k) for k in range(many))
        )
    terms = math.fsum((x + k) ** -(n + 1) for k in range(many))
    rest = (y - 0.5) ** -n / n - (n + 1) * (y - 0.5) ** -(n + 2) / 24
    return (-1) ** (n + 1) * math.factorial(n) * (terms + rest)


def sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def bessel(x: float, n: int, scaled: bool) -> float:
    """(1/π) ∫ e^(x cos θ) cos nθ dθ from 0 to π: equal steps are exact for a period."""
    steps = 200
    angles = [2 * math.pi * k / steps for k in range(steps)]
    total = math.fsum(math.exp(x * math.cos(a) - abs(x)) * math.cos(n * a) for a in angles)
    return total / steps * (1.0 if scaled else math.exp(abs(x)))


def each(name, *makers, **more):
    return [case for i, m in enumerate(makers) for case in grid(f"{name}{i}", *m, **more)]


TABLE = [
    Record(
        op=ops.Erfinv,
        reference=pointwise(inverse_erf),
        cases=each("erfinv", [uniform(-0.95, 0.95)]),
        function=bl.erfinv,
        specials=[
            Special(([0.0, -0.0, 1.0, -1.0, 1.5, nan],), [0.0, -0.0, inf, -inf, nan, nan]),
            Special(([0.0],), [0.0], ([math.sqrt(math.pi) / 2],)),
            Special(  # mpmath
                ([1 - 2.0**-53, -0.999, 1e-300],),
                [5.863584748755167, -2.326753765513525, 8.862269254527580e-301],
                rtol=1e-14,
            ),
            Special(([0.99999994, 0.3],), [3.8325069, 0.27246273], dtype="float32", rtol=3e-7),
        ],
    ),
    Record(
        op=ops.Lgamma,
        reference=pointwise(math.lgamma),
        cases=each("lgamma", [uniform(0.2, 4)], [lattice(0.4, 1.0, 3)]),
        function=bl.lgamma,
        specials=[
            Special(([0.0, -1.0, -2.0, inf, -inf, nan],), [inf, inf, inf, inf, inf, nan]),
            Special(([1.0, 2.0],), [0.0, 0.0], ([-EULER, 1 - EULER],), rtol=1e-14),
            Special(([1e308],), [inf], ([math.log(1e308)],), rtol=1e-14),
        ],
    ),
    Record(
        op=ops.Polygamma,
        reference=lambda x, n: pointwise(lambda v: polygamma(v, n))(x),
        cases=each(
            "polygamma", [uniform(0.3, 4)], [lattice(0.4, 1.0, 2)],
            attributes=[{"n": n} for n in (0, 1, 2)],
        ),
        function=primitives.polygamma,
        specials=[
            Special(([1.0, 0.5],), [-EULER, -EULER - 2 * math.log(2)],
                    ([math.pi**2 / 6, math.pi**2 / 2],), {"n": 0}, rtol=1e-14),
            Special(([0.0, -0.0, -1.0, inf, nan],), [-inf, inf, nan, inf, nan], None, {"n": 0}),
            Special(([1.0, -0.5],), [math.pi**2 / 6, math.pi**2 / 2 + 4], None, {"n": 1},
                    rtol=1e-14),
        ],
        bad=[
            Bad(lambda: bl.polygamma(-1, bl.ones(2)), ArgumentError,
                r"polygamma: n must be an integer that is not negative, got -1"),
        ],
        rtol=1e-10,
        low_precision=False,
    ),
    Record(
        op=ops.Bessel,
        reference=lambda x, n, scaled: pointwise(lambda v: bessel(v, n, scaled))(x),
        cases=[
            *each("bessel", [either(0.1, 3)],
                  attributes=[{"n": n, "scaled": s} for n in (0, 1) for s in (False, True)]),
            *each("large", [either(15, 30)],
                  attributes=[{"n": n, "scaled": True} for n in (0, 1)]),
        ],
        function=lambda x, n, scaled: ((bl.i0, bl.i0e), (bl.i1, bl.i1e))[n][scaled](x),
        specials=[
            Special(([0.0, inf, -inf, nan],), [1.0, inf, inf, nan], ([0.0, inf, -inf, nan],),
                    {"n": 0, "scaled": False}),
            Special(([0.0, inf, -inf, nan],), [0.0, inf, -inf, nan], ([0.5, inf, inf, nan],),
                    {"n": 1, "scaled": False}),
            Special(([0.0, inf, -inf],), [1.0, 0.0, 0.0], ([0.0, 0.0, 0.0],),
                    {"n": 0, "scaled": True}),
            Special(([0.0, inf, -inf],), [0.0, 0.0, -0.0], ([0.5, 0.0, 0.0],),
                    {"n": 1, "scaled": True}),
            Special(([712.0],), [2.4684110577627525e307], None, {"n": 0, "scaled": False},
                    rtol=1e-12),  # e^712 is inf
        ],
    ),
    Record(
        op=ops.Sinc,
        reference=pointwise(sinc),
        cases=each("sinc", [either(0.05, 2.5)], [uniform(-0.02, 0.02)]),
        function=bl.sinc,
        specials=[
            Special(([0.0, nan],), [1.0, nan], ([0.0, nan],)),
            Special(([1e-200],), [1.0], ([-(math.pi**2) / 3 * 1e-200],), rtol=1e-14),
        ],
    ),
    Record(
        op=ops.Xlogy,
        reference=pointwise(lambda a, b: a * math.log(b)),
        cases=each("xlogy", [uniform(-2, 2), uniform(0.2, 3)]),
        function=bl.xlogy,
        specials=[
            Special(([0.0, 0.0, 0.0, 0.0, 2.0], [0.0, -1.0, nan, inf, 0.0]),
                    [0.0, 0.0, nan, 0.0, -inf]),
            Special(([0.0, 0.0, 3.0], [-1.0, 2.0, 2.0]), None,
                    ([0.0, math.log(2), math.log(2)], [0.0, 0.0, 1.5])),
            Special(([0.0, 2.0], [0.0, 4.0]), None, ([0.0, math.log(4)], [0.0, 0.5])),
        ],
    ),
    Record(
        op=ops.Fmod,
        reference=lambda a, b: pointwise(math.fmod)(a, b).astype(np.result_type(a, b)),
        cases=each(
            "fmod", [lattice(0.3), lattice(0.7, 2.0)], [integers(-7, 8), integers(1, 5)],
            [integers(-7, 8), integers(-5, 0)],
        ),
        function=bl.fmod,
        specials=[
            Special(([-0.0, 2.0, inf, 1.0, -1e-20], [3.0, inf, 2.0, 0.0, 1.0]),
                    [-0.0, 2.0, nan, nan, -1e-20]),
            Special((np.array([-128, -7], np.int8), np.array([3, -128], np.int8)), [-2, -7]),
            Special(([6.0, -7.5], [3.0, 2.0]), [0.0, -1.5], ([1.0, 1.0], [-2.0, 3.0])),
        ],
        bad=[
            Bad(lambda: bl.fmod(bl.tensor([True]), bl.tensor([True])), DTypeError,
                r"fmod: a must be numbers, got bool\[1\]"),
        ],
        low_precision=False,
    ),
    Record(
        op=ops.Gcd,
        reference=pointwise(math.gcd),
        cases=each("gcd", [integers(-30, 30), integers(-30, 30)]),
        function=bl.gcd,
        specials=[Special((np.array([0, 0, -4]), np.array([0, 5, 6])), [0, 5, 2])],
        bad=[
            Bad(lambda: bl.gcd(bl.ones(1), 2), DTypeError,
                r"gcd: a must be integers, got float32\[1\]; use a.astype\('int64'\)"),
        ],
    ),
]  # fmt: skip
