"""The networks of `backlit.models`: sizes, shapes, and that each of them learns."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.errors import ArgumentError
from backlit.nn import functional as f

rng = np.random.default_rng(0)


def count(model: nn.Module) -> int:
    return sum(p.size for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (models.playground, 2 * 4 + 4 + 4 * 2 + 2 + 2 + 1),
        (models.two_layer, 1000 * 100 + 100 * 10),
        (models.mlp, 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10),
        (models.LeNet, 832 + 51_264 + 1_606_144 + 5_130),
        (models.CharRNN, 65 * 64 + 4 * 256 * (64 + 256 + 2) + 256 * 65 + 65),
        (models.WindowTagger, 20_000 * 50 + 250 * 100 + 100 + 100 * 9 + 9),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_number_of_parameters(make, parameters) -> None:
    assert count(make()) == parameters


def token_loss(model, x, y):
    logits = model(x)
    logits = logits[0] if isinstance(logits, tuple) else logits
    return f.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def image_loss(model, x, y):
    return f.cross_entropy(model(x), y)


TOKENS = rng.integers(0, 11, (3, 8))
CASES = {
    "playground": (
        models.playground,
        lambda model, x, y: f.mse_loss(model(x), y),
        rng.normal(size=(10, 2)).astype("f4"),
        np.sign(rng.normal(size=(10, 1))).astype("f4"),
    ),
    "two_layer": (
        lambda: models.two_layer(20, 10, 3),
        lambda model, x, y: f.mse_loss(model(x), y, reduction="sum"),
        rng.normal(size=(6, 20)).astype("f4"),
        rng.normal(size=(6, 3)).astype("f4"),
    ),
    "mlp": (
        lambda: models.mlp((6, 12, 12, 3), "gelu", dropout=0.1),
        image_loss,
        rng.normal(size=(8, 6)).astype("f4"),
        rng.integers(0, 3, 8),
    ),
    "lenet": (
        models.LeNet,
        image_loss,
        rng.normal(size=(2, 1, 28, 28)).astype("f4"),
        np.array([1, 7]),
    ),
    "resnet": (
        lambda: models.cifar_resnet18(num_classes=3),
        image_loss,
        rng.normal(size=(2, 3, 8, 8)).astype("f4"),
        np.array([0, 2]),
    ),
    "lstm": (lambda: models.CharRNN(11, 5, 16, 2), token_loss, TOKENS[:, :-1], TOKENS[:, 1:]),
    "gpt": (
        lambda: models.GPT2(11, 8, 2, 2, 16),
        token_loss,
        TOKENS[:, :-1],
        TOKENS[:, 1:],
    ),
    "ner": (
        lambda: models.WindowTagger(50, 6, 5, 12, 4),
        image_loss,
        rng.integers(0, 50, (7, 5)),
        rng.integers(0, 4, 7),
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long if n == "resnet" else ()) for n in CASES]
)
def test_every_network_learns_a_batch(name) -> None:
    make, loss, x, y = CASES[name]
    bl.manual_seed(1)
    model = make()
    optimizer = bl.optim.Adam(model.parameters(), lr=3e-3)
    x, y = bl.tensor(x), bl.tensor(y)
    losses = []
    for _ in range({"resnet": 4, "lenet": 6}.get(name, 25)):
        value = loss(model, x, y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert all(p.grad is not None for p in model.parameters())
    assert losses[-1] < 0.97 * losses[0], losses


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"mlp: at least an input and an output size"):
        models.mlp((3,))
    with pytest.raises(ArgumentError, match=r"mlp: activation must be one of relu, .*, got 'x'"):
        models.mlp((3, 4), "x")
