"""What compiled functions keep is bounded, can be seen and cleared, and is freed in time."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import backlit
from apart import printed
from backlit.compiler import eager, interpreter, native
from backlit.compiler.api import CacheInfo
from backlit.compiler.llvm import machine
from backlit.compiler.plan import threads
from backlit.compiler.plan.plan import Plan
from backlit.errors import ArgumentError
from backlit.nn import functional

pytestmark = pytest.mark.filterwarnings("ignore:compile. .* was captured 9 times")


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    """What is freed here is freed because nothing refers to it, not because a collector came by."""
    gc.disable()
    yield
    gc.enable()


def double(**options):
    return backlit.compile(lambda x: backlit.tanh(x) * 2, **options)


def plans(function) -> list[Plan]:
    return [runner for group in function._runners.values() for runner in group]


def shapes(function) -> list[tuple[int, ...]]:
    return sorted(p.graph.inputs[0].shape for p in plans(function))


# -- what is kept -------------------------------------------------------------------------------


def test_the_captures_used_last_are_kept() -> None:
    f = double(maxsize=2)
    for n in (1, 2, 1, 3):
        f(backlit.ones(n))
    assert shapes(f) == [(1,), (3,)]
    f(backlit.ones(1))
    f.repeat(2, backlit.ones(4))
    assert shapes(f) == [(1,), (4,)]


def test_captures_of_one_kind_of_arguments_count_as_well() -> None:
    scale = [1]
    f = backlit.compile(lambda x: x * scale[0], maxsize=3)
    for n in range(1, 8):
        scale[0] = n
        assert f(backlit.ones(1)).item() == n
    assert f.cache_info().currsize == 3
    assert f._runners.keys() == {f._last_key}


def test_a_capture_that_fails_leaves_nothing() -> None:
    f = backlit.compile(lambda x: float(x.sum()))
    for n in (1, 2, 3):
        with pytest.raises(backlit.errors.TraceError):
            f(backlit.ones(n))
    assert not f._runners


def test_cache_info_counts_like_functools() -> None:
    f = double()
    assert f.cache_info() == CacheInfo(0, 0, 128, 0, 0, 0)
    for n in (1, 2, 1, 1):
        f(backlit.ones(n))
    info = f.cache_info()
    assert (info.hits, info.misses, info.currsize) == (2, 2, 2)
    assert 1000 < info.code_bytes < 100_000
    assert 2 * 64 > info.buffer_bytes > 0  # the results of the last calls
    f.cache_clear()
    assert f.cache_info() == CacheInfo(0, 0, 128, 0, 0, 0)
    assert f(backlit.ones(1)).shape == (1,)


def test_the_interpreter_has_no_code() -> None:
    f = double(executor=interpreter, maxsize=1)
    f(backlit.ones(1))
    f(backlit.ones(2))
    assert f.cache_info() == CacheInfo(0, 2, 1, 1, 0, 0)


@pytest.mark.parametrize("maxsize", [0, -1, 2.5, True, "3"])
def test_maxsize_is_a_whole_number(maxsize) -> None:
    with pytest.raises(
        ArgumentError, match="maxsize, where it is not None, must be a positive integer"
    ):
        double(maxsize=maxsize)


def test_maxsize_none_keeps_all_and_goes_with_copies_and_methods() -> None:
    class Model:
        @backlit.compile(maxsize=None)
        def step(self, x):
            return x + 1

    model = Model()
    for n in range(130):
        model.step(backlit.ones(n // 128 + 1))
    assert model.step.maxsize is None
    import copy

    assert copy.copy(model.step).maxsize is copy.deepcopy(double(maxsize=None)).maxsize is None


def test_many_captures_with_large_buffers_are_not_kept(monkeypatch) -> None:
    api = sys.modules["backlit.compiler.api"]
    monkeypatch.setattr(api, "_BUFFER_BYTES", 100_000)
    f = double()
    for n in range(1, 12):
        f(backlit.ones((10_000, n)))
    assert f.cache_info().currsize == api._ALWAYS_KEPT
    assert max(shapes(f)) == (10_000, 11)


# -- what is freed ------------------------------------------------------------------------------


def host(x):
    """A function with a part that only NumPy can do."""
    return functional.avg_pool2d(backlit.tanh(x), 33, 1) + 1


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: backlit.tanh(x) * 2, (5,)),
        (lambda x: (x @ x.mT).sum(), (40, 40)),
        (host, (1, 1, 40, 40)),
    ],
    ids=["loops", "product", "host"],
)
def test_forgotten_code_is_unloaded_at_once(function, x, clear) -> None:
    f = backlit.compile(function, maxsize=1)
    f(backlit.ones(x))
    (plan,) = plans(f)
    code = addresses(plan)
    assert code
    assert all(map(is_mapped, code))
    library, plan = weakref.ref(plan.library), weakref.ref(plan)
    all_left = threads.departure()
    while not all_left():  # a worker whose core another program has is still on its way out
        time.sleep(0)
    if clear:
        f.cache_clear()
    else:
        f(backlit.ones((2, *x[1:]) if x[1:] else 6))
    assert plan() is library() is None
    assert not machine._UNREACHABLE
    if clear:
        assert not any(map(is_mapped, code))


def is_mapped(address: int) -> bool:
    return any(lower <= address < upper for lower, upper in mapped())


def addresses(plan: Plan) -> list[int]:
    return list(plan.library.addresses.values())


def mapped() -> list[tuple[int, int]]:
    """The executable parts of this process's memory."""
    found = []
    with open("/proc/self/maps") as file:
        for line in file:
            place, mode = line.split()[:2]
            if "x" in mode:
                lower, upper = (int(part, 16) for part in place.split("-"))
                found.append((lower, upper))
    return found


