"""Kinds of kernels: which equations each fits, what its loops read, do and move.

How the loops of each kind are written stands in `loops.kernels`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...dtypes import FLOATING, LOW_PRECISION, bool_
from ...op import Elementwise, Shape
from ...ops import contraction, convolution, creation, indexing, movement, pooling, reductions
from ..capture.body import Scan
from ..capture.checks import Require
from ..capture.graph import Equation, Variable
from ..contraction import Contraction as Specification
from ..contraction import Epilogue
from ..llvm.scalar import llvm_type, supports
from .indexing import LOOKUPS, index_arrays, looked_up
from .passes import SetItemsTo, TakeAddTo, is_movement
from .reading import Access, Mixed, Reading, loop_index

#: From this many elements on, a row of a piece of a concatenation is worth a loop of its own.
LONG_PIECE = 8
#: Up to this many multiplications a matrix product is a plain loop nest.
SMALL_PRODUCT = 32_768
#: Windows with more places are left to NumPy: each place is written out.
MAX_WINDOW = 128
#: Reductions that give a place.
_SEARCHES = (reductions.Argmax, reductions.Argmin)
#: Reductions for which there are loops; those that are no primitives become these.
_REDUCTIONS = (
    reductions.Sum, reductions.Prod, reductions.Extreme, reductions.Any, reductions.All, *_SEARCHES,
)  # fmt: skip


@dataclass(frozen=True)
class Fused:
    """A contraction with its epilogue: the specification, its buffers, and the map's code."""

    spec: Specification
    #: Arrays, and the element of each at which it is to begin.
    buffers: list[tuple[Variable, int]]
    epilogue: Epilogue
    code: str


@dataclass(eq=False)
class Kernel:
    """One loop nest: the values it makes, all over one iteration space."""

    kind: Kind
    roots: list[Equation]
    reads: set[Variable] = field(default_factory=set)
    #: For a contraction with a map over its sums, the first root: see `loops.fusion`.
    fused: Fused | None = None

    @property
    def makes(self) -> list[Variable]:
        """What it writes to memory."""
        if not self.kind.makes:
            return []
        made = [r.output for r in self.roots]
        if self.fused is None:
            return made
        kept = {v for v, _ in self.fused.buffers}
        return [v for v in made if v in kept]

    def is_map_of(self, v: Variable) -> bool:
        """Whether it makes each element of v from what it reads at the same place."""
        return self.kind is MAP or (self.fused is not None and v is not self.roots[0].output)

    @property
    def domain(self) -> Shape:
        """The shape of what it makes."""
        return self.roots[0].output.shape


class Kind(ABC):
    """What is known of all kernels of a kind.

    A kind says its name and which equations it fits. What else is said here holds for loops that
    read their inputs with strides and do about one multiplication for each element that they make.
    """

    #: What `step.kernels` calls it.
    name: str
    #: Whether it makes values in memory, and does not only look at some.
    makes = True
    #: Whether its values may be made where they are used, as a part of an expression.
    inlined = False
    #: Whether it reads its inputs from memory with strides, not by expressions.
    strided = True
    #: Whether one of its loops may make what another value that is made in it reads.
    reads_own = False

    def __repr__(self) -> str:
        return self.name

    @abstractmethod
    def fits(self, e: Equation) -> bool:
        """Whether an equation of dtypes that native code knows is of this kind."""

    def joins(self, kernel: Kernel, e: Equation, accesses: list[Access]) -> bool:
        """Whether a kernel of this kind can make e's output too, which reads these."""
        return False

    def read(self, reading: Reading, e: Equation) -> None:
        """Find out what making e's output reads: here, what its inputs are views of."""
        views = [reading.views.view(x) for x in e.inputs if isinstance(x, Variable)]
        computed = Mixed(frozenset())
        reading.found = [Access(v, (computed,) * len(v.shape)) for v in views if v is not None]

    def turns(self, e: Equation) -> int:
        """How often the innermost loop's body runs, as often as one multiplication takes."""
        return e.output.size

    def moved(self, kernel: Kernel, read: Callable[[Equation], list[Access]]) -> int:
        """The bytes that a kernel reads and writes."""
        made = kernel.makes
        inputs = [v for v in kernel.reads if v not in made]
        return sum(v.nbytes for v in made) + sum(self._moved(kernel, v, read) for v in inputs)

    def _moved(self, kernel: Kernel, v: Variable, read: Callable[[Equation], list[Access]]) -> int:
        """The bytes of v that a kernel reads: of a table that is indexed only the rows."""
        if self.strided:
            return v.nbytes
        times = sum(
            self.turns(r) * sum(access.view.base is v for access in read(r)) for r in kernel.roots
        )
        return min(v.nbytes, times * v.dtype.itemsize)


class Host(Kind):
    """What NumPy runs, between drivers."""

    name = "host"

    def fits(self, e: Equation) -> bool:
        """All of them."""
        return True


