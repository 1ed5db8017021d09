"""Recurrent layers over a whole sequence: the loop over time, and the loop back through it.

The products with the inputs are done beforehand, for all times at once; what is left here is the
product with the hidden state. Each op returns everything its derivative needs, one block of T rows
after another, and the hidden states are the first block. W is (gates·H, H), x is (T, N, gates·H).
"""

from __future__ import annotations

from typing import Any

from ..errors import DTypeError, ShapeError
from ..op import Op, describe_inputs


def _sigmoid(xp, x):
    return xp.reciprocal(1 + xp.exp(-x))


def _row(xp, blocks, t: int):
    """Row t of (rows, N, H)."""
    _, n, h = blocks.shape
    return xp.slice(blocks, index=(t, (0, n, 1), (0, h, 1)))


def _part(xp, x, start: int, count: int):
    """Columns of (N, ...)."""
    return xp.slice(x, index=((0, x.shape[0], 1), (start, count, 1)))


def _rows(xp, steps):
    """A list of (N, H) as (T, N, H)."""
    return xp.reshape(xp.concat(steps, axis=0), (len(steps), *steps[0].shape))


def _grad_weight(xp, grads, states, first):
    """Σ_t gradₜᵀ hₜ₋₁ as one product over all times and the batch."""
    t, n, h = states.shape
    before = xp.concat(
        (xp.expand_dims(first, 0), xp.slice(states, index=((0, t - 1, 1), (0, n, 1), (0, h, 1)))),
        axis=0,
    )
    flat = xp.reshape(grads, (t * n, grads.shape[2]))
    return xp.matmul(flat.mT, xp.reshape(before, (t * n, h)))


class Recurrence(Op):
    """Base of the recurrences: the shapes that must fit."""

    gates = 1
    #: How many blocks of T rows the result has.
    blocks = 1
    whole = True

    def work(self, first, h, *others):
        """About how many multiplications; `first` is the input or the upstream gradient."""
        return first.size * h.shape[1]

    def check(self, x, *others):
        """(T, N, gates·H) inputs, (N, H) states, (gates·H, H) weights, one dtype."""
        weight = others[-1] if len(others[-1].shape) == 2 else others[-2]
        size = weight.shape[1]
        fits = (
            len(x.shape) == 3
            and x.shape[0] > 0
            and x.shape[2] == self.gates * size
            and weight.shape[0] == self.gates * size
            and others[0].shape == (x.shape[1], size)
        )
        if not fits:
            raise ShapeError(
                f"{self.name}: x must have shape (T, N, {self.gates}·H) with T > 0, states (N, H) "
                f"and weight ({self.gates}·H, H), got {describe_inputs(self, (x, *others))}"
            )
        if any(other.dtype != x.dtype for other in others):
            raise DTypeError(
                f"{self.name}: all inputs must have one dtype, got "
                f"{describe_inputs(self, (x, *others))}"
            )


class RnnScan(Recurrence):
    """hₜ = f(xₜ + W hₜ₋₁) with f = tanh or ReLU.

        x: (T, N, H), h: (N, H), weight: (H, H) -> (T, N, H)
        dₜ = f'(·) (gyₜ + dₜ₊₁ W);  gxₜ = dₜ,  gh = d₁ W,  gW = Σ dₜᵀ hₜ₋₁

    Source: Elman, Cognitive Science 14 (1990).
    """

    attributes = ("nonlinearity",)
    saves = ("h", "weight", "y")
    nonlinearity: str

    def forward(self, xp, x, h, weight):
        states = []
        transposed = weight.mT
        for t in range(x.shape[0]):
            a = _row(xp, x, t) + xp.matmul(h, transposed)
            h = xp.tanh(a) if self.nonlinearity == "tanh" else xp.maximum(a, 0)
            states.append(h)
        return _rows(xp, states)

    def backward(self, xp, grad_y, h, weight, y):
        grads: list[Any] = []
        carried = None
        for t in reversed(range(y.shape[0])):
            g, state = _row(xp, grad_y, t), _row(xp, y, t)
            if carried is not None:
                g = g + carried
            if self.nonlinearity == "tanh":
                g = g * (1 - state * state)
            else:
                g = xp.where(state > 0, g, 0.0)
            carried = xp.matmul(g, weight)
            grads.append(g)
        grad_x = _rows(xp, grads[::-1])
        return grad_x, carried, lambda: _grad_weight(xp, grad_x, y, h)


