"""The macrokernel: the phase that computes, tile by tile, from the operands to the last store."""

from __future__ import annotations

from collections.abc import Callable

from ..llvm.builder import Function, Index, Value
from .frame import Frame, Step
from .interface import PLAIN
from .microkernel import Microkernel
from .tile import Tile


class Macrokernel:
    """Writes the tiles of one step."""

    def __init__(self, frame: Frame, step: Step):
        self.frame, self.layout, self.f = frame, frame.layout, frame.f
        self.step = step

    def all(self) -> None:
        """All tiles of the step that are this part's."""
        layout, f, step, block = self.layout, self.f, self.step, self.layout.schedule.block
        if layout.in_pieces:
            tiles = step.m[1] // layout.inner * layout.per_inner
        else:
            tiles = (step.m[1] + (layout.schedule.rows - 1)) // layout.schedule.rows
        panels = (step.n[1] + (layout.wide - 1)) // layout.wide
        per_matrix = tiles * panels

        def one(u: Index) -> None:
            matrix, rest = u // per_matrix, u % per_matrix
            whole = panels * block
            number, rest = rest // whole, rest % whole
            first_tile = number * block
            height = f.minimum(block, tiles - first_tile)
            panel, tile = rest // height, rest % height + first_tile
            self._tile(u, matrix, tile, panel)

        f.repeat(*self.frame.share.of(step.batch[1] * per_matrix), one)

    def _tile(self, number: Index, matrix: Index, tile: Index, panel: Index) -> None:
        """The tile of a number in the step: where it is, then by how much of it there is."""
        layout, f, step, s = self.layout, self.f, self.step, self.layout.schedule
        batch = step.batch[0] + matrix
        if layout.in_pieces:
            outer, within = tile // layout.per_inner, tile % layout.per_inner * s.rows
            m = step.m[0] + (outer * layout.inner + within)
        else:
            m = within = step.m[0] + tile * s.rows
        n = step.n[0] + panel * layout.wide
        operands = range(len(self.frame.pointers))
        bases = [self.frame.matrix(i, batch) for i in operands]
        a_base = self._a_base(bases[0], batch, matrix, tile, m)
        b_base = self._b_base(bases[1], matrix, panel, n)
        size = layout.spec.sizes[2]

        def rows_known(rows: int, start: int) -> None:
            def columns_known(columns: int, _: int) -> None:
                sums = Microkernel(f, layout, self.frame.nest, rows, columns, m, start)
                found = sums.all(a_base, b_base, step.k[1], self.frame.segments)
                done = Tile(f, layout, rows, columns, m, n, bases[2:])
                if layout.keeps:
                    self._keep_or_finish(number, done, found)
                else:
                    self._finish(done, found)

            _with_tail(f, n, size, layout.wide, size % layout.wide, columns_known)

        tail = layout.inner % s.rows
        if layout.inner == 2 * s.rows and any(tap.exact for tap in layout.taps):
            tail = s.rows
        _with_tail(f, within, layout.inner, s.rows, tail, rows_known)

    def _a_base(self, base: Value, batch: Index, matrix: Index, tile: Index, m: Index) -> Value:
        """Where a tile's A begins."""
        layout, scalar, frame = self.layout, self.layout.scalar, self.frame
        if layout.schedule.pack_a:
            place = matrix * layout.a_matrix + tile * layout.a_panel
            return frame.packed_a.at(place, scalar)
        if layout.padding is not None:
            start = frame.chunk(self.step)[0] if layout.padding.chunked else 0
            base = frame.packed_a.at(0 - start * layout.padding.unit, scalar)
            base = base.at(layout.a.operand.offset, scalar)
            base = base.at(layout.a.offset("batch", batch), scalar)
        place = layout.a.offset("m", m) + layout.a.offset("k", self.step.k[0])
        for tap in layout.taps:
            if tap.step > 1 and not tap.fixed:
                place = place + tap.base(m)
        return base.at(place, layout.a.element)

    def _b_base(self, base: Value, matrix: Index, panel: Index, n: Index) -> Value:
        """Where a tile's B begins."""
        layout = self.layout
        if layout.schedule.pack_b:
            place = matrix * layout.b_matrix + panel * layout.b_panel
            return self.frame.packed_b.at(place, layout.scalar)
        return base.at(n + layout.b.offset("k", self.step.k[0]), layout.b.element)

    # -- finished sums ------------------------------------------------------------------------

    def _keep_or_finish(self, number: Index, tile: Tile, sums: list[Value]) -> None:
        """Add what earlier blocks of k left in scratch memory; the last block writes the tile."""
        layout, f = self.layout, self.f
        at = number * (layout.schedule.rows * layout.wide)
        places = [
            self.frame.kept.at(at + i * layout.lanes, layout.scalar) for i in range(len(sums))
        ]
        sums = self._added_later(sums, lambda: [f.load(layout.vector, x) for x in places])
        with f.either(self._is_last()) as (then, otherwise):
            with then:
                self._finish(tile, sums)
            with otherwise:
                for x, place in zip(sums, places, strict=True):
                    f.store(x, place)

    def _added_later(self, sums: list[Value], earlier: Callable[[], list[Value]]) -> list[Value]:
        """The sums, from the second block of k on with the earlier ones added."""
        f = self.f
        before = f.here
        with f.when(f.index(self.step.k_block).compare("ne", 0)):
            added = [x.op("fadd", old) for x, old in zip(sums, earlier(), strict=True)]
            inside = f.here
        return [f.phi((x, before), (y, inside)) for x, y in zip(sums, added, strict=True)]

    def _is_last(self) -> Value:
        """Whether this is the last block of k."""
        return self.f.index(self.step.k_block).compare("eq", self.layout.k_blocks - 1)

    def _finish(self, tile: Tile, sums: list[Value]) -> None:
        """Store the sums, or hand them over to the epilogue after the last block of k."""
        layout = self.layout
        if layout.schedule.turn:
            sums = tile.turned(sums)

        if layout.k_blocks > 1 and not layout.keeps:
            sums = self._added_later(sums, tile.sums)
        if self.frame.epilogue is PLAIN:
            tile.store_sums(sums)
        elif layout.k_blocks == 1 or layout.keeps:
            tile.finish(sums, self.frame.epilogue, self.frame.prepared)
        else:
            with self.f.either(self._is_last()) as (then, otherwise):
                with then:
                    tile.finish(sums, self.frame.epilogue, self.frame.prepared)
                with otherwise:
                    tile.store_sums(sums)


def _with_tail(
    f: Function, index: Index, size: int, width: int, tail: int, body: Callable[[int, int], None]
) -> None:
    """The body for a whole piece of a size, or for the last one, if that has a length `tail`.

    It is given the length and where the piece begins, if there are no more than two.
    """
    if tail == 0:
        body(width, 0)
    elif size <= width:
        body(tail, 0)
    else:
        last = f.index(index).compare("ge", size - tail, signed=False)
        with f.either(last) as (then, otherwise):
            with then:
                body(tail, size - tail)
            with otherwise:
                body(width, 0)
