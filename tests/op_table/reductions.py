"""Records of the reductions. References fold Python lists, with exact sums (`math.fsum`)."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import activation
from backlit.ops import reductions as ops

from .record import Bad, Case, Record, Special, distinct, folded, grid, integers, truth, uniform

inf, nan = math.inf, math.nan

#: Shapes with the axes to fold: one, several, all, none; a size-1 axis; a kept empty axis.
FOLDS = [
    ((3,), (0,), False),
    ((2, 3), (0,), True),
    ((2, 3), (1,), False),
    ((2, 1, 3), (0, 2), True),
    ((2, 1, 3), (0, 1, 2), False),
    ((2, 2), (), False),
    ((0, 2), (1,), False),
    ((), (), False),
]
EMPTY = ((0, 2), (0,), False)
ONE_AXIS = [fold for fold in FOLDS if len(fold[1]) == 1]

ALL = {"axis": (0,), "keepdims": False}

#: Products are smooth at 0, where quotients are not.
ZEROS = np.array([[0.5, 0.0, 2.0, -1.5], [0.0, 1.5, 0.0, 3.0]])


def folds(name, make, places=FOLDS, **more):
    """Cases for each shape and set of axes, times the grid of further attributes."""
    further = [dict(zip(more, values, strict=True)) for values in itertools.product(*more.values())]
    return [
        case
        for shape, axis, keepdims in places
        for case in grid(
            f"{name}{shape}{axis}",
            make,
            shapes=[(shape,)],
            attributes=[{"axis": axis, "keepdims": keepdims, **m} for m in further],
        )
    ]


def whole_or_float(f):
    """Sums of integers stay integers."""
    return lambda x, axis, keepdims: folded(f)(x, axis, keepdims).astype(x.dtype)


def empty(function, name):
    return Bad(
        lambda: function(bl.zeros((0, 2)), axis=0),
        ShapeError,
        rf"{name}: the reduced axes must not be empty, got shape \(0, 2\) and axis \(0,\)",
    )


def outside(function, name):
    return Bad(
        lambda: function(bl.ones((2, 3)), axis=2),
        ShapeError,
        rf"{name}: axis must lie in \[-2, 2\) for 2 axes, got 2",
    )


def one(function):
    """A function of one axis, given as a tuple of one."""
    return lambda x, axis, keepdims: function(x, axis=axis[0], keepdims=keepdims)


def norm_reference(values):
    return math.hypot(*values)


def logsumexp_reference(values):
    return math.log(math.fsum(math.exp(v) for v in values)) if values else -inf


def var_reference(values, correction):
    return statistics.pvariance(values) * len(values) / (len(values) - correction)


def running(fold):
    """The folds of each leading piece along an axis."""

    def reference(x, axis):
        if x.size == 0:
            return x
        pieces = [
            np.apply_along_axis(lambda v, k=k: fold(v[: k + 1].tolist()), axis, x)
            for k in range(x.shape[axis])
        ]
        return np.stack(pieces, axis).astype(x.dtype)

    return reference


def argsort_reference(x, axis, descending):
    def order(v):
        return sorted(range(len(v)), key=lambda i: -v[i] if descending else v[i])

    return np.apply_along_axis(order, axis, x).astype(np.int64) if x.size else x.astype(np.int64)


RUNNING = [((3,), 0), ((2, 3), 0), ((2, 3), 1), ((1, 2), 0), ((0, 2), 1)]


def along(name, make, **more):
    further = [dict(zip(more, values, strict=True)) for values in itertools.product(*more.values())]
    return [
        case
        for shape, axis in RUNNING
        for case in grid(
            f"{name}{shape}{axis}",
            make,
            shapes=[(shape,)],
            attributes=[{"axis": axis, **m} for m in further],
        )
    ]


TABLE = [
    Record(
        op=ops.Sum,
        reference=whole_or_float(math.fsum),
        cases=[
            *folds("sum", uniform(-2, 2), [*FOLDS, EMPTY]),
            *folds("sum", integers(-5, 5), FOLDS[:3]),
        ],
        function=bl.sum,
        specials=[
            Special(([inf, -inf],), nan, attributes=ALL),
            Special(([1e308, 1e308],), inf, ([1.0, 1.0],), ALL),
            Special(([nan, 1.0],), nan, ([1.0, 1.0],), ALL),
        ],
        bad=[
            outside(bl.sum, "sum"),
            Bad(lambda: bl.sum(bl.ones(2), axis="x"), ArgumentError,
                r"sum: axis must be an integer, got 'x'"),
            Bad(lambda: bl.sum(bl.ones((2, 2)), axis=(0, 0)), ShapeError,
                r"sum: axes must differ, got \(0, 0\)"),
        ],
    ),
    Record(
        op=ops.Mean,
        reference=folded(statistics.fmean),
        cases=folds("mean", uniform(-2, 2)),
        function=bl.mean,
        specials=[Special(([nan, 1.0],), nan, ([0.5, 0.5],), ALL), Special(([],), nan, ([],), ALL)],
        bad=[outside(bl.mean, "mean")],
    ),
    Record(
        op=ops.Var,
        reference=folded(var_reference),
        cases=folds("var", uniform(-2, 2), [f for f in FOLDS if f[1] and f[0] != (1, 2)],
                    correction=(0.0, 1.0)),
        function=bl.var,
        specials=[
            Special(([1e8, 1e8 + 1, 1e8 + 2],), 2 / 3, ([-2 / 3, 0.0, 2 / 3],),
                    {**ALL, "correction": 0.0}, rtol=1e-15),
            Special(([1e6, 1e6 + 1, 1e6 + 2],), np.float32(1.0), None, {**ALL, "correction": 1.0},
                    dtype="float32", rtol=1e-6),
            Special(([5.0],), nan, None, {**ALL, "correction": 1.0}),
            Special(([0.1, 0.1, 0.1],), 0.0, ([0.0, 0.0, 0.0],), {**ALL, "correction": 1.0}),
        ],
    ),
    Record(
        op=ops.Std,
        reference=folded(lambda values, correction: math.sqrt(var_reference(values, correction))),
        cases=folds("std", uniform(-2, 2), [f for f in FOLDS if f[1] and f[0] != (1, 2)],
                    correction=(0.0, 1.0)),
        function=bl.std,
        specials=[
            Special(([1.0, 1.0, 1.0],), 0.0, ([0.0, 0.0, 0.0],), {**ALL, "correction": 0.0}),
            Special(([0.1, 0.1, 0.1],), 0.0, ([0.0, 0.0, 0.0],), {**ALL, "correction": 1.0}),
            Special(([1e30 / 3] * 7,), 0.0, ([0.0] * 7,), {**ALL, "correction": 0.0}, "float32"),
            Special(([5.0],), 0.0, ([0.0],), {**ALL, "correction": 0.0}),
            Special(([5.0],), nan, ([nan],), {**ALL, "correction": 1.0}),
            Special(([5.0, nan],), nan, ([nan, nan],), {**ALL, "correction": 0.0}),
            Special(([1e8, 1e8 + 2],), 1.0, ([-0.5, 0.5],), {**ALL, "correction": 0.0}),
        ],
    ),
    Record(
        op=ops.Max,
        reference=folded(max),
        cases=[*folds("max", distinct), *folds("max", integers(-5, 5), FOLDS[:2])],
        function=bl.max,
        specials=[
            Special(([1.0, 3.0, 3.0],), 3.0, ([0.0, 0.5, 0.5],), ALL),
            Special(([2.0, 2.0, 2.0, 2.0],), 2.0, ([0.25] * 4,), ALL),
            Special(([-inf, 3.0, 0.0],), 3.0, ([0.0, 1.0, 0.0],), ALL),
            Special(([nan, 3.0],), nan, None, ALL),
            Special(([-inf, -inf],), -inf, ([0.5, 0.5],), ALL),
        ],
        bad=[empty(bl.max, "max"), outside(bl.max, "max")],
    ),
    Record(
        op=ops.Min,
        reference=folded(min),
        cases=[*folds("min", distinct), *folds("min", integers(-5, 5), FOLDS[:2])],
        function=bl.min,
        specials=[
            Special(([1.0, 1.0, 3.0],), 1.0, ([0.5, 0.5, 0.0],), ALL),
            Special(([inf, -3.0, 0.0],), -3.0, ([0.0, 1.0, 0.0],), ALL),
            Special(([nan, 3.0],), nan, None, ALL),
        ],
        bad=[empty(bl.min, "min"), outside(bl.min, "min")],
    ),
    Record(
        op=ops.Prod,
        reference=whole_or_float(math.prod),
        cases=[
            Case((ZEROS,), {"axis": (1,), "keepdims": False}),
            *folds("prod", uniform(-2, 2), [*ONE_AXIS, EMPTY]),
            *folds("prod", integers(-5, 5), ONE_AXIS[:2]),
        ],
        function=bl.prod,
        specials=[
            Special(([2.0, 0.0, 5.0],), 0.0, ([0.0, 10.0, 0.0],), ALL),
            Special(([0.0, 0.0, 5.0],), 0.0, ([0.0, 0.0, 0.0],), ALL),
        ],
        bad=[outside(bl.prod, "prod")],
    ),
    Record(
        op=ops.All,
        reference=folded(all),
        cases=[*folds("all", truth, [*FOLDS, EMPTY]), *folds("all", integers(0, 3), FOLDS[:2])],
        function=bl.all,
        specials=[Special(([nan, 1.0],), True, None, ALL)],
        bad=[outside(bl.all, "all")],
    ),
    Record(
        op=ops.Any,
        reference=folded(any),
        cases=[*folds("any", truth, [*FOLDS, EMPTY]), *folds("any", integers(0, 2), FOLDS[:2])],
        function=bl.any,
        specials=[Special(([0.0, -0.0],), False, None, ALL)],
        bad=[outside(bl.any, "any")],
    ),
    Record(
        op=ops.Argmax,
        reference=folded(lambda v: v.index(max(v))),
        cases=[*folds("argmax", distinct, ONE_AXIS), *folds("argmax", integers(0, 2), ONE_AXIS)],
        function=one(bl.argmax),
        specials=[
            Special(([1.0, 3.0, 3.0],), 1, None, ALL),
            Special(([1.0, nan, 3.0, nan],), 1, None, ALL),
        ],
        bad=[empty(bl.argmax, "argmax"), outside(bl.argmax, "argmax")],
    ),
    Record(
        op=ops.Argmin,
        reference=folded(lambda v: v.index(min(v))),
        cases=[*folds("argmin", distinct, ONE_AXIS), *folds("argmin", integers(0, 2), ONE_AXIS)],
        function=one(bl.argmin),
        specials=[Special(([3.0, 1.0, 1.0],), 1, None, ALL)],
        bad=[empty(bl.argmin, "argmin"), outside(bl.argmin, "argmin")],
    ),
    Record(
        op=ops.CumulativeSum,
        reference=running(math.fsum),
        cases=[*along("cumulative_sum", uniform(-2, 2)), *along("cumulative_sum", integers(-5, 5))],
        function=bl.cumulative_sum,
        specials=[Special(([1.0, nan, 1.0],), [1.0, nan, nan], ([3.0, 2.0, 1.0],), {"axis": 0})],
        bad=[
            Bad(lambda: bl.cumulative_sum(bl.ones((2, 2))), ArgumentError,
                r"cumulative_sum: axis is required for a Tensor of 2 axes"),
            outside(bl.cumulative_sum, "cumulative_sum"),
        ],
    ),
    Record(
        op=ops.CumulativeProd,
        reference=running(math.prod),
        cases=[
            Case((ZEROS,), {"axis": 1}),
            *along("cumulative_prod", uniform(0.5, 2)),
            *along("cumulative_prod", integers(-5, 5)),
        ],
        function=bl.cumulative_prod,
        specials=[
            Special(([2.0, 0.0, 5.0],), [2.0, 0.0, 0.0], ([1.0, 12.0, 0.0],), {"axis": 0}),
            Special(([2.0, 0.0, 5.0, 0.0],), None, ([1.0, 12.0, 0.0, 0.0],), {"axis": 0}),
        ],
        bad=[outside(bl.cumulative_prod, "cumulative_prod")],
    ),
    Record(
        op=ops.Argsort,
        reference=argsort_reference,
        cases=[
            *along("argsort", distinct, descending=(False, True)),
            *along("argsort", integers(0, 2), descending=(False, True)),
        ],
        function=bl.argsort,
        specials=[
            Special(([2.0, nan, 1.0],), [2, 0, 1], None, {"axis": 0, "descending": False}),
            Special(([1.0, 1.0, 2.0],), [2, 0, 1], None, {"axis": 0, "descending": True}),
        ],
        bad=[outside(bl.argsort, "argsort")],
    ),
    Record(
        op=ops.Norm,
        reference=folded(norm_reference),
        cases=folds("norm", uniform(-2, 2)),
        function=bl.vector_norm,
        specials=[
            Special(([0.0, 0.0],), 0.0, ([0.0, 0.0],), ALL),
            Special(([3e200, 4e200],), 5e200, ([0.6, 0.8],), ALL, rtol=1e-15),
            Special(([0.0, 3e200, -4e200],), 5e200, ([0.0, 0.6, -0.8],), ALL, rtol=1e-15),
            Special(([3e-200, 4e-200],), 5e-200, ([0.6, 0.8],), ALL, rtol=1e-15),
            Special(([3e30, 4e30],), 5e30, None, ALL, dtype="float32", rtol=1e-6),
            Special(([-inf, 1.0],), inf, None, ALL),
            Special(([nan, 1.0],), nan, ([nan, nan],), ALL),
            Special(([5e-324, 0.0],), 5e-324, ([1.0, 0.0],), ALL),
        ],
        bad=[outside(bl.vector_norm, "vector_norm")],
    ),
    Record(
        op=activation.Logsumexp,
        reference=folded(logsumexp_reference),
        cases=folds("logsumexp", uniform(-2, 2)),
        function=bl.logsumexp,
        specials=[
            Special(([1e4, 1e4],), 1e4 + math.log(2), ([0.5, 0.5],), ALL, rtol=1e-12),
            Special(([-1e4, -1e4],), -1e4 + math.log(2), ([0.5, 0.5],), ALL, rtol=1e-12),
            Special(([1e4, -1e4],), 1e4, ([1.0, 0.0],), ALL),
            Special(([-inf, 0.0],), 0.0, ([0.0, 1.0],), ALL),
            Special(([-inf, -inf],), -inf, ([0.0, 0.0],), ALL),
            Special(([inf, 0.0, -inf],), inf, ([1.0, 0.0, 0.0],), ALL),
            Special(([inf, 0.0, inf],), inf, ([0.5, 0.0, 0.5],), ALL),
            Special(([nan, 0.0, -inf],), nan, ([nan, nan, nan],), ALL),
            Special(([nan, inf],), nan, ([nan, nan],), ALL),
            Special(([1e4, 1e4],), 1e4, None, ALL, dtype="float32", rtol=1e-4),
        ],
        bad=[outside(bl.logsumexp, "logsumexp")],
    ),
]  # fmt: skip