def test_a_function_that_goes_takes_its_code_with_it() -> None:
    f = double()
    f(backlit.ones(3))
    library = weakref.ref(plans(f)[0].library)
    del f
    assert library() is None


def test_results_outlive_what_made_them() -> None:
    f = double(maxsize=1)
    y = f(backlit.ones(3))
    z = y.numpy()[1:]
    f.cache_clear()
    f(backlit.zeros(3))
    assert y.tolist() == pytest.approx([2 * np.tanh(1.0)] * 3)
    assert z.tolist() == y.tolist()[1:]


def test_a_plan_in_use_keeps_its_code() -> None:
    """The function may forget it while it runs."""
    f = double(maxsize=1)
    f(backlit.ones(3))
    (plan,) = plans(f)
    f.cache_clear()
    assert plan.attempt((backlit.ones(3),)).tolist() == f(backlit.ones(3)).tolist()


GROWTH = """
import ctypes, gc, sys, warnings
import backlit
warnings.simplefilter("ignore")
def resident():
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4
{setup}
for n in range(1, 13): work(n)
before = resident()
for n in range(13, 37): work(n)
print(resident() - before)
"""
FUNCTION = """
f = backlit.compile(lambda x: (backlit.tanh(x) * 2 + x).sum(), maxsize=8)
work = lambda n: f(backlit.ones(n))
"""
OPS = """
from backlit.compiler import eager
eager.KINDS = 8
work = lambda n: backlit.functional.max_pool2d(backlit.ones((1, 1, 600, 600 + 2 * n)), 2)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the system does not tell")
@pytest.mark.parametrize("setup", [FUNCTION, OPS], ids=["function", "eager ops"])
def test_memory_is_bounded_over_many_shapes(setup: str) -> None:
    """24 more shapes take no more than those that are kept; they would take 4 MB and more.

    What malloc keeps for later is given back before it is measured: it is not lost.
    """
    # Whether code is new or found makes no difference.
    growth = int(printed(GROWTH.format(setup=setup), timeout=300, BACKLIT_CACHE=""))
    assert growth < 1500, f"{growth} KiB"


# -- eager ops ----------------------------------------------------------------------------------


def test_native_code_of_eager_ops_is_counted_and_cleared(monkeypatch) -> None:
    monkeypatch.setattr(eager, "_programs", {})
    functional.max_pool2d(backlit.ones((1, 1, 600, 600)), 2)
    functional.max_pool2d(backlit.ones((1, 1, 600, 602)), 2)
    info = backlit.native_ops_cache_info()
    assert (info.maxsize, info.currsize) == (eager.KINDS, 2)
    assert info.code_bytes > 1000
    (first, _) = (weakref.ref(p.driver.library) for p in eager._programs.values())
    backlit.native_ops_cache_clear()
    assert first() is None
    assert backlit.native_ops_cache_info() == (eager.KINDS, 0, 0)


def test_eager_work_met_last_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(eager, "_programs", {})
    monkeypatch.setattr(eager, "KINDS", 2)
    for n in (600, 602, 600, 604):
        functional.max_pool2d(backlit.ones((1, 1, 600, n)), 2)
    kept = sorted(key[1][0][-1] for key in eager._programs)
    assert kept == [600, 604]


# -- never too early ----------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_may_call_while_shapes_come_and_go() -> None:
    """Four threads, on all cores, with code that is forgotten and cleared under their hands."""
    before = backlit.get_threads()
    backlit.set_threads(2)
    f = backlit.compile(lambda x, y: (backlit.tanh(x) + y, (x @ y.mT).sum()), maxsize=2)
    random = np.random.default_rng(0)
    data = [random.random((2, 300 + n, 200)).astype(np.float32) for n in range(4)]
    wrong: list[object] = []
    end = time.monotonic() + 1.5

    def work(number: int) -> None:
        choose = np.random.default_rng(number)
        try:
            while time.monotonic() < end:
                x, y = data[choose.integers(4)]
                for _ in range(choose.integers(1, 20)):
                    z, total = f(backlit.asarray(x), backlit.asarray(y))
                    np.testing.assert_allclose(z.numpy(), np.tanh(x) + y, rtol=1e-5)
                    np.testing.assert_allclose(total.item(), (x @ y.T).sum(), rtol=1e-4)
                if choose.random() < 0.2:
                    f.cache_clear()
                if number == 0 and choose.random() < 0.2:
                    backlit.set_threads(int(choose.integers(1, 4)))
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    try:
        for w in workers:
            w.start()
        for w in workers:
            w.join()
    finally:
        backlit.set_threads(before)
    assert not wrong


LATE = """
import time
import backlit
from backlit.compiler.llvm import machine
from backlit.compiler.plan import threads

