"""Threads: each has its own tape mode, capture and default generator, and trains as if alone."""

import threading

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.api import interpreter
from backlit.optim import Adam

THREADS = 8


def train(seed, compiled=False, steps=40):
    """The bits of everything after some steps with random masks, from a seed of this thread's."""
    bl.manual_seed(seed)
    w1 = bl.random.normal((16, 8)).requires_grad_()
    w2 = bl.random.normal((3, 16)).requires_grad_()
    x, y = bl.random.normal((32, 8)), bl.random.normal((32, 3))
    optimizer = Adam([w1, w2], lr=0.01)

    def step():
        h = bl.tanh(x @ w1.mT)
        h = bl.where(bl.random.uniform(h.shape) < 0.9, h / 0.9, 0.0)
        loss = ((h @ w2.mT - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with bl.no_grad():
            return loss * 1

    call = bl.compile(step, executor=interpreter) if compiled else step
    losses = [call().item() for _ in range(steps)]
    assert losses[-1] < losses[0]
    return losses, [t.numpy().tobytes() for t in (w1, w2, w1.grad, w2.grad)]


def run_together(work):
    """The results of work(i) in eight threads that start at once; raises what they raise."""
    barrier = threading.Barrier(THREADS)
    results, errors = [None] * THREADS, []

    def run(i):
        try:
            barrier.wait()
            results[i] = work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


@pytest.mark.parametrize("compiled", [False, True])
def test_eight_threads_that_train_at_once_give_the_bits_of_each_alone(compiled):
    alone = [train(seed, compiled) for seed in range(THREADS)]
    assert run_together(lambda i: train(i, compiled)) == alone


def test_some_threads_compile_while_others_run_eagerly():
    alone = [train(seed) for seed in range(THREADS)]
    assert run_together(lambda i: train(i, compiled=i % 2 == 0)) == alone


def test_grad_mode_belongs_to_a_thread():
    inside, go = threading.Event(), threading.Event()
    modes = []

    def work():
        with bl.no_grad():
            inside.set()
            go.wait()
            modes.append(bl.is_grad_enabled())

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    modes.append(bl.is_grad_enabled())
    go.set()
    thread.join()
    assert modes == [True, False]


def test_a_capture_belongs_to_a_thread():
    x = bl.tensor(2.0)
    values = []

    def f(x):
        thread = threading.Thread(target=lambda: values.append((bl.tensor(3.0) * 2).item()))
        thread.start()
        thread.join()
        return x * 2

    graph = bl.capture(f)(x)
    assert values == [6.0]
    assert len(graph.equations) == 1


def test_one_graph_may_be_read_by_many_threads():
    x = bl.tensor(np.arange(5.0), requires_grad=True)
    y = (bl.sin(x) * x).sum()
    results = run_together(lambda i: bl.grad(y, x, retain_graph=True).numpy().tobytes())
    assert len(set(results)) == 1


def test_one_compiled_function_may_be_called_by_many_threads():
    f = bl.compile(lambda x: bl.tanh(x).sum(), executor=interpreter)
    x = bl.tensor(np.arange(5.0))
    want = bl.tanh(x).sum().item()
    assert run_together(lambda i: [f(x).item() for _ in range(50)]) == [[want] * 50] * THREADS


def test_nodes_made_by_many_threads_are_in_order():
    shared = bl.tensor(1.0, requires_grad=True)

    def work(i):
        y = shared
        for _ in range(300):
            y = y + shared
        return y

    total = sum(run_together(work), bl.tensor(0.0))
    total.backward()
    assert shared.grad.item() == THREADS * 301
