"""Loops over the windows of images: pooling and its adjoints.

One work unit is one channel of one image. Inside it all windows are visited in row-major order, so
what several windows add to one place is added in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...op import Shape
from ...ops import pooling, reductions
from ..capture.graph import Equation, Variable
from ..llvm.builder import Value
from ..llvm.scalar import TYPES, identity, is_signed, larger
from ..lower.views import View, row_major
from .writer import KernelWriter

#: Windows whose largest places are found before anything is added to them.
ROW = 1024
#: One place of a window: see `_Channel._places`.
Place = tuple[int, int, Value, Value, Value | None]


def write_windows(w: KernelWriter, e: Equation) -> None:
    """The whole kernel."""
    f = w.f
    spreads = isinstance(e.op, pooling.MaxPoolRoute | pooling.WindowSpread)
    image: Shape = e.output.shape if spreads else e.inputs[-1].shape
    if math.prod(image[:2]) == 0:
        return
    w.units = math.prod(image[:2])
    channels = f.const("i64", image[1])
    with f.loop(f.argument("begin"), f.argument("end")) as unit:
        n = unit.index / channels
        _Channel(w, e, image, (n, unit.index - n * channels)).write()


class _Channel:
    """Writes the loops over the windows of one channel of an image: `at` is which one."""

    def __init__(self, writer: KernelWriter, e: Equation, image: Shape, at: tuple[Value, Value]):
        self.w = writer
        self.f = writer.f
        self.e = e
        self.op: Any = e.op
        self.type = TYPES[e.output.dtype.name]
        self.height, self.width = image[2:]
        self.at = at
        self.spreads = isinstance(e.op, pooling.MaxPoolRoute | pooling.WindowSpread)
        self.pooled: Shape = e.inputs[0].shape if self.spreads else e.output.shape
        self.apart = isinstance(e.op, pooling.MaxPoolRoute) and self._are_apart()

    def write(self) -> None:
        """All windows, after zeros where they add to what lies there."""
        op, f, w = self.op, self.f, self.w
        if self.spreads and not (self.apart and self._cover()):
            with (
                f.loop(w.zero, f.const("i64", self.height)) as h,
                f.loop(w.zero, f.const("i64", self.width)) as v,
            ):
                w.store(self.e.output, (*self.at, h.index, v.index), f.const(self.type, 0))
        with f.loop(w.zero, f.const("i64", self.pooled[2])) as p:
            if isinstance(op, pooling.MaxPoolRoute) and not self.apart:
                self._route_row(p.index, self.pooled[3])
            else:
                with f.loop(w.zero, f.const("i64", self.pooled[3])) as q:
                    self._window(p.index, q.index)

    def _route_row(self, p: Value, windows: int) -> None:
        """A row of windows that may share places, a part after the other: find the largest, add."""
        op, f, w, out = self.op, self.f, self.w, self.e.output
        largest = f.alloca("i32", min(windows, ROW))
        view = View(out, out.shape, row_major(out.shape))
        names = [
            (f.const("i32", i * op.dilation[0] * self.width + j * op.dilation[1]),)
            for i in range(op.kernel[0])
            for j in range(op.kernel[1])
        ]
        corner = (p * op.stride[0] - op.padding[0][0]) * self.width - op.padding[1][0]
        for low in range(0, windows, ROW):
            high = min(low + ROW, windows)
            with f.loop(f.const("i64", low), f.const("i64", high)) as q:
                (found,) = self._largest(self.e.inputs[1], self._places(p, q.index), names)
                f.store(found, f.address(largest, "i32", q.index - low))
            w.memo.clear()  # what this loop has read is not known after it
            with f.loop(f.const("i64", low), f.const("i64", high)) as q:
                place = f.load("i32", f.address(largest, "i32", q.index - low)).cast("sext", "i64")
                index = (*self.at, w.zero, corner + q.index * op.stride[1] + place)
                value = w.read(self.e.inputs[0], (*self.at, p, q.index))
                w.store(out, index, w.load(view, index) + value)
            w.memo.clear()

    def _are_apart(self) -> bool:
        """Whether no two windows share a place, and all lie inside."""
        op = self.op
        extent = [(k - 1) * d + 1 for k, d in zip(op.kernel, op.dilation, strict=True)]
        return not any(map(any, op.padding)) and all(
            n == 1 or s >= e for n, s, e in zip(self.pooled[2:], op.stride, extent, strict=True)
        )

    def _cover(self) -> bool:
        """Whether windows that do not share places leave none out."""
        return math.prod(self.pooled[2:]) * math.prod(self.op.kernel) == self.height * self.width

    def _window(self, p: Value, q: Value) -> None:
        op, w, out = self.op, self.w, self.e.output
        here = (*self.at, p, q)
        if isinstance(op, pooling.WindowSpread):
            value = w.read(self.e.inputs[0], here)
            for _, _, h, v, inside in self._places(p, q):
                self._add(out, h, v, value, inside)
            return
        if isinstance(op, pooling.MaxPoolRoute | pooling.MaxPoolPick):
            places = self._places(p, q)
            first = self.e.inputs[0]
            if isinstance(op, pooling.MaxPoolRoute):
                numbers = [(self.f.const("i32", k),) for k in range(len(places))]
                (largest,) = self._largest(self.e.inputs[1], places, numbers)
                value = w.read(first, here)
                for (number,), (_, _, h, v, _) in zip(numbers, places, strict=True):
                    share = largest.compare("eq", number).select(value, 0)
                    w.store(out, (*self.at, h, v), share)
                return
            h, v = self._largest(self.e.inputs[1], places, [(h, v) for _, _, h, v, _ in places])
            w.store(out, here, w.read(first, (*self.at, h, v)))
            return
        x = self.e.inputs[0]
        is_max = isinstance(op, pooling.MaxPool)
        nothing = identity(self.f, reductions.Max if is_max else reductions.Sum, out.dtype)
        result: Value | None = None
        for _, _, h, v, inside in self._places(p, q):
            value = self._element(x, h, v)
            if inside is not None:
                value = inside.select(value, nothing)
            if result is None:
                result = value
            else:
                result = larger(result, value, "ge", x.dtype) if is_max else result + value
        w.store(out, here, result if result is not None else nothing)

    def _places(self, p: Value, q: Value) -> list[Place]:
        """(i, j, h, w, inside) for each place of a window; h and w are 0 where it is outside."""
        op = self.op
        (top, bottom), (left, right) = op.padding
        result = []
        for i in range(op.kernel[0]):
            for j in range(op.kernel[1]):
                h = p * op.stride[0] + (i * op.dilation[0] - top)
                v = q * op.stride[1] + (j * op.dilation[1] - left)
                inside: Value | None = None
                if top or bottom:
                    inside = h.compare("lt", self.height, signed=False)
                if left or right:
                    within = v.compare("lt", self.width, signed=False)
                    inside = within if inside is None else inside & within
                if inside is not None:
                    h, v = inside.select(h, self.w.zero), inside.select(v, self.w.zero)
                result.append((i, j, h, v, inside))
        return result

    def _element(self, x: Variable, h: Value, v: Value) -> Value:
        return self.w.read(x, (*self.at, h, v))

    def _largest(
        self, x: Variable, places: list[Place], names: Sequence[tuple[Value, ...]]
    ) -> tuple[Value, ...]:
        """The name of the place of the first largest element of a window; NaN wins."""
        best: Value | None = None
        winner, found = names[0], self.f.const("i1", 1)
        for (_, _, h, v, inside), name in zip(places, names, strict=True):
            value = self._element(x, h, v)
            if best is None:
                best = value
                found = inside if inside is not None else found
                continue
            wins = value.compare("gt", best, is_signed(x.dtype))
            if value.is_float:
                wins = wins | (value.compare("ne", value) & best.compare("eq", best))
            wins = wins | (found ^ 1)
            if inside is not None:
                wins = wins & inside
                found = found | inside
            best = wins.select(value, best)
            winner = tuple(wins.select(a, b) for a, b in zip(name, winner, strict=True))
        return winner

    def _add(self, out: Variable, h: Value, v: Value, value: Value, inside: Value | None) -> None:
        w = self.w
        view = View(out, out.shape, row_major(out.shape))
        index = (*self.at, h, v)
        if inside is not None:
            value = inside.select(value, self.f.const(self.type, 0))
        w.store(out, index, w.load(view, index) + value)
