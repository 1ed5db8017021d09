"""Records of the losses. References go through rows and classes one at a time with `math`."""

from __future__ import annotations

import itertools
import math

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from backlit.nn import functional
from backlit.ops import loss as ops

from .record import Bad, Case, Record, Special, generator

inf, nan = math.inf, math.nan
_RNG = generator("loss")
_SHAPES = [(3,), (2, 3), (1, 2, 2)]
REDUCTIONS = ("none", "sum", "mean")


def apart(*shape):
    """Two arrays whose elements differ by 0.3 to 0.7 or 1.3 to 1.7, off the kinks at 0 and 1."""
    a = _RNG.uniform(-2, 2, shape)
    gap = _RNG.uniform(0.3, 0.7, shape) + _RNG.integers(0, 2, shape)
    return a, a + gap * _RNG.choice([-1.0, 1.0], shape)


def reduce(values, reduction, count=None):
    values = np.asarray(values, np.float64)
    if reduction == "none":
        return values
    total = math.fsum(values.flat)
    return np.asarray(total if reduction == "sum" else total / (count or values.size))


def pairs(f):
    """The loss of each pair of numbers, then the reduction."""

    def reference(x, target, reduction, **more):
        values = [f(a, b, **more) for a, b in zip(x.flat, target.flat, strict=False)]
        return reduce(np.reshape(values, x.shape), reduction)

    return reference


def cases(make, attributes=({},)):
    return [
        Case(make(*shape), {**values, "reduction": reduction})
        for shape, values, reduction in itertools.product(_SHAPES, attributes, REDUCTIONS)
    ]


def huber(a, b, delta, scale):
    e = abs(a - b)
    return scale * (e * e / 2 if e <= delta else delta * e - delta * delta / 2)


def divergence(x, t, log_target):
    if log_target:
        return math.exp(t) * (t - x)
    return t * math.log(t) - t * x if t > 0 else 0.0


def distributions(*shape):
    return _RNG.uniform(-3, -0.1, shape), _RNG.uniform(0.1, 0.9, shape)


def bits_lost(p, t):
    return -(t * math.log(p) + (1 - t) * math.log(1 - p))


def logit_loss(x, target, *pos_weight, reduction):
    w = np.broadcast_to(pos_weight[0] if pos_weight else 1.0, x.shape)
    values = []
    for a, t, factor in zip(x.flat, target.flat, w.flat, strict=False):
        p = 1 / (1 + math.exp(-a))
        values.append(-(factor * t * math.log(p) + (1 - t) * math.log(1 - p)))
    return reduce(np.reshape(values, x.shape), reduction)


def log_p(x, n, rest):
    column = [float(v) for v in x[(n, slice(None), *rest)]]
    total = math.log(math.fsum(math.exp(v) for v in column))
    return [v - total for v in column]


def places(shape):
    """The indices of the rows of (N, C, ...)."""
    for n in range(shape[0]):
        for rest in np.ndindex(*shape[2:]):
            yield n, rest


def cross_entropy(x, target, *weight, label_smoothing, ignore_index, reduction):
    classes = x.shape[1]
    w = weight[0] if weight else np.ones(classes)
    losses, count = np.zeros(target.shape), 0.0
    for n, rest in places(x.shape):
        t = int(target[(n, *rest)])
        if t == ignore_index:
            continue
        row = log_p(x, n, rest)
        q = [label_smoothing / classes + (1 - label_smoothing) * (c == t) for c in range(classes)]
        products = (float(a) * b * c for a, b, c in zip(w, q, row, strict=True))
        losses[(n, *rest)] = -math.fsum(products)
        count += float(w[t])
    return reduce(losses, reduction, count)


def soft_cross_entropy(x, target, *weight, label_smoothing, reduction):
    classes = x.shape[1]
    w = weight[0] if weight else np.ones(classes)
    losses = np.zeros((x.shape[0], *x.shape[2:]))
    for n, rest in places(x.shape):
        row = log_p(x, n, rest)
        for c in range(classes):
            t = float(target[(n, c, *rest)])
            q = t + label_smoothing * (1 / classes - t)
            losses[(n, *rest)] -= float(w[c]) * q * row[c]
    return reduce(losses, reduction)


