"""Input gradients of padded convolutions, made exact where weights are infinite or NaN.

The contraction reads zeros beyond the edge of the upstream gradient and multiplies weights with
them. That adds nothing, unless the weight is infinite or NaN: 0 · ∞ is NaN, where there is no term.
What such a weight spoils, it spoils in every image: if the first image has no NaN, there is nothing
to do, and so the check costs next to nothing. Otherwise each NaN near an edge is summed anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..dtypes import LOW_PRECISION, float32
from ..ops import convolution
from .builder import Value
from .contraction.pad import simplified
from .graph import Equation
from .lower import View, row_major
from .products import convolution as geometry
from .scalar_ops import TYPES, convert

if TYPE_CHECKING:
    from .loops import KernelWriter


def may_spoil(e: Equation) -> bool:
    """Whether the equation's contractions read beyond the edge."""
    if not isinstance(e.op, convolution.ConvolutionInput):
        return False
    return bool(simplified(geometry(e).input_gradient()).a.windows)


class Exact:
    """Writes the check, and the sums anew."""

    def __init__(self, writer: KernelWriter, e: Equation):
        self.w = writer
        self.f = writer.f
        self.op: Any = e.op
        self.y, self.weight = e.inputs
        self.out = e.output
        self.view = View(self.out, self.out.shape, row_major(self.out.shape))
        self.dtype = float32 if self.out.dtype in LOW_PRECISION else self.out.dtype
        self.zero = self.f.const(TYPES[self.dtype.name], 0)

    def write(self) -> None:
        """The whole kernel."""
        f, shape = self.f, self.out.shape
        if self.out.size == 0:
            return
        f.attributes.append("minsize")  # it hardly ever has anything to do
        with f.loop(self.w.zero, f.const("i64", self.out.size // shape[0]), [self.zero]) as loop:
            x = self._read(self.view, (*[self.w.zero] * 3, loop.index))
            loop.following.append(self._sum(loop.carried[0], x * 0.0))
        (sum_,) = loop.results
        images = sum_.compare("ne", sum_).select(f.const("i64", shape[0]), 0)
        with (
            f.loop(self.w.zero, images) as n,
            self._each(shape[1]) as c,
            self._each(shape[2]) as h,
            self._each(shape[3]) as v,
        ):
            index = (n.index, c.index, h.index, v.index)
            old = self._read(self.view, index)
            at_edge = self._is_at_edge(h.index, 0) | self._is_at_edge(v.index, 1)
            with self._where(old.compare("ne", old) & at_edge):
                self.w.store(self.out, index, self._rounded(self._anew(index)))

    def _each(self, count: int) -> Any:
        return self.f.loop(self.w.zero, self.f.const("i64", count))

    def _where(self, holds: Value) -> Any:
        return self.f.loop(self.w.zero, holds.cast("zext", "i64"))

    def _sum(self, a: Value, b: Value) -> Value:
        return self.f.emit(f"fadd reassoc contract {a.type} {a.text}, {b.text}", a.type)

    def _read(self, view: View, index: tuple[Value, ...]) -> Value:
        return convert(self.w.load(view, index), view.base.dtype, self.dtype)

    def _rounded(self, x: Value) -> Value:
        return convert(x, self.dtype, self.out.dtype)

    def _anew(self, index: tuple[Value, ...]) -> Value:
        """The element as a sum over outputs and taps; it ends where it is NaN."""
        f, op = self.f, self.op
        n, c, h, v = index
        outputs = self.y.shape[1] // op.groups
        inputs, height, width = self.weight.shape[1:]
        group = c / inputs
        sum_ = self.zero
        with f.loop(self.w.zero, f.const("i64", outputs), [sum_]) as o:
            (start,) = o.carried
            left = start.compare("eq", start).select(f.const("i64", height * width), 0)
            with f.loop(self.w.zero, left, [start]) as tap:
                i = tap.index / width
                j = tap.index - i * width
                p, in_rows = self._place(h, i, 0)
                q, in_columns = self._place(v, j, 1)
                inside = in_rows & in_columns
                channel = group * outputs + o.index
                at = (n, channel, inside.select(p, 0), inside.select(q, 0))
                y = self._read(self._plain(self.y), at)
                w = self._read(self._plain(self.weight), (channel, c - group * inputs, i, j))
                (before,) = tap.carried
                tap.following.append(inside.select(before + w * y, before))
            o.following.append(tap.results[0])
        return o.results[0]

    def _plain(self, x: Any) -> View:
        view = self.w.lowering.view(x)
        assert view is not None
        return View(view.base, x.shape, row_major(x.shape))

    def _is_at_edge(self, at: Value, axis: int) -> Value:
        """Whether some tap may meet this place of an axis of the image from beyond y's edge."""
        op = self.op
        last = at + op.padding[axis][0]
        first = last - (self.weight.shape[2 + axis] - 1) * op.dilation[axis]
        end = (self.y.shape[2 + axis] - 1) * op.stride[axis]
        return first.compare("lt", 0) | last.compare("gt", end)

    def _place(self, at: Value, tap: Value, axis: int) -> tuple[Value, Value]:
        """Where along an axis y meets a place of the image by a tap, and whether it does."""
        op = self.op
        stride, count = op.stride[axis], self.y.shape[2 + axis]
        moved = at + op.padding[axis][0] - tap * op.dilation[axis]
        place = moved / stride
        meets = moved.compare("ge", 0) & place.compare("lt", count)
        return place, meets & (place * stride).compare("eq", moved)
