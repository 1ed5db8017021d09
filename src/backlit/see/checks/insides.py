"""Another derivative, operand or factor at one place inside the forward body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .case import RANKS, Candidate, Case, Cause, Prediction
from .experiment import Trial
from .paths import live_tape, pulled, shifts, tape_of
from .quantities import LOCAL_FORMS
from .unfold import Tape


def derivatives(case: Case) -> Iterator[Candidate]:
    """A derivative in the body taken for another: 1 − a where 1 − a² belongs, a = tanh(z)."""
    tape = live_tape(case)
    if tape is None:
        return
    places: dict[Any, list[int]] = {}
    for place, (j, at, _, _) in enumerate(tape.chains()):
        step = tape.steps[j]
        alone = () if step.site else (j,)
        inner = tape.steps[at[1]].site if at[0] == "step" else at
        places.setdefault((step.site, type(step.op), inner, *alone), []).append(place)
    chains = list(tape.chains())
    begun, ended = {j for j, *_ in chains}, {at for _, at, *_ in chains}
    for same in places.values():
        j, source, value, slope = chains[same[0]]
        # A part of a longer chain is seldom differentiated alone: exp(−z) in 1 / (1 + exp(−z)).
        part = 0.3 * (("step", j) in ended) + 0.3 * (source[0] == "step" and source[1] in begun)
        whole, inner = tape.text(("step", j), 2), tape.text(source, 2)
        shown = {"a": tape.steps[j].value, "z": value}
        mask = bool(np.isin(slope, (0.0, 1.0)).all() and np.ptp(slope))
        right = "its mask" if mask else next(
            (text for text, of in _local_forms() if np.allclose(of(shown), slope, 1e-9, 1e-12)), ""
        )  # fmt: skip
        twice = ("its square", lambda v, same=same: _squared(v["place"]))
        for order, (text, of) in enumerate([twice, *_forms(right == "its mask")]):
            if text == right or (mask and np.ndim(slope) and _is_mask(of, shown, slope)):
                continue
            belongs = f"{text} where {right} belongs" if right else text
            title = f"the derivative of a = {whole} in z = {inner} is taken as {belongs}"
            kind, rank = "factor replaced", RANKS["derivative replaced"]
            if text == "its square":
                title = f"the derivative of a = {whole} in z = {inner} is multiplied in twice"
                kind, rank = "factor extra", RANKS["factor in the body"]
            if text == "1":
                title = f"the derivative of a = {whole} in z = {inner} is left out"
                kind, rank = "local gradient missing", RANKS["local gradient missing in the body"]
                if right == "its mask":
                    kind, title = "mask missing", f"the mask of {whole} in z = {inner} is missing"
            elif right == "its mask" and ("> 0" in text or "< 0" in text):
                kind, title = "mask wrong", f"the mask of a = {whole} is made of {text}"
            yield (
                Cause(kind, f"{title} (gradient of {case.name})", rank=rank + 0.01 * order + part,
                      detail={"factor": text, "instead of": right},
                      fix=f"use {right}" if right else f"differentiate {whole} again"),
                lambda t, same=same, of=of: _with_derivative(case, t, same, of),
            )  # fmt: skip


def _local_forms() -> Iterator[tuple[str, Any]]:
    """What a derivative of a = f(z) may be written as."""
    for letter in "az":
        for form, function in LOCAL_FORMS:
            yield form.format(letter, letter), lambda v, n=letter, f=function: f(v[n])


def _is_mask(of: Any, shown: dict[str, Any], slope: np.ndarray) -> bool:
    """Whether a form is the right mask itself under another name."""
    with np.errstate(all="ignore"):
        made = of({**shown, "place": (0, 0, 0, slope)})
    return not callable(made) and np.array_equal(np.asarray(made, np.float64), slope)


def _squared(chain: tuple[Any, ...]) -> np.ndarray:
    return np.asarray(chain[3] * chain[3])


def _forms(mask: bool) -> Iterator[tuple[str, Any]]:
    """What may stand in the place of a derivative: nothing, another one, another mask."""
    yield "1", lambda v: np.ones(np.shape(v["a"]))
    yield from _local_forms()
    if mask:
        yield "u > 0, u the gradient that arrives there", lambda v: lambda u: u * (u > 0)
        yield "0", lambda v: np.zeros(np.shape(v["a"]))
        for letter in "az":
            yield f"{letter} ≥ 0", lambda v, n=letter: v[n] >= 0


def _with_derivative(case: Case, t: Trial, places: Sequence[int], of: Any) -> Prediction:
    tape = tape_of(case, t)
    if tape is None:
        return None
    chains = t.once("chains", lambda: list(tape.chains()))
    if places[-1] >= len(chains):
        return None
    instead: dict[int, Any] = {}
    for place in places:
        j, source, value, _ = chains[place]
        with np.errstate(all="ignore"):
            factor = of({"a": tape.steps[j].value, "z": value, "place": chains[place]})
        if not callable(factor):
            factor = np.asarray(factor, np.float64)
            if not np.isfinite(factor).all():
                return None
        instead[j] = (source, factor)
    return pulled(case, t, shifts(case, tape), instead)


def arrivals(case: Case) -> Iterator[Candidate]:
    """The gradient of another value in the place of that which belongs there: dh where dz does."""
    tape = live_tape(case)
    if tape is None:
        return
    k = case.position
    for steps in tape.places():
        uses = [(j, i) for j in steps for i, s in enumerate(tape.steps[j].sources)
                if s == ("input", k) and tape.steps[j].op.differentiable]  # fmt: skip
        if not uses:
            continue
        shape, called = tape.steps[steps[0]].value.shape, tape.text(("step", steps[0]))
        for others in tape.places():
            if len(others) != len(steps) or others[0] <= steps[0]:
                continue
            if tape.steps[others[0]].value.shape != shape:
                continue
            name = tape.text(("step", others[0]))
            yield (
                Cause("local gradient missing", f"the gradient of {name} is used where that of "
                      f"{called} belongs (gradient of {case.name})",
                      rank=RANKS["local gradient missing in the body"] + 0.05,
                      detail={"factor": name, "instead of": called},
                      fix=f"go on from {name} to {called} first"),
                lambda t, u=uses, s=steps, o=others: _with_arrival(case, t, u, s, o),
            )  # fmt: skip


def _with_arrival(
    case: Case, t: Trial, uses: Sequence[tuple[int, int]], steps: list[int], others: list[int]
) -> Prediction:
    tape = tape_of(case, t)
    if tape is None or max(others) >= len(tape.steps):
        return None
    stay = shifts(case, tape)

    def walk() -> tuple[Any, dict[int, np.ndarray]]:
        arrived: dict[int, np.ndarray] = {}
        return tape.pull(t.upstream, stay, arrivals=arrived), arrived

    whole, arrived = t.once("arrivals", walk)
    k = case.position
    if whole[k] is None:
        return None
    total = np.array(whole[k])
    for j, i in uses:
        other = arrived.get(others[steps.index(j)])
        step, right = tape.steps[j], arrived.get(j)
        if other is None or right is None:
            return None
        total += step.back(other, [None] * len(step.sources))[i]
        total -= step.back(right, [None] * len(step.sources))[i]
    return np.asarray(total.reshape(-1)[t.columns[k].index])


def stretches(case: Case) -> Iterator[Candidate]:
    """The derivative of a value in an input left out, over all the steps between them."""
    tape = live_tape(case)
    if tape is None or not isinstance(tape.inputs[case.position], np.ndarray):
        return
    x = tape.inputs[case.position]
    for steps in tape.places():
        step = tape.steps[steps[0]]
        if len(steps) > 1 or step.value.shape != x.shape or steps[0] == len(tape.steps) - 1:
            continue
        at = ("input", case.position)
        yield (
            Cause("local gradient missing", f"the derivative of {tape.whole(steps[0])} in "
                  f"{case.name} is left out (gradient of {case.name})",
                  rank=RANKS["local gradient missing in the body"],
                  fix=f"multiply by the derivative of {tape.text(('step', steps[0]))}"),
            lambda t, j=steps[0], at=at: _to_input(case, t, j, at),
        )  # fmt: skip


def _to_input(case: Case, t: Trial, j: int, at: tuple[str, int]) -> Prediction:
    tape = tape_of(case, t)
    if tape is None:
        return None
    return pulled(case, t, shifts(case, tape), {j: (at, 1.0)})


def operands(case: Case) -> Iterator[Candidate]:
    """Another value of the forward in the place of one that a product's derivative is made of."""
    tape = live_tape(case)
    if tape is None:
        return
    known: list[tuple[str, list[tuple[str, int]]]] = [
        (n, [("input", k)]) for k, n in enumerate(tape.names)
        if isinstance(tape.inputs[k], np.ndarray)
    ]  # fmt: skip
    for steps in tape.places():
        known.append((tape.text(("step", steps[0])), [("step", j) for j in steps]))
    for same in tape.places():
        if tape.steps[same[0]].op.exact:
            continue
        step = tape.steps[same[0]]
        for p, old in enumerate(step.saved):
            if not isinstance(old, np.ndarray) or old.ndim == 0:
                continue
            at = next((s for s, v in zip(step.sources, step.shapes, strict=True) if v is old), None)
            called = tape.text(at) if at is not None and at[0] != "constant" else "a value"
            others: list[tuple[str, Any]] = []
            if old.ndim > 1 and old.shape[-1] == old.shape[-2]:
                others.append(
                    (f"{called} transposed", lambda tape, v, turn: np.swapaxes(v, -1, -2))
                )
            tried: list[np.ndarray] = [old]
            for name, sources in known:
                value = _value(tape, sources[0])
                if value.size != old.size or len(sources) not in (1, len(same)):
                    continue
                if [n for n in value.shape if n > 1] != [n for n in old.shape if n > 1]:
                    continue
                value = value.reshape(old.shape)
                if any(np.array_equal(value, v) for v in tried):
                    continue
                tried.append(value)
                others.append((name, lambda tape, v, turn, s=sources: _value(
                    tape, s[turn if len(s) > 1 else 0])))  # fmt: skip
            for name, of in others:
                turned = name.endswith(" transposed")
                yield (
                    Cause("transposed" if turned else "factor replaced",
                          f"{name} stands where {called} belongs, in the derivative of "
                          f"{tape.whole(same[0])} (gradient of {case.name})",
                          rank=RANKS["input turned"] if turned else RANKS["operand replaced"],
                          detail={"factor": name, "instead of": called}, fix=f"use {called}"),
                    lambda t, same=same, p=p, of=of: _with_operand(case, t, same, p, of),
                )  # fmt: skip


