"""Fused loops: one kernel's loop nest as LLVM IR.

Every kernel is a function of its buffers, a flag for indices out of range, and a range of work
units. How work divides into units depends on shapes only, so results do not depend on who runs
which unit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...dtypes import DType, float64, int64
from ...op import Elementwise, Shape
from ...ops import creation, indexing, movement
from ..capture.graph import Equation, Variable
from ..llvm import scalar
from ..llvm.builder import Function, Value
from ..llvm.scalar import TYPES, identity, is_signed, memory_type
from ..lower.lower import Kernel, Lowering, View, gathered_block, index_arrays, row_major, total
from ..lower.passes import SetItemsTo, TakeAddTo
from ..lower.products import batched
from . import nonfinite
from .pooling import Windows
from .reductions import Folds
from .sort import Sort

#: Elements in one unit of a flat loop.
GRAIN = 4096
#: The bit of the flag for an index out of range. Those below are of the graph's checks.
OUTSIDE_BIT = 30

Storage = Callable[[Variable], Any]


class KernelWriter:
    """Writes one kernel."""

    def __init__(self, lowering: Lowering, kernel: Kernel, storage: Storage):
        self.lowering = lowering
        self.kernel = kernel
        self.storage = storage
        self.buffers: dict[Any, str] = {}  # storage -> parameter name
        written = [] if kernel.kind == "check" else [r.output for r in kernel.roots]
        for v in [*written, *sorted(kernel.reads, key=lowering.numbers.__getitem__)]:
            self._parameter(v)
        self.readings = [lowering.reading(r) for r in kernel.roots]
        #: The first element read of each buffer, at which its parameter points: kernels that differ
        #: only in where they read are one.
        self.starts: dict[Any, int] = {}
        for reading in self.readings:
            for access in reading.found:
                key = storage(access.view.base)
                self.starts[key] = min(access.start, self.starts.get(key, access.start))
        self.starts.update((storage(v), 0) for v in written)
        parameters = [("ptr noalias", n) for n in self.buffers.values()]
        parameters += [("ptr noalias", "flag"), ("i64", "begin"), ("i64", "end")]
        self.f = Function("KERNEL", parameters)
        self.zero = self.f.const("i64", 0)
        self.units = 1
        self.checks = False  # whether it sets the flag
        self.memo: dict[Any, Value] = {}
        self.indices: list[Any] = []  # keeps index values alive while the memo names them by id
        #: What this turn has made and not yet stored. The kernel reads these values where it makes
        #: them, and nowhere else: see `Lowering._fitting`.
        self.made: dict[Variable, Value] = {}
        if kernel.kind == "map":
            self._map()
        elif kernel.kind == "check":
            self._check(kernel.roots[0].op, kernel.roots[0].inputs[0])
        elif kernel.kind == "concat":
            self._pieces(kernel.roots[0])
        elif kernel.kind == "reduce":
            Folds(self, kernel.roots).write()
        elif kernel.kind == "matmul":
            self._matmul(kernel.roots[0])
        elif kernel.kind == "random":
            self._random(kernel.roots[0])
        elif kernel.kind == "window":
            Windows(self, kernel.roots[0]).write()
        elif kernel.kind == "running":
            self._running(kernel.roots[0])
        elif kernel.kind == "exact":
            nonfinite.write(self, kernel.roots[0])
        elif kernel.kind == "sort":
            Sort(self, kernel.roots[0]).write()
        else:
            self._scatter(kernel.roots[0])
        self.f.finish()
        self.work = self._estimate()

    def _estimate(self) -> int:
        """About how many multiplications the kernel does."""
        costs = self.lowering.costs
        work = 0
        for r in self.kernel.roots:
            inputs = [x for x in r.inputs if isinstance(x, Variable)]
            each = 1 + sum(costs.get(x, 0) for x in inputs) + self.lowering.own_cost(r)
            size = r.output.size
            if self.kernel.kind in ("reduce", "scatter"):
                size = max(size, inputs[0].size)
            elif self.kernel.kind == "matmul":
                size = size * inputs[0].shape[-1] // 4
            work += size * each
        return work

    def _parameter(self, v: Variable) -> str:
        key = self.storage(v)
        return self.buffers.setdefault(key, f"b{len(self.buffers)}")

    # -- reading ------------------------------------------------------------------------------

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

    def _offset(self, view: View, index: tuple[Value, ...]) -> Value:
        fixed = view.offset - self.starts.get(self.storage(view.base), 0)
        at = self.zero
        for i, s in zip(index, view.strides, strict=True):
            if i.number is None:
                at = at + i * s
            else:
                fixed += i.number * s
        return at + fixed

    def strides(self, v: Variable) -> tuple[int, ...]:
        """The strides of a value of its own memory."""
        return row_major(v.shape)

    def load(self, view: View, index: tuple[Value, ...]) -> Value:
        """The element of a view at an index."""
        if view.base in self.made:
            return self.made[view.base]
        type = memory_type(view.base.dtype)
        base = self.f.argument(self._parameter(view.base))
        value = self.f.load(type, self.f.address(base, type, self._offset(view, index)))
        return value.compare("ne", 0) if view.base.dtype.name == "bool" else value

    def store(self, v: Variable, index: tuple[Value, ...], value: Value) -> None:
        """Write the element of a value that lives in memory."""
        view = View(v, v.shape, row_major(v.shape))
        type = memory_type(v.dtype)
        base = self.f.argument(self._parameter(v))
        if value.type == "i1":
            value = value.cast("zext", "i8")
        self.f.store(value, self.f.address(base, type, self._offset(view, index)))

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
        if isinstance(op, movement.Reshape):
            left = iter([i for i, n in zip(index, e.output.shape, strict=True) if n != 1])
            return self.read(x, tuple(self.zero if n == 1 else next(left) for n in x.shape))
        if isinstance(op, movement.PermuteDims):
            own: list[Any] = [None] * len(index)
            for position, a in enumerate(op.axes):
                own[a] = index[position]
            return self.read(x, tuple(own))
        if isinstance(op, movement.BroadcastTo):
            extra = len(index) - len(x.shape)
            return self.read(x, self.index(x.shape, index[extra:]))
        if isinstance(op, movement.Flip):
            turned = [
                self.f.const("i64", n - 1) - i if a in op.axis else i
                for a, (n, i) in enumerate(zip(x.shape, index, strict=True))
            ]
            return self.read(x, self.index(x.shape, turned))
        if isinstance(op, movement.Slice):
            return self._slice(op, x, index)
        if isinstance(op, movement.Place):
            return self._place(op, x, index)
        if isinstance(op, movement.Concat):
            return self._concat(op, e.inputs, index)
        if isinstance(op, indexing.Take):
            n = len(e.inputs[1].shape)
            a = op.axis
            at = self._checked(e.inputs[1], index[a : a + n], x.shape[a])
            return self.read(x, self.index(x.shape, (*index[:a], at, *index[a + n :])))
        if isinstance(op, indexing.Gather):
            return self.read(x, self._gathered(op.pattern, e.inputs[1:], x.shape, index))
        if isinstance(op, indexing.TakeAlongAxis):
            a = op.axis
            at = self._checked(e.inputs[1], index, x.shape[a])
            return self.read(x, self.index(x.shape, (*index[:a], at, *index[a + 1 :])))
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

    def _slice(self, op: movement.Slice, x: Variable, index: tuple[Value, ...]) -> Value:
        own = []
        position = 0
        for i in op.index:
            if i is None:
                position += 1
            elif isinstance(i, int):
                own.append(self.f.const("i64", i))
            else:
                own.append(index[position] * i[2] + i[0])
                position += 1
        return self.read(x, self.index(x.shape, own))

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

    def _gathered(
        self, pattern: tuple, indices: Sequence[Any], shape: Shape, index: tuple[Value, ...]
    ) -> tuple[Value, ...]:
        """The place in an array of that shape that indexing by arrays reads for an index."""
        start, block = gathered_block(pattern, indices)
        inner = index[start : start + block]
        basic = iter((*index[:start], *index[start + block :]))
        arrays = iter(indices)
        own: list[Value] = []
        for entry in pattern:
            if entry is None:
                next(basic)
            elif entry == "array":
                array = next(arrays)
                at = self.index(array.shape, inner[block - len(array.shape) :])
                own.append(self._checked(array, at, shape[len(own)]))
            elif isinstance(entry, int):
                own.append(self.f.const("i64", entry))
            else:
                own.append(next(basic) * entry[2] + entry[0])
        return self.index(shape, own)

    def _checked(self, indices: Variable, index: tuple[Value, ...], size: int) -> Value:
        """An index read from data: counted from the end if negative, flagged if out of range."""
        at = self.read(indices, self.index(indices.shape, index))
        at = scalar.convert(at, indices.dtype, np.dtype("int64"))
        if is_signed(indices.dtype):
            at = at.compare("lt", 0).select(at + size, at)
        good = at.compare("lt", size, signed=False)
        self._require(good, OUTSIDE_BIT)
        return good.select(at, self.zero)

    def _require(self, good: Value, bit: int) -> None:
        """Tell the plan, after the kernel, if something was not good: see `Plan.error`."""
        self.checks = True
        flag = self.f.argument("flag")
        self.f.store(self.f.load("i32", flag) | ((good ^ 1).cast("zext", "i32") << bit), flag)

    # -- loops --------------------------------------------------------------------------------

    def groups(self, shape: Shape, apart: set[int]) -> list[list[int]]:
        """The axes of a loop nest, neighbours together that one loop can count.

        Two neighbours go together if every access moves through memory as if they were one axis.
        Axes of size 1 are left out; an axis in `apart` does not join the one before it.
        """
        fixed = set(apart)
        steps = []
        for reading in self.readings:
            fixed |= reading.exact | {a + 1 for a in reading.exact}
            steps += [access.moves(len(shape)) for access in reading.found]
        groups: list[list[int]] = []
        for a, n in enumerate(shape):
            if n == 1:
                fixed.update({a + 1} if a in fixed else set())
                continue
            joins = (
                bool(groups)
                and a not in fixed
                and all(m[groups[-1][-1]] == m[a] * n for m in steps)
            )
            if joins:
                groups[-1].append(a)
            else:
                groups.append([a])
        return groups

    @contextlib.contextmanager
    def nest(
        self, sizes: Sequence[int], outer: bool, grain: int | None = None
    ) -> Iterator[list[Value]]:
        """Loops over all of `sizes`; the first is divided into units of `grain` if `outer`."""
        f = self.f
        with contextlib.ExitStack() as stack:
            indices: list[Value] = []
            for position, n in enumerate(sizes):
                low, high = self.zero, f.const("i64", n)
                if outer and position == 0:
                    grain = grain or (GRAIN if len(sizes) == 1 else 1)
                    if n > grain:
                        self.units = -(-n // grain)
                        unit = stack.enter_context(f.loop(f.argument("begin"), f.argument("end")))
                        if grain == 1:
                            indices.append(unit.index)
                            continue
                        low = unit.index * grain
                        high = low + grain
                        if n % grain:
                            high = high.compare("lt", n).select(high, n)
                indices.append(stack.enter_context(f.loop(low, high)).index)
            yield indices

    def spread(
        self, ndim: int, groups: Sequence[Sequence[int]], counters: Sequence[Value]
    ) -> dict[int, Value]:
        """An index for each axis: a loop over several axes counts the last of them beyond its size.

        Addresses come out right, because to every access these axes are one.
        """
        at = dict.fromkeys(range(ndim), self.zero)
        for group, counter in zip(groups, counters, strict=True):
            at[group[-1]] = counter
        return at

    @contextlib.contextmanager
    def _each(self) -> Iterator[tuple[Value, ...]]:
        """The body for each element of what the kernel makes."""
        shape = self.kernel.domain
        groups = self.groups(shape, set())
        sizes = [math.prod(shape[a] for a in g) for g in groups]
        with self.nest(sizes, outer=True) as counters:
            yield tuple(self.spread(len(shape), groups, counters).values())

    def _map(self) -> None:
        if total(self.kernel.domain) == 0:
            return
        with self._each() as index:
            self._body(self.kernel.roots, index)

    def _check(self, op: Any, x: Variable) -> None:
        if total(self.kernel.domain) == 0:
            return
        number = self.lowering.checks.index(op)
        with self._each() as index:
            self._require(self.read(x, index), min(number, OUTSIDE_BIT - 1))

    def _body(self, roots: Sequence[Equation], index: tuple[Value, ...]) -> None:
        self.indices.append(index)
        for r in roots:
            self.made[r.output] = self.expand(r, index)
        for r in roots:
            self.store(r.output, index, self.made[r.output])

    def _pieces(self, e: Equation) -> None:
        """A concatenation row by row, in every row piece by piece."""
        axis: int = e.op.axis  # type: ignore[attr-defined]
        lead = e.output.shape[:axis]
        with self.nest([n for n in lead if n != 1], outer=True, grain=1) as counters:
            counter = iter(counters)
            outer = [self.zero if n == 1 else next(counter) for n in lead]
            start = 0
            for x in e.inputs:
                assert isinstance(x, Variable)
                with self.nest(x.shape[axis:], outer=False) as inner:
                    value = self.read(x, self.index(x.shape, (*outer, *inner)))
                    at = (*outer, inner[0] + start, *inner[1:])
                    self.store(e.output, self.index(e.output.shape, at), value)
                self.memo.clear()  # what this loop has read is not known after it
                start += x.shape[axis]

    # -- running folds ------------------------------------------------------------------------

    def _running(self, e: Equation) -> None:
        """A running sum or product: along its axis one element after the other."""
        x: Variable = e.inputs[0]
        op: Any = e.op
        f = self.f
        if x.size == 0:
            return
        others = [a for a in range(len(x.shape)) if a != op.axis and x.shape[a] != 1]
        name = "sum" if op.name == "cumulative_sum" else "prod"
        with self.nest([x.shape[a] for a in others], outer=True) as outer:
            at = dict.fromkeys(range(len(x.shape)), self.zero)
            at.update(zip(others, outer, strict=True))
            high = f.const("i64", x.shape[op.axis])
            with f.loop(self.zero, high, [identity(f, name, e.output.dtype)]) as loop:
                at[op.axis] = loop.index
                index = tuple(self.zero if x.shape[a] == 1 else i for a, i in at.items())
                value = self.read(x, index)
                before = loop.carried[0]
                total_ = before + value if name == "sum" else before * value
                loop.following.append(total_)
                self.store(e.output, index, total_)

    # -- scatter ------------------------------------------------------------------------------

    def _scatter(self, e: Equation) -> None:
        """Zeros, then x added one element after the other: repeated indices add up in order.

        Or an array, and x written into it: of repeated indices the last one stays.
        """
        x, indices = e.inputs[:2]
        op: Any = e.op
        out = e.output
        f = self.f
        if out.size == 0:
            return
        view = View(out, out.shape, row_major(out.shape))
        base = e.inputs[-1] if isinstance(op, TakeAddTo | SetItemsTo) else None
        if base is None or self.storage(base) is not self.storage(out):
            with self.nest(out.shape, outer=False) as loops:
                index = self.index(out.shape, loops)
                start = (
                    f.const(TYPES[out.dtype.name], 0) if base is None else self.read(base, index)
                )
                self.store(out, index, start)
            self.memo.clear()
        if x.size == 0:
            return
        with contextlib.ExitStack() as stack:
            if isinstance(op, TakeAddTo):
                stack.enter_context(self._if_in_range(indices, op.size))
            loops = stack.enter_context(self.nest(x.shape, outer=False))
            index = self.index(x.shape, loops)
            if isinstance(op, indexing.ScatterAdd | SetItemsTo):
                target = self._gathered(op.pattern, index_arrays(e), out.shape, index)
            elif isinstance(op, indexing.TakeAdd | TakeAddTo):
                a, n = op.axis, len(indices.shape)
                at = self._checked(indices, index[a : a + n], op.size)
                target = (*index[:a], at, *index[a + n :])
            else:
                at = self._checked(indices, index, op.size)
                target = (*index[: op.axis], at, *index[op.axis + 1 :])
            target = self.index(out.shape, target)
            value = self.read(x, index)
            if not isinstance(op, SetItemsTo):
                value = self.load(view, target) + value
            self.store(out, target, value)

    @contextlib.contextmanager
    def _if_in_range(self, indices: Variable, size: int) -> Iterator[None]:
        """The body, only if no index is out of range: it changes what must not be half changed."""
        f = self.f
        with self.nest(indices.shape, outer=False) as loops:
            self._checked(indices, self.index(indices.shape, loops), size)
        self.memo.clear()
        good = f.load("i32", f.argument("flag")).compare("eq", 0)
        with f.loop(self.zero, good.cast("zext", "i64")):
            yield

    # -- small products -----------------------------------------------------------------------

    def _matmul(self, e: Equation) -> None:
        """A small matrix product as plain loops: along rows of b where they are contiguous."""
        a, b = (batched(self.lowering, x, e.output) for x in e.inputs)
        out = View(e.output, e.output.shape, row_major(e.output.shape))
        *batch, rows, columns = e.output.shape
        depth = a.shape[-1]
        f = self.f
        type = TYPES[e.output.dtype.name]
        if e.output.size == 0:
            return
        with self.nest([*batch, rows], outer=True) as outer:
            *lead, m = outer
            high = f.const("i64", columns)
            if b.strides[-1] == 1 and columns > 1:
                with f.loop(self.zero, high) as loop:
                    self.store(e.output, (*lead, m, loop.index), f.const(type, 0))
                with f.loop(self.zero, f.const("i64", depth)) as k:
                    left = self.load(a, (*lead, m, k.index))
                    with f.loop(self.zero, high) as loop:
                        n = loop.index
                        product = left * self.load(b, (*lead, k.index, n))
                        before = self.load(out, (*lead, m, n))
                        self.store(e.output, (*lead, m, n), before + product)
                return
            with f.loop(self.zero, high) as loop:
                n = loop.index
                start = f.const(type, 0)
                with f.loop(self.zero, f.const("i64", depth), [start]) as k:
                    product = self.load(a, (*lead, m, k.index)) * self.load(b, (*lead, k.index, n))
                    before = k.carried[0]
                    text = f"fadd reassoc contract {type} {before.text}, {product.text}"
                    sum_ = f.emit(text, type) if before.is_float else before + product
                    k.following.append(sum_)
                self.store(e.output, (*lead, m, n), k.results[0])

    # -- random bits --------------------------------------------------------------------------

    def _random(self, e: Equation) -> None:
        """Philox 4x64-10, eight 32-bit words a block: see backend.numpy_backend.random_bits."""
        f = self.f
        size = e.output.size
        if size == 0:
            return
        views = [self.lowering.view(x) for x in e.inputs]
        key, counter = (self.load(v, ()) for v in views if v is not None)
        out = f.argument(self._parameter(e.output))
        blocks = size // 8
        per_unit = GRAIN // 8
        if blocks:
            self.units = -(-blocks // per_unit)
            with f.loop(f.argument("begin"), f.argument("end")) as outer:
                low = outer.index * per_unit
                high = low + per_unit
                high = high.compare("lt", blocks).select(high, blocks)
                with f.loop(low, high) as loop:
                    words = self._philox(key, counter + loop.index + 1)
                    for j, word in enumerate(words):
                        at = f.address(out, "i64", loop.index * 4 + j)
                        f.store(word, at, ", align 4")
        rest = size - blocks * 8
        if rest:
            words = self._philox(key, counter + (blocks + 1))
            for j in range(rest):
                word = words[j // 2]
                if j % 2:
                    word = f.emit(f"lshr i64 {word.text}, 32", "i64")
                at = f.address(out, "i32", f.const("i64", blocks * 8 + j))
                f.store(word.cast("trunc", "i32"), at)

    def _philox(self, key: Value, counter: Value) -> list[Value]:
        c = [counter, self.zero, self.zero, self.zero]
        k = [key, self.zero]
        for number in range(10):
            if number:
                k = [k[0] + 0x9E3779B97F4A7C15, k[1] + 0xBB67AE8584CAA73B]
            high0, low0 = self._wide_product(c[0], 0xD2E7470EE14C6C93)
            high1, low1 = self._wide_product(c[2], 0xCA5A826395121157)
            c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        return c

    def _wide_product(self, x: Value, factor: int) -> tuple[Value, Value]:
        wide = x.cast("zext", "i128") * factor
        high = self.f.emit(f"lshr i128 {wide.text}, 64", "i128").cast("trunc", "i64")
        return high, wide.cast("trunc", "i64")
