"""Layers with `inplace=True`: x takes the result's value, with its derivative, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import DTypeError, GradientError
from backlit.nn import functional as F

LAYERS = {
    "ReLU": (nn.ReLU, F.relu),
    "LeakyReLU": (nn.LeakyReLU, F.leaky_relu),
    "ELU": (nn.ELU, F.elu),
    "SiLU": (nn.SiLU, F.silu),
    "SELU": (nn.SELU, F.selu),
    "CELU": (nn.CELU, F.celu),
    "Hardtanh": (nn.Hardtanh, F.hardtanh),
    "Hardswish": (nn.Hardswish, F.hardswish),
    "Mish": (nn.Mish, F.mish),
    "Dropout": (nn.Dropout, F.dropout),
}
X = np.array([[-1.5, 0.5], [2.0, -0.25]])


def twice(layer, discard):
    """f(x) whose middle value is read again after the layer was called on it."""

    def f(x):
        bl.manual_seed(3)
        middle = 2 * x
        y = layer(middle)
        return ((middle if discard else y) * 3 + middle).sum()

    return f


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("discard", [False, True], ids=["used", "discarded"])
@pytest.mark.parametrize("way", ["eager", "compiled"])
def test_whoever_reads_x_later_reads_the_result(name, discard, way):
    make, function = LAYERS[name]

    def plain(x):
        bl.manual_seed(3)
        y = make()(2 * x)
        return (y * 3 + y).sum()

    x = bl.tensor(X)
    want = bl.value_and_grad(plain)(x)
    for layer in (make(inplace=True), lambda t: function(t, inplace=True)):
        f = bl.value_and_grad(twice(layer, discard))
        got = f(x) if way == "eager" else bl.compile(f)(x)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-12)
    with bl.no_grad():
        f = twice(make(inplace=True), discard)
        got = f(x) if way == "eager" else bl.compile(f)(x)
    np.testing.assert_allclose(got.numpy(), want[0].numpy(), rtol=1e-12)


def test_values_that_were_saved_are_those_from_before():
    x = bl.tensor(X, requires_grad=True)
    middle = x * 1
    square = middle * middle
    F.relu(middle, inplace=True)
    square.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * X)


def test_input_data_takes_the_value_too():
    x = bl.tensor(X)
    assert F.relu(x, inplace=True) is x
    assert x.tolist() == np.maximum(X, 0).tolist()


def test_evaluation_leaves_x_as_it_is():
    x = bl.tensor(X)
    assert nn.Dropout(0.5, inplace=True).eval()(x).tolist() == X.tolist()


def test_what_cannot_be_replaced_is_refused():
    with pytest.raises(
        GradientError, match=r"inplace: a leaf that requires a gradient .* make a new Tensor"
    ):
        F.relu(bl.ones(2).requires_grad_(), inplace=True)
    with pytest.raises(DTypeError, match="inplace: int64 cannot hold the result, which is float32"):
        F.silu(bl.tensor([1, 2]), inplace=True)
    with pytest.raises(DTypeError, match="inplace: x must be a Tensor, got an array of float64"):
        F.relu(X, inplace=True)


def test_it_is_printed_and_old_positions_hold():
    assert repr(nn.ReLU(True)) == "ReLU(inplace=True)"
    assert repr(nn.LeakyReLU(0.2, True)) == "LeakyReLU(negative_slope=0.2, inplace=True)"
    assert repr(nn.Dropout(0.2, True)) == "Dropout(p=0.2, inplace=True)"
    assert repr(nn.ReLU()) == "ReLU()"


def test_functions_whose_name_says_so_replace_x():
    for name, args in (("relu_", ()), ("leaky_relu_", (0.2,)), ("elu_", (0.5,)), ("selu_", ()),
                       ("celu_", (0.5,)), ("hardtanh_", (-0.3, 0.4)), ("threshold_", (0.1, 2.0)),
                       ("rrelu_", (0.1, 0.2))):  # fmt: skip
        x = bl.tensor(X)
        want = getattr(F, name[:-1])(x, *args).tolist()
        assert getattr(F, name)(x, *args) is x
        assert x.tolist() == want != X.tolist()
