"""Which elements of a gradient are wrong: what a backward returned beside what was measured."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from ...op import Op
from .experiment import KINKS, Answer, Experiment, Trial, answer
from .numeric import _EPS, along, measure, typical_size, value_at

#: An element agrees if it is off by at most this much of the largest, beyond its error band.
RTOL = 1e-6
#: At how many points, how far away (of the inputs' size), and how long an element is looked at
#: again that is wrong without a kink in sight.
_NEARBY, _AWAY, _SECONDS = 7, 1e-3, 5.0


@dataclass
class Finding:
    """The verdict on one input of one op: `wrong` elements with what they are and should be."""

    position: int
    name: str
    wrong: int = 0
    compared: int = 0
    worst: str = ""
    ties_only: bool = False
    ratio: float = 1.0  # at ties: what the tied elements get, of what they should get together


def compare(experiment: Experiment, op: Op, answers: list[Answer], k: int) -> Finding:
    """Compare one input's gradient with the measured one, at every trial."""
    finding = Finding(k, experiment.names[k])
    largest, smooth_wrong = 0.0, 0
    for trial, given in zip(experiment.trials, answers, strict=True):
        got_all = given.gradients[k]
        if got_all is None:
            continue
        columns = trial.columns[k]
        got = got_all.reshape(-1)[columns.index]
        want, band = trial.want(k), columns.pulled_band(trial.upstream)
        scale = max(np.max(np.abs(want), initial=0.0), 1e-12)
        rounding = _EPS[experiment.precision] if experiment.precision != "float64" else 0.0
        allowed = RTOL * scale + 3 * band + 4 * rounding * scale
        low, high = columns.interval(trial.upstream)
        off = np.maximum(low - got, got - high)
        off = np.where(np.isfinite(got), np.maximum(off, 0), np.inf)
        usable = ~columns.any_unknown()
        if trial.ties or not np.isfinite(trial.y).all():
            # a point that nobody gave, where the formula may have a 0 / 0; or 0 · ∞ of what is ∞
            usable &= np.isfinite(got)
        bad = usable & (off > allowed)
        excused = excused_rows(experiment, op, trial, k, got, bad)
        bad[excused], usable[excused] = False, False
        finding.compared += int(usable.sum())
        finding.wrong += int(bad.sum())
        smooth_wrong += int(bad.sum()) * (not trial.ties)
        if bad.any():
            relative = float(np.max(np.where(bad, off, 0)) / scale)
            if relative > largest:
                largest = relative
                row = int(np.argmax(np.where(bad, off, -1)))
                shape = trial.inputs[k].shape
                where = [int(i) for i in np.unravel_index(columns.index[row], shape)]
                finding.worst = (
                    f"{experiment.names[k]}{where if where else ''}: got {got[row]:.7g}, "
                    f"should be {want[row]:.7g} ± {max(band[row], 1e-12 * scale):.1g}"
                )
    finding.ties_only = finding.wrong > 0 and smooth_wrong == 0
    return finding


def excused_rows(
    experiment: Experiment, op: Op, trial: Trial, k: int, got: np.ndarray, bad: np.ndarray
) -> list[int]:
    """Rows that are wrong at this very point only: there is a kink that no single element shows.

    A wrong derivative is wrong nearby, too. One that is right at most points a little way off, and
    here no larger than slopes there are, is a choice: of the median of equals one may take all, and
    of three equal eigenvalues each may be the one that an element moves.
    """
    columns = trial.columns[k]
    rows = np.flatnonzero(bad & np.isfinite(got))
    excused: list[int] = []
    rng, start = np.random.default_rng(0), time.perf_counter()
    for row in rows if rows.size else ():
        right = wrong = 0
        here = np.stack([columns.low[row], columns.high[row]])
        steepest, moved = [here.min(), here.max()], (here != 0).any(0)
        away: dict[int, np.ndarray] = {}
        for turn in range(_NEARBY):  # to one side, then to the other
            away = {
                j: -away[j] if turn % 2 else rng.uniform(-1, 1, trial.inputs[j].shape)
                for j in trial.columns
            }
            near = _measured_near(experiment, op, trial, k, columns.index[row], away)
            if near is None:
                continue
            fits, slopes = near
            right, wrong = right + fits, wrong + (not fits)
            steepest += [slopes.min(), slopes.max()]
            moved |= np.abs(slopes) > 1e-6 * np.abs(slopes).max()
            if wrong > 1 or time.perf_counter() - start > _SECONDS:
                return excused
        low, high = min(0.0, *steepest), max(0.0, *steepest)
        sides = np.sort([trial.upstream * low, trial.upstream * high], axis=0) * moved
        least, most = (float(s.sum()) for s in sides)
        slack = 1e-3 * (most - least)
        if right <= 1 or not least - slack <= got[row] <= most + slack:
            return excused
        excused.append(int(row))
    if excused:
        columns.unknown[excused] = True
        trial.memory.pop(("smooth", k), None)
        if KINKS not in experiment.notes:
            experiment.notes.append(KINKS)
    return excused


