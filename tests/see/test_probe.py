"""What is computed with NumPy on probes is what NumPy computes, and every slope's op is seen."""

from __future__ import annotations

import numpy as np
import pytest

from backlit.see.checks.probe import Probe, rebound
from backlit.tensor import wrap


def in_place(x, y):
    z = x * y + 2 - 1 / x
    z += y
    z -= 1
    z **= 2
    z /= 3
    return z


def other_way_round(x, y):
    return 2**x - np.float64(3) * abs(-y)


def masks(x, y):
    return np.where(x > 0, x, y) * (y <= 0.5) + np.isfinite(x) * np.logical_xor(x > 0, y > 0)


def products(x, y):
    return np.einsum("ij,kj->ik", x, y) + x @ y.T + np.multiply.outer(x[0, :3], y[1, :3])


def added_at(x, y):
    z = np.zeros((3, 4))
    np.add.at(z, (np.array([0, 0, 2]),), x)
    np.subtract.at(z, (np.array([1, 1, 2]),), y)
    return z


def folded(x, y):
    return np.add.reduce(x) + np.maximum.reduce(y, axis=0) + x.mean(axis=0) + np.sum(y)


@pytest.mark.parametrize("function", [in_place, other_way_round, masks, products, added_at, folded])
def test_a_probe_computes_what_numpy_computes(function):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4))
    want = function(x, y)
    got = rebound(function)(Probe(wrap(x.copy())), Probe(wrap(y.copy())))
    assert isinstance(got, Probe)
    np.testing.assert_allclose(got.tensor.array, want, rtol=1e-13)


def test_what_is_true_or_false_is_no_probe():
    x = Probe(wrap(np.array([-1.0, 0.0, np.nan])))
    assert (x > -0.5).tolist() == [False, True, False]
    assert np.isnan(x).tolist() == [False, False, True]
    assert np.isinf(x).tolist() == [False, False, False]


def test_what_a_probe_cannot_do_raises_and_guesses_nothing():
    x = Probe(wrap(np.ones(3)))
    with pytest.raises(TypeError, match=r"^spacing$"):
        np.spacing(x)
    with pytest.raises(TypeError, match=r"^add\.accumulate$"):
        np.add.accumulate(x)
    with pytest.raises(TypeError, match=r"^a probe is no number$"):
        float(x)
