"""Layers without convolutions: what they compute, their modes, their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional


def test_linear_by_hand() -> None:
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": [[3.0, 4.0]], "bias": [0.5]})
    assert layer(bl.tensor([[1.0, 2.0]])).tolist() == [[11.5]]
    assert layer(bl.ones((2, 3, 2))).shape == (2, 3, 1)
    assert layer(np.ones((1, 2), np.float32)).requires_grad, "arrays are taken too"


def test_linear_errors() -> None:
    with pytest.raises(
        ArgumentError, match=r"Linear: in_features must be a positive integer, got 0"
    ):
        nn.Linear(0, 2)
    with pytest.raises(ArgumentError, match=r"Linear: out_features must be .* got 2.0"):
        nn.Linear(1, 2.0)
    with pytest.raises(
        DTypeError,
        match=r"linear: x and weight must have one dtype, got x: float64\[1,2\] and "
        r"weight: float32\[1,2\]; use x.astype\('float32'\); in Linear",
    ):
        nn.Linear(2, 1)(np.ones((1, 2)))


@pytest.mark.parametrize(
    ("layer", "values"),
    [
        (nn.Identity(), [-2.0, 0.0, 1.0]),
        (nn.ReLU(), [0.0, 0.0, 1.0]),
        (nn.LeakyReLU(0.1), [-0.2, 0.0, 1.0]),
        (nn.ELU(0.5), [0.5 * math.expm1(-2), 0.0, 1.0]),
        (nn.Sigmoid(), [1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-1))]),
        (nn.Tanh(), [math.tanh(-2), 0.0, math.tanh(1)]),
        (nn.Softplus(), [math.log1p(math.exp(-2)), math.log(2), math.log1p(math.e)]),
        (nn.SiLU(), [-2 / (1 + math.exp(2)), 0.0, 1 / (1 + math.exp(-1))]),
        (nn.GELU(), [-math.erfc(math.sqrt(2)), 0.0, (1 + math.erf(math.sqrt(0.5))) / 2]),
        (nn.Softmax(0), np.exp([-2, 0, 1]) / np.exp([-2, 0, 1]).sum()),
        (nn.LogSoftmax(0), np.array([-2, 0, 1]) - math.log(np.exp([-2, 0, 1]).sum())),
    ],
    ids=lambda v: repr(v) if isinstance(v, nn.Module) else "",
)
def test_activation_modules(layer, values) -> None:
    y = layer(bl.tensor([-2.0, 0.0, 1.0], dtype="float64"))
    np.testing.assert_allclose(y.numpy(), values, rtol=1e-14, atol=1e-15)


def test_gelu_tanh_is_close_to_gelu_but_not_the_same() -> None:
    x = bl.linspace(-3, 3, 50)
    difference = np.abs(nn.GELU("tanh")(x).numpy() - nn.GELU()(x).numpy()).max()
    assert 1e-5 < difference < 1e-3
    assert repr(nn.GELU("tanh")) == "GELU(approximate='tanh')"


def test_softmax_takes_an_axis() -> None:
    x = bl.tensor([[0.0, 1.0], [2.0, 3.0]])
    np.testing.assert_allclose(nn.Softmax(dim=0)(x).numpy().sum(0), [1, 1], rtol=1e-6)
    np.testing.assert_allclose(nn.Softmax(1)(x).numpy().sum(1), [1, 1], rtol=1e-6)


def test_maxout_takes_the_largest_piece_and_routes_the_gradient() -> None:
    layer = nn.Maxout(1, 2, pieces=2)
    layer.linear.load_state_dict({"weight": [[1.0], [-1.0], [2.0], [3.0]], "bias": [0.0] * 4})
    y = layer(bl.tensor([[2.0]]))
    assert y.tolist() == [[2.0, 6.0]]
    y.sum().backward()
    assert layer.linear.weight.grad.tolist() == [[2.0], [0.0], [0.0], [2.0]]
    assert functional.maxout(bl.ones((4, 3)), 2, dim=0).shape == (2, 3)


def test_flatten_and_unflatten() -> None:
    x = bl.arange(24).reshape(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4)
    assert nn.Unflatten(-1, (2, -1))(x).tolist() == x.reshape(2, 3, 2, 2).tolist()
    assert nn.Flatten()(bl.zeros((0, 2, 3))).shape == (0, 6)
    assert nn.Flatten()(bl.zeros((2, 0, 3))).shape == (2, 0)


def test_layer_errors() -> None:
    with pytest.raises(ShapeError, match=r"Flatten: start_dim must not lie behind end_dim, got 2"):
        nn.Flatten(2, 1)(bl.ones((2, 3, 4)))
    with pytest.raises(ShapeError, match=r"Flatten: start_dim: axis must lie in \[-1, 1\)"):
        nn.Flatten()(bl.ones(3))
    with pytest.raises(ShapeError, match=r"Unflatten: the sizes \(2, 2\) must multiply to x.shape"):
        nn.Unflatten(1, (2, 2))(bl.ones((1, 5)))
    with pytest.raises(ShapeError, match=r"maxout: axis 1 of float32\[1,3\] must be a multiple of"):
        functional.maxout(bl.ones((1, 3)), 2)
    with pytest.raises(ArgumentError, match=r"gelu: approximate must be 'none' or 'tanh', got 'x'"):
        functional.gelu(bl.ones(1), "x")
    with pytest.raises(ArgumentError, match=r"GELU: approximate must be 'none' or 'tanh', got 'x'"):
        nn.GELU("x")
    with pytest.raises(ArgumentError, match=r"Dropout: p must lie in \[0, 1\], got -0.1"):
        nn.Dropout(-0.1)
    with pytest.raises(
        ArgumentError, match=r"BatchNorm1d: momentum must lie in \[0, 1\] or be None"
    ):
        nn.BatchNorm1d(2, momentum=2)
    with pytest.raises(
        ShapeError,
        match=r"BatchNorm1d: x must have shape \(N, C\) or \(N, C, L\) with "
        r"C = num_features = 2, got float32\[4,3\]; in BatchNorm1d",
    ):
        nn.BatchNorm1d(2)(bl.ones((4, 3)))
    with pytest.raises(ArgumentError, match=r"LayerNorm: normalized_shape must be a positive"):
        nn.LayerNorm((3, 0))


# -- dropout --------------------------------------------------------------------------------------


def test_dropout_drops_the_given_share_and_scales_the_rest() -> None:
    layer = nn.Dropout(0.25, generator=bl.Generator(1))
    y = layer(bl.ones((200, 200))).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.01
    again = layer(bl.ones((200, 200))).numpy()
    assert ((y == 0) != (again == 0)).any(), "each call draws a new mask"


def test_dropout_gradient_goes_through_the_kept_elements_only() -> None:
    x = bl.ones((50,)).requires_grad_()
    y = nn.Dropout(0.5, generator=bl.Generator(1))(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_dropout_is_the_identity_in_evaluation_and_for_p_0() -> None:
    x = bl.ones((5,))
    assert nn.Dropout(0.9).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(1.0)(x).tolist() == [0.0] * 5


def test_dropout_without_a_generator_follows_the_seed() -> None:
    layer = nn.Dropout(0.5)
    bl.manual_seed(3)
    first = layer(bl.ones((100,))).tolist()
    bl.manual_seed(3)
    assert layer(bl.ones((100,))).tolist() == first


# -- normalisation --------------------------------------------------------------------------------


def test_batch_norm_learns_running_statistics() -> None:
    layer = nn.BatchNorm1d(1, momentum=0.5)
    y = layer(bl.tensor([[1.0], [3.0]]))
    np.testing.assert_allclose(y.numpy(), [[-1], [1]], rtol=1e-4)
    assert layer.running_mean.tolist() == [1.0]  # 0.5 · 0 + 0.5 · 2
    assert layer.running_var.tolist() == [1.5]  # 0.5 · 1 + 0.5 · 2, the unbiased variance
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    y = layer(bl.tensor([[1.0], [3.0]]))
    np.testing.assert_allclose(y.numpy(), [[0], [2 / math.sqrt(1.5)]], rtol=1e-4)
    assert layer.num_batches_tracked.item() == 1
    layer.reset_running_stats()
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([0.0], [1.0])
    assert layer.num_batches_tracked.item() == 0


def test_batch_norm_without_momentum_averages_all_batches() -> None:
    layer = nn.BatchNorm1d(1, momentum=None)
    for batch in ([[0.0], [2.0]], [[2.0], [6.0]], [[1.0], [3.0]]):
        layer(bl.tensor(batch))
    np.testing.assert_allclose(layer.running_mean.numpy(), [(1 + 4 + 2) / 3], rtol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), [(2 + 8 + 2) / 3], rtol=1e-6)


def test_batch_norm_without_tracking_always_uses_the_batch() -> None:
    layer = nn.BatchNorm1d(1, track_running_stats=False, affine=False).eval()
    assert layer.running_mean is None
    np.testing.assert_allclose(layer(bl.tensor([[1.0], [3.0]])).numpy(), [[-1], [1]], rtol=1e-4)
    assert list(layer.state_dict()) == []
    layer.reset_running_stats()


def test_batch_norm_gradient_of_the_whole_layer() -> None:
    rng = np.random.default_rng(0)
    x = bl.tensor(rng.normal(size=(4, 3, 2)), requires_grad=True)
    w, b = (bl.tensor(rng.normal(size=3), requires_grad=True) for _ in range(2))
    bl.gradcheck(
        lambda x, w, b: functional.batch_norm(x, weight=w, bias=b, training=True),
        [x, w, b],
        order=2,
    )


def test_batch_norm_in_evaluation_has_constant_statistics() -> None:
    layer = nn.BatchNorm1d(2).eval()
    x = bl.ones((3, 2)).requires_grad_()
    layer(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full((3, 2), 1 / math.sqrt(1 + 1e-5)), rtol=1e-6)


def test_layer_norm_normalises_the_last_axes() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, (2, 3, 4)).astype(np.float32)
    y = nn.LayerNorm((3, 4))(bl.tensor(x)).numpy()
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((1, 2)), 1, rtol=1e-4)
    assert nn.LayerNorm(4, elementwise_affine=False).weight is None
    assert nn.LayerNorm(4, bias=False).bias is None
    assert nn.LayerNorm(4, bias=False)(bl.tensor(x)).shape == (2, 3, 4)
