"""Captured training gives the bits that eager training gives, layer by layer, step by step."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler.api import interpreter, native

STEPS = 4
rng = np.random.default_rng(0)
ROWS = rng.normal(size=(6, 4)).astype(np.float32)
SIGNALS = rng.normal(size=(3, 4, 6)).astype(np.float32)
IMAGES = rng.normal(size=(2, 4, 5, 5)).astype(np.float32)
SEQUENCES = rng.normal(size=(5, 2, 4)).astype(np.float32)
TOKENS = rng.integers(0, 7, (4, 5))
LABELS = rng.integers(0, 4, 6)


class First(nn.Module):
    """The first of several results."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        return y[0] if isinstance(y, tuple) else y


class SelfAttention(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x, x, x, is_causal=True)[0]


#: name -> (maker of the module, input)
LAYERS = {
    "linear": (lambda: nn.Linear(4, 3), ROWS),
    "linear without bias": (lambda: nn.Linear(4, 3, bias=False), ROWS),
    "maxout": (lambda: nn.Maxout(4, 3, 2), ROWS),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.4)), ROWS),
    "dropout with a generator": (
        lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.4, generator=bl.Generator(4))),
        ROWS,
    ),
    "batch norm": (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), ROWS),
    "batch norm of signals": (lambda: nn.BatchNorm1d(4), SIGNALS),
    "batch norm averaging": (lambda: nn.BatchNorm1d(4, momentum=None), ROWS),
    "batch norm without tracking": (
        lambda: nn.BatchNorm1d(4, track_running_stats=False),
        ROWS,
    ),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), ROWS),
    "flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(24, 2)), SIGNALS),
    "unflatten": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3))), ROWS),
    "batch norm of images": (
        lambda: nn.Sequential(nn.Conv2d(4, 3, 2, bias=False), nn.BatchNorm2d(3), nn.ReLU()),
        IMAGES,
    ),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGES),
    "convolution of signals": (lambda: nn.Conv1d(4, 6, 3, 2, 1, groups=2), SIGNALS),
    "convolution, same": (lambda: nn.Conv2d(4, 3, (2, 3), padding="same", dilation=2), IMAGES),
    "transposed convolution of signals": (lambda: nn.ConvTranspose1d(4, 3, 3, 2), SIGNALS),
    "transposed convolution": (lambda: nn.ConvTranspose2d(4, 2, 3, 2, 1, 1, groups=2), IMAGES),
    "maximum pooling": (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.MaxPool2d(3, 1, 1)), IMAGES),
    "mean pooling": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 3, 2), nn.AvgPool1d(2, padding=1, count_include_pad=False)
        ),
        SIGNALS,
    ),
    "adaptive pooling": (
        lambda: nn.Sequential(nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d((2, 3))),
        IMAGES,
    ),
    "embedding": (lambda: nn.Embedding(7, 3, padding_idx=1), TOKENS),
    "embedding of limited length": (lambda: nn.Embedding(7, 3, max_norm=0.5), TOKENS),
    "bag of embeddings": (lambda: nn.EmbeddingBag(7, 3, mode="max", padding_idx=1), TOKENS),
    "learned slopes": (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.PReLU(3)), IMAGES),
    "random slopes": (lambda: nn.Sequential(nn.Linear(4, 3), nn.RReLU()), ROWS),
    "alpha dropout": (lambda: nn.Sequential(nn.Linear(4, 3), nn.AlphaDropout(0.3)), ROWS),
    "dropout of channels": (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.Dropout2d()), IMAGES),
    "instance norm": (
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        IMAGES,
    ),
    "root-mean-square norm": (lambda: nn.RMSNorm(4), ROWS),
    "circular convolution": (
        lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"),
        IMAGES,
    ),
    "convolution of volumes": (
        lambda: nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Conv3d(2, 3, 2), nn.MaxPool3d((1, 2, 2))),
        IMAGES,
    ),
    "upsampling": (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.UpsamplingBilinear2d(7)), IMAGES),
    "random windows": (
        lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.FractionalMaxPool2d(2, output_size=2)),
        IMAGES,
    ),
    **{
        f"{kind.__name__}{options}": (lambda k=kind, o=options: First(k(4, 3, **o)), SEQUENCES)
        for kind in (nn.RNN, nn.LSTM, nn.GRU)
        for options in (
            {},
            {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.3},
        )
    },
    **{
        kind.__name__: (lambda k=kind: First(k(4, 3)), ROWS)
        for kind in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
    },
    "attention": (lambda: SelfAttention(nn.MultiheadAttention(4, 2, dropout=0.2)), SEQUENCES),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), SEQUENCES),
    **{
        activation.__name__: (lambda a=activation: nn.Sequential(nn.Linear(4, 3), a()), ROWS)
        for activation in (
            nn.Identity, nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.SiLU,
            nn.GELU,
        )
    },
    "softmax": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1)), ROWS),
    "log-softmax": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1)), ROWS),
}  # fmt: skip

