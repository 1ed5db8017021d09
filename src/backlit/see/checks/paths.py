"""The forward body with one rule broken: a path cut, a sign turned, a derivative left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...ops.reductions import Extreme
from .case import ONE_MORE, RANKS, Candidate, Case, Cause, Prediction
from .experiment import Trial
from .quantities import LOCAL_FORMS
from .unfold import Tape, unfold


def tape_of(case: Case, t: Trial) -> Tape | None:
    """The tape of the op's body at one trial."""
    return t.once("tape", lambda: unfold(case.op, t.inputs, case.experiment.names))


def _whole_tape(case: Case) -> Tape | None:
    """The tape of a body of several steps, which are not too many to try each."""
    tape = tape_of(case, case.trials[0])
    return tape if tape is not None and 1 < len(tape.steps) <= 60 else None


def _live(case: Case, tape: Tape) -> list[tuple[int, int]]:
    """The edges through which a gradient passes, but for those that stay cut."""
    shifts = _shifts(case, tape)
    return [e for e in tape.edges() if (*e, "cut") not in shifts]


def _pulled(case: Case, t: Trial, broken: tuple[Any, ...]) -> np.ndarray | None:
    tape = tape_of(case, t)
    if tape is None:
        return None

    def pull() -> list[np.ndarray | None] | None:
        try:
            return tape.pull(t.upstream, broken)
        except (ValueError, IndexError):
            return None

    pulled = t.once(("pull", broken), pull)
    if pulled is None or pulled[case.position] is None:
        return None
    return pulled[case.position].reshape(-1)[t.columns[case.position].index]


def paths(case: Case) -> Iterator[Candidate]:
    """Every single broken rule."""
    tape = _whole_tape(case)
    if tape is None:
        return
    for j, i in _live(case, tape):
        yield _broken(case, tape, ((j, i, "cut"),))
        yield _broken(case, tape, ((j, i, "negate"),))
        step = tape.steps[j]
        if np.shape(step.shapes[i]) == step.value.shape:
            yield _broken(case, tape, ((j, i, "pass"),))


def derivatives(case: Case) -> Iterator[Candidate]:
    """A derivative in the body taken for another: 1 − a where 1 − a² belongs, a = tanh(z)."""
    tape = _whole_tape(case)
    if tape is None:
        return
    for place, (j, source, value, slope) in enumerate(tape.chains()):
        whole, inner = tape.text(("step", j)), tape.text(source)
        shown = {"a": tape.steps[j].value, "z": value}
        right = next(
            (text for text, of in _local_forms() if np.allclose(of(shown), slope, 1e-9, 1e-12)), ""
        )
        for order, (text, of) in enumerate(_local_forms()):
            if text == right:
                continue
            belongs = f"{text} where {right} belongs" if right else text
            yield (
                Cause("factor replaced", f"the derivative of a = {whole} in z = {inner} is taken "
                      f"as {belongs} (gradient of {case.name})",
                      rank=RANKS["derivative replaced"] + 0.01 * order,
                      detail={"factor": text, "instead of": right},
                      fix=f"use {right}" if right else f"differentiate {whole} again"),
                lambda t, place=place, of=of: _with_derivative(case, t, place, of),
            )  # fmt: skip


def _local_forms() -> Iterator[tuple[str, Any]]:
    """What a derivative of a = f(z) may be written as."""
    for letter in "az":
        for form, function in LOCAL_FORMS:
            yield form.format(letter, letter), lambda v, n=letter, f=function: f(v[n])


def _with_derivative(case: Case, t: Trial, place: int, of: Any) -> Prediction:
    tape = tape_of(case, t)
    if tape is None:
        return None
    chains = t.once("chains", lambda: list(tape.chains()))
    if place >= len(chains):
        return None
    j, source, value, _ = chains[place]
    with np.errstate(all="ignore"):
        factor = np.asarray(of({"a": tape.steps[j].value, "z": value}), np.float64)
    if not np.isfinite(factor).all():
        return None
    pulled = tape.pull(t.upstream, _shifts(case, tape), (j, source, factor))[case.position]
    return None if pulled is None else pulled.reshape(-1)[t.columns[case.position].index]


def pairs(case: Case) -> Iterator[Candidate]:
    """Two paths missing at once: the mean and the variance of a normalisation."""
    tape = _whole_tape(case)
    edges = [] if tape is None else _live(case, tape)
    if tape is not None and len(edges) <= 24:
        for one, two in itertools.combinations(edges, 2):
            yield _broken(case, tape, ((*one, "cut"), (*two, "cut")))


def _shifts(case: Case, tape: Tape) -> tuple[tuple[int, int, str], ...]:
    """The edges into a max or min that changes nothing: the shift of a softmax. They stay cut."""
    t = case.trials[0]

    def find() -> tuple[tuple[int, int, str], ...]:
        whole = _pulled(case, t, ())
        edges = tuple(
            (j, i, "cut") for j, i in tape.edges() if isinstance(tape.steps[j].op, Extreme)
        )
        without = _pulled(case, t, edges) if edges else None
        if whole is None or without is None:
            return ()
        return edges if np.allclose(without, whole, rtol=1e-9, atol=1e-12) else ()

    return t.once("shifts", find)


def _broken(case: Case, tape: Tape, broken: tuple[tuple[int, int, str], ...]) -> Candidate:
    parts, kind = [], "path missing"
    for j, i, action in broken:
        step = tape.steps[j]
        whole = tape.text(("step", j))
        source = tape.text(step.sources[i])
        role = tape.role(j, i)
        if action == "cut":
            term = f"the {role} term of the normalisation is missing: " if role else ""
            parts.append(f"{term}the path from {source} through {whole} is not counted")
        elif action == "negate":
            kind = "term sign"
            parts.append(f"the term through {whole} has the wrong sign")
        else:
            kind = "local gradient missing"
            parts.append(f"the derivative of {step.op.name} in {whole} is left out")
    title = f"{'; and '.join(parts)} (gradient of {case.name})"
    cause = Cause(
        kind, title, rank=RANKS[f"{kind} in the body"] + ONE_MORE * (len(broken) - 1),
        detail={"broken": broken},
        fix="add the gradients of every path from the input to the output",
    )  # fmt: skip
    shifts = _shifts(case, tape)
    return cause, lambda t: _pulled(case, t, broken + shifts)
