"""The process of one peer: it builds the step once and then answers questions about it.

A process of its own for each peer, so that the thread pools of two frameworks do not meet.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .peers import PEERS, Steps
from .workloads import WORKLOADS

#: Seconds after which an answer is no longer waited for.
PATIENCE = 400.0
#: Steps shorter than this are made once untimed before each turn, to fill the caches.
SHORT = 0.05


class PeerError(Exception):
    """A peer could not be built or run; the text says why, in one line."""


class Worker:
    """The near end of a peer's process."""

    def __init__(self, process: Any, pipe: Connection, name: str):
        self.process, self.pipe, self.name = process, pipe, name

    def ask(self, what: str, *arguments: Any) -> Any:
        """The answer of the peer's `_Answers` method of this name."""
        try:
            self.pipe.send((what, arguments))
            if not self.pipe.poll(PATIENCE):
                raise PeerError(f"no answer within {PATIENCE:.0f} s")
            good, answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(1)
            raise PeerError(f"its process ended with code {self.process.exitcode}") from None
        if not good:
            raise PeerError(answer)
        return answer


@contextlib.contextmanager
def worker(peer: str, workload: str, weights: Path, threads: int | None) -> Iterator[Worker]:
    """A process for a peer, until the end of the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, peer, workload, weights, threads)
    process = context.Process(target=_live, args=arguments, daemon=False)
    process.start()
    theirs.close()
    try:
        yield Worker(process, ours, peer)
    finally:
        ours.close()
        process.join(10)
        if process.exitcode is None:
            process.kill()
            process.join()


def _live(pipe: Connection, peer: str, workload: str, weights: Path, threads: int | None) -> None:
    if threads and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = _Answers(peer, workload, weights)
    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(answers, what)(*arguments)))
        except Exception as error:
            pipe.send((False, _in_one_line(error)))


def _in_one_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {lines[0][:200]} ({Path(where.filename).name}:{where.lineno})"


class _Answers:
    """The far end: what can be asked."""

    def __init__(self, peer: str, workload: str, weights: Path):
        self.peer, self.workload = PEERS[peer], WORKLOADS[workload]
        self.weights = weights
        self.ended = 0.0
        self.spent = 0.0

    def _build(self, dropout: float) -> Steps:
        with np.load(self.weights, allow_pickle=False) as arrays:
            weights = {k: arrays[k] for k in arrays.files}
        return self.peer.builder()(self.workload, weights, self.workload.data(), dropout)

    def start(self) -> dict[str, float]:
        """Import, build and make the first step; the seconds of each."""
        begun = time.perf_counter()
        self.peer.builder()
        imported = time.perf_counter()
        gc.collect()
        _give_back()  # as before the memory of steps is measured
        self.base = _resident()
        build = time.perf_counter()
        self.steps = self._build(self.workload.dropout)
        built = time.perf_counter()
        self.first = float(self.steps(1))
        ready = time.perf_counter()
        return {"import": imported - begun, "build": built - build, "first": ready - built}

    def losses(self) -> dict[int, float]:
        """Losses by the number of the step, of a network without dropout.

        A peer that loops is asked for 1, 2, 3, … steps at a time and gives the last loss of each.
        """
        steps, found = self.steps, {1: self.first}
        if self.workload.dropout:
            steps = self._build(0.0)
            found = {1: float(steps(1))}
        made, count = 1, 1
        start = time.perf_counter()
        while made + count <= self.workload.checked:
            if self.peer.loops and made + count + 1 <= self.workload.checked:
                count += 1
            made += count
            found[made] = float(steps(count))
        self.slow = time.perf_counter() - start > made - 1  # more than a second a step
        return found

    def memory(self) -> dict[str, int]:
        """Bytes above those after the import: at most in some steps, and at most so far."""
        so_far = _peak()
        gc.collect()
        _give_back()
        _reset_peak()
        self.steps(1)
        if not self.slow:
            self.steps(2)
        return {"steps": _peak() - self.base, "life": max(so_far, _peak()) - self.base}

    def time(self, count: int, short: bool) -> tuple[float, float]:
        """Seconds a step; and seconds of processor time used since the turn before."""
        idle = time.process_time() - self.spent if self.spent else 0.0
        gc.collect()
        if short:
            self.steps(1)
        start = time.perf_counter()
        float(self.steps(count))
        seconds = (time.perf_counter() - start) / count
        self.spent = time.process_time()
        return seconds, idle

    def operations(self) -> int:
        """Arithmetic operations of a step, where the peer can tell; else 0."""
        count = getattr(self.steps, "operations", None)
        return count() if count else 0

    def limits(self) -> dict[str, Any]:
        """What this machine does at most, through the kernels of the peer's framework."""
        return LIMITS[self.peer.framework]()


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def _resident() -> int:
    try:
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    """The most memory this process has held: of Linux what `_reset_peak` can set back."""
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _give_back() -> None:
    """Return freed memory to the system, where the C library can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _backlit_limits() -> dict[str, Any]:
    from backlit.compiler.plan.report import limits
    from backlit.compiler.plan.threads import get_threads, set_threads

    many = get_threads()
    found = {}
    for threads in dict.fromkeys((1, many)):
        set_threads(threads)
        # More than once: a new thread may share a core with the first for a tenth of a second.
        measured = [limits.__wrapped__(threads) for _ in range(4)]
        found[str(threads)] = {
            "gflops": max(m.gflops for m in measured),
            "gigabytes": max(m.gigabytes for m in measured),
        }
    return found


def _pytorch_limits() -> dict[str, Any]:
    import torch

    a, big = torch.ones(1024, 1024), torch.ones(16 * 2**20)
    out, copy = torch.empty_like(a), torch.empty_like(big)
    many = torch.get_num_threads()
    found = {}
    for threads in dict.fromkeys((1, many)):
        torch.set_num_threads(threads)
        times: dict[str, list[float]] = {"gflops": [], "gigabytes": []}
        for _ in range(60):
            start = time.perf_counter()
            torch.mm(a, a, out=out)
            middle = time.perf_counter()
            torch.add(big, 1.0, out=copy)
            times["gflops"].append(middle - start)
            times["gigabytes"].append(time.perf_counter() - middle)
        work = {"gflops": 2 * 1024**3, "gigabytes": 2 * 4 * 16 * 2**20}
        found[str(threads)] = {k: work[k] / min(t) / 1e9 for k, t in times.items()}
    return found


LIMITS = {"backlit": _backlit_limits, "pytorch": _pytorch_limits}
