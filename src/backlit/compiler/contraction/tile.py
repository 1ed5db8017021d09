"""Finished tiles: turned, loaded beside, given to the epilogue and stored."""

from __future__ import annotations

from llvmlite import ir

from . import emit
from .emit import Index, Value
from .interface import Epilogue
from .layout import Layout


class Tile:
    """Where the elements of one finished tile lie in the outputs and extras.

    The tile is a list of vectors; each has a place (line, vector of the line). Lines are rows and
    lanes run along n, or, in a tile that was turned, lines are columns and lanes run along m.
    """

    def __init__(
        self,
        layout: Layout,
        rows: int,
        columns: int,
        m: Index,
        n: Index,
        bases: list[Value],
    ):
        self.layout, self.rows, self.columns, self.bases = layout, rows, columns, bases
        self.accesses = [*layout.outputs, *layout.extras]
        self.steady = [layout.is_steady(x.operand) for x in self.accesses]
        self.across, self.along = ("n", "m") if layout.schedule.turn else ("m", "n")
        self.line0, self.lane0 = (n, m) if layout.schedule.turn else (m, n)
        lines, length = (columns, rows) if layout.schedule.turn else (rows, columns)
        lanes = layout.lanes
        vectors = -(-length // lanes)
        self.masks = [emit.tail_mask(length - v * lanes, lanes) for v in range(vectors)]
        self.places = [(line, v) for line in range(lines) for v in range(vectors)]

    def turned(self, b: ir.IRBuilder, sums: list[Value]) -> list[Value]:
        """Vectors of rows as vectors of columns, in the order of the places."""
        lanes = self.layout.lanes
        vectors = -(-self.columns // lanes)
        zero = ir.Constant(self.layout.vector, None)
        found: dict[tuple[int, int], Value] = {}
        for high in range(0, self.rows, lanes):
            for v in range(vectors):
                block = [
                    sums[r * vectors + v] if r < self.rows else zero
                    for r in range(high, high + lanes)
                ]
                for i, column in enumerate(emit.transpose(b, block)):
                    found[v * lanes + i, high // lanes] = column
        return [found[place] for place in self.places]

    def _at(self, b: ir.IRBuilder, i: int, place: tuple[int, int]) -> tuple[Value, Value]:
        """The base and the lanes of an output or extra at a place."""
        access, (line, v) = self.accesses[i], place
        lanes = self.layout.lanes
        base = self.bases[i]
        steady = {"m": self.steady[i], "n": False}
        if access.stride(self.across) is not None or steady[self.across]:
            base = emit.pointer(b, base, access.offset(b, self.across, self.line0), access.element)
            base = emit.pointer(b, base, access.local(self.across, line), access.element)
        else:
            offset = access.offset(b, self.across, emit.add(b, self.line0, line))
            base = emit.pointer(b, base, offset, access.element)
        along = self.along
        return access.lanes(b, base, along, self.lane0, v * lanes, lanes, steady[along])

    def load(self, b: ir.IRBuilder, i: int, place: tuple[int, int]) -> Value:
        """The vector of an output or extra at a place, as it lies in memory."""
        base, lanes = self._at(b, i, place)
        return self.accesses[i].load_lanes(b, base, lanes, self.layout.lanes, self.masks[place[1]])

    def store(self, b: ir.IRBuilder, i: int, place: tuple[int, int], value: Value) -> None:
        """Write the vector of an output at a place, as it is to lie in memory."""
        base, lanes = self._at(b, i, place)
        self.accesses[i].store_lanes(b, value, base, lanes, self.masks[place[1]])

    def sums(self, b: ir.IRBuilder) -> list[Value]:
        """What the first output holds."""
        dtype, scalar = self.layout.outputs[0].operand.dtype, self.layout.scalar
        return [emit.widen(b, self.load(b, 0, place), dtype, scalar) for place in self.places]

    def store_sums(self, b: ir.IRBuilder, sums: list[Value]) -> None:
        """Write the sums to the first output."""
        dtype = self.layout.outputs[0].operand.dtype
        for x, place in zip(sums, self.places, strict=True):
            self.store(b, 0, place, emit.narrow(b, x, dtype))

    def finish(
        self, b: ir.IRBuilder, sums: list[Value], epilogue: Epilogue, prepared: list[Value]
    ) -> None:
        """Store what the epilogue makes of the sums."""
        first = len(self.layout.outputs)
        for x, place in zip(sums, self.places, strict=True):
            extras = [self.load(b, first + i, place) for i in self.layout.varying]
            for i, value in enumerate(epilogue.emit(b, x, extras, prepared)):
                self.store(b, i, place, value)
