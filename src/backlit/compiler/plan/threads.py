"""The worker threads: they run a plan's kernels in step, with a barrier between kernels.

All threads execute the same driver (SPMD); each takes its share of every kernel's work units. A
worker is a Python thread that spends its life in native code: it spins for the next job for a
short while, then parks on a lock until it is called. Which thread runs which unit never changes a
result. While the workers are busy for one caller, another caller's plan runs on its own thread
alone, and so it does while other programs hold the cores: see `Pace`.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import time
from collections.abc import Callable
from string import Template
from typing import TYPE_CHECKING, Any

from ...errors import ArgumentError

if TYPE_CHECKING:
    from ..llvm import machine

#: Spins before a worker parks: about 100 µs.
_SPINS = 20_000

#: The fields of a job, which the threads and their native code share: numbers of 8 bytes.
_EPOCH = 0  # how many jobs have been posted; native code has it at the job's own address
_DRIVER, _TABLE, _ARENA, _FLAG = 1, 2, 3, 4  # what to call, and with which pointers
_THREADS, _TIMES = 5, 7  # how many threads call it, and how often
_COUNTER = 8  # the barrier's tickets
_DEPARTURES = 9  # how often a worker has left a driver
_STARTED = 10  # the epoch that thread 0 has started

_HELPERS = Template("""
define i64 @backlit_work(ptr %job, i64 %thread, i64 %seen, i64 %spins) #0 {
entry:
  %departures = getelementptr i64, ptr %job, i64 $departures
  br label %wait
wait:
  %last = phi i64 [ %seen, %entry ], [ %last, %pause ], [ %epoch, %run ]
  %left = phi i64 [ %spins, %entry ], [ %less, %pause ], [ %spins, %run ]
  %epoch = load atomic i64, ptr %job acquire, align 8
  %new = icmp ne i64 %epoch, %last
  br i1 %new, label %run, label %idle
idle:
  %less = sub i64 %left, 1
  %tired = icmp eq i64 %less, 0
  br i1 %tired, label %done, label %pause
pause:
  PAUSE
  br label %wait
run:
  call void @backlit_run(ptr %job, i64 %thread)
  %before = atomicrmw add ptr %departures, i64 1 release
  br label %wait
done:
  ret i64 %last
}

define void @backlit_run(ptr %job, i64 %thread) #0 {
  %driver_at = getelementptr i64, ptr %job, i64 $driver
  %driver = load ptr, ptr %driver_at
  %table_at = getelementptr i64, ptr %job, i64 $table
  %table = load ptr, ptr %table_at
  %arena_at = getelementptr i64, ptr %job, i64 $arena
  %arena = load ptr, ptr %arena_at
  %flag_at = getelementptr i64, ptr %job, i64 $flag
  %flag = load ptr, ptr %flag_at
  %threads_at = getelementptr i64, ptr %job, i64 $threads
  %threads = load i64, ptr %threads_at
  %counter = getelementptr i64, ptr %job, i64 $counter
  %times_at = getelementptr i64, ptr %job, i64 $times
  %times = load i64, ptr %times_at
  call void %driver(ptr %table, ptr %arena, ptr %flag,
                    i64 %thread, i64 %threads, ptr %counter, i64 %times)
  ret void
}

define void @backlit_post(ptr %job) #0 {
  %old = atomicrmw add ptr %job, i64 1 release
  ret void
}

define void @backlit_start(ptr %job) #0 {
  %epoch = load i64, ptr %job
  %started = getelementptr i64, ptr %job, i64 $started
  store i64 %epoch, ptr %started
  call void @backlit_run(ptr %job, i64 0)
  ret void
}
""").substitute(
    driver=_DRIVER, table=_TABLE, arena=_ARENA, flag=_FLAG, threads=_THREADS, times=_TIMES,
    counter=_COUNTER, departures=_DEPARTURES, started=_STARTED,
)  # fmt: skip

#: A barrier for drivers: every thread draws a ticket and waits until its round is full. And how a
#: thread tells all of what its own kernels have flagged.
BARRIER = """
define internal void @barrier(ptr %counter, i64 %threads) noinline #0 {
entry:
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %done, label %arrive
arrive:
  %ticket = atomicrmw add ptr %counter, i64 1 acq_rel
  %round = udiv i64 %ticket, %threads
  %next = add i64 %round, 1
  %target = mul i64 %next, %threads
  br label %check
check:
  %spun = phi i64 [ 0, %arrive ], [ %more, %again ]
  %now = load atomic i64, ptr %counter acquire, align 8
  %full = icmp uge i64 %now, %target
  br i1 %full, label %done, label %wait
