"""The forward body with one rule broken: a path cut, a sign turned, a derivative left out.

What stands at one place of the body is broken in every turn of a loop at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import GradientError
from ...gates import Gate
from ...ops import elementwise
from ...ops.reductions import Extreme
from .case import FIT, RANKS, Candidate, Case, Cause, Prediction, given
from .experiment import Trial
from .simple import constant_names
from .unfold import Tape, unfold

#: Bodies with more places than these are too long to break each.
PLACES = 80

Edges = Sequence[tuple[int, int]]


def tape_of(case: Case, t: Trial) -> Tape | None:
    """The tape of the op's body at one trial."""
    return t.once("tape", lambda: unfold(case.op, t.inputs, case.experiment.names))


def live_tape(case: Case) -> Tape | None:
    """The tape of a body of several steps, which are not too many to try each."""
    tape = tape_of(case, case.trials[0])
    if tape is None or len(tape.steps) < (1 if isinstance(case.op, Gate) else 2):
        return None
    return tape if len(tape.groups()) <= PLACES else None


def _live(case: Case, tape: Tape) -> list[Edges]:
    """The places through which a gradient passes, but for those that stay cut."""
    cut = {(j, i) for j, i, _ in shifts(case, tape)}
    return [g for g in tape.groups() if not cut.issuperset(g)]


def pulled(
    case: Case,
    t: Trial,
    broken: tuple[Any, ...] = (),
    instead: Mapping[int, Any] | None = None,
    saved: Mapping[int, Any] | None = None,
    scaled: Mapping[int, Any] | None = None,
) -> np.ndarray | None:
    """The measured elements of the gradient as the body gives it with rules broken."""
    tape = tape_of(case, t)
    if tape is None:
        return None

    def pull() -> list[np.ndarray | None] | None:
        try:
            return tape.pull(t.upstream, broken, instead, saved, scaled)
        except (ValueError, IndexError, TypeError, GradientError):
            return None

    plain = instead is None and saved is None and scaled is None
    found = t.once(("pull", broken), pull) if plain else pull()
    if found is None or found[case.position] is None:
        return None
    g = np.asarray(found[case.position])
    if g.shape != t.inputs[case.position].shape:
        return None
    return g.reshape(-1)[t.columns[case.position].index]


def paths(case: Case) -> Iterator[Candidate]:
    """Every single broken rule."""
    tape = live_tape(case)
    if tape is None:
        return
    for edges in _live(case, tape):
        yield _broken(case, tape, edges, "cut")
        yield _broken(case, tape, edges, "negate")
        j, i = edges[0]
        step = tape.steps[j]
        if np.shape(step.shapes[i]) == step.value.shape:
            yield _broken(case, tape, edges, "pass")
        yield from _counted(case, tape, edges)
        yield from _one_turn(case, tape, edges)
        if step.value.ndim > 1 and step.value.shape[-1] == step.value.shape[-2]:
            yield _broken(case, tape, edges, "turn")
        if step.repeats(i):
            yield _broken(case, tape, edges, "assign")
        for axes in _other_axes(step.value.shape, np.shape(step.shapes[i])):
            yield _broken(case, tape, edges, axes)


def _counted(case: Case, tape: Tape, edges: Edges) -> Iterator[Candidate]:
    """A term with a constant factor: what comes through these edges, c times instead of once."""
    stay = shifts(case, tape)
    cut = tuple([(*e, "cut") for e in edges]) + stay
    parts = []
    for t in case.trials[:1]:
        whole, without = pulled(case, t, stay), pulled(case, t, cut)
        if whole is None:
            return
        term = whole - (0.0 if without is None else without)
        parts.append((term, given(case, t) - whole))
    term, more = parts[0]
    power = float(term @ term)
    scale = float(np.max(np.abs(parts[0][1]), initial=0))
    if power == 0 or scale == 0 or np.allclose(term, 0, atol=1e-9 * scale):
        return
    c = 1 + float(term @ more) / power
    if np.max(np.abs(more - (c - 1) * term)) > 10 * FIT * scale or min(abs(c), abs(c + 1)) < 1e-6:
        return
    names, _ = constant_names(case, abs(c))
    shown = ("−" if c < 0 else "") + (names[0] if names else f"{abs(c):.5g}")
    kind = "mean or sum" if names and " of " in names[0] and "/" in shown[:3] else "constant"
    j, i = edges[0]
    whole_text, source = tape.whole(j), tape.text(tape.steps[j].sources[i])

    def predict(t: Trial) -> Prediction:
        whole, without = pulled(case, t, stay), pulled(case, t, cut)
        return (
            None
            if whole is None
            else whole + (c - 1) * (whole - (0 if without is None else without))
        )

    yield (
        Cause(kind, f"the term from {source} through {whole_text} is counted {shown} times "
              f"(gradient of {case.name})",
              rank=RANKS["term counted" if names else "term counted, nameless"],
              detail={"factor": c}, fix=f"divide that term by {shown}"),
        predict,
    )  # fmt: skip