LOSSES = {
    "mse": (nn.MSELoss, ROWS),
    "l1": (nn.L1Loss, ROWS),
    "smooth l1": (nn.SmoothL1Loss, ROWS),
    "huber": (nn.HuberLoss, ROWS),
    "cross-entropy": (nn.CrossEntropyLoss, LABELS),
    "cross-entropy, smoothed and weighted": (
        lambda: nn.CrossEntropyLoss([1.0, 2.0, 3.0, 4.0], ignore_index=2, label_smoothing=0.1),
        LABELS,
    ),
    "cross-entropy, probabilities": (nn.CrossEntropyLoss, np.eye(4, dtype=np.float32)[LABELS]),
    "nll": (nn.NLLLoss, LABELS),
    "bce with logits": (nn.BCEWithLogitsLoss, np.eye(4, dtype=np.float32)[LABELS]),
    "multi margin": (nn.MultiMarginLoss, LABELS),
    "hinge embedding": (nn.HingeEmbeddingLoss, np.sign(ROWS)),
    "kl": (nn.KLDivLoss, np.abs(ROWS)),
}


def train(make, x, loss, target, compiled: bool) -> list[bytes]:
    """The bits of all losses and of all state after some steps of gradient descent."""
    bl.manual_seed(11)
    model = make()

    def step(x, target):
        y = model(x)
        value = (y * y).mean() if loss is None else loss(y, target)
        model.zero_grad()
        value.backward()
        with bl.no_grad():
            for p in model.parameters():
                p.assign(p - 0.1 * p.grad)
        return value

    run = bl.compile(step, executor=interpreter) if compiled else step
    inputs = bl.tensor(x), None if target is None else bl.tensor(target)
    losses = [run(*inputs).numpy().tobytes() for _ in range(STEPS)]
    model.eval()
    state = [t.numpy().tobytes() for t in model.state_dict().values()]
    return [*losses, *state, model(inputs[0]).numpy().tobytes()]


@pytest.mark.parametrize("name", LAYERS)
def test_layer_trains_to_the_same_bits_captured(name) -> None:
    make, x = LAYERS[name]
    assert train(make, x, None, None, True) == train(make, x, None, None, False)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_trains_to_the_same_bits_captured(name) -> None:
    make, target = LOSSES[name]

    def linear() -> nn.Module:
        return nn.Linear(4, 4)

    both = [train(linear, ROWS, make(), target, compiled) for compiled in (True, False)]
    assert both[0] == both[1]


def test_captured_dropout_draws_a_new_mask_each_step() -> None:
    layer = nn.Dropout(0.5)
    run = bl.compile(layer)
    first, second = (run(bl.ones((64,))).tolist() for _ in range(2))
    assert first != second
    assert 0.0 in first


def test_changing_the_mode_captures_again() -> None:
    layer = nn.Dropout(0.5)
    run = bl.compile(layer)
    run(bl.ones((64,)))
    layer.eval()
    assert run(bl.ones((64,))).tolist() == [1.0] * 64
    assert len(run.graphs) == 2


@pytest.mark.parametrize(
    ("function", "size"),
    [
        (lambda i: bl.functional.embedding(i, bl.ones((3, 2))), 3),
        (lambda i: bl.functional.cross_entropy(bl.ones((2, 3)), i), 3),
        (lambda i: bl.functional.nll_loss(bl.ones((2, 3)), i), 3),
        (lambda i: bl.functional.multi_margin_loss(bl.ones((2, 3)), i), 3),
    ],
    ids=["embedding", "cross_entropy", "nll_loss", "multi_margin_loss"],
)
@pytest.mark.parametrize("dtype", ["int8", "int64"])
@pytest.mark.parametrize("executor", [interpreter, native])
def test_captured_code_refuses_indices_outside_the_axis(function, size, dtype, executor) -> None:
    """Also negative ones, which a gather would count from the end."""
    run = bl.compile(function, executor=executor)
    good = bl.tensor([0, size - 1], dtype=dtype)
    np.testing.assert_allclose(run(good).numpy(), function(good).numpy(), rtol=1e-6)
    for wrong in (-1, -size, size):
        with pytest.raises(IndexError):
            run(bl.tensor([0, wrong], dtype=dtype))


def test_captured_losses_still_ignore_what_is_to_be_ignored() -> None:
    run = bl.compile(bl.functional.cross_entropy, executor=interpreter)
    x, labels = bl.tensor(ROWS), bl.tensor([0, -100, 3, -100, 1, 2])
    assert run(x, labels).item() == bl.functional.cross_entropy(x, labels).item()
    unsigned = bl.tensor([0, 3, 3, 1, 1, 2], dtype="uint8")
    assert run(x, unsigned).item() == bl.functional.cross_entropy(x, unsigned).item()