wait:
  %more = add i64 %spun, 1
  %long = icmp ugt i64 %more, 4000
  br i1 %long, label %yield, label %spin
spin:
  PAUSE
  br label %again
yield:
  %ignored = call i32 @sched_yield()
  br label %again
again:
  br label %check
done:
  ret void
}

define internal void @tell(ptr %flag, ptr %own) #0 {
entry:
  %bits = load i32, ptr %own
  %bad = icmp ne i32 %bits, 0
  br i1 %bad, label %set, label %done
set:
  %old = atomicrmw or ptr %flag, i32 %bits acq_rel
  br label %done
done:
  ret void
}
"""


#: How to tell the processor that this is a waiting loop: for each kind, the function, its argument.
_PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause", ""),
    "aarch64": ("llvm.aarch64.hint", "i32 1"),  # "yield"
    "arm64": ("llvm.aarch64.hint", "i32 1"),
}


def helpers(text: str) -> str:
    """The IR with the processor's spin hint filled in, and with its declarations."""
    from ..llvm import machine

    processor = machine.engine().triple.partition("-")[0]
    name, argument = _PAUSES.get(processor, ("llvm.donothing", ""))
    declared = f"declare void @{name}({argument.partition(' ')[0]})\ndeclare i32 @sched_yield()\n"
    return declared + text.replace("PAUSE", f"call void @{name}({argument})")


_ENTRY = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_int64,
)


class _Pool:
    """The workers of this process and the job they share."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.wanted = _available()
        self.workers: list[_Worker] = []
        self.memory = (ctypes.c_int64 * 32)()
        base = ctypes.addressof(self.memory)
        self.job = (ctypes.c_int64 * 16).from_address(base + (-base) % 64)
        self.address = ctypes.addressof(self.job)
        self.sent = 0  # how often a worker was sent into a driver
        self.library: machine.Library | None = None
        self.start: Any = None
        self.post: Any = None
        self.work: Any = None

    def prepare(self) -> None:
        """Compile the helpers and start the missing workers."""
        if self.library is None:
            from ..llvm import machine

            text = machine.header() + helpers(_HELPERS) + machine.attributes()
            names = ["backlit_work", "backlit_post", "backlit_start"]
            self.library = machine.build(text, names, departure=departure)
            i64, ptr = ctypes.c_int64, ctypes.c_void_p
            addresses = self.library.addresses
            self.start = ctypes.CFUNCTYPE(None, ptr)(addresses["backlit_start"])
            # Keeps the GIL: no worker can decide to park between the call and the post.
            self.post = ctypes.PYFUNCTYPE(None, ptr)(addresses["backlit_post"])
            self.work = ctypes.CFUNCTYPE(i64, ptr, i64, i64, i64)(addresses["backlit_work"])
        while len(self.workers) < self.wanted - 1:
            self.workers.append(_Worker(self, len(self.workers) + 1))

    def run(self, driver: int, table: int, arena: int, flag: int, times: int) -> None:
        """Run a driver on all threads; return when all have finished.

        What has been posted is also run if a signal handler raises meanwhile: workers would wait
        for this thread for ever.
        """
        self.prepare()
        job, workers = self.job, self.workers
        job[_DRIVER], job[_TABLE], job[_ARENA], job[_FLAG] = driver, table, arena, flag
        job[_THREADS], job[_TIMES] = len(workers) + 1, times
        epoch, sent = job[_EPOCH] + 1, self.sent + len(workers)
        raised: BaseException | None = None
        while job[_STARTED] != epoch:
            try:
                self.sent = sent
                if job[_EPOCH] != epoch:
                    self.post(self.address)
                for worker in workers:
                    worker.call()
                self.start(self.address)
            except BaseException as error:
                if job[_EPOCH] != epoch:
                    self.sent = sent - len(workers)
                    raise
                raised = error
        if raised is not None:
            raise raised

    def left(self, sent: int) -> bool:
        """Whether workers have left drivers so often: a barrier lets a caller go before them."""
        return self.job[_DEPARTURES] >= sent


class _Worker:
    def __init__(self, pool: _Pool, number: int):
        self.pool = pool
        self.number = number
        self.gate = threading.Lock()  # locked while there is nothing to do
        self.gate.acquire()
        self.parked = False
        self.seen = pool.job[_EPOCH]
        self.ended = False
        self.thread = threading.Thread(target=self._live, name=f"backlit-{number}", daemon=True)
        try:
            self.thread.start()
        except BaseException:
            self.ended = True  # it may have started all the same
            raise

    def call(self) -> None:
        """Wake the worker if it is parked. Doing it twice makes it look once too often."""
        if self.parked and self.gate.locked():
            self.gate.release()

    def _live(self) -> None:
        pool = self.pool
        while not self.ended:
            self.seen = pool.work(pool.address, self.number, self.seen, _SPINS)
            self.parked = True  # and only then look again: a caller posts and then looks at this
            if pool.job[_EPOCH] == self.seen and not self.ended:
                self.gate.acquire()
            self.parked = False


def _available() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


_POOL = _Pool()


def _after_fork() -> None:
    """A child process has none of its parent's threads."""
    global _POOL
    wanted = _POOL.wanted
    _POOL = _Pool()
    _POOL.wanted = wanted


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def get_threads() -> int:
    """How many threads run a compiled function."""
    return _POOL.wanted


