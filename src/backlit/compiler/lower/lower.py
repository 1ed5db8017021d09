"""Lowering: which values live in memory, which loops make them, and in what order.

A value that many consumers need, or whose making is dear, gets memory; every other one is inlined
where it is used, its movement (transposes, slices, broadcasts, padding) folded into indices. A
loop makes all values of one shape that can be made together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...dtypes import FLOATING, LOW_PRECISION, bool_
from ...op import Elementwise, Reduction, Shape
from ...ops import contraction, convolution, creation, indexing, movement, pooling, reductions
from ..capture.checks import Require
from ..capture.graph import Equation, Graph, Variable
from ..llvm.scalar import llvm_type, supports
from .legalize import is_contraction
from .passes import SetItemsTo, TakeAddTo, is_movement

#: Estimated cost of one element, in multiplications.
_COSTS = {
    "exp": 10, "expm1": 12, "log": 12, "log1p": 16, "tanh": 16, "erf": 30, "erfc": 30, "pow": 40,
    "sqrt": 4, "divide": 4, "reciprocal": 4, "sin": 20, "cos": 20, "tan": 30, "take": 4,
    "take_along_axis": 4, "gather": 4, "logaddexp": 30, "floor_divide": 10, "remainder": 10,
}  # fmt: skip
_CHEAP = 3
_LONG = 120

#: An index as known before any code is written: for each axis the number of the loop that counts
#: it, ZERO where the axis has size 1, Fixed where it is always the same, or Mixed where it is
#: computed from loops otherwise.
Index = tuple[Any, ...]

#: Kernels that read their inputs from memory with strides, not by expressions.
MEMORY_KINDS = ("host", "matmul", "contraction", "random", "window", "running", "sort")
#: From so many elements on, a row of a piece of a concatenation is worth a loop of its own.
LONG_PIECE = 8
#: More pieces than this are not chosen among by comparing indices.
FEW_PIECES = 4
#: Ops that add into zeros, or write into an array, at indices.
SCATTERS = (indexing.TakeAdd, indexing.PutAlongAxisAdd, indexing.ScatterAdd, TakeAddTo, SetItemsTo)
#: Windows with more places are left to NumPy: each place is written out.
MAX_WINDOW = 128


class _Zero:
    def __repr__(self) -> str:
        return "0"


ZERO = _Zero()


@dataclass(frozen=True)
class Mixed:
    """An index computed from some loops, not equal to one of them."""

    loops: frozenset[int]


@dataclass(frozen=True)
class Fixed:
    """One index for all turns of all loops."""

    number: int


def loops_of(entries: Index) -> frozenset[int]:
    """The loops that index entries depend on."""
    found: set[int] = set()
    for entry in entries:
        if isinstance(entry, Mixed):
            found |= entry.loops
        elif isinstance(entry, int):
            found.add(entry)
    return frozenset(found)


@dataclass(eq=False)
class Access:
    """Elements that a loop nest reads: those of a view, at an index."""

    view: View
    index: Index

    @property
    def start(self) -> int:
        """The first element read, counted from the base's first, computed indices left aside."""
        fixed = zip(self.index, self.view.strides, strict=True)
        return self.view.offset + sum(i.number * s for i, s in fixed if isinstance(i, Fixed))

    def moves(self, loops: int) -> list[int]:
        """How far one turn of each loop moves in memory, computed indices left aside."""
        steps = [0] * loops
        for entry, stride in zip(self.index, self.view.strides, strict=True):
            if isinstance(entry, int):
                steps[entry] += stride
        return steps

    def is_at(self, shape: Shape) -> bool:
        """Whether each turn of loops over `shape` reads the element that it would write."""
        if self.start or self.view.base.size != math.prod(shape):
            return False
        if any(isinstance(entry, Mixed) for entry in self.index):
            return False
        if any(isinstance(entry, int) and entry >= len(shape) for entry in self.index):
            return False  # a loop inside these, that of a fold, reads it
        steps, wanted = self.moves(len(shape)), row_major(shape)
        return all(n == 1 or s == w for n, s, w in zip(shape, steps, wanted, strict=True))


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

    kind: str  # "map", "concat", "reduce", "scatter", "host"...
    roots: list[Equation]
    reads: set[Variable] = field(default_factory=set)
    #: For a contraction with a map over its sums, the first root: see `epilogue`.
    fused: Any = None

    @property
    def makes(self) -> list[Variable]:
        """What it writes to memory."""
        if self.kind == "check":
            return []
        made = [r.output for r in self.roots]
        if self.fused is None:
            return made
        kept = {v for v, _ in self.fused.buffers}
        return [v for v in made if v in kept]

    def is_map_of(self, v: Variable) -> bool:
        """Whether it makes each element of v from what it reads at the same place."""
        return self.kind == "map" or (self.fused is not None and v is not self.roots[0].output)

    @property
    def domain(self) -> Shape:
        """The shape of what it makes."""
        return self.roots[0].output.shape


