"""Programs: all kernels of a plan, and a driver for each run of them between host calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..capture.graph import Variable
from ..llvm import machine
from ..llvm.builder import Function
from ..loops.kernels import write
from ..loops.nonfinite import reads_padding
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
        self.kernels: dict[str, str] = {}  # text -> name: equal kernels are compiled once
        self.definitions: list[str] = []  # of these, under their names
        self.declarations: dict[str, None] = {}
        self.drivers: list[DriverWriter] = []
        self.contractions = ContractionKernels(buffers.lowering)

    def program(self) -> Program:
        """The program, compiled."""
        steps: list[Kernel | DriverWriter] = []
        for kernel in self.buffers.kernels:
            if kernel.kind in (HOST, LOOP):
                steps.append(kernel)
                continue
            if not steps or self.split or isinstance(steps[-1], Kernel):
                self.drivers.append(DriverWriter(self.buffers, f"driver{len(self.drivers)}"))
                steps.append(self.drivers[-1])
            if kernel.kind is CONTRACTION:
                self._add_contraction(kernel)
            else:
                self._add_loops(kernel)
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

    def _add_contraction(self, kernel: Kernel) -> None:
        driver, in_place = self.drivers[-1], self.buffers.in_place
        if any(v in in_place for v in kernel.makes):
            driver.stop_if_flagged()
        driver.add_contraction(*self.contractions.of(kernel))
        if reads_padding(kernel.roots[0]):
            self._add_loops(Kernel(NONFINITE, kernel.roots, kernel.reads))

    def _add_loops(self, kernel: Kernel) -> None:
        driver, buffers = self.drivers[-1], self.buffers
        writer = write(buffers.lowering, kernel, buffers.storage)
        self.declarations.update(writer.f.declarations)
        name = self._defined(writer.f)
        if any(r.output in buffers.in_place for r in kernel.roots):
            driver.stop_if_flagged()
        driver.add(writer, name)

    def _defined(self, kernel: Function) -> str:
        """The name under which a kernel is defined, that of an equal one if there is one."""
        text = kernel.text()
        if text not in self.kernels:
            kernel.name, kernel.linkage = f"kernel{len(self.kernels)}", "internal"
            self.kernels[text] = kernel.name
            self.definitions.append(kernel.text())
        return self.kernels[text]

    def _text(self) -> str:
        """The whole module."""
        parts = [machine.header(), *self.declarations, threads.helpers(threads.BARRIER)]
        parts += [*self.definitions, *(d.text() for d in self.drivers), machine.attributes()]
        for c in self.contractions.kernels.values():
            parts.append(f"declare void @{c.name}(ptr, i64, i64, i64, ptr)")
        return "\n".join(parts)
