"""Views: where the elements of a graph's values lie in memory, counted with strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...op import Shape
from ...ops import movement
from ..capture.graph import Equation, Graph, Variable
from .indexing import MOVED, source


@dataclass(eq=False)
class View:
    """Elements in memory: those of `base` from `offset` on, `strides` apart, in elements."""

    base: Variable
    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        return all(
            n == 1 or s == want
            for n, s, want in zip(self.shape, self.strides, row_major(self.shape), strict=True)
        )


def row_major(shape: Shape) -> tuple[int, ...]:
    """The strides, in elements, of a contiguous array."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


class Views:
    """Which values of a graph live in memory, and where the elements of others lie in theirs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made: dict[Variable, Equation] = {e.output: e for e in graph.equations}
        self.in_memory: set[Variable] = {*graph.inputs, *graph.constants, *graph.outputs}
        self._known: dict[Variable, View] = {}

    def put_into_memory(self, v: Variable) -> None:
        """Let v live in memory of its own."""
        self.in_memory.add(v)
        self._known.pop(v, None)

    def want_view(self, v: Variable) -> None:
        """Make sure that v can be read from memory with strides."""
        if self.view(v) is None:
            e = self.made[v]
            if isinstance(e.op, MOVED):
                self.want_view(e.inputs[0])
                self._known.pop(v, None)
            if self.view(v) is None:
                self.put_into_memory(v)

    def view(self, v: Variable) -> View | None:
        """Where v's elements lie, if they lie in memory."""
        if v in self.in_memory:
            return View(v, v.shape, row_major(v.shape))
        known = self._known.get(v)
        if known is None and v in self.made:
            known = self._moved(self.made[v])
            if known is not None:
                self._known[v] = known
        return known

    def reshaped(self, e: Equation) -> View | None:
        """For a reshape that changes the order of counting: its input in memory, counted anew."""
        if not isinstance(e.op, movement.Reshape) or same_but_ones(e):
            return None
        source = self.view(e.inputs[0])
        assert source is not None
        return View(source.base, e.output.shape, row_major(e.output.shape), source.offset)

    def is_plain(self, x: Variable) -> bool:
        """Whether x's elements fill a buffer in row-major order."""
        view = self.view(x)
        return view is not None and view.contiguous and view.base.size == x.size

    def _moved(self, e: Equation) -> View | None:
        op, shape = e.op, e.output.shape
        if not isinstance(op, MOVED):
            return None
        x = self.view(e.inputs[0])
        if x is None or (isinstance(op, movement.Flip) and 0 in x.shape):
            return None
        if isinstance(op, movement.Reshape):
            if x.contiguous:
                return View(x.base, shape, row_major(shape), x.offset)
            if not same_but_ones(e):
                return None
        steps, offset = [0] * len(shape), x.offset
        here = [_Steps(a, 1) for a in range(len(shape))]
        for place, stride in zip(source(e, here, _STEPS), x.strides, strict=True):
            offset += place.start * stride
            if place.axis is not None:
                steps[place.axis] += place.step * stride
        return View(x.base, shape, tuple(steps), offset)


class _Steps(NamedTuple):
    """An index that is start + step · i, where i is the index of an axis."""

    axis: int | None
    step: int
    start: int = 0


class _StepArithmetic:
    """Indices as steps of one axis each; those of whole axes, which are not sliced yet."""

    def fixed(self, number: int) -> _Steps:
        """A number."""
        return _Steps(None, 0, number)

    def strided(self, i: _Steps, entry: tuple[int, int, int], size: int) -> _Steps:
        """start + step · i; of no elements the first one is not looked for."""
        start, count, step = entry
        return _Steps(i.axis, step, start if count else 0)

    def reversed(self, i: _Steps, size: int) -> _Steps:
        """size - 1 - i."""
        return _Steps(i.axis, -1, size - 1)


_STEPS = _StepArithmetic()


def same_but_ones(e: Equation) -> bool:
    """Whether a reshape only adds or drops axes of size 1."""
    before, after = e.inputs[0].shape, e.output.shape
    return [n for n in before if n != 1] == [n for n in after if n != 1]
