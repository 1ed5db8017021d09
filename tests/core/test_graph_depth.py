"""Deep graphs and long runs: a million nodes, and memory that stays flat."""

import contextlib
import gc
import os
import resource
import textwrap
import weakref

import numpy as np
import pytest

import backlit as bl
from apart import printed
from backlit.optim import SGD, Adam
from sampling import only

GIB = 2**30


#: Linux counts into `ru_maxrss` what the process was before it became this program.
PEAK = """
import resource
def peak():
    try:
        with open("/proc/self/status") as f:
            (line,) = [line for line in f if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
"""


def run_apart(program):
    """Run a program in a process of its own, where `peak()` is memory; return its numbers."""
    return [float(x) for x in printed(PEAK + textwrap.dedent(program), timeout=300).split()]


def resident():
    """Bytes of memory in use by now."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")


# -- a chain of a million ops -------------------------------------------------------


@pytest.fixture(scope="module")
def chain():
    """Seconds of processor time for a node and peak memory, for chains of two lengths."""
    return run_apart("""
        import time
        import backlit as bl
        def run(length):
            start = time.process_time()
            x = bl.tensor(1.0, requires_grad=True)
            y = x
            for _ in range(length):
                y = y + 1.0
            assert y.item() == length + 1.0
            y.backward()
            assert x.grad.item() == 1.0
            del y
            assert (x * 2).item() == 2.0
            return (time.process_time() - start) / length
        run(1_000)
        short, long = min(run(10_000) for _ in range(3)), run(1_000_000)
        print(short, long, peak())
    """)


@pytest.mark.long
def test_a_chain_of_a_million_ops_takes_less_than_a_minute_and_two_gibibytes(chain):
    _, long, peak = chain
    assert long * 1_000_000 < 60
    assert peak < 2 * GIB


@pytest.mark.long
def test_the_time_for_a_node_does_not_grow_with_the_depth(chain):
    """A guard against anything that is not linear, not a measurement: machines are busy."""
    short, long, _ = chain
    assert long < 3 * short


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "keep"),
    [(50_000, "y"), (50_000, "y.node"), (50_000, "(y.detach(), y.node.inputs[0])")],
)
def test_a_deep_chain_is_released_without_backward(length, keep):
    """Dropping the last reference frees node after node, without recursion."""
    alive, peak = run_apart(
        f"""
        import gc, weakref
        import backlit as bl
        gc.disable()
        x = bl.tensor(1.0, requires_grad=True)
        y = x * 1.0
        early = weakref.ref(y.array)
        for _ in range({length}):
            y = bl.sin(y)
        last = {keep}
        del y
        assert early() is not None
        del last
        print(early() is not None, peak())
    """.replace("print(early() is not None", "print(int(early() is not None)")
    )
    assert not alive
    assert peak < 2 * GIB


def test_a_deep_graph_is_walked_with_tensors_too():
    x = bl.tensor(1.0, dtype="float64", requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y * 1.0001
    (g,) = bl.grad(y, [x], create_graph=True)
    g2 = g * x
    g2.backward()
    assert x.grad.item() == pytest.approx(1.0001**20_000, rel=1e-9)


def test_a_deep_graph_inside_a_wide_one():
    x = bl.tensor(np.ones(3), requires_grad=True)
    branches = []
    for _ in range(3):
        y = x
        for _ in range(5_000):
            y = bl.negative(y)
        branches.append(y)
    bl.stack(branches).sum().backward()
    assert x.grad.tolist() == [3.0] * 3


def test_a_deep_graph_is_captured_and_interpreted():
    def f(x):
        for _ in range(3_000):
            x = x + 1.0
        return x

    graph = bl.capture(f)(bl.tensor(0.0))
    graph.check()
    assert len(graph.equations) == 3_000
    assert len(str(graph).splitlines()) == 3_002


def test_a_deep_graph_frees_its_values_in_an_exception():
    x = bl.tensor(1.0, requires_grad=True)
    y = x
    arrays = []
    for _ in range(1_000):
        y = bl.sin(y)
        arrays.append(weakref.ref(y.array))
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.backward()
    del y
    gc.collect()
    assert all(a() is None for a in arrays)


# -- memory -------------------------------------------------------------------------


def make_step(kind):
    rng = np.random.default_rng(0)
    w1 = bl.tensor(rng.normal(size=(8, 4)).astype("f"), requires_grad=True)
    w2 = bl.tensor(rng.normal(size=(1, 8)).astype("f"), requires_grad=True)
    x, y = bl.tensor(rng.normal(size=(16, 4)).astype("f")), bl.tensor(np.ones((16, 1), "f"))
    optimizer = Adam([w1, w2]) if kind != "momentum" else SGD([w1, w2], 1e-3, momentum=0.9)

    def step():
        optimizer.zero_grad()
        error = bl.tanh(x @ w1.mT) @ w2.mT - y
        loss = (error * error).mean()
        if kind == "hooks":
            error.register_hook(lambda g: g * 1)
            error.retain_grad()
        if kind == "second order":
            (g,) = bl.grad(loss, [w1], create_graph=True)
            loss = loss + (g * g).sum()
        loss.backward()
        optimizer.step()
        return loss

    return bl.compile(step) if kind == "compiled" else step


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(
    "kind", only("hooks compiled", ["adam", "momentum", "hooks", "second order", "compiled"])
)
def test_training_stays_flat_without_the_cyclic_collector(kind):
    step = make_step(kind)
    for _ in range(300):
        step()
    gc.collect()
    gc.disable()
    try:
        before = resident()
        for _ in range(1_500):
            step()
        assert resident() - before < 2**20
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_failed_step_leaves_no_cycles_of_the_engine():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        arrays = []
        for _ in range(50):
            y = x * 2
            arrays.append(weakref.ref(y.array))
            with contextlib.suppress(RuntimeError):
                y.backward()
        del y
        assert all(a() is None for a in arrays)
    finally:
        gc.enable()


def test_a_retained_graph_holds_no_more_after_many_walks():
    x = bl.tensor(np.ones(1000), requires_grad=True)
    y = (x * x).sum()
    for _ in range(50):
        y.backward(retain_graph=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(500):
        y.backward(retain_graph=True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024
