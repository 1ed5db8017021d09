"""A fork while other threads compile: neither the child nor the parent waits for ever."""

import os

import pytest

from apart import printed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

HEAD = """
import os, signal, sys, threading, time
import numpy as np
import backlit as bl
from backlit.compiler.llvm import machine

def child(work):
    \"\"\"Whether a forked child does the work within a minute.\"\"\"
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            work()
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0

def held(lock):
    \"\"\"Another thread takes the lock; setting the event that is returned lets it go.\"\"\"
    taken, leave = threading.Event(), threading.Event()
    def hold():
        with lock:
            taken.set()
            leave.wait()
    threading.Thread(target=hold, daemon=True).start()
    taken.wait()
    return leave

f = bl.compile(lambda x: bl.tanh(x) * 2.0)
x = bl.asarray(np.arange(12.0))
want = f(x).numpy().tobytes()

def use():
    assert f(x).numpy().tobytes() == want
    assert f(x[:5]).numpy().tobytes() == want[:40]
"""


def run(code: str) -> str:
    return printed(HEAD + code, "-W", "ignore", BACKLIT_CACHE="")


@pytest.mark.slow
def test_the_locks_of_a_function_and_of_its_plan_are_free_in_a_child() -> None:
    code = (
        "(plan,), = f._runners.values()\n"
        "leave = [held(f._lock), held(plan._lock)]\n"
        "print(child(use))\n"
        "for event in leave: event.set()\n"
        "use()\n"
    )
    assert run(code) == "True\n"


def test_a_fork_waits_until_llvm_is_at_rest() -> None:
    code = (
        "leave = held(machine._LOCK)\n"
        "start = time.monotonic()\n"
        "threading.Timer(0.5, leave.set).start()\n"
        "print(child(use), time.monotonic() - start >= 0.5)\n"
        "use()\n"
    )
    assert run(code) == "True True\n"


@pytest.mark.slow
def test_children_of_a_process_that_compiles_all_the_time() -> None:
    code = (
        "ended = []\n"
        "def compile(k):\n"
        "    n = 20 * k + 1\n"
        "    while not ended:\n"
        "        n += 1\n"
        "        f(bl.asarray(np.arange(1.0 + n)))\n"
        "threads = [threading.Thread(target=compile, args=(50 * k,)) for k in range(2)]\n"
        "for t in threads: t.start()\n"
        "print([child(use) for _ in range(6)])\n"
        "ended.append(1)\n"
        "for t in threads: t.join()\n"
        "use()\n"
    )
    assert run(code) == f"{[True] * 6}\n"
