"""Records of the contractions. References multiply and add one product at a time."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit.errors import ShapeError
from backlit.ops import contraction as ops
from backlit.tensor import apply

from .record import Bad, Case, Record, generator

_RNG = generator("contraction")


def x(*shape):
    return _RNG.uniform(-2, 2, shape)


def product(a, b):
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, lead + a.shape[-2:]), np.broadcast_to(b, lead + b.shape[-2:])
    result = np.zeros((*lead, a.shape[-2], b.shape[-1]), a.dtype)
    for *batch, i, j in np.ndindex(*result.shape):
        key = tuple(batch)
        terms = [
            p * q
            for p, q in zip(a[(*key, i)].tolist(), b[(*key, slice(None), j)].tolist(), strict=True)
        ]
        result[(*key, i, j)] = math.fsum(terms)
    return result


def affine(x, weight, *bias):
    rows = x.reshape(-1, x.shape[-1])
    y = product(rows, weight.T)
    if bias:
        y = np.array([row + bias[0] for row in y]).reshape(y.shape)
    return y.reshape(*x.shape[:-1], len(weight))


TABLE = [
    Record(
        op=ops.Matmul,
        reference=product,
        cases=[
            Case((x(2, 3), x(3, 2))),
            Case((x(1, 3), x(3, 1))),
            Case((x(2, 2, 3), x(3, 2))),
            Case((x(2, 1, 2, 2), x(2, 2, 1))),
            Case((x(0, 3), x(3, 2))),
            Case((x(2, 0), x(0, 2))),
            Case((np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2))),
        ],
        function=bl.matmul,
        bad=[
            Bad(lambda: bl.matmul(bl.ones((2, 3)), bl.ones((4, 3))), ShapeError,
                r"matmul: a.shape\[-1\] must equal b.shape\[-2\], got 3 and 4 "
                r"\(a: float32\[2,3\], b: float32\[4,3\]\); did you mean b.mT\?"),
            Bad(lambda: bl.matmul(bl.ones((2, 2, 3)), bl.ones((3, 3, 2))), ShapeError,
                r"matmul: the axes before the matrices must broadcast, got \(2,\) and \(3,\)"),
            Bad(lambda: bl.matmul(bl.tensor(1.0), bl.ones(2)), ShapeError,
                r"matmul: both inputs need at least one axis, got a: float32\[\]"),
        ],
    ),
    Record(
        op=ops.Linear,
        reference=affine,
        cases=[
            Case((x(2, 3), x(4, 3), x(4))),
            Case((x(2, 3), x(4, 3))),
            Case((x(3), x(2, 3), x(2))),
            Case((x(2, 1, 3), x(2, 3), x(2))),
            Case((x(0, 3), x(2, 3), x(2))),
        ],
        bad=[
            Bad(lambda: apply(ops.Linear(), bl.ones((2, 3)), bl.ones((4, 5))), ShapeError,
                r"linear: x.shape\[-1\] must equal in_features, got 3 and 5 "
                r"\(x: float32\[2,3\], weight: float32\[4,5\]\)"),
            Bad(lambda: apply(ops.Linear(), bl.tensor(1.0), bl.ones((4, 5))), ShapeError,
                r"linear: x.shape\[-1\] must equal in_features, got a scalar and 5"),
        ],
    ),
]  # fmt: skip
