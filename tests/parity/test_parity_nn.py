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
IMAGE = np.zeros((2, 4, 7, 6))
LONE = np.zeros((4, 7, 6))

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
    ("BatchNorm2d", (4,), {}, IMAGE),
    ("BatchNorm2d", (4,), {"momentum": None}, IMAGE),
    ("GroupNorm", (2, 4), {}, IMAGE),
    ("GroupNorm", (4, 4), {"affine": False}, SIGNAL),
    ("GroupNorm", (1, 4), {"eps": 0.1}, X),
    ("Conv1d", (4, 3, 2), {}, SIGNAL),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2, "bias": False}, SIGNAL),
    ("Conv1d", (4, 3, 4), {"padding": "same"}, SIGNAL),
    ("Conv2d", (4, 3, 3), {}, IMAGE),
    ("Conv2d", (4, 3, 3), {}, LONE),
    ("Conv2d", (4, 3, (2, 3)), {"stride": (2, 1), "padding": (1, 2)}, IMAGE),
    ("Conv2d", (4, 4, 2), {"padding": "same", "dilation": (1, 2)}, IMAGE),
    ("Conv2d", (4, 4, 3), {"padding": "valid", "groups": 4, "bias": False}, IMAGE),
    ("Conv2d", (4, 6, 3), {"groups": 2, "dilation": 2, "padding": 2, "stride": 2}, IMAGE),
    ("Conv2d", (4, 5, 1), {"stride": 2}, IMAGE),
    ("ConvTranspose1d", (4, 3, 2), {}, SIGNAL),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 3, "padding": 1, "output_padding": 2}, SIGNAL),
    ("ConvTranspose2d", (4, 3, 3), {}, IMAGE),
    ("ConvTranspose2d", (4, 3, (2, 3)), {"stride": 2, "output_padding": (1, 0)}, LONE),
    ("ConvTranspose1d", (4, 6, 3), {"output_padding": 2, "dilation": 3, "groups": 2}, SIGNAL),
    ("ConvTranspose2d", (4, 3, 2), {"padding": 1, "output_padding": (1, 2), "dilation": 3}, LONE),
    ("ConvTranspose2d", (4, 2, 3), {"groups": 2, "dilation": 2, "padding": 1}, IMAGE),
    ("ConvTranspose2d", (4, 2, 3), {"stride": (3, 2), "bias": False}, IMAGE),
    ("MaxPool1d", (2,), {}, SIGNAL),
    ("MaxPool1d", (3,), {"stride": 1, "padding": 1, "dilation": 2}, SIGNAL),
    ("MaxPool2d", (2,), {}, IMAGE),
    ("MaxPool2d", (3, 2), {"padding": 1, "ceil_mode": True}, IMAGE),
    ("MaxPool2d", ((2, 3), (1, 2)), {"dilation": (2, 1)}, LONE),
    ("AvgPool1d", (2,), {}, SIGNAL),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, SIGNAL),
    ("AvgPool2d", (2,), {}, IMAGE),
    ("AvgPool2d", (3, 2, 1), {}, IMAGE),
    ("AvgPool2d", (3, 2, 1), {"count_include_pad": False, "ceil_mode": True}, IMAGE),
    ("AvgPool2d", (3, 3, 1), {"ceil_mode": True}, IMAGE),
    ("AvgPool2d", ((2, 3),), {"divisor_override": 5}, LONE),
    ("AdaptiveAvgPool2d", (1,), {}, IMAGE),
    ("AdaptiveAvgPool2d", ((3, 4),), {}, IMAGE),
    ("AdaptiveAvgPool2d", ((None, 2),), {}, LONE),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
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
    y = nn.KLDivLoss(reduction="batchmean")(bl.tensor(UNIT), bl.tensor(HOT))
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


