"""A factor or a mask too many or too few."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from .case import FIT, RANKS, Candidate, Case, Cause, Covered, Prediction, given
from .experiment import Trial
from .numeric import contract
from .quantities import Quantity, quantities
from .simple import constant_names


def factors(case: Case) -> Iterator[Candidate]:
    """Every quantity of the forward pass, in the gradient once too often or too rarely."""
    k, name = case.position, case.name
    for q in quantities(case.op, case.trials, case.experiment.names, k):
        if q.mask:
            yield (
                Cause("mask extra", f"the gradient of {name} is masked by [{q.name}]: it gets "
                      "nothing where that does not hold, and must get something there, too",
                      rank=RANKS["mask extra"] + q.rank, detail={"factor": q.name},
                      fix=f"give {name} its gradient where not [{q.name}], too"),
                lambda t, q=q: times(t, k, q, +1),
            )  # fmt: skip
            continue
        for power, kind in ((1, "factor extra"), (-1, "factor missing")):
            predict = functools.partial(times, k=k, q=q, power=power)
            verb = "has the factor {} too many" if power > 0 else "lacks the factor {}"
            yield (
                Cause(kind, f"the gradient of {name} {verb.format(q.name)}",
                      rank=RANKS["factor"] + q.rank,
                      detail={"factor": q.name},
                      fix=f"{'divide' if power > 0 else 'multiply'} by {q.name}"),
                predict,
            )  # fmt: skip
            c = _best_constant(case, predict)
            if c is None or abs(c - 1) < 1e-6:
                continue
            names, _ = constant_names(case, abs(c if power > 0 else 1 / c))
            shown = c if power > 0 else 1 / c
            text = ("−" if c < 0 else "") + (names[0] if names else f"{abs(shown):.5g}")
            named = names or abs(c + 1) < 1e-6
            mistake = "factor and constant" if named else "factor and nameless constant"
            text = "−" + q.name if abs(c + 1) < 1e-6 else f"{text} · {q.name}"
            yield (
                Cause(kind, f"the gradient of {name} {verb.format(text)}",
                      rank=RANKS[mistake] + q.rank,
                      detail={"factor": q.name, "constant": shown}),
                lambda t, c=c, predict=predict: _scaled(c, predict(t)),
            )  # fmt: skip
    yield (
        Cause("mask missing", f"a mask is missing: the gradient reaches elements of {name} that "
              "the forward blocked, and is right in all others", rank=RANKS["mask missing"],
              fix="multiply by the forward's mask (where(...), x > 0, kept)"),
        lambda t: _unmasked(t, case),
    )  # fmt: skip
    yield (
        Cause("factor missing", f"the local gradient is missing: {name} gets the upstream gradient "
              "unchanged", rank=RANKS["local gradient missing"],
              detail={"factor": "local gradient"},
              fix="multiply the upstream gradient by the derivative of the forward"),
        lambda t: _passed(t, k),
    )  # fmt: skip


def some_masked(case: Case) -> Iterator[Candidate]:
    """Some elements get nothing, for a reason that is not known."""
    name = case.name
    yield (
        Cause("mask extra", f"a mask too many: some elements of {name} get no gradient, the others "
              "are right", rank=RANKS["some elements masked"]),
        lambda t: _masked(t, case),
    )  # fmt: skip


def times(t: Trial, k: int, q: Quantity, power: int) -> Covered:
    """What is got if a factor is in the gradient once too often (1) or too rarely (-1)."""
    return t.once(("times", k, q.key, power), lambda: _compute_times(t, k, q, power))


def _compute_times(t: Trial, k: int, q: Quantity, power: int) -> Covered:
    values = q.of(t)
    columns = t.columns[k]
    shape = t.inputs[k].shape
    if np.isnan(values).any():  # what is not defined everywhere was multiplied in nowhere
        return np.full(len(columns.index), np.nan), np.ones(len(columns.index), bool)
    with np.errstate(all="ignore"):
        factor = values if power > 0 else 1 / values
        if q.side == "input":
            f = np.broadcast_to(factor, shape).reshape(-1)[columns.index]
            p = t.want(k) * f
            # What has a gradient where a factor of it is 0 does not have that factor.
            known = np.isfinite(f) | (np.abs(t.want(k)) > FIT * np.max(np.abs(t.want(k))))
            p = np.where(np.isfinite(f), p, 0.0)
        else:
            f = np.broadcast_to(factor, t.y.shape)
            p = contract(columns.jacobian * np.where(np.isfinite(f), f, 0), t.upstream)
            known = np.isfinite(f).all() | np.ones(len(p), bool)
    return np.where(known, p, 0.0), known


def _scaled(c: float, prediction: Covered) -> Covered:
    values, mask = prediction
    return c * values, mask


def _best_constant(case: Case, predict: Callable[[Trial], Covered]) -> float | None:
    top = bottom = 0.0
    for t, got in zip(case.trials, case.got, strict=True):
        p, mask = predict(t)
        mask = mask & t.smooth(case.position)
        top += float(p[mask] @ got[mask])
        bottom += float(p[mask] @ p[mask])
    c = top / bottom if bottom else 0.0
    return c if math.isfinite(c) and abs(c) > 1e-9 else None


def _scale(t: Trial, k: int, got: np.ndarray) -> float:
    return max(np.max(np.abs(t.want(k)), initial=0), np.max(np.abs(got), initial=0), 1e-30)


def _unmasked(t: Trial, case: Case) -> Prediction:
    want, got = t.want(case.position), given(case, t)
    blocked = np.abs(want) <= 1e-7 * _scale(t, case.position, got)
    if not (blocked & (np.abs(got) > 1e-6)).any():
        return None
    return np.where(blocked, got, want)


def _masked(t: Trial, case: Case) -> Prediction:
    want, got = t.want(case.position), given(case, t)
    blocked = got == 0
    if blocked.all():
        return None
    return np.where(blocked, 0.0, want)


def _passed(t: Trial, k: int) -> Prediction:
    """The upstream gradient fitted to the input."""
    shape = t.inputs[k].shape
    u = t.upstream
    if u.size == t.inputs[k].size:
        whole = u.reshape(-1)
    else:
        try:
            if np.broadcast_shapes(shape, u.shape) == u.shape:
                extra = u.ndim - len(shape)
                axes = tuple(
                    a for a in range(u.ndim)
                    if a < extra or (shape[a - extra] == 1 and u.shape[a] > 1)
                )  # fmt: skip
                whole = u.sum(axes, keepdims=True).reshape(-1)
            else:
                whole = np.broadcast_to(u, shape).reshape(-1)
        except ValueError:
            return None
    return whole[t.columns[k].index] if len(whole) == t.inputs[k].size else None
