"""Layers, losses and initialisations beside PyTorch's: values, gradients, state names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backlit as bl
from backlit import nn

pytestmark = pytest.mark.parity

rng = np.random.default_rng(0)
#: dtype -> (relative, absolute) tolerance
TOLERANCES = {"float64": (1e-10, 1e-11), "float32": (2e-5, 2e-5)}


def close(got, want, dtype, what) -> None:
    got = got.numpy() if isinstance(got, bl.Tensor) else got
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else want
    assert got.shape == want.shape, what
    rtol, atol = TOLERANCES[dtype]
    scale = max(1.0, np.abs(want).max(initial=0))
    np.testing.assert_allclose(got, want, rtol, atol * scale, err_msg=what)


def copy_state(ours: nn.Module, theirs: torch.nn.Module) -> None:
    """Random values, the same on both sides; the names must agree."""
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict()), "names of the saved state"
    values = {}
    for name, t in state.items():
        array = np.array(t.numpy())
        if array.dtype.kind == "f":
            array = rng.uniform(0.2, 1.2, array.shape) * (0.5 if array.ndim > 1 else 1.0)
            array = (array - (0.35 if array.ndim > 1 else 0)).astype(t.numpy().dtype)
        values[name] = array
    ours.load_state_dict(values)
    theirs.load_state_dict({n: torch.tensor(v) for n, v in values.items()})


def compare(ours, theirs, inputs, dtype, steps: int = 1) -> None:
    """Outputs, gradients of inputs and parameters, and buffers, over several calls."""
    ours = ours.to(dtype)
    theirs = theirs.to(getattr(torch, dtype))
    copy_state(ours, theirs)
    for _ in range(steps):
        arrays = [
            (rng.uniform(-2, 2, x.shape) if x.dtype.kind == "f" else x).astype(
                dtype if x.dtype.kind == "f" else x.dtype
            )
            for x in inputs
        ]
        mine = [bl.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        other = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        y, z = ours(*mine), theirs(*other)
        close(y, z, dtype, "output")
        upstream = rng.uniform(0.5, 1.5, y.shape).astype(dtype)
        if y.requires_grad:
            y.backward(upstream)
            z.backward(torch.tensor(upstream))
            for a, b in zip(mine, other, strict=True):
                if b.grad is not None:
                    close(a.grad, b.grad, dtype, "gradient of an input")
            grads = dict(theirs.named_parameters())
            for name, p in ours.named_parameters():
                close(p.grad, grads[name].grad, dtype, f"gradient of {name}")
                p.grad = grads[name].grad = None
        buffers = dict(theirs.named_buffers())
        for name, b in ours.named_buffers():
            close(b, buffers[name], dtype, name)


X = np.zeros((6, 4))
SIGNAL = np.zeros((3, 4, 5))

LAYERS = [
    ("Linear", (4, 3), {}, X),
    ("Linear", (5, 2), {"bias": False}, SIGNAL),
    ("Identity", (), {}, X),
    ("Flatten", (), {}, SIGNAL),
    ("Flatten", (0, 1), {}, SIGNAL),
    ("Unflatten", (1, (2, 2)), {}, X),
    ("BatchNorm1d", (4,), {}, X),
    ("BatchNorm1d", (4,), {}, SIGNAL),
    ("BatchNorm1d", (4,), {"momentum": None, "eps": 0.1}, X),
    ("BatchNorm1d", (4,), {"momentum": 0.3, "affine": False}, X),
    ("BatchNorm1d", (4,), {"track_running_stats": False}, X),
    ("LayerNorm", (4,), {}, X),
    ("LayerNorm", ((4, 5),), {"eps": 0.1}, SIGNAL),
    ("LayerNorm", (5,), {"elementwise_affine": False}, SIGNAL),
    ("LayerNorm", (5,), {"bias": False}, SIGNAL),
    ("Sigmoid", (), {}, X),
    ("Tanh", (), {}, X),
    ("ReLU", (), {}, X),
    ("LeakyReLU", (0.2,), {}, X),
    ("ELU", (0.7,), {}, X),
    ("Softplus", (), {}, X),
    ("SiLU", (), {}, X),
    ("GELU", (), {}, X),
    ("GELU", (), {"approximate": "tanh"}, X),
    ("Softmax", (1,), {}, SIGNAL),
    ("LogSoftmax", (-1,), {}, SIGNAL),
    ("Dropout", (0.0,), {}, X),
]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("name", "args", "options", "x"), LAYERS, ids=[f"{n}{a}{o}" for n, a, o, _ in LAYERS]
)
def test_layer(name, args, options, x, dtype) -> None:
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    compare(ours, theirs, [x], dtype, steps=3)
    if any(True for _ in ours.buffers()):
        compare(ours.eval(), theirs.eval(), [x], dtype)


LABELS = rng.integers(0, 4, 6)
GRID_LABELS = rng.integers(0, 4, (3, 5))
UNIT = rng.uniform(0.05, 0.95, (6, 4))
HOT = UNIT / UNIT.sum(1, keepdims=True)
SIGNS = rng.choice([-1.0, 1.0], (6, 4))
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])

LOSSES = [
    ("MSELoss", {}, X, UNIT),
    ("L1Loss", {}, X, UNIT),
    ("SmoothL1Loss", {"beta": 0.5}, X, UNIT),
    ("SmoothL1Loss", {"beta": 0.0}, X, UNIT),
    ("HuberLoss", {"delta": 0.5}, X, UNIT),
    ("CrossEntropyLoss", {}, X, LABELS),
    ("CrossEntropyLoss", {"weight": WEIGHT}, X, LABELS),
    ("CrossEntropyLoss", {"label_smoothing": 0.2}, X, LABELS),
    ("CrossEntropyLoss", {"label_smoothing": 0.2, "weight": WEIGHT, "ignore_index": 1}, X, LABELS),
    ("CrossEntropyLoss", {"ignore_index": 2}, SIGNAL, GRID_LABELS),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1}, SIGNAL, GRID_LABELS),
    ("CrossEntropyLoss", {}, X, HOT),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.3}, X, HOT),
    ("NLLLoss", {}, X, LABELS),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 0}, SIGNAL, GRID_LABELS),
    ("BCEWithLogitsLoss", {}, X, UNIT),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT + 1}, X, UNIT),
    ("MultiMarginLoss", {}, X, LABELS),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": WEIGHT}, X, LABELS),
    ("HingeEmbeddingLoss", {"margin": 0.7}, X, SIGNS),
    ("KLDivLoss", {}, X, UNIT),
    ("KLDivLoss", {"log_target": True}, X, UNIT),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "options", "x", "target"), LOSSES, ids=[f"{n}-{','.join(o)}" for n, o, _, _ in LOSSES]
)
def test_loss(name, options, x, target, reduction, dtype) -> None:
    def module(library, make):
        own = {
            k: make(v.astype(dtype)) if isinstance(v, np.ndarray) else v for k, v in options.items()
        }
        return getattr(library, name)(reduction=reduction, **own)

    ours, theirs = module(nn, bl.tensor), module(torch.nn, torch.tensor)
    array = rng.uniform(-2, 2, x.shape).astype(dtype)
    goal = target.astype(dtype) if target.dtype.kind == "f" else target
    a, b = bl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    y, z = ours(a, bl.tensor(goal)), theirs(b, torch.tensor(goal))
    close(y, z, dtype, "loss")
    upstream = rng.uniform(0.5, 1.5, y.shape).astype(dtype)
    y.backward(upstream)
    z.backward(torch.tensor(upstream))
    close(a.grad, b.grad, dtype, "gradient")


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_cross_entropy(reduction, dtype) -> None:
    p = rng.uniform(0.05, 0.95, (6, 4)).astype(dtype)
    p[0, 0], p[0, 1] = 0, 1
    goal = UNIT.astype(dtype)
    a, b = bl.tensor(p, requires_grad=True), torch.tensor(p, requires_grad=True)
    y = nn.BCELoss(reduction=reduction)(a, bl.tensor(goal))
    z = torch.nn.BCELoss(reduction=reduction)(b, torch.tensor(goal))
    close(y, z, dtype, "loss")
    y.sum().backward()
    z.sum().backward()
    rtol = 1e-8 if dtype == "float64" else 2e-5  # PyTorch rounds the limit 10⁻¹² to float32
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol)


def test_kl_batchmean() -> None:
    y = nn.KLDivLoss("batchmean")(bl.tensor(UNIT), bl.tensor(HOT))
    z = torch.nn.KLDivLoss(reduction="batchmean")(torch.tensor(UNIT), torch.tensor(HOT))
    close(y, z, "float64", "loss")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
        ("normal_", {"mean": 1.0, "std": 0.1}),
        ("uniform_", {"a": -3.0, "b": 1.0}),
        ("orthogonal_", {"gain": 3.0}),
    ],
)
def test_initialisations_have_the_same_moments(name, options) -> None:
    shape = (120, 20, 3, 3)
    a = getattr(nn.init, name)(bl.zeros(shape), **options).numpy()
    b = getattr(torch.nn.init, name)(torch.zeros(shape), **options).numpy()
    np.testing.assert_allclose(a.std(), b.std(), rtol=0.02)
    np.testing.assert_allclose(a.mean(), b.mean(), atol=0.03 * b.std())
    np.testing.assert_allclose(np.abs(a).max(), np.abs(b).max(), rtol=0.35)


@pytest.mark.parametrize(
    "nonlinearity",
    ["linear", "conv1d", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"],
)
def test_gains(nonlinearity) -> None:
    assert nn.init.calculate_gain(nonlinearity) == torch.nn.init.calculate_gain(nonlinearity)
