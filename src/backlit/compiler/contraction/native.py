"""Kernels compiled for this machine and run from Python, for tests and benchmarks."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Sequence

import numpy as np

from ..llvm import machine
from .interface import Kernel


@functools.lru_cache(8)
def _library(name: str, code: str) -> machine.Library:
    return machine.build(machine.header(), [name], [machine.tidy_code(code)])


class Call:
    """A kernel bound to arrays, ready to run with any number of parts."""

    def __init__(self, kernel: Kernel, arrays: Sequence[np.ndarray]):
        self.kernel, self.arrays = kernel, list(arrays)
        self.library = _library(kernel.name, kernel.code)  # the code lives as long as this does
        word = ctypes.c_int64
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, word, word, word, ctypes.c_void_p)
        #: It releases the interpreter lock.
        self.function = kind(self.library.addresses[kernel.name])
        addresses = [x.ctypes.data for x in self.arrays]
        self.buffers = (ctypes.c_void_p * len(addresses))(*addresses)
        self.memory = np.empty(kernel.scratch + 64, np.uint8)
        self.scratch = -(-self.memory.ctypes.data // 64) * 64

    def run(self, parts: int = 1) -> None:
        """All phases, parts one after the other."""
        for phase in range(self.kernel.phases):
            for part in range(parts):
                self.function(self.buffers, phase, part, parts, self.scratch)

    def run_threads(self, parts: int) -> None:
        """All phases, each part in a thread of its own."""
        barrier = threading.Barrier(parts)

        def work(part: int) -> None:
            for phase in range(self.kernel.phases):
                self.function(self.buffers, phase, part, parts, self.scratch)
                barrier.wait()

        threads = [threading.Thread(target=work, args=(p,)) for p in range(parts)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
