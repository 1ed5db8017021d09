"""The values of one kernel's function: its part, its pointers, and the step that it is in."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from . import emit
from .emit import Index, Value
from .layout import Layout


@dataclass(frozen=True)
class Share:
    """Which part of the work a call does: number `part` of `parts`; all of it without these."""

    part: Value | None = None
    parts: Value | None = None

    def of(self, b: ir.IRBuilder, total: Index) -> tuple[Index, Index]:
        """The range of `total` pieces of work that is this part's."""
        total = emit.const(total)
        if self.part is None:
            return 0, total
        first = b.udiv(b.mul(total, self.part), self.parts)
        last = b.udiv(b.mul(total, b.add(self.part, emit.const(1))), self.parts)
        return first, last


@dataclass(frozen=True)
class Frame:
    """What holds in the whole function, or for the steps that one part does alone."""

    share: Share
    #: To the first element of each operand.
    pointers: tuple[Value, ...]
    #: To A and B as they are packed, and to sums of blocks of k.
    packed_a: Value
    packed_b: Value
    kept: Value
    #: To a tile's sums that are not in registers, where k is long.
    segments: Value | None
    #: What the epilogue has made of extras that are one element each.
    prepared: list[Value]


@dataclass(frozen=True)
class Step:
    """A block of each index: where it begins and how long it is. `number` counts the steps."""

    number: Index
    k_block: Index
    k: tuple[Index, Index]
    n: tuple[Index, Index]
    m: tuple[Index, Index]
    batch: tuple[Index, Index]


def step_of(b: ir.IRBuilder, layout: Layout, number: Index) -> Step:
    """The step of a number: k goes first, then n, m and the batch."""
    s = layout.schedule
    batch, m, n, k = layout.spec.sizes
    _, m_blocks, n_blocks, k_blocks = layout.blocks
    k_block = emit.rem(b, number, k_blocks)
    rest = emit.div(b, number, k_blocks)
    n_block = emit.rem(b, rest, n_blocks)
    rest = emit.div(b, rest, n_blocks)
    m_block = emit.rem(b, rest, m_blocks)
    b_block = emit.div(b, rest, m_blocks)
    return Step(
        number,
        k_block,
        k=_span(b, k_block, s.kc, k),
        n=_span(b, n_block, s.nc, n),
        m=_span(b, m_block, s.mc, m),
        batch=_span(b, b_block, s.bc, batch),
    )


def _span(b: ir.IRBuilder, block: Index, size: int, total: int) -> tuple[Index, Index]:
    start = emit.mul(b, block, size)
    if total % size == 0:
        return start, min(size, total)
    return start, emit.minimum(b, size, emit.sub(b, total, start))


def chunk_of(b: ir.IRBuilder, layout: Layout, step: Step) -> tuple[Index, Index]:
    """The first value, and the number, of the index that a padded copy is chunked by."""
    assert layout.padding is not None
    if layout.padding.chunked is None:
        return 0, 1
    start, count = {"m": step.m, "k": step.k}[layout.padding.chunked]
    return emit.div(b, start, layout.per_chunk), emit.div(b, count, layout.per_chunk)


def at_batch(b: ir.IRBuilder, layout: Layout, frame: Frame, number: int, batch: Index) -> Value:
    """Where one matrix of the batch begins in an operand."""
    access = layout.accesses[number]
    return emit.pointer(b, frame.pointers[number], access.offset(b, "batch", batch), access.element)
