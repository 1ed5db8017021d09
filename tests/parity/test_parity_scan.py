"""Recurrences written with `scan` against PyTorch's, written as loops: values, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backlit as bl
from backlit.nn import functional as F

pytestmark = pytest.mark.parity
torch.set_num_threads(1)

RNG = np.random.default_rng(0)
T, N, C, H = 7, 3, 4, 5


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape) / 2


def lstm_cell(xp, state, x, w, u):
    """One step of an LSTM without biases; `xp` has sigmoid and tanh."""
    h, c = state
    a = x @ w.T + h @ u.T
    i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
    c = xp.sigmoid(f) * c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return h, c


class Ours:
    sigmoid = staticmethod(F.sigmoid)
    tanh = staticmethod(bl.tanh)


INPUTS = numbers(T, N, C), numbers(N, H), numbers(N, H), numbers(4 * H, C), numbers(4 * H, H)


def ours(x, h, c, w, u):
    """The mean square of all states, and of the last cell."""

    def step(state, x):
        state = lstm_cell(Ours, state, x, w, u)
        return state, state[0]

    (_, c), y = bl.scan(step, (h, c), x)
    return (y * y).mean() + (c * c).mean()


def theirs(x, h, c, w, u):
    y = []
    for row in x:
        h, c = lstm_cell(torch, (h, c), row, w, u)
        y.append(h)
    y = torch.stack(y)
    return (y * y).mean() + (c * c).mean()


def derivatives(grad, function, leaves):
    """The value, its gradients, and those of the sum of their squares."""
    value = function(*leaves)
    first = grad(value, leaves, create_graph=True)
    return value, *first, *grad(sum((g * g).sum() for g in first), leaves)


@pytest.mark.parametrize("compiled", [False, True])
def test_an_lstm_written_as_a_scan_has_pytorch_s_derivatives_to_second_order(compiled) -> None:
    leaves = [torch.tensor(x, requires_grad=True) for x in INPUTS]
    expected = derivatives(torch.autograd.grad, theirs, leaves)

    def mine(*inputs):
        return derivatives(bl.grad, ours, [x.detach().requires_grad_() for x in inputs])

    found = (bl.compile(mine) if compiled else mine)(*map(bl.asarray, INPUTS))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_a_scan_is_pytorch_s_own_lstm() -> None:
    layer = torch.nn.LSTM(C, H, bias=False).double()
    w, u = (bl.asarray(p.detach().numpy()).requires_grad_() for p in layer.parameters())
    x = INPUTS[0]
    out, (h, c) = layer(torch.tensor(x))
    (out**2).sum().backward()

    @bl.compile
    def mine(x):
        def step(state, x):
            state = lstm_cell(Ours, state, x, w, u)
            return state, state[0]

        state = bl.zeros((N, H), dtype="float64"), bl.zeros((N, H), dtype="float64")
        state, y = bl.scan(step, state, x)
        return *state, y, *bl.grad((y * y).sum(), (w, u))

    expected = (h[0], c[0], out, *(p.grad for p in layer.parameters()))
    for a, b in zip(mine(bl.asarray(x)), expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_backwards_in_time_as_a_loop_over_flipped_rows(compiled) -> None:
    x = numbers(6)

    def mine(x):
        x = x.detach().requires_grad_()
        last, y = bl.scan(lambda c, v: (c * 0.5 + v * v, c * v), 1.0 * x[0], x, reverse=True)
        return last, y, bl.grad(last + (y * y).sum(), x)

    t = torch.tensor(x, requires_grad=True)
    c, rows = t[0], []
    for v in t.flip(0):
        c, y = c * 0.5 + v * v, c * v
        rows.append(y)
    y = torch.stack(rows).flip(0)
    (c + (y * y).sum()).backward()
    found = (bl.compile(mine) if compiled else mine)(bl.asarray(x))
    for a, b in zip(found, (c, y, t.grad), strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)
