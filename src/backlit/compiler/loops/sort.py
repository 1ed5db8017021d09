"""Sorting: the order of the elements along the last axis, by merging.

The output's memory, eight bytes for each element, holds two lists of four-byte indices, each the
merged runs of the other, until the last step widens the result: no other memory is needed. A step
of a merge takes the later run's element only if it comes strictly first, so equal elements keep
their order.

Source: Knuth, "The Art of Computer Programming", vol. 3 (2nd ed., 1998), sec. 5.2.4.
"""

from __future__ import annotations

from typing import Any

from ..capture.graph import Equation
from ..llvm.builder import Value
from ..llvm.scalar import is_signed
from .writer import KernelWriter


def write_sort(w: KernelWriter, e: Equation) -> None:
    """The whole kernel: one unit of work for each row."""
    x: Any = e.inputs[0]
    if x.size == 0:
        return
    f = w.f
    rows = x.shape[:-1]
    with w.nest([m for m in rows if m != 1], outer=True, grain=1) as counters:
        counter = iter(counters)
        row = tuple(w.zero if m == 1 else next(counter) for m in rows)
        start = w.zero
        for i, m in zip(row, rows, strict=True):
            start = start * m + i
        out = f.argument(w.buffers[w.storage(e.output)])
        n = x.shape[-1] if x.shape else 1
        _Row(w, e, row, f.address(out, "i64", start * n)).sort()


class _Row:
    """Writes the loops that sort one row, in the output's memory from `base` on."""

    def __init__(self, writer: KernelWriter, e: Equation, row: tuple[Value, ...], base: Value):
        self.w = writer
        self.f = writer.f
        self.op: Any = e.op
        self.x: Any = e.inputs[0]
        self.n: int = self.x.shape[-1] if self.x.shape else 1
        self.row = row
        self.base = base

    def sort(self) -> None:
        """Indices in order; runs of twice the length, again and again; eight bytes for four."""
        f, w, n = self.f, self.w, self.n
        steps = (n - 1).bit_length()
        source, target = (0, n) if steps % 2 == 0 else (n, 0)
        with f.loop(w.zero, f.const("i64", n)) as loop:
            self._put(loop.index + source, loop.index)
        carried = [f.const("i64", 1), f.const("i64", source), f.const("i64", target)]
        with f.loop(w.zero, f.const("i64", steps), carried) as loop:
            width, first, second = loop.carried
            self._merge_all(width, first, second)
            loop.following.extend([width * 2, second, first])
        with f.loop(w.zero, f.const("i64", n)) as loop:
            back = f.const("i64", n - 1) - loop.index  # what is overwritten has been read
            wide = self._get(back)
            f.store(wide, f.address(self.base, "i64", back))

    def _place(self, number: Value) -> Value:
        return self.f.address(self.base, "i32", number)

    def _get(self, number: Value) -> Value:
        return self.f.load("i32", self._place(number)).cast("sext", "i64")

    def _put(self, number: Value, index: Value) -> None:
        self.f.store(index.cast("trunc", "i32"), self._place(number))

    def _merge_all(self, width: Value, source: Value, target: Value) -> None:
        """Merge all pairs of neighbouring runs of a width."""
        f, n = self.f, self.f.const("i64", self.n)
        pairs = (n + width * 2 - 1) / (width * 2)
        with f.loop(self.w.zero, pairs) as loop:
            low = loop.index * width * 2
            middle, high = (
                end.compare("lt", n).select(end, n) for end in (low + width, low + width * 2)
            )
            with f.loop(low, high, [low, middle]) as step:
                i, j = step.carried
                left, right = i.compare("lt", middle), j.compare("lt", high)
                a = self._get(source + left.select(i, low))
                b = self._get(source + right.select(j, low))
                later = right & ((left ^ 1) | self._first(self._key(b), self._key(a)))
                self._put(target + step.index, later.select(b, a))
                moved = later.cast("zext", "i64")
                step.following.extend([i + 1 - moved, j + moved])

    def _key(self, index: Value) -> Value:
        view = self.w.lowering.view(self.x)
        assert view is not None
        return self.w.load(view, (*self.row, index) if self.x.shape else ())

    def _first(self, a: Value, b: Value) -> Value:
        """Whether a stands strictly before b: NaN is larger than every number."""
        if self.op.descending:
            a, b = b, a
        less = a.compare("lt", b, is_signed(self.x.dtype))
        if a.is_float:
            less = less | (b.compare("ne", b) & a.compare("eq", a))
        return less
