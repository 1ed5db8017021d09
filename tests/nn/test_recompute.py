"""Parts of a network whose values are computed again: the same gradients, in less memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler import interpreter
from backlit.errors import ArgumentError, GradientError
from backlit.nn.utils.checkpoint import checkpoint, checkpoint_sequential
from backlit.state import observing

rng = np.random.default_rng(0)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [p.grad.numpy() for p in model.parameters()]


def same(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_gradients_and_random_numbers_are_those_of_the_call_itself() -> None:
    model = nn.Sequential(
        *(m for _ in range(3) for m in (nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.5)))
    )
    x = bl.tensor(rng.normal(size=(4, 6)).astype("float32"), requires_grad=True)
    bl.manual_seed(1)
    want = gradients(model, (model(x) ** 2).sum())
    gx, x.grad = x.grad.numpy(), None
    bl.manual_seed(1)
    y = x
    for i in (0, 3, 6):
        y = checkpoint(model[i : i + 3], y)
    loss = (y**2).sum()
    after = bl.random.uniform(2).tolist()
    same(gradients(model, loss), want)
    same([x.grad.numpy()], [gx])
    bl.manual_seed(1)
    y = checkpoint_sequential(model, 3, x)
    assert bl.random.uniform(2).tolist() == after
    same(gradients(model, (y**2).sum()), want)
    own = nn.Dropout(0.5, generator=bl.Generator(3))
    checkpoint(own, x).sum().backward()
    kept = checkpoint(own, x)
    x.grad = None
    kept.sum().backward()
    assert (x.grad.numpy() != 0).tolist() == (kept.numpy() != 0).tolist()


def test_what_the_function_reaches_for_has_its_gradient_once() -> None:
    """Leaves, and Tensors that were computed before, also of an argument that depends on them."""
    w = bl.tensor(2.0, requires_grad=True)
    calls = []
    w.register_hook(lambda g: calls.append(g.item()))
    a = w * 3
    b = w * 5
    y = checkpoint(lambda x, *, z: x * w * b * z, a, z=a)
    y.backward()  # 3w · w · 5w · 3w = 45 w⁴
    assert w.grad.item() == 45 * 4 * 8
    assert calls == [45 * 4 * 8]
    grad = bl.grad(checkpoint(lambda x: x * w, w), w)
    assert grad.item() == 4.0
    assert checkpoint(lambda x: x, w) * 2 == 4.0
    with bl.no_grad():
        assert checkpoint(lambda x: x * w, w).op is None
    assert checkpoint(lambda x: x + 1, bl.tensor(1.0)).op is None


def test_several_results() -> None:
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    z = bl.tensor([[3.0]], dtype="float64", requires_grad=True)
    (a, [b]), n = checkpoint(
        lambda x, z: ((x * z, [(z * z).astype("float64")]), bl.arange(2)), x, z
    )
    assert (a.shape, b.dtype, n.tolist()) == ((1, 2), bl.float64, [0, 1])
    (a.sum() + 2 * b.sum()).backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert z.grad.tolist() == [[15.0]]


def test_the_peak_of_memory_is_lower() -> None:
    layers = [nn.Sequential(*(nn.Tanh() for _ in range(8))) for _ in range(8)]
    x = bl.tensor(rng.normal(size=(100, 1000)).astype("float32"), requires_grad=True)

    def peak(run):
        tracemalloc.start()
        y = x
        for layer in layers:
            y = run(layer, y)
        y.sum().backward()
        x.grad = None
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(checkpoint) < 0.4 * peak(lambda layer, y: layer(y))


def test_it_is_the_call_itself_where_it_is_captured() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))
    x = bl.tensor(rng.normal(size=(4, 3)).astype("float32"))

    def step(x):
        return bl.grad(checkpoint_sequential(model, 2, x).sum(), list(model.parameters()))

    same([g.numpy() for g in bl.compile(step, executor=interpreter)(x)],
         [g.numpy() for g in step(x)])  # fmt: skip


def test_who_looks_on_sees_what_is_inside() -> None:
    layer, x, seen = nn.Linear(3, 2), bl.ones((1, 3)), []
    with observing(lambda op, inputs, y: seen.append(op.name)):
        y = checkpoint(layer, x)
    assert seen == ["linear"] == [y.op]


def test_what_cannot_be_says_why() -> None:
    x = bl.tensor(1.0, requires_grad=True)
    with pytest.raises(GradientError, match="recomputed: its derivative cannot itself be differen"):
        bl.grad(checkpoint(lambda x: x * x, x), x, create_graph=True)
    with pytest.raises(ArgumentError, match="must return Tensors, alone or in tuples or lists"):
        checkpoint(lambda x: {"y": x}, x)
    with pytest.raises(ArgumentError, match="segments must be at most the number of functions, 1"):
        checkpoint_sequential([nn.Tanh()], 2, x)
