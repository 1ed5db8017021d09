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
