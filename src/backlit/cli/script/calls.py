"""What do the calls of a script's modules say of each other? For `backlit run --diagnose`.

Two networks that work against each other are seen in two losses; a state that is handed from call
to call is seen in the calls of one loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd import topological
from ...nn.module import Module
from ...see.find.diagnose.finding import ERROR, FIT, Finding
from ...see.find.diagnose.material import FAILURES, is_floating
from ...see.records.from_tape import record
from ...state import STATE
from ...tensor import Tensor
from ...tree import flatten
from .replay import Call

#: So many calls are remembered, and so many walks looked at.
CALLS, WALKS = 16, 48
#: A loss pushes an output one way if so many of its gradients have that sign.
ONE_WAY = 0.95
#: The gradient of a squared error is a straight line, up to rounding, and no flat one.
ENOUGH, LINEAR, STRAIGHT = 8, 1e-3, 1e-4
#: A state is dropped if so many calls of one loss begin with the same constant one.
DROPPED = 3


@dataclass
class _Pass:
    """A call of a module: what it was given and what it returned."""

    module: Module
    name: str
    inputs: list[Tensor]
    given: list[Any]
    outputs: list[Any]
    arrays: list[np.ndarray]


def _aim(y: np.ndarray, g: np.ndarray) -> str:
    """Where gradients push outputs to, if all of them to one place; else empty."""
    y, g = y.reshape(-1).astype(np.float64), g.reshape(-1).astype(np.float64)
    if y.size >= ENOUGH and np.ptp(y) > 0:
        slope, at_zero = np.polyfit(y, g, 1)
        off = float(np.max(np.abs(slope * y + at_zero - g)))
        if slope * np.ptp(y) > LINEAR * np.abs(g).max() and off < STRAIGHT * np.abs(g).max():
            return f"to {-at_zero / slope + 0.0:.2f}"
    up = float((g[g != 0] < 0).mean())
    return "up" if up >= ONE_WAY else "down" if up <= 1 - ONE_WAY else ""


@dataclass(frozen=True)
class _Push:
    """Which way a loss pushes what a module says of what another one made."""

    place: str
    judge: int
    name: str
    #: Whether the loss's gradient goes on into the one that made it.
    onward: bool
    #: "up", "down", or the number to which a squared error pulls.
    aim: str


class Adversaries:
    """Looks on while networks judge what others make, loss after loss."""

    def __init__(self) -> None:
        self._passes: list[_Pass] = []
        self._pushes: set[_Push] = set()
        self._walks = 0

    def called(self, module: Module, inputs: Any, returned: Any) -> None:
        """Take down a call that the script made."""
        if self._walks >= WALKS or STATE.execution.captures:
            return
        given = [x for x in flatten(inputs)[0] if isinstance(x, Tensor)]
        outputs = [x for x in flatten(returned)[0] if is_floating(x)]
        self._passes = [
            *self._passes[-CALLS:],
            _Pass(module, type(module).__name__, given, [x.node for x in given],
                  [x.node for x in outputs], [np.asarray(x.array) for x in outputs]),
        ]  # fmt: skip

    def walked(self, loss: Tensor, place: str) -> None:
        """Take down which way a loss pushes; its graph must be alive."""
        self._walks += 1
        if self._walks > WALKS or any(p.place == place for p in self._pushes):
            return
        if len({id(p.module) for p in self._passes}) < 2 or loss.node is None:
            return
        judged = [(p, self._made_by_another(p)) for p in self._passes]
        judged = [(p, onward) for p, onward in judged if onward is not None]
        on_tape = set(topological([loss.node]))
        judged = [(p, o) for p, o in judged if p.outputs and p.outputs[0] in on_tape]
        if not judged:
            return
        try:
            seen = record(loss)
            for p, onward in judged:
                number = seen.live.tensors.get(id(p.outputs[0]))
                value = None if number is None else seen.nodes[number].upstream
                g = None if value is None or value.array is None else np.asarray(value.array)
                if g is None or not g.any():
                    continue
                aim = _aim(p.arrays[0], g)
                if aim:
                    self._pushes.add(_Push(place, id(p.module), p.name, bool(onward), aim))
        except FAILURES:
            return

    def _made_by_another(self, judge: _Pass) -> bool | None:
        """Whether a gradient goes on to whoever made its input; None if that is no module's."""
        for p in self._passes:
            if p.module is judge.module:
                continue
            for x, node in zip(judge.inputs, judge.given, strict=True):
                if node is not None and any(node is o for o in p.outputs):
                    return True
                if node is None and any(
                    a.size > 1 and np.shares_memory(a, np.asarray(x.array)) for a in p.arrays
                ):
                    return False
        return None

    def found(self) -> Iterator[Finding]:
        """What is wrong between them."""
        for own in self._pushes:
            if own.onward:
                continue
            for other in self._pushes:
                same = other.judge == own.judge and other.onward and other.aim == own.aim
                if not same or any(p.judge == own.judge and p.onward and p.aim != own.aim
                                   for p in self._pushes):  # fmt: skip
                    continue
                yield Finding(
                    rule="wrong sign",
                    severity=ERROR,
                    text=f"both losses push what {own.name} says of what is made the same way "
                    f"({own.aim}): the two networks do not work against each other",
                    evidence=f"its own loss at {own.place}, and that of the network which makes it "
                    f"at {other.place}",
                    line=other.place,
                    next="the one that makes wants the answer for what is real: turn the sign of "
                    "its loss, or its labels; and look at those of the other",
                    explains=FIT,
                )
                return


def state_dropped(calls: Sequence[Call]) -> Iterator[Finding]:
    """A state that a module returns at each call, and that no later call is given."""
    for module in {id(c.module): c.module for c in calls}.values():
        own = [c for c in calls if c.module is module]
        if len(own) < DROPPED:
            continue
        first = flatten((own[0].inputs, own[0].options))[0]
        for i, x in enumerate(first):
            if not is_floating(x) or x.size < 2 or np.ptp(np.asarray(x.array)) != 0:
                continue
            given = [flatten((c.inputs, c.options))[0] for c in own]
            if not all(_alike(leaves[i], x) for leaves in given):
                continue
            returned = all(
                any(n is not None and n.shape == x.shape for n in c.nodes[1:]) for c in own
            )
            others = [[y for k, y in enumerate(leaves) if k != i] for leaves in given]
            if returned and _are_steps(others):
                yield Finding(
                    rule="context is not used",
                    severity=ERROR,
                    text=f"{type(module).__name__} returns a state at each call, and no later call "
                    "is given it",
                    evidence=f"{len(own)} calls in one loss, each with the same constant state of "
                    f"the shape {x.shape}",
                    next="take over what is returned: y, state = model(x, state)",
                    explains=FIT,
                )
                return


def _are_steps(given: list[list[Any]]) -> bool:
    """Whether calls are given one step of one sequence each: parts of one array."""
    arrays = [np.asarray(x.array) for leaves in given for x in leaves[:1] if isinstance(x, Tensor)]
    if len(arrays) != len(given) or arrays[0].ndim > 2:
        return False
    wholes = [_whole(a) for a in arrays]
    return wholes[0].size > arrays[0].size and all(w is wholes[0] for w in wholes)


def _whole(a: np.ndarray) -> np.ndarray:
    """The array of which this one is a part."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def _alike(x: Any, other: Tensor) -> bool:
    return x is other or (
        is_floating(x) and x.node is None and x.shape == other.shape
        and np.array_equal(np.asarray(x.array), np.asarray(other.array))
    )  # fmt: skip
