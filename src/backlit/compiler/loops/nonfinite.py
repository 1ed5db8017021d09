"""Convolutions with padding, and their gradients, repaired where something is infinite or NaN.

Beyond the edge of an image there are no terms. A contraction may read zeros there and multiply:
that adds nothing, unless the other factor is infinite or NaN, for 0 · ∞ is NaN. What such a factor
spoils, it spoils in every image (a weight) or for every input channel (an upstream gradient). So
after the contraction two functions run:

    has_nan    looks at one image, or at one input channel: that costs next to nothing
    repair     if it found a NaN: each NaN near an edge is summed again, of the terms that exist;
               so are those between the places that a strided upstream gradient reaches

They are written with sizes as arguments, so that a module has them once for all shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...dtypes import LOW_PRECISION, DType, float32
from ...ops import convolution as ops
from ..capture.graph import Equation
from ..contraction.pad import simplified
from ..llvm.builder import Function, Value
from ..llvm.scalar import TYPES, convert, memory_type
from ..lower.products import convolution, geometry
from .writer import KernelWriter

#: The arguments of `repair`: images n of c channels and h × w; output channels o and p × q; the
#: kernel's i × j; then where they meet.
SIZES = "n c h w o p q i j stride_h stride_w dilation_h dilation_w top left groups".split()


def reads_padding(e: Equation) -> bool:
    """Whether the equation's contraction reads zeros beyond an edge."""
    return isinstance(e.op, ops.Product) and bool(simplified(convolution(e)).a.windows)


