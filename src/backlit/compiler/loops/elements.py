"""Elements: the value of any element of a graph, as scalar LLVM IR inside a loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...dtypes import DType, float64, int64
from ...op import Elementwise, Shape
from ...ops import creation, movement
from ..capture.graph import Equation, Variable
from ..llvm import scalar
from ..llvm.builder import Function, Value
from ..llvm.scalar import TYPES, is_signed
from ..lower.indexing import LOOKUPS, MOVED, index_arrays, looked_up, source
from ..lower.lower import Lowering
from ..lower.views import View

#: The bit of the flag for an index out of range. Those below are of the graph's checks.
OUTSIDE_BIT = 30


class ElementWriter(ABC):
    """Writes single elements into a function; what elements of memory are, subclasses say."""

    def __init__(self, lowering: Lowering, f: Function):
        self.lowering = lowering
        self.f = f
        self.zero = f.const("i64", 0)
        self.checks = False  # whether it sets the flag
        self.memo: dict[Any, Value] = {}
        self.indices: list[Any] = []  # keeps index values alive while the memo names them by id
        #: What this turn has made and not yet stored. The kernel reads these values where it makes
        #: them, and nowhere else: see `Lowering._fitting`.
        self.made: dict[Variable, Value] = {}

    @abstractmethod
    def load(self, view: View, index: tuple[Value, ...]) -> Value:
        """The element of a view at an index."""

    @abstractmethod
    def store(self, v: Variable, index: tuple[Value, ...], value: Value) -> None:
        """Write the element of a value that lives in memory."""

    def write_elements(self, roots: Sequence[Equation], index: tuple[Value, ...]) -> None:
        """Make and store what all roots have at an index."""
        self.indices.append(index)
        for r in roots:
            self.made[r.output] = self.expand(r, index)
        for r in roots:
            self.store(r.output, index, self.made[r.output])

    def index(self, shape: Shape, loops: Sequence[Value]) -> tuple[Value, ...]:
        """Loop indices as an index: zero where the axis has size 1."""
        return tuple(self.zero if n == 1 else i for n, i in zip(shape, loops, strict=True))

    def read(self, v: Variable, index: tuple[Value, ...]) -> Value:
        """The element of v at an index, from a register, from memory or by its expression."""
        key = (v, *map(id, index))
        known = self.memo.get(key)
        if known is None:
            known = self.memo[key] = self._read(v, index)
            self.indices.append(index)
        return known

    def _read(self, v: Variable, index: tuple[Value, ...]) -> Value:
        view = self.lowering.view(v)
        if view is not None:
            return self.load(view, index)
        return self.expand(self.lowering.made[v], index)

    def expand(self, e: Equation, index: tuple[Value, ...]) -> Value:
        """The element of e's output at an index, by its op."""
        op = e.op
        if isinstance(op, Elementwise):
            return self._elementwise(e, index)
        x: Any = e.inputs[0] if e.inputs else None
        if isinstance(op, creation.Full):
            return scalar.number(self.f, e.output.dtype, op.value)
        if isinstance(op, creation.Arange):
            return self._arange(e, index)
        whole = self.lowering.reshaped(e)
        if whole is not None:
            return self.load(whole, index)
        if isinstance(op, MOVED):
            return self.read(x, self.index(x.shape, source(e, index, self)))
        if isinstance(op, movement.Place):
            return self._place(op, x, index)
        if isinstance(op, movement.Concat):
            return self._concat(op, e.inputs, index)
        if isinstance(op, LOOKUPS):
            own = looked_up(op, x.shape, index, index_arrays(e), self)
            return self.read(x, self.index(x.shape, own))
        raise NotImplementedError(f"loops: {op.name}")

    def _elementwise(self, e: Equation, index: tuple[Value, ...]) -> Value:
        args: list[Any] = []
        dtypes: list[Any] = []
        for x in e.inputs:
            if not isinstance(x, Variable):
                args.append(x)
                dtypes.append(None)
                continue
            own = self.index(x.shape, index[len(index) - len(x.shape) :])
            args.append(self.read(x, own))
            dtypes.append(x.dtype)
        return scalar.emit(self.f, e.op, args, dtypes, e.output.dtype)

    def _arange(self, e: Equation, index: tuple[Value, ...]) -> Value:
        op: Any = e.op
        source: DType
        if isinstance(op.start, int) and isinstance(op.step, int):
            value, source = index[0] * op.step + op.start, int64
        else:
            value = index[0].cast("sitofp", "double") * float(op.step) + float(op.start)
            source = float64
        return scalar.convert(value, source, op.dtype)

    def fixed(self, number: int) -> Value:
        """A number, as the index of an axis."""
        return self.f.const("i64", number)

    def strided(self, i: Value, entry: tuple[int, int, int], size: int) -> Value:
        """start + step · i."""
        return i * entry[2] + entry[0]

    def reversed(self, i: Value, size: int) -> Value:
        """size - 1 - i."""
        return self.f.const("i64", size - 1) - i

    def _place(self, op: movement.Place, x: Variable, index: tuple[Value, ...]) -> Value:
        type = TYPES[x.dtype.name]
        if x.size == 0:
            return self.f.const(type, 0)
        inside = self.f.const("i1", 1)
        own: list[tuple[Value, Value]] = []  # where x is read, and whether that is in x
        axis = iter(zip(index, op.shape, strict=True))
        for i in op.index:
            if i is None:
                own.append((self.zero, self.f.const("i1", 1)))
                continue
            at, n = next(axis)
            start, count, step = (i, 1, 1) if isinstance(i, int) else i
            if i == (0, n, 1):
                # Not compared: this may be one loop over several axes, see `spread`.
                own.append((at, self.f.const("i1", 1)))
                continue
            place = at - start
            hit = self.f.const("i1", 1)
            if step != 1:
                turns = place / step
                hit = (turns * step).compare("eq", place)
                place = turns
            hit = hit & place.compare("ge", 0) & place.compare("lt", count)
            if not isinstance(i, int):
                own.append((place, hit))
            inside = inside & hit
        if inside.number == 0:
            return self.f.const(type, 0)
        # Outside, the first element is read, and thrown away.
        safe = [at if hit.number else inside.select(at, self.zero) for at, hit in own]
        value = self.read(x, self.index(x.shape, safe))
        return inside.select(value, self.f.const(type, 0))

    def _concat(
        self, op: movement.Concat, inputs: Sequence[Any], index: tuple[Value, ...]
    ) -> Value:
        start = 0
        result: Value | None = None
        at = index[op.axis]
        for x in inputs:
            n = x.shape[op.axis]
            if n == 0:
                continue
            place = at - start
            inside = place.compare("ge", 0) & place.compare("lt", n)
            own = list(index)
            own[op.axis] = inside.select(place, self.zero)
            value = self.read(x, self.index(x.shape, own))
            result = value if result is None else inside.select(value, result)
            start += n
        assert result is not None
        return result

    def looked_up(self, indices: Variable, index: Sequence[Value], size: int) -> Value:
        """An index read from data: counted from the end if negative, flagged if out of range."""
        at = self.read(indices, self.index(indices.shape, index))
        at = scalar.convert(at, indices.dtype, np.dtype("int64"))
        if is_signed(indices.dtype):
            at = at.compare("lt", 0).select(at + size, at)
        good = at.compare("lt", size, signed=False)
        self.require(good, OUTSIDE_BIT)
        return good.select(at, self.zero)

    def require(self, good: Value, bit: int) -> None:
        """Tell the plan, after the kernel, if something was not good: see `Plan.error`."""
        self.checks = True
        flag = self.f.argument("flag")
        self.f.store(self.f.load("i32", flag) | ((good ^ 1).cast("zext", "i32") << bit), flag)