class LstmScan(Recurrence):
    """Long short-term memory: a = xₜ + W hₜ₋₁ in four parts (i, f, g, o) of H columns.

        i, f, o = σ(aᵢ), σ(a_f), σ(a_o),  g = tanh(a_g)
        cₜ = f cₜ₋₁ + i g,  hₜ = o tanh cₜ

        x: (T, N, 4H), h, c: (N, H), weight: (4H, H) -> (6T, N, H), blocks h, c, i, f, g, o

    The derivative runs the same loop backwards with gradients of h and c; gW = Σ daₜᵀ hₜ₋₁.
    Source: Hochreiter & Schmidhuber, Neural Computation 9 (1997); Gers et al. 2000 (forget gate).
    """

    gates = 4
    blocks = 6
    saves = ("h", "c", "weight", "y")

    def forward(self, xp, x, h, c, weight):
        size = h.shape[1]
        blocks: tuple[list[Any], ...] = ([], [], [], [], [], [])
        transposed = weight.mT
        for t in range(x.shape[0]):
            a = _row(xp, x, t) + xp.matmul(h, transposed)
            both = _sigmoid(xp, _part(xp, a, 0, 2 * size))
            i, f = _part(xp, both, 0, size), _part(xp, both, size, size)
            g = xp.tanh(_part(xp, a, 2 * size, size))
            o = _sigmoid(xp, _part(xp, a, 3 * size, size))
            c = f * c + i * g
            h = o * xp.tanh(c)
            for block, value in zip(blocks, (h, c, i, f, g, o), strict=True):
                block.append(value)
        return _rows(xp, [value for block in blocks for value in block])

    def backward(self, xp, grad_y, h, c, weight, y):
        steps = y.shape[0] // 6
        grads: list[Any] = []
        carried_h = carried_c = None
        for t in reversed(range(steps)):
            c_t, i, f, g, o = (_row(xp, y, b * steps + t) for b in range(1, 6))
            gh, gc, gi, gf, gg, go = (_row(xp, grad_y, b * steps + t) for b in range(6))
            before = _row(xp, y, steps + t - 1) if t else c
            if carried_h is not None:
                gh, gc = gh + carried_h, gc + carried_c
            squashed = xp.tanh(c_t)
            gc = gc + gh * o * (1 - squashed * squashed)
            parts = (
                (gi + gc * g) * (i * (1 - i)),
                (gf + gc * before) * (f * (1 - f)),
                (gg + gc * i) * (1 - g * g),
                (go + gh * squashed) * (o * (1 - o)),
            )
            grad_a = xp.concat(parts, axis=1)
            carried_h, carried_c = xp.matmul(grad_a, weight), gc * f
            grads.append(grad_a)
        grad_x = _rows(xp, grads[::-1])

        def grad_weight():
            _, n, size = y.shape
            states = xp.slice(y, index=((0, steps, 1), (0, n, 1), (0, size, 1)))
            return _grad_weight(xp, grad_x, states, h)

        return grad_x, carried_h, carried_c, grad_weight


class GruScan(Recurrence):
    """Gated recurrent unit: a = W hₜ₋₁ + b, and x in three parts (r, z, n) of H columns.

        r, z = σ(x_r + a_r), σ(x_z + a_z),  n = tanh(x_n + r a_n)
        hₜ = (1 - z) n + z hₜ₋₁

        x: (T, N, 3H), h: (N, H), weight: (3H, H), bias: (3H) -> (5T, N, H), blocks h, r, z, n, a_n

    Source: Cho et al., EMNLP 2014, with the reset gate after the product, as in PyTorch and cuDNN.
    """

    gates = 3
    blocks = 5
    saves = ("h", "weight", "bias.shape", "y")

    def forward(self, xp, x, h, weight, *bias):
        size = h.shape[1]
        blocks: tuple[list[Any], ...] = ([], [], [], [], [])
        transposed = weight.mT
        for t in range(x.shape[0]):
            x_t, a = _row(xp, x, t), xp.matmul(h, transposed)
            if bias:
                a = a + bias[0]
            both = _sigmoid(xp, _part(xp, x_t, 0, 2 * size) + _part(xp, a, 0, 2 * size))
            r, z = _part(xp, both, 0, size), _part(xp, both, size, size)
            inner = _part(xp, a, 2 * size, size)
            n = xp.tanh(_part(xp, x_t, 2 * size, size) + r * inner)
            h = (1 - z) * n + z * h
            for block, value in zip(blocks, (h, r, z, n, inner), strict=True):
                block.append(value)
        return _rows(xp, [value for block in blocks for value in block])

    def backward(self, xp, grad_y, h, weight, bias, y):
        steps = y.shape[0] // 5
        grads_x: list[Any] = []
        grads_a: list[Any] = []
        carried = None
        for t in reversed(range(steps)):
            r, z, n, inner = (_row(xp, y, b * steps + t) for b in range(1, 5))
            gh, gr, gz, gn, ga = (_row(xp, grad_y, b * steps + t) for b in range(5))
            before = _row(xp, y, t - 1) if t else h
            if carried is not None:
                gh = gh + carried
            gn = (gn + gh * (1 - z)) * (1 - n * n)
            gz = (gz + gh * (before - n)) * (z * (1 - z))
            gr = (gr + gn * inner) * (r * (1 - r))
            grads_x.append(xp.concat((gr, gz, gn), axis=1))
            grads_a.append(xp.concat((gr, gz, ga + gn * r), axis=1))
            carried = xp.matmul(grads_a[-1], weight) + gh * z
        grad_a = _rows(xp, grads_a[::-1])

        def grad_weight():
            _, n, size = y.shape
            states = xp.slice(y, index=((0, steps, 1), (0, n, 1), (0, size, 1)))
            return _grad_weight(xp, grad_a, states, h)

        return (
            lambda: _rows(xp, grads_x[::-1]),
            carried,
            grad_weight,
            *[grad_a for _ in bias],
        )
