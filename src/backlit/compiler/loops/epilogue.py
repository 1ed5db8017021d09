"""Epilogues: what a loop does with the elements of a contraction, done as each sum is finished.

A map over the elements of a matrix product or convolution - bias, activation, residual, the update
of a parameter - becomes part of the contraction's kernel, so that the sums need not go through
memory. The map is written as scalar code, as any other; LLVM makes vectors of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from llvmlite import ir

from ...dtypes import bool_
from .. import contraction
from ..capture.graph import Equation, Variable
from ..contraction import Contraction, Operand, choose, emit
from ..contraction.spec import merge
from ..llvm.builder import Function, Value
from ..llvm.scalar import memory_type
from ..lower.kinds import CONTRACTION, MAP, Fused, Kernel
from ..lower.lower import Lowering
from ..lower.products import specifications, target
from ..lower.reading import Access, Fixed, Mixed
from ..lower.views import View, row_major
from .elements import ElementWriter
from .nonfinite import may_spoil

#: Arrays that one kernel reads and writes beside the product's own.
MOST_ARRAYS = 16
#: A map of more instructions is bound by its arithmetic: it gains nothing here, ...
SHORT = 16
#: ... unless its arrays, with this many bytes together, come from memory.
LARGE = 16 * 2**20


def fuse(lowering: Lowering) -> None:
    """Let contractions do the maps over what they make.

    The contraction moves to where the map was, so that everything the map reads is made before.
    """
    kernels: list[Kernel | None] = list(lowering.kernels)
    products = {k.roots[0].output: n for n, k in enumerate(kernels) if k and k.kind is CONTRACTION}
    readers = Counter(v for k in lowering.kernels for v in k.reads)
    for position, kernel in enumerate(lowering.kernels):
        if kernel.kind is not MAP:
            continue
        for number in sorted((products[v] for v in kernel.reads if v in products), reverse=True):
            product = kernels[number]
            later = [k for k in kernels[number + 1 : position + 1] if k is not None]
            if product is None or not _can_move(lowering, product, later):
                continue
            total = product.roots[0]
            wanted = total.output in lowering.wanted or readers[total.output] > 1
            fused = _fused(lowering, total, wanted, kernel)
            if fused is not None:
                reads = product.reads | kernel.reads - {total.output}
                kernels[position] = Kernel(CONTRACTION, [total, *kernel.roots], reads, fused)
                kernels[number] = None
                break
    lowering.kernels = [kernel for kernel in kernels if kernel is not None]


def _can_move(lowering: Lowering, product: Kernel, later: list[Kernel]) -> bool:
    """Whether a contraction may be as late as the last of these, which reads what it makes."""
    total = product.roots[0].output
    if any(total in k.reads for k in later[:-1]):
        return False
    replaced = {lowering.replaces.get(r.output) for k in later for r in k.roots}
    return replaced.isdisjoint(product.reads)


def _fused(lowering: Lowering, total: Equation, wanted: bool, kernel: Kernel) -> Fused | None:
    """The contraction with the map as its epilogue, if the map reads element by element.

    `wanted` says whether anybody else reads the sums.
    """
    found = specifications(lowering, total)
    if len(found) != 1 or kernel.domain != total.output.shape or not total.output.size:
        return None
    if may_spoil(total):
        return None  # the sums are looked at, and perhaps mended, before anybody reads them
    spec, buffers = found[0]
    kind = total.output.dtype
    if kind != spec.accumulator or spec.accumulate:
        return None
    for reading in map(lowering.reading, kernel.roots):
        if reading.exact or not all(_is_plain(x, total.output, kernel) for x in reading.found):
            return None
    writer = _Writer(lowering, kernel, total.output, target().lanes(kind.itemsize))
    made = [r.output for r in kernel.roots]
    extras = [*writer.varying, *writer.constants]
    if len(made) + len(extras) > MOST_ARRAYS:
        return None
    results = [total.output] * wanted + made
    arrays = [(v, 0) for v in (*buffers[:2], *results)]
    arrays += [(x.view.base, x.start) for x in extras]
    if writer.length > SHORT and sum(v.nbytes for v, _ in arrays) < LARGE:
        return None
    full = replace(
        spec,
        outputs=tuple(replace(spec.outputs[0], dtype=v.dtype) for v in results),
        extras=tuple(_operand(spec, kernel, x) for x in extras),
    )
    chosen, schedule = choose(full, target())
    if schedule.kc < chosen.sizes[3]:
        return None  # sums that are not finished have to be kept anyway
    lanes = "m" if schedule.turn else "n"
    steps = merge(getattr(chosen, lanes), getattr(chosen.outputs[0], lanes))
    if steps and steps[-1][1] != 1:
        return None  # every array would be read and written in single elements
    calls = _Calls(
        writer.name,
        tuple(_IR[kind] for kind in writer.prepared),
        tuple(emit.storage(v.dtype) for v in made),
        wanted,
    )
    epilogue = contraction.Epilogue(calls, calls.emit, calls.prepare)
    return Fused(full, arrays, epilogue, writer.code)


def _is_plain(x: Access, total: Variable, kernel: Kernel) -> bool:
    """Whether a loop over the domain reads x in steps, and the sums each in its own place."""
    if any(isinstance(entry, Mixed) for entry in x.index):
        return False
    if any(step < 0 for step in x.moves(len(kernel.domain))):
        return False
    return x.view.base is not total or x.is_at(kernel.domain)


def _operand(spec: Contraction, kernel: Kernel, x: Access) -> Operand:
    """Where x lies, counted in the indices of the contraction, as its first output is.

    Counted from the first element that is read: maps that differ only there are one.
    """
    out, base = spec.outputs[0], x.view.base
    steps, moves = row_major(kernel.domain), x.moves(len(kernel.domain))

    def moved(stride: int) -> int:
        """How far x moves where the output moves so far along one axis."""
        for n, step, move in zip(kernel.domain, steps, moves, strict=True):
            if n > 1 and step <= stride < n * step:
                return stride // step * move
        return 0

    axes = list(zip(kernel.domain, steps, moves, strict=True))
    size = 1 + sum((n - 1) * move for n, _, move in axes)
    assert x.start + size <= base.size
    return Operand(
        base.dtype,
        size,
        batch=tuple(map(moved, out.batch)),
        m=tuple(map(moved, out.m)),
        n=tuple(map(moved, out.n)),
        offset=sum((out.offset // step % n) * move for n, step, move in axes),
    )


#: LLVM would unroll so short a loop before it thinks of vectors.
_METADATA = '!10 = distinct !{!10, !11}\n!11 = !{!"llvm.loop.unroll.disable"}\n'


class _Split(Function):
    """A function whose instructions on constants are kept apart: `once`, name -> type and text."""

    def __init__(self, name: str, parameters: list[tuple[str, str]]):
        super().__init__(name, parameters)
        self.once: dict[str, tuple[str, str]] = {}
        self.constants: list[str] = []  # parameters that point at one element

    def emit(self, instruction: str, type: str) -> Value:
        """Write an instruction, where it belongs."""
        value = super().emit(instruction, type)
        names = _names(instruction)
        if names and all(name in self.once or name[1:] in self.constants for name in names):
            self.once[value.text] = (type, self.lines.pop())
        return value


def _names(text: str) -> list[str]:
    return re.findall(r"%[\w.]+", text)


class _Writer(ElementWriter):
    """Writes the map for one vector, and what of it is the same for all vectors.

        void name(ptr sums, ptr each extra that varies, ptr each prepared value, ptr each result)
        void name_once(ptr each constant, ptr each prepared value)

    All but constants and prepared values are arrays of a vector's elements. `varying` and
    `constants` are the elements that the map reads beside the sums.
    """

    def __init__(self, lowering: Lowering, kernel: Kernel, total: Variable, lanes: int):
        f = self.split = _Split("KERNEL", [("ptr noalias", "x")])
        super().__init__(lowering, f)
        self.axes = [
            self.zero if n == 1 else Value(f, f"%axis{a}", "i64")
            for a, n in enumerate(kernel.domain)
        ]
        self.varying: list[Access] = []
        self.constants: list[Access] = []
        self.names: dict[Any, str] = {}
        with f.loop(self.zero, f.const("i64", lanes), note=", !llvm.loop !10") as loop:
            self.lane = loop.index
            self.made[total] = self._element("x", total)
            start = len(f.lines)
            self.write_elements(kernel.roots, tuple(self.axes))
            self.length = len(f.lines) - start
        f.finish()
        #: The types of the prepared values, a name for the functions, and these.
        self.prepared, self.name, self.code = self._put_together()

    def _put_together(self) -> tuple[list[str], str, str]:
        f = self.split
        used = {name for line in f.lines for name in _names(line)}
        wanted = [name for name in f.once if name in used]
        prepared = [f.once[name][0] for name in wanted]
        pointers = [f"p{i}" for i in range(len(wanted))]
        named = list(zip(wanted, prepared, pointers, strict=True))
        once = Function("ONCE", [("ptr noalias", name) for name in (*f.constants, *pointers)])
        once.lines += [line for _, line in f.once.values()]
        once.lines += [f"  store {kind} {value}, ptr %{at}" for value, kind, at in named]
        once.finish()
        f.lines[1:1] = [f"  {value} = load {kind}, ptr %{at}" for value, kind, at in named]
        first = 1 + len(self.varying)
        taken = [p for p in f.parameters if p[1] not in f.constants]
        f.parameters = taken[:first] + [("ptr noalias", p) for p in pointers] + taken[first:]
        functions = "".join(
            x.text().replace(" noinline #0", " alwaysinline nounwind", 1) for x in (f, once)
        )
        body = "\n".join([*f.declarations, functions + _METADATA])
        name = f"fused_{hashlib.sha256(body.encode()).hexdigest()[:24]}"
        code = body.replace("@KERNEL(", f"@{name}(", 1).replace("@ONCE(", f"@{name}_once(", 1)
        return prepared, name, code

    def _element(self, name: str, v: Variable) -> Value:
        type, base = memory_type(v.dtype), self.f.argument(name)
        constant = name in self.split.constants
        return self.f.load(type, base if constant else self.f.address(base, type, self.lane))

    def load(self, view: View, index: tuple[Value, ...]) -> Value:
        """The element of a view, from the array that holds those of this vector."""
        if view.base in self.made:
            return self.made[view.base]
        axes = {id(axis): a for a, axis in enumerate(self.axes) if axis is not self.zero}
        access = Access(view, tuple(axes.get(id(i), Fixed(i.number or 0)) for i in index))
        moves = access.moves(len(self.axes))
        key = (view.base, access.start, *moves)
        name = self.names.get(key)
        if name is None:
            name = self.names[key] = f"e{len(self.names)}"
            self.f.parameters.append(("ptr noalias", name))
            if any(moves):
                self.varying.append(access)
            else:
                self.constants.append(access)
                self.split.constants.append(name)
        value = self._element(name, view.base)
        return value.compare("ne", 0) if view.base.dtype == bool_ else value

    def store(self, v: Variable, index: tuple[Value, ...], value: Value) -> None:
        """The element of a result, to the array that takes those of this vector."""
        name = f"o{sum(n.startswith('o') for _, n in self.f.parameters)}"
        self.f.parameters.append(("ptr noalias", name))
        if value.type == "i1":
            value = value.cast("zext", "i8")
        at = self.f.address(self.f.argument(name), memory_type(v.dtype), self.lane)
        self.f.store(value, at)


_IR = {"float": emit.F32, "double": emit.F64} | {
    str(kind): kind for kind in (emit.I1, emit.I8, emit.I16, emit.I32, emit.I64)
}


@dataclass(frozen=True)
class _Calls:
    """Calls of a written map. Its arrays are on the stack until LLVM makes them registers."""

    name: str
    prepared: tuple[ir.Type, ...]
    results: tuple[ir.Type, ...]
    kept: bool  # whether the sums are the first result

    def prepare(self, b: ir.IRBuilder, constants: list[Any]) -> list[Any]:
        """What of the map is the same for all vectors."""
        return self._call(b, f"{self.name}_once", constants, self.prepared)

    def emit(self, b: ir.IRBuilder, sums: Any, extras: list[Any], prepared: list[Any]) -> list[Any]:
        """The map of one vector."""
        results = tuple(ir.VectorType(kind, sums.type.count) for kind in self.results)
        return [sums] * self.kept + self._call(b, self.name, [sums, *extras, *prepared], results)

    def _call(
        self, b: ir.IRBuilder, name: str, values: list[Any], results: tuple[ir.Type, ...]
    ) -> list[Any]:
        if not results:
            return []
        places = []
        for kind in (*(x.type for x in values), *results):
            with b.goto_entry_block():
                places.append(b.alloca(kind))
            places[-1].type = emit.POINTER
        for value, place in zip(values, places, strict=False):
            b.store(value, place)
        emit.intrinsic(b, name, ir.VoidType(), places)
        made = zip(places[len(values) :], results, strict=True)
        return [b.load(place, typ=kind) for place, kind in made]
