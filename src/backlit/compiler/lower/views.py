"""Views: where the elements of a graph's values lie in memory, counted with strides."""

from __future__ import annotations

from dataclasses import dataclass

from ...op import Shape
from ...ops import movement
from ..capture.graph import Equation, Graph, Variable
from .passes import is_movement


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
            if is_movement(e.op) or isinstance(e.op, movement.Reshape):
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
        if not (is_movement(e.op) or isinstance(e.op, movement.Reshape)):
            return None
        source = self.view(e.inputs[0])
        if source is None:
            return None
        op = e.op
        if isinstance(op, movement.PermuteDims):
            strides = tuple(source.strides[a] for a in op.axes)
            return View(source.base, e.output.shape, strides, source.offset)
        if isinstance(op, movement.BroadcastTo):
            extra = len(op.shape) - len(source.shape)
            kept = (
                0 if n == 1 and m != 1 else s
                for n, m, s in zip(source.shape, op.shape[extra:], source.strides, strict=True)
            )
            return View(source.base, op.shape, (*[0] * extra, *kept), source.offset)
        if isinstance(op, movement.Slice):
            strides_list, offset = [], source.offset
            axes = iter(source.strides)
            for i in op.index:
                if i is None:
                    strides_list.append(0)
                elif isinstance(i, int):
                    offset += i * next(axes)
                else:
                    s = next(axes)
                    offset += i[0] * s if i[1] else 0
                    strides_list.append(i[2] * s)
            return View(source.base, e.output.shape, tuple(strides_list), offset)
        if isinstance(op, movement.Flip):
            if 0 in source.shape:
                return None
            strides = tuple(-s if a in op.axis else s for a, s in enumerate(source.strides))
            offset = source.offset + sum(
                s * (source.shape[a] - 1) for a, s in enumerate(source.strides) if a in op.axis
            )
            return View(source.base, e.output.shape, strides, offset)
        if source.contiguous:
            return View(source.base, e.output.shape, row_major(e.output.shape), source.offset)
        if same_but_ones(e):
            steps = iter(s for n, s in zip(source.shape, source.strides, strict=True) if n != 1)
            strides = tuple(next(steps) if n != 1 else 0 for n in e.output.shape)
            return View(source.base, e.output.shape, strides, source.offset)
        return None


def same_but_ones(e: Equation) -> bool:
    """Whether a reshape only adds or drops axes of size 1."""
    before, after = e.inputs[0].shape, e.output.shape
    return [n for n in before if n != 1] == [n for n in after if n != 1]