# -- sequences ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding(padding_idx, dtype) -> None:
    ours = nn.Embedding(6, 3, padding_idx)
    theirs = torch.nn.Embedding(6, 3, padding_idx)
    assert not ours.weight.numpy()[padding_idx].any() or padding_idx is None
    compare(ours, theirs, [rng.integers(0, 6, (4, 5))], dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"num_layers": 2, "batch_first": True},
        {"bidirectional": True},
        {"num_layers": 3, "bidirectional": True, "batch_first": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("lone", [False, True])
def test_recurrent(kind, options, with_state, lone, dtype) -> None:
    ours = getattr(nn, kind)(3, 4, **options).to(dtype)
    theirs = getattr(torch.nn, kind)(3, 4, **options).to(getattr(torch, dtype))
    copy_state(ours, theirs)
    x = rng.uniform(-1, 1, (5, 3) if lone else (5, 2, 3)).astype(dtype)
    layers = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    batch = 5 if options.get("batch_first") else 2
    states = [
        rng.uniform(-1, 1, (layers, 4) if lone else (layers, batch, 4)).astype(dtype)
        for _ in range(2 if kind == "LSTM" else 1)
    ]
    results = []
    for module, make in ((ours, bl.tensor), (theirs, torch.tensor)):
        inputs = [make(a, requires_grad=True) for a in (x, *states)]
        given = () if not with_state else (tuple(inputs[1:]) if kind == "LSTM" else inputs[1],)
        y, end = module(inputs[0], *given)
        ends = list(end) if isinstance(end, tuple) else [end]
        total = (y * y).sum()
        for k, e in enumerate(ends):
            total = total + (e * (k + 2)).sum()
        total.backward()
        grads = [t.grad for t in (inputs if with_state else inputs[:1])]
        results.append([y, *ends, *grads, *(p.grad for p in module.parameters())])
    for a, b in zip(*results, strict=True):
        close(a, b, dtype, kind)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_nonlinearities(nonlinearity, dtype) -> None:
    class First(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)[0]

    class Theirs(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)[0]

    ours = First(nn.RNN(3, 4, 2, nonlinearity=nonlinearity))
    theirs = Theirs(torch.nn.RNN(3, 4, 2, nonlinearity=nonlinearity))
    compare(ours, theirs, [np.zeros((5, 2, 3))], dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind, bias, dtype) -> None:
    ours = getattr(nn, kind)(3, 4, bias=bias).to(dtype)
    theirs = getattr(torch.nn, kind)(3, 4, bias=bias).to(getattr(torch, dtype))
    copy_state(ours, theirs)
    x = rng.uniform(-1, 1, (2, 3)).astype(dtype)
    h, c = (rng.uniform(-1, 1, (2, 4)).astype(dtype) for _ in range(2))
    for given in (False, True):
        results = []
        for module, make in ((ours, bl.tensor), (theirs, torch.tensor)):
            state = (make(h), make(c)) if kind == "LSTMCell" else make(h)
            y = module(make(x), *((state,) if given else ()))
            outputs = list(y) if isinstance(y, tuple) else [y]
            sum((o * o).sum() for o in outputs).backward()
            results.append([*outputs, *(p.grad for p in module.parameters())])
            for p in module.parameters():
                p.grad = None
        for a, b in zip(*results, strict=True):
            close(a, b, dtype, kind)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("how", ["plain", "causal", "bool", "added", "scaled"])
def test_scaled_dot_product_attention(how, dtype) -> None:
    q = rng.normal(size=(2, 3, 5, 4)).astype(dtype)
    k = rng.normal(size=(2, 3, 6, 4)).astype(dtype)
    v = rng.normal(size=(2, 3, 6, 2)).astype(dtype)
    allowed = rng.integers(0, 2, (5, 6)).astype(bool)
    allowed[:, 0] = True
    results = []
    for library, make, function in (
        (bl, bl.tensor, bl.functional.scaled_dot_product_attention),
        (torch, torch.tensor, torch.nn.functional.scaled_dot_product_attention),
    ):
        del library
        options = {
            "plain": {},
            "causal": {"is_causal": True},
            "bool": {"attn_mask": make(allowed)},
            "added": {"attn_mask": make(np.where(allowed, 0.5, -2.0).astype(dtype))},
            "scaled": {"scale": 0.3},
        }[how]
        inputs = [make(a, requires_grad=True) for a in (q, k, v)]
        y = function(*inputs, **options)
        (y * y).sum().backward()
        results.append([y, *(t.grad for t in inputs)])
    for a, b in zip(*results, strict=True):
        close(a, b, dtype, how)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("case", ["self", "cross", "widths", "masks", "three masks", "lone"])
def test_multihead_attention(case, dtype) -> None:
    widths = {"kdim": 5, "vdim": 3} if case == "widths" else {}
    options = {"batch_first": case != "cross", "bias": case != "cross", **widths}
    ours = nn.MultiheadAttention(8, 2, **options).to(dtype)
    theirs = torch.nn.MultiheadAttention(8, 2, **options).to(getattr(torch, dtype))
    copy_state(ours, theirs)
    shape = (4, 8) if case == "lone" else (2, 4, 8)
    q = rng.normal(size=shape).astype(dtype)
    k = rng.normal(size=(2, 6, widths.get("kdim", 8))).astype(dtype)
    v = rng.normal(size=(2, 6, widths.get("vdim", 8))).astype(dtype)
    if case == "cross":
        k, v = (a.transpose(1, 0, 2)[:, :2] for a in (k, v))
        q, k, v = q.transpose(1, 0, 2), k, v
    padding = np.zeros((2, 4), bool)
    padding[1, 3] = True
    causal = np.triu(np.ones((4, 4), bool), 1)
    results = []
    for module, make in ((ours, bl.tensor), (theirs, torch.tensor)):
        x = make(q, requires_grad=True)
        other = (x, x) if case in ("self", "masks", "three masks", "lone") else (make(k), make(v))
        masks = {}
        if case == "masks":
            masks = {"key_padding_mask": make(padding), "attn_mask": make(causal)}
        if case == "three masks":
            masks = {"attn_mask": make(np.stack([causal.astype(dtype)] * 4))}
        y, weights = module(x, *other, average_attn_weights=case != "widths", **masks)
        (y * y).sum().backward()
        results.append([y, weights, x.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*results, strict=True):
        close(a, b, dtype, case)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    "options",
    [
        {"batch_first": True},
        {"norm_first": True, "activation": "gelu"},
        {"bias": False, "layer_norm_eps": 0.1},
    ],
    ids=str,
)
def test_transformer_encoder_layer(options, dtype) -> None:
    ours = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, **options)
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, **options)
    compare(ours, theirs, [np.zeros((3, 4, 8))], dtype)
    x = rng.normal(size=(4, 4, 8)).astype(dtype)
    causal = np.triu(np.ones((4, 4), bool), 1)
    y = ours(bl.tensor(x), bl.tensor(causal))
    close(y, theirs(torch.tensor(x), torch.tensor(causal)), dtype, "masked")


@pytest.mark.parametrize("kind", ["Conv1d", "Conv2d", "ConvTranspose2d", "LSTM", "Embedding"])
def test_starting_values_have_the_same_spread(kind) -> None:
    args = {"LSTM": (30, 50), "Embedding": (100, 40)}.get(kind, (16, 24, 3))
    ours, theirs = getattr(nn, kind)(*args), getattr(torch.nn, kind)(*args)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert p.shape == tuple(q.shape), name
        np.testing.assert_allclose(p.numpy().std(), q.detach().numpy().std(), rtol=0.4)
        if kind != "Embedding":
            limit = np.abs(q.detach().numpy()).max()
            np.testing.assert_allclose(np.abs(p.numpy()).max(), limit, rtol=0.2)
