"""Loops over the windows of images: pooling and its adjoints.

One work unit is one channel of one image. Inside it all windows are visited in row-major order, so
what several windows add to one place is added in a fixed order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..ops import pooling
from .builder import Value
from .graph import Equation, Variable
from .lower import View
from .scalar_ops import TYPES, is_signed, larger

if TYPE_CHECKING:
    from .loops import KernelWriter


class Windows:
    """Writes the loops of one pooling equation."""

    def __init__(self, writer: KernelWriter, e: Equation):
        self.w = writer
        self.f = writer.f
        self.e = e
        self.op: Any = e.op
        self.type = TYPES[e.output.dtype.name]

    def write(self) -> None:
        """The whole kernel."""
        op, f, w = self.op, self.f, self.w
        out = self.e.output
        spreads = isinstance(op, pooling.MaxPoolRoute | pooling.WindowSpread)
        image = out.shape if spreads else self.e.inputs[-1].shape
        pooled = self.e.inputs[0].shape if spreads else out.shape
        self.height: int = image[2]
        self.width: int = image[3]
        if math.prod(image[:2]) == 0:
            return
        w.units = math.prod(image[:2])
        channels = f.const("i64", image[1])
        with f.loop(f.argument("begin"), f.argument("end")) as unit:
            n = unit.index / channels
            self.at = (n, unit.index - n * channels)
            if spreads:
                with (
                    f.loop(w.zero, f.const("i64", self.height)) as h,
                    f.loop(w.zero, f.const("i64", self.width)) as v,
                ):
                    zero = f.const(self.type, 0)
                    w.store(out, (*self.at, h.index, v.index), zero)
            with (
                f.loop(w.zero, f.const("i64", pooled[2])) as p,
                f.loop(w.zero, f.const("i64", pooled[3])) as q,
            ):
                self._window(p.index, q.index)

    def _window(self, p: Value, q: Value) -> None:
        op, w, out = self.op, self.w, self.e.output
        here = (*self.at, p, q)
        if isinstance(op, pooling.WindowSpread):
            value = w.read(self.e.inputs[0], here)
            for _, _, h, v, inside in self._places(p, q):
                self._add(out, h, v, value, inside)
            return
        if isinstance(op, pooling.MaxPoolRoute | pooling.MaxPoolPick):
            h, v = self._largest(self.e.inputs[1], p, q)
            first = self.e.inputs[0]
            if isinstance(op, pooling.MaxPoolRoute):
                self._add(out, h, v, w.read(first, here), None)
            else:
                w.store(out, here, w.read(first, (*self.at, h, v)))
            return
        x = self.e.inputs[0]
        is_max = isinstance(op, pooling.MaxPool)
        nothing = w.identity("max" if is_max else "sum", out)
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

    def _places(self, p: Value, q: Value) -> list[tuple[int, int, Value, Value, Value | None]]:
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

    def _largest(self, x: Variable, p: Value, q: Value) -> tuple[Value, Value]:
        """The place of the first largest element of a window; NaN wins."""
        best: Value | None = None
        row = column = found = self.w.zero
        for _, _, h, v, inside in self._places(p, q):
            value = self._element(x, h, v)
            if best is None:
                best, row, column = value, h, v
                found = inside if inside is not None else self.f.const("i1", 1)
                continue
            wins = value.compare("gt", best, is_signed(x.dtype))
            if value.is_float:
                wins = wins | (value.compare("ne", value) & best.compare("eq", best))
            wins = wins | (found ^ 1)
            if inside is not None:
                wins = wins & inside
                found = found | inside
            best = wins.select(value, best)
            row, column = wins.select(h, row), wins.select(v, column)
        return row, column

    def _add(self, out: Variable, h: Value, v: Value, value: Value, inside: Value | None) -> None:
        w = self.w
        view = View(out, out.shape, w.strides(out))
        index = (*self.at, h, v)
        if inside is not None:
            value = inside.select(value, self.f.const(self.type, 0))
        w.store(out, index, w.load(view, index) + value)