class Lowering:
    """One graph's decisions."""

    def __init__(
        self,
        graph: Graph,
        kept: Iterable[Variable] = (),
        replaces: Mapping[Variable, Variable] | None = None,
    ):
        self.graph = graph
        #: New values for which the memory of old ones is to be used: new -> old.
        self.replaces = replaces or {}
        self.made: dict[Variable, Equation] = {e.output: e for e in graph.equations}
        #: Each variable's place in the graph: an order that is the same in every process.
        self.numbers = {v: i for i, v in enumerate([*graph.inputs, *graph.constants, *self.made])}
        #: What is in memory when all kernels are done.
        self.wanted: set[Variable] = {*graph.outputs, *kept}
        #: What its checks may find wrong, each once: the bits of a plan's flag, in order.
        self.checks = list(
            dict.fromkeys(e.op for e in graph.equations if isinstance(e.op, Require))
        )
        self.in_memory: set[Variable] = {*graph.inputs, *graph.constants, *self.wanted}
        self.uses: dict[Variable, int] = {}
        self.costs: dict[Variable, int] = {}
        self.views: dict[Variable, View] = {}
        self.kernels: list[Kernel] = []
        self._native: dict[Variable, bool] = {}
        #: Values made right where a concatenation wants them: the whole, and the first element.
        self.inside: dict[Variable, tuple[Variable, int]] = {}
        self.joined: set[Variable] = set()
        self._choose()
        self._join()
        self._group()

    # -- what lives in memory -----------------------------------------------------------------

    def is_native(self, e: Equation) -> bool:
        """Whether the equation can be part of a loop; otherwise NumPy runs it."""
        known = self._native.get(e.output)
        if known is None:
            known = self._native[e.output] = _is_native(e)
        return known

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
            if self._kind(e) in MEMORY_KINDS:
                for x in e.inputs:
                    if isinstance(x, Variable):
                        self._want_view(x)
                        if isinstance(e.op, convolution.Product) and not self._is_plain(x):
                            self._force(x)
                continue
            if isinstance(e.op, SetItemsTo):
                self._want_view(e.inputs[-1])
            if isinstance(e.op, movement.Reshape) and not self._same_but_ones(e):
                self._want_view(e.inputs[0])
                if self.view(e.inputs[0]) is None or not self.view(e.inputs[0]).contiguous:  # type: ignore[union-attr]
                    self._force(e.inputs[0])
            for x in e.inputs:
                if isinstance(x, Variable) and self._is_dear(x, e):
                    self._force(x)
            if isinstance(e.op, movement.Concat) and len(e.inputs) > FEW_PIECES:
                self._force(e.output)
            self.costs[e.output] = self._cost(e)

    def _is_plain(self, x: Variable) -> bool:
        """Whether x's elements fill a buffer in row-major order."""
        view = self.view(x)
        return view is not None and view.contiguous and view.base.size == x.size

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
        return self.own_cost(e) + sum(
            self.costs.get(x, 0) for x in e.inputs if isinstance(x, Variable)
        )

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
            consumer.op, indexing.Take | indexing.TakeAlongAxis | indexing.Gather
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

    def reshaped(self, e: Equation) -> View | None:
        """For a reshape that changes the order of counting: its input in memory, counted anew."""
        if not isinstance(e.op, movement.Reshape) or self._same_but_ones(e):
            return None
        source = self.view(e.inputs[0])
        assert source is not None
        return View(source.base, e.output.shape, row_major(e.output.shape), source.offset)

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
        if self._same_but_ones(e):
            steps = iter(s for n, s in zip(source.shape, source.strides, strict=True) if n != 1)
            strides = tuple(next(steps) if n != 1 else 0 for n in e.output.shape)
            return View(source.base, e.output.shape, strides, source.offset)
        return None

    def _join(self) -> None:
        """Let the pieces of a concatenation be made in their places, so that nothing is copied."""
        for e in self.graph.equations:
            if not isinstance(e.op, movement.Concat) or e.output not in self.in_memory:
                continue
            if not self.is_native(e) or math.prod(e.output.shape[: e.op.axis]) != 1:
                continue  # the pieces would not be contiguous
            owners = [self._owner(x) for x in e.inputs if x.size]
            if owners and all(owners) and len(set(owners)) == len(owners):
                start = 0
                for owner in owners:
                    assert owner is not None
                    self.inside[owner] = (e.output, start)
                    start += owner.size
                self.joined.add(e.output)

    def _wholes(self, v: Variable) -> Iterator[Variable]:
        """The concatenations in whose memory a value is made."""
        while v in self.inside:
            v, _ = self.inside[v]
            yield v

    def _owner(self, x: Variable) -> Variable | None:
        """The value whose memory holds exactly x and may lie elsewhere; None if there is none."""
        view = self.view(x)
        if view is None or not view.contiguous or view.base.size != x.size:
            self._force(x)
            return x
        base = view.base
        fixed = {*self.graph.inputs, *self.graph.constants, *self.graph.outputs}
        return None if base in fixed or base in self.inside else base

    # -- which loops --------------------------------------------------------------------------

    def _group(self) -> None:
        """Put every value that lives in memory into a kernel, as early as its needs allow."""
        where: dict[Variable, int] = {}
        checked = -1  # the last kernel that checks values
        for e in self.graph.equations:
            v = e.output
            if v not in self.in_memory:
                continue
            if v in self.joined:
                pieces = [x for x, (whole, _) in self.inside.items() if whole is v]
                where[v] = max(where[x] for x in pieces)
                continue
            kind = self._kind(e)
            accesses = self.accesses(e)
            reads = {access.view.base for access in accesses}
            if isinstance(e.op, TakeAddTo):
                reads.add(e.inputs[2])  # each element once, where it is written
            earliest = max((where[b] for b in reads if b in where), default=-1)
            if v in self.replaces:
                # Nothing is overwritten before what stands before it has been checked.
                earliest = max(earliest, checked, self._last_reader(self.replaces[v]))
            placed = self._fitting(e, kind, accesses, earliest)
            if placed is None:
                self.kernels.append(Kernel(kind, [e], reads))
                placed = len(self.kernels) - 1
                checked = placed if kind == "check" else checked
            else:
                self.kernels[placed].roots.append(e)
                self.kernels[placed].reads |= reads
            where[v] = placed

    def _last_reader(self, old: Variable) -> int:
        """The first kernel in which an old value may be overwritten, element by element."""
        for number in reversed(range(len(self.kernels))):
            kernel = self.kernels[number]
            if old in kernel.reads:
                found = [x for r in kernel.roots for x in self.accesses(r) if x.view.base is old]
                return number if all(x.is_at(kernel.domain) for x in found) else number + 1
        return -1

    def _kind(self, e: Equation) -> str:
        if not self.is_native(e):
            return "host"
        if isinstance(e.op, Require):
            return "check"
        if isinstance(e.op, Reduction):
            return "reduce"
        if isinstance(e.op, SCATTERS):
            return "scatter"
        if isinstance(e.op, pooling.Windows):
            return "window"
        if isinstance(e.op, reductions.CumulativeSum | reductions.CumulativeProd):
            return "running"
        if isinstance(e.op, reductions.Argsort):
            return "sort"
        if is_contraction(e):
            return "contraction"
        if isinstance(e.op, contraction.Matmul):
            return "matmul"
        if isinstance(e.op, creation.RandomBits):
            return "random"
        if e.output in self.in_memory and self._has_long_pieces(e):
            return "concat"
        return "map"

    def _has_long_pieces(self, e: Equation) -> bool:
        """Whether a concatenation has rows, to be made piece by piece."""
        if not isinstance(e.op, movement.Concat):
            return False
        axis = e.op.axis
        shortest = min(math.prod(x.shape[axis:]) for x in e.inputs)
        return math.prod(e.output.shape[:axis]) > 1 and shortest >= LONG_PIECE

    def _fitting(self, e: Equation, kind: str, accesses: list[Access], earliest: int) -> int | None:
        """A kernel that can make this value too: the same loop, all it needs made before."""
        if kind == "reduce":
            return self._fold_beside(e, accesses, earliest)
        if kind != "map":
            return None
        shape = e.output.shape
        for number in range(max(earliest, 0), len(self.kernels)):
            kernel = self.kernels[number]
            if kernel.kind != "map" or kernel.domain != shape:
                continue
            own = {r.output for r in kernel.roots}
            wholes = {whole for r in own for whole in self._wholes(r)}
            if any(x.view.base in wholes for x in accesses):
                continue  # it would read what this loop is still writing
            if all(x.is_at(shape) for x in accesses if x.view.base in own):
                return number
        return None

    def _fold_beside(self, e: Equation, accesses: list[Access], earliest: int) -> int | None:
        """A kernel that folds the same axes of something it reads, too."""
        op: Any = e.op
        if op.name.startswith("arg"):
            return None
        large = {x.view.base for x in accesses if x.view.base.size == e.inputs[0].size}
        for number in range(earliest + 1, len(self.kernels)):
            kernel = self.kernels[number]
            other: Any = kernel.roots[0].op
            if (
                kernel.kind == "reduce"
                and kernel.roots[0].inputs[0].shape == e.inputs[0].shape
                and not other.name.startswith("arg")
                and other.axis == op.axis
                and not large.isdisjoint(kernel.reads)
            ):
                return number
        return None

    def accesses(self, e: Equation) -> list[Access]:
        """What making e's output reads from memory."""
        return self.reading(e).found

    def reading(self, e: Equation) -> Reading:
        """How making e's output reads memory.

        Loops run over the output's axes, in reductions and scatters over those of the first input.
        """
        kind = self._kind(e)
        reader = Reading(self)
        if kind in MEMORY_KINDS:
            mixed = Mixed(frozenset())
            views = [self.view(x) for x in e.inputs if isinstance(x, Variable)]
            reader.found = [Access(v, (mixed,) * len(v.shape)) for v in views if v is not None]
        elif kind in ("map", "concat"):
            reader.expand(e, loop_index(e.output.shape))
        else:
            loops = loop_index(e.inputs[0].shape)
            reader.read(e.inputs[0], loops)
            if kind == "scatter":
                indices = e.inputs[1]
                n = len(indices.shape)
                if isinstance(e.op, SetItemsTo):
                    base = self.view(e.inputs[-1])
                    assert base is not None
                    reader.found.append(Access(base, (Mixed(frozenset()),) * len(base.shape)))
                if isinstance(e.op, indexing.ScatterAdd | SetItemsTo):
                    arrays = index_arrays(e)
                    start, block = gathered_block(e.op.pattern, arrays)
                    inner = loops[start : start + block]
                    for array in arrays:
                        reader.read(array, inner[block - len(array.shape) :])
                elif isinstance(e.op, indexing.TakeAdd | TakeAddTo):
                    reader.read(indices, loops[e.op.axis : e.op.axis + n])
                else:
                    reader.read(indices, loops)
        return reader