def set_threads(count: int) -> None:
    """Set how many threads run compiled functions; results do not depend on it.

    >>> set_threads(get_threads())
    """
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 256:
        raise ArgumentError(f"set_threads: count must be an integer in [1, 256], got {count!r}")
    global _POOL
    with _POOL.busy:
        if count != _POOL.wanted:
            # A barrier counts tickets for one number of threads: another number, another pool.
            for worker in _POOL.workers:
                worker.ended = True
                worker.call()
            while not _POOL.left(_POOL.sent):
                time.sleep(0)
            _POOL = _Pool()
        _POOL.wanted = count


def departure() -> Callable[[], bool]:
    """The question whether all workers have left the drivers that have run until now.

    A pool that is no longer the process's has no worker in one.
    """
    pool, sent = _POOL, _POOL.sent
    return lambda: pool is not _POOL or pool.left(sent)


def run(driver: Driver, table: int, arena: int, flag: int, times: int = 1) -> None:
    """Run a driver `times` times: on all threads if it is worth it and they are free."""
    pool = _POOL
    pace = driver.pace
    if driver.parallel and pool.wanted > 1 and pool.busy.acquire(blocking=False):
        try:
            start = time.perf_counter()
            together = pace.together(start)
            if together:
                pool.run(driver.address, table, arena, flag, times)
            else:
                driver.run_alone(table, arena, flag, times)
            end = time.perf_counter()
            pace.record(together, end, (end - start) / times)
        finally:
            pool.busy.release()
    else:
        driver.run_alone(table, arena, flag, times)


class Driver:
    """A compiled driver, which keeps its code: its address, and itself as a function.

    A `parallel` one has work for all threads.
    """

    def __init__(self, library: machine.Library, name: str, parallel: bool):
        self.library = library
        self.parallel = parallel
        self.address = library.addresses[name]
        self.entry = _ENTRY(self.address)
        self.pace = Pace()

    def run_alone(self, table: int, arena: int, flag: int, times: int) -> None:
        """Run it on the caller's thread."""
        counter = ctypes.c_int64(0)
        self.entry(table, arena, flag, 0, 1, ctypes.addressof(counter), times)


class Pace:
    """Whether a driver is faster on all threads, or on one while other programs hold the cores.

    At every barrier the threads wait for one whose core another program has: that can take many
    times longer than one thread alone. Early on, a few calls alone are measured, or a long one.
    After a few calls in a row that took longer than those, calls are made alone, and now and then
    all threads are tried again.
    """

    #: Calls, and seconds in them, before some are made alone; and how many calls are a few.
    FIRST, AFTER, FEW = 5, 0.02, 3
    #: Seconds until all threads are tried again: at first, and at most.
    SOON, LATE = 0.1, 3.2

    def __init__(self) -> None:
        self.calls, self.seconds = 0, 0.0
        self.measured, self.alone = 0, math.inf  # calls alone, and what they take
        self.slow = 0  # calls in a row on all threads that took longer
        self.retry: float | None = None  # when to try all threads again, while calls are alone
        self.wait = self.SOON

    def together(self, now: float) -> bool:
        """Whether the next call is for all threads."""
        if self.measured < self.FEW:
            return self.calls < self.FIRST or self.seconds < self.AFTER
        return self.retry is None or now >= self.retry

    def record(self, together: bool, now: float, seconds: float) -> None:
        """What a call took."""
        if not together:
            first = self.measured < self.FEW
            self.alone = min(self.alone, seconds) if first else seconds
            self.measured += self.FEW if seconds > self.AFTER else 1
            return
        self.calls += 1
        self.seconds += seconds
        if seconds <= self.alone:
            self.slow, self.retry, self.wait = 0, None, self.SOON
            return
        self.slow += 1
        if self.slow % self.FEW == 0:
            if self.retry is not None:
                self.wait = min(2 * self.wait, self.LATE)
            self.retry = now + self.wait
