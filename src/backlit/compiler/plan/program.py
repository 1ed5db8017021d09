"""Programs: all kernels of a plan, and a driver for each run of them between host calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..capture.graph import Variable
from ..llvm import machine
from ..loops.alike import Alike, Called
from ..loops.kernels import write
from ..loops.nonfinite import reads_padding
from ..loops.writer import KernelWriter
from ..lower.kinds import CONTRACTION, HOST, LOOP, NONFINITE, Kernel
from ..lower.products import ContractionKernels
from . import threads
from .driver import DriverWriter
from .memory import Buffers, aligned


@dataclass(frozen=True)
class Program:
    """Drivers and ops for the host in order; their code, if there is any; memory to work in."""

    steps: list[Kernel | threads.Driver]
    library: machine.Library | None
    text: str
    arena: np.ndarray


class ProgramWriter:
    """Writes one program. With `split` each kernel has a driver, so that each can be timed.

    `copies` are done when all kernels are: what a step of a loop leaves for the next.
    """

    def __init__(
        self, buffers: Buffers, split: bool, copies: Sequence[tuple[Variable, Variable]] = ()
    ):
        self.buffers = buffers
        self.split = split
        self.copies = copies
        self.declarations: dict[str, None] = {}
        self.drivers: list[DriverWriter] = []
        self.contractions = ContractionKernels(buffers.lowering)
        #: What is run for each kernel beside contractions; and the functions of all these loops.
        self.loops = [self._loops(kernel) for kernel in buffers.kernels]
        self.functions = Alike(text for loops in self.loops for _, text in loops)

    def program(self) -> Program:
        """The program, compiled."""
        steps: list[Kernel | DriverWriter] = []
        for kernel, loops in zip(self.buffers.kernels, self.loops, strict=True):
            if kernel.kind in (HOST, LOOP):
                steps.append(kernel)
                continue
            if not steps or self.split or isinstance(steps[-1], Kernel):
                self.drivers.append(DriverWriter(self.buffers, f"driver{len(self.drivers)}"))
                steps.append(self.drivers[-1])
            if kernel.kind is CONTRACTION:
                self._add_contraction(kernel)
            for writer, text in loops:
                self._add_loops(writer, self.functions.called[text])
        for source, target in self.copies:
            self.declarations["declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"] = None
            self.drivers[-1].copy(source, target)
        arena = aligned(self.buffers.scratch_offset + self.contractions.scratch)
        if not self.drivers:
            return Program([s for s in steps if isinstance(s, Kernel)], None, "", arena)
        text = self._text()
        codes = [c.code for c in self.contractions.kernels.values()]
        names = [d.name for d in self.drivers]
        library = machine.build(text, names, codes, threads.departure)
        compiled = [
            threads.Driver(library, s.name, s.parallel) if isinstance(s, DriverWriter) else s
            for s in steps
        ]
        return Program(compiled, library, text, arena)

    def _loops(self, kernel: Kernel) -> list[tuple[KernelWriter, str]]:
        """The loops that native code runs for a kernel, each with its text."""
        if kernel.kind in (HOST, LOOP):
            return []
        if kernel.kind is CONTRACTION:
            if not reads_padding(kernel.roots[0]):
                return []
            kernel = Kernel(NONFINITE, kernel.roots, kernel.reads)
        writer = write(self.buffers.lowering, kernel, self.buffers.storage)
        self.declarations.update(writer.f.declarations)
        return [(writer, writer.f.text())]

    def _add_contraction(self, kernel: Kernel) -> None:
        driver, in_place = self.drivers[-1], self.buffers.in_place
        if any(v in in_place for v in kernel.makes):
            driver.stop_if_flagged()
        driver.add_contraction(*self.contractions.of(kernel))

    def _add_loops(self, writer: KernelWriter, called: Called) -> None:
        driver, in_place = self.drivers[-1], self.buffers.in_place
        if any(r.output in in_place for r in writer.kernel.roots):
            driver.stop_if_flagged()
        driver.add(writer, called)

    def _text(self) -> str:
        """The whole module."""
        parts = [machine.header(), *self.declarations, threads.helpers(threads.BARRIER)]
        parts += [
            *self.functions.definitions,
            *(d.text() for d in self.drivers),
            machine.attributes(),
        ]
        for c in self.contractions.kernels.values():
            parts.append(f"declare void @{c.name}(ptr, i64, i64, i64, ptr)")
        return "\n".join(parts)
