"""The native code of a contraction: tiles in registers over direct or packed operands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from llvmlite import ir

from . import emit
from .access import Access
from .emit import Index, Value
from .interface import PLAIN, Epilogue, Kernel
from .pack import Packer
from .pad import PadCopier, Padded, padded
from .schedule import Machine, Schedule, choose, prepared, structure
from .spec import Contraction, Operand
from .sums import Sums
from .taps import taps_of
from .tile import Tile

ALIGNMENT = 64
SIGNATURE = ir.FunctionType(
    ir.VoidType(), [emit.POINTER, emit.I64, emit.I64, emit.I64, emit.POINTER]
)


def build(
    module: ir.Module,
    name: str,
    spec: Contraction,
    epilogue: Epilogue = PLAIN,
    machine: Machine | None = None,
    schedule: Schedule | None = None,
) -> Kernel:
    """Add the function of a contraction to a module."""
    machine = machine or Machine()
    chosen_spec, chosen = choose(spec, machine)
    if schedule is not None:
        spec = prepared(spec, machine)
        chosen_spec, chosen = (spec.swapped() if schedule.swapped else spec), schedule
    return Builder(module, name, chosen_spec, epilogue, machine, chosen).build()


class Builder:
    """Writes one kernel: which part does what in which phase, from packing to the last store."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        spec: Contraction,
        epilogue: Epilogue,
        machine: Machine,
        schedule: Schedule,
    ):
        self.module, self.name, self.spec, self.epilogue = module, name, spec, epilogue
        self.s = schedule
        self.dtype = spec.accumulator
        self.lanes = machine.lanes(self.dtype.itemsize)
        self.registers = machine.registers
        self.scalar = emit.storage(self.dtype)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.B, self.M, self.N, self.K = spec.sizes
        self.wide = schedule.vectors * self.lanes
        self.a, self.b = Access(spec, spec.a), Access(spec, spec.b)
        self.outputs = [Access(spec, x) for x in spec.outputs]
        self.extras = [Access(spec, x) for x in spec.extras]

        def blocks(size: int, block: int) -> int:
            return -(-size // block) if block else 1

        s = schedule
        self.padding = padded(spec, spec.a) if schedule.pad else None
        if self.padding is not None:
            self.a = Access(spec, self.padding.operand)
            replace(spec, a=self.padding.operand)  # proves the addresses in the copy
        self.inner = schedule.inner or self.M
        self.taps = []
        if self.padding is not None:
            taps = taps_of(spec, self.padding.places, self.inner, s.rows)
            assert taps is not None
            self.taps = taps
        self.k_blocks = max(1, blocks(self.K, s.kc))
        self.m_blocks, self.n_blocks = blocks(self.M, s.mc), blocks(self.N, s.nc)
        self.b_blocks = blocks(self.B, s.bc)
        self.alone = False
        self.steps = self.k_blocks * self.m_blocks * self.n_blocks * self.b_blocks
        self.packs = schedule.pack_a or schedule.pack_b or schedule.pad
        self.a_panel = s.kc * s.rows
        self.b_panel = s.kc * self.wide
        self.a_matrix = blocks(s.mc, s.rows) * self.a_panel
        self.b_matrix = blocks(s.nc, self.wide) * self.b_panel
        itemsize = self.dtype.itemsize
        a_bytes = s.bc * self.a_matrix * itemsize if s.pack_a else 0
        if self.padding is not None:
            a_bytes = self._chunk_size() * self.padding.unit * itemsize
        self.slot = -(-a_bytes // ALIGNMENT) * ALIGNMENT
        # Steps that need nothing of each other but B: a part takes whole ones, with no barrier.
        self.streams = (
            self.padding is not None
            and self.padding.chunked == "m"
            and self.steps == self.m_blocks > 1
        )
        self.b_scratch = self.slot * (self.steps if self.streams else 1)
        b_bytes = s.bc * self.b_matrix * itemsize if s.pack_b else 0
        self.kept_scratch = self.b_scratch + -(-b_bytes // ALIGNMENT) * ALIGNMENT
        # Where the first output is too narrow, the sums of blocks of k meet in scratch memory.
        self.keeps = self.k_blocks > 1 and spec.outputs[0].dtype != self.dtype
        self.per_inner = -(-self.inner // s.rows)
        tiles = blocks(s.mc, s.rows)
        if 0 < s.inner < self.M:
            tiles = s.mc // self.inner * self.per_inner
        kept = s.bc * tiles * blocks(s.nc, self.wide) * s.rows * self.wide
        self.scratch = self.kept_scratch + (kept * itemsize if self.keeps else 0)

    def build(self) -> Kernel:
        """Add the function to the module."""
        function = ir.Function(self.module, SIGNATURE, self.name)
        function.attributes.add("nounwind")
        buffers, phase, self.part, self.parts, scratch = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        self.sums = Sums(self)
        if self.sums.segment:
            lanes = self.lanes
            room = max(self.s.rows * self.wide, self.wide * -(-self.s.rows // lanes) * lanes)
            self.tile_memory = b.alloca(ir.ArrayType(self.scalar, room))
            self.tile_memory.align = ALIGNMENT
            self.tile_memory.type = emit.POINTER
        self.buffers, self.entry = buffers, b
        phases = 0
        if self.B * self.M * self.N > 0:
            phases = self.steps * (2 if self.packs else 1)
            count = 2 + len(self.outputs) + len(self.extras)
            pointers = [
                b.load(emit.pointer(b, buffers, i, emit.POINTER), align=8, typ=emit.POINTER)
                for i in range(count)
            ]
            if self.s.swapped:
                pointers[:2] = pointers[1::-1]
            operands = [self.spec.a, self.spec.b, *self.spec.outputs, *self.spec.extras]
            self.pointers = [
                emit.pointer(b, p, x.offset, emit.storage(x.dtype))
                for p, x in zip(pointers, operands, strict=True)
            ]
            self._prepare(b)
            self.packed_a = scratch
            self.packed_b = emit.pointer(b, scratch, self.b_scratch, emit.I8)
            self.kept = emit.pointer(b, scratch, self.kept_scratch, emit.I8)
            step: Index = 0 if self.steps == 1 else emit.div(b, phase, 2 if self.packs else 1)
            if self.streams:
                phases = 1 + self.s.pack_b
                self._stream(b, phase)
                b.ret_void()
                return Kernel(self.name, phases, self.scratch, self.spec, self.s)
            self._decode_step(b, step)
            if self.packs:
                computing = b.icmp_unsigned("!=", b.and_(phase, emit.const(1)), emit.const(0))
                with b.if_else(computing) as (then, otherwise):
                    with then:
                        self._compute(b)
                    with otherwise:
                        self._pack(b)
            else:
                self._compute(b)
        b.ret_void()
        return Kernel(self.name, phases, self.scratch if phases else 0, self.spec, self.s)

    def _prepare(self, b: ir.IRBuilder) -> None:
        """Load the extras that are one element each, for the epilogue."""
        extras = [(i, x.operand) for i, x in enumerate(self.extras)]
        self.varying = [i for i, x in extras if any((*x.batch, *x.m, *x.n))]
        first = 2 + len(self.outputs)
        constants = []
        for i, x in extras:
            if i not in self.varying:
                size = x.dtype.itemsize
                value = b.load(self.pointers[first + i], align=size, typ=emit.storage(x.dtype))
                constants.append(value)
        self.prepared = self.epilogue.prepare(b, constants)

    def _stream(self, b: ir.IRBuilder, phase: Value) -> None:
        """One phase that packs B for all; then each part copies and computes its own steps.

        The copies of a part lie where those of its first step would: no two parts meet there.
        """
        assert self.padding is not None
        padding, packed_a = self.padding, self.packed_a

        def steps() -> None:
            first, last = self._share(b, self.steps)
            self.packed_a = emit.pointer(b, packed_a, emit.mul(b, first, self.slot), emit.I8)
            self.alone = True

            def one(step: Index, _: list[Value]) -> list[Value]:
                self._decode_step(b, step)
                self._pad(b, padding)
                self._compute(b)
                return []

            emit.loop(b, first, last, one)

        if not self.s.pack_b:
            steps()
            return
        computing = b.icmp_unsigned("!=", phase, emit.const(0))
        with b.if_else(computing) as (then, otherwise):
            with then:
                steps()
            with otherwise:
                self.alone = False
                self._decode_step(b, 0)
                self._pack_b(b)

    def _chunk_size(self) -> int:
        """How many values of the chunked index a step covers at most."""
        assert self.padding is not None
        if self.padding.chunked is None:
            return 1
        step = {"m": self.s.mc, "k": self.s.kc}[self.padding.chunked]
        inner = self.spec.size(self.padding.chunked) // self.padding.chunks
        return -(-step // inner)

    def _accesses(self) -> list[Access]:
        return [self.a, self.b, *self.outputs, *self.extras]

    def _decode_step(self, b: ir.IRBuilder, step: Index) -> None:
        s = self.s
        self.k_block = emit.rem(b, step, self.k_blocks)
        rest = emit.div(b, step, self.k_blocks)
        n_block = emit.rem(b, rest, self.n_blocks)
        rest = emit.div(b, rest, self.n_blocks)
        m_block = emit.rem(b, rest, self.m_blocks)
        b_block = emit.div(b, rest, self.m_blocks)

        def span(block: Index, size: int, total: int) -> tuple[Index, Index]:
            start = emit.mul(b, block, size)
            if total % size == 0:
                return start, min(size, total)
            return start, emit.minimum(b, size, emit.sub(b, total, start))

        self.k0, self.k_count = span(self.k_block, s.kc, self.K)
        self.n0, self.n_count = span(n_block, s.nc, self.N)
        self.m0, self.m_count = span(m_block, s.mc, self.M)
        self.b0, self.b_count = span(b_block, s.bc, self.B)
        self.m_block, self.step = m_block, step

    def _share(self, b: ir.IRBuilder, total: Index) -> tuple[Index, Index]:
        """The part's range of `total` pieces of work."""
        total = emit.const(total)
        if self.alone:
            return 0, total
        first = b.udiv(b.mul(total, self.part), self.parts)
        last = b.udiv(b.mul(total, b.add(self.part, emit.const(1))), self.parts)
        return first, last

    # Packing

    def _pack(self, b: ir.IRBuilder) -> None:
        s = self.s
        if self.padding is not None:
            self._pad(b, self.padding)
        if s.pack_a:
            self._pack_operand(
                b, 0, self.a, "m", s.rows, self.m0, self.m_count,
                self.packed_a, self.a_panel, self.a_matrix,
            )  # fmt: skip
        if s.pack_b:
            kept = self.steps > 1 and self.m_blocks == self.steps
            first = b.icmp_unsigned("==", emit.const(self.step), emit.const(0))
            with b.if_then(first) if kept else nullcontext():
                self._pack_b(b)

    def _pack_b(self, b: ir.IRBuilder) -> None:
        self._pack_operand(
            b, 1, self.b, "n", self.wide, self.n0, self.n_count,
            self.packed_b, self.b_panel, self.b_matrix,
        )  # fmt: skip

    def _pad(self, b: ir.IRBuilder, plan: Padded) -> None:
        copier = PadCopier(self.spec, plan, self.lanes, self.scalar)
        start, count = self._chunk()
        total = emit.mul(b, count, copier.per_chunk)
        if plan.chunked is None and self.steps > 1:
            done = b.icmp_unsigned("!=", emit.const(self.step), emit.const(0))
            total = b.select(done, emit.const(0), emit.const(total))
        first, last = self._share(b, total)

        def one(u: Index, _: list[Value]) -> list[Value]:
            copier.copy(b, self.pointers[0], self.packed_a, start, u)
            return []

        emit.loop(b, first, last, one)

    def _chunk(self) -> tuple[Index, Index]:
        """The first value and the number of values of the chunked index in this step."""
        assert self.padding is not None
        if self.padding.chunked is None:
            return 0, 1
        start, count = {"m": (self.m0, self.m_count), "k": (self.k0, self.k_count)}[
            self.padding.chunked
        ]
        inner = self.spec.size(self.padding.chunked) // self.padding.chunks
        return emit.div(self.entry, start, inner), emit.div(self.entry, count, inner)

    def _pack_operand(
        self,
        b: ir.IRBuilder,
        number: int,
        access: Access,
        group: str,
        width: int,
        start: Index,
        count: Index,
        target: Value,
        panel_size: int,
        matrix_size: int,
    ) -> None:
        packer = Packer(self.spec, access.operand, group, width, self.lanes, self.scalar)
        panels = emit.ceil_div(b, count, width)
        first, last = self._share(b, emit.mul(b, self.b_count, panels))

        def one(u: Index, _: list[Value]) -> list[Value]:
            matrix, panel = emit.div(b, u, panels), emit.rem(b, u, panels)
            base = self._at_batch(b, number, emit.add(b, self.b0, matrix))
            place = emit.add(b, emit.mul(b, matrix, matrix_size), emit.mul(b, panel, panel_size))
            into = emit.pointer(b, target, place, self.scalar)
            index = emit.add(b, start, emit.mul(b, panel, width))
            packer.panel(b, base, index, self.k0, self.k_count, into)
            return []

        emit.loop(b, first, last, one)

    def _with_tail(
        self,
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

    def _at_batch(self, b: ir.IRBuilder, number: int, batch: Index) -> Value:
        access = self._accesses()[number]
        return emit.pointer(
            b, self.pointers[number], access.offset(b, "batch", batch), access.element
        )

    # Computing

    def _compute(self, b: ir.IRBuilder) -> None:
        s = self.s
        if 0 < s.inner < self.M:
            tiles = emit.mul(b, emit.div(b, self.m_count, self.inner), self.per_inner)
        else:
            tiles = emit.ceil_div(b, self.m_count, s.rows)
        panels = emit.ceil_div(b, self.n_count, self.wide)
        per_matrix = emit.mul(b, tiles, panels)
        first, last = self._share(b, emit.mul(b, self.b_count, per_matrix))

        def one(u: Index, _: list[Value]) -> list[Value]:
            matrix, rest = emit.div(b, u, per_matrix), emit.rem(b, u, per_matrix)
            whole = emit.mul(b, panels, s.block)
            block, rest = emit.div(b, rest, whole), emit.rem(b, rest, whole)
            first_tile = emit.mul(b, block, s.block)
            height = emit.minimum(b, s.block, emit.sub(b, tiles, first_tile))
            panel, tile = emit.div(b, rest, height), emit.rem(b, rest, height)
            tile = emit.add(b, tile, first_tile)
            self.tile_number = u
            self._tile_of(b, matrix, tile, panel)
            return []

        emit.loop(b, first, last, one)

    def _tile_of(self, b: ir.IRBuilder, matrix: Index, tile: Index, panel: Index) -> None:
        s = self.s
        batch = emit.add(b, self.b0, matrix)
        if 0 < s.inner < self.M:
            outer, within = emit.div(b, tile, self.per_inner), emit.rem(b, tile, self.per_inner)
            within = emit.mul(b, within, s.rows)
            m = emit.add(b, self.m0, emit.add(b, emit.mul(b, outer, self.inner), within))
        else:
            m = within = emit.add(b, self.m0, emit.mul(b, tile, s.rows))
        n = emit.add(b, self.n0, emit.mul(b, panel, self.wide))
        bases = [self._at_batch(b, i, batch) for i in range(len(self.pointers))]
        if s.pack_a:
            place = emit.add(b, emit.mul(b, matrix, self.a_matrix), emit.mul(b, tile, self.a_panel))
            a_base = emit.pointer(b, self.packed_a, place, self.scalar)
        else:
            if self.padding is not None:
                start = self._chunk()[0] if self.padding.chunked else 0
                back = emit.sub(b, 0, emit.mul(b, start, self.padding.unit))
                a_base = emit.pointer(b, self.packed_a, back, self.scalar)
                a_base = emit.pointer(b, a_base, self.a.operand.offset, self.scalar)
                batch_at = self.a.offset(b, "batch", batch)
                a_base = emit.pointer(b, a_base, batch_at, self.scalar)
            else:
                a_base = bases[0]
            place = emit.add(b, self.a.offset(b, "m", m), self.a.offset(b, "k", self.k0))
            for tap in self.taps:
                if tap.step > 1 and not tap.fixed:
                    place = emit.add(b, place, tap.base(b, m))
            a_base = emit.pointer(b, a_base, place, self.a.element)
        if s.pack_b:
            place = emit.add(
                b, emit.mul(b, matrix, self.b_matrix), emit.mul(b, panel, self.b_panel)
            )
            b_base = emit.pointer(b, self.packed_b, place, self.scalar)
        else:
            place = emit.add(b, n, self.b.offset(b, "k", self.k0))
            b_base = emit.pointer(b, bases[1], place, self.b.element)

        def rows_known(rows: int, start: int) -> None:
            def columns_known(columns: int, _: int) -> None:
                sums = self.sums.of(b, rows, columns, a_base, b_base, m, start)
                tile = Tile(self, rows, columns, batch, m, n, bases)
                if self.keeps:
                    self._keep_or_finish(b, tile, sums)
                else:
                    self._finish(b, tile, sums)

            self._with_tail(b, n, self.N, self.wide, self.N % self.wide, columns_known)

        tail = self.inner % s.rows
        if self.inner == 2 * s.rows and any(tap.exact for tap in self.taps):
            tail = s.rows
        self._with_tail(b, within, self.inner, s.rows, tail, rows_known)

    def steady(self, x: Operand) -> bool:
        """Whether the steps along m inside a tile are the same in every tile."""
        if not self.s.inner:
            return False
        plain = structure(self.spec, self.a.operand, self.s.turn)
        return len(structure(self.spec, self.a.operand, self.s.turn, x)) == len(plain)

    def _keep_or_finish(self, b: ir.IRBuilder, tile: Tile, sums: list[Value]) -> None:
        """Add what earlier blocks of k left in scratch memory; the last block writes the tile."""
        at = emit.mul(b, self.tile_number, self.s.rows * self.wide)
        places = [
            emit.pointer(b, self.kept, emit.add(b, at, i * self.lanes), self.scalar)
            for i in range(len(sums))
        ]
        sums = self._added_later(
            b, sums, lambda: [emit.load(b, place, self.vector, None) for place in places]
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
        with b.if_then(b.icmp_unsigned("!=", emit.const(self.k_block), emit.const(0))):
            added = [b.fadd(x, old) for x, old in zip(sums, earlier(), strict=True)]
            inside = b.block
        merged = []
        for x, y in zip(sums, added, strict=True):
            phi = b.phi(self.vector)
            phi.add_incoming(x, before)
            phi.add_incoming(y, inside)
            merged.append(phi)
        return merged

    def _is_last(self, b: ir.IRBuilder) -> Value:
        """Whether this is the last block of k."""
        return b.icmp_unsigned("==", emit.const(self.k_block), emit.const(self.k_blocks - 1))

    def _finish(self, b: ir.IRBuilder, tile: Tile, sums: list[Value]) -> None:
        """Store the sums, added to what the output holds, or hand them over to the epilogue."""
        if self.s.turn:
            sums = tile.turned(b, sums)

        if self.spec.accumulate:
            sums = [b.fadd(x, old) for x, old in zip(sums, tile.sums(b), strict=True)]
        elif self.k_blocks > 1 and not self.keeps:
            sums = self._added_later(b, sums, partial(tile.sums, b))

        if self.epilogue is PLAIN:
            tile.store_sums(b, sums)
        elif self.k_blocks == 1 or self.keeps:
            tile.finish(b, sums)
        else:
            with b.if_else(self._is_last(b)) as (then, otherwise):
                with then:
                    tile.finish(b, sums)
                with otherwise:
                    tile.store_sums(b, sums)
