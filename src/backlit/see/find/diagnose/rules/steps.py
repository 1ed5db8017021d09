"""The rules about a training loop: what is called, in which order, and what is kept."""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .....autograd import topological
from .....compiler import CompiledFunction
from .....errors import GraphFreedError
from .....tensor import Tensor
from ..finding import ERROR, WARNING, Finding
from ..loop import MODAL, Event, Loop
from ..material import Material
from .order import EXPLAINS, order
from .whole import of_a_script

#: How often a step is called, to see what it leaves behind.
CALLS = 6
#: A schedule that takes the rate to such a share within so many calls is meant for epochs.
FALLEN, SOON = 1e-2, 60
#: So many passes are needed to say that something grows with each.
PASSES = 4


def training_step(m: Material) -> Iterator[Finding]:
    """What the user's own step does, over some calls."""
    if m.step is None:
        return
    step = m.step.function if isinstance(m.step, CompiledFunction) else m.step
    loop = Loop()
    modes = [x.training for x in m.model.modules()]
    with m.kept(), np.errstate(all="ignore"):
        for p in m.model.parameters():
            p.grad = None
        before = [np.array(p.array) for p in m.model.parameters()]
        try:
            with loop.watching():
                for _ in range(CALLS):
                    called(step, (*m.inputs, m.target))
        except Exception as error:
            text = " ".join(str(error).split())
            if isinstance(error, GraphFreedError) and loop.of("step"):
                yield Finding(
                    rule="graph kept",
                    severity=ERROR,
                    text="the second step walks back into the graph of the first one",
                    evidence=text,
                    line=loop.of("backward")[-1].place,
                    next="detach() the hidden state, or what is carried over, between steps",
                    explains=EXPLAINS,
                )
                return
            yield Finding(
                rule="the step raises",
                severity=ERROR,
                text=f"step raises {type(error).__name__}",
                evidence=text,
                next="the message says what to change",
                explains=EXPLAINS,
            )
            return
        moved = any(
            not np.array_equal(a, p.array, equal_nan=True)
            for a, p in zip(before, m.model.parameters(), strict=True)
        )
        kept = _chains(step)
    for x, mode in zip(m.model.modules(), modes, strict=True):
        x.training = mode
    yield from found_in(loop, moved, kept, whole=False)
    yield from _at_rest(m, loop)
    yield from _per_batch(m, loop)


def called(function: Callable[..., Any], batch: Sequence[Any]) -> Any:
    """A function of the user's, called with the batch's entries, the batch, or nothing."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function(*batch)
    for arguments in (tuple(batch), (tuple(batch),), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return function(*arguments)
    return function(*batch)


def evaluating(m: Material) -> Iterator[Finding]:
    """The user's evaluation, once: in which mode is the model?"""
    if m.evaluate is None:
        return
    loop = Loop()
    with m.kept():
        m.model.train(True)
        try:
            with loop.watching():
                called(m.evaluate, (*m.inputs, m.target))
        except Exception as error:
            yield Finding(
                rule="the step raises",
                severity=ERROR,
                text=f"evaluate raises {type(error).__name__}",
                evidence=" ".join(str(error).split()),
                next="the message says what to change",
            )
            return
    wrong = [e for e in loop.of("forward") if e.facts["training"] and e.facts["modal"]]
    if wrong:
        yield _in_training_mode(wrong)


def _in_training_mode(wrong: Sequence[Event]) -> Finding:
    return Finding(
        rule="training mode while evaluating",
        severity=WARNING,
        text=f"{wrong[0].facts['name']} is evaluated in training mode",
        evidence="dropout drops values, and batch normalisation uses, and learns, the batch's own "
        f"statistics; {len(wrong)} calls",
        line=wrong[0].place,
        next="model.eval() before it, model.train() after it",
    )


