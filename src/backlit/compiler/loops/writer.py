"""A kernel's function: its buffers, where it reads and writes in them, and its loops.

Every kernel is a function of its buffers, a flag for indices out of range, and a range of work
units. How work divides into units depends on shapes only, so results do not depend on who runs
which unit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...op import Shape
from ..capture.graph import Variable
from ..llvm.builder import Function, Value
from ..llvm.scalar import memory_type
from ..lower.kinds import Kernel
from ..lower.lower import Lowering
from ..lower.views import View, row_major
from .elements import ElementWriter

#: Elements in one unit of a flat loop.
GRAIN = 4096

Storage = Callable[[Variable], Any]


class KernelWriter(ElementWriter):
    """Writes into one kernel's function. `storage` says whose memory holds a value."""

    def __init__(self, lowering: Lowering, kernel: Kernel, storage: Storage):
        self.kernel = kernel
        self.storage = storage
        self.buffers: dict[Any, str] = {}  # storage -> parameter name
        written = [r.output for r in kernel.roots] if kernel.kind.makes else []
        self.readings = [lowering.reading(r) for r in kernel.roots]
        # In the order in which they are used: kernels that do the same have the same text.
        found = [access.view.base for reading in self.readings for access in reading.found]
        for v in [*written, *found, *sorted(kernel.reads, key=lowering.numbers.__getitem__)]:
            self.parameter(v)
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
        super().__init__(lowering, Function("KERNEL", parameters))
        self.units = 1
        self.work = lowering.work(kernel)

    def parameter(self, v: Variable) -> str:
        """The name of the parameter that points at a value's memory."""
        key = self.storage(v)
        return self.buffers.setdefault(key, f"b{len(self.buffers)}")

    # -- memory -------------------------------------------------------------------------------

    def _offset(self, view: View, index: tuple[Value, ...]) -> Value:
        fixed = view.offset - self.starts.get(self.storage(view.base), 0)
        at = self.zero
        for i, s in zip(index, view.strides, strict=True):
            if i.number is None:
                at = at + i * s
            else:
                fixed += i.number * s
        return at + fixed

    def load(self, view: View, index: tuple[Value, ...]) -> Value:
        """The element of a view at an index."""
        if view.base in self.made:
            return self.made[view.base]
        type = memory_type(view.base.dtype)
        base = self.f.argument(self.parameter(view.base))
        value = self.f.load(type, self.f.address(base, type, self._offset(view, index)))
        return value.compare("ne", 0) if view.base.dtype.name == "bool" else value

    def store(self, v: Variable, index: tuple[Value, ...], value: Value) -> None:
        """Write the element of a value that lives in memory."""
        view = View(v, v.shape, row_major(v.shape))
        type = memory_type(v.dtype)
        base = self.f.argument(self.parameter(v))
        if value.type == "i1":
            value = value.cast("zext", "i8")
        self.f.store(value, self.f.address(base, type, self._offset(view, index)))

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
    def each(self) -> Iterator[tuple[Value, ...]]:
        """The body for each element of what the kernel makes."""
        shape = self.kernel.domain
        groups = self.groups(shape, set())
        sizes = [math.prod(shape[a] for a in g) for g in groups]
        with self.nest(sizes, outer=True) as counters:
            yield tuple(self.spread(len(shape), groups, counters).values())
