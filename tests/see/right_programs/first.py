"""The first half of the right programs: with these the rules of judging were mended."""

from __future__ import annotations

from functools import partial

import numpy as np

import backlit as bl
from backlit import nn
from backlit.nn import functional as F
from backlit.nn.utils.checkpoint import checkpoint

from . import gates, networks, normal, pictures, rows
from . import program as P


def running_sum(x):
    def step(carry, v):
        carry = bl.tanh(carry + v)
        return carry, carry * v

    return bl.scan(step, bl.zeros((3,), dtype=x.dtype), x)[1]


def in_place(x):
    y = x * 2
    y += x**2
    y *= 0.5
    return y


def item_assignment(x):
    y = x * 1
    y[0] = x[1] ** 2
    y[1:] *= 3
    return y


def views(x):
    a = x[:, ::2].T
    b = x[1:].reshape(-1)[::-1]
    return (a**2).sum() + (b * bl.arange(b.shape[0], dtype=b.dtype)).sum()


def gradient_penalty(x, w):
    with bl.enable_grad():
        y = bl.tanh(x @ w).sum()
        (g,) = bl.grad(y, [x], create_graph=True)
    return (g**2).sum()


def newton(x):
    """Square roots by Newton's steps."""
    y = bl.ones_like(x)
    for _ in range(8):
        y = 0.5 * (y + x / y)
    return y


def top_two(x):
    return bl.topk(x, 2)[0] if isinstance(bl.topk(x, 2), tuple) else bl.topk(x, 2).values


def symmetric(a):
    return (a + a.mT) / 2


def positive(a):
    return a @ a.mT + 3 * bl.eye(a.shape[0], dtype=a.dtype)