def found_in(loop: Loop, moved: bool, chains: int, *, whole: bool) -> Iterator[Finding]:
    """What is wrong in the log of a loop; `whole` if it was a script from beginning to end.

    `moved`: whether parameters changed. `chains`: of how many additions a Tensor is made that
    outlives a step.
    """
    walks, steps = loop.of("backward"), loop.of("step")
    graded = [e for e in loop.of("forward") if e.facts["graded"]]
    if not walks and (steps or (not whole and not moved)) and graded:
        idle = all(e.facts["norm"] == 0 for e in steps)
        if idle:
            yield Finding(
                rule="backward forgotten",
                severity=ERROR,
                text="nothing calls backward()",
                evidence=f"{len(graded)} forward passes, {len(steps)} optimizer steps without a "
                "gradient",
                line=steps[0].place if steps else graded[0].place,
                next="loss.backward() before optimizer.step()",
                explains=EXPLAINS,
            )
        return
    if not walks:
        return
    if not steps:
        if not moved and len(walks) > 1:
            yield Finding(
                rule="step forgotten",
                severity=ERROR,
                text="no optimizer takes a step",
                evidence=f"backward() was called {len(walks)} times, and no parameter changed",
                line=walks[0].place,
                next="optimizer.step() after loss.backward()",
                explains=EXPLAINS,
            )
        return
    anew = [e for e in steps if e.facts["new"] and e.facts["norm"] > 0]
    if len(anew) >= PASSES and len(anew) == len(steps):
        yield Finding(
            rule="optimizer made anew",
            severity=WARNING,
            text="each step has a new optimizer, which has forgotten its averages",
            evidence=f"{len(anew)} of {len(steps)} steps began without state",
            line=anew[0].place,
            next="make the optimizer once, before the loop",
        )
    yield from order(loop, steps)
    yield from _kept(loop, walks, chains, whole)
    yield from _modes(loop, steps, whole)
    if whole and loop.is_whole:
        yield from _rates(loop, steps)


def found_in_script(loop: Loop) -> list[Finding]:
    """What is wrong in the log of a script that ran from beginning to end."""
    moved = len({e.facts["weights"] for e in loop.of("backward")}) > 1
    return [*found_in(loop, moved, 0, whole=True), *of_a_script(loop)]


def _kept(loop: Loop, walks: Sequence[Event], chains: int, whole: bool) -> Iterator[Finding]:
    """Graphs, and losses with them, that outlive their step."""
    needed = 2 * PASSES if whole else PASSES
    if len(walks) < needed:
        return
    place, _ = Counter(e.place for e in walks).most_common(1)[0]
    sizes = [e.facts["nodes"] for e in walks if e.place == place]
    rising = [b - a for a, b in itertools.pairwise(sizes)]
    if len(sizes) >= needed and rising and min(rising) > 0 and len(set(rising[1:])) == 1:
        yield Finding(
            rule="graph kept",
            severity=WARNING,
            text=f"the graph grows with each step: {', '.join(map(str, sizes[:4]))} … ops",
            evidence="what one step computed is an input of the next one, with its graph",
            line=place,
            next="detach() the hidden state, or what is carried over, between steps",
        )
    elif (sums := max(loop.summed, chains)) >= needed - 1 and (
        sums == loop.summed or chains >= len(walks) - 1
    ):
        yield Finding(
            rule="graph kept",
            severity=WARNING,
            text=f"a sum of losses is a Tensor, with a graph of {sums} additions so far",
            evidence="it grows with each step, and nothing walks back through it",
            line=loop.sum_place,
            next="add up numbers: total += loss.item()",
        )
    elif loop.alive() >= len(walks) - 1 and (not whole or len(walks) > needed):
        yield Finding(
            rule="graph kept",
            severity=WARNING,
            text=f"the losses of all {len(walks)} steps are kept as Tensors",
            evidence="each holds on to what it was computed with",
            next="keep numbers: losses.append(loss.item())",
        )


def _modes(loop: Loop, steps: Sequence[Event], whole: bool) -> Iterator[Finding]:
    """Training in evaluation mode, evaluating in training mode."""
    trained: frozenset[int] = frozenset().union(*[e.facts["parameters"] for e in steps])
    events = loop.events
    forwards = [
        i for i, e in enumerate(events)
        if e.kind == "forward" and e.facts["modal"] and e.facts["parameters"] & trained
    ]  # fmt: skip
    learning, looking = [], []
    for i in forwards:
        e = events[i]
        following = next((x for x in events[i + 1 :] if x.kind in ("backward", "step")), None)
        if e.facts["graded"] and following is not None and following.kind == "backward":
            learning.append(e)
        elif not e.facts["graded"]:
            looking.append(e)
    wrong = [e for e in learning if not e.facts["training"]]
    if wrong and 2 * len(wrong) > len(learning):
        first = next(i for i, e in enumerate(learning) if e is wrong[0])
        since = "always" if first == 0 else f"from step {first + 1} on"
        yield Finding(
            rule="evaluation mode",
            severity=WARNING,
            text=f"{wrong[0].facts['name']} is trained in evaluation mode, {since}",
            evidence=f"{len(wrong)} of {len(learning)} forward passes before a backward()",
            line=wrong[0].place,
            next="model.train() before training goes on",
        )
    wrong = [e for e in looking if e.facts["training"]]
    if whole and wrong and 2 * len(wrong) > len(looking):
        yield _in_training_mode(wrong)