def _is_native(e: Equation) -> bool:
    """Whether loops and contractions are written for such an equation."""
    op = e.op
    dtypes = [x.dtype for x in e.inputs if isinstance(x, Variable)]
    if any(llvm_type(d) is None for d in [*dtypes, e.output.dtype]):
        return False
    if len(dtypes) < len(e.inputs) and not isinstance(op, Elementwise):
        return False
    narrow = not LOW_PRECISION.isdisjoint([*dtypes, e.output.dtype])
    if narrow and not (op.exact or is_contraction(e)):
        return False
    if isinstance(op, movement.Reshape | movement.Place | movement.Concat | creation.Full):
        return True
    if isinstance(op, Require):
        return True
    if is_movement(op) or isinstance(op, creation.Arange):
        return True
    if isinstance(op, indexing.Take | indexing.TakeAlongAxis | indexing.Gather):
        return True
    if isinstance(op, SetItemsTo):
        return True
    if isinstance(op, SCATTERS):
        return e.output.dtype.kind == "f"
    if isinstance(op, pooling.Windows):
        if isinstance(op, pooling.MaxPoolRoute | pooling.MaxPoolPick):
            images: Any = e.inputs[1]
            if op.has_empty(images.shape[2:]):
                return False  # no place is the largest of an empty window
        return math.prod(op.kernel) <= MAX_WINDOW and e.output.dtype.kind in "fiu"
    if isinstance(op, reductions.CumulativeSum | reductions.CumulativeProd):
        return e.output.dtype.kind in "fiu"
    if isinstance(op, creation.RandomBits):
        return True
    if isinstance(op, contraction.Matmul):
        return e.output.dtype != bool_
    if isinstance(op, reductions.Argsort):
        return True
    if isinstance(op, convolution.Product):
        return e.output.dtype in FLOATING and all(a == b for a, b in op.padding)
    if isinstance(op, Elementwise):
        return supports(op, e.inputs, e.output.dtype)
    if isinstance(op, Reduction):
        known = {"sum", "max", "min", "prod", "any", "all", "argmax", "argmin"}
        return op.name in known and (e.output.dtype.kind in "fiu" or op.name in ("any", "all"))
    return False


