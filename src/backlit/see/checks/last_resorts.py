"""The last resorts: exchanged values, turned inputs, pairs of factors."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import FIT, RANKS, Candidate, Case, Cause, Covered, Prediction, given
from .experiment import Trial, answer
from .factors import times
from .paths import tape_of
from .quantities import Quantity, quantities
from .simple import permutations, subsets


def exchanges(case: Case) -> Iterator[Candidate]:
    """Values exchanged, inputs turned, one factor in the place of another."""
    yield from _saved_exchanged(case)
    yield from _turned(case)
    yield from _replaced(case)


def _saved_exchanged(case: Case) -> Iterator[Candidate]:
    """The user's own backward is right if it is given its saved values in another order."""
    k = case.position
    for one, two in itertools.combinations(range(len(case.op.saves)), 2):
        good = True
        for t in case.trials:
            saved = list(case.op.save(t.inputs, t.y))
            if np.shape(saved[one]) != np.shape(saved[two]) or not np.shape(saved[one]):
                good = False
                break
            saved[one], saved[two] = saved[two], saved[one]
            g = answer(case.op, t, t.upstream, saved).gradients[k]
            want = t.want(k)
            scale = max(np.max(np.abs(want), initial=0), 1e-30)
            if g is None or not np.allclose(
                g.reshape(-1)[t.columns[k].index], want, rtol=0, atol=FIT * scale
            ):
                good = False
                break
        if good:
            a, b = case.op.saves[one], case.op.saves[two]
            yield (
                Cause("inputs exchanged", f"{a} and {b} are exchanged in backward: with the other "
                      f"order the gradient of {case.name} is right",
                      rank=RANKS["saved values exchanged"],
                      fix=f"take the saved values in the order {case.op.saves}"),
                lambda t: given(case, t),
            )  # fmt: skip


def _turned(case: Case) -> Iterator[Candidate]:
    """Right, if another input were flipped or transposed."""
    k = case.position
    if not case.complete or case.trials[0].inputs[k].size > 120:
        return
    trial = case.trials[0]
    for j in case.experiment.positions:
        other = trial.inputs[j]
        if j == k or other.ndim < 2:
            continue
        name = case.experiment.names[j]
        turns: list[tuple[str, str, Any]] = []
        for axes in subsets(other.shape):
            kind = "kernel not flipped" if min(axes) >= 2 else "flipped"
            turns.append((kind, f"flipped along axis {', '.join(map(str, axes))}",
                          lambda v, a=axes: np.flip(v, a)))  # fmt: skip
        for perm in permutations(other.shape):
            if tuple(other.shape[a] for a in perm) == other.shape:
                turns.append(("transposed", f"with its axes in the order {perm}",
                              lambda v, p=perm: v.transpose(p)))  # fmt: skip
        for kind, text, turn in turns:
            yield (
                Cause(kind, f"{name} is the wrong way round in the gradient of {case.name}: it "
                      f"is right with {name} {text}", rank=RANKS["input turned"]),
                lambda t, j=j, turn=turn: _with_turned(case, t, j, turn),
            )  # fmt: skip


def _with_turned(
    case: Case, t: Trial, j: int, turn: Callable[[np.ndarray], np.ndarray]
) -> Prediction:
    """uᵀ J at the point where input j is turned: exact for what is linear in input k."""
    k = case.position
    inputs = list(t.inputs)
    inputs[j] = np.ascontiguousarray(turn(inputs[j]))
    result = np.zeros(len(t.columns[k].index))
    x = inputs[k]
    for row, flat in enumerate(t.columns[k].index):
        h = 1e-5 * max(abs(x.flat[flat]), 0.1)
        values = []
        for s in (h, -h):
            moved = x.copy()
            moved.flat[flat] += s
            inputs[k] = moved
            values.append(case.experiment.forward(*inputs))
        if values[0].shape != t.upstream.shape:
            return None
        result[row] = float(np.sum(t.upstream * (values[0] - values[1]))) / (2 * h)
    return result


def _replaced(case: Case) -> Iterator[Candidate]:
    """One quantity where another belongs, or two factors at once."""
    k, name = case.position, case.name
    tape = next(iter([tape_of(case, t) for t in case.trials]))
    known = [
        q for q in quantities(case.op, case.trials, case.experiment.names, k, tape is not None)
        if q.side == "input" and not q.mask
    ]  # fmt: skip
    trial, got = case.trials[0], case.got[0]
    usable, scale = trial.smooth(k), max(np.max(np.abs(got), initial=0), 1e-30)

    def near(predict: Callable[[Trial], Covered]) -> bool:
        """Whether a prediction fits at the first point, where most are dropped."""
        p, mask = predict(trial)
        mask = mask & usable
        return bool(mask.any() and (np.abs(p - got)[mask] <= FIT * scale).all())

    for top, bottom in itertools.permutations(known, 2):
        if top.name == bottom.name:
            continue
        ratio = functools.partial(_two_factors, k=k, one=top, a=1, two=bottom, b=-1)
        if near(ratio):
            yield (
                Cause("factor replaced", f"{top.name} stands where {bottom.name} belongs in the "
                      f"gradient of {name}", rank=RANKS["factor replaced"] + top.rank + bottom.rank,
                      detail={"factor": top.name, "instead of": bottom.name},
                      fix=f"use {bottom.name} instead of {top.name}"),
                ratio,
            )  # fmt: skip
    for one, two in itertools.combinations_with_replacement(known, 2):
        for power, kind, verb in ((1, "factor extra", "has"), (-1, "factor missing", "lacks")):
            product = functools.partial(_two_factors, k=k, one=one, a=power, two=two, b=power)
            if near(product):
                yield (
                    Cause(kind, f"the gradient of {name} {verb} the factor {one.name} · {two.name}",
                          rank=RANKS["two factors"] + one.rank + two.rank,
                          detail={"factor": f"{one.name} · {two.name}"}),
                    product,
                )  # fmt: skip


def _two_factors(t: Trial, k: int, one: Quantity, a: int, two: Quantity, b: int) -> Covered:
    """What is got with two factors in the gradient, each once too often (1) or too rarely (-1)."""
    first, mask = times(t, k, one, a)
    with np.errstate(all="ignore"):
        f = np.broadcast_to(two.of(t), t.inputs[k].shape).reshape(-1)[t.columns[k].index]
        if np.isnan(f).any() or np.isnan(first[mask]).any():
            return np.full(len(f), np.nan), np.ones(len(f), bool)
        p = first * f if b > 0 else first / f
    want = np.abs(t.want(k))  # what has a gradient where a factor of it is 0 has no such factor
    known = mask & (np.isfinite(p) | (want > FIT * np.max(want, initial=0.0)))
    return np.where(np.isfinite(p), p, 0), known
