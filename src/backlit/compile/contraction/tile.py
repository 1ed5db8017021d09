"""Finished tiles: turned, loaded beside, stored and handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from . import emit
from .emit import Index, Value

if TYPE_CHECKING:
    from .kernel import Builder


class Tile:
    """Where the elements of one finished tile lie in the outputs and extras.

    The tile is a list of vectors; each has a place (line, vector of the line). Lines are rows and
    lanes run along n, or, in a tile that was turned, lines are columns and lanes run along m.
    """

    def __init__(
        self,
        kernel: Builder,
        rows: int,
        columns: int,
        batch: Index,
        m: Index,
        n: Index,
        bases: list[Value],
    ):
        self.kernel, self.rows, self.columns, self.bases = kernel, rows, columns, bases[2:]
        self.batch = batch
        self.accesses = [*kernel.outputs, *kernel.extras]
        self.steady = [kernel.steady(x.operand) for x in self.accesses]
        self.across, self.along = ("n", "m") if kernel.s.turn else ("m", "n")
        self.line0, self.lane0 = (n, m) if kernel.s.turn else (m, n)
        lines, length = (columns, rows) if kernel.s.turn else (rows, columns)
        lanes = kernel.lanes
        vectors = -(-length // lanes)
        self.masks = [emit.tail_mask(length - v * lanes, lanes) for v in range(vectors)]
        self.places = [(line, v) for line in range(lines) for v in range(vectors)]

    def turned(self, b: ir.IRBuilder, sums: list[Value]) -> list[Value]:
        """Vectors of rows as vectors of columns, in the order of the places."""
        lanes = self.kernel.lanes
        vectors = -(-self.columns // lanes)
        zero = ir.Constant(self.kernel.vector, None)
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
        lanes = self.kernel.lanes
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
        """The vector of an output or extra at a place, ready for arithmetic."""
        access = self.accesses[i]
        base, lanes = self._at(b, i, place)
        value = access.load_lanes(b, base, lanes, self.kernel.lanes, self.masks[place[1]])
        return emit.widen(b, value, access.operand.dtype, self.kernel.scalar)

    def store(self, b: ir.IRBuilder, i: int, place: tuple[int, int], value: Value) -> None:
        """Write the vector of an output at a place."""
        access = self.accesses[i]
        value = emit.narrow(b, value, access.operand.dtype)
        base, lanes = self._at(b, i, place)
        access.store_lanes(b, value, base, lanes, self.masks[place[1]])

    def consume(self, b: ir.IRBuilder, consumer: str, sums: list[Value]) -> None:
        """Put the tile into memory, line after line, and hand it over."""
        kernel = self.kernel
        memory = kernel.tile_memory
        stride = len(self.masks) * kernel.lanes
        for x, (line, v) in zip(sums, self.places, strict=True):
            at = emit.pointer(b, memory, line * stride + v * kernel.lanes, kernel.scalar)
            emit.store(b, x, at, None)
        lines = self.columns if kernel.s.turn else self.rows
        length = self.rows if kernel.s.turn else self.columns
        numbers = [stride, self.batch, self.line0, self.lane0, lines, length]
        arguments = [kernel.buffers, memory, *map(emit.const, numbers)]
        emit.intrinsic(b, consumer, ir.VoidType(), arguments)