def loop_index(shape: Shape) -> Index:
    """One loop an axis."""
    return tuple(ZERO if n == 1 else a for a, n in enumerate(shape))


class Reading:
    """Follows an expression down to what it reads, with symbolic indices."""

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self.found: list[Access] = []
        #: Loops whose very value matters, not only the address they lead to.
        self.exact: set[int] = set()
        self.seen: set[tuple[Variable, Index]] = set()
        #: Whether an index may turn out to be out of range.
        self.may_fail = False

    def read(self, v: Variable, index: Index) -> None:
        """v at an index: from memory, or by its expression."""
        index = tuple(ZERO if n == 1 else i for n, i in zip(v.shape, index, strict=True))
        if (v, index) in self.seen:
            return
        self.seen.add((v, index))
        view = self.lowering.view(v)
        if view is not None:
            self.found.append(Access(view, index))
        else:
            self.expand(self.lowering.made[v], index)

    def expand(self, e: Equation, index: Index) -> None:
        """The inputs of e where e's output is wanted at an index."""
        op: Any = e.op
        if isinstance(op, creation.Arange):
            self.exact |= loops_of(index)
        lookup = isinstance(op, indexing.Take | indexing.TakeAlongAxis | indexing.Gather)
        self.may_fail |= lookup
        whole = self.lowering.reshaped(e)
        if whole is not None:
            self.found.append(Access(whole, index))
            return
        for position, x in enumerate(e.inputs):
            if not isinstance(x, Variable):
                continue
            if isinstance(op, Elementwise | movement.BroadcastTo):
                own: Any = index[len(index) - len(x.shape) :]
            elif isinstance(op, movement.Reshape):
                left = iter([i for i, n in zip(index, e.output.shape, strict=True) if n != 1])
                own = [ZERO if n == 1 else next(left) for n in x.shape]
            elif isinstance(op, movement.PermuteDims):
                own = [index[op.axes.index(a)] for a in range(len(index))]
            elif isinstance(op, movement.Concat):
                own = [self._mixed((i,)) if a == op.axis else i for a, i in enumerate(index)]
            elif isinstance(op, indexing.Take):
                n = len(e.inputs[1].shape)
                inner = index[op.axis : op.axis + n]
                taken = self._mixed(inner)
                own = inner if position else (*index[: op.axis], taken, *index[op.axis + n :])
            elif isinstance(op, indexing.Gather):
                own = self._gathered(op.pattern, e.inputs, index, position)
            elif isinstance(op, indexing.TakeAlongAxis):
                taken = self._mixed(index)
                own = index if position else (*index[: op.axis], taken, *index[op.axis + 1 :])
            elif isinstance(op, movement.Slice):
                own = self._sliced(op, x, index)
            elif isinstance(op, movement.Place):
                placed = self._placed(op, index)
                if placed is None:
                    continue
                own = placed
            else:  # flip
                mixed = self._mixed(index)
                own = [mixed] * len(x.shape)
            self.read(x, tuple(own))

    def _gathered(
        self, pattern: tuple, inputs: tuple[Any, ...], index: Index, position: int
    ) -> Index:
        start, block = gathered_block(pattern, inputs[1:])
        inner = index[start : start + block]
        if position:
            return inner[block - len(inputs[position].shape) :]
        self._mixed(index)
        return tuple(Mixed(loops_of(index)) for _ in inputs[0].shape)

    def _mixed(self, entries: Index) -> Any:
        loops = loops_of(entries)
        self.exact |= loops
        return Mixed(loops)

    def _sliced(self, op: movement.Slice, x: Variable, index: Index) -> Index:
        own = []
        entries = iter(index)
        axes = iter(x.shape)
        for i in op.index:
            if i is None:
                next(entries)
            elif isinstance(i, int):
                next(axes)
                own.append(Fixed(i))
            else:
                n, entry = next(axes), next(entries)
                if isinstance(entry, Fixed):
                    own.append(Fixed(i[0] + entry.number * i[2]))
                else:
                    own.append(entry if i == (0, n, 1) else self._mixed((entry,)))
        return tuple(own)

    def _placed(self, op: movement.Place, index: Index) -> Index | None:
        """Where the placed array is read; None where it never is, being elsewhere."""
        own: list[Any] = []
        entries = iter(zip(index, op.shape, strict=True))
        for i in op.index:
            if i is None:
                own.append(ZERO)
                continue
            entry, n = next(entries)
            start, count, step = (i, 1, 1) if isinstance(i, int) else i
            if isinstance(entry, Fixed):
                place, rest = divmod(entry.number - start, step)
                if rest or not 0 <= place < count:
                    return None
                entry = Fixed(place)
            elif (start, count, step) != (0, n, 1):
                entry = self._mixed((entry,))
            if not isinstance(i, int):
                own.append(entry)
        return tuple(own)


def index_arrays(e: Equation) -> tuple[Variable, ...]:
    """The index arrays of an op that adds or writes at them."""
    return e.inputs[1:-1] if isinstance(e.op, SetItemsTo) else e.inputs[1:]


def gathered_block(pattern: tuple, indices: Any) -> tuple[int, int]:
    """Where the axes of index arrays stand in the result of indexing, and how many there are."""
    block = max(len(i.shape) for i in indices)
    advanced = [p for p, i in enumerate(pattern) if i == "array" or isinstance(i, int)]
    adjacent = advanced == list(range(advanced[0], advanced[-1] + 1))
    return (advanced[0] if adjacent else 0), block


def total(shape: Shape) -> int:
    """The number of elements."""
    return math.prod(shape)