FIRST = {
    # -- elementwise and kinks
    "relu beside 0 by 1e-7": lambda r: P(F.relu, [1e-7, -1e-7, 1.0, 0.0, -2.0]),
    "relu beside 0 by 1e-9, alone": lambda r: P(F.relu, [1e-9]),
    "leaky relu beside 0": lambda r: P(lambda x: F.leaky_relu(x, 0.1), [1e-8, -1e-8, 0.5]),
    "clip beside its bounds": lambda r: P(
        lambda x: bl.clip(x, 0, 1), [1 - 1e-7, 1 + 1e-7, 1e-8, 0.5]
    ),
    "abs of many sizes": lambda r: P(bl.abs, [1e-10, -1e-6, 1e-3, -1.0, 1e4]),
    "hardtanh and relu6 at both ends": lambda r: P(
        lambda x: F.hardtanh(x) + F.relu6(x), [-1.0, 1.0, 0.0, 6.0, 6.0 - 1e-8]
    ),
    "hard swish and hard sigmoid": lambda r: P(
        lambda x: F.hardswish(x) * F.hardsigmoid(x), [-3.0, 3.0, 0.0, 1.5]
    ),
    "soft and hard shrink": lambda r: P(
        lambda x: F.softshrink(x) + F.hardshrink(x), [0.5, -0.5, 0.2, 2.0]
    ),
    "prelu at 0": lambda r: P(nn.PReLU(), [[0.0, 1.0, -1.0]]),
    "celu, selu, elu": lambda r: P(
        lambda x: F.celu(x) + F.selu(x) * F.elu(x), [0.0, -1e-7, 1.5, -3.0]
    ),
    "mish, gelu, silu of large": lambda r: P(
        lambda x: F.mish(x) + F.gelu(x) + F.silu(x), [-40.0, 40.0, 0.0, 3.0]
    ),
    "softplus far out": lambda r: P(F.softplus, [-700.0, 700.0, 25.0, 0.0]),
    "log-sigmoid far out": lambda r: P(F.logsigmoid, [-800.0, 800.0, 0.3]),
    "sigmoid saturated": lambda r: P(bl.sigmoid, [-50.0, 50.0, 36.0, 0.0]),
    "tanh saturated": lambda r: P(bl.tanh, [-25.0, 19.0, 1e-9]),
    "exp of large": lambda r: P(bl.exp, [300.0, -300.0, 0.0]),
    "log near 0": lambda r: P(bl.log, [1e-12, 1e-3, 1.0, 1e12]),
    "sqrt near 0": lambda r: P(bl.sqrt, [1e-10, 1e-4, 2.0, 1e8]),
    "powers": lambda r: P(lambda x: x**2.5 + x**-1.5, [0.01, 0.5, 30.0]),
    "power of two Tensors": lambda r: P(lambda a, b: a**b, [0.5, 2.0, 1.0], [3.0, -2.0, 0.0]),
    "division by small": lambda r: P(lambda a, b: a / b, [1.0, -2.0], [1e-4, 1e3]),
    "arctangent of two": lambda r: P(bl.atan2, normal(r, 4), normal(r, 4)),
    "hypot of 3 and 4": lambda r: P(bl.hypot, [3.0, 1e-5, 1e6], [4.0, 1.0, 1.0]),
    "special functions": lambda r: P(
        lambda x: bl.erf(x) + bl.lgamma(x + 3) + bl.digamma(x + 3), normal(r, 5)
    ),
    "remainder off its jumps": lambda r: P(lambda x: bl.remainder(x, 1.5), [0.4, 2.0, -1.2]),
    "floor and fraction": lambda r: P(lambda x: x * bl.floor(x) + bl.frac(x), [0.3, 1.7, -2.2]),
    "sign times value": lambda r: P(lambda x: bl.sign(x) * x, [0.0, 2.0, -3.0]),
    "where with a guard": lambda r: P(
        lambda x: bl.where(x > 0, bl.sqrt(bl.where(x > 0, x, 1.0)), 0.0), [0.0, 4.0, -1.0, 2.0]
    ),
    "Huber beside delta": lambda r: P(
        lambda x: F.huber_loss(x, bl.zeros_like(x)), [1.0 + 1e-9, 1.0 - 1e-9, -1.0, 0.3]
    ),
    "quantised in forward by hand": lambda r: P(
        lambda x: x + (bl.round(x) - x).detach() * 0, normal(r, 4)
    ),
    # -- big, tiny, mixed
    "squares of 1e9": lambda r: P(lambda x: (x * x).sum(), [1e9, -3e9, 2e9]),
    "sum of 1e9 and 1": lambda r: P(lambda x: bl.log(x.sum()), [1e9, 1.0, 1e-3]),
    "mean square of 1e-9": lambda r: P(lambda x: (x * x).mean(), [1e-9, 2e-9]),
    "differences that cancel": lambda r: P(lambda x: (x + 1e6) ** 2 - 1e12, normal(r, 3)),
    "variance far from 0": lambda r: P(lambda x: bl.var(x), 1e5 + normal(r, 6)),
    "softmax of 1e4": lambda r: P(lambda x: F.softmax(x, -1), 1e4 * normal(r, 2, 3)),
    "log-softmax of spread scores": lambda r: P(
        lambda x: F.log_softmax(x, -1), 300 * normal(r, 2, 4)
    ),
    "logsumexp of mixed sizes": lambda r: P(bl.logsumexp, [1e3, 999.0, -1e5]),
    "norm of tiny": lambda r: P(bl.vector_norm, [1e-8, -2e-8, 3e-9]),
    "normalised rows": lambda r: P(
        lambda x: F.normalize(x, dim=1), normal(r, 3, 4) * [[1.0], [1e-3], [1e3]]
    ),
    "product of many": lambda r: P(bl.prod, [0.0, 2.0, 3.0, -1.0]),
    "cumulative product with a 0": lambda r: P(
        lambda x: bl.cumulative_prod(x), [1.5, 0.0, 2.0, -1.0]
    ),
    "cumulative sum and maximum": lambda r: P(
        lambda x: bl.cumulative_sum(x) * 2 + bl.cummax(x, axis=0)[0], [1.0, 1.0, 0.5, 2.0]
    ),
    "pixels of 0 to 255": lambda r: P(nn.Linear(5, 3), r.integers(0, 256, (2, 5)).astype(float)),
    # -- half precision and mixed
    "float32 inputs": lambda r: P(lambda x: bl.tanh(x) * x, normal(r, 3, 4).astype(np.float32)),
    "float16 exp inside": lambda r: P(
        lambda x: bl.exp(x.astype("float16")).astype("float64"), normal(r, 4)
    ),
    "bfloat16 product inside": lambda r: P(
        lambda a, b: (a.astype("bfloat16") @ b.astype("bfloat16")).astype("float32"),
        normal(r, 2, 3),
        normal(r, 3, 2),
    ),
    "float32 network called on float64": lambda r: P(
        lambda x: bl.sigmoid(x.astype("float32")).sum(), normal(r, 4)
    ),
    "float16 layers": lambda r: P(
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).to("float16"),
        normal(r, 3, 4).astype(np.float16),
    ),
    "bfloat16 layers": lambda r: P(
        nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 2)).to("bfloat16"),
        bl.tensor(normal(r, 3, 4), dtype="bfloat16"),
    ),
    "autocast by hand": lambda r: P(
        lambda x, w: (x.astype("bfloat16") @ w.astype("bfloat16")).astype("float64").mean(),
        normal(r, 4, 3),
        normal(r, 3, 2),
    ),
    # -- reductions, shapes, indices
    "broadcasts of all kinds": lambda r: P(
        lambda a, b, c: (a * b + c).mean(), normal(r, 3, 1), normal(r, 4), normal(r, 2, 1, 1)
    ),
    "reductions over several axes": lambda r: P(
        lambda x: x.sum(axis=(0, 2)) * x.mean(axis=(0, 2)) + bl.std(x, axis=(0, 2)),
        normal(r, 2, 3, 4),
    ),
    "max and min of real ties": lambda r: P(
        lambda x: bl.max(x, axis=0) - bl.min(x, axis=0),
        [[1.0, 2.0, 2.0], [1.0, 2.0, 3.0], [0.0, 2.0, 3.0]],
    ),
    "amax and amin of ties": lambda r: P(
        lambda x: bl.amax(x) - bl.amin(x), [1.0, 1.0, 0.0, 0.0, 0.0]
    ),
    "sort beside a tie by 1e-8": lambda r: P(bl.sort, [1.0, 1.0 + 1e-8, 0.5]),
    "top two of ties": lambda r: P(top_two, [1.0, 3.0, 3.0, 3.0]),
    "median of ties": lambda r: P(lambda x: bl.median(x), [1.0, 2.0, 2.0, 5.0, 2.0]),
    "quantiles": lambda r: P(lambda x: bl.quantile(x, 0.3), normal(r, 7)),
    "rolled, flipped, repeated": lambda r: P(
        lambda x: bl.roll(bl.flip(x, axis=0), 1) * bl.repeat(x, 1), normal(r, 4)
    ),
    "gather and scatter": lambda r: P(
        lambda x: bl.take_along_axis(x, bl.argsort(x, axis=1), axis=1) ** 2, normal(r, 2, 4)
    ),
    "index with repeats": lambda r: P(lambda x: x[[0, 0, 2]] * x[[1, 2, 2]], normal(r, 3)),
    "boolean mask": lambda r: P(lambda x: (x[x > 0] ** 2).sum(), [1.0, -1.0, 2.0, -3.0]),
    "diagonals and traces": lambda r: P(lambda x: bl.trace(x) * bl.diagonal(x), normal(r, 3, 3)),
    "views of views": lambda r: P(views, normal(r, 3, 4)),
    "einsum of three": lambda r: P(
        lambda a, b, c: bl.einsum("ij,jk,kl->il", a, b, c),
        normal(r, 2, 3),
        normal(r, 3, 2),
        normal(r, 2, 2),
    ),
    "in-place arithmetic": lambda r: P(in_place, normal(r, 3)),
    "item assignment": lambda r: P(item_assignment, normal(r, 4)),
    "stack, split, concat": lambda r: P(
        lambda a, b: bl.concat(bl.split(bl.stack([a, b]), 1), axis=1) ** 2,
        normal(r, 3),
        normal(r, 3),
    ),
    "padded and unfolded": lambda r: P(
        lambda x: F.unfold(F.pad(x, (1, 1, 1, 1)), 2) ** 2, normal(r, 1, 2, 3, 3)
    ),
    # -- linear algebra
    "inverse and determinant": lambda r: P(
        lambda a: bl.linalg.inv(a) * bl.linalg.det(a), normal(r, 3, 3) + 3 * np.eye(3)
    ),
    "eigenvalues of a symmetric matrix": lambda r: P(
        lambda a: bl.linalg.eigh(symmetric(a))[0], normal(r, 4, 4)
    ),
    "projector of the largest eigenvector": lambda r: P(
        lambda a: (lambda v: v[:, -1:] @ v[:, -1:].mT)(bl.linalg.eigh(symmetric(a))[1]),
        normal(r, 3, 3),
    ),
    "singular values": lambda r: P(
        lambda a: bl.linalg.svd(a, full_matrices=False)[1], normal(r, 4, 3)
    ),
    "Cholesky of a product": lambda r: P(
        lambda a: bl.linalg.cholesky(positive(a)), normal(r, 3, 3)
    ),
    "solve": lambda r: P(
        lambda a, b: bl.linalg.solve(positive(a), b), normal(r, 3, 3), normal(r, 3, 2)
    ),
    "log-determinant, badly conditioned": lambda r: P(
        lambda a: bl.linalg.slogdet(a)[1], np.diag([1e4, 1.0, 1e-3]) + 1e-4 * normal(r, 3, 3)
    ),
    "QR": lambda r: P(lambda a: bl.linalg.qr(a)[1], normal(r, 4, 3)),
    # -- layers, alone
    "dense layer": lambda r: P(nn.Linear(4, 3), normal(r, 2, 4)),
    "bilinear layer": lambda r: P(nn.Bilinear(3, 4, 2), normal(r, 5, 3), normal(r, 5, 4)),
    "convolution with strides and groups": lambda r: P(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, dilation=1), normal(r, 1, 4, 7, 7)
    ),
    "convolution in one dimension": lambda r: P(
        nn.Conv1d(2, 3, 3, padding=2, dilation=2), normal(r, 2, 2, 8)
    ),
    "transposed convolution": lambda r: P(
        nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), normal(r, 1, 2, 4, 4)
    ),
    "batch norm, training": lambda r: P(nn.BatchNorm1d(3), normal(r, 6, 3)),
    "batch norm, evaluation": lambda r: P(nn.BatchNorm2d(2).eval(), normal(r, 2, 2, 3, 3)),
    "batch norm of two rows": lambda r: P(nn.BatchNorm1d(3), normal(r, 2, 3)),
    "batch norm of a constant column": lambda r: P(
        nn.BatchNorm1d(2), np.column_stack([np.ones(5), normal(r, 5)])
    ),
    "layer norm of a constant row": lambda r: P(
        nn.LayerNorm(4), np.vstack([np.ones(4), normal(r, 4)])
    ),
    "group and instance norm": lambda r: P(
        nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)), normal(r, 2, 4, 3, 3)
    ),
    "rms norm": lambda r: P(nn.RMSNorm(5), normal(r, 3, 5)),
    "dropout, training": lambda r: P(nn.Dropout(0.4), normal(r, 4, 5)),
    "dropout of channels": lambda r: P(nn.Dropout2d(0.5), normal(r, 2, 4, 3, 3)),
    "max pooling of digits": lambda r: P(nn.MaxPool2d(2), pictures(2)[0]),
    "adaptive and average pooling": lambda r: P(
        nn.Sequential(nn.AvgPool2d(2, 1), nn.AdaptiveMaxPool2d(2)), normal(r, 1, 2, 5, 5)
    ),
    "upsampling": lambda r: P(nn.Upsample(scale_factor=2, mode="bilinear"), normal(r, 1, 2, 3, 3)),
    "embedding bag": lambda r: P(
        nn.EmbeddingBag(6, 3, mode="mean"), np.array([[0, 1, 1], [5, 2, 3]])
    ),
    "embedding of rare words": lambda r: P(nn.Embedding(50, 3), np.array([[1, 1, 49]])),
    "attention with a padding mask": lambda r: P(
        networks.With(
            nn.MultiheadAttention(4, 2, batch_first=True),
            lambda layer, x: layer(x, x, x, key_padding_mask=bl.tensor([[False, False, True]] * 2)),
        ),
        normal(r, 2, 3, 4),
    ),
    "causal attention": lambda r: P(
        partial(F.scaled_dot_product_attention, is_causal=True),
        normal(r, 2, 4, 3),
        normal(r, 2, 4, 3),
        normal(r, 2, 4, 3),
    ),
    "recurrent cells": lambda r: P(nn.GRUCell(3, 4), normal(r, 2, 3), normal(r, 2, 4)),
    "GRU of one step": lambda r: P(nn.GRU(3, 4, batch_first=True), normal(r, 1, 2, 3)),
    # -- losses
    "cross-entropy of far scores": lambda r: P(
        F.cross_entropy, 50 * normal(r, 3, 4), np.array([0, 1, 3])
    ),
    "cross-entropy with weights": lambda r: P(
        lambda x, t: F.cross_entropy(x, t, weight=bl.tensor([1.0, 2.0, 0.5])),
        normal(r, 4, 3),
        np.array([0, 1, 2, 1]),
    ),
    "binary cross-entropy near 0 and 1": lambda r: P(
        F.binary_cross_entropy, [1e-6, 1 - 1e-6, 0.5], [0.0, 1.0, 1.0]
    ),
    "binary cross-entropy of logits": lambda r: P(
        F.binary_cross_entropy_with_logits, [-40.0, 40.0, 0.0], [1.0, 1.0, 0.0]
    ),
    "multi-margin at ties": lambda r: P(
        F.multi_margin_loss, [[0.2, 1.2, 0.2], [0.1, 0.1, 0.1]], np.array([1, 0])
    ),
    "multi-label margins": lambda r: P(
        F.multilabel_soft_margin_loss, normal(r, 2, 3), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    ),
    "triplets of equals": lambda r: P(
        F.triplet_margin_loss, normal(r, 2, 3), normal(r, 2, 3), normal(r, 2, 3)
    ),
    "cosine embedding": lambda r: P(
        F.cosine_embedding_loss, normal(r, 3, 4), normal(r, 3, 4), np.array([1, -1, 1])
    ),
    "divergence with zeros": lambda r: P(
        F.kl_div,
        np.log(r.dirichlet(np.ones(3), 2)),
        np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]),
        labels=(1,),
    ),
    "Poisson and Gaussian likelihood": lambda r: P(
        lambda m, v, t: F.gaussian_nll_loss(m, t, v) + F.poisson_nll_loss(m, bl.abs(t)),
        normal(r, 4),
        r.uniform(0.5, 2, 4),
        normal(r, 4),
    ),
    "CTC": lambda r: P(
        lambda x: F.ctc_loss(
            F.log_softmax(x, -1),
            np.array([[1, 2, 0], [1, 1, 3]]),
            np.array([6, 5]),
            np.array([2, 3]),
        ),
        normal(r, 6, 2, 4),
    ),
    "CRF with a mask": lambda r: P(
        networks.Crf(),
        normal(r, 4, 2, 3),
        r.integers(0, 3, (4, 2)),
        np.array([[1, 1], [1, 1], [1, 0], [1, 0]], bool),
    ),
    # -- gates and ops by hand
    "affine, a pair": lambda r: P(
        (gates.affine_forward, gates.affine_backward),
        normal(r, 3, 2, 2),
        normal(r, 4, 2),
        normal(r, 2),
    ),
    "relu, a pair, at zeros": lambda r: P(
        (gates.relu_forward, gates.relu_backward), [[0.0, 1.0], [-1.0, 0.0]]
    ),
    "relu of the other side, a pair": lambda r: P(
        (gates.relu_forward, gates.relu_backward_other_side), [[0.0, 1.0], [-1.0, 1e-8]]
    ),
    "batch norm, a pair": lambda r: P(
        (gates.batchnorm_forward, gates.batchnorm_backward),
        normal(r, 5, 3),
        normal(r, 3),
        normal(r, 3),
    ),
    "batch norm far from 0, a pair": lambda r: P(
        (gates.batchnorm_forward, gates.batchnorm_backward),
        100 + 5 * normal(r, 5, 3),
        normal(r, 3),
        normal(r, 3),
    ),
    "layer norm, a pair": lambda r: P(
        (gates.layernorm_forward, gates.layernorm_backward),
        normal(r, 3, 5),
        normal(r, 5),
        normal(r, 5),
    ),
    "convolution, a pair": lambda r: P(
        (gates.conv_forward, gates.conv_backward),
        normal(r, 2, 2, 4, 4),
        normal(r, 3, 2, 3, 3),
        normal(r, 3),
    ),
    "pool that shares, a pair": lambda r: P(
        (gates.pool_forward, gates.pool_backward_shared), np.maximum(normal(r, 1, 2, 4, 4), 0)
    ),
    "pool, first wins, a pair": lambda r: P(
        (gates.pool_forward, gates.pool_backward_first), pictures(1)[0].numpy().astype(float)
    ),
    "softmax loss, a pair": lambda r: P(
        (gates.softmax_loss, gates.softmax_loss_backward), normal(r, 4, 3), np.array([0, 2, 1, 1])
    ),
    "hinge loss, a pair": lambda r: P(
        (gates.svm_loss, gates.svm_loss_backward), normal(r, 4, 3), np.array([0, 2, 1, 1])
    ),
    "hinge loss at its edge, a pair": lambda r: P(
        (gates.svm_loss, gates.svm_loss_backward),
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
        np.array([2, 0]),
    ),
    "recurrent step, a pair": lambda r: P(
        (gates.rnn_step_forward, gates.rnn_step_backward),
        normal(r, 3, 4),
        normal(r, 3, 5),
        normal(r, 4, 5),
        normal(r, 5, 5),
        normal(r, 5),
    ),
    "words, a pair": lambda r: P(
        (gates.word_forward, gates.word_backward), np.array([[0, 1, 1], [3, 0, 0]]), normal(r, 5, 3)
    ),
    "multiply gate": lambda r: P(gates.MultiplyGate, [2.0, 0.0], [-4.0, 1e-9]),
    "maximum gate at a tie": lambda r: P(gates.MaxGate, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]),
    "dropout gate with a mask": lambda r: P(gates.DropoutGate, normal(r, 4, 5)),
    "sigmoid gate, saturated": lambda r: P(gates.SigmoidGate, [40.0, -40.0, 0.0]),
    "own op: swish": lambda r: P(gates.SwishOp(), 3 * normal(r, 3, 4)),
    "own op: relu from the right": lambda r: P(gates.StepReluOp(), [0.0, -1.0, 2.0, 1e-9]),
    "own op: two layers": lambda r: P(
        gates.TwoLayer(),
        normal(r, 4, 3),
        np.eye(2)[[0, 1, 1, 0]],
        normal(r, 3, 5),
        normal(r, 5) * 0.1,
        normal(r, 5, 2),
        normal(r, 2),
        labels=(1,),
    ),
    # -- networks
    "perceptron on digits": lambda r: P(
        nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)),
        *rows(),
        loss=nn.CrossEntropyLoss(),
    ),
    "CNN on digits": lambda r: P(
        networks.Cnn(nn.ReLU(), nn.MaxPool2d(2)), *pictures(), loss=nn.CrossEntropyLoss()
    ),
    "CNN with batch norm on digits": lambda r: P(
        networks.Cnn(nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *pictures(),
        loss=nn.CrossEntropyLoss(),
    ),
    "CNN with dropout on digits": lambda r: P(
        networks.Cnn(nn.LeakyReLU(0.1), nn.AvgPool2d(2), nn.Dropout(0.3)),
        *pictures(),
        loss=nn.CrossEntropyLoss(),
    ),
    "residual blocks": lambda r: P(
        nn.Sequential(networks.Residual(), networks.Residual()), np.maximum(normal(r, 3, 5), 0)
    ),
    "tied weights": lambda r: P(networks.Tied(), np.array([[0, 3, 3], [6, 1, 0]])),
    "state of zeros": lambda r: P(networks.OwnState(), normal(r, 2, 4, 3)),
    "LSTM with a state of zeros": lambda r: P(networks.OwnLstmState(), normal(r, 2, 4, 3)),
    "several outputs in a dictionary": lambda r: P(networks.Heads(), normal(r, 3, 5)),
    "two outputs": lambda r: P(networks.Pair(), normal(r, 3, 5)),
    "a dictionary of inputs": lambda r: P(
        networks.OfDictionary(), {"left": normal(r, 2, 3), "right": normal(r, 2, 2)}
    ),
    "variational autoencoder": lambda r: P(networks.Vae(), normal(r, 3, 5)),
    "running statistics": lambda r: P(networks.Running(), normal(r, 4, 3)),
    "tagger with lengths": lambda r: P(
        networks.Tagger(), np.array([[3, 4, 0], [5, 6, 7]]), np.array([2, 3])
    ),
    "transformer with a causal mask": lambda r: P(networks.Transformer(), r.integers(0, 9, (2, 5))),
    # -- ways of computing
    "scan": lambda r: P(running_sum, normal(r, 5, 3)),
    "compiled function": lambda r: P(bl.compile(lambda x: (bl.tanh(x) * x).sum()), normal(r, 4)),
    "checkpointed": lambda r: P(lambda x: checkpoint(lambda v: bl.tanh(v * v), x), normal(r, 4)),
    "gradient penalty": lambda r: P(gradient_penalty, normal(r, 3, 2), normal(r, 2, 2)),
    "Newton's square roots": lambda r: P(newton, [0.5, 2.0, 9.0]),
    "vmap": lambda r: P(
        lambda x, w: bl.vmap(lambda v: bl.tanh(v @ w))(x), normal(r, 3, 2), normal(r, 2, 2)
    ),
    "noise with a seed": lambda r: P(lambda x: x * bl.random.normal(x.shape), normal(r, 4)),
    "a constant function": lambda r: P(lambda x: 0 * x + 3, normal(r, 3)),
    "an input that does not matter": lambda r: P(
        lambda x, y: bl.tanh(x), normal(r, 3), normal(r, 3)
    ),
}
