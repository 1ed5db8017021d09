"""Why a gradient is wrong: every usual mistake makes a prediction, and these are compared.

A cause is a prediction of what a backward with that mistake returns, computed from the measured
Jacobian and the values of the forward pass, at several points with random upstream gradients. A
cause that predicts what was got in every element of every trial fits; fitting causes are ranked by
simplicity. If none fits, none is named.
"""

from __future__ import annotations

from ...op import Op
from .case import ONE_OF_A_KIND, PLAIN, Case, Cause
from .experiment import Answer, Experiment
from .factors import factors
from .last_resorts import exchanges
from .paths import derivatives, pairs, paths
from .simple import simple

#: Where the mistakes are looked for, in this order, until some fit.
STAGES = (simple, factors, paths, pairs, exchanges, derivatives)
#: Causes that are named at most.
MOST = 5


def explain(
    experiment: Experiment, op: Op, answers: list[Answer], k: int, *, brief: bool = False
) -> list[Cause]:
    """The causes that fit the gradient of input k, the simplest first; `brief`: only such as need
    no knowledge of the op.
    """
    chosen = [
        (t, a) for t, a in zip(experiment.trials, answers, strict=True)
        if not t.ties and a.gradients[k] is not None
    ]  # fmt: skip
    if not chosen:
        return []
    trials = [t for t, _ in chosen]
    whole = [a.gradients[k] for _, a in chosen]
    got = [
        g.reshape(-1)[t.columns[k].index]  # type: ignore[union-attr]
        for t, g in zip(trials, whole, strict=True)
    ]
    case = Case(experiment, op, k, trials, got, whole)  # type: ignore[arg-type]
    found: list[Cause] = []
    for stage in STAGES[:1] if brief else STAGES:
        for cause, predict in stage(case):
            error = case.fits(predict)
            if error is None:
                continue
            cause.input = case.name
            elements = sum(len(g) for g in got)
            cause.evidence = cause.evidence or (
                f"predicts all {elements} elements at {len(trials)} points "
                f"(off by at most {error:.0e})"
            )
            found.append(cause)
        if found and (stage is not simple or min(c.rank for c in found) < PLAIN):
            break
    unique: dict[tuple[str, str], Cause] = {}
    for cause in sorted(found, key=lambda c: c.rank):
        title = "" if cause.kind in ONE_OF_A_KIND else cause.title
        unique.setdefault((cause.kind, title), cause)
    return list(unique.values())[:MOST]
