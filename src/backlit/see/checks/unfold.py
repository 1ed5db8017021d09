"""A compound op's own forward body as a tape of primitives, walked with one rule broken at a time.

Whatever a hand-written `backward` should return follows from its `forward`. Broken on purpose in
one place (an edge cut, a sign turned, a local gradient left out) the walk gives what a backward
with that mistake would return: the candidates to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array_api.namespace import TENSORS
from ...autograd import fit, step_back, walk_back
from ...backend import numpy_backend as NUMPY
from ...errors import BacklitError
from ...facts import written
from ...op import Elementwise, Op
from ...ops import elementwise, movement, reductions
from ...state import Setting, observing
from ...tensor import Tensor, wrap

#: (step, input of the step, what is done to the gradient that leaves there)
Break = tuple[int, int, str]

#: What a formula need not show.
_UNSEEN = (movement.Reshape, movement.BroadcastTo, elementwise.Positive, elementwise.Astype)
#: By these the body of a normalisation makes or undoes squares.
_SQUARES = (elementwise.Square, elementwise.Sqrt, elementwise.Reciprocal, reductions.Var)


@dataclass
class Step:
    """One primitive of the body: its op, where its inputs come from, and its value.

    A source is ("input", k), ("step", j) or ("constant", value).
    """

    op: Op
    sources: tuple[tuple[str, Any], ...]
    shapes: tuple[Any, ...]
    value: np.ndarray
    saved: tuple[Any, ...]

    def back(self, upstream: np.ndarray, actions: Sequence[str | None]) -> list[Any]:
        """What the step sends to each source, with its rule broken as the actions say."""
        targets = [
            None if kind == "constant" or action == "cut" else shape
            for (kind, _), action, shape in zip(self.sources, actions, self.shapes, strict=True)
        ]
        sent = step_back(self.op, upstream, self.saved, targets, xp=NUMPY)
        for i, (gradient, action) in enumerate(zip(sent, actions, strict=True)):
            if gradient is not None and action == "pass":
                sent[i] = fit(NUMPY, upstream, targets[i])
            elif gradient is not None and action == "negate":
                sent[i] = -gradient
        return sent


class Tape:
    """The steps of one run of an op's forward body."""

    def __init__(self, op: Op, inputs: Sequence[Any], names: Sequence[str]):
        self.names = list(names)
        self.inputs = list(inputs)
        self.steps: list[Step] = []
        tensors = [wrap(x) if isinstance(x, np.ndarray) else x for x in inputs]
        known: dict[int, tuple[str, Any]] = {}
        alive: list[Any] = list(tensors)  # keeps every id taken
        for k, t in enumerate(tensors):
            if isinstance(t, Tensor):
                known[id(t)] = ("input", k)

        def observe(step: Op, arguments: tuple[Any, ...], y: Tensor) -> None:
            sources = tuple(
                known.get(id(a), ("constant", a.array))
                if isinstance(a, Tensor)
                else ("constant", a)
                for a in arguments
            )
            arrays = tuple(a.array if isinstance(a, Tensor) else a for a in arguments)
            self.steps.append(Step(step, sources, arrays, y.array, step.save(arrays, y.array)))
            known[id(y)] = ("step", len(self.steps) - 1)
            alive.append(y)

        alone = observing(observe, alone=True)  # the steps are none of the user's
        with alone, Setting(grad_enabled=False), np.errstate(all="ignore"):
            self.result = op.forward(TENSORS, *tensors)
        self.end = known.get(id(self.result))

    def pull(
        self,
        upstream: np.ndarray,
        broken: Sequence[Break] = (),
        instead: tuple[int, tuple[str, Any], np.ndarray] | None = None,
    ) -> list[np.ndarray | None]:
        """The gradient of every input, None where none arrives.

        With `instead` = (step, source, factor) the gradient of that step goes to that source of its
        chain at once, multiplied by the factor.
        """
        if self.end is None or self.end[0] != "step":
            return [None] * len(self.inputs)
        actions = {(j, i): what for j, i, what in broken}

        def send(at: tuple[str, int], arriving: np.ndarray) -> list[tuple[Any, Any]]:
            j = at[1]
            if instead is not None and j == instead[0]:
                return [(instead[1], arriving * instead[2])]
            step = self.steps[j]
            if not step.op.differentiable:
                return []
            here = [actions.get((j, i)) for i in range(len(step.sources))]
            return list(zip(step.sources, step.back(arriving, here), strict=True))

        arrived: dict[Any, Any] = {self.end: upstream}
        with np.errstate(all="ignore"):
            walk_back((("step", j) for j in range(self.end[1], -1, -1)), arrived, send)
        return [arrived.get(("input", k)) for k in range(len(self.inputs))]

    def chains(self) -> Iterator[tuple[int, tuple[str, Any], np.ndarray, np.ndarray]]:
        """(step, source, its value, d step / d source) wherever a step is, element by element, a
        function of one earlier value alone: 1/(1 + exp(−z)) of z as well as tanh(z).
        """
        for j, step in enumerate(self.steps):
            at, slope = ("step", j), np.ones(step.value.shape)
            while at[0] == "step":
                inner = self.steps[at[1]]
                linked = [i for i, (kind, _) in enumerate(inner.sources) if kind != "constant"]
                usual = isinstance(inner.op, Elementwise) and inner.op.differentiable
                if not usual or len(linked) != 1 or slope.dtype.kind != "f":
                    break
                (i,) = linked
                at = inner.sources[i]
                value = self.inputs[at[1]] if at[0] == "input" else self.steps[at[1]].value
                if np.shape(value) != step.value.shape:
                    break
                alone = [slope if k == i else None for k in range(len(inner.sources))]
                with np.errstate(all="ignore"):
                    sent = step_back(inner.op, slope, inner.saved, alone, xp=NUMPY)
                slope = np.asarray(sent[i])
                yield j, at, value, slope

    def edges(self) -> Iterator[tuple[int, int]]:
        """Every (step, input) through which a gradient passes."""
        for j, step in enumerate(self.steps):
            if step.op.differentiable:
                for i, (kind, place) in enumerate(step.sources):
                    if kind == "step" or (kind == "input" and _floating(self.inputs[place])):
                        yield j, i

    def text(self, source: tuple[str, Any], depth: int = 3) -> str:
        """An input, step or constant as mathematics."""
        kind, place = source
        if kind == "input":
            return self.names[place]
        if kind == "constant":
            return f"{place:.4g}" if np.ndim(place) == 0 and not isinstance(place, bool) else "…"
        step = self.steps[place]
        if depth == 0:
            return "…"
        parts = [self.text(s, depth - 1) for s in step.sources]
        op = step.op
        if isinstance(op, _UNSEEN):
            return parts[0]
        if not op.notation:
            return f"{op.name}({', '.join(parts)})"
        between = op.notation.startswith("{} ")
        return f"({written(op.notation, parts)})" if between else written(op.notation, parts)

    def quantities(self) -> Iterator[tuple[str, np.ndarray]]:
        """The value of every floating step, with its text."""
        for j, step in enumerate(self.steps):
            if isinstance(step.value, np.ndarray) and step.value.dtype.kind == "f":
                yield self.text(("step", j)), step.value

    def role(self, step: int, position: int) -> str:
        """Which term of a normalisation the edge into a step begins: "mean", "variance" or ""."""
        reduced = squared = False
        reached = {step}
        for j in range(step, len(self.steps)):
            current = self.steps[j]
            feeding = [place for kind, place in current.sources if kind == "step"]
            if j != step and not reached.intersection(feeding):
                continue
            joins = j != step and any(
                kind == "input" or (kind == "step" and place not in reached)
                for kind, place in current.sources
            )
            op = current.op
            if joins and reduced:
                if isinstance(op, elementwise.Subtract) and not squared:
                    return "mean"
                if isinstance(op, elementwise.Divide | elementwise.Multiply) and squared:
                    return "variance"
                return ""
            reached.add(j)
            reduced |= isinstance(op, reductions.Sum | reductions.Mean)
            linked = [s for s in current.sources if s[0] != "constant"]
            alone = len(linked) == len(current.sources) and len(set(linked)) == 1
            squared |= isinstance(op, _SQUARES) or (isinstance(op, elementwise.Multiply) and alone)
        return ""


def unfold(op: Op, inputs: Sequence[Any], names: Sequence[str]) -> Tape | None:
    """The tape of the op's body, or None if the body does not run on Tensors."""
    try:
        tape = Tape(op, inputs, names)
    except (BacklitError, ValueError, TypeError, AttributeError, IndexError, RuntimeError):
        return None
    return tape if tape.end is not None else None


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
