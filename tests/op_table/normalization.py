"""Records of the normalisations and of dropout. References go through one channel at a time."""

from __future__ import annotations

import math

import numpy as np

from backlit import ones as f32
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional
from backlit.ops import normalization as ops

from .record import Bad, Case, Record, Special, generator

_RNG = generator("normalization")


def x(*shape):
    return _RNG.uniform(-2, 2, shape)


def positive(*shape):
    return _RNG.uniform(0.5, 2, shape)


def batch_norm(x, mean, variance, *affine, eps):
    y = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        c = index[1]
        h = (float(x[index]) - mean[c]) / math.sqrt(variance[c] + eps)
        for name, w in zip("wb", affine, strict=False):
            h = h * w[c] if name == "w" else h + w[c]
        y[index] = h
    return y


def layer_norm(x, *affine, naxes, eps):
    y = np.empty_like(x)
    for index in np.ndindex(*x.shape[: x.ndim - naxes]):
        values = [float(v) for v in x[index].flat]
        mean = math.fsum(values) / len(values)
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values) + eps)
        h = np.reshape([(v - mean) / spread for v in values], x[index].shape)
        for name, w in zip("wb", affine, strict=False):
            h = h * w if name == "w" else h + w
        y[index] = h
    return y


def keep(*shape):
    return _RNG.integers(0, 2, shape).astype(bool)


TABLE = [
    Record(
        op=ops.BatchNorm,
        reference=batch_norm,
        cases=[
            Case((x(3, 2), x(2), positive(2), x(2), x(2)), {"eps": 1e-5}),
            Case((x(3, 2), x(2), positive(2)), {"eps": 0.1}),
            Case((x(2, 2, 2), x(2), positive(2), x(2)), {"eps": 0.1}),
            Case((x(2, 3, 2), x(3), positive(3), x(3), x(3)), {"eps": 1e-5}),
            Case((x(2, 2, 1, 3), x(2), positive(2), x(2), x(2)), {"eps": 1e-3}),
            Case((x(0, 2), x(2), positive(2)), {"eps": 0.1}),
        ],
        bad=[
            Bad(lambda: functional.batch_norm(f32(3), training=True), ShapeError,
                r"batch_norm: x must have shape \(N, C, ...\), got float32\[3\]"),
            Bad(lambda: functional.batch_norm(f32((2, 3)), weight=f32(2), bias=f32(3)), ShapeError,
                r"batch_norm: weight must have one element for each of 3 channels "
                r"\(x: float32\[2,3\]\), got float32\[2\]"),
            Bad(lambda: functional.batch_norm(f32((2, 3), dtype="float64"), f32(3), f32(3)),
                DTypeError, r"batch_norm: x and running_mean must have one dtype, got "
                r"x: float64\[2,3\] and running_mean: float32\[3\]; use x.astype\('float32'\)"),
            Bad(lambda: functional.batch_norm(f32((1, 3)), training=True), ShapeError,
                r"batch_norm: training needs more than one value in each channel, got "
                r"float32\[1,3\]; use a larger batch \(drop_last=True leaves out one alone\), "
                r"or eval\(\)"),
            Bad(lambda: functional.batch_norm(f32((2, 3))), ArgumentError,
                r"batch_norm: evaluation needs running_mean and running_var"),
        ],
    ),
    Record(
        op=ops.LayerNorm,
        reference=layer_norm,
        cases=[
            Case((x(2, 4),), {"naxes": 1, "eps": 1e-5}),
            Case((x(2, 4), x(4)), {"naxes": 1, "eps": 1e-5}),
            Case((x(2, 3, 4), x(4), x(4)), {"naxes": 1, "eps": 1e-2}),
            Case((x(2, 3, 2), x(3, 2), x(3, 2)), {"naxes": 2, "eps": 1e-5}),
            Case((x(3),), {"naxes": 1, "eps": 1e-5}),
            Case((x(0, 3), x(3), x(3)), {"naxes": 1, "eps": 1e-5}),
        ],
        specials=[
            Special(([[1e6, 1e6 + 2]],), [[-1.0, 1.0]], None, {"naxes": 1, "eps": 0.0}),
            Special(([[5.0, 5.0]],), [[0.0, 0.0]], ([[0.0, 0.0]],), {"naxes": 1, "eps": 1e-5}),
        ],
        bad=[
            Bad(lambda: functional.layer_norm(f32((2, 3)), 4), ShapeError,
                r"layer_norm: the last axes of x must be normalized_shape \(4,\), got "
                r"float32\[2,3\]"),
            Bad(lambda: functional.layer_norm(f32(3), (2, 3)), ShapeError,
                r"the last axes of x must be normalized_shape \(2, 3\), got float32\[3\]"),
            Bad(lambda: functional.layer_norm(f32((2, 3)), 3, f32(4)), ShapeError,
                r"layer_norm: the last 1 axes of x must be those of weight, got "
                r"x: float32\[2,3\] and weight: float32\[4\]"),
            Bad(lambda: functional.layer_norm(f32((2, 3), dtype="float64"), 3, f32(3)), DTypeError,
                r"layer_norm: x and weight must have one dtype, got x: float64\[2,3\] and "
                r"weight: float32\[3\]; use x.astype\('float32'\)"),
        ],
    ),
    Record(
        op=ops.Dropout,
        reference=lambda x, kept, p: np.array(
            [v / (1 - p) if k else 0.0 for v, k in zip(x.flat, kept.flat, strict=False)]
        ).reshape(x.shape),
        cases=[
            Case((x(3), keep(3)), {"p": 0.5}),
            Case((x(2, 3), keep(2, 3)), {"p": 0.2}),
            Case((x(0, 3), keep(0, 3)), {"p": 0.2}),
        ],
        specials=[
            Special(([3.0, math.nan, math.inf], np.array([False, False, False])),
                    [0.0, 0.0, 0.0], ([0.0, 0.0, 0.0],), {"p": 1.0}),
        ],
        bad=[
            Bad(lambda: functional.dropout(f32(3), 1.5), ArgumentError,
                r"dropout: p must lie in \[0, 1\], got 1.5"),
        ],
    ),
]  # fmt: skip
