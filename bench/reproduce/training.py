"""Check that both sides compute the same, then train them in turns, epoch by epoch, and judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .recipe import Arrays, Data, Recipe
from .sides import SIDES, Backlit, PyTorch, Settings, starting


@dataclass
class Outcome:
    """What one side reached with one seed. Seconds are those of training, evaluation left out."""

    figure: float = float("nan")
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of processors, of all threads."""
    first: float = 0.0
    """Seconds of the first step, which are part of `seconds`; Backlit compiles in it."""
    losses: list[float] = field(default_factory=list)
    """The last loss of each epoch."""


#: So much of a loss may the two differ in float64.
ROUNDING = 1e-9


class DisagreementError(Exception):
    """The two sides do not compute the same."""


def first_losses(
    recipe: Recipe,
    data: Data,
    seed: int = 0,
    steps: int | None = None,
    compiled: bool = True,
    double: bool = False,
) -> list[list[float]]:
    """The losses of the first steps of both sides, without dropout: from one start, on one order.

    The learning rates are those at the beginning of a whole training; `double` computes in float64.
    """
    state = starting(recipe, data, seed)
    count = recipe.checked if steps is None else steps
    batches: list[Arrays] = []
    epoch = 0
    while len(batches) < count:
        batches += recipe.batches(data, seed, epoch)
        epoch += 1
    total = recipe.epochs * recipe.steps(data)
    curves = []
    for make in SIDES:
        side = make(recipe, data, state, seed, 0.0, compiled, double)
        curves.append(
            [
                float(side.step(batch, recipe.rate_at(i, total)))
                for i, batch in enumerate(batches[:count])
            ]
        )
    return curves


def difference(recipe: Recipe, curves: list[list[float]], tolerance: float | None = None) -> float:
    """The largest difference of two losses, as a share; DisagreementError if it is too large."""
    tolerance = recipe.tolerance if tolerance is None else tolerance
    ours, theirs = map(np.asarray, curves)
    apart = np.abs(ours - theirs) / np.abs(theirs)
    if not (apart <= tolerance).all():
        step = int(np.argmax(~(apart <= tolerance)))
        raise DisagreementError(
            f"{recipe.name}: the losses of step {step + 1} must differ by at most "
            f"{tolerance:g} of theirs, got {ours[step]:.7g} (backlit) and "
            f"{theirs[step]:.7g} (pytorch)"
        )
    return float(apart.max())


def train(
    recipe: Recipe,
    data: Data,
    seed: int,
    epochs: int | None = None,
    settings: Settings | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Outcome]:
    """Both sides from one start on the same batches; whose turn comes first, alternates.

    `settings` are PyTorch's.

    Fewer `epochs` than the recipe's have its whole schedule.
    """
    state = starting(recipe, data, seed)
    epochs = recipe.epochs if epochs is None else epochs
    total = epochs * recipe.steps(data)
    sides = [
        Backlit(recipe, data, state, seed),
        PyTorch(recipe, data, state, seed, settings=settings),
    ]
    outcomes = {side.name: Outcome() for side in sides}
    for epoch in range(epochs):
        for side in sides[:: 1 if epoch % 2 == 0 else -1]:
            outcome = outcomes[side.name]
            _epoch(recipe, data, seed, epoch, total, side, outcome)
            if (epoch + 1) * 10 // epochs == epoch * 10 // epochs:
                continue
            say(
                f"{recipe.name}, seed {seed}, epoch {epoch + 1} of {epochs}: {side.name} "
                f"loss {outcome.losses[-1]:.4f}, {outcome.seconds:.1f} s"
            )
    for side in sides:
        outcomes[side.name].figure = recipe.figure(side, data)
        say(f"{recipe.name}, seed {seed}: {side.name} {outcomes[side.name].figure:.4f}")
    return outcomes


def validate(recipe: Recipe, data: Data, seed: int) -> float:
    """Backlit's figure on a part of the training examples, for choosing a recipe."""
    data = recipe.validation(data, seed)
    side = Backlit(recipe, data, starting(recipe, data, seed), seed)
    outcome = Outcome()
    for epoch in range(recipe.epochs):
        _epoch(recipe, data, seed, epoch, recipe.epochs * recipe.steps(data), side, outcome)
    return recipe.figure(side, data)


def _epoch(
    recipe: Recipe, data: Data, seed: int, epoch: int, total: int, side: Any, outcome: Outcome
) -> None:
    batches = recipe.batches(data, seed, epoch)
    before = epoch * recipe.steps(data)
    began, cpu = time.perf_counter(), time.process_time()
    for i, batch in enumerate(batches):
        loss = side.step(batch, recipe.rate_at(before + i, total))
        if not outcome.first:
            float(loss)
            outcome.first = time.perf_counter() - began
    outcome.losses.append(float(loss))
    outcome.seconds += time.perf_counter() - began
    outcome.cpu += time.process_time() - cpu
