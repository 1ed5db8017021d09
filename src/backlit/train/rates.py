"""Which learning rates a training can take: the range test."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array_api.arguments import number, whole
from ..errors import ArgumentError
from ..see.show.charts import Chart
from .arguments import used_up
from .batch import as_batch
from .parts import all_parts
from .step import Step
from .training import Training

#: How much of the smoothed loss stays from one step to the next; from which multiple of its best
#: value on the training has diverged; the steps before which nothing is suggested.
SMOOTHING, DIVERGED, FIRST = 0.9, 4.0, 5


@dataclass(frozen=True, repr=False)
class RateRange:
    """The losses of steps with rising learning rates. `suggestion` is None where nothing fell."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None

    def __repr__(self) -> str:
        said = "none: no loss fell" if self.suggestion is None else f"{self.suggestion:.3g}"
        return (
            f"RateRange({len(self.rates)} steps from {self.rates[0]:.3g} to {self.rates[-1]:.3g}, "
            f"suggestion: {said})"
        )

    def _repr_html_(self) -> str:
        """The losses over the rates, on a logarithmic axis."""
        powers = np.log10(self.rates)
        known = [v for v in self.losses if math.isfinite(v)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        said = "no suggestion" if self.suggestion is None else f"suggestion {self.suggestion:.3g}"
        span = float(powers[0]), float(powers[-1])
        chart = Chart(span, (low, high), f"Learning-rate range: {said}", "log₁₀ rate", "loss")
        chart.line(powers, self.losses, "loss", faint=True)
        chart.line(powers, self.smoothed, "smoothed")
        if self.suggestion is not None:
            at = math.log10(self.suggestion)
            chart.line([at, at], [low, high], "suggestion", style=5)
        return chart.svg()


def find_lr(
    training: Training,
    step: Step,
    loader: Iterable[Any],
    *,
    lowest: float,
    highest: float,
    steps: int,
) -> RateRange:
    """Train with rates from the lowest to the highest, and put everything back: see `Trainer`."""
    low, high = number("find_lr: lowest", lowest), number("find_lr: highest", highest)
    if not 0 < low < high < math.inf:
        raise ArgumentError(f"find_lr: 0 < lowest < highest must hold, got {low:g} and {high:g}")
    steps = whole("find_lr: steps", steps, 2)
    groups = [g for o in training.optimizers.values() for g in o.param_groups]
    shares = [float(g["lr"]) / training.first_rate if training.first_rate else 1.0 for g in groups]
    rates, losses, smoothed = [], [], []
    mean, best = 0.0, math.inf
    with _kept(training, loader):
        training.model.train()
        found = _losses(step, loader)
        for i in range(steps):
            rate = low * (high / low) ** (i / (steps - 1))
            for group, share in zip(groups, shares, strict=True):
                group["lr"] = rate * share
            loss = next(found)
            if not math.isfinite(loss):
                break
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            rates.append(rate)
            losses.append(loss)
            smoothed.append(mean / (1 - SMOOTHING ** (i + 1)))
            best = min(best, smoothed[-1])
            if i >= FIRST and smoothed[-1] > DIVERGED * abs(best):
                break
    if not rates:
        raise ArgumentError(
            f"find_lr: the first loss must be finite, got {loss} with the rate {low:g}; look at "
            "the data, or take a smaller one as lowest"
        )
    return RateRange(rates, losses, smoothed, _steepest(rates, smoothed))


def _losses(step: Step, loader: Iterable[Any]) -> Iterator[float]:
    """The losses of steps over a loader that begins again and again."""
    while True:
        none = True
        for batch in loader:
            none = False
            taken = step.take(as_batch(batch))
            if taken.updated is not None or not math.isfinite(taken.loss):
                yield taken.loss if taken.updated is None else taken.updated
        last = step.finish()
        if last is not None:
            yield last
        if none:
            raise ArgumentError(
                f"find_lr: the loader must give batches again and again{used_up(loader)}"
            )


def _steepest(rates: list[float], smoothed: list[float]) -> float | None:
    """The rate at which the smoothed loss falls fastest, over the logarithm of the rate."""
    last = int(np.argmin(smoothed)) + 1
    if last - FIRST < 2:
        return None
    slopes = np.gradient(smoothed[:last], np.log(rates[:last]))[FIRST:]
    return rates[FIRST + int(np.argmin(slopes))] if slopes.min() < 0 else None


@contextmanager
def _kept(training: Training, loader: Iterable[Any]) -> Iterator[None]:
    """A block after which the training, the loader and all random numbers are as before."""
    parts = all_parts(training, (), loader, None)
    before = {name: part.state_dict() for name, part in parts.items()}
    progress, was_training = dict(vars(training.accumulation)), training.model.training
    gradients = [(p, p.grad) for p in training.trained()]
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        for name, value in progress.items():
            setattr(training.accumulation, name, value)
        for p, gradient in gradients:
            p.grad = gradient
        training.model.train(was_training)
        random.setstate(python)
        np.random.set_state(numpy)