def nll(x, target, *weight, ignore_index, reduction):
    w = weight[0] if weight else np.ones(x.shape[1])
    losses, count = np.zeros(target.shape), 0.0
    for n, rest in places(x.shape):
        t = int(target[(n, *rest)])
        if t != ignore_index:
            losses[(n, *rest)] = -float(w[t]) * float(x[(n, t, *rest)])
            count += float(w[t])
    return reduce(losses, reduction, count)


def hinge(x, target, *weight, p, margin, reduction):
    w = weight[0] if weight else np.ones(x.shape[1])
    losses = []
    for n, t in enumerate(target.tolist()):
        gaps = [margin - x[n, t] + x[n, c] for c in range(x.shape[1]) if c != t]
        losses.append(w[t] * sum(max(0.0, float(g)) ** p for g in gaps) / x.shape[1])
    return reduce(losses, reduction)


_LABELLED = [
    ((3, 4), [0, 3, 1]),
    ((3, 4), [2, -100, 2]),
    ((1, 2), [1]),
    ((2, 3, 2), [[0, 2], [1, -100]]),
]
_CLASS_WEIGHTS = np.array([0.5, 2.0, 1.25, 0.75])


def labelled(*attributes):
    result = []
    for (shape, labels), values, reduction in itertools.product(_LABELLED, attributes, REDUCTIONS):
        every = {**values, "ignore_index": -100, "reduction": reduction}
        inputs = (_RNG.uniform(-2, 2, shape), np.array(labels))
        result.append(Case(inputs, every))
        result.append(Case((*inputs, _CLASS_WEIGHTS[: shape[1]]), every))
    return result


def soft():
    result = []
    for shape, smoothing, reduction in itertools.product(
        [(3, 4), (2, 2, 2)], (0.0, 0.2), REDUCTIONS
    ):
        raw = _RNG.uniform(0.2, 1, shape)
        inputs = (_RNG.uniform(-2, 2, shape), raw / raw.sum(1, keepdims=True))
        values = {"label_smoothing": smoothing, "reduction": reduction}
        result.append(Case(inputs, values))
        result.append(Case((*inputs, _CLASS_WEIGHTS[: shape[1]]), values))
    return result


def margins():
    result = []
    for p, margin, reduction in itertools.product((1, 2), (1.0, 0.5), REDUCTIONS):
        values = {"p": p, "margin": margin, "reduction": reduction}
        scores = 0.3 * _RNG.permutation(12).reshape(3, 4) + 0.07  # off every hinge
        inputs = (scores, np.array([1, 3, 1]))
        result += [Case(inputs, values), Case((*inputs, _CLASS_WEIGHTS), values)]
    return result


def with_pos_weight():
    result = []
    for shape, reduction in itertools.product(_SHAPES, REDUCTIONS):
        inputs = (_RNG.uniform(-3, 3, shape), _RNG.uniform(0.1, 0.9, shape))
        values = {"reduction": reduction}
        result.append(Case(inputs, values))
        result.append(Case((*inputs, _RNG.uniform(0.5, 2, shape[-1])), values))
    return result


f32 = bl.ones
labels = bl.tensor([0, 1])

