"""The sums of one tile: accumulators in registers, and the walk over k that fills them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from llvmlite import ir

from . import emit
from .access import Access
from .emit import Index, Value
from .spec import merge
from .taps import Tap

if TYPE_CHECKING:
    from .kernel import Builder

#: Rows of a tile that have data at a place, and how far from it that is.
Shifts = dict[int, int]
#: The step of a tap in A and in B, and the rows that it exists for.
Written = tuple[int, int, Shifts]

#: Products added up in one register before the sum moves on.
SEGMENT = 512


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


class Sums:
    """Writes the code that adds up tiles of one kernel.

    `segment` is how many of the outermost index of k are added in registers before the sums move to
    memory; 0 if all are.
    """

    def __init__(self, kernel: Builder):
        self.kernel = kernel
        self.levels = self._levels()
        inner = math.prod(level.extent for level in self.levels[1:])
        self.segment = max(1, SEGMENT // inner) if kernel.s.kc > 2 * SEGMENT else 0

    def _levels(self) -> list[Level]:
        """The loops over k: indices that are stepped through as one are one; taps are alone."""
        kernel, extents = self.kernel, self.kernel.spec.k
        if kernel.K == 0:
            return [Level(0, 0, 0)]

        def steps(packed: bool, width: int, access: Access) -> tuple[int, ...]:
            if not packed:
                return access.operand.k or (0,) * len(extents)
            return tuple(width * math.prod(extents[i + 1 :]) for i in range(len(extents)))

        a = steps(kernel.s.pack_a, kernel.s.rows, kernel.a)
        right = steps(kernel.s.pack_b, kernel.wide, kernel.b)
        taps = {tap.level: tap for tap in kernel.taps}
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
        levels[1:1] = [Level(1, 0, 0, tap) for tap in kernel.taps if tap.level < 0]
        return levels

    def of(
        self,
        b: ir.IRBuilder,
        rows: int,
        columns: int,
        a_base: Value,
        b_base: Value,
        m: Index,
        within: int,
    ) -> list[Value]:
        """The sums of a tile, row after row, from where its operands begin.

        `m` is its first row, `within` the place of that in its piece, if it is known.
        """
        kernel, lanes, levels = self.kernel, self.kernel.lanes, self.levels
        vectors = -(-columns // lanes)
        masks = [
            None if kernel.s.pack_b else emit.tail_mask(columns - v * lanes, lanes)
            for v in range(vectors)
        ]
        zero = ir.Constant(kernel.vector, None)
        if kernel.s.pack_a:
            row_offsets = list(range(rows))
        else:
            row_offsets = [kernel.a.local("m", r) for r in range(rows)]
        # Direct operands are counted in their own elements, of which a pair is two.
        a_unit = kernel.scalar if kernel.s.pack_a else kernel.a.element
        b_unit = kernel.scalar if kernel.s.pack_b else kernel.b.element
        align = emit.element_bytes(a_unit)
        multiply_add = emit.fma if kernel.spec.pairs is None else emit.dot
        whole = dict.fromkeys(range(rows), 0)
        ranges = {x: x.range(b, m) for x in kernel.taps if x.fixed}

        def add(a_at: Value, b_at: Value, taps: list[Written], sums: list[Value]) -> list[Value]:
            """Add the products of some taps; an element of A is loaded once for all of them."""
            rows_of_b: list[list[Value]] = []
            uses: dict[int, list[tuple[int, int]]] = {}
            for t, (to_a, to_b, shifts) in enumerate(taps):
                rows_of_b.append([])
                for v in range(vectors if shifts else 0):
                    address = emit.pointer(b, b_at, to_b + v * lanes, b_unit)
                    rows_of_b[t].append(self._lanes_of_b(b, address, masks[v]))
                for r, shift in shifts.items():
                    uses.setdefault(to_a + row_offsets[r] + shift, []).append((r, t))
            sums = list(sums)
            places = sorted(uses) if len(taps) > 1 else list(uses)
            half = -(-len(places) // 2)
            # Neighbours add to the same sums: from both halves in turn, these wait less.
            order = [x for i in range(half) for x in places[i::half]]
            for place in order if len(taps) > 1 else places:
                address = emit.pointer(b, a_at, place, a_unit)
                value = b.load(address, align=align, typ=kernel.scalar)
                value = emit.splat(b, value, lanes)
                for r, t in uses[place]:
                    for v in range(vectors):
                        at = r * vectors + v
                        sums[at] = multiply_add(b, value, rows_of_b[t][v], sums[at])
            return sums

        def one(a_at: Value, b_at: Value, shifts: Shifts, sums: list[Value]) -> list[Value]:
            return add(a_at, b_at, [(0, 0, shifts)], sums)

        def moved(a_at: Value, b_at: Value, a: Index, at_b: Index) -> tuple[Value, Value]:
            return (
                emit.pointer(b, a_at, a, a_unit),
                emit.pointer(b, b_at, at_b, b_unit),
            )

        def step(level: Level, k: Index) -> tuple[Index, Index]:
            """How far the value k of a level is in A and B; of a range of taps, the k-th one."""
            tap = level.tap
            if tap is None or not tap.fixed:
                return emit.mul(b, k, level.a), emit.mul(b, k, level.b)
            first, _, place = ranges[tap]
            number = emit.add(b, first, emit.mul(b, k, tap.period))
            to_a = emit.mul(b, number, level.a)
            if tap.step > 1:
                along = tap.period * tap.back // tap.step * tap.stride
                to_a = emit.add(b, place, emit.mul(b, k, along))
            return to_a, emit.mul(b, number, level.b)

        def written(depth: int, shifts: Shifts) -> list[Written]:
            """Steps in A and B and the rows that exist, for each value of the inner levels."""
            if depth == len(levels):
                return [(0, 0, shifts)]
            level = levels[depth]
            return [
                (k * level.a + to_a, k * level.b + to_b, rest)
                for k in range(level.extent)
                for to_a, to_b, rest in written(depth + 1, level.seen(shifts, within, k))
            ]

        def is_written(depth: int) -> bool:
            """Whether the levels from `depth` on are written out, not loops."""
            inside = levels[depth:]
            if any(x.tap and x.tap.fixed for x in inside):
                return False
            if all(x.spread for x in inside):
                return True
            taps = math.prod(x.extent for x in inside)
            if depth == 0 or taps > 16:
                return False
            products = sum(len(shifts) for _, _, shifts in written(depth, whole))
            return products * vectors <= (100 if products == taps * rows else 150)

        def alike(depth: int, shifts: Shifts) -> list[tuple[int, int, Shifts]]:
            """The first and the last value of runs of an outer level with the same rows."""
            level = levels[depth]
            if level.tap is None or level.tap.fixed or (level is levels[-1] and not level.spread):
                return []
            runs: list[tuple[int, int, Shifts]] = []
            for k in range(level.extent):
                some = level.seen(shifts, within, k)
                first = runs.pop()[0] if runs and runs[-1][2] == some else k
                runs.append((first, k, some))
            return [run for run in runs if run[2]]

        def nest(
            depth: int,
            a_at: Value,
            b_at: Value,
            shifts: Shifts,
            ahead: int,
            k: Index,
            sums: list[Value],
        ) -> list[Value]:
            level = levels[depth]
            a_at, b_at = moved(a_at, b_at, *step(level, k))
            for i in range(ahead):
                sums = one(*moved(a_at, b_at, *step(level, i)), shifts, sums)
            for r in range(rows if ahead else 0):
                place = row_offsets[r] + kernel.s.prefetch * level.a
                emit.prefetch(b, emit.pointer(b, a_at, place, a_unit))
            return sums if ahead else walk(depth + 1, a_at, b_at, shifts, sums)

        def walk(
            depth: int,
            a_at: Value,
            b_at: Value,
            shifts: Shifts,
            sums: list[Value],
            count: Index | None = None,
        ) -> list[Value]:
            if depth == len(levels):
                return one(a_at, b_at, shifts, sums)
            level = levels[depth]
            if is_written(depth):
                taps = written(depth, shifts)
                live = {r for _, _, some in taps for r in some}
                together = (len(live) + len(taps)) * vectors + 1 < kernel.registers
                for group in [taps] if together else [[tap] for tap in taps]:
                    a_at = emit.renewed(b, a_at)
                    sums = add(a_at, b_at, group, sums)
                return sums
            runs = alike(depth, shifts)
            if level.spread or 1 < len(runs) <= 8:
                for first, last, some in runs:
                    body = partial(nest, depth, a_at, b_at, some, 0)
                    sums = emit.loop(b, first, last + 1, body, sums)
                return sums
            start: Index = 0
            if count is None:
                count = ranges[level.tap][1] if level.tap in ranges else level.extent
            if kernel.s.prefetch and depth == len(levels) - 1:
                start = emit.mul(b, emit.div(b, count, lanes), lanes)
                body = partial(nest, depth, a_at, b_at, shifts, lanes)
                sums = emit.loop(b, 0, start, body, sums, step=lanes)
            body = partial(nest, depth, a_at, b_at, shifts, 0)
            return emit.loop(b, start, count, body, sums)

        zeros = [zero] * (rows * vectors)
        inner = math.prod(level.extent for level in levels[1:])
        count = emit.div(b, kernel.k_count, inner)
        if self.segment:

            def segment(first: Index, length: Index) -> list[Value]:
                a_at, b_at = moved(a_base, b_base, *step(levels[0], first))
                return walk(0, a_at, b_at, whole, zeros, length)

            return self._in_segments(b, segment, count, zeros)
        return walk(0, a_base, b_base, whole, zeros, count)

    def _lanes_of_b(self, b: ir.IRBuilder, address: Value, mask: Value) -> Value:
        """A vector of B's row; where pairs are not packed they are put together here."""
        kernel = self.kernel
        if kernel.s.pack_b or kernel.spec.pairs is None:
            return emit.load(b, address, kernel.vector, mask)
        kind = ir.VectorType(kernel.b.element, kernel.lanes)
        second = emit.pointer(b, address, kernel.spec.b.pair, kernel.b.element)
        return emit.pairs(b, emit.load(b, address, kind, mask), emit.load(b, second, kind, mask))

    def _in_segments(
        self,
        b: ir.IRBuilder,
        segment: Callable[[Index, Index], list[Value]],
        count: Index,
        zeros: list[Value],
    ) -> list[Value]:
        """Sum a long k piece by piece; pieces meet in memory: rounding errors stay small."""
        kernel = self.kernel

        def place(i: int) -> Value:
            return emit.pointer(b, kernel.tile_memory, i * kernel.lanes, kernel.scalar)

        for i, x in enumerate(zeros):
            emit.store(b, x, place(i), None)

        def one(first: Index, _: list[Value]) -> list[Value]:
            left = emit.sub(b, count, first)
            for i, x in enumerate(segment(first, emit.minimum(b, self.segment, left))):
                before = emit.load(b, place(i), kernel.vector, None)
                emit.store(b, b.fadd(before, x), place(i), None)
            return []

        emit.loop(b, 0, count, one, step=self.segment)
        return [emit.load(b, place(i), kernel.vector, None) for i in range(len(zeros))]