class Loop(Kind):
    """What is done step after step, by a program of its own: see `plan.loop`."""

    name = "scan"

    def fits(self, e: Equation) -> bool:
        """The results of loops."""
        return isinstance(e.op, Scan)

    def joins(self, kernel: Kernel, e: Equation, accesses: list[Access]) -> bool:
        """Another result of the same loop."""
        first = kernel.roots[0]
        own: Any = first.op
        op: Any = e.op
        return own.body is op.body and first.inputs == e.inputs


class Map(Kind):
    """Expressions, element by element."""

    name = "map"
    inlined = True
    strided = False
    reads_own = True

    def fits(self, e: Equation) -> bool:
        """Element-wise ops that loops know, movement, lookups, and what fills an array."""
        op = e.op
        if isinstance(op, Elementwise):
            return supports(op, e.inputs, e.output.dtype)
        return is_movement(op) or isinstance(
            op,
            (movement.Reshape, movement.Place, movement.Concat, creation.Full, creation.Arange,
             *LOOKUPS),
        )  # fmt: skip

    def joins(self, kernel: Kernel, e: Equation, accesses: list[Access]) -> bool:
        """Over the same shape, what it makes itself read in the same turn."""
        shape = e.output.shape
        own = {r.output for r in kernel.roots}
        return kernel.domain == shape and all(
            x.is_at(shape) for x in accesses if x.view.base in own
        )

    def read(self, reading: Reading, e: Equation) -> None:
        """What the expression of each element reads."""
        reading.expand(e, loop_index(e.output.shape))


class Check(Kind):
    """Looks whether all elements are true."""

    name = "check"
    makes = False
    strided = False

    def fits(self, e: Equation) -> bool:
        """What a captured function requires of values."""
        return isinstance(e.op, Require)

    def read(self, reading: Reading, e: Equation) -> None:
        """Each element once."""
        reading.read(e.inputs[0], loop_index(e.inputs[0].shape))


class Concat(Kind):
    """A concatenation whose pieces have long rows: piece by piece."""

    name = "concat"
    inlined = True
    strided = False

    def fits(self, e: Equation) -> bool:
        """Concatenations that are no single run, of pieces that have rows."""
        if not isinstance(e.op, movement.Concat):
            return False
        axis = e.op.axis
        shortest = min(math.prod(x.shape[axis:]) for x in e.inputs)
        return math.prod(e.output.shape[:axis]) > 1 and shortest >= LONG_PIECE

    def read(self, reading: Reading, e: Equation) -> None:
        """What the expression of each element reads."""
        reading.expand(e, loop_index(e.output.shape))


class Reduce(Kind):
    """Axes folded away."""

    name = "reduce"
    strided = False

    def fits(self, e: Equation) -> bool:
        """Reductions of numbers, or to truth values."""
        truths = isinstance(e.op, reductions.Any | reductions.All)
        return isinstance(e.op, _REDUCTIONS) and (e.output.dtype.kind in "fiu" or truths)

    def joins(self, kernel: Kernel, e: Equation, accesses: list[Access]) -> bool:
        """Over the same axes of something that it reads, too."""
        op: Any = e.op
        first = kernel.roots[0]
        other: Any = first.op
        if isinstance(op, _SEARCHES) or isinstance(other, _SEARCHES):
            return False
        large = {x.view.base for x in accesses if x.view.base.size == e.inputs[0].size}
        return (
            first.inputs[0].shape == e.inputs[0].shape
            and other.axis == op.axis
            and not large.isdisjoint(kernel.reads)
        )

    def read(self, reading: Reading, e: Equation) -> None:
        """The input, in loops over its axes."""
        reading.read(e.inputs[0], loop_index(e.inputs[0].shape))

    def turns(self, e: Equation) -> int:
        """Once for each element that is folded."""
        return max(e.output.size, e.inputs[0].size)


class Scatter(Kind):
    """Elements added into zeros, or written into an array, at indices."""

    name = "scatter"
    strided = False

    def fits(self, e: Equation) -> bool:
        """Floating-point sums at indices, and any elements written at them."""
        if isinstance(e.op, SetItemsTo):
            return True
        adds = isinstance(
            e.op, indexing.TakeAdd | indexing.PutAlongAxisAdd | indexing.ScatterAdd | TakeAddTo
        )
        return adds and e.output.dtype.kind == "f"

    def read(self, reading: Reading, e: Equation) -> None:
        """What is added or written, where, and into what."""
        op: Any = e.op
        loops = loop_index(e.inputs[0].shape)
        reading.read(e.inputs[0], loops)
        if isinstance(op, SetItemsTo):
            base = reading.views.view(e.inputs[-1])
            assert base is not None
            reading.found.append(Access(base, (Mixed(frozenset()),) * len(base.shape)))
        looked_up(op, e.output.shape, loops, index_arrays(e), reading)

    def turns(self, e: Equation) -> int:
        """Once for each element that is added, or cleared."""
        return max(e.output.size, e.inputs[0].size)

    def moved(self, kernel: Kernel, read: Callable[[Equation], list[Access]]) -> int:
        """Of a table that is updated: the rows, read and written, and what is added."""
        root = kernel.roots[0]
        if isinstance(root.op, TakeAddTo):
            return 3 * root.inputs[0].nbytes
        return super().moved(kernel, read)