def _at_rest(m: Material, loop: Loop) -> Iterator[Finding]:
    """A schedule under which no step has a rate."""
    steps, moves = loop.of("step"), loop.of("schedule")
    if m.schedule is None or len(steps) < PASSES or any(e.facts["lr"] for e in steps):
        return
    first = next(_ahead(m, SOON, lambda rates: rates[-1] > 0), None)
    if first is not None:
        return  # it warms up
    name = type(m.schedule).__name__
    yield Finding(
        rule="learning rate is 0",
        severity=ERROR,
        text=f"under {name} the learning rate is 0: no step changes anything",
        evidence=f"it is 0 in all {len(steps)} steps, and stays so over {SOON} of the schedule's",
        line=moves[0].place if moves else "",
        next="look at the schedule's factor: s // n is 0 up to step n, s / n grows with each",
        explains=EXPLAINS,
    )


def _ahead(
    m: Material, most: int, wanted: Callable[[list[float]], bool]
) -> Iterator[tuple[int, float]]:
    """After how many steps of the schedule the rates are as wanted, and the last one."""
    groups = m.schedule.optimizer.param_groups
    with m.kept():
        rates = [max(float(g["lr"]) for g in groups)]
        for i in range(most):
            try:
                m.schedule.step()
            except TypeError:  # it asks for what was measured
                return
            rates.append(max(float(g["lr"]) for g in m.schedule.optimizer.param_groups))
            if wanted(rates):
                yield i + 1, rates[-1]
                return


def _per_batch(m: Material, loop: Loop) -> Iterator[Finding]:
    """A schedule that the step moves on, and that is at its end within an epoch."""
    moves, steps = loop.of("schedule"), loop.of("step")
    schedule = m.schedule
    if schedule is None or not steps or len(moves) < len(steps) or not hasattr(schedule, "step"):
        return
    soon = SOON
    if hasattr(m.data, "__len__") and not isinstance(m.data, tuple):
        soon = min(SOON, max(len(m.data), 2))
    first = float(schedule.optimizer.param_groups[0]["lr"])
    fallen = next(_ahead(m, soon, lambda rates: rates[-1] < FALLEN * rates[0]), None)
    if first > 0 and fallen is not None:
        yield _schedule(type(schedule).__name__, moves[0].place, first, fallen[1],
                        f"{fallen[0]} batches")  # fmt: skip


def _schedule(name: str, place: str, first: float, last: float, when: str) -> Finding:
    return Finding(
        rule="schedule per batch",
        severity=WARNING,
        text=f"{name} is stepped with every batch: the rate falls from {first:.2g} to {last:.2g} "
        f"within {when}",
        evidence="schedule.step() is called as often as optimizer.step()",
        line=place,
        next="call it once an epoch, or count its settings in batches",
    )


def _rates(loop: Loop, steps: Sequence[Event]) -> Iterator[Finding]:
    """The same of a whole script: the rate is gone before half of the steps are taken."""
    moves = loop.of("schedule")
    for number in {e.facts["optimizer"] for e in moves}:
        own = [e for e in moves if e.facts["optimizer"] == number]
        taken = [e.facts["lr"] for e in steps if e.who == number]
        if len(taken) < 10 or len(own) < 0.9 * len(taken) or taken[0] <= 0:
            continue
        gone = next((i for i, r in enumerate(taken) if r < FALLEN * taken[0]), None)
        if gone is not None and gone < 0.5 * len(taken):
            yield _schedule(own[0].facts["name"], own[0].place, taken[0], taken[gone],
                            f"{gone} of {len(taken)} steps")  # fmt: skip
            return


def _chains(function: Callable[..., Any], depth: int = 3) -> int:
    """Of how many additions a Tensor is made that a function keeps from call to call."""
    code = getattr(function, "__code__", None)
    held: list[Any] = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:
            continue
    names = code.co_names if code is not None else ()
    known = getattr(function, "__globals__", {})
    held += [known[n] for n in names if n in known]
    if hasattr(function, "__self__"):
        held += vars(function.__self__).values() if hasattr(function.__self__, "__dict__") else ()
    inner = [x for x in held if inspect.isfunction(x) and depth]
    return max([chains_in(held), *[_chains(f, depth - 1) for f in inner]])


def chains_in(held: Sequence[Any]) -> int:
    """The longest sum of losses among some things, and what lists and dicts of them hold."""
    most = 0
    for x in held:
        inner = x.values() if isinstance(x, dict) else x if isinstance(x, list | tuple) else (x,)
        for y in list(inner)[-8:]:
            if isinstance(y, Tensor) and y.node is not None and y.size == 1:
                ops = Counter(n.op.name for n in topological([y.node]))
                most = max(most, ops["add"] if ops["add"] * 2 >= sum(ops.values()) else 0)
    return most


__all__ = ["MODAL", "called", "chains_in", "evaluating", "found_in", "training_step"]
