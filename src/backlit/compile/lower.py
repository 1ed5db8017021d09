"""Lowering: which values live in memory, which loops make them, and in what order.

A value that many consumers need, or whose making is dear, gets memory; every other one is inlined
where it is used, its movement (transposes, slices, broadcasts, padding) folded into indices. A
loop makes all values of one shape that can be made together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..op import Elementwise, Reduction, Shape
from ..ops import contraction, creation, indexing, movement
from .graph import Equation, Graph, Variable
from .passes import is_movement
from .scalar_ops import llvm_type, supports

#: Estimated cost of one element, in multiplications.
_COSTS = {
    "exp": 10, "expm1": 12, "log": 12, "log1p": 16, "tanh": 16, "erf": 30, "pow": 40, "sqrt": 4,
    "divide": 4, "reciprocal": 4, "sin": 20, "cos": 20, "tan": 30, "take": 4,
    "take_along_axis": 4, "gather": 4,
}  # fmt: skip
_CHEAP = 3
#: Up to this many multiplications a matrix product is a plain loop nest.
SMALL_PRODUCT = 32_768
_LONG = 120

Index = tuple[Any, ...]  # one opaque index an axis; ZERO where the axis has size 1


class _Zero:
    def __repr__(self) -> str:
        return "0"


ZERO = _Zero()


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


@dataclass(eq=False)
class Kernel:
    """One loop nest: the values it makes, all over one iteration space."""

    kind: str  # "map", "reduce", "scatter", "host"
    roots: list[Equation]
    reads: set[Variable] = field(default_factory=set)

    @property
    def domain(self) -> Shape:
        """The shape of what it makes."""
        return self.roots[0].output.shape


class Lowering:
    """One graph's decisions."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.made: dict[Variable, Equation] = {e.output: e for e in graph.equations}
        self.in_memory: set[Variable] = {*graph.inputs, *graph.constants, *graph.outputs}
        self.uses: dict[Variable, int] = {}
        self.costs: dict[Variable, int] = {}
        self.views: dict[Variable, View] = {}
        self.kernels: list[Kernel] = []
        self._choose()
        self._group()

    # -- what lives in memory -----------------------------------------------------------------

    def is_native(self, e: Equation) -> bool:
        """Whether the equation can be part of a loop; otherwise NumPy runs it."""
        op = e.op
        dtypes = [x.dtype for x in e.inputs if isinstance(x, Variable)]
        if any(llvm_type(d) is None for d in [*dtypes, e.output.dtype]):
            return False
        if isinstance(op, movement.Reshape | movement.Place | movement.Concat | creation.Full):
            return True
        if is_movement(op) or isinstance(op, creation.Arange):
            return True
        if isinstance(op, indexing.Take | indexing.TakeAlongAxis):
            return True
        if isinstance(op, indexing.TakeAdd | indexing.PutAlongAxisAdd):
            return e.output.dtype.kind == "f"
        if isinstance(op, creation.RandomBits):
            return True
        if isinstance(op, contraction.Matmul):
            work = e.output.size * e.inputs[0].shape[-1]
            return e.output.dtype.kind == "f" and work <= SMALL_PRODUCT
        if isinstance(op, Elementwise):
            return supports(op, dtypes, e.output.dtype)
        if isinstance(op, Reduction):
            known = {"sum", "max", "min", "prod", "any", "all", "argmax", "argmin"}
            return op.name in known and (e.output.dtype.kind in "fiu" or op.name in ("any", "all"))
        return False

    def is_root(self, e: Equation) -> bool:
        """Whether the equation is a kernel of its own kind, not part of an expression."""
        return self._kind(e) != "map"

    def _choose(self) -> None:
        for e in self.graph.equations:
            for x in e.inputs:
                if isinstance(x, Variable):
                    self.uses[x] = self.uses.get(x, 0) + 1
        for e in self.graph.equations:
            if self.is_root(e):
                self.in_memory.add(e.output)
            self.costs[e.output] = self._cost(e)
            if self._kind(e) in ("host", "matmul", "random"):
                for x in e.inputs:
                    if isinstance(x, Variable):
                        self._want_view(x)
                continue
            if isinstance(e.op, movement.Reshape) and not self._same_but_ones(e):
                self._want_view(e.inputs[0])
                if self.view(e.inputs[0]) is None or not self.view(e.inputs[0]).contiguous:  # type: ignore[union-attr]
                    self._force(e.inputs[0])
            for x in e.inputs:
                if isinstance(x, Variable) and self._is_dear(x, e):
                    self._force(x)
            self.costs[e.output] = self._cost(e)

    def _same_but_ones(self, e: Equation) -> bool:
        """Whether a reshape only adds or drops axes of size 1."""
        before, after = e.inputs[0].shape, e.output.shape
        return [n for n in before if n != 1] == [n for n in after if n != 1]

    def _force(self, v: Variable) -> None:
        self.in_memory.add(v)
        self.views.pop(v, None)
        self.costs[v] = 0

    def _cost(self, e: Equation) -> int:
        if e.output in self.in_memory:
            return 0
        return self.own_cost(e) + sum(self.costs.get(x, 0) for x in e.inputs if isinstance(x, Variable))

    def own_cost(self, e: Equation) -> int:
        """The cost of one element of an op, its inputs given."""
        if isinstance(e.op, creation.Full):
            return 0
        return _COSTS.get(e.op.name, 1) if isinstance(e.op, Elementwise) else 1

    def _is_dear(self, x: Variable, consumer: Equation) -> bool:
        """Whether x should be made once and kept rather than made again by this consumer."""
        if x in self.in_memory:
            return False
        cost = self.costs[x]
        if cost > _LONG:
            return True
        if self.uses[x] > 1 and cost > _CHEAP:
            return True
        repeats = consumer.output.size > x.size or isinstance(
            consumer.op, indexing.Take | indexing.TakeAlongAxis
        )
        return repeats and cost > _CHEAP and not isinstance(consumer.op, Reduction)

    def _want_view(self, v: Variable) -> None:
        """Make sure that v can be read from memory with strides."""
        if self.view(v) is None:
            e = self.made[v]
            if is_movement(e.op) or isinstance(e.op, movement.Reshape):
                self._want_view(e.inputs[0])
                self.views.pop(v, None)
            if self.view(v) is None:
                self._force(v)

    def view(self, v: Variable) -> View | None:
        """Where v's elements lie, if they lie in memory."""
        if v in self.in_memory:
            return View(v, v.shape, row_major(v.shape))
        known = self.views.get(v)
        if known is None and v in self.made:
            known = self._moved(self.made[v])
            if known is not None:
                self.views[v] = known
        return known

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
            strides = tuple(
                -s if a in op.axis else s for a, s in enumerate(source.strides)
            )
            offset = source.offset + sum(
                s * (source.shape[a] - 1) for a, s in enumerate(source.strides) if a in op.axis
            )
            return View(source.base, e.output.shape, strides, offset)
        if source.contiguous:
            return View(source.base, e.output.shape, row_major(e.output.shape), source.offset)
        if self._same_but_ones(e):
            steps = iter(
                s for n, s in zip(source.shape, source.strides, strict=True) if n != 1
            )
            strides = tuple(next(steps) if n != 1 else 0 for n in e.output.shape)
            return View(source.base, e.output.shape, strides, source.offset)
        return None

    # -- which loops --------------------------------------------------------------------------

    def _group(self) -> None:
        """Put every value that lives in memory into a kernel, as early as its needs allow."""
        where: dict[Variable, int] = {}
        for e in self.graph.equations:
            v = e.output
            if v not in self.in_memory:
                continue
            kind = self._kind(e)
            loads = self.loads(e, kind)
            reads = {base for base, _ in loads}
            earliest = max((where[b] for b in reads if b in where), default=-1)
            placed = self._fitting(e, kind, loads, earliest, where)
            if placed is None:
                self.kernels.append(Kernel(kind, [e], reads))
                placed = len(self.kernels) - 1
            else:
                self.kernels[placed].roots.append(e)
                self.kernels[placed].reads |= reads
            where[v] = placed

    def _kind(self, e: Equation) -> str:
        if not self.is_native(e):
            return "host"
        if isinstance(e.op, Reduction):
            return "reduce"
        if isinstance(e.op, indexing.TakeAdd | indexing.PutAlongAxisAdd):
            return "scatter"
        if isinstance(e.op, contraction.Matmul):
            return "matmul"
        if isinstance(e.op, creation.RandomBits):
            return "random"
        return "map"

    def _fitting(
        self,
        e: Equation,
        kind: str,
        loads: list[tuple[Variable, bool]],
        earliest: int,
        where: dict[Variable, int],
    ) -> int | None:
        """A kernel that can also make this value: the same loop, and nothing it needs comes later."""
        if kind != "map":
            return None
        start = max(earliest, 0)
        for number in range(start, len(self.kernels)):
            kernel = self.kernels[number]
            if kernel.kind != "map" or kernel.domain != e.output.shape:
                continue
            own = {r.output for r in kernel.roots}
            if all(same for base, same in loads if base in own):
                return number
        return None

    def loads(self, e: Equation, kind: str) -> list[tuple[Variable, bool]]:
        """What making e's output reads from memory, and whether at the very index it makes."""
        if kind in ("host", "matmul", "random"):
            return [(self.view(x).base, False) for x in e.inputs if isinstance(x, Variable)]  # type: ignore[union-attr]
        found: list[tuple[Variable, bool]] = []
        domain: Index = tuple(ZERO if n == 1 else object() for n in e.output.shape)
        reader = _Reader(self, lambda v, index: found.append((v, index == domain)))
        if kind == "map":
            reader.expand(e, domain)
        elif kind == "scatter":
            for x in e.inputs:
                reader.read(x, tuple(ZERO if n == 1 else object() for n in x.shape))
        else:
            full = tuple(ZERO if n == 1 else object() for n in e.inputs[0].shape)
            reader.read(e.inputs[0], full)
        return found