class Window(Kind):
    """Pooling, and its adjoints."""

    name = "window"

    def fits(self, e: Equation) -> bool:
        """Small windows, in each of which there is something."""
        op = e.op
        if not isinstance(op, pooling.Windows):
            return False
        if isinstance(op, pooling.MaxPoolRoute | pooling.MaxPoolPick):
            images: Any = e.inputs[1]
            if op.has_empty(images.shape[2:]):
                return False  # no place is the largest of an empty window
        return math.prod(op.kernel) <= MAX_WINDOW and e.output.dtype.kind in "fiu"


class Running(Kind):
    """Running sums and products."""

    name = "running"

    def fits(self, e: Equation) -> bool:
        """Running folds of numbers."""
        running = isinstance(e.op, reductions.CumulativeSum | reductions.CumulativeProd)
        return running and e.output.dtype.kind in "fiu"


class Sort(Kind):
    """The order of the elements along an axis."""

    name = "sort"

    def fits(self, e: Equation) -> bool:
        """All of them: they are along the last axis by now."""
        return isinstance(e.op, reductions.Argsort)


class Contraction(Kind):
    """Large matrix products, and convolutions, with a kernel of their own, not a loop nest."""

    name = "contraction"

    def fits(self, e: Equation) -> bool:
        """Convolutions of floats with equal padding at both ends, and large matrix products."""
        op = e.op
        if isinstance(op, convolution.Product):
            return e.output.dtype in FLOATING and all(a == b for a, b in op.padding)
        return has_contraction_kernel(e)


class Nonfinite(Kind):
    """What mends a contraction's sums where something is infinite or NaN: see `loops.nonfinite`."""

    name = "nonfinite"

    def fits(self, e: Equation) -> bool:
        """None: `plan.program` puts one behind a contraction that needs it."""
        return False


class Matmul(Kind):
    """Matrix products as plain loops."""

    name = "matmul"

    def fits(self, e: Equation) -> bool:
        """What is left of matrix products of numbers."""
        return isinstance(e.op, contraction.Matmul) and e.output.dtype != bool_

    def turns(self, e: Equation) -> int:
        """A quarter of the multiplications: vectors do several at once."""
        return e.output.size * e.inputs[0].shape[-1] // 4


class Random(Kind):
    """Random bits."""

    name = "random"

    def fits(self, e: Equation) -> bool:
        """All of them."""
        return isinstance(e.op, creation.RandomBits)


HOST, LOOP, NONFINITE = Host(), Loop(), Nonfinite()
CHECK, REDUCE, SCATTER, WINDOW, RUNNING = Check(), Reduce(), Scatter(), Window(), Running()
SORT, CONTRACTION, MATMUL, RANDOM = Sort(), Contraction(), Matmul(), Random()
CONCAT, MAP = Concat(), Map()
#: The kinds of equations that native code runs. The first one that fits is taken: of large matrix
#: products CONTRACTION before MATMUL, of pieces with long rows CONCAT before MAP. Of the others no
#: equation fits two.
NATIVE = (
    CHECK, REDUCE, SCATTER, WINDOW, RUNNING, SORT, CONTRACTION, MATMUL, RANDOM, CONCAT, MAP,
)  # fmt: skip


def kind_of(e: Equation) -> Kind:
    """The kind of kernel that makes e's output, if it is one that lives in memory."""
    if LOOP.fits(e):
        return LOOP
    if _has_native_types(e):
        for kind in NATIVE:
            if kind.fits(e):
                return kind
    return HOST


def has_contraction_kernel(e: Equation) -> bool:
    """Whether the equation is a sum of products that gets a kernel of its own, not a plain loop."""
    if isinstance(e.op, contraction.Matmul):
        large = e.output.size * e.inputs[0].shape[-1] > SMALL_PRODUCT
        return large and e.output.dtype in FLOATING
    return isinstance(e.op, convolution.Product)


def _has_native_types(e: Equation) -> bool:
    """Whether native code knows these dtypes, and numbers in the place of arrays."""
    dtypes = [x.dtype for x in e.inputs if isinstance(x, Variable)]
    if any(llvm_type(d) is None for d in [*dtypes, e.output.dtype]):
        return False
    if len(dtypes) < len(e.inputs) and not isinstance(e.op, Elementwise):
        return False
    narrow = not LOW_PRECISION.isdisjoint([*dtypes, e.output.dtype])
    return not narrow or e.op.exact or has_contraction_kernel(e)