def write_nonfinite(writer: KernelWriter, e: Equation) -> None:
    """The kernel: it looks for NaN, and repairs if there is one."""
    f, out, op = writer.f, e.output, e.op
    if out.size == 0:
        return
    sizes = geometry(e)
    (height, width), (p, q) = sizes.sizes, sizes.out
    numbers = [
        sizes.batch, sizes.inputs, height, width, sizes.outputs, p, q, *sizes.kernel,
        *sizes.stride, *sizes.dilation, *sizes.padding, sizes.groups,
    ]  # fmt: skip
    if isinstance(op, ops.ConvolutionWeight):
        count = sizes.kernel[0] * sizes.kernel[1]
        rows, apart = sizes.outputs, count * (sizes.inputs // sizes.groups)
    else:
        rows, count, apart = 1, out.size // out.shape[0], 0
    pointers = []
    for x in (out, *e.inputs):
        view = writer.lowering.view(x)
        assert view is not None
        pointers.append(f.argument(writer.buffers[writer.storage(view.base)]))
    found = f.alloca("i64", 1)
    f.run(_has_nan(out.dtype), [pointers[0], *map(f.index, (rows, count, apart)), found])
    with f.loop(writer.zero, f.load("i64", found)):
        repair = _Repair(op, e.inputs[0].dtype, out.dtype).function()
        f.run(repair, [*pointers, *map(f.index, numbers)])


def _wide(dtype: DType) -> DType:
    """The dtype that sums are made in."""
    return float32 if dtype in LOW_PRECISION else dtype


def _read(f: Function, pointer: str, at: Value, dtype: DType) -> Value:
    type = memory_type(dtype)
    return convert(f.load(type, f.address(f.argument(pointer), type, at)), dtype, _wide(dtype))


def _has_nan(dtype: DType) -> Function:
    """Whether there is a NaN among rows of `count` elements, `apart` from each other: 1 or 0."""
    listed = [("ptr", "x"), ("i64", "rows"), ("i64", "count"), ("i64", "apart"), ("ptr", "found")]
    f = Function(f"has_nan_{dtype.name}", listed, linkage="internal")
    nothing, zero = f.const("i64", 0), f.const(TYPES[_wide(dtype).name], 0)
    with f.loop(nothing, f.argument("rows"), [zero]) as row:
        start = row.index * f.argument("apart")
        with f.loop(nothing, f.argument("count"), [row.carried[0]]) as loop:
            term = _read(f, "x", start + loop.index, dtype) * 0.0
            before = loop.carried[0]
            loop.following.append(before.op("fadd reassoc contract", term))
        row.following.append(loop.results[0])
    (total,) = row.results
    f.store(total.compare("ne", total).cast("zext", "i64"), f.argument("found"))
    f.finish()
    return f


class _Repair:
    """Writes the function that sums each NaN near an edge again; a sum ends where it is NaN."""

    def __init__(self, op: Any, dtype: DType, made: DType):
        self.op, self.dtype, self.made = op, dtype, made
        pointers = [("ptr noalias", name) for name in ("out", "first", "second")]
        name = f"repair_{op.name}_{dtype.name}_{made.name}"
        parameters = [*pointers, *(("i64", name) for name in SIZES)]
        #: It hardly ever runs.
        self.f = Function(name, parameters, "noinline minsize #0", linkage="internal")

    def size(self, name: str) -> Value:
        return self.f.argument(name)

    def function(self) -> Function:
        """The function."""
        f = self.f
        inputs, outputs = (self.size(x) / self.size("groups") for x in "co")
        n, c, h, w, o, p, q, i, j = (self.size(x) for x in "nchwopqij")
        if isinstance(self.op, ops.Convolution):
            self._all([n, o, p, q], [inputs, i, j], self._forward)
        elif isinstance(self.op, ops.ConvolutionWeight):
            self._all([o, inputs, i, j], [n, p, q], self._weight)
        else:
            self._all([n, c, h, w], [outputs, i, j], self._input)
        f.finish()
        return f

    def _all(
        self,
        shape: list[Value],
        terms: list[Value],
        term: Callable[[list[Value], list[Value]], tuple[Value, Value, Value]],
    ) -> None:
        """All elements of `out`; `term(element, number)` gives two places and whether they meet."""
        f, zero = self.f, self.f.const("i64", 0)
        nothing = f.const(TYPES[_wide(self.dtype).name], 0)
        with f.loop(zero, _product(shape)) as element:
            old = _read(f, "out", element.index, self.made)
            at = _digits(element.index, shape)
            holds = old.compare("ne", old) & self._is_at_edge(at)
            with f.loop(zero, holds.cast("zext", "i64")):

                def goes_on(carried: list[Value]) -> Value:
                    return carried[0].compare("eq", carried[0])

                with f.loop(zero, _product(terms), [nothing], go_on=goes_on) as sum_:
                    a, b, meet = term(at, _digits(sum_.index, terms))
                    x = _read(f, "first", meet.select(a, zero), self.dtype)
                    y = _read(f, "second", meet.select(b, zero), self.dtype)
                    before = sum_.carried[0]
                    sum_.following.append(meet.select(before + x * y, before))
                type = memory_type(self.made)
                place = f.address(f.argument("out"), type, element.index)
                f.store(convert(sum_.results[0], _wide(self.dtype), self.made), place)

    def _reach(self, axis: int, p: Value, i: Value) -> Value:
        """The place of the image that output p and tap i meet."""
        names = (("stride_h", "dilation_h", "top"), ("stride_w", "dilation_w", "left"))[axis]
        stride, dilation, before = map(self.size, names)
        return p * stride + i * dilation - before

    def _is_at_edge(self, at: list[Value]) -> Value:
        """Whether an element has, or may have, terms beyond an edge or between reached places."""
        found = self.f.const("i1", 0)
        for axis in (0, 1):
            here = at[2 + axis]
            size, count, taps = (
                self.size("hw"[axis]),
                self.size("pq"[axis]),
                self.size("ij"[axis]),
            )
            zero = self.f.const("i64", 0)
            if isinstance(self.op, ops.ConvolutionInput):
                first = here - self._reach(axis, zero, taps - 1)
                last = here - self._reach(axis, count - 1, zero)
                beyond = first.compare("lt", 0) | last.compare("gt", 0)
                beyond = beyond | self.size(("stride_h", "stride_w")[axis]).compare("gt", 1)
            else:
                forward = isinstance(self.op, ops.Convolution)
                ends = (
                    ((here, zero), (here, taps - 1))
                    if forward
                    else ((zero, here), (count - 1, here))
                )
                first, last = (self._reach(axis, p, i) for p, i in ends)
                beyond = first.compare("lt", 0) | (size - 1 - last).compare("lt", 0)
            found = found | beyond
        return found

    def _inside(self, v: Value, w: Value) -> Value:
        height, width = self.size("h"), self.size("w")
        return (
            v.compare("ge", 0)
            & v.compare("lt", height)
            & w.compare("ge", 0)
            & w.compare("lt", width)
        )

    def _image(self, n: Value, c: Value, h: Value, w: Value) -> Value:
        return ((n * self.size("c") + c) * self.size("h") + h) * self.size("w") + w

    def _place(self, n: Value, o: Value, p: Value, q: Value) -> Value:
        return ((n * self.size("o") + o) * self.size("p") + p) * self.size("q") + q

    def _kernel(self, o: Value, c: Value, i: Value, j: Value) -> Value:
        inputs = self.size("c") / self.size("groups")
        return ((o * inputs + c) * self.size("i") + i) * self.size("j") + j

    def _channel(self, o: Value, c: Value) -> Value:
        """The image's channel that is the c-th of those that output channel o reads."""
        group = o / (self.size("o") / self.size("groups"))
        return group * (self.size("c") / self.size("groups")) + c

    def _forward(self, at: list[Value], number: list[Value]) -> tuple[Value, Value, Value]:
        (n, o, p, q), (c, i, j) = at, number
        h, w = self._reach(0, p, i), self._reach(1, q, j)
        return (
            self._image(n, self._channel(o, c), h, w),
            self._kernel(o, c, i, j),
            self._inside(h, w),
        )

    def _weight(self, at: list[Value], number: list[Value]) -> tuple[Value, Value, Value]:
        (o, c, i, j), (n, p, q) = at, number
        h, w = self._reach(0, p, i), self._reach(1, q, j)
        return (
            self._place(n, o, p, q),
            self._image(n, self._channel(o, c), h, w),
            self._inside(h, w),
        )

    def _input(self, at: list[Value], number: list[Value]) -> tuple[Value, Value, Value]:
        (n, channel, h, w), (o, i, j) = at, number
        inputs = self.size("c") / self.size("groups")
        group = channel / inputs
        output = group * (self.size("o") / self.size("groups")) + o
        meet = self.f.const("i1", 1)
        found = []
        for axis, (here, tap) in enumerate(((h, i), (w, j))):
            stride = self.size(("stride_h", "stride_w")[axis])
            moved = here - self._reach(axis, self.f.const("i64", 0), tap)
            place = moved / stride
            meet = meet & moved.compare("ge", 0) & place.compare("lt", self.size("pq"[axis]))
            meet = meet & (place * stride).compare("eq", moved)
            found.append(place)
        return (
            self._place(n, output, *found),
            self._kernel(output, channel - group * inputs, i, j),
            meet,
        )


def _product(sizes: list[Value]) -> Value:
    total = sizes[0]
    for size in sizes[1:]:
        total = total * size
    return total


def _digits(number: Value, sizes: list[Value]) -> list[Value]:
    """The index of that number in an array of these sizes, in row-major order."""
    found: list[Value] = []
    for size in reversed(sizes[1:]):
        rest = number / size
        found.append(number - rest * size)
        number = rest
    return [number, *reversed(found)]
