"""The rules about a script as a whole: what it trains on, what it looks at, and what it never does.

They read the log of all its calls; what was given to its model is remembered there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..finding import ERROR, FIT, WARNING, Finding
from ..loop import Event, Loop
from ..reshape import evidence_of
from .dataset import (
    CERTAIN,
    CHANCE,
    ENOUGH_ROWS,
    LOOKED_AT,
    TRAINED,
    certainty,
    design,
    leverage,
    no_pairs,
    numbers,
    of_other_scale,
)

#: So many steps, before anything is said of them.
STEPS = 4
#: A model is evaluated on batches, of so many rows at least; and not in more than this share of all
#: steps, as where the looks are part of the step.
BATCH, PART_OF_THE_STEP = 4, 0.5
#: The share of rows looked at that were trained on, from which it is no accident, and up to which
#: they are not just the training data; and of those trained on that are looked at, too.
LEAKS, THE_SAME, ALL_OF_THEM = 0.02, 0.9, 0.9
#: The share of a batch's rows that were there before, from which another epoch has begun.
AGAIN = 0.2


def of_a_script(loop: Loop) -> Iterator[Finding]:
    """What the log of a whole script says."""
    steps = loop.of("step")
    if not steps or not loop.is_whole:
        return
    yield from never_reached(loop, steps)
    yield from never_scheduled(loop, steps)
    yield from same_numbers(loop, steps)
    yield from reshaped(loop)
    seen = _Seen(loop)
    yield from seen_before(seen)
    yield from scaled_otherwise(seen)
    yield from of_other_rows(seen)


def never_reached(loop: Loop, steps: list[Event]) -> Iterator[Finding]:
    """Parameters that an optimizer holds, of models that are called, and that get no gradient."""
    called: dict[int, Event] = {}
    for e in loop.of("forward"):
        for p in e.facts["parameters"]:
            if p not in called or len(e.facts["parameters"]) < len(called[p].facts["parameters"]):
                called[p] = e
    for who in {e.who for e in steps}:
        own = [e for e in steps if e.who == who]
        never = frozenset.intersection(*[e.facts["without"] for e in own]) & called.keys()
        if len(own) < STEPS or not never:
            continue
        if never == own[0].facts["parameters"] and len(own) == len(steps):
            continue  # then it holds other ones than those that are trained
        where = Counter(called[p].place for p in never).most_common(1)[0][0]
        call = next(called[p] for p in never if called[p].place == where)
        whole = call.facts["parameters"] <= never
        off = not call.facts["graded"]
        yield Finding(
            rule="no gradient",
            severity=ERROR if whole else WARNING,
            text=f"{len(never)} parameters that the optimizer holds never get a gradient, "
            + ("all of" if whole else "some of") + f" {call.facts['name']}",
            evidence=f"in none of {len(own)} steps"
            + ("; it is called under no_grad()" if off else "; it is called, and no path leads "
               "from the loss to them"),
            line=where,
            next="call it with a graph, and detach() nothing on the way; where it is not to learn, "
            "leave it out of the optimizer",
            explains=FIT,
        )  # fmt: skip
        return


def never_scheduled(loop: Loop, steps: list[Event]) -> Iterator[Finding]:
    """A schedule that is made and never moved on."""
    taken = Counter(e.who for e in steps)
    moved = {e.facts["optimizer"] for e in loop.of("schedule")}
    for e in loop.of("made"):
        who = e.facts["optimizer"]
        if taken[who] >= STEPS and who not in moved:
            yield Finding(
                rule="schedule never stepped",
                severity=WARNING,
                text=f"{e.facts['name']} is made, and nothing calls its step()",
                evidence=f"its optimizer took {taken[who]} steps at the rate that it began with",
                line=e.place,
                next="schedule.step() at the end of each epoch",
            )
            return


def reshaped(loop: Loop) -> Iterator[Finding]:
    """Data that are reshaped where they should be transposed, and then given to a model."""
    last: Event | None = None
    for e in loop.of("reshaped", "forward"):
        if e.kind == "reshaped":
            last = e
            continue
        rows, made = e.facts["rows"], None if last is None else last.facts["rows"]
        if last is None or rows is None or made is None or made.shape != rows.shape:
            continue
        before = last.facts["before"]
        yield Finding(
            rule="reshape in place of transpose",
            severity=ERROR,
            text=f"{before} is reshaped to {made.shape} before the model: an axis stands elsewhere "
            "and has other elements along it",
            evidence=evidence_of(before, made.shape),
            line=last.place,
            next="transpose or permute the axes: x.permute(0, 3, 1, 2)",
            explains=FIT,
        )
        return


def same_numbers(loop: Loop, steps: list[Event]) -> Iterator[Finding]:
    """A seed that is set in every step, so that each draws the same random numbers."""
    between: list[Event] = []
    last: Event | None = None
    stepped = False
    for e in loop.of("seed", "step"):
        if e.kind == "step":
            stepped = True
        elif last is None or stepped:
            again = last is not None and e.facts["key"] == last.facts["key"]
            if again and e.place == last.place and e.facts["drawn"]:  # type: ignore[union-attr]
                between.append(e)
            last, stepped = e, False
    trained = [e for e in between if _trains_next(loop, e)]
    if len(trained) >= STEPS - 1 and len(trained) >= 0.8 * (len(steps) - 1):
        yield Finding(
            rule="same random numbers",
            severity=ERROR,
            text="the seed is set anew in every step: each draws the same random numbers",
            evidence=f"{len(trained) + 1} times, for {len(steps)} steps: the same rows, noise and "
            "dropout each time",
            line=trained[0].place,
            next="set the seed once, before the loop",
            explains=FIT,
        )


def _trains_next(loop: Loop, seed: Event) -> bool:
    """Whether the next model that is called is trained by that."""
    at = next(i for i, e in enumerate(loop.events) if e is seed)
    after = [e for e in loop.events[at + 1 : at + 50] if e.kind in ("forward", "backward")]
    return bool(after) and (after[0].kind == "backward" or bool(after[0].facts["graded"]))


@dataclass
class _Looks:
    """Rows that one line looks at without training on them, and their targets."""

    rows: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)


class _Seen:
    """What the one model of a script was trained on, batch after batch, and what it looked at."""

    def __init__(self, loop: Loop):
        self.batches: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []
        self.looks: dict[str, _Looks] = {}
        graded = {e.who for e in loop.of("forward") if e.facts["graded"]}
        held = [e for e in loop.of("forward") if e.who in graded]
        self.known = len(graded) == 1 and all(
            e.facts["rows"] is not None and e.facts["single"] for e in held
        )
        if not self.known:
            return
        now: Event | None = None
        look: Event | None = None
        walks = 0
        for e in loop.events:
            if e.kind == "forward" and e.who in graded:
                now, look = (e, None) if e.facts["graded"] else (now, e)
                if look is not None:
                    self.looks.setdefault(e.place, _Looks()).rows.append(e.facts["rows"])
            elif e.kind == "backward" and now is not None:
                walks += 1
                self.batches.append(now.facts["rows"])
                t = e.facts["target"]
                if t is not None and len(t) == len(now.facts["rows"]):
                    self.targets.append(t)
                now = None
            elif e.kind == "compared" and look is not None:
                t, rows = e.facts["target"], look.facts["rows"]
                if t is not None and len(t) == len(rows):
                    self.looks[look.place].targets.append(t)
                look = None
        self.looks = {
            place: x for place, x in self.looks.items()
            if len(x.rows) <= PART_OF_THE_STEP * walks
            and min(len(a) for a in x.rows) >= min(BATCH, len(x.rows[0]))
        }  # fmt: skip
        self.train = _unique(self.batches)
        self.tests = {place: _unique(x.rows) for place, x in self.looks.items()}


def _unique(batches: list[np.ndarray]) -> dict[bytes, np.ndarray]:
    """The different rows of batches, flat, by what they hold."""
    found: dict[bytes, np.ndarray] = {}
    for batch in batches:
        for row in batch.reshape(len(batch), -1):
            found.setdefault(row.tobytes(), row)
    return found


def seen_before(seen: _Seen) -> Iterator[Finding]:
    """Some rows that are evaluated on, and not all of either, were trained on."""
    if not seen.known or len(seen.train) < TRAINED:
        return
    for place, test in seen.tests.items():
        both = test.keys() & seen.train.keys()
        wide = next(iter(test.values())).size
        share = len(both) / max(len(test), 1)
        if len(test) < LOOKED_AT or wide < 3 or len(both) < 2 or not LEAKS < share < THE_SAME:
            continue
        row = next(iter(test.values()))
        if row.dtype.kind in "iu" or len(both) > ALL_OF_THEM * len(seen.train):
            continue
        yield Finding(
            rule="validation rows in training",
            severity=ERROR,
            text=f"{len(both)} of {len(test)} rows evaluated here ({share:.0%}) were trained on",
            evidence=f"equal to the last bit, {len(both)} of {len(seen.train)} training rows; the "
            "others of either are not in both",
            line=place,
            next="split before anything is copied, augmented or drawn with replacement",
        )
        return


def scaled_otherwise(seen: _Seen) -> Iterator[Finding]:
    """Rows to look at that are in other units than those to train on."""
    if not seen.known or len(seen.train) < TRAINED:
        return
    train = np.stack(list(seen.train.values()))
    if train.dtype.kind != "f" or len({len(r) for r in seen.train.values()}) > 1:
        return
    for place, rows in seen.tests.items():
        others = [r for key, r in rows.items() if key not in seen.train]
        if len(others) < max(LOOKED_AT, 0.9 * len(rows)) or others[0].size != train.shape[1]:
            continue
        if not seen.looks[place].targets:
            continue  # looked at, as a grid is for a picture, and compared with nothing
        found = of_other_scale(train, np.stack(others), "what is evaluated", place)
        if found is not None:
            yield found
            return


def of_other_rows(seen: _Seen) -> Iterator[Finding]:
    """Targets of the batch before, and targets that tell nothing here and something elsewhere."""
    if not seen.known or not seen.targets or len(seen.targets) != len(seen.batches):
        return
    batches = seen.batches[: _first_epoch(seen.batches)]
    targets = seen.targets[: len(batches)]
    sizes = {len(b) for b in batches}
    x = design(_flat(batches))
    t = numbers(np.concatenate(targets)) if len({a.ndim for a in targets}) == 1 else None
    if x is None or t is None or len(x) < ENOUGH_ROWS or len(x) > 4000:
        return
    own = certainty(x, t, leverage(x))
    if own > CHANCE:
        return
    told = no_pairs(_flat(batches), np.concatenate(targets))
    if told:
        yield _other("inputs and targets do not belong together", told)
        return
    for by in (1, -1) if len(sizes) == 1 else ():
        size = sizes.copy().pop() * by
        far = certainty(x, np.roll(t, size, axis=0), leverage(x))
        if far > CERTAIN:
            yield _other(
                f"the targets of each batch belong to the batch {'after' if by < 0 else 'before'}",
                f"a linear fit foretells those at {far:.0f} deviations from chance, its own at "
                f"{own:.1f}, over {len(x)} rows",
            )
            return
    for place, looks in seen.looks.items():
        if len(looks.targets) != len(looks.rows) or place not in seen.tests:
            continue
        once = _first_epoch(looks.rows)
        xv, tv = design(_flat(looks.rows[:once])), np.concatenate(looks.targets[:once])
        wide = numbers(tv, np.concatenate(seen.targets))
        if xv is None or wide is None or len(xv) < ENOUGH_ROWS / 2 or len(xv) > 4000:
            continue
        good = certainty(xv, wide, leverage(xv))
        if good > CERTAIN:
            yield _other(
                "in training, inputs tell nothing of their targets; where the model is evaluated "
                "they do",
                f"a linear fit is {own:.1f} deviations from chance over {len(x)} training rows, "
                f"{good:.0f} over {len(xv)} others",
            )
            return


def _first_epoch(batches: list[np.ndarray]) -> int:
    """How many batches come before rows come again: with these a fit would know them by heart."""
    known: set[bytes] = set()
    for i, batch in enumerate(batches):
        rows = [row.tobytes() for row in batch.reshape(len(batch), -1)]
        if sum(r in known for r in rows) > AGAIN * len(rows):
            return i
        known.update(rows)
    return len(batches)


def _other(text: str, evidence: str) -> Finding:
    return Finding(
        rule="targets of other rows",
        severity=ERROR,
        text=text,
        evidence=evidence,
        next="look where inputs and targets are shuffled, cut or kept: both must go together",
        explains=("cannot overfit",),
    )


def _flat(batches: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([b.reshape(len(b), -1) for b in batches])
