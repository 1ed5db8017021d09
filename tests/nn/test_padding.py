"""Padding of all kinds beside NumPy's, in eager and compiled code, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as F

X = np.arange(24.0).reshape(1, 2, 3, 4) ** 1.5
KINDS = {"constant": {"mode": "constant"}, "reflect": {"mode": "reflect"},
         "replicate": {"mode": "edge"}, "circular": {"mode": "wrap"}}  # fmt: skip

REFUSED = [
    (lambda: F.pad(X, (1, 1), "edge"), ArgumentError, r"pad: mode must be one of 'cons"),
    (lambda: F.pad(X, (1, 1, 1)), ArgumentError, r"pad: pad must have two widths for each of the "
     r"last axes, 8 at most for float64\[1,2,3,4\], got \(1, 1, 1\)"),
    (lambda: F.pad(X, (1, 1, 1, 1), "reflect", 2.0), ArgumentError, r"pad: a value is for mode="),
    (lambda: F.pad(X, (1, 1), "reflect"), ShapeError, r"pad: mode='reflect' takes widths for all "),
    (lambda: F.pad(X, (4, 0, 0, 0), "reflect"), ShapeError, r"pad: mode='reflect' with the widths "
     r"\(4, 0\) needs at least 5 elements on axis 3, got float64\[1,2,3,4\]"),
    (lambda: F.pad(X, (0, 0, 4, 0), "circular"), ShapeError, r"needs at least 4 elements on"),
    (lambda: F.pad(X[..., :0], (1, 0, 0, 0), "replicate"), ShapeError, r"at least 1 elements"),
    (lambda: F.pad(X, (-3, -3, 0, 0), "replicate"), ShapeError, r"take more from axis 3"),
    (lambda: nn.ZeroPad2d((1, 2)), ArgumentError, r"ZeroPad2d: padding must be an integer or"),
    (lambda: nn.Conv2d(1, 1, 3, padding_mode="same"), ArgumentError, r"Conv2d: padding_mode"),
    (lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"), ArgumentError,
     r"ConvTranspose2d: padding_mode must be one of 'zeros', got 'reflect'"),
]  # fmt: skip


def test_what_cannot_be_padded_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def test_values_are_numpys_and_gradients_those_of_a_linear_map() -> None:
    upstream = np.random.default_rng(0)
    for mode, numpys in KINDS.items():
        for widths in ((1, 2, 2, 1), (0, 3, 0, 0), (0, 0, 0, 0)):
            want = np.pad(X, ((0, 0), (0, 0), widths[2:], widths[:2]), **numpys)
            x = bl.tensor(X, requires_grad=True)
            y = F.pad(x, widths, mode)
            np.testing.assert_array_equal(y.numpy(), want)
            g = upstream.normal(size=want.shape)
            # ⟨g, pad(v)⟩ = ⟨pad'(g), v⟩ for each v, here each unit vector
            units = np.eye(24).reshape(24, *X.shape)
            each = [(g * F.pad(v, widths, mode).numpy()).sum() for v in units]
            np.testing.assert_allclose(
                bl.grad(y, x, bl.tensor(g)).numpy().ravel(), each, rtol=1e-12
            )
    step = bl.compile(lambda x: [F.pad(x, (1, 2, 2, 1), mode) for mode in KINDS])
    for y, (mode, numpys) in zip(step(bl.tensor(X)), KINDS.items(), strict=True):
        want = np.pad(X, ((0, 0), (0, 0), (2, 1), (1, 2)), **numpys)
        np.testing.assert_array_equal(y.numpy(), want, err_msg=mode)


def test_layers_print_their_widths() -> None:
    assert repr(nn.ReflectionPad2d(1)) == "ReflectionPad2d((1, 1, 1, 1))"
    assert repr(nn.ConstantPad1d((1, 2), 3)) == "ConstantPad1d(padding=(1, 2), value=3)"
    assert "padding_mode='circular'" in repr(nn.Conv1d(1, 1, 3, padding_mode="circular"))


def test_a_convolution_pads_in_its_mode() -> None:
    layer = nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    layer.weight.assign(np.ones((1, 1, 3)))
    assert layer(bl.tensor([[1.0, 2.0, 4.0]])).tolist() == [[7.0, 7.0, 7.0]]
