"""Weights that are computed: norms, parametrizations, masks; and layers joined for evaluation."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.compiler import interpreter
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import init, utils
from backlit.nn.utils import parametrizations, parametrize, prune

rng = np.random.default_rng(0)


def linear(rows=4, columns=3, **options):
    layer = nn.Linear(columns, rows, dtype="float64", **options)
    layer.weight.assign(rng.normal(size=(rows, columns)))
    return layer


def test_a_normed_weight_keeps_its_value_and_has_its_parts() -> None:
    for make in (utils.weight_norm, parametrizations.weight_norm):
        layer = linear()
        before = layer.weight.numpy().copy()
        make(layer)
        np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-12)
        g = next(p for n, p in layer.named_parameters() if n.endswith(("_g", "original0")))
        np.testing.assert_allclose(g.numpy()[:, 0], np.linalg.norm(before, axis=1))
        with bl.no_grad():
            g *= 2
        np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-12)


def test_a_spectral_norm_is_the_largest_singular_value() -> None:
    for make in (utils.spectral_norm, parametrizations.spectral_norm):
        layer = linear()
        want = layer.weight.numpy() / np.linalg.svd(layer.weight.numpy())[1][0]
        make(layer, n_power_iterations=50)
        np.testing.assert_allclose(layer.weight.detach().numpy(), want, rtol=1e-6)
        layer.eval()
        assert layer.weight.tolist() == layer.weight.tolist()


@pytest.mark.parametrize("make", [
    utils.weight_norm, parametrizations.weight_norm, utils.spectral_norm,
    parametrizations.spectral_norm, lambda m: prune.l1_unstructured(m, "weight", 0.5),
])  # fmt: skip
def test_a_step_is_captured_copied_and_saved(make) -> None:
    bl.manual_seed(0)
    layer = make(linear())
    assert isinstance(layer, nn.Linear)
    twin = copy.deepcopy(layer)
    x = bl.tensor(rng.normal(size=(5, 3)))

    def stepper(layer):
        optimizer = optim.SGD(layer.parameters(), lr=0.01, momentum=0.9)

        def step(x):
            optimizer.zero_grad()
            loss = (layer(x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, captured = stepper(layer), bl.compile(stepper(twin), executor=interpreter)
    losses = [(eager(x).item(), captured(x).item()) for _ in range(4)]
    for a, b in losses:
        assert a == pytest.approx(b, rel=1e-10)
    assert losses[-1][0] < losses[0][0]
    other = make(linear())
    other.load_state_dict(layer.state_dict())
    assert other.eval()(x).tolist() == layer.eval()(x).tolist()


@pytest.mark.parametrize("way", ["matrix_exp", "cayley", "householder"])
def test_orthonormal_columns_stay_so_while_they_are_learned(way) -> None:
    for shape in ((4, 4), (5, 3), (3, 5)):
        layer = parametrizations.orthogonal(linear(*shape), orthogonal_map=way)
        optimizer = optim.SGD(layer.parameters(), lr=0.02)
        target = bl.tensor(rng.normal(size=shape))
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = ((layer.weight - target) ** 2).sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]
        w = layer.weight.detach().numpy()
        w = w if shape[0] >= shape[1] else w.T
        np.testing.assert_allclose(w.T @ w, np.eye(w.shape[1]), atol=1e-10)
        q = np.linalg.qr(rng.normal(size=w.shape))[0]
        layer.weight = bl.tensor(q if shape[0] >= shape[1] else q.T)
        np.testing.assert_allclose(
            layer.weight.detach().numpy(), q if shape[0] >= shape[1] else q.T, atol=1e-10
        )


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Root(Square):
    def right_inverse(self, y):
        return bl.sqrt(y)


def test_a_parametrized_parameter_can_be_set_and_removed() -> None:
    layer = linear(bias=False)
    layer.weight.assign(np.abs(layer.weight.numpy()))
    before = layer.weight
    value = before.numpy().copy()
    parametrize.register_parametrization(layer, "weight", Root())
    assert layer.parametrizations.weight.original is before  # an optimizer goes on with it
    np.testing.assert_allclose(layer.weight.detach().numpy(), value, rtol=1e-12)
    layer.weight = bl.full((4, 3), 9.0, dtype="float64")
    assert before.tolist() == [[3.0] * 3] * 4
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    parametrize.register_parametrization(layer, "weight", Square())
    assert layer.weight.tolist() == [[81.0] * 3] * 4
    with pytest.raises(ArgumentError, match="parametrize: Square must have right_inverse to"):
        layer.weight = bl.zeros((4, 3))
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert type(layer) is nn.Linear
    assert layer.weight is before
    assert not parametrize.is_parametrized(layer)


def test_pruned_numbers_stay_zero_and_the_smallest_go_first() -> None:
    layer = nn.Linear(4, 2, bias=False)
    layer.weight.assign([[3.0, -1.0, 2.0, -4.0], [0.5, 6.0, -5.0, 7.0]])
    prune.l1_unstructured(layer, "weight", amount=2)
    assert layer.weight_mask.tolist() == [[1, 0, 1, 1], [0, 1, 1, 1]]
    prune.l1_unstructured(layer, "weight", amount=0.5)  # of the six that are left
    assert layer.weight_mask.tolist() == [[0, 0, 0, 0], [0, 1, 1, 1]]
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=1)  # column 0 is gone already
    assert layer.weight_mask.tolist() == [[0, 0, 0, 0], [0, 1, 0, 1]]
    assert prune.is_pruned(nn.Sequential(layer))
    layer(bl.ones((1, 4))).sum().backward()
    assert layer.weight_orig.grad.tolist() == [[0, 0, 0, 0], [0, 1, 0, 1]]
    prune.remove(layer, "weight")
    assert layer.weight.tolist() == [[0, 0, 0, 0], [0, 6, 0, 7]]
    random = nn.Linear(20, 10)
    prune.random_unstructured(random, "weight", 0.25)
    prune.random_structured(random, "bias", 4, dim=0)
    assert (random.weight_mask.numpy().sum(), random.bias_mask.numpy().sum()) == (150, 6)
    both = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    pairs = [(m, "weight") for m in both]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=5)
    assert sum(m.weight_mask.numpy().sum() for m in both) == 3
    assert prune.identity(nn.Linear(2, 2), "bias").bias_mask.tolist() == [1, 1]


def test_joined_layers_do_what_both_did() -> None:
    x = bl.tensor(rng.normal(size=(2, 3, 5, 5)).astype("float32"))
    norm = nn.BatchNorm2d(4).eval()
    for t in (norm.weight, norm.bias, norm.running_mean):
        t.assign(rng.normal(size=4))
    for conv in (nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(3, 4, 3, bias=False)):
        conv.eval()
        joined = utils.fuse_conv_bn_eval(conv, norm, isinstance(conv, nn.ConvTranspose2d))
        np.testing.assert_allclose(joined(x).numpy(), norm(conv(x)).numpy(), rtol=1e-3, atol=1e-5)
    rows, norm = nn.Linear(5, 4).eval(), nn.BatchNorm1d(4, affine=False).eval()
    joined = utils.fuse_linear_bn_eval(rows, norm)
    want = norm(rows(x[0, 0])).numpy()
    np.testing.assert_allclose(joined(x[0, 0]).numpy(), want, rtol=1e-4, atol=1e-6)
    assert repr(utils.skip_init(nn.Linear, 3, bias=False, out_features=2)).startswith("Linear(in")


def test_parameters_as_one_vector() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2))
    vector = utils.parameters_to_vector(model.parameters())
    assert vector.shape == (7,)
    (vector * bl.arange(7.0)).sum().backward()
    assert model[0].bias.grad.tolist() == [2.0]
    utils.vector_to_parameters(bl.arange(7.0), model.parameters())
    assert model[1].weight.tolist() == [[3.0], [4.0]]
    with pytest.raises(ShapeError, match=r"vector_to_parameters: the vector must have the \(7,\)"):
        utils.vector_to_parameters(bl.zeros(6), model.parameters())


@pytest.mark.slow
def test_starting_values_of_more_kinds() -> None:
    w = init.trunc_normal_(bl.zeros((300, 300)), mean=1.0, std=2.0, a=0.0, b=2.0).numpy()
    assert 0 <= w.min() < 0.01
    assert 1.99 < w.max() <= 2
    # The density falls by exp(-1/8) from 1 to the limits, so the spread is near that of uniform.
    assert w.mean() == pytest.approx(1, abs=0.01)
    assert w.std() == pytest.approx(np.sqrt(4 / 12), rel=0.03)
    assert init.eye_(bl.ones((2, 3))).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = bl.random.normal((2, 4, 7))
    y = nn.functional.conv1d(x, init.dirac_(bl.zeros((4, 2, 3)), 2), padding=1, groups=2)
    np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-6)
    assert (init.sparse_(bl.ones((10, 4)), 0.25).numpy() == 0).sum(0).tolist() == [3] * 4


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda: utils.weight_norm(nn.Tanh()), ArgumentError, "weight_norm: Tanh has no param"),
    (lambda: utils.spectral_norm(utils.weight_norm(linear())), ArgumentError,
     "spectral_norm: Linear.weight is computed already"),
    (lambda: utils.remove_weight_norm(linear()), ArgumentError, "Linear.weight has no such norm"),
    (lambda: setattr(utils.weight_norm(linear()), "weight", nn.Parameter(bl.zeros(1))),
     ArgumentError, "Linear.weight: it is computed from other parameters and cannot be set"),
    (lambda: parametrize.register_parametrization(linear(), "scale", Square()), ArgumentError,
     "Linear has no parameter or buffer 'scale'; it has weight, bias"),
    (lambda: parametrize.register_parametrization(linear(), "weight", abs), ArgumentError,
     "a parametrization must be a Module, got"),
    (lambda: parametrize.register_parametrization(linear(), "weight", nn.Flatten(0)), ShapeError,
     r"the result for weight must be float64\[4,3\], got float64\[12\]; unsafe=True allows"),
    (lambda: parametrize.remove_parametrizations(linear(), "weight"), ArgumentError,
     "Linear.weight is not parametrized"),
    (lambda: parametrize.remove_parametrizations(parametrizations.weight_norm(linear()), "weight",
                                                 False), ArgumentError, "needs one original, but"),
    (lambda: parametrize.ParametrizationList([], bl.zeros(1)), ArgumentError, "at least one param"),
    (lambda: prune.l1_unstructured(linear(), "w", 1), ArgumentError, "prune: Linear has no param"),
    (lambda: prune.l1_unstructured(linear(), "bias", 9), ArgumentError, r"must lie in \[0, 4\]"),
    (lambda: prune.l1_unstructured(linear(), "bias", 1.5), ArgumentError, "as a fraction must lie"),
    (lambda: prune.l1_unstructured(linear(), "bias", "1"), ArgumentError, "amount must be a"),
    (lambda: prune.l1_unstructured(linear(), "bias", 1, bl.zeros(2)), ShapeError, "importance_sc"),
    (lambda: prune.custom_from_mask(linear(), "bias", [1, 0]), ShapeError, "the mask must have"),
    (lambda: prune.remove(linear(), "bias"), ArgumentError, "Linear.bias is not pruned"),
    (lambda: prune.global_unstructured([(linear(), "bias")], prune.LnStructured, amount=1, n=2),
     ArgumentError, "the method must choose single numbers, got LnStructured"),
    (lambda: utils.fuse_linear_bn_eval(linear(), nn.BatchNorm1d(4)), ArgumentError, "evaluation"),
    (lambda: utils.fuse_linear_bn_eval(linear().eval(), nn.BatchNorm1d(
        4, track_running_stats=False).eval()), ArgumentError, "must keep running statistics"),
    (lambda: parametrizations.orthogonal(linear(), "bias"), ArgumentError, "at least 2 axes"),
    (lambda: parametrizations.orthogonal(linear(), orthogonal_map="qr"), ArgumentError,
     "orthogonal_map must be one of matrix_exp, cayley, householder, got 'qr'"),
    (lambda: parametrizations.orthogonal(linear(), orthogonal_map="cayley",
                                         use_trivialization=False), ArgumentError, "cannot be set"),
    (lambda: setattr(parametrizations.orthogonal(linear()), "weight", bl.zeros((2, 2))), ShapeError,
     r"orthogonal: the value must have shape \(4, 3\), got float32\[2,2\]"),
    (lambda: utils.skip_init(len), ArgumentError, "skip_init: a class of modules is required"),
    (lambda: init.trunc_normal_(bl.zeros(1), a=1, b=0), ArgumentError, "a must lie below b"),
    (lambda: init.eye_(bl.zeros(1)), ShapeError, "eye_: the Tensor must have 2 axes"),
    (lambda: init.sparse_(bl.zeros(1), 0.5), ShapeError, "sparse_: the Tensor must have 2 axes"),
    (lambda: init.dirac_(bl.zeros((3, 2, 1)), 2), ShapeError, "3, 4 or 5 axes, the first"),
])  # fmt: skip
def test_what_cannot_be_done_says_why(make, error, text) -> None:
    with pytest.raises(error, match=text):
        make()