class _Reader:
    """Follows an expression down to what it reads, with opaque indices."""

    def __init__(self, lowering: Lowering, loaded: Callable[[Variable, Index], None]):
        self.lowering = lowering
        self.loaded = loaded
        self.seen: set[tuple[Variable, Index]] = set()

    def read(self, v: Variable, index: Index) -> None:
        """v at an index: from memory, or by its expression."""
        if (v, index) in self.seen:
            return
        self.seen.add((v, index))
        view = self.lowering.view(v)
        if view is not None:
            self.loaded(view.base, index if view.base is v else (object(),))
            if view.base is not v and view.contiguous and view.base.shape == v.shape:
                self.loaded(view.base, index)
            return
        self.expand(self.lowering.made[v], index)

    def expand(self, e: Equation, index: Index) -> None:
        """The inputs of e where e's output is wanted at an index."""
        for x in e.inputs:
            if not isinstance(x, Variable):
                continue
            if isinstance(e.op, Elementwise):
                extra = len(index) - len(x.shape)
                own = tuple(
                    ZERO if n == 1 else i for n, i in zip(x.shape, index[extra:], strict=True)
                )
            elif isinstance(e.op, movement.Reshape):
                left = iter([i for i, n in zip(index, e.output.shape, strict=True) if n != 1])
                if self.lowering._same_but_ones(e):
                    own = tuple(ZERO if n == 1 else next(left) for n in x.shape)
                else:
                    own = tuple(object() for _ in x.shape)
            else:
                own = tuple(ZERO if n == 1 else object() for n in x.shape)
            self.read(x, own)


def total(shape: Shape) -> int:
    """The number of elements."""
    return math.prod(shape)


