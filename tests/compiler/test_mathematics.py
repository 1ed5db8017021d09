"""Elementary functions of compiled code: within 2 ulp (erfc: 6), with NumPy's special values."""

from __future__ import annotations

import math
import sys

import mpmath
import numpy as np
import pytest

import backlit as bl
from backlit.compiler import native

SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1.0,
    -1.0,
    1e-45,
    5e-324,
    88.8,
    -104.5,
    709.9,
    -745.5,
]
FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "erf", "erfc")


def points(name: str, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(sys.byteorder == "little")
    n = 20_000
    x = np.concatenate(
        [
            rng.uniform(-100, 100, n),
            rng.normal(size=2 * n),
            rng.normal(size=n) * 1e-5,
            10.0 ** rng.uniform(-40, 38, n),
            -(10.0 ** rng.uniform(-40, 0, n)),
            rng.uniform(0.4, 2.0, 2 * n),
            rng.uniform(-750, 710, n),
            SPECIAL,
        ]
    )
    if name == "log":
        x = np.concatenate([np.abs(x), SPECIAL])
    if name == "log1p":
        x = np.concatenate([x[x > -1], SPECIAL])
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def exact(name: str, x: np.ndarray) -> np.ndarray:
    """The value in a wider type; erf and erfc from the C library."""
    with np.errstate(all="ignore"):
        if name in ("erf", "erfc"):
            return np.array([getattr(math, name)(v) for v in x.tolist()])
        wide = np.float64 if x.dtype == np.float32 else np.longdouble
        return getattr(np, name)(x.astype(wide))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_few_units_in_the_last_place(name: str, dtype: str) -> None:
    x = points(name, dtype)
    got = bl.compile(getattr(bl, name), executor=native)(bl.asarray(x)).numpy()
    want = exact(name, x)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        unit = np.spacing(np.abs(rounded)).astype(want.dtype)
        error = np.abs(got.astype(want.dtype) - want) / unit
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    bad = ~same & ~(error <= (6.0 if name == "erfc" else 2.0))
    assert not bad.any(), [
        (float(x[i]), float(got[i]), float(rounded[i])) for i in np.nonzero(bad)[0][:5]
    ]
    number = same & ~np.isnan(got)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(rounded[number]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_reference_itself_is_right(name: str) -> None:
    """A few points against 50 digits: long double may be no wider than double on some machines."""
    f = {"expm1": mpmath.expm1, "log1p": lambda v: mpmath.log1p(v)}.get(name, getattr(mpmath, name))
    x = np.array([0.1, 0.47, 0.7, 0.9, 1.9, 3.3])
    with mpmath.workdps(50):
        for v, want in zip(x.tolist(), exact(name, x), strict=True):
            assert abs(mpmath.mpf(float(want)) / f(mpmath.mpf(v)) - 1) < 2e-16
