"""The sums of one tile: accumulators in registers, and the walk over k that fills them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from llvmlite import ir

from . import emit
from .access import Access
from .emit import Index, Value
from .spec import merge

if TYPE_CHECKING:
    from .kernel import Builder

#: Products added up in one register before the sum moves on.
SEGMENT = 512


class Sums:
    """Writes the code that adds up tiles of one kernel.

    `segment` is how many of the outermost index of k are added in registers before the sums move to
    memory; 0 if all are.
    """

    def __init__(self, kernel: Builder):
        self.kernel = kernel
        self.dims = self._k_dims()
        inner = math.prod(e for e, _, _ in self.dims[1:])
        self.segment = max(1, SEGMENT // inner) if kernel.s.kc > 2 * SEGMENT else 0

    def _k_dims(self) -> list[tuple[int, ...]]:
        """(extent, step in A, step in B) of the indices of k that are stepped through as one."""
        extents = self.kernel.spec.k

        def steps(packed: bool, width: int, access: Access) -> tuple[int, ...]:
            if not packed:
                return access.operand.k or (0,) * len(extents)
            return tuple(width * math.prod(extents[i + 1 :]) for i in range(len(extents)))

        a = steps(self.kernel.s.pack_a, self.kernel.s.rows, self.kernel.a)
        right = steps(self.kernel.s.pack_b, self.kernel.wide, self.kernel.b)
        if self.kernel.K == 0:
            return [(0, 0, 0)]
        return merge(extents, a, right) or [(1, 0, 0)]

    def of(
        self, b: ir.IRBuilder, rows: int, columns: int, a_base: Value, b_base: Value
    ) -> list[Value]:
        """The sums of a tile, row after row, from where its operands begin."""
        kernel, lanes = self.kernel, self.kernel.lanes
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
        dims = self.dims
        # Direct operands are counted in their own elements, of which a pair is two.
        a_unit = kernel.scalar if kernel.s.pack_a else kernel.a.element
        align = emit.element_bytes(a_unit)
        multiply_add = emit.fma if kernel.spec.pairs is None else emit.dot

        def one(a_at: Value, b_at: Value, sums: list[Value]) -> list[Value]:
            row_of_b = []
            for v in range(vectors):
                address = emit.pointer(b, b_at, v * lanes, kernel.scalar)
                row_of_b.append(emit.load(b, address, kernel.vector, masks[v]))
            sums = list(sums)
            for r in range(rows):
                address = emit.pointer(b, a_at, row_offsets[r], a_unit)
                value = b.load(address, align=align, typ=kernel.scalar)
                value = emit.splat(b, value, lanes)
                for v in range(vectors):
                    at = r * vectors + v
                    sums[at] = multiply_add(b, value, row_of_b[v], sums[at])
            return sums

        def moved(a_at: Value, b_at: Value, level: int, k: Index) -> tuple[Value, Value]:
            _, a_k, b_k = dims[level]
            return (
                emit.pointer(b, a_at, emit.mul(b, k, a_k), a_unit),
                emit.pointer(b, b_at, emit.mul(b, k, b_k), kernel.scalar),
            )

        def nest(
            level: int, a_at: Value, b_at: Value, unrolled: int, k: Index, sums: list[Value]
        ) -> list[Value]:
            a_at, b_at = moved(a_at, b_at, level, k)
            if unrolled > 1 and level == len(dims) - 1:
                for ahead in range(unrolled):
                    sums = one(*moved(a_at, b_at, level, ahead), sums)
                for r in range(rows):
                    place = row_offsets[r] + kernel.s.prefetch * dims[level][1]
                    emit.prefetch(b, emit.pointer(b, a_at, place, a_unit))
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
            if kernel.s.prefetch and level == len(dims) - 1:
                step = lanes
                start = emit.mul(b, emit.div(b, count, step), step)
                body = partial(nest, level, a_at, b_at, step)
                sums = emit.loop(b, 0, start, body, sums, step=step)
            return emit.loop(b, start, count, partial(nest, level, a_at, b_at, 1), sums)

        zeros = [zero] * (rows * vectors)
        inner = math.prod(e for e, _, _ in dims[1:])
        count = emit.div(b, kernel.k_count, inner)
        if self.segment:

            def segment(first: Index, length: Index) -> list[Value]:
                return walk(0, *moved(a_base, b_base, 0, first), length, zeros)

            sums = self._in_segments(b, segment, count, zeros)
        else:
            sums = walk(0, a_base, b_base, count, zeros)
        return sums

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
