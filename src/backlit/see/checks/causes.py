"""Why a gradient is wrong: every usual mistake makes a prediction, and these are compared.

A cause is a prediction of what a backward with that mistake returns, computed from the measured
Jacobian and the values of the forward pass, at several points with random upstream gradients. A
cause that predicts what was got in every element of every trial fits; fitting causes are ranked by
simplicity. If none fits, none is named.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...op import Op
from .case import ONE_OF_A_KIND, PLAIN, Case, Cause
from .experiment import Answer, Experiment
from .factors import factors, some_masked
from .families import families
from .insides import arrivals, derivatives, inner, operands, stretches
from .last_resorts import exchanges
from .paths import paths
from .report import unnamed
from .simple import simple

#: Where the mistakes are looked for, in this order, until some fit.
STAGES = (
    simple, factors, families, paths, arrivals, derivatives, stretches, operands, inner, exchanges,
    some_masked,
)  # fmt: skip
#: No longer than these seconds of the processor, for all inputs together.
SECONDS = 8.0
#: Causes that are named at most.
MOST = 5


def explain_all(
    experiment: Experiment, op: Op, answers: list[Answer], wrong: Sequence[int], *, brief: bool
) -> list[list[Cause]]:
    """The causes for each wrong input. What fits one of them is tried first for the next, because
    one mistake often spoils several gradients.
    """
    end = time.process_time() + SECONDS
    found: dict[int, list[Cause]] = {}
    told: set[str] = set()
    sizes = {k: np.size(experiment.trials[0].inputs[k]) for k in wrong}
    for n, k in enumerate(sorted(wrong, key=lambda k: -sizes[k])):
        now = time.process_time()
        until = now + max(end - now, 1.0) / (len(wrong) - n) ** 0.5
        found[k] = explain(experiment, op, answers, k, until, told, brief=brief)
        told |= {unnamed(c.title, c.input) for c in found[k]}
    return [found[k] for k in wrong]


def case_of(experiment: Experiment, op: Op, answers: list[Answer], k: int) -> Case | None:
    """The wrong gradient of input k at the points without ties."""
    chosen = [
        (t, a) for t, a in zip(experiment.trials, answers, strict=True)
        if not t.ties and a.gradients[k] is not None
    ]  # fmt: skip
    if not chosen:
        return None
    trials = [t for t, _ in chosen]
    whole = [a.gradients[k] for _, a in chosen]
    got = [
        g.reshape(-1)[t.columns[k].index]  # type: ignore[union-attr]
        for t, g in zip(trials, whole, strict=True)
    ]
    return Case(experiment, op, k, trials, got, whole)  # type: ignore[arg-type]


def explain(
    experiment: Experiment,
    op: Op,
    answers: list[Answer],
    k: int,
    end: float,
    told: set[str],
    *,
    brief: bool,
) -> list[Cause]:
    """The causes that fit the gradient of input k, the simplest first: those that are told of
    another input, or else all that are found until the end; `brief`: only such as need no
    knowledge of the op.
    """  # fmt: skip
    case = case_of(experiment, op, answers, k)
    if case is None:
        return []
    stages = STAGES[:1] if brief else STAGES
    found: list[Cause] = []
    if told:
        for cause, predict in itertools.chain.from_iterable(stage(case) for stage in stages):
            if time.process_time() > end:
                break
            if unnamed(cause.title, case.name) in told and _fits(case, cause, predict):
                found.append(cause)
                break
    for stage in () if found else stages:
        for cause, predict in stage(case):
            if time.process_time() > end:
                break
            if _fits(case, cause, predict):
                found.append(cause)
        if found and (
            stage not in (simple, factors, families) or min(c.rank for c in found) < PLAIN
        ):
            break
    unique: dict[tuple[str, str], Cause] = {}
    for cause in sorted(found, key=lambda c: c.rank):
        title = "" if cause.kind in ONE_OF_A_KIND else cause.title
        unique.setdefault((cause.kind, title), cause)
    return list(unique.values())[:MOST]


def _fits(case: Case, cause: Cause, predict: Any) -> bool:
    """Whether a prediction fits; then the cause says so."""
    error = case.fits(predict)
    if error is None:
        return False
    cause.input = case.name
    of = "all" if case.compared == case.measured else f"{case.compared} of"
    rest = "" if case.compared == case.measured else ", of which alone it says something"
    cause.evidence = cause.evidence or (
        f"predicts {of} {case.measured} elements at {len(case.trials)} points (off by at most "
        f"{error:.0e}){rest}"
    )
    return True
