"""The second half of the right programs: written when the rules stood, to judge them."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit import nn
from backlit.nn import functional as F
from backlit.nn.utils.checkpoint import checkpoint

from . import more_gates, more_networks, networks, normal, pictures, rows
from . import program as P

CE = nn.CrossEntropyLoss()


def several_steps(x, w):
    """Gradient descent written out, and its result differentiated."""
    for _ in range(3):
        (g,) = bl.grad(((x @ w) ** 2).sum(), [w], create_graph=True)
        w = w - 0.05 * g
    return (w**2).sum()


def power_iteration(a):
    v = bl.ones((a.shape[0],), dtype=a.dtype)
    for _ in range(5):
        v = a @ v
        v = v / bl.vector_norm(v)
    return v @ (a @ v)


def branches(x):
    return x.sum() ** 2 if float(x.sum()) > 0 else bl.exp(x).sum()


def in_loop(x):
    y = bl.zeros_like(x)
    for i in range(x.shape[0]):
        y[i] = x[: i + 1].prod()
    return y


def beam(x):
    """The best path through a lattice."""
    best = x[0]
    for t in range(1, x.shape[0]):
        best = bl.max(best[:, None] + bl.zeros((1, 3), dtype=x.dtype), axis=0) + x[t]
    return best.max()


def zeroed(module):
    for name, p in module.named_parameters():
        if "bias" in name:
            p.assign(bl.zeros(p.shape))
    return module


def autocast(x, w):
    import backlit.torch as torch

    with torch.autocast("cpu", dtype=torch.bfloat16):
        return (x @ w).float().sum()


def third(x):
    y = (x**5).sum()
    for _ in range(2):
        (g,) = bl.grad(y, [x], create_graph=True)
        y = g.sum()
    return y


SECOND = {
    # -- pairs, gates and ops by hand
    "leaky relu, a pair, a default": lambda r: P(
        (more_gates.leaky, more_gates.leaky_back), [0.0, 1.0, -1e-8, -3.0]
    ),
    "elu, a pair": lambda r: P((more_gates.elu, more_gates.elu_back), [0.0, 1e-9, -2.0, 30.0]),
    "gelu, a pair": lambda r: P((more_gates.gelu, more_gates.gelu_back), 2 * normal(r, 5)),
    "softmax, a pair, ties": lambda r: P(
        (more_gates.softmax, more_gates.softmax_back), np.ones((2, 3))
    ),
    "softmax, a pair, far": lambda r: P(
        (more_gates.softmax, more_gates.softmax_back), 30 * normal(r, 2, 4)
    ),
    "attention, a pair": lambda r: P(
        (more_gates.attention, more_gates.attention_back),
        normal(r, 3, 4),
        normal(r, 5, 4),
        normal(r, 5, 2),
    ),
    "group norm, a pair": lambda r: P(
        (more_gates.group_norm, more_gates.group_norm_back), normal(r, 2, 4, 3), normal(r, 1, 4, 1)
    ),
    "rms norm, a pair": lambda r: P(
        (more_gates.rms, more_gates.rms_back), 10 * normal(r, 3, 4), normal(r, 4)
    ),
    "LSTM step, a pair": lambda r: P(
        (more_gates.lstm_step, more_gates.lstm_step_back),
        normal(r, 2, 3),
        normal(r, 2, 4),
        normal(r, 2, 4),
        normal(r, 3, 16),
        normal(r, 4, 16),
        normal(r, 16),
    ),
    "ridge regression, a pair": lambda r: P(
        (more_gates.ridge, more_gates.ridge_back), normal(r, 6, 3), normal(r, 3), normal(r, 6)
    ),
    "absolute penalty with zeros, a pair": lambda r: P(
        (more_gates.l1_penalty, lambda d, w: d * np.sign(w)), [0.0, 1.0, -2.0, 1e-9]
    ),
    "logistic regression, a pair": lambda r: P(
        (more_gates.logistic, more_gates.logistic_back),
        normal(r, 3),
        normal(r, 8, 3),
        (r.random(8) > 0.5) * 1.0,
        labels=(1, 2),
    ),
    "average pooling, a pair": lambda r: P(
        (more_gates.avg_pool, more_gates.avg_pool_back), pictures(1)[0].numpy().astype(float)
    ),
    "dropout with a fixed seed, a pair": lambda r: P(
        (more_gates.dropout_pair, lambda d, m: d * m), normal(r, 4, 3)
    ),
    "nearest neighbours, a pair": lambda r: P(
        (more_gates.nearest, more_gates.nearest_back), normal(r, 1, 2, 3)
    ),
    "contrastive at its margin, a pair": lambda r: P(
        (more_gates.contrastive, more_gates.contrastive_back),
        [[1.0, 0.0], [0.2, 0.1], [5.0, 1.0]],
        [[0.0, 0.0], [0.1, 0.3], [1.0, 1.0]],
    ),
    "add gate": lambda r: P(more_gates.AddGate, 1e8 * normal(r, 3), normal(r, 3)),
    "convolving gate": lambda r: P(more_gates.Convolver(), normal(r, 6)),
    "sorting gate with ties": lambda r: P(more_gates.Sorter, [2.0, 1.0, 1.0, 3.0, 1.0]),
    "own op: logsumexp": lambda r: P(more_gates.LogSumExp(), 100 * normal(r, 3, 4)),
    "own op: focal loss": lambda r: P(more_gates.Focal(), 3 * normal(r, 5)),
    "own op: tanh in half precision": lambda r: P(more_gates.HalfTanh(), normal(r, 5)),
    "own op in half precision, inside": lambda r: P(
        lambda x: bl.apply(more_gates.HalfTanh(), x) * x, normal(r, 5)
    ),
    "own op: clip with learned bounds": lambda r: P(
        more_gates.Straight(), [0.0, 1.0, -1.0, 0.5], [-1.0, -1.0, -1.0, 0.5], [1.0, 1.0, 0.5, 0.7]
    ),
    "a pair of float32 inputs": lambda r: P(
        (more_gates.gelu, more_gates.gelu_back), normal(r, 5).astype(np.float32)
    ),
    "a gate in a function": lambda r: P(
        lambda x: bl.apply((more_gates.gelu, more_gates.gelu_back), x).sum() * x, normal(r, 4)
    ),
    # -- elementwise, kinks, sizes
    "relu of a difference of equals": lambda r: P(
        lambda a, b: F.relu(a - b), [1.0, 2.0, 3.0], [1.0, 2.0, 2.5]
    ),
    "relu cubed": lambda r: P(lambda x: F.relu(x) ** 3, [0.0, 1e-3, -1e-3, 2.0]),
    "maximum of three": lambda r: P(
        lambda a, b, c: bl.maximum(bl.maximum(a, b), c), [1.0, 2.0], [1.0, 0.0], [1.0, 2.0]
    ),
    "absolute difference, sorted": lambda r: P(
        lambda x: bl.abs(bl.diff(bl.sort(x))).sum(), [1.0, 1.0, 4.0, 2.0]
    ),
    "total variation of a flat picture": lambda r: P(
        lambda x: bl.abs(x[:, 1:] - x[:, :-1]).sum() + bl.abs(x[1:] - x[:-1]).sum(), np.ones((3, 3))
    ),
    "total variation of a digit": lambda r: P(
        lambda x: bl.abs(x[:, 1:] - x[:, :-1]).sum(), pictures(1)[0].numpy()[0, 0].astype(float)
    ),
    "clamped logarithm": lambda r: P(lambda x: bl.log(bl.clip(x, min=1e-6)), [0.0, 1e-6, 0.5, 2.0]),
    "square root of a sum of squares": lambda r: P(
        lambda x: bl.sqrt((x**2).sum() + 1e-12), [0.0, 0.0, 0.0]
    ),
    "exp of minus squares, far": lambda r: P(lambda x: bl.exp(-(x**2)), [30.0, 0.0, 1e-5, -3.0]),
    "hinge squared at its edge": lambda r: P(
        lambda x: (F.relu(1 - x) ** 2).sum(), [1.0, 1.0 + 1e-9, 0.0]
    ),
    "threshold": lambda r: P(lambda x: F.threshold(x, 0.5, 0.5), [0.5, 0.4, 0.6]),
    "hard sine": lambda r: P(lambda x: bl.clip(bl.sin(x), -0.5, 0.5), [math.asin(0.5), 0.1, 2.0]),
    "where of equals": lambda r: P(
        lambda a, b: bl.where(a > b, a * a, b * b), [1.0, 2.0], [1.0, 3.0]
    ),
    "minimum of itself and its square": lambda r: P(
        lambda x: bl.minimum(x, x * x), [1.0, 0.0, 0.5, 2.0]
    ),
    "log1p and expm1 of tiny": lambda r: P(
        lambda x: bl.log1p(x) + bl.expm1(x), [1e-12, -1e-10, 1e-3]
    ),
    "sinc and cosh": lambda r: P(lambda x: bl.sinc(x) + bl.cosh(x), [0.0, 1e-9, 1.0, 5.0]),
    "tangent near its pole": lambda r: P(bl.tan, [1.57, 0.0, -1.5]),
    "inverse sine near 1": lambda r: P(bl.asin, [0.999999, 0.0, -0.9]),
    "inverse hyperbolic": lambda r: P(
        lambda x: bl.acosh(1 + x * x) + bl.asinh(x) + bl.atanh(x / 10), [1.0, 0.5, -2.0]
    ),
    "cube root by power": lambda r: P(lambda x: x ** (1 / 3), [1e-9, 1.0, 1e9]),
    "x to the x": lambda r: P(lambda x: x**x, [0.1, 1.0, 5.0]),
    "linear interpolation": lambda r: P(
        lambda a, b, t: bl.lerp(a, b, t), normal(r, 3), normal(r, 3), r.random(3)
    ),
    "x log y with zeros": lambda r: P(
        lambda x, y: bl.xlogy(x, y), [0.0, 1.0, 2.0], [0.5, 1.0, 3.0]
    ),
    "sum of 1e12 and small": lambda r: P(lambda x: (x + 1e12).sum() - 1e12, normal(r, 4)),
    "relative error of large": lambda r: P(lambda x: (x / 1e15) ** 2, 1e15 * normal(r, 3)),
    "product of 1e100": lambda r: P(lambda a, b: a * b, [1e100, -1e100], [1e100, 1e-100]),
    "reciprocals of tiny": lambda r: P(lambda x: 1 / x, [1e-8, 1.0, -1e-4]),
    "standardised temperatures": lambda r: P(
        lambda x: (x - x.mean()) / x.std(correction=1), 293 + 0.01 * normal(r, 8)
    ),
    "distances of near points": lambda r: P(lambda x: bl.cdist(x, x + 1.0).sum(), normal(r, 3, 2)),
    "cosine similarity of parallels": lambda r: P(
        lambda a, b: F.cosine_similarity(a, b, dim=1),
        [[1.0, 2.0], [3.0, 0.0]],
        [[2.0, 4.0], [0.0, 1.0]],
    ),
    # -- sorting, choosing, indexing
    "ranks, softly": lambda r: P(
        lambda x: bl.sigmoid((x[:, None] - x[None, :]) / 0.1).sum(axis=1), normal(r, 4)
    ),
    "largest three, summed": lambda r: P(
        lambda x: bl.topk(x, 3)[0].sum(), [3.0, 1.0, 3.0, 2.0, 3.0]
    ),
    "k-th smallest of ties": lambda r: P(lambda x: bl.kthvalue(x, 2)[0], [2.0, 1.0, 2.0, 2.0]),
    "median of rows": lambda r: P(
        lambda x: (
            bl.median(x, axis=1)
            if not isinstance(bl.median(x, axis=1), tuple)
            else bl.median(x, axis=1)[0]
        ),
        [[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]],
    ),
    "minimum of rows, squared": lambda r: P(
        lambda x: bl.min(x, axis=1) ** 2, [[1.0, 1.0], [2.0, 2.0]]
    ),
    "cumulative minimum": lambda r: P(lambda x: bl.cummin(x, axis=0)[0], [3.0, 3.0, 1.0, 2.0]),
    "quantile of ties": lambda r: P(lambda x: bl.quantile(x, 0.5), [1.0, 2.0, 2.0, 2.0, 3.0]),
    "scatter with repeats": lambda r: P(
        lambda x: bl.zeros((3,), dtype=x.dtype).index_add(0, bl.tensor([0, 0, 2, 2]), x) ** 2,
        normal(r, 4),
    ),
    "rolled rows and windows": lambda r: P(
        lambda x: (bl.roll(x, 1, axis=0) * x).sum(axis=1), normal(r, 3, 4)
    ),
    "triangles": lambda r: P(lambda x: bl.tril(x) @ bl.triu(x), normal(r, 3, 3)),
    "outer and Kronecker": lambda r: P(
        lambda a, b: bl.kron(bl.outer(a, b), bl.eye(2, dtype=a.dtype)).sum(axis=0),
        normal(r, 2),
        normal(r, 3),
    ),
    "masked fill": lambda r: P(
        lambda x: F.softmax(bl.masked_fill(x, bl.tensor([[True, False, False]]), -math.inf), -1),
        normal(r, 2, 3),
    ),
    "tiles and repeats": lambda r: P(
        lambda x: bl.tile(x, (2, 1)) * bl.repeat(x, 2, axis=0), normal(r, 2, 3)
    ),
    "an integer index of an input": lambda r: P(
        lambda x, i: x[i] ** 2, normal(r, 5), np.array([4, 0, 4])
    ),
    "a Boolean input": lambda r: P(
        lambda x, m: bl.where(m, x, x * x), normal(r, 4), np.array([True, False, True, True])
    ),
    # -- linear algebra
    "eigenvalues of near equals": lambda r: P(
        lambda a: bl.linalg.eigh((a + a.mT) / 2)[0], np.diag([1.0, 1.001, 3.0]) + 0.0
    ),
    "nuclear norm": lambda r: P(
        lambda a: bl.linalg.svd(a, full_matrices=False)[1].sum(), normal(r, 3, 4)
    ),
    "Mahalanobis distance": lambda r: P(
        lambda a, x: x @ bl.linalg.solve(a @ a.mT + bl.eye(3, dtype=a.dtype), x),
        normal(r, 3, 3),
        normal(r, 3),
    ),
    "Gaussian log-likelihood": lambda r: P(
        lambda a, x: (
            lambda c: (
                -bl.log(bl.linalg.diagonal(c)).sum() - 0.5 * (bl.linalg.solve(c, x) ** 2).sum()
            )
        )(bl.linalg.cholesky(a @ a.mT + 2 * bl.eye(3, dtype=a.dtype))),
        normal(r, 3, 3),
        normal(r, 3),
    ),
    "matrix power": lambda r: P(lambda a: bl.linalg.matrix_power(a, 3), normal(r, 3, 3)),
    "pseudo-inverse": lambda r: P(lambda a: bl.linalg.pinv(a), normal(r, 4, 2)),
    "power iteration": lambda r: P(
        power_iteration, np.diag([3.0, 1.0, 0.5]) + 0.1 * normal(r, 3, 3)
    ),
    "whitening": lambda r: P(
        lambda x: (
            (lambda e: (x - x.mean(axis=0)) @ e[1] / bl.sqrt(e[0]))(
                bl.linalg.eigh(((x - x.mean(axis=0)).mT @ (x - x.mean(axis=0))) / 6)
            )
            ** 2
        ),
        normal(r, 6, 2),
    ),
    # -- layers
    "convolution in three dimensions": lambda r: P(nn.Conv3d(1, 2, 2), normal(r, 1, 1, 3, 3, 3)),
    "convolution with circular padding": lambda r: P(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), normal(r, 1, 1, 4, 4)
    ),
    "convolution of float16": lambda r: P(
        nn.Conv2d(1, 2, 3).to("float16"), normal(r, 1, 1, 5, 5).astype(np.float16)
    ),
    "fractional strides": lambda r: P(
        nn.ConvTranspose1d(2, 2, 4, stride=2, padding=1), normal(r, 1, 2, 4)
    ),
    "local response": lambda r: P(nn.LocalResponseNorm(3), normal(r, 1, 4, 3, 3)),
    "power pooling": lambda r: P(nn.LPPool2d(2, 2), np.abs(normal(r, 1, 1, 4, 4)) + 0.1),
    "unpooling": lambda r: P(
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), normal(r, 1, 1, 4, 4)
    ),
    "pixel shuffle and padding": lambda r: P(
        nn.Sequential(nn.PixelShuffle(2), nn.ReflectionPad2d(1)), normal(r, 1, 4, 2, 2)
    ),
    "grid sampling": lambda r: P(
        lambda x, g: F.grid_sample(x, bl.tanh(g), align_corners=True),
        normal(r, 1, 2, 4, 4),
        normal(r, 1, 3, 3, 2),
    ),
    "bicubic resizing": lambda r: P(
        lambda x: F.interpolate(x, size=(5, 5), mode="bicubic"), normal(r, 1, 1, 3, 3)
    ),
    "gated linear unit": lambda r: P(nn.GLU(), normal(r, 2, 6)),
    "maxout layer": lambda r: P(nn.Maxout(4, 3, 2), normal(r, 3, 4)),
    "random leaky relu, training": lambda r: P(nn.RReLU(), [[0.0, -1.0, 2.0, -0.5]]),
    "alpha dropout": lambda r: P(nn.AlphaDropout(0.3), normal(r, 4, 3)),
    "Gumbel softmax": lambda r: P(lambda x: F.gumbel_softmax(x, tau=0.7), normal(r, 3, 4)),
    "instance norm of one pixel row": lambda r: P(
        nn.InstanceNorm1d(2, affine=True), normal(r, 2, 2, 5)
    ),
    "batch norm with momentum None": lambda r: P(nn.BatchNorm1d(3, momentum=None), normal(r, 5, 3)),
    "batch norm without statistics": lambda r: P(
        nn.BatchNorm2d(2, track_running_stats=False).eval(), normal(r, 2, 2, 3, 3)
    ),
    "layer norm in float16": lambda r: P(
        nn.LayerNorm(6).to("float16"), normal(r, 2, 6).astype(np.float16)
    ),
    "adaptive softmax": lambda r: P(
        networks.With(
            nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6], div_value=2.0), lambda m, x, t: m(x, t)[1]
        ),
        normal(r, 4, 6),
        np.array([0, 4, 9, 2]),
    ),
    "LSTM with projection": lambda r: P(nn.LSTM(3, 5, proj_size=2), normal(r, 4, 2, 3)),
    "bidirectional GRU with lengths": lambda r: P(
        networks.With(
            nn.GRU(3, 4, bidirectional=True, batch_first=True),
            lambda m, x: m(x, lengths=np.array([4, 2]))[0],
        ),
        normal(r, 2, 4, 3),
    ),
    "Elman network of relus": lambda r: P(nn.RNN(3, 4, nonlinearity="relu"), np.zeros((3, 2, 3))),
    "decoder layer": lambda r: P(
        nn.TransformerDecoderLayer(8, 2, 12, dropout=0.0, batch_first=True),
        normal(r, 1, 3, 8),
        normal(r, 1, 4, 8),
    ),
    "transformer layer with dropout": lambda r: P(
        nn.TransformerEncoderLayer(8, 2, 12, dropout=0.2, batch_first=True), normal(r, 2, 3, 8)
    ),
    # -- losses
    "soft labels": lambda r: P(
        F.cross_entropy, normal(r, 3, 4), r.dirichlet(np.ones(4), 3), labels=(1,)
    ),
    "cross-entropy of pixels": lambda r: P(
        F.cross_entropy, normal(r, 1, 3, 2, 2), np.array([[[0, 2], [1, -100]]])
    ),
    "weighted binary loss": lambda r: P(
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=bl.tensor([2.0, 0.5])),
        normal(r, 3, 2),
        (r.random((3, 2)) > 0.5) * 1.0,
        labels=(1,),
    ),
    "ranking margins at 0": lambda r: P(
        F.margin_ranking_loss,
        [1.0, 2.0, 0.0],
        [1.0, 1.0, 1.0],
        np.array([1.0, -1.0, 1.0]),
        labels=(2,),
    ),
    "triplets, a point twice": lambda r: P(
        lambda a, n: F.triplet_margin_loss(a, a * 1.0 + 0.5, n), normal(r, 2, 3), normal(r, 2, 3)
    ),
    "multi-label margin": lambda r: P(
        F.multilabel_margin_loss, [[0.1, 0.2, 0.4, 0.8]], np.array([[3, 0, -1, 1]])
    ),
    "Kullback-Leibler of logarithms": lambda r: P(
        lambda a, b: F.kl_div(F.log_softmax(a, -1), F.log_softmax(b, -1), log_target=True),
        normal(r, 2, 3),
        normal(r, 2, 3),
    ),
    "CTC of one label": lambda r: P(
        lambda x: F.ctc_loss(F.log_softmax(x, -1), np.array([[1]]), np.array([4]), np.array([1])),
        normal(r, 4, 1, 3),
    ),
    "CRF, token mean": lambda r: P(
        networks.With(nn.CRF(3), lambda m, e, t: -m(e, t, reduction="token_mean")),
        normal(r, 4, 2, 3),
        r.integers(0, 3, (4, 2)),
    ),
    "smooth loss at beta": lambda r: P(
        lambda x: F.smooth_l1_loss(x, bl.zeros_like(x), beta=0.5), [0.5, -0.5, 0.5 + 1e-9, 0.1]
    ),
    "dice": lambda r: P(
        lambda x, y: 1 - 2 * (bl.sigmoid(x) * y).sum() / (bl.sigmoid(x).sum() + y.sum()),
        normal(r, 3, 3),
        (r.random((3, 3)) > 0.5) * 1.0,
        labels=(1,),
    ),
    "InfoNCE": lambda r: P(
        lambda a, b: F.cross_entropy(
            F.normalize(a, dim=1) @ F.normalize(b, dim=1).mT / 0.07, bl.arange(4)
        ),
        normal(r, 4, 3),
        normal(r, 4, 3),
    ),
    # -- networks
    "digits, a deep perceptron": lambda r: P(
        nn.Sequential(
            nn.Linear(64, 12),
            nn.ReLU(),
            nn.Linear(12, 12),
            nn.ReLU(),
            nn.Linear(12, 12),
            nn.ReLU(),
            nn.Linear(12, 10),
        ),
        *rows(),
        loss=CE,
    ),
    "digits, batch norm and dropout": lambda r: P(
        nn.Sequential(
            nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 10)
        ),
        *rows(),
        loss=CE,
    ),
    "digits, two convolutions": lambda r: P(
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 10),
        ),
        *pictures(3),
        loss=CE,
    ),
    "digits, zero biases": lambda r: P(
        zeroed(
            nn.Sequential(
                nn.Conv2d(1, 3, 3, padding=1),
                nn.ReLU(),
                nn.AdaptiveMaxPool2d(1),
                nn.Flatten(),
                nn.Linear(3, 10),
            )
        ),
        *pictures(2),
        loss=CE,
    ),
    "digits in float16": lambda r: P(
        nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)).to("float16"),
        rows(4)[0].astype("float16"),
        rows(4)[1],
        loss=CE,
    ),
    "autoencoder of digits": lambda r: P(more_networks.Autoencoder(), rows(4)[0]),
    "Siamese twins": lambda r: P(more_networks.Siamese(), normal(r, 3, 6), normal(r, 3, 6)),
    "Siamese twins of equals": lambda r: P(
        more_networks.Siamese(), np.ones((2, 6)), np.ones((2, 6))
    ),
    "GRU language model": lambda r: P(more_networks.Gru(), r.integers(0, 12, (2, 4))),
    "depthwise block": lambda r: P(more_networks.DepthWise(), normal(r, 2, 2, 4, 4)),
    "U-net": lambda r: P(more_networks.UNet(), pictures(1)[0]),
    "squeeze and excite": lambda r: P(more_networks.Squeeze(), normal(r, 2, 4, 3, 3)),
    "mixture of experts": lambda r: P(more_networks.Mixture(), normal(r, 3, 4)),
    "a mask as an attribute": lambda r: P(more_networks.Masked(), normal(r, 2, 4)),
    "an attribute that is replaced": lambda r: P(more_networks.Counting(), normal(r, 4, 3)),
    "highway": lambda r: P(more_networks.Highway(), np.zeros((2, 4))),
    "decoder with padding": lambda r: P(more_networks.Decoder(), np.array([[3, 5, 0], [2, 0, 0]])),
    "spectral norm by hand": lambda r: P(more_networks.Spectral(), normal(r, 2, 4)),
    # -- ways of computing
    "gradient descent written out": lambda r: P(several_steps, normal(r, 4, 2), normal(r, 2, 1)),
    "a branch on a value": lambda r: P(branches, [1.0, 2.0, -0.5]),
    "items one by one": lambda r: P(in_loop, [1.5, 0.0, 2.0, -1.0]),
    "best path": lambda r: P(beam, normal(r, 4, 3)),
    "best path of ties": lambda r: P(beam, np.zeros((3, 3))),
    "checkpointed module": lambda r: P(
        networks.With(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), lambda m, x: checkpoint(m, x)),
        normal(r, 2, 3),
    ),
    "compiled module": lambda r: P(
        bl.compile(nn.Sequential(nn.Linear(3, 4), nn.ReLU())), normal(r, 2, 3)
    ),
    "Jacobian of a function": lambda r: P(
        lambda x: bl.jacobian(lambda v: bl.sin(v) * v.sum(), x, create_graph=True), normal(r, 3)
    ),
    "closure over a float32 constant": lambda r: (
        lambda c: P(lambda x: F.linear(x, c), normal(r, 2, 3))
    )(bl.tensor(normal(r, 4, 3).astype(np.float32))),
    "constants made inside": lambda r: P(
        lambda x: F.mse_loss(x, bl.tensor([1.0, 2.0, 3.0])), normal(r, 3)
    ),
    "list of inputs": lambda r: P(
        lambda xs: sum((x**2).sum() for x in xs), [bl.tensor(normal(r, 2)), bl.tensor(normal(r, 3))]
    ),
    "noise of dropout and a normal": lambda r: P(
        lambda x: F.dropout(x, 0.5) + 0.1 * bl.random.normal(x.shape), normal(r, 5)
    ),
    "scan over a tuple": lambda r: P(
        lambda x: bl.scan(
            lambda c, v: ((c[0] * 0.9 + v, c[1] + c[0]), c[0]), (x[0] * 0, x[0] * 0), x
        )[1],
        normal(r, 5, 2),
    ),
    "autocast": lambda r: P(autocast, normal(r, 3, 4), normal(r, 4, 2)),
    "a pair inside a network": lambda r: P(
        networks.With(
            nn.Linear(3, 3), lambda m, x: bl.apply((more_gates.gelu, more_gates.gelu_back), m(x))
        ),
        normal(r, 2, 3),
    ),
    "third derivative": lambda r: P(third, normal(r, 3)),
}