backlit.set_threads(2)
pool = threads._POOL
DRIVER = '''
define void @late(ptr %table, ptr %arena, ptr %flag, i64 %thread, i64 %threads, ptr %counter,
                  i64 %times) #0 {
entry:
  call void @barrier(ptr %counter, i64 %threads)
  %first = icmp eq i64 %thread, 0
  br i1 %first, label %done, label %linger
linger:
  %i = phi i64 [ 0, %entry ], [ %more, %linger ]
  %more = add i64 %i, 1
  %ignored = call i32 @sched_yield()
  %now = load volatile i64, ptr %table
  %on = icmp eq i64 %now, 0
  br i1 %on, label %linger, label %done
done:
  ret void
}
'''
text = machine.header() + threads.helpers(threads.BARRIER) + DRIVER + machine.attributes()
import ctypes
stop = ctypes.c_int64(0)
library = machine.build(text, ["late"], departure=threads.departure)
driver = threads.Driver(library, "late", True)
pool.run(driver.address, ctypes.addressof(stop), 0, 0, 1)  # the worker is still in it
del library, driver
machine._unload()
print(len(machine._UNREACHABLE))
stop.value = 1
while not pool.left(pool.sent):
    time.sleep(0.001)
machine._unload()
print(len(machine._UNREACHABLE))
"""


@pytest.mark.slow
def test_code_stays_while_a_worker_is_on_its_way_out() -> None:
    assert printed(LATE, timeout=60).split() == ["1", "0"]


def test_code_that_goes_while_llvm_is_busy_waits() -> None:
    f = double()
    f(backlit.ones(3))
    with machine._LOCK:
        thread = threading.Thread(target=f.cache_clear)
        thread.start()
        thread.join()
        assert len(machine._UNREACHABLE) == 1
    double()(backlit.ones(7))
    assert not machine._UNREACHABLE


def test_a_forked_child_frees_and_makes_code_of_its_own() -> None:
    f = double(maxsize=1)
    f(backlit.ones(3))
    child = os.fork()
    if child == 0:
        try:
            right = all(f(backlit.ones(n)).shape == (n,) for n in (3, 4, 3))
            f.cache_clear()
            os._exit(0 if right and not machine._UNREACHABLE else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert f(backlit.ones(3)).shape == (3,)


@pytest.mark.parametrize("where", ["call", "start", "post"])
def test_an_interrupt_among_the_threads_leaves_them_in_step(monkeypatch, where: str) -> None:
    before = backlit.get_threads()
    backlit.set_threads(2)
    try:
        x = backlit.ones((400, 400))
        f = backlit.compile(lambda x: backlit.tanh(x) + 1, executor=native)
        (expected, _) = f(x).numpy(), f(x)
        pool, raised = threads._POOL, []
        pool.prepare()
        owner = pool.workers[0] if where == "call" else pool
        real = getattr(owner, where)

        def interrupted(*args: object) -> None:
            if not raised:
                raised.append(True)
                if where != "call":
                    real(*args)
                raise KeyboardInterrupt
            real(*args)

        monkeypatch.setattr(owner, where, interrupted)
        plans(f)[0].driver.pace.together = lambda now: True
        with pytest.raises(KeyboardInterrupt):
            f(x)
        for _ in range(20):
            np.testing.assert_array_equal(f(x).numpy(), expected)
        assert pool.left(pool.sent) or not time.sleep(0.1)
        assert pool.left(pool.sent)
    finally:
        backlit.set_threads(before)


def test_addresses_are_those_of_living_code() -> None:
    """Code that was unloaded and made again may lie elsewhere, and is the same."""
    text = machine.header() + "define i64 @f(i64 %x) {\n  %y = add i64 %x, 1\n  ret i64 %y\n}\n"
    for _ in range(50):
        library = machine.build(text, ["f"])
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.addresses["f"])
        assert function(41) == 42
    assert not machine._UNREACHABLE


@pytest.mark.slow
def test_a_cycle_that_holds_a_library_leaves_its_code_to_be_closed_in_order() -> None:
    class Part:
        closed = False

        def close(self) -> None:
            told.append("closed")
            self.closed = True

        def __del__(self) -> None:
            told.append("gone" if self.closed else "gone before it was closed")

    told: list[str] = []
    part = Part()
    library = machine.Library((part,), {})
    cycle = [library, part]
    cycle.append(cycle)
    del library, part, cycle
    gc.collect()
    machine._unload()
    assert told == ["closed", "gone"]


@pytest.mark.slow
def test_a_module_and_its_context_may_be_collected_in_any_order() -> None:
    """As where an exception's traceback holds both: llvmlite alone frees a module twice."""
    program = """
        import gc
        from backlit.compiler.llvm import machine

        text = "define i32 @f(i32 %x) {\\n  ret i32 %x\\n}\\n"
        for first in (True, False) * 20:
            module = machine.parsed(text)
            cycle = [module._context, module] if first else [module, module._context]
            cycle.append(cycle)
            del module, cycle
            gc.collect()
        """
    printed(textwrap.dedent(program))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="makes a thread as Linux does")
