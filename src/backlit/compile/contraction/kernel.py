"""The native code of a contraction: tiles in registers over direct or packed operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from llvmlite import ir

from . import emit
from .access import Access
from .emit import Index, Value
from .pack import Packer
from .pad import PadCopier, Padded, padded, simplified
from .schedule import Machine, Schedule, choose, structure
from .spec import Contraction, Operand, merge

ALIGNMENT = 64
#: Products added up in one register before the sum moves on.
SEGMENT = 512


@dataclass(frozen=True)
class Epilogue:
    """What becomes of a sum before it is stored.

    `emit(builder, value, extras)` gets a vector of sums and one vector for each extra operand at
    the same indices (floating ones in the accumulator's type, bool as i1, integers as they are) and
    returns one vector for each output, in the accumulator's type (i1 for bool outputs). Equal keys
    must mean equal code.
    """

    key: Hashable
    emit: Callable[[ir.IRBuilder, Value, list[Value]], list[Value]]


@dataclass(frozen=True)
class Consumer:
    """A function that takes finished tiles instead of a store.

        void name(ptr buffers, ptr tile, i64 stride, i64 batch, i64 m, i64 n, i64 rows, i64 columns)

    The sum for the flat indices (batch, m + r, n + c) is tile[r · stride + c], in the accumulator's
    type, for r < rows and c < columns. Every index comes exactly once; tiles of several parts come
    at the same time. The function writes the outputs (of which the first may hold unfinished sums
    before) and is defined by whoever links the module, best in the same module to be inlined.
    """

    name: str

    @property
    def key(self) -> Hashable:
        """Equal keys mean equal code."""
        return ("consumer", self.name)


PLAIN = Epilogue("store", lambda builder, value, extras: [value])


@dataclass(frozen=True)
class Kernel:
    """A function `void name(ptr buffers, i64 phase, i64 part, i64 parts, ptr scratch)` in a module.

    Run every phase from 0 to phases - 1 with every part from 0 to parts - 1, parts in any order or
    at once, with a barrier between phases. The result does not depend on `parts`. `scratch` points
    to that many bytes, aligned to 64, shared by all parts; its contents need not be kept.
    """

    name: str
    phases: int
    scratch: int
    spec: Contraction
    schedule: Schedule


SIGNATURE = ir.FunctionType(
    ir.VoidType(), [emit.POINTER, emit.I64, emit.I64, emit.I64, emit.POINTER]
)


def build(
    module: ir.Module,
    name: str,
    spec: Contraction,
    epilogue: Epilogue | Consumer = PLAIN,
    machine: Machine | None = None,
    schedule: Schedule | None = None,
) -> Kernel:
    """Add the function of a contraction to a module."""
    machine = machine or Machine()
    chosen_spec, chosen = choose(spec, machine)
    if schedule is not None:
        spec = simplified(spec)
        chosen_spec, chosen = (spec.swapped() if schedule.swapped else spec), schedule
    if isinstance(epilogue, Consumer):
        chosen = replace(chosen, turn=chosen.swapped)
    return _Builder(module, name, chosen_spec, epilogue, machine, chosen).build()


class _Builder:
    def __init__(
        self,
        module: ir.Module,
        name: str,
        spec: Contraction,
        epilogue: Epilogue | Consumer,
        machine: Machine,
        schedule: Schedule,
    ):
        self.module, self.name, self.spec, self.epilogue = module, name, spec, epilogue
        self.s = schedule
        self.dtype = spec.accumulator
        self.lanes = machine.lanes(self.dtype.itemsize)
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
        self.scratch = self.b_scratch + (s.bc * self.b_matrix * itemsize if s.pack_b else 0)

    def build(self) -> Kernel:
        function = ir.Function(self.module, SIGNATURE, self.name)
        function.attributes.add("nounwind")
        buffers, phase, self.part, self.parts, scratch = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        inner = math.prod(e for e, _, _ in self._k_dims()[1:])
        self.segment = max(1, SEGMENT // inner) if self.s.kc > 2 * SEGMENT else 0
        if self.segment or isinstance(self.epilogue, Consumer):
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
            self.packed_a = scratch
            self.packed_b = emit.pointer(b, scratch, self.b_scratch, emit.I8)
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
        copier = PadCopier(plan, self.spec.a, self.lanes, self.scalar)
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
        body: Callable[[int], None],
    ) -> None:
        """The body for a whole piece of a size, or for the shorter last one."""
        if tail == 0:
            body(width)
        elif size < width:
            body(tail)
        else:
            last = b.icmp_unsigned(">", emit.const(index), emit.const(size - width))
            with b.if_else(last) as (then, otherwise):
                with then:
                    body(tail)
                with otherwise:
                    body(width)

    def _at_batch(self, b: ir.IRBuilder, number: int, batch: Index) -> Value:
        access = self._accesses()[number]
        return emit.pointer(
            b, self.pointers[number], access.offset(b, "batch", batch), access.element
        )

    # Computing

    def _compute(self, b: ir.IRBuilder) -> None:
        s = self.s
        self.per_inner = -(-self.inner // s.rows)
        if s.inner:
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
            self._tile_of(b, matrix, tile, panel)
            return []

        emit.loop(b, first, last, one)

    def _tile_of(self, b: ir.IRBuilder, matrix: Index, tile: Index, panel: Index) -> None:
        s = self.s
        batch = emit.add(b, self.b0, matrix)
        if s.inner:
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
            a_base = emit.pointer(b, a_base, place, self.scalar)
        if s.pack_b:
            place = emit.add(
                b, emit.mul(b, matrix, self.b_matrix), emit.mul(b, panel, self.b_panel)
            )
            b_base = emit.pointer(b, self.packed_b, place, self.scalar)
        else:
            place = emit.add(b, n, self.b.offset(b, "k", self.k0))
            b_base = emit.pointer(b, bases[1], place, self.scalar)

        def rows_known(rows: int) -> None:
            def columns_known(columns: int) -> None:
                self._tile(b, rows, columns, batch, m, n, bases, a_base, b_base)

            self._with_tail(b, n, self.N, self.wide, self.N % self.wide, columns_known)

        self._with_tail(b, within, self.inner, s.rows, self.inner % s.rows, rows_known)

    def steady(self, x: Operand) -> bool:
        """Whether the steps along m inside a tile are the same in every tile."""
        if not self.s.inner:
            return False
        plain = structure(self.spec, self.a.operand, self.s.turn)
        return len(structure(self.spec, self.a.operand, self.s.turn, x)) == len(plain)

    def _k_dims(self) -> list[tuple[int, ...]]:
        """(extent, step in A, step in B) of the indices of k that are stepped through as one."""
        extents = self.spec.k

        def steps(packed: bool, width: int, access: Access) -> tuple[int, ...]:
            if not packed:
                return access.operand.k or (0,) * len(extents)
            return tuple(width * math.prod(extents[i + 1 :]) for i in range(len(extents)))

        a = steps(self.s.pack_a, self.s.rows, self.a)
        right = steps(self.s.pack_b, self.wide, self.b)
        if self.K == 0:
            return [(0, 0, 0)]
        return merge(extents, a, right) or [(1, 0, 0)]

    def _tile(
        self,
        b: ir.IRBuilder,
        rows: int,
        columns: int,
        batch: Index,
        m: Index,
        n: Index,
        bases: list[Value],
        a_base: Value,
        b_base: Value,
    ) -> None:
        vectors = -(-columns // self.lanes)
        masks = [
            None if self.s.pack_b else emit.tail_mask(columns - v * self.lanes, self.lanes)
            for v in range(vectors)
        ]
        zero = ir.Constant(self.vector, None)
        if self.s.pack_a:
            row_offsets = list(range(rows))
        else:
            row_offsets = [self.a.local("m", r) for r in range(rows)]
        dims = self._k_dims()

        def one(a_at: Value, b_at: Value, sums: list[Value]) -> list[Value]:
            row_of_b = []
            for v in range(vectors):
                address = emit.pointer(b, b_at, v * self.lanes, self.scalar)
                row_of_b.append(emit.load(b, address, self.vector, masks[v]))
            sums = list(sums)
            for r in range(rows):
                address = emit.pointer(b, a_at, row_offsets[r], self.scalar)
                value = b.load(address, align=self.dtype.itemsize, typ=self.scalar)
                value = emit.splat(b, value, self.lanes)
                for v in range(vectors):
                    at = r * vectors + v
                    sums[at] = emit.fma(b, value, row_of_b[v], sums[at])
            return sums

        def moved(a_at: Value, b_at: Value, level: int, k: Index) -> tuple[Value, Value]:
            _, a_k, b_k = dims[level]
            return (
                emit.pointer(b, a_at, emit.mul(b, k, a_k), self.scalar),
                emit.pointer(b, b_at, emit.mul(b, k, b_k), self.scalar),
            )

        def nest(
            level: int, a_at: Value, b_at: Value, unrolled: int, k: Index, sums: list[Value]
        ) -> list[Value]:
            a_at, b_at = moved(a_at, b_at, level, k)
            if unrolled > 1 and level == len(dims) - 1:
                for ahead in range(unrolled):
                    sums = one(*moved(a_at, b_at, level, ahead), sums)
                for r in range(rows):
                    place = row_offsets[r] + self.s.prefetch * dims[level][1]
                    emit.prefetch(b, emit.pointer(b, a_at, place, self.scalar))
                return sums
            if level == len(dims) - 1:
                return one(a_at, b_at, sums)
            return walk(level + 1, a_at, b_at, dims[level + 1][0], sums)

        def walk(
            level: int, a_at: Value, b_at: Value, count: Index, sums: list[Value]
        ) -> list[Value]:
            start: Index = 0
            inside = math.prod(e for e, _, _ in dims[level:])
            if level > 0 and inside <= 16 and inside * rows * vectors <= 100:
                for k in range(count):
                    a_at = emit.renewed(b, a_at)
                    sums = nest(level, a_at, b_at, 1, k, sums)
                return sums
            if self.s.prefetch and level == len(dims) - 1:
                step = self.lanes
                start = emit.mul(b, emit.div(b, count, step), step)
                body = partial(nest, level, a_at, b_at, step)
                sums = emit.loop(b, 0, start, body, sums, step=step)
            return emit.loop(b, start, count, partial(nest, level, a_at, b_at, 1), sums)

        zeros = [zero] * (rows * vectors)
        inner = math.prod(e for e, _, _ in dims[1:])
        count = emit.div(b, self.k_count, inner)
        if self.segment:

            def segment(first: Index, length: Index) -> list[Value]:
                return walk(0, *moved(a_base, b_base, 0, first), length, zeros)

            sums = self._in_segments(b, segment, count, zeros)
        else:
            sums = walk(0, a_base, b_base, count, zeros)
        self._finish(b, rows, columns, sums, batch, m, n, bases)

    def _in_segments(
        self,
        b: ir.IRBuilder,
        segment: Callable[[Index, Index], list[Value]],
        count: Index,
        zeros: list[Value],
    ) -> list[Value]:
        """Sum a long k piece by piece; pieces meet in memory: rounding errors stay small."""

        def place(i: int) -> Value:
            return emit.pointer(b, self.tile_memory, i * self.lanes, self.scalar)

        for i, x in enumerate(zeros):
            emit.store(b, x, place(i), None)

        def one(first: Index, _: list[Value]) -> list[Value]:
            left = emit.sub(b, count, first)
            for i, x in enumerate(segment(first, emit.minimum(b, self.segment, left))):
                before = emit.load(b, place(i), self.vector, None)
                emit.store(b, b.fadd(before, x), place(i), None)
            return []

        emit.loop(b, 0, count, one, step=self.segment)
        return [emit.load(b, place(i), self.vector, None) for i in range(len(zeros))]

    def _finish(
        self,
        b: ir.IRBuilder,
        rows: int,
        columns: int,
        sums: list[Value],
        batch: Index,
        m: Index,
        n: Index,
        bases: list[Value],
    ) -> None:
        """Add what earlier blocks of k left, then store or hand over to the epilogue."""
        tile = _Tile(self, rows, columns, batch, m, n, bases)
        if self.s.turn:
            sums = tile.turned(b, sums)

        def add_old() -> list[Value]:
            return [
                b.fadd(x, tile.load(b, 0, place))
                for x, place in zip(sums, tile.places, strict=True)
            ]

        if self.spec.accumulate:
            sums = add_old()
        elif self.k_blocks > 1:
            before = b.block
            later = b.icmp_unsigned("!=", emit.const(self.k_block), emit.const(0))
            with b.if_then(later):
                added = add_old()
                inside = b.block
            merged = []
            for x, y in zip(sums, added, strict=True):
                phi = b.phi(self.vector)
                phi.add_incoming(x, before)
                phi.add_incoming(y, inside)
                merged.append(phi)
            sums = merged

        def store() -> None:
            for x, place in zip(sums, tile.places, strict=True):
                tile.store(b, 0, place, x)

        def hand_over() -> None:
            if isinstance(self.epilogue, Consumer):
                tile.consume(b, self.epilogue, sums)
                return
            count = len(self.outputs)
            for x, place in zip(sums, tile.places, strict=True):
                extras = [tile.load(b, count + i, place) for i in range(len(self.extras))]
                for i, value in enumerate(self.epilogue.emit(b, x, extras)):
                    tile.store(b, i, place, value)

        if self.epilogue is PLAIN:
            store()
        elif self.k_blocks == 1:
            hand_over()
        else:
            last = b.icmp_unsigned("==", emit.const(self.k_block), emit.const(self.k_blocks - 1))
            with b.if_else(last) as (then, otherwise):
                with then:
                    hand_over()
                with otherwise:
                    store()


class _Tile:
    """Where the elements of one finished tile lie in the outputs and extras.

    The tile is a list of vectors; each has a place (line, vector of the line). Lines are rows and
    lanes run along n, or, in a tile that was turned, lines are columns and lanes run along m.
    """

    def __init__(
        self,
        kernel: _Builder,
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

    def consume(self, b: ir.IRBuilder, consumer: Consumer, sums: list[Value]) -> None:
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
        emit.intrinsic(b, consumer.name, ir.VoidType(), arguments)
