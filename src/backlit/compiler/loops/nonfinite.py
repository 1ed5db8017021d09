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

import math
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

#: The arguments of `repair`: images n of c channels, o output channels and the groups; and for each
#: axis of places the image's size, the output's, the kernel's, and where they meet.
SIZES = ("n", "c", "o", "groups")
OF_AXIS = ("size", "out", "taps", "stride", "dilation", "before")


def reads_padding(e: Equation) -> bool:
    """Whether the equation's contraction reads zeros beyond an edge."""
    return isinstance(e.op, ops.Product) and bool(simplified(convolution(e)).a.windows)


def write_nonfinite(writer: KernelWriter, e: Equation) -> None:
    """The kernel: it looks for NaN, and repairs if there is one."""
    f, out, op = writer.f, e.output, e.op
    if out.size == 0:
        return
    sizes = geometry(e)
    numbers = [sizes.batch, sizes.inputs, sizes.outputs, sizes.groups]
    for of_axis in zip(
        sizes.sizes, sizes.out, sizes.kernel, sizes.stride, sizes.dilation, sizes.padding,
        strict=True,
    ):  # fmt: skip
        numbers += of_axis
    if isinstance(op, ops.ConvolutionWeight):
        count = math.prod(sizes.kernel)
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
        repair = _Repair(op, e.inputs[0].dtype, out.dtype, len(sizes.sizes)).function()
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

    def __init__(self, op: Any, dtype: DType, made: DType, axes: int):
        self.op, self.dtype, self.made = op, dtype, made
        self.axes = range(axes)
        pointers = [("ptr noalias", name) for name in ("out", "first", "second")]
        name = f"repair_{op.name}_{axes}_{dtype.name}_{made.name}"
        of_axes = [f"{what}_{axis}" for axis in self.axes for what in OF_AXIS]
        parameters = [*pointers, *(("i64", name) for name in (*SIZES, *of_axes))]
        #: It hardly ever runs.
        self.f = Function(name, parameters, "noinline minsize #0", linkage="internal")

    def size(self, name: str) -> Value:
        return self.f.argument(name)

    def sizes(self, what: str) -> list[Value]:
        """One of `OF_AXIS` for each axis."""
        return [self.size(f"{what}_{axis}") for axis in self.axes]

    def function(self) -> Function:
        """The function."""
        f = self.f
        inputs, outputs = (self.size(x) / self.size("groups") for x in "co")
        n, c, o = (self.size(x) for x in "nco")
        image, out, taps = (self.sizes(what) for what in ("size", "out", "taps"))
        if isinstance(self.op, ops.Convolution):
            self._all([n, o, *out], [inputs, *taps], self._forward)
        elif isinstance(self.op, ops.ConvolutionWeight):
            self._all([o, inputs, *taps], [n, *out], self._weight)
        else:
            self._all([n, c, *image], [outputs, *taps], self._input)
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
        of_axis = (self.size(f"{what}_{axis}") for what in ("stride", "dilation", "before"))
        stride, dilation, before = of_axis
        return p * stride + i * dilation - before

    def _is_at_edge(self, at: list[Value]) -> Value:
        """Whether an element has, or may have, terms beyond an edge or between reached places."""
        found = self.f.const("i1", 0)
        zero = self.f.const("i64", 0)
        for axis, here in enumerate(at[2:]):
            of_axis = (self.size(f"{what}_{axis}") for what in ("size", "out", "taps", "stride"))
            size, count, taps, stride = of_axis
            if isinstance(self.op, ops.ConvolutionInput):
                first = here - self._reach(axis, zero, taps - 1)
                last = here - self._reach(axis, count - 1, zero)
                beyond = first.compare("lt", 0) | last.compare("gt", 0)
                beyond = beyond | stride.compare("gt", 1)
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

    def _meeting(self, p: list[Value], i: list[Value]) -> tuple[list[Value], Value]:
        """The places of the image that outputs and taps meet, and whether they are in it."""
        places = [self._reach(axis, *pair) for axis, pair in enumerate(zip(p, i, strict=True))]
        inside = self.f.const("i1", 1)
        for place, size in zip(places, self.sizes("size"), strict=True):
            inside = inside & place.compare("ge", 0) & place.compare("lt", size)
        return places, inside

    def _image(self, n: Value, c: Value, places: list[Value]) -> Value:
        return _number([n, c, *places], [self.size("c"), *self.sizes("size")])

    def _place(self, n: Value, o: Value, places: list[Value]) -> Value:
        return _number([n, o, *places], [self.size("o"), *self.sizes("out")])

    def _kernel(self, o: Value, c: Value, taps: list[Value]) -> Value:
        inputs = self.size("c") / self.size("groups")
        return _number([o, c, *taps], [inputs, *self.sizes("taps")])

    def _channel(self, o: Value, c: Value) -> Value:
        """The image's channel that is the c-th of those that output channel o reads."""
        group = o / (self.size("o") / self.size("groups"))
        return group * (self.size("c") / self.size("groups")) + c

    def _forward(self, at: list[Value], number: list[Value]) -> tuple[Value, Value, Value]:
        (n, o, *p), (c, *i) = at, number
        places, inside = self._meeting(p, i)
        return self._image(n, self._channel(o, c), places), self._kernel(o, c, i), inside

    def _weight(self, at: list[Value], number: list[Value]) -> tuple[Value, Value, Value]:
        (o, c, *i), (n, *p) = at, number
        places, inside = self._meeting(p, i)
        return self._place(n, o, p), self._image(n, self._channel(o, c), places), inside

    def _input(self, at: list[Value], number: list[Value]) -> tuple[Value, Value, Value]:
        (n, channel, *here), (o, *i) = at, number
        inputs = self.size("c") / self.size("groups")
        group = channel / inputs
        output = group * (self.size("o") / self.size("groups")) + o
        meet = self.f.const("i1", 1)
        found = []
        for axis, (place, tap) in enumerate(zip(here, i, strict=True)):
            stride = self.size(f"stride_{axis}")
            moved = place - self._reach(axis, self.f.const("i64", 0), tap)
            of = moved / stride
            meet = meet & moved.compare("ge", 0) & of.compare("lt", self.size(f"out_{axis}"))
            meet = meet & (of * stride).compare("eq", moved)
            found.append(of)
        return (
            self._place(n, output, found),
            self._kernel(output, channel - group * inputs, i),
            meet,
        )


def _number(index: list[Value], sizes: list[Value]) -> Value:
    """The number of an element in row-major order; the first axis needs no size."""
    number = index[0]
    for at, size in zip(index[1:], sizes, strict=True):
        number = number * size + at
    return number


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
