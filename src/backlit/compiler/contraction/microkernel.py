"""The microkernel: the sums of one tile, in registers, and the loops over k that fill them.

    accumulators[r, v] += A[r, k] · B[k, v]        A[r, k] in all lanes, B[k, v] a vector

k is a multi-index, so there are several loops. Where one of them moves a window, a value of it (a
tap) may exist for some rows only; short loops are written out, each tap for the rows it exists for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from ..llvm.builder import Function, Index, KnownMask, Value
from ..llvm.types import bytes_of, vector_type
from .addresses import AddressMap
from .lanes import dot, fma, pairs, prefetch, renewed, tail
from .layout import Layout
from .spec import merge
from .taps import Tap

#: Rows of a tile that have data at a place, and how far from it that is.
Shifts = dict[int, int]
#: The step of a tap in A and in B, and the rows that it exists for.
Written = tuple[int, int, Shifts]

#: Products added up in one register before the sum moves on.
SEGMENT = 512
#: Levels of no more taps than this are written out, not loops, ...
_FEW_TAPS = 16
#: ... if that is no more multiply-adds than this, or where some rows have no data at some taps.
_FEW_PRODUCTS, _FEW_OF_SOME = 100, 150
#: Runs of values of an outer level with the same rows: in up to this many there is a loop for each.
_FEW_RUNS = 8


@dataclass(frozen=True)
class Level:
    """One loop over k: its extent, its steps in A and in B, and the window that it moves."""

    extent: int
    a: int
    b: int
    tap: Tap | None = None

    @property
    def spread(self) -> bool:
        """Whether values exist for some rows only, in a way that is known."""
        return self.tap is not None and not self.tap.fixed and self.tap.step > 1

    def seen(self, shifts: Shifts, within: int, k: int) -> Shifts:
        """The rows that exist for a value, of those given, and where their elements are."""
        tap = self.tap
        if tap is None or tap.fixed:
            return shifts
        return {
            r: shift + (tap.shift(within, r, k) if tap.step > 1 else 0)
            for r, shift in shifts.items()
            if tap.exists(within, r, k)
        }


class Nest:
    """The loops over k of all tiles of a kernel.

    `segment` is how many of the outermost index of k are added in registers before the sums move to
    memory; 0 if all are.
    """

    def __init__(self, layout: Layout):
        self.levels = _levels(layout)
        self.inner = math.prod(level.extent for level in self.levels[1:])
        long = layout.schedule.kc > 2 * SEGMENT
        self.segment = max(1, SEGMENT // self.inner) if long else 0


def _levels(layout: Layout) -> list[Level]:
    """The loops over k: indices that are stepped through as one are one; taps are alone."""
    extents = layout.spec.k
    if layout.spec.sizes[3] == 0:
        return [Level(0, 0, 0)]

    def steps(packed: bool, width: int, address_map: AddressMap) -> tuple[int, ...]:
        if not packed:
            return address_map.operand.k or (0,) * len(extents)
        return tuple(width * math.prod(extents[i + 1 :]) for i in range(len(extents)))

    a = steps(layout.schedule.pack_a, layout.schedule.rows, layout.a)
    right = steps(layout.schedule.pack_b, layout.wide, layout.b)
    taps = {tap.level: tap for tap in layout.taps}
    levels: list[Level] = []
    start = 0
    for i in range(len(extents) + 1):
        if i == len(extents) or i in taps:
            run = slice(start, i)
            levels += [Level(e, x, y) for e, x, y in merge(extents[run], a[run], right[run])]
            start = i + 1
        if i in taps:
            levels.append(Level(extents[i], a[i], right[i], taps[i]))
    if not levels or levels[0].tap:
        levels.insert(0, Level(1, 0, 0))
    levels[1:1] = [Level(1, 0, 0, tap) for tap in layout.taps if tap.level < 0]
    return levels


class Microkernel:
    """Writes what adds up one tile of `rows` × `columns`, row after row.

    `m` is its first row, `within` the place of that in its piece, if it is known.
    """

    def __init__(
        self,
        f: Function,
        layout: Layout,
        nest: Nest,
        rows: int,
        columns: int,
        m: Index,
        within: int,
    ):
        self.layout, self.nest, self.levels = layout, nest, nest.levels
        self.f = f
        self.rows = rows
        self.within = within
        schedule, lanes = layout.schedule, layout.lanes
        self.vectors = -(-columns // lanes)
        self.masks = [
            None if schedule.pack_b else tail(columns - v * lanes, lanes)
            for v in range(self.vectors)
        ]
        self.row_offsets = [r if schedule.pack_a else layout.a.local("m", r) for r in range(rows)]
        # Direct operands are counted in their own elements, of which a pair is two.
        self.a_unit = layout.scalar if schedule.pack_a else layout.a.element
        self.b_unit = layout.scalar if schedule.pack_b else layout.b.element
        self.align = bytes_of(self.a_unit)
        self.multiply_add = fma if layout.spec.pairs is None else dot
        self.whole: Shifts = dict.fromkeys(range(rows), 0)
        self.ranges = {x: x.range(f, m) for x in layout.taps if x.fixed}

    def all(
        self, a_base: Value, b_base: Value, k_count: Index, segments: Value | None
    ) -> list[Value]:
        """The sums over so many values of k, from where the tile's operands begin.

        `segments` is memory for the tile where k is long.
        """
        zeros = [self.f.const(self.layout.vector, 0)] * (self.rows * self.vectors)
        count = k_count // self.nest.inner
        if segments is not None:
            return self._in_segments(a_base, b_base, count, zeros, segments)
        return self._walk(0, a_base, b_base, self.whole, zeros, count)

    # -- loops --------------------------------------------------------------------------------

    def _walk(
        self,
        depth: int,
        a_at: Value,
        b_at: Value,
        shifts: Shifts,
        sums: list[Value],
        count: Index | None = None,
    ) -> list[Value]:
        """The sums with the products of the levels from `depth` on; `count` values of the first."""
        if depth == len(self.levels):
            return self._add(a_at, b_at, [(0, 0, shifts)], sums)
        if self._is_written(depth):
            return self._add_written(depth, a_at, b_at, shifts, sums)
        level = self.levels[depth]
        runs = self._alike(level, shifts)
        if level.spread or 1 < len(runs) <= _FEW_RUNS:
            for first, last, some in runs:
                body = partial(self._turn, depth, a_at, b_at, some)
                sums = self.f.fold(first, last + 1, body, sums)
            return sums
        start: Index = 0
        if count is None:
            known = level.tap in self.ranges
            count = self.ranges[level.tap][1] if known else level.extent  # type: ignore[index]
        if self.layout.schedule.prefetch and depth == len(self.levels) - 1:
            lanes = self.layout.lanes
            start = count // lanes * lanes
            body = partial(self._turn_ahead, level, a_at, b_at, shifts)
            sums = self.f.fold(0, start, body, sums, lanes)
        body = partial(self._turn, depth, a_at, b_at, shifts)
        return self.f.fold(start, count, body, sums)

    def _turn(
        self, depth: int, a_at: Value, b_at: Value, shifts: Shifts, k: Index, sums: list[Value]
    ) -> list[Value]:
        """One value of a level, and with it all of those inside."""
        a_at, b_at = self._moved(a_at, b_at, *self._step(self.levels[depth], k))
        return self._walk(depth + 1, a_at, b_at, shifts, sums)

    def _turn_ahead(
        self, level: Level, a_at: Value, b_at: Value, shifts: Shifts, k: Index, sums: list[Value]
    ) -> list[Value]:
        """A vector's worth of values of the innermost level; A is fetched for later ones."""
        ahead = self.layout.schedule.prefetch * level.a
        a_at, b_at = self._moved(a_at, b_at, *self._step(level, k))
        for i in range(self.layout.lanes):
            here = self._moved(a_at, b_at, *self._step(level, i))
            sums = self._add(*here, [(0, 0, shifts)], sums)
        for place in self.row_offsets:
            prefetch(a_at.at(place + ahead, self.a_unit))
        return sums

    def _alike(self, level: Level, shifts: Shifts) -> list[tuple[int, int, Shifts]]:
        """The first and the last value of runs of an outer level with the same rows."""
        innermost = level is self.levels[-1]
        if level.tap is None or level.tap.fixed or (innermost and not level.spread):
            return []
        runs: list[tuple[int, int, Shifts]] = []
        for k in range(level.extent):
            some = level.seen(shifts, self.within, k)
            first = runs.pop()[0] if runs and runs[-1][2] == some else k
            runs.append((first, k, some))
        return [run for run in runs if run[2]]

    def _moved(self, a_at: Value, b_at: Value, to_a: Index, to_b: Index) -> tuple[Value, Value]:
        return a_at.at(to_a, self.a_unit), b_at.at(to_b, self.b_unit)

    def _step(self, level: Level, k: Index) -> tuple[Index, Index]:
        """How far the value k of a level is in A and B; of a range of taps, the k-th one."""
        tap = level.tap
        if tap is None or not tap.fixed:
            return k * level.a, k * level.b
        first, _, place = self.ranges[tap]
        number = first + k * tap.period
        to_a: Index = number * level.a
        if tap.step > 1:
            to_a = place + k * (tap.period * tap.back // tap.step * tap.stride)
        return to_a, number * level.b

    # -- levels that are written out ----------------------------------------------------------

    def _is_written(self, depth: int) -> bool:
        """Whether the levels from `depth` on are written out, not loops."""
        inside = self.levels[depth:]
        if any(x.tap and x.tap.fixed for x in inside):
            return False
        if all(x.spread for x in inside):
            return True
        taps = math.prod(x.extent for x in inside)
        if depth == 0 or taps > _FEW_TAPS:
            return False
        products = sum(len(shifts) for _, _, shifts in self._written(depth, self.whole))
        most = _FEW_PRODUCTS if products == taps * self.rows else _FEW_OF_SOME
        return products * self.vectors <= most

    def _written(self, depth: int, shifts: Shifts) -> list[Written]:
        """Steps in A and B and the rows that exist, for each value of the inner levels."""
        if depth == len(self.levels):
            return [(0, 0, shifts)]
        level = self.levels[depth]
        return [
            (k * level.a + to_a, k * level.b + to_b, rest)
            for k in range(level.extent)
            for to_a, to_b, rest in self._written(depth + 1, level.seen(shifts, self.within, k))
        ]

    def _add_written(
        self, depth: int, a_at: Value, b_at: Value, shifts: Shifts, sums: list[Value]
    ) -> list[Value]:
        """All taps of the levels from `depth` on: together, if there are registers for that."""
        taps = self._written(depth, shifts)
        live = {r for _, _, some in taps for r in some}
        needed = (len(live) + len(taps)) * self.vectors + 1
        together = needed < self.layout.machine.registers
        for group in [taps] if together else [[tap] for tap in taps]:
            a_at = renewed(a_at)
            sums = self._add(a_at, b_at, group, sums)
        return sums

    # -- products -----------------------------------------------------------------------------

    def _add(self, a_at: Value, b_at: Value, taps: list[Written], sums: list[Value]) -> list[Value]:
        """Add the products of some taps; an element of A is loaded once for all of them."""
        f, layout, vectors = self.f, self.layout, self.vectors
        rows_of_b: list[list[Value]] = []
        uses: dict[int, list[tuple[int, int]]] = {}
        for t, (to_a, to_b, shifts) in enumerate(taps):
            rows_of_b.append(self._row_of_b(b_at, to_b) if shifts else [])
            for r, shift in shifts.items():
                uses.setdefault(to_a + self.row_offsets[r] + shift, []).append((r, t))
        sums = list(sums)
        for place in _from_both_halves(sorted(uses)) if len(taps) > 1 else uses:
            address = a_at.at(place, self.a_unit)
            value = f.load(layout.scalar, address, align=self.align).splat(layout.lanes)
            for r, t in uses[place]:
                for v in range(vectors):
                    at = r * vectors + v
                    sums[at] = self.multiply_add(value, rows_of_b[t][v], sums[at])
        return sums

    def _row_of_b(self, b_at: Value, to_b: int) -> list[Value]:
        """The vectors of a row of B."""
        found = []
        for v, mask in enumerate(self.masks):
            address = b_at.at(to_b + v * self.layout.lanes, self.b_unit)
            found.append(self._lanes_of_b(address, mask))
        return found

    def _lanes_of_b(self, address: Value, mask: KnownMask) -> Value:
        """A vector of B's row; where pairs are not packed they are put together here."""
        f, layout = self.f, self.layout
        if layout.schedule.pack_b or layout.spec.pairs is None:
            return f.load(layout.vector, address, mask)
        kind = vector_type(layout.b.element, layout.lanes)
        second = address.at(layout.spec.b.pair, layout.b.element)
        return pairs(f.load(kind, address, mask), f.load(kind, second, mask))

    # -- long sums ----------------------------------------------------------------------------

    def _in_segments(
        self, a_base: Value, b_base: Value, count: Index, zeros: list[Value], memory: Value
    ) -> list[Value]:
        """Sum a long k piece by piece; pieces meet in memory: rounding errors stay small."""
        f, layout = self.f, self.layout

        def place(i: int) -> Value:
            return memory.at(i * layout.lanes, layout.scalar)

        def one(first: Index) -> None:
            length = f.minimum(self.nest.segment, count - first)
            a_at, b_at = self._moved(a_base, b_base, *self._step(self.levels[0], first))
            for i, x in enumerate(self._walk(0, a_at, b_at, self.whole, zeros, length)):
                before = f.load(layout.vector, place(i))
                f.store(before.op("fadd", x), place(i))

        for i, x in enumerate(zeros):
            f.store(x, place(i))
        f.repeat(0, count, one, self.nest.segment)
        return [f.load(layout.vector, place(i)) for i in range(len(zeros))]


def _from_both_halves(places: list[int]) -> list[int]:
    """Neighbours add to the same sums: taken from both halves in turn, these wait less."""
    half = -(-len(places) // 2)
    return [x for i in range(half) for x in places[i::half]]
