"""Modules of kernels compiled for this machine and run from Python, for tests and benchmarks."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from .interface import Kernel

_TUNED = "-prefer-256-bit"  # AVX-512 registers are used whole


def target_machine() -> Any:
    """This machine's processor and its features, wide vectors included."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=f"{features},{_TUNED}",
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


def optimise(text: str, machine: Any) -> Any:
    """Parse, verify and optimise a module."""
    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(machine, options)
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return module


class Library:
    """The compiled functions of a module."""

    def __init__(self, module: ir.Module):
        machine = target_machine()
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        self.assembly_module = optimise(str(module), machine)
        self.machine = machine
        self.engine = llvm.create_mcjit_compiler(self.assembly_module, machine)
        self.engine.finalize_object()

    def assembly(self) -> str:
        """The machine code as text."""
        return self.machine.emit_assembly(self.assembly_module)

    def function(self, kernel: Kernel) -> Any:
        """A ctypes function for a kernel; it releases the interpreter lock."""
        address = self.engine.get_function_address(kernel.name)
        word = ctypes.c_int64
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, word, word, word, ctypes.c_void_p)
        return kind(address)


class Call:
    """A kernel bound to arrays, ready to run with any number of parts."""

    def __init__(self, library: Library, kernel: Kernel, arrays: Sequence[np.ndarray]):
        self.kernel, self.arrays = kernel, list(arrays)
        self.library = library  # the code lives as long as this does
        self.function = library.function(kernel)
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
