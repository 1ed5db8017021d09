"""LLVM's passes, run so that an assertion of theirs that fails is an exception, not the end.

LLVM as llvmlite ships it checks itself, and ends the process where a check fails. Some of these
checks are wrong: the vectoriser of LLVM 22, for one, compares an old and a new estimate of what a
loop costs, which may rightly differ (the check was removed in LLVM 23, llvm/llvm-project#190838).

A failed check calls `abort`, whose signal may be caught by a handler that does not return (C17,
7.22.4.1). Ours goes back to where the passes were started, as LLVM's own CrashRecoveryContext does.
What they were working on is never touched again, nor is its memory freed. Systems other than Linux
are without this guard.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from pathlib import Path
from typing import Any, Protocol

import llvmlite.binding as llvm
from llvmlite.binding import ffi
from llvmlite.utils import get_library_name

AVAILABLE = sys.platform == "linux"

#: `backlit_caught` is the handler of the signal. It leaves threads alone that run no passes.
CODE = """
@landing = internal global [64 x i64] zeroinitializer, align 64
@owner = internal global i64 0

declare i32 @__sigsetjmp(ptr, i32) returns_twice
declare void @siglongjmp(ptr, i32) noreturn
declare i64 @pthread_self()

define i32 @backlit_guarded(ptr %function, ptr %a, ptr %b, ptr %c) {
entry:
  %self = call i64 @pthread_self()
  store volatile i64 %self, ptr @owner
  %back = call i32 @__sigsetjmp(ptr @landing, i32 1) returns_twice
  %first = icmp eq i32 %back, 0
  br i1 %first, label %run, label %failed
run:
  call void %function(ptr %a, ptr %b, ptr %c)
  store volatile i64 0, ptr @owner
  ret i32 0
failed:
  store volatile i64 0, ptr @owner
  ret i32 1
}

define void @backlit_caught(i32 %signal) {
entry:
  %self = call i64 @pthread_self()
  %owner = load volatile i64, ptr @owner
  %ours = icmp eq i64 %self, %owner
  br i1 %ours, label %jump, label %leave
jump:
  call void @siglongjmp(ptr @landing, i32 1)
  unreachable
leave:
  ret void
}
"""
NAMES = ["backlit_guarded", "backlit_caught"]

#: More than a `struct sigaction` needs.
_ROOM = 512


class PassesError(Exception):
    """An assertion inside LLVM has failed."""


class Loaded(Protocol):
    """Machine code that can be called as long as it is held."""

    addresses: dict[str, int]


class Guard:
    """Runs passes. `library` is the compiled CODE."""

    def __init__(self, library: Loaded):
        self._code = library  # which is unloaded with it
        kind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)
        self._guarded = kind(library.addresses["backlit_guarded"])
        self._handler = ctypes.c_void_p(library.addresses["backlit_caught"])
        path = Path(llvm.__file__).parent / get_library_name()
        run = ctypes.CDLL(str(path)).LLVMPY_RunNewModulePassManager
        self._run = ctypes.cast(run, ctypes.c_void_p)
        self._c = ctypes.CDLL(None)
        self._c.signal.restype = ctypes.c_void_p
        self._c.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]

    def run(self, passes: Any, module: Any, builder: Any) -> None:
        """Run passes over a module, or raise PassesError: then none of these may be used."""
        pointers = [ctypes.cast(x._ptr, ctypes.c_void_p) for x in (passes, module, builder)]
        if self.call(self._run, *pointers):
            for x in (passes, module, builder):
                x.detach()
            raise PassesError

    def call(self, function: Any, *arguments: Any) -> bool:
        """Call a C function of three pointers; whether it ended by `abort`."""
        before = ctypes.create_string_buffer(_ROOM)
        with getattr(ffi.lib, "_lock", contextlib.nullcontext()):
            self._c.sigaction(signal.SIGABRT, None, before)
            self._c.signal(signal.SIGABRT, self._handler)
            try:
                return bool(self._guarded(function, *arguments))
            finally:
                self._c.sigaction(signal.SIGABRT, before, None)