def test_code_may_be_made_after_the_end_of_a_thread_that_made_some() -> None:
    """What a run of LLVM's passes leaves behind refers to the stack of its thread."""
    program = """
        import ctypes
        from ctypes import byref, c_int, c_long, c_size_t, c_void_p

        from backlit.compiler.llvm import machine

        text = machine.header() + "define i32 @f(i32 %x) noinline optnone {\\n  ret i32 %x\\n}\\n"
        make = machine.engine().optimised
        make(text)

        @ctypes.CFUNCTYPE(c_void_p, c_void_p)
        def run(_):
            make(text)

        c, size = ctypes.CDLL(None), 2**24
        c.mmap.restype = c_void_p
        c.mmap.argtypes = [c_void_p, c_size_t, c_int, c_int, c_int, c_long]
        c.munmap.argtypes = [c_void_p, c_size_t]
        stack = c.mmap(None, size, 3, 0x22, -1, 0)  # read and write; private and anonymous
        attributes, thread = ctypes.create_string_buffer(128), ctypes.c_ulong()
        c.pthread_attr_init(attributes)
        c.pthread_attr_setstack(attributes, c_void_p(stack), c_size_t(size))
        assert c.pthread_create(byref(thread), attributes, run, None) == 0
        assert c.pthread_join(thread, None) == 0
        c.munmap(stack, size)
        make(text)
        """
    printed(textwrap.dedent(program))
