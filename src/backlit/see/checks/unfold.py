"""A compound op's own forward body as a tape of primitives, walked with one rule broken at a time.

Whatever a hand-written `backward` should return follows from its `forward`. Broken on purpose in
one place (an edge cut, a sign turned, a local gradient left out) the walk gives what a backward
with that mistake would return: the candidates to compare with.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array_api import stack
from ...array_api.namespace import TENSORS
from ...autograd import fit, step_back, walk_back
from ...backend import numpy_backend as NUMPY
from ...facts import written
from ...gates import Gate
from ...op import Elementwise, Op
from ...ops import elementwise, movement
from ...state import Setting, observing
from ...tensor import Tensor, wrap
from .numpy_functions import tensor_of
from .probe import Probe, rebound

#: (step, input of the step, what is done to the gradient that leaves there): "cut", "negate",
#: "pass" (the local gradient is left out), "turn" (the upstream gradient is transposed), "assign"
#: (of what an element gets only the last counts), or the axes that it is summed over instead.
Break = tuple[int, int, Any]
#: A body of more steps than these is not unfolded.
STEPS = 4000

#: What a formula need not show.
_UNSEEN = (movement.Reshape, movement.BroadcastTo, elementwise.Positive, elementwise.Astype)


@dataclass
class Step:
    """One primitive of the body: its op, where its inputs come from, and its value.

    A source is ("input", k), ("step", j) or ("constant", value). `site` is where the function that
    computes it stands: a step of each turn of a loop has the same.
    """

    op: Op
    sources: tuple[tuple[str, Any], ...]
    shapes: tuple[Any, ...]
    value: np.ndarray
    saved: tuple[Any, ...]
    site: tuple[int, ...] = ()  # the places in the code, from the step outwards

    def back(
        self, upstream: np.ndarray, actions: Sequence[Any], saved: tuple[Any, ...] | None = None
    ) -> list[Any]:
        """What the step sends to each source, with its rule broken as the actions say, or with
        other saved values.
        """
        targets = [
            None if kind == "constant" or action == "cut" else shape
            for (kind, _), action, shape in zip(self.sources, actions, self.shapes, strict=True)
        ]
        saved = self.saved if saved is None else saved
        sent = step_back(self.op, upstream, saved, targets, xp=NUMPY)
        for i, (gradient, action) in enumerate(zip(sent, actions, strict=True)):
            if gradient is not None and action == "pass":
                sent[i] = fit(NUMPY, upstream, targets[i])
            elif gradient is not None and action == "negate":
                sent[i] = -gradient
            elif gradient is not None and action == "turn":
                turned = np.swapaxes(upstream, -1, -2)
                sent[i] = fit(
                    NUMPY, step_back(self.op, turned, saved, None, xp=NUMPY)[i], targets[i]
                )
            elif gradient is not None and action == "assign":
                sent[i] = self._assigned(i, upstream)
            elif gradient is not None and isinstance(action, tuple):
                raw: Any = step_back(self.op, upstream, saved, None, xp=NUMPY)[i]
                sent[i] = np.sum(raw, axis=action, keepdims=True)
        return sent

    def repeats(self, i: int) -> bool:
        """Whether the step takes some elements of an input more than once, and moves them only."""
        places = self._places(i)
        return places is not None and len(np.unique(places)) < places.size

    def _places(self, i: int) -> np.ndarray | None:
        """Which element of an input each element of the value is."""
        x = self.shapes[i]
        if not self.op.exact or not isinstance(x, np.ndarray) or not x.size:
            return None
        numbered = [
            np.arange(x.size, dtype=np.float64).reshape(x.shape) if k == i else v
            for k, v in enumerate(self.shapes)
        ]
        places = np.asarray(self.op.forward(NUMPY, *numbered))
        return places.astype(np.int64) if places.shape == self.value.shape else None

    def _assigned(self, i: int, upstream: np.ndarray) -> np.ndarray:
        """What an input gets if each of its elements keeps what it got last."""
        places, sent = self._places(i), np.zeros(self.shapes[i].shape)
        if places is not None:
            for place, u in zip(places.reshape(-1), upstream.reshape(-1), strict=True):
                sent.flat[place] = u
        return sent


class Tape:
    """The steps of one run of an op's forward body."""

    def __init__(self, op: Op, inputs: Sequence[Any], names: Sequence[str], longest: int = STEPS):
        self.names = list(names)
        self.inputs = list(inputs)
        self.steps: list[Step] = []
        self.called: dict[Any, str] = {}  # the names that sources have in the function
        self.own: dict[Any, str] = {}  # the same, but for what is an argument of a helper there
        tensors = [wrap(x) if isinstance(x, np.ndarray) else x for x in inputs]
        known: dict[int, tuple[str, Any]] = {}
        alive: list[Any] = list(tensors)  # keeps every id taken
        for k, t in enumerate(tensors):
            if isinstance(t, Tensor):
                known[id(t)] = ("input", k)

        def observe(step: Op, arguments: tuple[Any, ...], y: Tensor) -> None:
            if len(self.steps) == longest:
                raise RuntimeError(f"more than {longest} steps")
            sources = tuple(
                known.get(id(a), ("constant", a.array))
                if isinstance(a, Tensor)
                else ("constant", a)
                for a in arguments
            )
            arrays = tuple(a.array if isinstance(a, Tensor) else a for a in arguments)
            frame, outer, site = _site()
            if frame is not None and outer is not None and len(self.steps) < 300:
                self._name(frame, known, self.called)
                self._name(outer, known, self.own)
                code = frame.f_code
                self._name(frame, known, self.own, code.co_varnames[: code.co_argcount])
            saved = step.save(arrays, y.array)
            self.steps.append(Step(step, sources, arrays, y.array, saved, site))
            known[id(y)] = ("step", len(self.steps) - 1)
            alive.append(y)

        alone = observing(observe, alone=True)  # the steps are none of the user's
        with alone, Setting(grad_enabled=False), np.errstate(all="ignore"):
            self.result = _run(op, tensors, observe)
        self.end = known.get(id(self.result))

    def _name(
        self,
        frame: types.FrameType,
        known: dict[int, tuple[str, Any]],
        names: dict[Any, str],
        without: tuple[str, ...] = (),
    ) -> None:
        """Remember what the function calls the values that it has so far."""
        for name, value in frame.f_locals.items():
            tensor = value.tensor if isinstance(value, Probe) else value
            source = known.get(id(tensor)) if isinstance(tensor, Tensor) else None
            if source is not None and source[0] == "step" and name not in without:
                names.setdefault(source, name)

    def pull(
        self,
        upstream: np.ndarray,
        broken: Sequence[Break] = (),
        instead: Mapping[int, tuple[tuple[str, Any], Any]] | None = None,
        saved: Mapping[int, tuple[Any, ...]] | None = None,
        scaled: Mapping[int, Any] | None = None,
        arrivals: dict[int, np.ndarray] | None = None,
    ) -> list[np.ndarray | None]:
        """The gradient of every input, None where none arrives.

        With `instead` = {step: (source, factor)} the gradient of a step goes to that source of its
        chain at once, multiplied by the factor; or what the factor, a function, gives for it. With
        `saved` the saved values of a step are others, with `scaled` = {step: factor} what arrives
        at it is multiplied by something. What arrives at each step is put into `arrivals`.
        """
        if self.end is None or self.end[0] != "step":
            return [None] * len(self.inputs)
        actions = {(j, i): what for j, i, what in broken}

        def send(at: tuple[str, int], arriving: np.ndarray) -> list[tuple[Any, Any]]:
            j = at[1]
            if arrivals is not None:
                arrivals[j] = arriving
            if scaled is not None and j in scaled:
                arriving = arriving * scaled[j]
            if instead is not None and j in instead:
                source, factor = instead[j]
                return [(source, factor(arriving) if callable(factor) else arriving * factor)]
            step = self.steps[j]
            if not step.op.differentiable:
                return []
            here = [actions.get((j, i)) for i in range(len(step.sources))]
            other = None if saved is None else saved.get(j)
            return list(zip(step.sources, step.back(arriving, here, other), strict=True))

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
        if depth < 3 and source in self.called:
            return self.called[source]
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

    def whole(self, j: int) -> str:
        """A step as an equation, if it has a name."""
        source = ("step", j)
        formula = self.text(source)
        return f"{self.called[source]} = {formula}" if source in self.called else formula

    def groups(self) -> list[list[tuple[int, int]]]:
        """The edges through which a gradient passes; those of one place in the code are together,
        as in the turns of a loop.
        """
        found: dict[Any, list[tuple[int, int]]] = {}
        for j, i in self.edges():
            step = self.steps[j]
            same = len(step.sources) > 1 and len({str(s) for s in step.sources}) == 1  # x x
            key = (*self.place(j), 0 if same else i)
            found.setdefault(key, []).append((j, i))
        groups = list(found.values())
        for group in list(groups):  # in a recurrence: but for the turn that begins it
            inner = [(j, i) for j, i in group if self.steps[j].sources[i][0] == "step"]
            if inner and len(inner) < len(group):
                groups.append(inner)
        return groups

    def place(self, j: int) -> tuple[Any, ...]:
        """Where a step is computed: the same for each turn of a loop."""
        step = self.steps[j]
        return (step.site, type(step.op), *(() if step.site else (j,)))

    def places(self) -> list[list[int]]:
        """The steps, those of one place in the code together."""
        found: dict[Any, list[int]] = {}
        for j in range(len(self.steps)):
            found.setdefault(self.place(j), []).append(j)
        return list(found.values())

    def quantities(self) -> Iterator[tuple[str, np.ndarray]]:
        """The value of every floating step, with its text."""
        for j, step in enumerate(self.steps):
            if isinstance(step.value, np.ndarray) and step.value.dtype.kind == "f":
                yield self.text(("step", j)), step.value


