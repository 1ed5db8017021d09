"""The phase that packs: panels of A and B side by side in scratch, or A with zeros around it."""

from __future__ import annotations

from contextlib import nullcontext

from llvmlite import ir

from . import emit
from .emit import Index, Value
from .frame import Frame, Step, at_batch, chunk_of
from .layout import Layout
from .pack import Packer
from .pad import PadCopier


class Stage:
    """Writes what puts a step's operands into scratch."""

    def __init__(self, layout: Layout, frame: Frame):
        self.layout = layout
        self.frame = frame

    def all(self, b: ir.IRBuilder, step: Step) -> None:
        """Whatever the schedule says."""
        layout = self.layout
        if layout.padding is not None:
            self.pad(b, step)
        if layout.schedule.pack_a:
            self._pack(b, step, "m")
        if layout.schedule.pack_b:
            kept = layout.steps > 1 and layout.blocks[1] == layout.steps
            first = b.icmp_unsigned("==", emit.const(step.number), emit.const(0))
            with b.if_then(first) if kept else nullcontext():
                self.pack_b(b, step)

    def pack_b(self, b: ir.IRBuilder, step: Step) -> None:
        """B."""
        self._pack(b, step, "n")

    def pad(self, b: ir.IRBuilder, step: Step) -> None:
        """A, with zeros around it."""
        layout, frame, padding = self.layout, self.frame, self.layout.padding
        assert padding is not None
        copier = PadCopier(layout.spec, padding, layout.lanes, layout.scalar)
        start, count = chunk_of(b, layout, step)
        total = emit.mul(b, count, copier.per_chunk)
        if padding.chunked is None and layout.steps > 1:
            done = b.icmp_unsigned("!=", emit.const(step.number), emit.const(0))
            total = b.select(done, emit.const(0), emit.const(total))
        first, last = frame.share.of(b, total)

        def one(u: Index, _: list[Value]) -> list[Value]:
            copier.copy(b, frame.pointers[0], frame.packed_a, start, u)
            return []

        emit.loop(b, first, last, one)

    def _pack(self, b: ir.IRBuilder, step: Step, group: str) -> None:
        """The operand whose panels run along m or n."""
        layout, frame = self.layout, self.frame
        if group == "m":
            number, access, width, target = 0, layout.a, layout.schedule.rows, frame.packed_a
            (start, count), panel_size, matrix_size = step.m, layout.a_panel, layout.a_matrix
        else:
            number, access, width, target = 1, layout.b, layout.wide, frame.packed_b
            (start, count), panel_size, matrix_size = step.n, layout.b_panel, layout.b_matrix
        packer = Packer(layout.spec, access.operand, group, width, layout.lanes, layout.scalar)
        panels = emit.ceil_div(b, count, width)
        first, last = frame.share.of(b, emit.mul(b, step.batch[1], panels))

        def one(u: Index, _: list[Value]) -> list[Value]:
            matrix, panel = emit.div(b, u, panels), emit.rem(b, u, panels)
            base = at_batch(b, layout, frame, number, emit.add(b, step.batch[0], matrix))
            place = emit.add(b, emit.mul(b, matrix, matrix_size), emit.mul(b, panel, panel_size))
            into = emit.pointer(b, target, place, layout.scalar)
            index = emit.add(b, start, emit.mul(b, panel, width))
            packer.panel(b, base, index, *step.k, into)
            return []

        emit.loop(b, first, last, one)