def _one_turn(case: Case, tape: Tape, edges: Edges) -> Iterator[Candidate]:
    """Of the uses of one value in a loop only one counts: it is overwritten, not added to."""
    sources = {str(tape.steps[j].sources[i]) for j, i in edges}
    if len({j for j, _ in edges}) < max(2, len(edges)) or len(sources) != 1:
        return
    j, i = edges[0]
    stay, name = shifts(case, tape), tape.text(tape.steps[j].sources[i])
    for which, kept in (("first", edges[0]), ("last", edges[-1])):
        broken = tuple([(*e, "cut") for e in edges if e != kept]) + stay
        yield (
            Cause("overwritten", f"of the {len(edges)} uses of {name} in the loop only the {which} "
                  f"counts: overwritten, not added to (gradient of {case.name})",
                  rank=RANKS["last use"], fix="add with += what each turn gives"),
            lambda t, broken=broken: pulled(case, t, broken),
        )  # fmt: skip
        left_out = ((*kept, "cut"), *stay)
        yield (
            Cause("sum missing", f"of the {len(edges)} uses of {name} in the loop the {which} is "
                  f"left out (gradient of {case.name})", rank=RANKS["last use"],
                  fix="let the loop run over every index"),
            lambda t, broken=left_out: pulled(case, t, broken),
        )  # fmt: skip


def _other_axes(shape: tuple[int, ...], target: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Over which axes a gradient may be summed by mistake, where it must be summed over others."""
    extra = len(shape) - len(target)
    if extra < 0 or shape == target:
        return
    right = {a for a in range(len(shape)) if a < extra or target[a - extra] != shape[a]}
    for count in (1, 2):
        for axes in itertools.combinations(range(len(shape)), count):
            if set(axes) != right and all(shape[a] > 1 for a in axes):
                yield axes


def shifts(case: Case, tape: Tape) -> tuple[tuple[int, int, str], ...]:
    """The edges into a max or min that changes nothing: the shift of a softmax. They stay cut."""
    t = case.trials[0]

    def find() -> tuple[tuple[int, int, str], ...]:
        whole = pulled(case, t)
        edges = tuple(
            (j, i, "cut") for j, i in tape.edges() if isinstance(tape.steps[j].op, Extreme)
        )
        without = pulled(case, t, edges) if edges else None
        if whole is None or without is None:
            return ()
        return edges if np.allclose(without, whole, rtol=1e-9, atol=1e-12) else ()

    return t.once("shifts", find)


def _broken(case: Case, tape: Tape, edges: Edges, action: Any) -> Candidate:
    j, i = edges[0]
    step = tape.steps[j]
    whole, source = tape.whole(j), tape.text(step.sources[i])
    if action == "cut":
        kind = mistake = "path missing"
        said = f"the path from {source} through {whole} is not counted"
        fix = "add the gradient that comes that way"
    elif action == "negate":
        kind = mistake = "term sign"
        said = f"the term from {source} through {whole} has the wrong sign"
        fix = "turn its sign"
    elif action == "pass":
        kind = mistake = "local gradient missing"
        said = f"the derivative of {step.op.name} in {whole} is left out"
        fix = f"multiply by the derivative of {step.op.name}"
        others = [tape.text(o) for n, o in enumerate(step.sources) if n != i]
        if step.op.chooses:
            kind, fix = "mask missing", "let it through only where the forward does"
            said = f"the mask of {whole} is missing: {source} gets the gradient everywhere"
        elif isinstance(step.op, elementwise.Multiply):
            kind, fix = "factor missing", f"multiply by {others[0]}"
            said = f"the factor {others[0]} is missing in what {source} gets from {whole}"
        elif isinstance(step.op, elementwise.Divide) and i == 0:
            kind, fix = "factor missing", f"divide by {others[0]}"
            said = f"the division by {others[0]} is missing in what {source} gets from {whole}"
    elif action == "turn":
        kind = mistake = "transposed"
        said = f"the gradient that arrives at {whole} is transposed for {source}"
        fix = "use it as it arrives"
    elif action == "assign":
        kind = mistake = "overwritten"
        said = (
            f"where {whole} takes an element of {source} more than once only the last counts: "
            "overwritten, not added to"
        )
        fix = "add with +=, or np.add.at"
    else:
        kind = mistake = "wrong axis"
        over = ", ".join(map(str, action))
        said = (
            f"what {source} gets through {whole} is summed over axis {over}, not over those along "
            "which it is spread there"
        )
        fix = "sum over the axes along which the forward spreads it"
    cause = Cause(
        kind, f"{said} (gradient of {case.name})", rank=RANKS[f"{mistake} in the body"],
        detail={"broken": tuple(edges)}, fix=fix,
    )  # fmt: skip
    broken = tuple([(*e, action) for e in edges]) + shifts(case, tape)
    return cause, lambda t: pulled(case, t, broken)
