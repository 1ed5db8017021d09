"""What native code does not know, said in what it knows: the graph before the passes.

- 16-bit floats are storage. An op of them becomes the op of float32, between conversions that are
  done where elements are loaded and stored; so each result is rounded as eager execution rounds it,
  and sums and products accumulate in float32. Ops that only move elements move 16 bits, also where
  what they move was widened before, and large products read (and where they are the whole op,
  write) 16 bits as they are.
- A convolution with unequal padding at the two ends of an axis gets the difference as zeros in its
  image, and its gradient for the image is cut.
- Numbers in the place of arrays are arrays, but for element-wise ops.
- Elements are put in order along the last axis only.
- What replaces a slice is chosen element by element; what replaces elements at index arrays has the
  shape that they select.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import halves
from ...dtypes import LOW_PRECISION, DType, bfloat16, bool_, float16, float32
from ...op import Elementwise, Op, Shape
from ...ops import contraction, convolution, creation, elementwise, indexing, movement, reductions
from ..capture.body import Scan
from ..capture.graph import Equation, Graph, Variable
from ..llvm.scalar import has_half
from .kinds import has_contraction_kernel
from .passes import SetItemsTo

#: Ops that move the elements of their first input, and do nothing else.
MOVES = (
    movement.Reshape,
    movement.PermuteDims,
    movement.BroadcastTo,
    movement.Slice,
    movement.Place,
    movement.Flip,
    indexing.Take,
    indexing.TakeAlongAxis,
    indexing.Gather,
)
#: Ops in which a number has the dtype of the result.
_TYPED = (movement.SetSlice, indexing.SetItems)


class _Unrounded:
    """A product of 16-bit floats whose sums stay float32, for the rest of the op that it is in."""

    def infer(self, *inputs: Any) -> tuple[Shape, DType]:
        """As for the product, in float32."""
        shape, _ = super().infer(*inputs)  # type: ignore[misc]
        return shape, float32


class WideMatmul(_Unrounded, contraction.Matmul):
    """A matrix product."""


class WideConvolution(_Unrounded, convolution.Convolution):
    """A convolution."""


class WideConvolutionInput(_Unrounded, convolution.ConvolutionInput):
    """Its gradient for the image."""


class WideConvolutionWeight(_Unrounded, convolution.ConvolutionWeight):
    """Its gradient for the kernel."""


_WIDE: dict[type[Op], type[Op]] = {
    contraction.Matmul: WideMatmul,
    convolution.Convolution: WideConvolution,
    convolution.ConvolutionInput: WideConvolutionInput,
    convolution.ConvolutionWeight: WideConvolutionWeight,
}


def legalize(graph: Graph) -> Graph:
    """The same function in ops and dtypes that loops and contractions are written for."""
    writer = _Writer(graph)
    for e in graph.equations:
        writer.write(e)
    return Graph(graph.inputs, writer.equations, graph.outputs, graph.constants)


class _Writer:
    """Writes equations anew, in order."""

    def __init__(self, graph: Graph) -> None:
        self.equations: list[Equation] = []
        self.wide: dict[Variable, Variable] = {}  # 16-bit floats as float32
        self.narrow: dict[Variable, Variable] = {}  # float32 as the 16-bit floats that they are
        self.readers: dict[Variable, list[Equation]] = {v: [] for v in graph.outputs}
        for e in graph.equations:
            for x in e.inputs:
                if isinstance(x, Variable):
                    self.readers.setdefault(x, []).append(e)
        self.outputs = set(graph.outputs)
        self.written: set[Variable] = set()  # results that an equation before theirs has made

    def write(self, e: Equation) -> None:
        """One equation, by as many as it takes."""
        if not isinstance(e.op, Elementwise) and not all(isinstance(x, Variable) for x in e.inputs):
            like = e.output.dtype if isinstance(e.op, _TYPED) else None
            arrays = tuple(
                [x if isinstance(x, Variable) else self._full(x, e, like) for x in e.inputs]
            )
            e = Equation(e.op, arrays, e.output, e.site, e.backward)
        if isinstance(e.op, Scan):
            self.equations.append(e)  # its body is made legal when it is compiled
            return
        if e.output in self.written or self._converts(e) or self._moves(e) or self._multiplies(e):
            return
        dtypes = {x.dtype for x in (*e.inputs, e.output) if isinstance(x, Variable)}
        compares = e.output.dtype == bool_
        if (e.op.exact and not compares) or dtypes.isdisjoint(LOW_PRECISION) or _reads_halves(e):
            self._fit(e)
            return
        inputs = [_rounded(x, dtypes) if compares else x for x in e.inputs]
        wide = tuple([self._widened(x, e) if isinstance(x, Variable) else x for x in inputs])
        shape, dtype = e.op.infer(*wide)
        if dtype == e.output.dtype:
            self._fit(Equation(e.op, wide, e.output, e.site, e.backward))
            return
        result = Variable(shape, dtype)
        self._fit(Equation(e.op, wide, result, e.site, e.backward))
        self._emit(elementwise.Astype(dtype=e.output.dtype), (result,), e, e.output)

    def _emit(
        self, op: Op, inputs: tuple[Any, ...], like: Equation, output: Variable | None = None
    ) -> Variable:
        """An equation that stands where `like` stood."""
        output = output or Variable(*op.infer(*inputs))
        self.equations.append(Equation(op, inputs, output, like.site, like.backward))
        return output

    def _full(self, number: Any, user: Equation, dtype: DType | None = None) -> Variable:
        """A number where an array is expected."""
        value = np.asarray(number, dtype)
        return self._emit(creation.Full(shape=(), value=value.item(), dtype=value.dtype), (), user)

    def _widened(self, x: Variable, user: Equation) -> Variable:
        if x.dtype not in LOW_PRECISION:
            return x
        if x not in self.wide:
            self._keep_wide(self._emit(elementwise.Astype(dtype=float32), (x,), user), x)
        return self.wide[x]

    def _keep_wide(self, wide: Variable, x: Variable) -> None:
        self.wide.setdefault(x, wide)
        self.narrow[wide] = x

    def _converts(self, e: Equation) -> bool:
        """16-bit floats widened, or narrowed to what they were: the equation is written here."""
        x = e.inputs[0] if e.inputs else None
        if not isinstance(e.op, elementwise.Astype) or not isinstance(x, Variable):
            return False
        if e.op.dtype == float32 and x.dtype in LOW_PRECISION:
            self.equations.append(e)
            self._keep_wide(e.output, x)
            return True
        before = self.narrow.get(x)
        if before is None or before.dtype != e.op.dtype:
            return False
        self.equations.append(Equation(e.op, (before,), e.output, e.site, e.backward))
        return True

    def _moves(self, e: Equation) -> bool:
        """Widened elements that are moved: move 16 bits, and widen then."""
        x = e.inputs[0] if e.inputs else None
        before = self.narrow.get(x) if isinstance(x, Variable) else None
        if before is None or not isinstance(e.op, MOVES):
            return False
        moved = self._emit(e.op, (before, *e.inputs[1:]), e)
        self._emit(elementwise.Astype(dtype=float32), (moved,), e, e.output)
        self._keep_wide(e.output, moved)
        return True

    def _multiplies(self, e: Equation) -> bool:
        """A product of widened elements: read 16 bits, and write them if nobody reads the sums."""
        if not has_contraction_kernel(e):
            return False
        inputs = tuple([self.narrow[x] for x in e.inputs if x in self.narrow])
        if len(inputs) < 2 or not _has_kernel({x.dtype for x in inputs}):
            return False
        readers = self.readers.get(e.output, [])
        if len(readers) == 1 and e.output not in self.outputs:
            (reader,) = readers
            if isinstance(reader.op, elementwise.Astype) and reader.op.dtype == inputs[0].dtype:
                self.written.add(reader.output)
                self._fit(Equation(e.op, inputs, reader.output, e.site, e.backward))
                return True
        attributes = {name: getattr(e.op, name) for name in e.op.attributes}
        wide = _WIDE[type(e.op)](**attributes)
        self._fit(Equation(wide, inputs, e.output, e.site, e.backward))
        return True

    def _fit(self, e: Equation) -> None:
        op: Any = e.op
        if isinstance(op, convolution.Product) and any(a != b for a, b in op.padding):
            self._pad(e)
        elif isinstance(op, reductions.Argsort) and op.axis != len(e.output.shape) - 1:
            self._turn(e)
        elif isinstance(op, movement.SetSlice):
            self._choose(e)
        elif isinstance(op, indexing.SetItems):
            x, value, *indices = e.inputs
            value = self._spread(value, indexing.gathered_shape(op.pattern, tuple(indices)), e)
            self._emit(SetItemsTo(pattern=op.pattern), (value, *indices, x), e, e.output)
        else:
            self.equations.append(e)

    def _choose(self, e: Equation) -> None:
        op: Any = e.op
        x, value = e.inputs
        shape = movement.sliced_shape(op.index)
        place = movement.Place(index=op.index, shape=x.shape)
        truth = creation.Full(shape=shape, value=True, dtype=bool_)
        inside = self._emit(place, (self._emit(truth, (), e),), e)
        new = self._emit(place, (self._spread(value, shape, e),), e)
        self._emit(elementwise.Where(), (inside, new, x), e, e.output)

    def _spread(self, x: Variable, shape: Shape, user: Equation) -> Variable:
        if x.shape == shape:
            return x
        return self._emit(movement.BroadcastTo(shape=shape), (x,), user)

    def _turn(self, e: Equation) -> None:
        op: Any = e.op
        axes = list(range(len(e.output.shape)))
        axes[op.axis], axes[-1] = axes[-1], axes[op.axis]
        swap = movement.PermuteDims(axes=tuple(axes))
        turned = self._emit(swap, e.inputs, e)
        last = reductions.Argsort(axis=len(axes) - 1, descending=op.descending)
        self._emit(swap, (self._emit(last, (turned,), e),), e, e.output)

    def _pad(self, e: Equation) -> None:
        op: Any = e.op
        both = [min(pair) for pair in op.padding]
        before = [a - n for (a, _), n in zip(op.padding, both, strict=True)]
        extra = [abs(a - b) for a, b in op.padding]
        attributes = {name: getattr(op, name) for name in op.attributes}
        attributes["padding"] = tuple((n, n) for n in both)
        if isinstance(op, convolution.ConvolutionInput):
            attributes["size"] = tuple(n + m for n, m in zip(op.size, extra, strict=True))
            whole = self._emit(type(op)(**attributes), e.inputs, e)
            cut = movement.Slice(index=_inside(e.output.shape, before))
            self._emit(cut, (whole,), e, e.output)
            return
        inputs = list(e.inputs)
        position = 0 if isinstance(op, convolution.Convolution) else 1
        image = inputs[position]
        n, c, *sizes = image.shape
        shape = (n, c, *(a + b for a, b in zip(sizes, extra, strict=True)))
        place = movement.Place(index=_inside(image.shape, before), shape=shape)
        inputs[position] = self._emit(place, (image,), e)
        self._emit(type(op)(**attributes), tuple(inputs), e, e.output)


def _reads_halves(e: Equation) -> bool:
    """Whether the equation is a product whose kernel takes 16-bit floats as they are."""
    if not has_contraction_kernel(e):
        return False
    return _has_kernel({x.dtype for x in (*e.inputs, e.output)})


def _has_kernel(dtypes: set[DType]) -> bool:
    """Whether products of these types are written for this processor."""
    return dtypes == {bfloat16} or (dtypes == {float16} and has_half())


def _inside(shape: Shape, before: list[int]) -> tuple[tuple[int, int, int], ...]:
    """The index of an image of that shape in one with more places `before` it."""
    n, c, *sizes = shape
    places = ((start, size, 1) for start, size in zip(before, sizes, strict=True))
    return ((0, n, 1), (0, c, 1), *places)


def _rounded(number: Any, dtypes: set[DType]) -> Any:
    """A number as the 16-bit float that it is compared as."""
    if isinstance(number, Variable | bool):
        return number
    (dtype,) = [d for d in dtypes if d in LOW_PRECISION][:1]
    return float(halves.element(number, dtype))
