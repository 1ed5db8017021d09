"""Records of the recurrences. References take one time, row and unit after another."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn.functional import rnn
from backlit.ops import recurrence as ops
from backlit.tensor import apply

from .record import Bad, Case, Record, generator

_RNG = generator("recurrence")


def x(*shape):
    return _RNG.uniform(-1, 1, shape)


def logistic(v):
    return 1 / (1 + math.exp(-v))


def products(weight, h):
    return [math.fsum(float(a) * float(b) for a, b in zip(row, h, strict=True)) for row in weight]


def rnn_scan(x, h, weight, nonlinearity):
    f = math.tanh if nonlinearity == "tanh" else lambda v: max(v, 0.0)
    y = np.zeros(x.shape)
    for n in range(x.shape[1]):
        state = list(h[n])
        for t in range(len(x)):
            state = [f(a + b) for a, b in zip(x[t, n], products(weight, state), strict=True)]
            y[t, n] = state
    return y


def lstm_scan(x, h, c, weight):
    steps, batch, size = len(x), x.shape[1], h.shape[1]
    y = np.zeros((6, steps, batch, size))
    for n in range(batch):
        hidden, cell = list(h[n]), list(c[n])
        for t in range(steps):
            a = [p + q for p, q in zip(x[t, n], products(weight, hidden), strict=True)]
            for k in range(size):
                i, f, o = (logistic(a[part * size + k]) for part in (0, 1, 3))
                g = math.tanh(a[2 * size + k])
                cell[k] = f * cell[k] + i * g
                y[:, t, n, k] = o * math.tanh(cell[k]), cell[k], i, f, g, o
            hidden = list(y[0, t, n])
    return y.reshape(6 * steps, batch, size)


def gru_scan(x, h, weight, *bias):
    steps, batch, size = len(x), x.shape[1], h.shape[1]
    y = np.zeros((5, steps, batch, size))
    for n in range(batch):
        hidden = list(h[n])
        for t in range(steps):
            a = products(weight, hidden)
            if bias:
                a = [p + q for p, q in zip(a, bias[0], strict=True)]
            for k in range(size):
                r, z = (logistic(x[t, n, p * size + k] + a[p * size + k]) for p in (0, 1))
                new = math.tanh(x[t, n, 2 * size + k] + r * a[2 * size + k])
                y[:, t, n, k] = (
                    (1 - z) * new + z * hidden[k], r, z, new, a[2 * size + k],
                )  # fmt: skip
            hidden = list(y[0, t, n])
    return y.reshape(5 * steps, batch, size)


_SIZES = [(1, 1, 2), (3, 2, 2), (2, 1, 3), (2, 0, 2)]
_AWAY = np.array([[[0.9, -0.8]], [[-0.9, 0.7]], [[0.5, 0.6]]])  # ReLU off its kink for small W

TABLE = [
    Record(
        op=ops.RnnScan,
        reference=rnn_scan,
        cases=[
            *[Case((x(t, n, h), x(n, h), x(h, h)), {"nonlinearity": "tanh"}) for t, n, h in _SIZES],
            Case((_AWAY, 0.1 * x(1, 2), 0.1 * x(2, 2)), {"nonlinearity": "relu"}),
        ],
        bad=[
            Bad(lambda: rnn(bl.ones((2, 1, 3)), bl.ones((1, 2)), bl.ones((2, 3)), bl.ones((2, 2)),
                            nonlinearity="sin"), ArgumentError,
                r"rnn: nonlinearity must be 'tanh' or 'relu', got 'sin'"),
            Bad(lambda: apply(ops.RnnScan(nonlinearity="tanh"), bl.ones((0, 1, 2)),
                              bl.ones((1, 2)), bl.ones((2, 2))), ShapeError,
                r"rnn_scan: x must have shape \(T, N, 1·H\) with T > 0, states \(N, H\) and "
                r"weight \(1·H, H\), got x: float32\[0,1,2\], h: float32\[1,2\]"),
            Bad(lambda: apply(ops.RnnScan(nonlinearity="tanh"), bl.ones((2, 1, 2)),
                              bl.ones((1, 2), dtype="float64"), bl.ones((2, 2))), DTypeError,
                r"rnn_scan: all inputs must have one dtype, got x: float32\[2,1,2\], "
                r"h: float64\[1,2\], weight: float32\[2,2\]"),
        ],
    ),
    Record(
        op=ops.LstmScan,
        reference=lstm_scan,
        cases=[
            Case((x(t, n, 4 * h), x(n, h), x(n, h), x(4 * h, h))) for t, n, h in _SIZES
        ],
        bad=[
            Bad(lambda: apply(ops.LstmScan(), bl.ones((2, 1, 4)), bl.ones((1, 2)), bl.ones((1, 2)),
                              bl.ones((8, 2))), ShapeError,
                r"lstm_scan: x must have shape \(T, N, 4·H\)"),
        ],
    ),
    Record(
        op=ops.GruScan,
        reference=gru_scan,
        cases=[
            *[Case((x(t, n, 3 * h), x(n, h), x(3 * h, h), x(3 * h))) for t, n, h in _SIZES],
            Case((x(2, 2, 6), x(2, 2), x(6, 2))),
        ],
        bad=[
            Bad(lambda: apply(ops.GruScan(), bl.ones((2, 1, 6)), bl.ones((2, 2)), bl.ones((6, 2))),
                ShapeError, r"gru_scan: x must have shape \(T, N, 3·H\)"),
        ],
    ),
]  # fmt: skip
