"""The same function at inputs of other sizes: there N is not C, and no 3 is a number of rows.

What is right only because two sizes happen to be equal is wrong at these points.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...op import Op
from .experiment import Experiment, Trial, answer
from .numeric import along, projection
from .work import Work, cost_of

#: As many points of other sizes are looked for, with so much work; above so many elements none is.
POINTS, WORK, LARGEST = 8, 8000, 2000
#: About as many calls of the forward measure one slope.
_CALLS = 12
#: How many of the axes that are as long as another are told apart.
_ALIKE = 5
_RTOL = 1e-5


class OtherSizes:
    """Points at which some axes are longer than in an experiment, with measured slopes."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.points = list(self._points())

    def _points(self) -> Iterator[tuple[Trial, dict[int, np.ndarray], dict[int, float]]]:
        """A trial, and for each position a direction with the slope along it."""
        given = experiment_inputs(self.experiment)
        if sum(np.size(x) for x in given) > LARGEST:
            return
        rng, work, found = np.random.default_rng(7), Work(WORK), 0
        cost = cost_of(lambda: self.experiment.forward(*given), *given)
        for places in _longer(given):
            if work.over or found == POINTS:
                return
            inputs = tuple(_grown(x, k, places, rng) for k, x in enumerate(given))
            point = self._measured(inputs, rng)
            work.spend(cost * (1 + _CALLS * len(self.experiment.positions) * (point is not None)))
            if point is not None:
                found += 1
                yield point

    def _measured(
        self, inputs: tuple[Any, ...], rng: np.random.Generator
    ) -> tuple[Trial, dict[int, np.ndarray], dict[int, float]] | None:
        forward = self.experiment.forward
        try:
            y = forward(*inputs)
            if y.dtype.kind != "f" or not np.isfinite(y).all():
                return None
            trial = Trial(inputs, y, projection(y, rng), {})
            directions, slopes = {}, {}
            for k in self.experiment.positions:
                v = rng.standard_normal(inputs[k].shape)
                slope, band = along(forward, inputs, {k: v}, trial.upstream)
                if not band <= 1e-6 * max(abs(slope), 1e-6):
                    continue
                directions[k], slopes[k] = v, slope
        except Exception:  # whatever a user's forward raises at sizes that it was not made for
            return None
        return (trial, directions, slopes) if slopes else None

    def failures(self, op: Op, positions: frozenset[int]) -> list[bool | None]:
        """At which of the points the backward of `op` is wrong; None: nothing was measured."""
        found: list[bool | None] = []
        for trial, directions, slopes in self.points:
            looked = [k for k in positions if k in slopes]
            sent = answer(op, trial, trial.upstream) if looked else None
            if sent is None:
                found.append(None)
                continue
            wrong = sent.error is not None
            for k in () if wrong else looked:
                g = sent.gradients[k]
                if g is None or g.shape != trial.inputs[k].shape:
                    wrong = True
                    continue
                terms = g * directions[k]
                norm = float(np.sqrt(np.sum(terms * terms))) + abs(slopes[k])
                wrong |= not abs(float(terms.sum()) - slopes[k]) <= _RTOL * norm
            found.append(wrong)
        return found


def ratios(experiment: Experiment, op: Op, k: int) -> list[tuple[Trial, float]]:
    """How many times what it should be the gradient of input k is at inputs of other sizes."""
    found = []
    for trial, directions, slopes in OtherSizes(experiment).points:
        if k not in slopes:
            continue
        g = answer(op, trial, trial.upstream).gradients[k]
        if g is not None and g.shape == trial.inputs[k].shape and abs(slopes[k]) > 1e-6:
            found.append((trial, float((g * directions[k]).sum()) / slopes[k]))
    return found


def experiment_inputs(experiment: Experiment) -> tuple[Any, ...]:
    """The inputs of an experiment, at the first of its points that is near the given one."""
    trials = [t for t in experiment.trials if not t.ties]
    return trials[min(1, len(trials) - 1)].inputs


def _longer(given: tuple[Any, ...]) -> Iterator[frozenset[tuple[int, int]]]:
    """The sets of (input, axis) that are made longer together: all of them had one length."""
    alike: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for k, x in enumerate(given):
        for axis, n in enumerate(np.shape(x)):
            if n > 1:
                alike[n].append((k, axis))
    sets = [
        frozenset(chosen)
        for places in alike.values()
        if len(places) <= _ALIKE
        for count in range(1, len(places) + 1)
        for chosen in itertools.combinations(places, count)
    ]
    yield from sorted(sets, key=len)


def _grown(x: Any, k: int, places: frozenset[tuple[int, int]], rng: np.random.Generator) -> Any:
    """An input with some axes longer: by its own elements, floats a little moved."""
    if not isinstance(x, np.ndarray):
        return x
    for axis in range(x.ndim):
        if (k, axis) in places:
            n = x.shape[axis]
            x = np.take(x, np.arange(n + max(2, n // 2)) % n, axis=axis)
    return x * rng.uniform(0.9, 1.1, x.shape) if x.dtype.kind == "f" else x
