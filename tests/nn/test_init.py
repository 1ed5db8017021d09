"""Initialisations: bounds, spreads, reproducibility, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import init


def filled(function, shape=(300, 200), dtype="float32", **options) -> np.ndarray:
    t = bl.zeros(shape, dtype=dtype)
    assert function(t, generator=bl.Generator(3), **options) is t
    assert t.dtype == np.dtype(dtype)
    return t.numpy().astype(np.float64)


def test_fans_count_the_kernel() -> None:
    assert init.fans(bl.zeros((8, 3, 5, 2))) == (30, 80)
    assert init.fans(bl.zeros((4, 7))) == (7, 4)


@pytest.mark.parametrize(
    ("function", "options", "bound"),
    [
        (init.uniform_, {"a": -0.5, "b": 0.5}, 0.5),
        (init.xavier_uniform_, {}, math.sqrt(6 / 500)),
        (init.xavier_uniform_, {"gain": 5 / 3}, 5 / 3 * math.sqrt(6 / 500)),
        (init.kaiming_uniform_, {"nonlinearity": "relu"}, math.sqrt(6 / 200)),
        (init.kaiming_uniform_, {"mode": "fan_out"}, math.sqrt(6 / 300)),
        (init.kaiming_uniform_, {"a": math.sqrt(5)}, 1 / math.sqrt(200)),
    ],
)
def test_uniform_initialisations_fill_their_interval(function, options, bound) -> None:
    x = filled(function, **options)
    assert np.abs(x).max() <= bound
    assert np.abs(x).max() > 0.999 * bound
    assert abs(x.std() - bound / math.sqrt(3)) < 0.01 * bound
    assert abs(x.mean()) < 0.01 * bound


@pytest.mark.parametrize(
    ("function", "options", "std"),
    [
        (init.normal_, {"std": 0.02}, 0.02),
        (init.xavier_normal_, {}, math.sqrt(2 / 500)),
        (init.kaiming_normal_, {"nonlinearity": "relu"}, math.sqrt(2 / 200)),
        (init.kaiming_normal_, {"nonlinearity": "tanh", "mode": "fan_out"}, 5 / 3 / math.sqrt(300)),
    ],
)
def test_normal_initialisations_have_their_deviation(function, options, std) -> None:
    x = filled(function, **options)
    assert abs(x.std() - std) < 0.01 * std
    assert abs(x.mean()) < 0.02 * std
    kurtosis = ((x / x.std()) ** 4).mean()
    assert abs(kurtosis - 3) < 0.1


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (3, 2, 2, 2)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape) -> None:
    x = filled(init.orthogonal_, shape, "float64", gain=2.0).reshape(shape[0], -1)
    gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_constants() -> None:
    t = bl.zeros((2,))
    assert init.constant_(t, 1.5).tolist() == [1.5, 1.5]
    assert init.ones_(t).tolist() == [1.0, 1.0]
    assert init.zeros_(t).tolist() == [0.0, 0.0]


def test_gains_are_the_published_ones() -> None:
    assert init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)


def test_layers_start_from_the_default_generator_or_a_given_one() -> None:
    bl.manual_seed(5)
    one = nn.Linear(3, 4)
    bl.manual_seed(5)
    two = nn.Linear(3, 4)
    assert one.weight.tolist() == two.weight.tolist()
    three, four = (nn.Linear(3, 4, generator=bl.Generator(9)) for _ in range(2))
    assert three.weight.tolist() == four.weight.tolist() != one.weight.tolist()
    assert np.abs(one.weight.numpy()).max() <= 1 / math.sqrt(3)
    assert one.bias.numpy().any()


def test_initialisation_leaves_the_parameter_trainable() -> None:
    layer = nn.Linear(3, 4)
    weight = layer.weight
    init.xavier_uniform_(layer.weight)
    assert layer.weight is weight
    assert weight.requires_grad
    assert weight.is_leaf


def test_initialisation_errors() -> None:
    with pytest.raises(ShapeError, match=r"init: fans need at least 2 axes .*, got float32\[3\]"):
        init.xavier_uniform_(bl.zeros(3))
    with pytest.raises(ShapeError, match=r"orthogonal_: the Tensor must have 2 axes, got float32"):
        init.orthogonal_(bl.zeros(3))
    with pytest.raises(ArgumentError, match=r"kaiming: mode must be 'fan_in' or 'fan_out', got 1"):
        init.kaiming_normal_(bl.zeros((2, 2)), mode=1)
    with pytest.raises(ArgumentError, match=r"nonlinearity must be one of .*relu.*, got 'x'"):
        init.calculate_gain("x")


def test_bilinear_kernels_interpolate() -> None:
    for factor in (1, 2, 3, 4):
        size = 2 * factor - factor % 2
        w = init.bilinear_(bl.zeros((1, 1, size, size), dtype="float64"))
        reach = math.ceil(size / 2)
        centre = (2 * reach - 1 - reach % 2) / (2 * reach)  # in Caffe's words
        want = [
            (1 - abs(i % size / reach - centre)) * (1 - abs(i // size / reach - centre))
            for i in range(size * size)
        ]
        np.testing.assert_allclose(w.numpy().ravel(), want, rtol=1e-12)
        ramp = bl.tensor(np.arange(6.0).reshape(1, 1, 6, 1) * np.ones(6))
        y = nn.functional.conv_transpose2d(ramp, w, stride=factor, padding=factor // 2)
        assert y.shape == (1, 1, 6 * factor, 6 * factor)
        inside = y.numpy()[0, 0, factor:-factor, 3 * factor]
        np.testing.assert_allclose(np.diff(inside), 1 / factor, rtol=1e-12)
    oblong = init.bilinear_(bl.zeros((2, 3, 4, 2)))
    assert (oblong.numpy() == oblong.numpy()[0, 0]).all()
    with pytest.raises(
        ShapeError, match=r"bilinear_: the Tensor must have 4 axes, got float32\[2\]"
    ):
        init.bilinear_(bl.zeros(2))


def starting():
    """A network whose weights are drawn by its layers, and then all but one by itself."""
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(5, 4), nn.Linear(3, 3))
    nn.init.kaiming_normal_(network[0].weight)
    nn.init.normal_(network[1].weight, 1.0, 0.01)
    nn.init.zeros_(network[1].bias)
    return network


def test_what_is_drawn_once_is_what_would_be_drawn_again_and_again(monkeypatch):
    calls = []
    for kind in ("uniform", "normal"):
        draw = getattr(bl.Generator, kind)
        monkeypatch.setattr(
            bl.Generator, kind, lambda *a, draw=draw, **k: (calls.append(a[1]), draw(*a, **k))[1]
        )
    bl.manual_seed(5)
    expected, following = starting(), bl.random.uniform((3,))
    assert len(calls) == 6 + 2 + 1  # of layers, of the network, what follows
    calls.clear()
    bl.manual_seed(5)
    with nn.init.drawn_once(), nn.init.drawn_once():
        found, next_numbers = starting(), bl.random.uniform((3,))
    assert calls == [(3,), (3, 2, 3, 3), (3,), (4, 5), (3, 3), (3,)]
    for (name, x), y in zip(found.named_parameters(), expected.parameters(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy(), name)
    np.testing.assert_array_equal(next_numbers.numpy(), following.numpy())
    np.testing.assert_array_equal(bl.random.uniform((3,)).numpy(), _after(5, starting))


def _after(seed, made):
    bl.manual_seed(seed)
    made(), bl.random.uniform((3,))
    return bl.random.uniform((3,)).numpy()


def test_after_an_error_draws_are_made_at_once():
    with pytest.raises(ValueError, match="no"), nn.init.drawn_once():
        raise ValueError("no")
    assert nn.init.uniform_(bl.zeros((2,)), 5.0, 6.0).numpy().min() >= 5.0


def test_networks_drawn_once_start_with_what_they_would_start_with(monkeypatch):
    bl.manual_seed(1)
    once = bl.models.squeezenet1_1(num_classes=3)
    monkeypatch.setattr(nn.init, "_drawn", _at_once)
    bl.manual_seed(1)
    again = bl.models.squeezenet1_1(num_classes=3)
    for (name, x), y in zip(once.named_parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy(), name)


def _at_once(tensor, source, kind, a, b):
    return tensor.assign(getattr(source, kind)(tensor.shape, a, b, dtype=tensor.dtype))
