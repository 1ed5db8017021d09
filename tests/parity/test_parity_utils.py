"""Starting values, norms of weights, parametrizations, pruning and fusion beside PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.utils.prune  # not there by itself

import backlit as bl
from backlit import nn
from backlit.nn import init
from backlit.nn.utils import parametrizations, parametrize, prune

pytestmark = pytest.mark.parity

T = torch.nn.utils
rng = np.random.default_rng(0)
LAYERS = [
    ("Linear", (3, 4), (5, 3)),
    ("Conv2d", (3, 4, 3), (2, 3, 5, 5)),
    ("ConvTranspose2d", (3, 4, 3), (2, 3, 5, 5)),
]
WAYS = {
    "weight_norm": (nn.utils.weight_norm, T.weight_norm, {}),
    "weight_norm of dim 1": (nn.utils.weight_norm, T.weight_norm, {"dim": 1}),
    "weight_norm of all": (nn.utils.weight_norm, T.weight_norm, {"dim": None}),
    "spectral_norm": (nn.utils.spectral_norm, T.spectral_norm, {"n_power_iterations": 2}),
    "new weight_norm": (parametrizations.weight_norm, T.parametrizations.weight_norm, {}),
    "new spectral_norm": (parametrizations.spectral_norm, T.parametrizations.spectral_norm, {}),
}


def close(got, want, what=""):
    np.testing.assert_allclose(
        got.detach().numpy(), want.detach().numpy(), rtol=1e-9, atol=1e-11, err_msg=what
    )


def alike(got, want, rtol=1e-5):
    np.testing.assert_allclose(
        got.detach().numpy(), want.detach().numpy(), rtol=rtol, atol=rtol / 10
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "args", "shape"), LAYERS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_under_norms(way, kind, args, shape):
    mine, other, options = WAYS[way]
    ours = mine(getattr(nn, kind)(*args).to("float64"), **options)
    theirs = other(getattr(torch.nn, kind)(*args).double(), **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours).split("(")[0] == repr(theirs).split("(")[0]
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    x = rng.normal(size=shape)
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        a, b = bl.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(a), theirs(b)
        close(y, z, way)
        (y**2).sum().backward()
        (z**2).sum().backward()
        close(a.grad, b.grad)
        for (n, p), (m, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert n == m
            close(p.grad, q.grad, n)
            p.grad = q.grad = None
        for n, t in theirs.state_dict().items():
            close(ours.state_dict()[n], t, n)
    if way.startswith("new"):
        parametrize.remove_parametrizations(ours, "weight")
        T.parametrize.remove_parametrizations(theirs, "weight")
    else:
        for lib, layer in ((nn.utils, ours), (T, theirs)):
            getattr(lib, f"remove_{way.split()[0]}")(layer)
    assert set(ours.state_dict()) == set(theirs.state_dict()) == {"weight", "bias"}
    assert type(ours) is getattr(nn, kind)
    close(ours.weight, theirs.weight)


def methods(c):
    return {name: f for name, f in vars(c).items() if callable(f)}


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("orthogonal_map", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (5, 3)])
def test_orthogonal_weights(sizes, orthogonal_map, trivial):
    if not trivial and orthogonal_map != "householder":
        return  # PyTorch cannot begin with a value either
    options = {"orthogonal_map": orthogonal_map, "use_trivialization": trivial}
    theirs = T.parametrizations.orthogonal(torch.nn.Linear(*sizes).double(), **options)
    ours = nn.Linear(*sizes, dtype="float64")
    ours.weight.assign(rng.normal(size=sizes[::-1]))
    start = torch.nn.Linear(*sizes).double()
    start.weight.data = torch.tensor(ours.weight.numpy())
    start = T.parametrizations.orthogonal(start, **options)
    ours = parametrizations.orthogonal(ours, **options)
    if sizes[0] == sizes[1] or not trivial:  # else the base is completed at random
        close(ours.weight, start.weight, "start")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        original = theirs.parametrizations.weight.original
        original += torch.tril(torch.tensor(rng.normal(size=original.shape)), -1)
        original += torch.triu(torch.tensor(rng.normal(size=original.shape)), 1)
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    close(ours.weight, theirs.weight)
    upstream = rng.normal(size=sizes[::-1])
    (ours.weight * bl.tensor(upstream)).sum().backward()
    (theirs.weight * torch.tensor(upstream)).sum().backward()
    close(ours.parametrizations.weight.original.grad, original.grad)


class Symmetric:
    def forward(self, x):
        return (x + x.mT) / 2


class Twice:
    def forward(self, x):
        return 2 * x

    def right_inverse(self, y):
        return y / 2


def test_parametrizations_of_ones_own():
    layers = []
    w = rng.normal(size=(3, 3))
    for lib, tools, tensor in (
        (nn, parametrize, bl.tensor),
        (torch.nn, T.parametrize, torch.tensor),
    ):
        symmetric, twice = (type(c.__name__, (lib.Module,), methods(c)) for c in (Symmetric, Twice))
        layer = lib.Linear(3, 3)
        layer.load_state_dict({"weight": tensor(w), "bias": tensor(np.zeros(3))})
        tools.register_parametrization(layer, "weight", twice())
        tools.register_parametrization(layer, "weight", symmetric())
        tools.register_parametrization(layer, "bias", twice())
        layer.bias = tensor(np.ones(3), dtype=layer.bias.dtype)
        assert tools.is_parametrized(layer, "weight")
        assert not tools.is_parametrized(layer, "other")
        with tools.cached():
            assert layer.weight is layer.weight
        layers.append(layer)
    ours, theirs = layers
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for n, t in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[n].numpy(), t.numpy(), rtol=1e-6)
    np.testing.assert_allclose(
        ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-6
    )
    for leave in (True, False):
        name = "weight" if leave else "bias"
        for tools, layer in ((parametrize, ours), (T.parametrize, theirs)):
            tools.remove_parametrizations(layer, name, leave_parametrized=leave)
        np.testing.assert_allclose(
            getattr(ours, name).detach().numpy(), getattr(theirs, name).detach().numpy(), rtol=1e-6
        )
    assert type(ours) is nn.Linear


PRUNED = [
    ("l1_unstructured", (0.3,)),
    ("l1_unstructured", (5,)),
    ("ln_structured", (1, 2, 0)),
    ("ln_structured", (0.5, float("inf"), 1)),
    ("identity", ()),
    ("custom_from_mask", (np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0]]),)),
]


@pytest.mark.parametrize("first", range(len(PRUNED)))
def test_pruning_and_pruning_again(first):
    a, b = nn.Linear(3, 4), torch.nn.Linear(3, 4)
    a.load_state_dict({n: t.numpy() for n, t in b.state_dict().items()})
    for name, args in (PRUNED[first], PRUNED[0], PRUNED[-1]):
        getattr(prune, name)(
            a, "weight", *(bl.tensor(x) if name.startswith("c") else x for x in args)
        )
        getattr(T.prune, name)(
            b, "weight", *(torch.tensor(x) if name.startswith("c") else x for x in args)
        )
        assert list(a.state_dict()) == list(b.state_dict())
        np.testing.assert_array_equal(a.weight_mask.numpy(), b.weight_mask.numpy(), err_msg=name)
        np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    assert prune.is_pruned(a)
    prune.remove(a, "weight"), T.prune.remove(b, "weight")
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    assert not prune.is_pruned(a)
    assert set(a.state_dict()) == {"weight", "bias"}


def test_pruning_of_several_parameters_as_one():
    models = [
        lib.Sequential(lib.Linear(3, 4), lib.Tanh(), lib.Linear(4, 2)) for lib in (nn, torch.nn)
    ]
    models[0].load_state_dict({n: t.numpy() for n, t in models[1].state_dict().items()})
    for _ in range(2):
        for tools, m in ((prune, models[0]), (T.prune, models[1])):
            pairs = [(m[0], "weight"), (m[2], "weight"), (m[2], "bias")]
            tools.global_unstructured(pairs, pruning_method=tools.L1Unstructured, amount=0.3)
    for n, t in models[1].state_dict().items():
        np.testing.assert_array_equal(models[0].state_dict()[n].numpy(), t.numpy(), err_msg=n)


def test_fusion():
    for kind, norm, args, shape in (("Conv2d", "BatchNorm2d", (3, 4, 3), (2, 3, 5, 5)),
                                    ("Linear", "BatchNorm1d", (3, 4), (5, 3))):  # fmt: skip
        a, b = (getattr(nn, kind)(*args, bias=kind == "Linear"), getattr(nn, norm)(4))
        c, d = (getattr(torch.nn, kind)(*args, bias=kind == "Linear"), getattr(torch.nn, norm)(4))
        d.running_mean.normal_(), d.running_var.uniform_(0.5, 2), d.weight.data.normal_()
        for x, y in ((a, c), (b, d)):
            x.load_state_dict({n: t.numpy() for n, t in y.state_dict().items()})
            x.eval(), y.eval()
        which = "fuse_conv_bn_eval" if kind == "Conv2d" else "fuse_linear_bn_eval"
        fused = getattr(nn.utils, which)(a, b)
        want = T.fusion.__dict__[which](c, d)
        x = rng.normal(size=shape).astype("float32")
        np.testing.assert_allclose(
            fused(bl.tensor(x)).detach().numpy(),
            b(a(bl.tensor(x))).detach().numpy(),
            rtol=1e-4,
            atol=1e-5,
        )
        for n, t in want.state_dict().items():
            np.testing.assert_allclose(
                fused.state_dict()[n].numpy(), t.numpy(), rtol=1e-5, atol=1e-6
            )


def test_starting_values():
    for shape in ((4, 3), (3, 5)):
        np.testing.assert_array_equal(
            init.eye_(bl.ones(shape)).numpy(), torch.nn.init.eye_(torch.ones(shape)).numpy()
        )
    for shape, groups in (((4, 3, 3), 1), ((4, 2, 3, 2), 2), ((6, 4, 3, 3, 3), 3)):
        np.testing.assert_array_equal(
            init.dirac_(bl.ones(shape), groups).numpy(),
            torch.nn.init.dirac_(torch.ones(shape), groups).numpy(),
        )
    for name in ("conv3d", "conv_transpose3d", "tanh", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    bl.manual_seed(0)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for a, b in ((-2.0, 2.0), (0.5, 0.75), (1.0, 9.0)):
            got = init.trunc_normal_(bl.zeros((200, 200)), 0.3, 0.7, a, b).numpy()
            want = torch.nn.init.trunc_normal_(torch.zeros(200, 200), 0.3, 0.7, a, b).numpy()
            assert a <= got.min() < got.max() <= b
            where = [0.05, 0.3, 0.5, 0.7, 0.95]
            np.testing.assert_allclose(np.quantile(got, where), np.quantile(want, where), atol=0.02)
    sparse = init.sparse_(bl.zeros((10, 7)), 0.35).numpy()
    assert ((sparse == 0).sum(0) == 4).all()
