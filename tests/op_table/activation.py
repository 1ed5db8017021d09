"""Records of the activation functions. References are the textbook formulas in `math` or SciPy."""

from __future__ import annotations

import math

import scipy.special

import backlit as bl
from backlit.ops import activation as ops

from .record import Case, Record, Special, either, generator, grid, lattice, pointwise, uniform

inf, nan = math.inf, math.nan


def unary(op, reference, make, attributes=({},), **more):
    def with_attributes(x, **values):
        return pointwise(lambda v: reference(v, **values))(x)

    return Record(
        op=op,
        reference=with_attributes,
        cases=grid(op.name, make, attributes=attributes),
        function=getattr(bl, op.name, None),
        **more,
    )


def logistic(v):
    return 1 / (1 + math.exp(-v))


def normal_distribution(v):
    return math.erfc(-v / math.sqrt(2)) / 2


_RNG = generator("softmax")
_ALONG = [
    Case((_RNG.uniform(-2, 2, shape),), {"axis": axis})
    for shape, axis in [((3,), 0), ((2, 3), 1), ((2, 3), 0), ((2, 1, 2), 1), ((0, 2), 1)]
]

TABLE = [
    unary(ops.Sigmoid, logistic, uniform(-3, 3),
          specials=[Special(([1e4, -1e4, 0.0, inf, -inf, nan],), [1.0, 0.0, 0.5, 1.0, 0.0, nan],
                            ([0.0, 0.0, 0.25, 0.0, 0.0, nan],)),
                    Special(([1e4, -1e4],), [1.0, 0.0], ([0.0, 0.0],), dtype="float32")]),
    unary(ops.Relu, lambda v: (v + abs(v)) / 2, either(0.2, 2),
          specials=[Special(([0.0, -0.0, 3.0, -3.0, inf],), None, ([0.0, 0.0, 1.0, 0.0, 1.0],)),
                    Special(([-0.0, 3.0, -3.0, inf, nan],), [0.0, 3.0, 0.0, inf, nan],
                            ([0.0, 1.0, 0.0, 1.0, nan],))]),
    unary(ops.LeakyRelu, lambda v, slope: max(v, 0) + slope * min(v, 0), either(0.2, 2),
          [{"slope": 0.01}, {"slope": 0.5}],
          specials=[Special(([0.0, 2.0, -2.0, nan, -inf],), [0.0, 2.0, -0.2, nan, -inf],
                            ([0.1, 1.0, 0.1, nan, 0.1],), {"slope": 0.1})]),
    unary(ops.Elu, lambda v, alpha: v if v > 0 else alpha * math.exp(v) - alpha, either(0.2, 2),
          [{"alpha": 1.0}, {"alpha": 0.7}],
          specials=[Special(([0.0, -1e4, 1e4],), [0.0, -0.5, 1e4], ([0.5, 0.0, 1.0],),
                            {"alpha": 0.5})]),
    unary(ops.Selu, lambda v: 1.0507009873554805 * (v if v > 0 else 1.6732632423543772
                                                     * (math.exp(v) - 1)), either(0.2, 2),
          specials=[Special(([0.0, -1e4, 2.0],), [0.0, -1.7580993408473765, 2.101401974710961],
                            ([1.7580993408473765, 0.0, 1.0507009873554805],), rtol=1e-15)]),
    unary(ops.Celu, lambda v, alpha: max(v, 0) + min(alpha * math.exp(v / alpha) - alpha, 0),
          either(0.2, 2), [{"alpha": 1.0}, {"alpha": 0.7}],
          specials=[Special(([0.0, -1e4, 1e4],), [0.0, -0.5, 1e4], ([1.0, 0.0, 1.0],),
                            {"alpha": 0.5})]),
    unary(ops.Hardtanh, lambda v, low, high: sorted([low, v, high])[1], lattice(0.2, 0.5),
          [{"low": -1.0, "high": 1.0}, {"low": -0.9, "high": 1.5}],
          specials=[Special(([-1.0, 0.5, 2.0, nan],), [-1.0, 0.5, 2.0, nan],
                            ([0.0, 1.0, 0.0, nan],), {"low": -1.0, "high": 2.0})]),
    unary(ops.Relu6, lambda v: sorted([0, v, 6])[1], lattice(0.3, 1.75),
          specials=[Special(([0.0, 6.0, 7.0, -1.0, 1.0],), [0.0, 6.0, 6.0, 0.0, 1.0],
                            ([0.0, 0.0, 0.0, 0.0, 1.0],))]),
    unary(ops.Hardsigmoid, lambda v: sorted([0, v / 6 + 0.5, 1])[1], lattice(0.3, 1.25),
          specials=[Special(([-3.0, 0.0, 3.0, 1e4],), [0.0, 0.5, 1.0, 1.0],
                            ([0.0, 1 / 6, 0.0, 0.0],))]),
    unary(ops.Hardswish, lambda v: v * sorted([0, v / 6 + 0.5, 1])[1], lattice(0.3, 1.25),
          specials=[Special(([-3.0, 0.0, 3.0, 9.0],), [-0.0, 0.0, 3.0, 9.0],
                            ([0.0, 0.5, 1.0, 1.0],))]),
    unary(ops.Mish, lambda v: v * math.tanh(math.log(1 + math.exp(v))), uniform(-3, 3),
          specials=[Special(([0.0, 1e4, -1e4],), [0.0, 1e4, -0.0], ([0.6, 1.0, 0.0],),
                            rtol=1e-15)]),
    unary(ops.Logsigmoid, lambda v: math.log(logistic(v)), uniform(-3, 3),
          specials=[Special(([0.0, 1e4, -1e4],), [-math.log(2), -0.0, -1e4], ([0.5, 0.0, 1.0],)),
                    Special(([1e4, -1e4],), [-0.0, -1e4], ([0.0, 1.0],), dtype="float32")]),
    unary(ops.Threshold, lambda v, threshold, value: v if v > threshold else value,
          either(0.2, 2), [{"threshold": 0.1, "value": 20.0}],
          specials=[Special(([0.1, 0.2, nan],), [5.0, 0.2, nan], ([0.0, 1.0, nan],),
                            {"threshold": 0.1, "value": 5.0})]),
    unary(ops.Hardshrink, lambda v, lambd: v if abs(v) > lambd else 0.0, lattice(0.3, 0.75),
          [{"lambd": 0.1}, {"lambd": 0.75}],
          specials=[Special(([-0.5, 0.5, 0.75, nan],), [0.0, 0.0, 0.75, nan],
                            ([0.0, 0.0, 1.0, nan],), {"lambd": 0.5})]),
    unary(ops.Softshrink, lambda v, lambd: math.copysign(max(abs(v) - lambd, 0), v),
          lattice(0.3, 0.75), [{"lambd": 0.1}, {"lambd": 0.75}],
          specials=[Special(([-0.5, 0.5, 0.75, -1.0],), [0.0, 0.0, 0.25, -0.5],
                            ([0.0, 0.0, 1.0, 1.0],), {"lambd": 0.5})]),
    Record(op=ops.Prelu,
           reference=pointwise(lambda v, w: max(v, 0) + w * min(v, 0)),
           cases=grid("prelu", either(0.2, 2), uniform(-1, 1)),
           specials=[Special(([0.0, 2.0, -2.0], [0.5, 0.5, 0.25]), [0.0, 2.0, -0.5],
                             ([0.5, 1.0, 0.25], [0.0, 0.0, -2.0]))]),
    unary(ops.Softplus, lambda v: math.log(1 + math.exp(v)), uniform(-3, 3),
          specials=[Special(([1e4, -1e4, 0.0],), [1e4, 0.0, math.log(2)], ([1.0, 0.0, 0.5],),
                            rtol=1e-15),
                    Special(([1e4, -1e4],), [1e4, 0.0], ([1.0, 0.0],), dtype="float32")]),
    unary(ops.Silu, lambda v: v * logistic(v), uniform(-3, 3),
          specials=[Special(([0.0, 1e4, -1e4],), [0.0, 1e4, -0.0], ([0.5, 1.0, 0.0],))]),
    unary(ops.Gelu, lambda v: v * normal_distribution(v), uniform(-3, 3),
          specials=[Special(([0.0, 1e4, -1e4],), [0.0, 1e4, -0.0], ([0.5, 1.0, 0.0],))]),
    unary(ops.GeluTanh,
          lambda v: v * logistic(2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)),
          uniform(-3, 3),
          specials=[Special(([0.0, 30.0, -30.0],), [0.0, 30.0, -0.0], ([0.5, 1.0, 0.0],))]),
    Record(
        op=ops.Softmax,
        reference=lambda x, axis: scipy.special.softmax(x, axis=axis),
        cases=_ALONG,
        specials=[
            Special(([1e4, 1e4, -1e4],), [0.5, 0.5, 0.0], ([0.0, 0.0, 0.0],), {"axis": 0}),
            Special(([-inf, 0.0],), [0.0, 1.0], ([0.0, 0.0],), {"axis": 0}),
        ],
    ),
    Record(
        op=ops.MaskedSoftmax,
        reference=lambda x, axis: scipy.special.softmax(x, axis=axis),
        cases=_ALONG,
        specials=[
            Special(([1e4, 1e4, -1e4],), [0.5, 0.5, 0.0], ([0.0, 0.0, 0.0],), {"axis": 0}),
            Special(([[-inf, -inf], [-inf, 0.0]],), [[0.0, 0.0], [0.0, 1.0]],
                    ([[0.0, 0.0], [0.0, 0.0]],), {"axis": 1}),
            Special(([-inf, -inf],), [0.0, 0.0], ([0.0, 0.0],), {"axis": 0}, dtype="float32"),
            Special(([[-inf, nan], [-1e300, -inf]],), [[nan, nan], [1.0, 0.0]], None, {"axis": 1}),
        ],
    ),
    Record(
        op=ops.LogSoftmax,
        reference=lambda x, axis: scipy.special.log_softmax(x, axis=axis),
        cases=_ALONG,
        specials=[
            Special(([1e4, 1e4, -1e4],), [-math.log(2), -math.log(2), -2e4 - math.log(2)],
                    None, {"axis": 0}, rtol=1e-15),
            Special(([1e4, -1e4],), [0.0, -2e4], ([-1.0, 1.0],), {"axis": 0}),
            Special(([1e4, -1e4],), [0.0, -2e4], ([-1.0, 1.0],), {"axis": 0}, dtype="float32"),
        ],
    ),
]  # fmt: skip