def _run(op: Op, tensors: list[Any], observe: Any) -> Any:
    """The forward of an op on Tensors; that of a gate on probes, with what it calls."""
    if hasattr(op, "watched"):  # its forward is one step to whoever looks on: it is told to show
        return op.watched(tensors, observe)
    if not isinstance(op, Gate):
        return op.forward(TENSORS, *tensors)
    function = inspect.unwrap(op.value)
    if isinstance(function, types.MethodType):  # what it remembers is remembered by a copy
        function = types.MethodType(function.__func__, copy.copy(function.__self__))
    drawing = getattr(op.value, "drawing", contextlib.nullcontext)  # the same random numbers
    with drawing():
        y = rebound(function)(*[Probe(t) if isinstance(t, Tensor) else t for t in tensors])
    if op.is_pair and isinstance(y, tuple) and len(y) == 2:
        y = y[0]
    if isinstance(y, list | tuple) and any(isinstance(part, Probe) for part in y):
        return stack([tensor_of(part) for part in y])  # as a gate's several outputs come
    return y.tensor if isinstance(y, Probe) else y


def _site() -> tuple[types.FrameType | None, types.FrameType | None, tuple[int, ...]]:
    """The frames of the function that is unfolded, and of the body that called it (or is it); where
    in their code these and what is between them are.
    """
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None and not _is_users(frame):
        frame = frame.f_back
    inner, outer, places = frame, frame, []
    while frame is not None and _is_users(frame):
        places.append(frame.f_lasti)
        outer, frame = frame, frame.f_back
    return inner, outer, tuple(places)


def _is_users(frame: types.FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return not name.startswith(("backlit.", "numpy")) or name.startswith("backlit.ops")


def unfold(
    op: Op, inputs: Sequence[Any], names: Sequence[str], longest: int = STEPS
) -> Tape | None:
    """The tape of the op's body, or None if that does not run on Tensors, or has more steps."""
    try:
        tape = Tape(op, inputs, names, longest)
    except Exception:  # whatever a body may raise on what it was not written for
        return None
    if tape.end is None or tape.end[0] != "step":
        return None
    made, given = tape.result.array, np.asarray(op.forward(NUMPY, *inputs))
    same = made.shape == given.shape and np.allclose(made, given, rtol=1e-9, equal_nan=True)
    return tape if same else None


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