def _value(tape: Tape, source: tuple[str, Any]) -> np.ndarray:
    return np.asarray(
        tape.inputs[source[1]] if source[0] == "input" else tape.steps[source[1]].value
    )


def _with_operand(
    case: Case, t: Trial, steps: Sequence[int], p: int, of: Callable[..., np.ndarray]
) -> Prediction:
    tape = tape_of(case, t)
    if tape is None or steps[-1] >= len(tape.steps):
        return None
    saved = {}
    for turn, j in enumerate(steps):
        held = list(tape.steps[j].saved)
        held[p] = of(tape, held[p], turn).reshape(held[p].shape)
        saved[j] = tuple(held)
    return pulled(case, t, shifts(case, tape), saved=saved)


#: The power of a factor that is there by mistake (0: its mask), the kind, and that in words.
_INNER = (
    (1, "factor extra", "has the factor {} too many"),
    (-1, "factor missing", "lacks the factor {}"),
    (0, "mask extra", "is masked by {} > 0, which it must not be"),
)


def inner(case: Case) -> Iterator[Candidate]:
    """A factor too many or too few in what arrives at a value inside the body."""
    tape = live_tape(case)
    if tape is None:
        return
    known = [(n, [("input", k)]) for k, n in enumerate(tape.names)
             if isinstance(tape.inputs[k], np.ndarray)]  # fmt: skip
    places = tape.places()
    known += [(tape.text(("step", steps[0])), [("step", j) for j in steps]) for steps in places]
    for steps in places:
        value = tape.steps[steps[0]].value
        if value.dtype.kind != "f" or value.size < 2 or steps[-1] == len(tape.steps) - 1:
            continue
        called = tape.text(("step", steps[0]))
        seen: list[np.ndarray] = []
        for name, sources in known:
            q = _value(tape, sources[0])
            if q.dtype.kind != "f" or q.size < 2 or len(sources) not in (1, len(steps)):
                continue
            if not _spreads(q.shape, value.shape) or any(np.array_equal(q, v) for v in seen):
                continue
            seen.append(q)
            for power, kind, verb in _INNER:
                yield (
                    Cause(kind, f"what arrives at {called} {verb.format(name)} "
                          f"(gradient of {case.name})", rank=RANKS["factor in the body"],
                          detail={"factor": name},
                          fix=f"{'divide' if power > 0 else 'multiply'} by {name} there" if power
                          else "leave out the mask"),
                    lambda t, steps=steps, s=sources, p=power: _with_factor(case, t, steps, s, p),
                )  # fmt: skip


def _spreads(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _with_factor(
    case: Case, t: Trial, steps: Sequence[int], sources: Sequence[tuple[str, int]], power: int
) -> Prediction:
    tape = tape_of(case, t)
    if tape is None or steps[-1] >= len(tape.steps):
        return None
    scaled = {}
    for turn, j in enumerate(steps):
        q = _value(tape, sources[turn if len(sources) > 1 else 0])
        with np.errstate(all="ignore"):
            scaled[j] = (q > 0) * 1.0 if power == 0 else q if power > 0 else 1 / q
        if not np.isfinite(scaled[j]).all():
            return None
    return pulled(case, t, shifts(case, tape), scaled=scaled)
