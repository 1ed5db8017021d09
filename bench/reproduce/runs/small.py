"""Runs of seconds: scikit-learn's digits, the Playground's spiral. Nothing has to be fetched."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..recipe import Data, Recipe, State, at_least, logits, one_cycle

_DIGITS, _SPIRAL = (64, 128, 64, 10), (16, 16, 16)


def _digits(root: Path | None) -> Data:
    from backlit import data

    train, test = data.digits()
    return Data(*(tuple(t.numpy() for t in part.tensors) for part in (train, test)))


def _spiral(root: Path | None) -> Data:
    """The Playground's 500 points without noise, with labels of ±1."""
    from backlit import data

    parts = []
    for part in data.playground("spiral"):
        x, y = (t.numpy() for t in part.tensors)
        parts.append((x / 5, (2.0 * y - 1).astype(np.float32)[:, None]))
    return Data(*parts)


def _squares(F: Any, model: Any, x: Any, y: Any) -> Any:
    return F.mse_loss(model(x), y)


def _signs(side: Any, data: Data) -> float:
    return 100.0 * float((np.sign(side.over(logits, data.test[:1])) == data.test[1]).mean())


def _our_digits(data: Data, dropout: float) -> Any:
    from backlit import models

    return models.mlp(_DIGITS)


def _our_spiral(data: Data, dropout: float) -> Any:
    from backlit import models

    return models.playground(_SPIRAL)


def _layers(sizes: tuple[int, ...], activation: str, last: bool, state: State) -> Any:
    from torch import nn

    from ..twins import loaded

    layers: list[Any] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), getattr(nn, activation)()]
    return loaded(nn.Sequential(*(layers if last else layers[:-1])), state)


RECIPES = (
    Recipe(
        "digits",
        # of 14 optimizers, rates and lengths the best in ten turns of --validate: 97.97 %
        "MLP 64-128-64-10, batch 32, Adam, 40 epochs, one cycle",
        _digits,
        _our_digits,
        lambda data, dropout, state: _layers(_DIGITS, "ReLU", False, state),
        epochs=40,
        batch=32,
        optimizer="adam",
        settings={"lr": 1e-2},
        rate=one_cycle,
        goal="≥ 97.5 %",
        met=at_least(97.5),
    ),
    Recipe(
        "spiral",
        # of 25 sizes, rates, batches and lengths the best in eight turns of --validate
        # (98.5 %), and the smaller of two that were equal
        "tanh MLP 2-16-16-16-1, batch 10, Adam, 600 epochs, one cycle, squared differences",
        _spiral,
        _our_spiral,
        lambda data, dropout, state: _layers((2, *_SPIRAL, 1), "Tanh", True, state),
        epochs=600,
        batch=10,
        optimizer="adam",
        settings={"lr": 1e-2},
        rate=one_cycle,
        loss=_squares,
        figure=_signs,
        goal="≥ 99 %",
        met=at_least(99.0),
    ),
)
