"""Assertions inside LLVM that fail: the process goes on, and the code is compiled more simply."""

import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.llvm import abort, machine
from backlit.errors import CompileError

linux = pytest.mark.skipif(not abort.AVAILABLE, reason="the guard is for Linux")

HEAD = """
import ctypes, os, signal, threading, time
from backlit.compiler.llvm import machine
from backlit.compiler.llvm.abort import Guard, CODE, NAMES
library = ctypes.CDLL(None)
def pointer(name): return ctypes.cast(getattr(library, name), ctypes.c_void_p)
guard = Guard(machine.build(machine.header() + CODE, NAMES))
"""


def run(code: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "BACKLIT_CACHE": ""}
    return subprocess.run(
        [sys.executable, "-c", HEAD + code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@linux
def test_a_function_that_aborts_comes_back() -> None:
    done = run("print([guard.call(pointer(n), 1, 2, 3) for n in ('abort', 'labs', 'abort')])")
    assert (done.returncode, done.stdout) == (0, "[True, False, True]\n")


@pytest.mark.slow
@linux
def test_the_handler_that_was_there_before_is_there_again() -> None:
    done = run(
        "signal.signal(signal.SIGABRT, lambda *_: print('mine'))\n"
        "guard.call(pointer('abort'), 1, 2, 3)\n"
        "os.kill(os.getpid(), signal.SIGABRT)\n"
    )
    assert (done.returncode, done.stdout) == (0, "mine\n")


@pytest.mark.slow
@linux
def test_another_thread_that_aborts_meanwhile_ends_the_process() -> None:
    done = run(
        "threading.Timer(0.2, library.abort).start()\n"
        "print(guard.call(pointer('sleep'), 20, 0, 0))\n"
    )
    assert (done.returncode, done.stdout) == (-signal.SIGABRT, "")


@pytest.mark.slow
@linux
def test_an_assertion_of_the_vectoriser_does_not_end_the_process() -> None:
    """For some lengths LLVM 22.1's old and new estimates of what this loop costs differ."""
    done = run(
        "import numpy as np, backlit as bl\n"
        "f = bl.compile(lambda s: bl.sum(bl.flip(s, axis=0) * 0.5 + s))\n"
        "for n in (68, 70, 71):\n"
        "    print(f(bl.asarray(np.arange(4.0 * n).reshape(n, 4))).item())\n"
    )
    wanted = [1.5 * np.arange(4.0 * n).sum() for n in (68, 70, 71)]
    assert done.returncode == 0, done.stderr[-500:]
    assert list(map(float, done.stdout.split())) == wanted


def test_code_at_which_llvm_fails_is_compiled_with_a_fixed_width_and_then_without_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", "")
    tried: list[tuple[bool, bool]] = []
    failing = 0
    passed = machine.Engine._passed

    def attempt(self: Any, text: str, vectorise: bool) -> Any:
        if "@driver0" not in text:
            return passed(self, text, vectorise)
        tried.append(("vectorize.width" in text, vectorise))
        if len(tried) <= failing:
            raise abort.PassesError
        return passed(self, text, vectorise)

    monkeypatch.setattr(machine.Engine, "_passed", attempt)
    x = bl.asarray(np.arange(50.0))
    wanted = (x * x + 1.0).numpy().tolist()
    variants = [(False, True), (True, True), (False, False)]
    for failing in range(3):
        tried.clear()
        assert bl.compile(lambda x: x * x + 1.0)(x).numpy().tolist() == wanted
        assert tried == variants[: failing + 1]
    tried.clear()
    failing = 3
    with pytest.raises(CompileError, match="LLVM fails at this code, also without vectors"):
        bl.compile(lambda x: x * x + 1.0)(x)


def test_a_system_without_what_the_guard_needs_compiles_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", "")
    monkeypatch.setattr(machine, "CODE", abort.CODE.replace("siglongjmp", "no_such_function"))
    monkeypatch.setattr(machine.engine(), "guard", None)
    monkeypatch.setattr(machine.engine(), "guardable", True)
    assert bl.compile(lambda x: x * 3.0)(bl.ones(4)).numpy().tolist() == [3.0] * 4
    assert machine.engine().guard is None


def test_one_lane_of_a_vector_is_stored_without_a_mask() -> None:
    """LLVM would write four bytes."""
    code = (
        "declare void @llvm.masked.store.v8i16.p0(<8 x i16>, ptr, <8 x i1>)\n"
        "define void @f(<8 x i32> %x, ptr %p) {\n"
        "  %y = trunc <8 x i32> %x to <8 x i16>\n"
        "  call void @llvm.masked.store.v8i16.p0(<8 x i16> %y, ptr align 2 %p, "
        f"<8 x i1> <i1 true{', i1 false' * 7}>)\n"
        "  ret void\n}\n"
    )
    text = str(machine.engine().optimised(machine.header() + code))
    assert "store i16" in text
    assert "call void @llvm.masked.store" not in text


def test_every_loop_can_be_given_a_fixed_width() -> None:
    f = bl.compile(lambda x: bl.sum(bl.flip(x, axis=1) * bl.flip(x, axis=0), axis=1))
    f(bl.ones((5, 7)))
    ((plan,),) = f._runners.values()
    marked = machine.with_fixed_width(plan.text)
    loops = plan.text.count("= add nsw i64 %i")
    assert loops >= 2
    assert marked.count(", !llvm.loop !0") == loops
