"""The values of one kernel's function: its part, its pointers, and the step that it is in."""

from __future__ import annotations

from dataclasses import dataclass

from ..llvm.builder import Function, Index, Value
from .interface import Epilogue
from .layout import Layout
from .microkernel import Nest


@dataclass(frozen=True)
class Share:
    """Which part of the work a call does: number `part` of `parts`; all of it without these."""

    part: Value | None = None
    parts: Value | None = None

    def of(self, total: Index) -> tuple[Index, Index]:
        """The range of `total` pieces of work that is this part's."""
        if self.part is None or self.parts is None:
            return 0, total
        return total * self.part // self.parts, total * (self.part + 1) // self.parts


@dataclass(frozen=True)
class Step:
    """A block of each index: where it begins and how long it is. `number` counts the steps."""

    number: Index
    k_block: Index
    k: tuple[Index, Index]
    n: tuple[Index, Index]
    m: tuple[Index, Index]
    batch: tuple[Index, Index]


@dataclass(frozen=True)
class Frame:
    """What holds in the whole function, or for the steps that one part does alone."""

    f: Function
    layout: Layout
    nest: Nest
    epilogue: Epilogue
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

    def step(self, number: Index) -> Step:
        """The step of a number: k goes first, then n, m and the batch."""
        s = self.layout.schedule
        batch, m, n, k = self.layout.spec.sizes
        _, m_blocks, n_blocks, k_blocks = self.layout.blocks
        k_block, rest = number % k_blocks, number // k_blocks
        n_block, rest = rest % n_blocks, rest // n_blocks
        m_block, b_block = rest % m_blocks, rest // m_blocks
        return Step(
            number,
            k_block,
            k=self._span(k_block, s.kc, k),
            n=self._span(n_block, s.nc, n),
            m=self._span(m_block, s.mc, m),
            batch=self._span(b_block, s.bc, batch),
        )

    def _span(self, block: Index, size: int, total: int) -> tuple[Index, Index]:
        start = block * size
        if total % size == 0:
            return start, min(size, total)
        return start, self.f.minimum(size, total - start)

    def chunk(self, step: Step) -> tuple[Index, Index]:
        """The first value, and the number, of the index that a padded copy is chunked by."""
        layout = self.layout
        assert layout.padding is not None
        if layout.padding.chunked is None:
            return 0, 1
        start, count = {"m": step.m, "k": step.k}[layout.padding.chunked]
        return start // layout.per_chunk, count // layout.per_chunk

    def matrix(self, number: int, batch: Index) -> Value:
        """Where one matrix of the batch begins in an operand."""
        address_map = self.layout.address_maps[number]
        return self.pointers[number].at(address_map.offset("batch", batch), address_map.element)
