"""The phase that packs: panels of A and B side by side in scratch, or A with zeros around it."""

from __future__ import annotations

from contextlib import nullcontext

from ..llvm.builder import Index
from .frame import Frame, Step
from .pack import Packer
from .pad import PadCopier


class Packing:
    """Writes what puts a step's operands into scratch."""

    def __init__(self, frame: Frame):
        self.frame, self.layout, self.f = frame, frame.layout, frame.f

    def all(self, step: Step) -> None:
        """Whatever the schedule says."""
        layout = self.layout
        if layout.padding is not None:
            self.pad(step)
        if layout.schedule.pack_a:
            self._pack(step, "m")
        if layout.schedule.pack_b:
            kept = layout.steps > 1 and layout.blocks[1] == layout.steps
            first = self.f.index(step.number).compare("eq", 0)
            with self.f.when(first) if kept else nullcontext():
                self.pack_b(step)

    def pack_b(self, step: Step) -> None:
        """B."""
        self._pack(step, "n")

    def pad(self, step: Step) -> None:
        """A, with zeros around it."""
        layout, frame, f, padding = self.layout, self.frame, self.f, self.layout.padding
        assert padding is not None
        copier = PadCopier(f, layout.spec, padding, layout.lanes, layout.scalar)
        start, count = frame.chunk(step)
        total = count * copier.per_chunk
        if padding.chunked is None and layout.steps > 1:
            total = f.index(step.number).compare("ne", 0).select(f.index(0), total)
        f.repeat(
            *frame.share.of(total),
            lambda u: copier.copy(frame.pointers[0], frame.packed_a, start, u),
        )

    def _pack(self, step: Step, group: str) -> None:
        """The operand whose panels run along m or n."""
        layout, frame = self.layout, self.frame
        if group == "m":
            number, address_map, width, target = 0, layout.a, layout.schedule.rows, frame.packed_a
            (start, count), panel_size, matrix_size = step.m, layout.a_panel, layout.a_matrix
        else:
            number, address_map, width, target = 1, layout.b, layout.wide, frame.packed_b
            (start, count), panel_size, matrix_size = step.n, layout.b_panel, layout.b_matrix
        packer = Packer(
            self.f, layout.spec, address_map.operand, group, width, layout.lanes, layout.scalar
        )
        panels = (count + (width - 1)) // width

        def one(u: Index) -> None:
            matrix, panel = u // panels, u % panels
            base = frame.matrix(number, step.batch[0] + matrix)
            into = target.at(matrix * matrix_size + panel * panel_size, layout.scalar)
            packer.panel(base, start + panel * width, *step.k, into)

        self.f.repeat(*frame.share.of(step.batch[1] * panels), one)
