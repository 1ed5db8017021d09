"""Epilogues: what a loop does with the elements of a contraction, done as each sum is finished.

A map over the elements of a matrix product or convolution - bias, activation, residual, the update
of a parameter - becomes part of the contraction's kernel, where `fusion` says so. `MapWriter`
writes the map as scalar code in a loop over the lanes of a vector, as any other loop, and LLVM
makes vectors of it; the contraction's kernel calls it for each vector of sums (`_Calls`), and LLVM
puts it in the place of the call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...dtypes import bool_
from ..capture.graph import Variable
from ..contraction import Epilogue
from ..llvm.builder import Function, Value
from ..llvm.scalar import memory_type
from ..llvm.types import vector_type
from ..lower.kinds import Kernel
from ..lower.lower import Lowering
from ..lower.reading import Access, Fixed
from ..lower.views import View
from .elements import ElementWriter

#: LLVM would unroll so short a loop before it thinks of vectors.
_METADATA = '!10 = distinct !{!10, !11}\n!11 = !{!"llvm.loop.unroll.disable"}\n'


class _Map(Function):
    """The map of one vector of sums, and what of it is the same for all vectors.

        void name(ptr sums, ptr each extra that varies, ptr each prepared value, ptr each result)
        void name_once(ptr each constant, ptr each prepared value)

    All but constants and prepared values are arrays of a vector's elements. An instruction whose
    operands are the same for all vectors goes to `once`; what the map uses of these is prepared.
    """

    def __init__(self) -> None:
        attributes = "alwaysinline nounwind"
        super().__init__("map", [("ptr noalias", "sums")], attributes)
        self.once = Function("once", [], attributes)
        self.results: list[tuple[str, str]] = []
        self.same: dict[str, Value] = {}
        self.used: set[str] = set()

    def constant(self, name: str) -> Value:
        """Where a constant is."""
        self.once.parameters.append(("ptr noalias", name))
        value = self.same[f"%{name}"] = Value(self, f"%{name}", "ptr")
        return value

    def array(self, name: str) -> Value:
        """Where the elements of an extra begin."""
        self.parameters.append(("ptr noalias", name))
        return self.argument(name)

    def result(self) -> Value:
        """Where the elements of the next result begin."""
        name = f"o{len(self.results)}"
        self.results.append(("ptr noalias", name))
        return Value(self, f"%{name}", "ptr")

    def emit(self, instruction: str, type: str, operands: Sequence[Value]) -> Value:
        """Write an instruction, where it belongs."""
        value = super().emit(instruction, type, operands)
        named = [x.text for x in operands if x.text.startswith("%")]
        if named and all(name in self.same for name in named):
            self.once.do(self.lines.pop().strip())
            self.same[value.text] = value
        else:
            self.use(operands)
        return value

    def do(self, instruction: str, operands: Sequence[Value] = ()) -> None:
        """Write an instruction without a result."""
        super().do(instruction, operands)
        self.use(operands)

    def use(self, operands: Sequence[Value]) -> None:
        """Remember what the map uses."""
        self.used.update(x.text for x in operands)

    def finished(self) -> tuple[str, tuple[str, ...], str]:
        """A name for the functions, the types of the prepared values, and the code of both."""
        prepared = [value for name, value in self.same.items() if name in self.used]
        for i, value in enumerate(prepared):
            self.head.append(f"  {value.text} = load {value.type}, ptr %p{i}")
            self.once.store(value, Value(self.once, f"%p{i}", "ptr"))
        pointers = [("ptr noalias", f"p{i}") for i in range(len(prepared))]
        self.parameters += [*pointers, *self.results]
        self.once.parameters += pointers
        self.finish()
        self.once.finish()
        digest = hashlib.sha256("".join([self.module(), self.once.text()]).encode()).hexdigest()
        self.name = f"fused_{digest[:24]}"
        self.once.name = f"{self.name}_once"
        code = "\n".join([self.module(), self.once.text(), _METADATA])
        return self.name, tuple(value.type for value in prepared), code


class MapWriter(ElementWriter):
    """Writes the map for one vector of sums.

    `varying` and `constants` are the elements that the map reads beside the sums.
    """

    f: _Map

    def __init__(self, lowering: Lowering, kernel: Kernel, total: Variable, lanes: int):
        f = _Map()
        super().__init__(lowering, f)
        self.axes = [
            self.zero if n == 1 else Value(f, f"%axis{a}", "i64")
            for a, n in enumerate(kernel.domain)
        ]
        self.varying: list[Access] = []
        self.constants: list[Access] = []
        self.addresses: dict[Any, Value] = {}
        with f.loop(self.zero, f.const("i64", lanes), note=", !llvm.loop !10") as loop:
            self.lane = loop.index
            self.made[total] = self._element(f.argument("sums"), total)
            before = f.length
            self.write_elements(kernel.roots, tuple(self.axes))
            #: The instructions of the map.
            self.length = f.length - before

    def epilogue(self, made: list[Variable], kept: bool) -> tuple[Epilogue, str]:
        """The finished map, which makes these, and its code; with `kept` it returns the sums."""
        name, prepared, code = self.f.finished()
        calls = _Calls(name, prepared, tuple(memory_type(v.dtype) for v in made), kept)
        return Epilogue(calls, calls.emit, calls.prepare), code

    def _element(self, base: Value, v: Variable) -> Value:
        type = memory_type(v.dtype)
        constant = base.text in self.f.same
        return self.f.load(type, base if constant else self.f.address(base, type, self.lane))

    def load(self, view: View, index: tuple[Value, ...]) -> Value:
        """The element of a view, from the array that holds those of this vector."""
        if view.base in self.made:
            return self.made[view.base]
        axes = {id(axis): a for a, axis in enumerate(self.axes) if axis is not self.zero}
        access = Access(view, tuple(axes.get(id(i), Fixed(i.number or 0)) for i in index))
        moves = access.moves(len(self.axes))
        key = (view.base, access.start, *moves)
        base = self.addresses.get(key)
        if base is None:
            name = f"e{len(self.addresses)}"
            varies = any(moves)
            (self.varying if varies else self.constants).append(access)
            base = self.f.array(name) if varies else self.f.constant(name)
            self.addresses[key] = base
        value = self._element(base, view.base)
        return value.compare("ne", 0) if view.base.dtype == bool_ else value

    def store(self, v: Variable, index: tuple[Value, ...], value: Value) -> None:
        """The element of a result, to the array that takes those of this vector."""
        if value.type == "i1":
            value = value.cast("zext", "i8")
        self.f.store(value, self.f.address(self.f.result(), memory_type(v.dtype), self.lane))


@dataclass(frozen=True)
class _Calls:
    """Calls of a written map. Its arrays are on the stack until LLVM makes them registers."""

    name: str
    prepared: tuple[str, ...]  # types
    results: tuple[str, ...]
    kept: bool  # whether the sums are the first result

    def prepare(self, f: Function, constants: list[Value]) -> list[Value]:
        """What of the map is the same for all vectors."""
        return self._call(f, f"{self.name}_once", constants, self.prepared)

    def emit(
        self, f: Function, sums: Value, extras: list[Value], prepared: list[Value]
    ) -> list[Value]:
        """The map of one vector."""
        results = [vector_type(kind, sums.lanes) for kind in self.results]
        return [sums] * self.kept + self._call(f, self.name, [sums, *extras, *prepared], results)

    def _call(
        self, f: Function, name: str, values: list[Value], results: Sequence[str]
    ) -> list[Value]:
        if not results:
            return []
        places = [f.alloca(type) for type in (*(x.type for x in values), *results)]
        for value, place in zip(values, places, strict=False):
            f.store(value, place)
        f.call(name, "void", places)
        made = zip(results, places[len(values) :], strict=True)
        return [f.load(type, place) for type, place in made]