TABLE = [
    Record(
        op=ops.MseLoss,
        reference=pairs(lambda a, b: (a - b) ** 2),
        cases=cases(apart),
        function=functional.mse_loss,
        specials=[
            Special(([1.0, 4.0], [0.0, 2.0]), 2.5, ([1.0, 2.0], [-1.0, -2.0]),
                    {"reduction": "mean"}),
        ],
        bad=[
            Bad(lambda: functional.mse_loss(f32((3, 1)), f32((3,))), ShapeError,
                r"mse_loss: x and target must have one shape, got x: float32\[3,1\] and "
                r"target: float32\[3\]; give target.reshape\(\(3, 1\)\)"),
            Bad(lambda: functional.mse_loss(f32((3,)), f32((4,))), ShapeError,
                r"one shape, got x: float32\[3\] and target: float32\[4\]; give one of each"),
            Bad(lambda: functional.mse_loss(f32((3,)), f32((3,), dtype="float64")), DTypeError,
                r"mse_loss: x and target must have one dtype, got x: float32\[3\] and "
                r"target: float64\[3\]; use target.astype\('float32'\)"),
            Bad(lambda: functional.mse_loss(bl.tensor([1]), bl.tensor([1])), DTypeError,
                r"mse_loss: x must be floating, got int64\[1\]; use x.astype\('float32'\)"),
            Bad(lambda: functional.mse_loss(f32((0, 3)), f32((0, 3))), ShapeError,
                r"mse_loss: the mean of an empty batch has no value, got float32\[0,3\]"),
            Bad(lambda: functional.mse_loss(f32(3), f32(3), reduction="avg"), ArgumentError,
                r"mse_loss: reduction must be 'none', 'mean' or 'sum', got 'avg'"),
        ],
    ),
    Record(
        op=ops.L1Loss,
        reference=pairs(lambda a, b: abs(a - b)),
        cases=cases(apart),
        function=functional.l1_loss,
        specials=[
            Special(([1.0, 2.0], [1.0, 4.0]), 2.0, ([0.0, -1.0], [0.0, 1.0]),
                    {"reduction": "sum"}),
        ],
    ),
    Record(
        op=ops.HuberLoss,
        reference=pairs(huber),
        cases=cases(apart, [
            {"delta": 1.0, "scale": 1.0}, {"delta": 0.8, "scale": 1.25}, {"delta": 0.8, "scale": 2},
        ]),
        specials=[
            Special(([1.0, 3.0, 0.0], [0.0, 0.0, 0.0]), [0.5, 2.5, 0.0],
                    ([1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]),
                    {"delta": 1.0, "scale": 1.0, "reduction": "none"}),
        ],
        bad=[
            Bad(lambda: functional.huber_loss(f32(1), f32(1), delta=0), ArgumentError,
                r"huber_loss: delta must be positive, got 0"),
            Bad(lambda: functional.smooth_l1_loss(f32(1), f32(1), beta=-1), ArgumentError,
                r"smooth_l1_loss: beta must not be negative, got -1"),
        ],
    ),
    Record(
        op=ops.KlDiv,
        reference=pairs(divergence),
        cases=cases(distributions, [{"log_target": False}])
        + cases(lambda *s: (distributions(*s)[0], distributions(*s)[0]), [{"log_target": True}]),
        specials=[
            Special(([-1.0, -2.0], [0.0, 1.0]), [0.0, 2.0], None,
                    {"log_target": False, "reduction": "none"}),
            Special(([-1.0, -1.0, nan, -inf, nan], [nan, -0.5, 0.5, 0.0, 0.0]),
                    [nan, nan, nan, 0.0, nan],
                    ([nan, 0.5, -0.5, 0.0, 0.0], [nan, nan, nan, 0.0, 0.0]),
                    {"log_target": False, "reduction": "none"}),
            Special(([-1.0, -1.0], [nan, 0.5]), nan, None,
                    {"log_target": False, "reduction": "mean"}),
        ],
        bad=[
            Bad(lambda: functional.kl_div(f32((0, 2)), f32((0, 2)), reduction="batchmean"),
                ShapeError, r"kl_div: the mean of an empty batch has no value, got float32\[0,2\]"),
        ],
    ),
    Record(
        op=ops.BinaryCrossEntropy,
        reference=pairs(bits_lost),
        cases=cases(lambda *s: (_RNG.uniform(0.1, 0.9, s), _RNG.uniform(0.1, 0.9, s))),
        specials=[
            Special(([0.0, 1.0, 1.0], [0.0, 1.0, 0.0]), [0.0, -0.0, 100.0], None,
                    {"reduction": "none"}),
            Special(([0.5], [1.0]), math.log(2), ([-2.0], [0.0]), {"reduction": "sum"},
                    rtol=1e-15),
            Special(([0.0, 1.0], [1.0, 0.0]), [100.0, 100.0], ([-1e12, 1e12], [100.0, -100.0]),
                    {"reduction": "none"}, rtol=1e-15),
        ],
        bad=[
            Bad(lambda: functional.binary_cross_entropy(bl.tensor([0.5, 1.5]), f32(2)),
                ArgumentError,
                r"binary_cross_entropy: x must be probabilities in \[0, 1\], got 1.5; "
                r"apply sigmoid, or use binary_cross_entropy_with_logits"),
        ],
    ),
    Record(
        op=ops.BinaryCrossEntropyWithLogits,
        reference=logit_loss,
        cases=with_pos_weight(),
        specials=[
            Special(([1e4, -1e4, 1e4, -1e4], [1.0, 0.0, 0.0, 1.0]), [0.0, 0.0, 1e4, 1e4],
                    ([0.0, 0.0, 1.0, -1.0], [-1e4, 1e4, -1e4, 1e4]), {"reduction": "none"}),
            Special(([1e4, -1e4], [0.0, 1.0]), 1e4, ([0.5, -0.5], [-5e3, 5e3]),
                    {"reduction": "mean"}, dtype="float32"),
        ],
        bad=[
            Bad(lambda: functional.binary_cross_entropy_with_logits(
                f32((2, 3)), f32((2, 3)), pos_weight=f32(2)), ShapeError,
                r"binary_cross_entropy_with_logits: pos_weight must broadcast to x, got "
                r"pos_weight: float32\[2\] and x: float32\[2,3\]"),
        ],
    ),
    Record(
        op=ops.HingeEmbeddingLoss,
        reference=pairs(lambda a, t, margin: a if t == 1 else max(0.0, margin - a)),
        cases=cases(
            lambda *s: (_RNG.uniform(0.1, 0.9, s) + _RNG.integers(0, 2, s),
                        _RNG.choice([-1.0, 1.0], s)),
            [{"margin": 1.0}],
        ),
        specials=[
            Special(([0.25, 0.25, 3.0], [1.0, -1.0, -1.0]), [0.25, 0.75, 0.0],
                    ([1.0, -1.0, 0.0], [0.0, 0.0, 0.0]), {"margin": 1.0, "reduction": "none"}),
            Special(([inf, -inf, nan, 0.5], [-1.0, -1.0, -1.0, nan]), [0.0, inf, nan, nan],
                    ([0.0, -1.0, nan, nan], [0.0] * 4), {"margin": 1.0, "reduction": "none"}),
        ],
    ),
    Record(
        op=ops.NllLoss,
        reference=nll,
        cases=labelled({}),
        bad=[
            Bad(lambda: functional.nll_loss(bl.tensor(1.0), bl.tensor(0)), ShapeError,
                r"nll_loss: x must have shape \(C\) or \(N, C, ...\), got float32\[\]"),
        ],
    ),
    Record(
        op=ops.CrossEntropy,
        reference=cross_entropy,
        cases=labelled({"label_smoothing": 0.0}, {"label_smoothing": 0.3}),
        specials=[
            Special(([[0.0, 0.0], [0.0, 0.0]], np.array([0, 1])), math.log(2),
                    ([[-0.25, 0.25], [0.25, -0.25]],),
                    {"label_smoothing": 0.0, "ignore_index": -100, "reduction": "mean"},
                    rtol=1e-15),
            Special(([[1e4, -1e4], [1e4, -1e4]], np.array([0, 1])), [0.0, 2e4],
                    ([[0.0, 0.0], [1.0, -1.0]],),
                    {"label_smoothing": 0.0, "ignore_index": -100, "reduction": "none"},
                    dtype="float32"),
            Special(([[-inf, 0.0], [inf, 0.0]], np.array([1, -100])), [0.0, 0.0], None,
                    {"label_smoothing": 0.0, "ignore_index": -100, "reduction": "none"}),
        ],
        bad=[
            Bad(lambda: functional.cross_entropy(f32((2, 3)), bl.tensor([0, 3])), IndexRangeError,
                r"cross_entropy: labels must lie in \[0, 3\) or be ignore_index=-100, got 3; "
                r"x has 3 classes on axis 1 \(float32\[2,3\]\)"),
            Bad(lambda: functional.cross_entropy(f32((2, 3)), bl.tensor([-1, 2])), IndexRangeError,
                r"labels must lie in \[0, 3\) or be ignore_index=-100, got -1"),
            Bad(lambda: functional.cross_entropy(f32((2, 3)), bl.tensor([0.0, 1.0])), DTypeError,
                r"cross_entropy: target must be integer labels, got float32\[2\]; "
                r"use target.astype\('int64'\)"),
            Bad(lambda: functional.cross_entropy(f32((2, 3)), bl.tensor([[0], [1]])), ShapeError,
                r"cross_entropy: for x of shape \(N, C, ...\) the target must have shape "
                r"\(N, ...\), got x: float32\[2,3\] and target: int64\[2,1\], wanted \(2,\)"),
            Bad(lambda: functional.cross_entropy(f32((0, 3)), bl.zeros(0, dtype="int64")),
                ShapeError,
                r"cross_entropy: the mean of an empty batch has no value, got float32\[0,3\]"),
            Bad(lambda: functional.cross_entropy(f32((2, 3)), labels, weight=f32(2)), ShapeError,
                r"cross_entropy: weight must have one element for each of 3 classes, "
                r"got float32\[2\]"),
            Bad(lambda: functional.cross_entropy(f32((2, 3)), labels, label_smoothing=2),
                ArgumentError, r"cross_entropy: label_smoothing must lie in \[0, 1\], got 2"),
        ],
    ),
    Record(
        op=ops.SoftCrossEntropy,
        reference=soft_cross_entropy,
        cases=soft(),
        specials=[
            Special(([[1e4, -1e4], [1e4, -1e4]], [[0.0, 1.0], [1.0, 0.0]]), [2e4, 0.0],
                    ([[1.0, -1.0], [0.0, 0.0]], [[0.0, 2e4], [0.0, 2e4]]),
                    {"label_smoothing": 0.0, "reduction": "none"}, dtype="float32"),
        ],
        bad=[
            Bad(lambda: functional.cross_entropy(f32((2, 3)), f32((2, 4))), ShapeError,
                r"soft_cross_entropy: x and target must have one shape"),
        ],
    ),
    Record(
        op=ops.MultiMarginLoss,
        reference=hinge,
        cases=margins(),
        specials=[
            Special(([[2.0, 1.0], [1.5, 1.0]], np.array([0, 0])), [0.0, 0.25],
                    ([[0.0, 0.0], [-0.5, 0.5]],), {"p": 1, "margin": 1.0, "reduction": "none"}),
            Special(([[1.0, -inf], [inf, 0.0], [nan, 0.0]], np.array([0, 1, 1])), [0.0, inf, nan],
                    ([[0.0, 0.0], [0.5, -0.5], [nan, nan]],),
                    {"p": 1, "margin": 1.0, "reduction": "none"}),
        ],
        bad=[
            Bad(lambda: functional.multi_margin_loss(f32((2, 3)), bl.tensor([0, 5])),
                IndexRangeError, r"multi_margin_loss: labels must lie in \[0, 3\), got 5"),
            Bad(lambda: functional.multi_margin_loss(f32((2, 3, 4)), labels), ShapeError,
                r"multi_margin_loss: x must have shape \(N, C\), got float32\[2,3,4\]"),
            Bad(lambda: functional.multi_margin_loss(f32((2, 3)), labels, p=3), ArgumentError,
                r"multi_margin_loss: p must be 1 or 2, got 3"),
        ],
    ),
]  # fmt: skip