def _measured_near(
    experiment: Experiment, op: Op, trial: Trial, k: int, flat: int, away: dict[int, np.ndarray]
) -> tuple[bool, np.ndarray] | None:
    """Whether one element's gradient is right a little way off, and the slopes of the outputs
    there.
    """
    point = tuple(
        x + _AWAY * typical_size(x) * away[j] if j in away else x
        for j, x in enumerate(trial.inputs)
    )
    y = value_at(experiment.forward, point, trial.y.shape)
    if not np.isfinite(y).all():
        return None
    columns = measure(
        experiment.forward, point, k, np.array([flat]), y, experiment.steps,
        _EPS[experiment.precision],
    )  # fmt: skip
    gradient = answer(op, Trial(point, y, trial.upstream, {}), trial.upstream).gradients[k]
    if gradient is None or columns.any_unknown().any():
        return None
    low, high = columns.interval(trial.upstream)
    band = 3 * columns.pulled_band(trial.upstream) + RTOL * np.abs(columns.jacobian).max()
    value = gradient.reshape(-1)[flat]
    fits = bool((low - band <= value).all() and (value <= high + band).all())
    return fits, columns.jacobian[0]


def compare_ties(experiment: Experiment, op: Op, finding: Finding, k: int) -> None:
    """At a kink each share is free, but where moving all tied elements together is smooth their
    shares must add up to that derivative.
    """
    for trial in experiment.trials:
        kinked = {
            j: np.zeros(trial.inputs[j].size) for j in trial.columns if trial.columns[j].kink.any()
        }
        if k not in kinked or any(
            len(trial.columns[j].index) < trial.inputs[j].size for j in kinked
        ):
            continue
        for j, v in kinked.items():
            v[trial.columns[j].index[trial.columns[j].any_kink()]] = 1.0
        direction = {j: v.reshape(trial.inputs[j].shape) for j, v in kinked.items()}
        size = max(float(np.max(np.abs(trial.inputs[k]))), 1e-3) * 1e-5
        sides = [
            experiment.forward(
                *[x + s * direction[j] if j in direction else x for j, x in enumerate(trial.inputs)]
            )
            for s in (size, -size)
        ]
        plus, minus = (sides[0] - trial.y) / size, (trial.y - sides[1]) / size
        smooth = np.abs(plus - minus) <= 1e-3 * np.maximum(np.abs(plus), 1e-6)
        touched = sum(
            c.kink.reshape(len(c.index), -1).any(0).reshape(trial.y.shape)
            for c in trial.columns.values()
        )
        upstream = np.where(smooth & (np.asarray(touched) > 0), trial.upstream, 0.0)
        should, band = along(experiment.forward, trial.inputs, direction, upstream)
        gradients = answer(op, trial, upstream).gradients
        if any(gradients[j] is None for j in direction):
            continue
        found = sum(float(np.sum(gradients[j] * v)) for j, v in direction.items())
        total = float(np.sum(np.abs(upstream * 0.5 * (plus + minus))))
        if total > 0 and abs(found - should) > 1e-4 * total + 3 * band:
            finding.wrong += 1
            finding.ties_only = True
            finding.ratio = found / should if should else math.inf
            finding.worst = (
                f"the {int(sum(v.sum() for v in direction.values()))} tied elements get "
                f"{found:.5g} together, should be {should:.5g}"
            )
            return
