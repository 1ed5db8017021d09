"""What a run is: one description that both frameworks read.

Losses are written once for both: they get the framework's functions `F` and its model. Batches are
arrays, made once and given to both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]
#: Names of starting values and the values.
State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Data:
    """Training and test arrays, whose first axis counts examples; and what else a run must know."""

    train: Arrays
    test: Arrays
    facts: Mapping[str, Any] = field(default_factory=dict)


def held_out(data: Data, seed: int) -> Data:
    """A tenth of the training examples, drawn with a seed, takes the place of the test examples."""
    order = np.random.default_rng(seed).permutation(len(data.train[0]))
    cut = len(order) // 10
    train, test = (tuple(part[rows] for part in data.train) for rows in (order[cut:], order[:cut]))
    return replace(data, train=train, test=test)


def classified(F: Any, model: Any, x: Any, y: Any) -> Any:
    """Cross-entropy of logits (…, classes) and labels (…); labels of -100 do not count."""
    logits = model(x)
    logits = logits[0] if isinstance(logits, tuple) else logits
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def logits(F: Any, model: Any, x: Any, *more: Any) -> Any:
    """What the model says of a batch."""
    return model(x)


def accuracy(side: Any, data: Data) -> float:
    """The share of test examples, in percent, whose largest logit is that of their class."""
    found = side.over(logits, data.test[:1]).argmax(1)
    return 100.0 * float((found == data.test[1]).mean())


def mean_loss(side: Any, data: Data) -> float:
    """The mean of `classified` over the test examples, which count alike."""
    size = side.recipe.batch
    whole = len(data.test[0]) // size * size
    parts = [
        side.loss_of(tuple(part[i : i + size] for part in data.test)) for i in range(0, whole, size)
    ]
    return float(np.mean(parts))


def constant(done: float) -> float:
    """The same rate all the time."""
    return 1.0


def one_cycle(done: float) -> float:
    """From 0 up to the rate in a quarter of the steps, and down to 0 along a cosine."""
    up = 0.25
    return done / up if done < up else 0.5 + 0.5 * math.cos(math.pi * (done - up) / (1 - up))


def as_they_are(random: np.random.Generator, batch: Arrays) -> Arrays:
    """No augmentation."""
    return batch


@dataclass(frozen=True)
class Recipe:
    """One run.

    `data` gets the folder with the real sets, or None for small generated ones of the same kind.
    `ours` and `theirs` build the models from the data and a probability of dropout; PyTorch's also
    gets our starting values and must take all of them.
    """

    name: str
    about: str
    data: Callable[[Path | None], Data]
    ours: Callable[[Data, float], Any]
    theirs: Callable[[Data, float, State], Any]
    epochs: int
    batch: int
    optimizer: str
    settings: Mapping[str, float]
    goal: str
    """What is asked for, in words."""
    met: Callable[[float, float], bool]
    """Whether our figure, beside PyTorch's, is what is asked for."""
    above: str = ""
    """Another run, whose figure of ours this one's must exceed; empty if none."""
    share: float = math.inf
    """Of PyTorch's processor seconds, at most this share may be ours."""
    needs: tuple[str, ...] = ()
    """The folders of the real data."""
    published: str = ""
    loss: Callable[..., Any] = classified
    figure: Callable[[Any, Data], float] = accuracy
    unit: str = "%"
    validation: Callable[[Data, int], Data] = held_out
    """The data as a recipe is chosen on them: other test examples, of those to train on."""
    rate: Callable[[float], float] = constant
    augment: Callable[[np.random.Generator, Arrays], Arrays] = as_they_are
    dropout: float = 0.0
    tolerance: float = 1e-4
    """So much of a loss may the two differ in the first steps."""
    checked: int = 20
    """The number of first steps whose losses are compared."""
    precise: bool = False
    """Whether these losses are compared in float64, too, where they must agree to 1e-9."""
    long: bool = False
    """Whether it takes more than some minutes, so that it is only run when it is named."""

    def steps(self, data: Data) -> int:
        """The steps of one epoch: whole batches only."""
        return len(data.train[0]) // self.batch

    def batches(self, data: Data, seed: int, epoch: int) -> Iterator[Arrays]:
        """The batches of an epoch, drawn without replacement, the same for everyone."""
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(data.train[0]))
        for i in range(self.steps(data)):
            rows = order[i * self.batch : (i + 1) * self.batch]
            yield self.augment(random, tuple(part[rows] for part in data.train))

    def rate_at(self, step: int, total: int) -> float:
        """The learning rate of a step."""
        return self.settings["lr"] * self.rate(step / total)


def at_least(value: float) -> Callable[[float, float], bool]:
    """Our figure reaches a value."""
    return lambda ours, theirs: ours >= value


def near(points: float) -> Callable[[float, float], bool]:
    """Our figure is no more than some points below PyTorch's."""
    return lambda ours, theirs: ours >= theirs - points


def loss_within(share: float) -> Callable[[float, float], bool]:
    """Our loss is above PyTorch's by no more than a share of it."""
    return lambda ours, theirs: ours <= theirs * (1 + share)
