"""The rules about the order of a loop's calls: zero_grad, backward, clip, step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ..finding import ERROR, FIT, FLOW, WARNING, Finding
from ..loop import Event, Loop

#: A gradient is clipped away if the step gets so little of it.
CLIPPED, NEARLY_NOTHING = 1e-3, 1e-5

EXPLAINS = (*FIT, *FLOW, "optimizer")


class _Order:
    """What came before each step since the one before it."""

    def __init__(self, loop: Loop):
        self.forgotten: list[tuple[Event, int]] = []
        self.emptied: list[Event] = []
        self.early: list[Event] = []
        self.stale = _stale(loop)
        self.lost: list[Event] = []
        self.elsewhere: list[Event] = []
        self.clipped: list[tuple[Event, float]] = []
        since: list[Event] = []
        #: Of each optimizer: the parameters whose gradients its last step used, and the walk that
        #: added to them.
        used: dict[int, set[int]] = {}
        added: dict[int, Event] = {}
        for e in loop.events:
            if e.kind == "backward":
                for who, held in used.items():
                    empty = {p for p, left in e.facts["left"].items() if left == 0}
                    held -= empty
                    if held & e.facts["left"].keys():
                        added[who] = e
                    elif e.facts["parameters"] & empty:
                        added.pop(who, None)
            if e.kind != "step":
                since.append(e)
                continue
            if e.who in added:
                self.forgotten.append((added.pop(e.who), e.who))
            used[e.who] = set(e.facts["parameters"])
            self._look(e, since)
            since = []

    def _look(self, step: Event, since: Sequence[Event]) -> None:
        walks = [x for x in since if x.kind == "backward"]
        if not walks:
            return
        own = step.facts["parameters"]
        norm = walks[-1].facts.get("norm", 0.0)
        # where it is another one, somebody put the sum together
        if math.isclose(step.facts["norm"], norm, rel_tol=1e-5) and _lost(walks, own):
            self.lost.append(walks[1])
        if not walks[-1].facts["parameters"] & own:
            self.elsewhere.append(step)
        elif step.facts["norm"] == 0 and norm > 0:
            kinds = [x.kind for x in since]
            behind = kinds[len(kinds) - kinds[::-1].index("backward") :]
            if "zero" in behind and "forward" in behind[behind.index("zero") :]:
                self.early.append(step)
            elif "zero" in behind:
                self.emptied.append(since[len(since) - len(behind) + behind.index("zero")])
            elif "clip" in behind:
                self.clipped.append((step, norm))
        elif norm > 0 and step.facts["norm"] < min(CLIPPED * norm, NEARLY_NOTHING):
            self.clipped.append((step, norm))


def _lost(walks: Sequence[Event], own: frozenset[int]) -> bool:
    """Whether walks of one line, of the same parameters, each began with gradients set back."""
    first = walks[0].facts
    return len(walks) > 1 and first.get("norm", 0.0) > 0 and all(
        w.place == walks[0].place
        and w.facts["parameters"] == first["parameters"] <= own
        and w.facts["weights"] == first["weights"]
        and not any(w.facts["left"].values())
        for w in walks
    )  # fmt: skip


def _stale(loop: Loop) -> list[Event]:
    """Steps between a forward pass and the backward() that belongs to it."""
    found: list[Event] = []
    step: Event | None = None
    passed = False
    for e in loop.events:
        if e.kind == "forward" and e.facts["graded"]:
            passed, step = True, None
        elif e.kind == "step" and passed:
            step = e
        elif e.kind == "backward":
            if step is not None and e.facts["parameters"] & step.facts["parameters"]:
                found.append(step)
            passed, step = False, None
    return found


def _without_effect(loop: Loop) -> Iterator[Finding]:
    """Clipping where no gradient waits for its step."""
    clips, after = loop.of("clip"), 0
    if len(clips) < 2:
        return
    waiting: set[int] = set()
    stepped = False
    for e in loop.events:
        if e.kind == "clip":
            if e.facts["parameters"] & waiting:
                return
            after += stepped
        elif e.kind == "backward":
            waiting |= e.facts["parameters"]
        elif e.kind == "step":
            waiting -= e.facts["parameters"]
            stepped = True
        elif e.kind == "zero" or e.kind == "forward":
            stepped = False
    late = after >= len(clips) - 1
    yield Finding(
        rule="clipping without effect",
        severity=ERROR,
        text=f"{clips[0].facts['name']} stands "
        + ("behind step(): the step has used the gradients" if late
           else "before backward(): there is no gradient yet"),
        evidence=f"none of its {len(clips)} calls came between backward() and step()",
        line=clips[0].place,
        next="backward(), clip, step()",
    )  # fmt: skip


def _schedule_first(loop: Loop) -> Iterator[Finding]:
    """A schedule that is moved on before each step, so that its first rate is never used."""
    for who in {e.facts["optimizer"] for e in loop.of("schedule")}:
        own = [e for e in loop.events
               if (e.kind == "schedule" and e.facts["optimizer"] == who)
               or (e.kind == "step" and e.who == who)]  # fmt: skip
        pairs = list(zip(own[::2], own[1::2], strict=False))
        turns = all(a.kind == "schedule" and b.kind == "step" for a, b in pairs)
        if len(pairs) < 2 or not turns or len({a.place for a, _ in pairs}) > 1:
            continue
        yield Finding(
            rule="schedule before step",
            severity=WARNING,
            text=f"{own[0].facts['name']} is stepped before the optimizer: its first rate is "
            "never used",
            evidence=f"{len(pairs)} times schedule.step(), then optimizer.step(); the first step "
            f"has the rate {pairs[0][1].facts['lr']:.4g}",
            line=own[0].place,
            next="optimizer.step(), then schedule.step()",
        )
        return


def order(loop: Loop, steps: Sequence[Event]) -> Iterator[Finding]:
    """zero_grad, backward, step: which comes after which."""
    seen = _Order(loop)
    early = seen.early
    walks = loop.of("backward")
    yield from _without_effect(loop)
    yield from _schedule_first(loop)
    if len(seen.elsewhere) == len(steps):
        yield Finding(
            rule="optimizer",
            severity=ERROR,
            text="the optimizer holds none of the parameters that backward() reaches",
            evidence=f"{len(steps)} steps changed nothing of what the loss was computed from",
            line=steps[0].place,
            next="make the optimizer of the parameters of the model that is trained",
            explains=EXPLAINS,
        )
    elif len(early) >= 2 and len(early) >= len(steps) - 1:
        yield Finding(
            rule="step before backward",
            severity=ERROR,
            text="the optimizer's step comes before backward(): it gets no gradient",
            evidence=f"{len(early)} of {len(steps)} steps; zero_grad() empties what backward() "
            "left after the step before",
            line=early[0].place,
            next="zero_grad(), forward, backward(), step()",
            explains=EXPLAINS,
        )
    elif len(seen.stale) >= 2 and len(seen.stale) == len(walks):
        yield Finding(
            rule="step before backward",
            severity=ERROR,
            text="the optimizer's step stands between the forward pass and its backward()",
            evidence=f"{len(walks)} of {len(walks)} times: the first step has no gradient, and "
            "those after it have none or that of the batch before",
            line=seen.stale[0].place,
            next="zero_grad(), forward, backward(), step()",
            explains=EXPLAINS,
        )
    elif len(seen.emptied) == len(steps):
        yield Finding(
            rule="zero_grad after backward",
            severity=ERROR,
            text="zero_grad() stands between backward() and step(): each step gets no gradient",
            evidence=f"{len(steps)} of {len(steps)} steps",
            line=seen.emptied[0].place,
            next="call zero_grad() before backward(), or after step()",
            explains=EXPLAINS,
        )
    else:
        yield from _amount(seen, steps, walks)


def _amount(seen: _Order, steps: Sequence[Event], walks: Sequence[Event]) -> Iterator[Finding]:
    """Steps in the right order, with too much of the gradients or too little."""
    taken = Counter(e.who for e in steps)
    times = Counter(who for _, who in seen.forgotten)
    who = next((w for w, n in times.items() if n >= 2 and 2 * n >= taken[w] - 1), None)
    forgotten = [e for e, w in seen.forgotten if w == who]
    clipped = seen.clipped
    if forgotten:
        yield Finding(
            rule="zero_grad forgotten",
            severity=ERROR,
            text="gradients are never set back: each step uses the sum of all so far",
            evidence=f"{len(forgotten)} of {taken[who or 0]} steps"
            + (f" of one of {len(taken)} optimizers" if len(taken) > 1 else "")
            + " used gradients that a step before had already used",
            line=forgotten[0].place,
            next="call optimizer.zero_grad() before each backward()",
            explains=FIT,
        )
    elif len(seen.lost) >= 2 and len(seen.lost) >= len(steps) - 1:
        yield Finding(
            rule="accumulated gradients lost",
            severity=ERROR,
            text="several backward() come before each step, and each begins with gradients set "
            "back: the step uses the last one's alone",
            evidence=f"{len(walks)} times backward(), {len(steps)} steps; no parameter changed in "
            "between",
            line=seen.lost[0].place,
            next="call zero_grad() only after step()",
        )
    elif clipped and 2 * len(clipped) >= len(steps):
        step, norm = clipped[0]
        left = step.facts["norm"]
        yield Finding(
            rule="gradients clipped away",
            severity=WARNING,
            text=f"of a gradient of norm {norm:.2g} the step gets {step.facts['norm']:.2g}",
            evidence=f"{len(clipped)} of {len(steps)} steps; between backward() and step() it is "
            + (f"made {norm / left:.0e} times smaller" if left else "made 0"),
            line=step.place,
            next="clip to a norm near the usual one, as 1.0",
            explains=FIT,
        )
