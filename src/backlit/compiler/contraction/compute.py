"""The phase that computes: tile by tile the sums, from the operands to the last store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from llvmlite import ir

from . import emit
from .emit import Index, Value
from .frame import Frame, Step, at_batch, chunk_of
from .interface import PLAIN, Epilogue
from .layout import Layout
from .sums import Nest, Sums
from .tile import Tile


class Computation:
    """Writes the tiles of one step."""

    def __init__(self, layout: Layout, nest: Nest, epilogue: Epilogue, frame: Frame, step: Step):
        self.layout = layout
        self.nest = nest
        self.epilogue = epilogue
        self.frame = frame
        self.step = step

    def all(self, b: ir.IRBuilder) -> None:
        """All tiles of the step that are this part's."""
        layout, block = self.layout, self.layout.schedule.block
        if layout.in_pieces:
            pieces = emit.div(b, self.step.m[1], layout.inner)
            tiles = emit.mul(b, pieces, layout.per_inner)
        else:
            tiles = emit.ceil_div(b, self.step.m[1], layout.schedule.rows)
        panels = emit.ceil_div(b, self.step.n[1], layout.wide)
        per_matrix = emit.mul(b, tiles, panels)
        first, last = self.frame.share.of(b, emit.mul(b, self.step.batch[1], per_matrix))

        def one(u: Index, _: list[Value]) -> list[Value]:
            matrix, rest = emit.div(b, u, per_matrix), emit.rem(b, u, per_matrix)
            whole = emit.mul(b, panels, block)
            number, rest = emit.div(b, rest, whole), emit.rem(b, rest, whole)
            first_tile = emit.mul(b, number, block)
            height = emit.minimum(b, block, emit.sub(b, tiles, first_tile))
            panel, tile = emit.div(b, rest, height), emit.rem(b, rest, height)
            tile = emit.add(b, tile, first_tile)
            self._tile(b, u, matrix, tile, panel)
            return []

        emit.loop(b, first, last, one)

    def _tile(
        self, b: ir.IRBuilder, number: Index, matrix: Index, tile: Index, panel: Index
    ) -> None:
        """The tile of a number in the step: where it is, then by how much of it there is."""
        layout, step, s = self.layout, self.step, self.layout.schedule
        batch = emit.add(b, step.batch[0], matrix)
        if layout.in_pieces:
            outer = emit.div(b, tile, layout.per_inner)
            within = emit.rem(b, tile, layout.per_inner)
            within = emit.mul(b, within, s.rows)
            m = emit.add(b, step.m[0], emit.add(b, emit.mul(b, outer, layout.inner), within))
        else:
            m = within = emit.add(b, step.m[0], emit.mul(b, tile, s.rows))
        n = emit.add(b, step.n[0], emit.mul(b, panel, layout.wide))
        operands = range(len(self.frame.pointers))
        bases = [at_batch(b, layout, self.frame, i, batch) for i in operands]
        a_base = self._a_base(b, bases[0], batch, matrix, tile, m)
        b_base = self._b_base(b, bases[1], matrix, panel, n)
        size = layout.spec.sizes[2]

        def rows_known(rows: int, start: int) -> None:
            def columns_known(columns: int, _: int) -> None:
                sums = Sums(layout, self.nest, b, rows, columns, m, start)
                found = sums.all(a_base, b_base, step.k[1], self.frame.segments)
                done = Tile(layout, rows, columns, m, n, bases[2:])
                if layout.keeps:
                    self._keep_or_finish(b, number, done, found)
                else:
                    self._finish(b, done, found)

            _with_tail(b, n, size, layout.wide, size % layout.wide, columns_known)

        tail = layout.inner % s.rows
        if layout.inner == 2 * s.rows and any(tap.exact for tap in layout.taps):
            tail = s.rows
        _with_tail(b, within, layout.inner, s.rows, tail, rows_known)

    def _a_base(
        self, b: ir.IRBuilder, base: Value, batch: Index, matrix: Index, tile: Index, m: Index
    ) -> Value:
        """Where a tile's A begins."""
        layout, scalar, frame = self.layout, self.layout.scalar, self.frame
        if layout.schedule.pack_a:
            place = emit.mul(b, matrix, layout.a_matrix)
            place = emit.add(b, place, emit.mul(b, tile, layout.a_panel))
            return emit.pointer(b, frame.packed_a, place, scalar)
        if layout.padding is not None:
            start = chunk_of(b, layout, self.step)[0] if layout.padding.chunked else 0
            back = emit.sub(b, 0, emit.mul(b, start, layout.padding.unit))
            base = emit.pointer(b, frame.packed_a, back, scalar)
            base = emit.pointer(b, base, layout.a.operand.offset, scalar)
            base = emit.pointer(b, base, layout.a.offset(b, "batch", batch), scalar)
        place = emit.add(b, layout.a.offset(b, "m", m), layout.a.offset(b, "k", self.step.k[0]))
        for tap in layout.taps:
            if tap.step > 1 and not tap.fixed:
                place = emit.add(b, place, tap.base(b, m))
        return emit.pointer(b, base, place, layout.a.element)

    def _b_base(self, b: ir.IRBuilder, base: Value, matrix: Index, panel: Index, n: Index) -> Value:
        """Where a tile's B begins."""
        layout = self.layout
        if layout.schedule.pack_b:
            place = emit.mul(b, matrix, layout.b_matrix)
            place = emit.add(b, place, emit.mul(b, panel, layout.b_panel))
            return emit.pointer(b, self.frame.packed_b, place, layout.scalar)
        place = emit.add(b, n, layout.b.offset(b, "k", self.step.k[0]))
        return emit.pointer(b, base, place, layout.b.element)

    # -- finished sums ------------------------------------------------------------------------

    def _keep_or_finish(
        self, b: ir.IRBuilder, number: Index, tile: Tile, sums: list[Value]
    ) -> None:
        """Add what earlier blocks of k left in scratch memory; the last block writes the tile."""
        layout = self.layout
        at = emit.mul(b, number, layout.schedule.rows * layout.wide)
        places = [
            emit.pointer(b, self.frame.kept, emit.add(b, at, i * layout.lanes), layout.scalar)
            for i in range(len(sums))
        ]
        sums = self._added_later(
            b, sums, lambda: [emit.load(b, place, layout.vector, None) for place in places]
        )
        with b.if_else(self._is_last(b)) as (then, otherwise):
            with then:
                self._finish(b, tile, sums)
            with otherwise:
                for x, place in zip(sums, places, strict=True):
                    emit.store(b, x, place, None)

    def _added_later(
        self, b: ir.IRBuilder, sums: list[Value], earlier: Callable[[], list[Value]]
    ) -> list[Value]:
        """The sums, from the second block of k on with the earlier ones added."""
        before = b.block
        later = b.icmp_unsigned("!=", emit.const(self.step.k_block), emit.const(0))
        with b.if_then(later):
            added = [b.fadd(x, old) for x, old in zip(sums, earlier(), strict=True)]
            inside = b.block
        merged = []
        for x, y in zip(sums, added, strict=True):
            phi = b.phi(self.layout.vector)
            phi.add_incoming(x, before)
            phi.add_incoming(y, inside)
            merged.append(phi)
        return merged

    def _is_last(self, b: ir.IRBuilder) -> Value:
        """Whether this is the last block of k."""
        last = emit.const(self.layout.k_blocks - 1)
        return b.icmp_unsigned("==", emit.const(self.step.k_block), last)

    def _finish(self, b: ir.IRBuilder, tile: Tile, sums: list[Value]) -> None:
        """Store the sums, added to what the output holds, or hand them over to the epilogue."""
        layout = self.layout
        if layout.schedule.turn:
            sums = tile.turned(b, sums)

        if layout.spec.accumulate:
            sums = [b.fadd(x, old) for x, old in zip(sums, tile.sums(b), strict=True)]
        elif layout.k_blocks > 1 and not layout.keeps:
            sums = self._added_later(b, sums, partial(tile.sums, b))

        if self.epilogue is PLAIN:
            tile.store_sums(b, sums)
        elif layout.k_blocks == 1 or layout.keeps:
            tile.finish(b, sums, self.epilogue, self.frame.prepared)
        else:
            with b.if_else(self._is_last(b)) as (then, otherwise):
                with then:
                    tile.finish(b, sums, self.epilogue, self.frame.prepared)
                with otherwise:
                    tile.store_sums(b, sums)


def _with_tail(
    b: ir.IRBuilder,
    index: Index,
    size: int,
    width: int,
    tail: int,
    body: Callable[[int, int], None],
) -> None:
    """The body for a whole piece of a size, or for the last one, if that has a length `tail`.

    It is given the length and where the piece begins, if there are no more than two.
    """
    if tail == 0:
        body(width, 0)
    elif size <= width:
        body(tail, 0)
    else:
        last = b.icmp_unsigned(">=", emit.const(index), emit.const(size - tail))
        with b.if_else(last) as (then, otherwise):
            with then:
                body(tail, size - tail)
            with otherwise:
                body(width, 0)
