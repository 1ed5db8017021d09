"""Records of the ops that make arrays from nothing, and the random bits from their definition."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit.array_api import primitives
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import creation as ops

from .record import Bad, Case, Record

_LOW = 2**64 - 1


def philox(key, counter):
    """One block of Philox 4x64-10, four 64-bit words, in Python integers.

    Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, sec. 3.3.
    """
    words = [(counter >> (64 * i)) & _LOW for i in range(4)]
    k0, k1 = key & _LOW, key >> 64
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [
            (second >> 64) ^ words[1] ^ k0,
            second & _LOW,
            (first >> 64) ^ words[3] ^ k1,
            first & _LOW,
        ]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & _LOW, (k1 + 0xBB67AE8584CAA73B) & _LOW
    return words


def bits(key, counter, shape):
    size = math.prod(shape)
    words, block = [], int(counter)
    while len(words) < size:
        block += 1  # the generator counts on before it makes a block
        for word in philox(int(key), block):
            words += [word & 0xFFFFFFFF, word >> 32]
    return np.array(words[:size], np.uint32).reshape(shape)


def of(*values):
    return tuple(np.array(v, np.uint64) for v in values)


FLOAT32, FLOAT64, INT64 = np.dtype("float32"), np.dtype("float64"), np.dtype("int64")


def poisson(key, counter, mean):
    """How many uniform numbers can be multiplied before the product is below e^-mean: Knuth's."""
    stream = np.random.Philox(key=int(key) + 2**64, counter=int(counter) * 2**64)
    found = []
    for m in mean.flat:
        product, count = 1.0, -1
        while product > math.exp(-m):
            product *= (int(stream.random_raw()) >> 11) * 2.0**-53
            count += 1
        found.append(count if m else 0)
    return np.array(found, float).reshape(mean.shape)


TABLE = [
    Record(
        op=ops.Full,
        reference=lambda shape, value, dtype: np.array(
            [value] * math.prod(shape), dtype
        ).reshape(shape),
        cases=[
            Case((), {"shape": (2, 3), "value": 1.5, "dtype": FLOAT64}),
            Case((), {"shape": (), "value": 7, "dtype": INT64}),
            Case((), {"shape": (0, 2), "value": True, "dtype": np.dtype(bool)}),
            Case((), {"shape": (1,), "value": math.inf, "dtype": FLOAT32}),
        ],
        function=lambda shape, value, dtype: bl.full(shape, value, dtype=dtype),
        bad=[
            Bad(lambda: bl.zeros((2, -1)), ShapeError,
                r"zeros: sizes must not be negative, got \(2, -1\)"),
            Bad(lambda: bl.zeros("x"), ArgumentError, r"zeros: a shape is integers, got 'x'"),
        ],
    ),
    Record(
        op=ops.Arange,
        reference=lambda start, count, step, dtype: np.array(
            [start + i * step for i in range(count)], dtype
        ),
        cases=[
            Case((), {"start": 0, "count": 4, "step": 1, "dtype": INT64}),
            Case((), {"start": 1.5, "count": 3, "step": -0.25, "dtype": FLOAT32}),
            Case((), {"start": 0, "count": 0, "step": 1, "dtype": FLOAT64}),
            Case((), {"start": 5, "count": 3, "step": -2, "dtype": INT64}),
        ],
        function=lambda start, count, step, dtype: bl.arange(
            start, start + count * step, step, dtype=dtype
        ),
        bad=[Bad(lambda: bl.arange(0, 1, 0), ArgumentError, r"arange: step must not be 0")],
    ),
    Record(
        op=ops.RandomBits,
        reference=bits,
        cases=[
            Case(of(0, 0), {"shape": (9,)}),
            Case(of(2**64 - 1, 5), {"shape": (2, 3)}),
            Case(of(42, 2**40), {"shape": ()}),
            Case(of(1, 1), {"shape": (0, 3)}),
        ],
        function=lambda key, counter, shape: primitives.random_bits(key, counter, shape),
    ),
    Record(
        op=ops.RandomPoisson,
        reference=poisson,
        cases=[
            Case((*of(0, 0), np.array([0.0, 0.5, 3.0, 9.5])), {}),
            Case((*of(2**64 - 1, 5), np.full((2, 3), 2.0)), {}),
            Case((*of(42, 2**40), np.array(1.5)), {}),
        ],
        function=primitives.random_poisson,
        bad=[
            Bad(lambda: bl.random.poisson(bl.tensor([1.0, -1.0])), ArgumentError,
                r"random_poisson: the mean must lie in \[0, 2\*\*62\), got -1.0; look for NaN"),
        ],
        low_precision=False,
    ),
]  # fmt: skip
