"""Activations: settings that are refused, random ones, and which axis a softmax takes."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional as F

X = bl.tensor([[-2.0, 0.5, 4.0]])

REFUSED = [
    (lambda: F.celu(X, 0), ArgumentError, r"celu: alpha must not be 0, got 0; use relu"),
    (lambda: F.hardtanh(X, 2, 1), ArgumentError, r"hardtanh: min_val must not lie above max_val"),
    (lambda: nn.Hardtanh(1, 1), ArgumentError, r"Hardtanh: min_val must lie below max_val, got 1"),
    (lambda: F.softshrink(X, -1), ArgumentError, r"softshrink: lambd must not be negative, got -1"),
    (lambda: F.hardshrink(X, np.nan), ArgumentError, r"lambd must not be negative, got nan"),
    (lambda: F.rrelu(X, 2, 1), ArgumentError, r"rrelu: lower must not lie above upper, got 2"),
    (lambda: F.glu(X), ShapeError, r"glu: axis 1 of float32\[1,3\] must be even"),
    (lambda: F.prelu(X, bl.ones(2)), ShapeError, r"prelu: weight must have one slope, or one for "
     r"each of 3 channels \(x: float32\[1,3\]\), got float32\[2\]"),
    (lambda: F.prelu(X, bl.ones((1, 1))), ShapeError, r"prelu: weight must have at most one axis"),
    (lambda: F.prelu(X, bl.ones(1, dtype="float64")), DTypeError, r"prelu: x and weight must have "
     r"one dtype, got x: float32\[1,3\] and weight: float64\[1\]; use x.astype\('float64'\)"),
    (lambda: nn.Softmax2d()(X), ShapeError, r"Softmax2d: x must have shape \(N, C, H, W\) or"),
    (lambda: nn.PReLU(0), ArgumentError, r"PReLU: num_parameters must be a positive integer"),
]  # fmt: skip


def test_what_makes_no_sense_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def test_a_softmax_without_an_axis_says_which_it_takes() -> None:
    for shape, axis in (((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 2), 1)):
        x = bl.random.normal(shape)
        for f in (F.softmax, F.log_softmax, F.softmin):
            with pytest.warns(UserWarning, match=rf"dim is not given, so axis {axis} of float32\["):
                y = f(x)
            assert y.tolist() == f(x, dim=axis).tolist()
        with pytest.warns(UserWarning, match="dim is not given"):
            nn.Softmax()(x)
    assert F.softmax(bl.tensor([1, 2]), 0, dtype="float64").dtype == bl.float64


def test_random_slopes_lie_in_their_range_and_follow_the_mode() -> None:
    layer = nn.RReLU(0.2, 0.4, generator=bl.Generator(1))
    x = -bl.ones(1000)
    slopes = -layer(x).numpy()
    assert 0.2 <= slopes.min() < slopes.max() <= 0.4
    assert abs(slopes.mean() - 0.3) < 0.01
    np.testing.assert_allclose(layer.eval()(x).numpy(), -0.3, rtol=1e-6)
    step = bl.compile(lambda x: F.rrelu(x, training=True))
    assert step(x).tolist() != step(x).tolist(), "each run draws anew"


def test_gumbel_softmax_samples_one_hot_vectors_with_a_gradient() -> None:
    logits = bl.log(bl.tensor([0.7, 0.2, 0.1])).requires_grad_()
    many = bl.broadcast_to(logits, (4000, 3))
    y = F.gumbel_softmax(many, tau=0.5, hard=True, generator=bl.Generator(3))
    assert set(y.numpy().round(6).ravel()) == {0.0, 1.0}
    np.testing.assert_allclose(y.numpy().mean(0), [0.7, 0.2, 0.1], atol=0.03)
    (y * bl.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert np.abs(logits.grad.numpy()).min() > 1
    assert (
        F.gumbel_softmax(bl.ones((2, 3, 4)), hard=True, dim=1).sum(axis=1).tolist()
        == [[1.0] * 4] * 2
    )


def test_the_old_words_of_hardtanh_are_understood() -> None:
    with pytest.warns(UserWarning, match="min_value and max_value are PyTorch's old words"):
        layer = nn.Hardtanh(min_value=-2, max_value=0.5)
    assert layer(X).tolist() == [[-2.0, 0.5, 0.5]]


def test_softplus_is_linear_beyond_its_threshold() -> None:
    x = bl.tensor([1.0, 3.0], dtype="float64")
    y = F.softplus(x, beta=2.0, threshold=4.0)
    np.testing.assert_allclose(y.numpy(), [np.log1p(np.exp(2)) / 2, 3.0], rtol=1e-15)


def test_they_print_their_settings() -> None:
    printed = {
        "PReLU(num_parameters=1)  # weight: float32[1]; 1 parameter": nn.PReLU(),
        "Hardtanh(min_val=-1.0, max_val=1.0)": nn.Hardtanh(),
        "ReLU6(inplace=True)": nn.ReLU6(True),
        "CELU(alpha=0.5, inplace=True)": nn.CELU(0.5, True),
        "Threshold(threshold=0.1, value=20)": nn.Threshold(0.1, 20),
        "Softplus(beta=1.0, threshold=20.0)": nn.Softplus(),
        "Softshrink(0.5)": nn.Softshrink(),
        "GLU(dim=-1)": nn.GLU(),
        "RReLU(lower=0.1, upper=0.3)": nn.RReLU(0.1, 0.3),
    }
    assert {repr(m): m for m in printed.values()}.keys() == printed.keys()


def test_second_derivatives_at_0_and_far_away() -> None:
    """At 0 the pieces meet of which the functions are made, far away their parts are not finite."""
    root = np.sqrt(2 / np.pi)
    for f, want in ((F.softplus, 0.25), (F.silu, 0.5), (F.gelu, root), (F.mish, 0.64),
                    (F.logsigmoid, -0.25), (lambda x: F.gelu(x, "tanh"), root)):  # fmt: skip
        x = bl.tensor([0.0, 900.0, -900.0], dtype="float64", requires_grad=True)
        slope = bl.grad(f(x).sum(), x, create_graph=True)
        np.testing.assert_allclose(bl.grad(slope.sum(), x).numpy(), [want, 0, 0], atol=1e-12)
    for b, want in ((0.0, 0.25), (900.0, 0.0), (-1e30, 0.0)):
        x = bl.tensor(0.0, dtype="float64", requires_grad=True)
        slope = bl.grad(bl.logaddexp(x, b), x, create_graph=True)
        assert bl.grad(slope, x).item() == want
