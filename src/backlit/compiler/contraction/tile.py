"""Finished tiles: turned, loaded beside, given to the epilogue and stored."""

from __future__ import annotations

from ..llvm.builder import Function, Index, Value
from ..llvm.scalar import convert
from .addresses import Lanes
from .interface import Epilogue
from .lanes import tail, transpose
from .layout import Layout


class Tile:
    """Where the elements of one finished tile lie in the outputs and extras.

    The tile is a list of vectors; each has a place (line, vector of the line). Lines are rows and
    lanes run along n, or, in a tile that was turned, lines are columns and lanes run along m.
    """

    def __init__(
        self,
        f: Function,
        layout: Layout,
        rows: int,
        columns: int,
        m: Index,
        n: Index,
        bases: list[Value],
    ):
        self.f = f
        self.layout, self.rows, self.columns, self.bases = layout, rows, columns, bases
        self.address_maps = [*layout.outputs, *layout.extras]
        self.steady = [layout.is_steady(x.operand) for x in self.address_maps]
        self.across, self.along = ("n", "m") if layout.schedule.turn else ("m", "n")
        self.line0, self.lane0 = (n, m) if layout.schedule.turn else (m, n)
        lines, length = (columns, rows) if layout.schedule.turn else (rows, columns)
        lanes = layout.lanes
        vectors = -(-length // lanes)
        self.masks = [tail(length - v * lanes, lanes) for v in range(vectors)]
        self.places = [(line, v) for line in range(lines) for v in range(vectors)]

    def turned(self, sums: list[Value]) -> list[Value]:
        """Vectors of rows as vectors of columns, in the order of the places."""
        lanes = self.layout.lanes
        vectors = -(-self.columns // lanes)
        zero = self.f.const(self.layout.vector, 0)
        found: dict[tuple[int, int], Value] = {}
        for high in range(0, self.rows, lanes):
            for v in range(vectors):
                block = [
                    sums[r * vectors + v] if r < self.rows else zero
                    for r in range(high, high + lanes)
                ]
                for i, column in enumerate(transpose(block)):
                    found[v * lanes + i, high // lanes] = column
        return [found[place] for place in self.places]

    def _at(self, i: int, place: tuple[int, int]) -> tuple[Value, Lanes]:
        """The base and the lanes of an output or extra at a place."""
        address_map, (line, v) = self.address_maps[i], place
        lanes = self.layout.lanes
        steady = {"m": self.steady[i], "n": False}
        base, across, along = self.bases[i], self.across, self.along
        if address_map.stride(across) is not None or steady[across]:
            base = base.at(address_map.offset(across, self.line0), address_map.element)
            base = base.at(address_map.local(across, line), address_map.element)
        else:
            base = base.at(address_map.offset(across, self.line0 + line), address_map.element)
        return address_map.lanes(base, along, self.lane0, v * lanes, lanes, steady[along])

    def load(self, i: int, place: tuple[int, int]) -> Value:
        """The vector of an output or extra at a place, as it lies in memory."""
        base, lanes = self._at(i, place)
        return self.address_maps[i].load_lanes(base, lanes, self.layout.lanes, self.masks[place[1]])

    def store(self, i: int, place: tuple[int, int], value: Value) -> None:
        """Write the vector of an output at a place, as it is to lie in memory."""
        base, lanes = self._at(i, place)
        self.address_maps[i].store_lanes(value, base, lanes, self.masks[place[1]])

    def sums(self) -> list[Value]:
        """What the first output holds."""
        kept = self.layout.outputs[0].operand.dtype
        return [convert(self.load(0, x), kept, self.layout.dtype) for x in self.places]

    def store_sums(self, sums: list[Value]) -> None:
        """Write the sums to the first output."""
        kept = self.layout.outputs[0].operand.dtype
        for x, place in zip(sums, self.places, strict=True):
            self.store(0, place, convert(x, self.layout.dtype, kept))

    def finish(self, sums: list[Value], epilogue: Epilogue, prepared: list[Value]) -> None:
        """Store what the epilogue makes of the sums."""
        first = len(self.layout.outputs)
        for x, place in zip(sums, self.places, strict=True):
            extras = [self.load(first + i, place) for i in self.layout.varying]
            for i, value in enumerate(epilogue.emit(self.f, x, extras, prepared)):
                self.store(i, place, value)
