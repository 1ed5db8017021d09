"""Programs that look like the right ones and are wrong: at kinks, in half precision, at labels."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit import nn
from backlit.nn import functional as F

from . import gates, normal, pictures, rows
from . import program as P


def with_backward(forward, change):
    """A pair whose backward's gradients are changed."""
    value, slopes = forward
    return value, lambda dout, cache: change(*_tuple(slopes(dout, cache)))


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


class Rectifier(bl.Elementwise):
    """A ReLU with any slope above, at and below 0."""

    attributes = ("above", "here", "below")
    saves = ("x",)

    def forward(self, xp, x):
        return xp.maximum(x, 0.0)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.where(x > 0, self.above, xp.where(x < 0, self.below, self.here))


class Narrow(bl.Op):
    """exp in half precision, with a factor forgotten or not."""

    attributes = ("dtype", "factor")
    saves = ("x",)

    def forward(self, xp, x):
        return xp.exp(xp.astype(x, np.dtype(self.dtype)))

    def backward(self, xp, grad_y, x):
        return self.factor * grad_y * xp.exp(x)


class Scaled(bl.Op):
    """y = c x, with a derivative that is off by a little."""

    attributes = ("off", "shift")
    saves = ("x",)

    def forward(self, xp, x):
        return (x + self.shift) * (x + self.shift)

    def backward(self, xp, grad_y, x):
        return grad_y * 2 * (x + self.shift) * (1 + self.off)


class Softmax(bl.Op):
    """Cross-entropy of labels, with a factor."""

    attributes = ("factor",)
    saves = ("x", "labels")

    def forward(self, xp, x, labels):
        return xp.sum(labels * (xp.log(xp.sum(xp.exp(x), axis=1, keepdims=True)) - x))

    def backward(self, xp, grad_y, x, labels):
        p = xp.exp(x)
        return self.factor * grad_y * (p / xp.sum(p, axis=1, keepdims=True) - labels), None


class Winners(bl.Op):
    """The largest of each row; all that win get the whole gradient."""

    saves = ("x", "y")

    def forward(self, xp, x):
        return xp.max(x, axis=1, keepdims=True)

    def backward(self, xp, grad_y, x, y):
        return xp.where(x == y, grad_y, 0 * x)


class Middle(bl.Op):
    """The median of three, whose gradient goes to the largest."""

    saves = ("x",)

    def forward(self, xp, x):
        return xp.sum(x) - xp.max(x) - xp.min(x)

    def backward(self, xp, grad_y, x):
        return xp.where(x == xp.max(x), grad_y, 0 * x)


class Held(nn.Module):
    """A module that lets no gradient through some path."""

    def __init__(self, cut):
        super().__init__()
        self.a, self.b, self.cut = nn.Linear(5, 5), nn.Linear(5, 2), cut

    def forward(self, x):
        return self.b(self.cut(self.a(x), x))


class Cutting(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 10)

    def forward(self, x):
        h = F.relu(self.conv(x))
        h = h * h.detach().mean()
        return self.out(F.max_pool2d(h, 2).reshape(x.shape[0], -1))


def numpy_inside(x):
    return x * bl.tensor(np.tanh(x.detach().numpy()))


def half(*gradients):
    return tuple(g if g is None else 0.5 * g for g in gradients)


def nothing_for_first(first, *rest):
    return (0 * first, *rest)


def without_mean(dx, *rest):
    return (dx - dx.mean(0) + 0.1, *rest)


AFFINE = gates.affine_forward, gates.affine_backward
RELU = gates.relu_forward, gates.relu_backward
NORM = gates.batchnorm_forward, gates.batchnorm_backward
LAYER = gates.layernorm_forward, gates.layernorm_backward
CONV = gates.conv_forward, gates.conv_backward
POOL = gates.pool_forward, gates.pool_backward_shared
HINGE = gates.svm_loss, gates.svm_loss_backward
LOSS = gates.softmax_loss, gates.softmax_loss_backward
STEP = gates.rnn_step_forward, gates.rnn_step_backward
WORDS = gates.word_forward, gates.word_backward
ONE_HOT = np.eye(4)[[0, 3, 1]]

WRONG = {
    "relu: 3 at 0": lambda r: P(Rectifier(above=1.0, here=3.0, below=0.0), [0.0, 1.0, -1.0]),
    "relu: -1 at 0": lambda r: P(Rectifier(above=1.0, here=-1.0, below=0.0), [0.0, 1.0, -1.0]),
    "relu: wrong below, far": lambda r: P(Rectifier(above=1.0, here=0.0, below=0.1), [1.0, -2.0]),
    "relu: wrong below, near": lambda r: P(Rectifier(above=1.0, here=0.0, below=0.5), [1.0, -1e-7]),
    "relu: wrong above, at 0 only": lambda r: P(
        Rectifier(above=0.5, here=0.0, below=0.0), [0.0, 0.0]
    ),
    "relu: wrong below, at 0 only": lambda r: P(
        Rectifier(above=1.0, here=0.0, below=1.0), [0.0, 0.0, 0.0]
    ),
    "float16: factor 2": lambda r: P(Narrow(dtype="float16", factor=2.0), normal(r, 4)),
    "float16: half": lambda r: P(Narrow(dtype="float16", factor=0.5), normal(r, 4)),
    "float32: a tenth more": lambda r: P(Narrow(dtype="float32", factor=1.1), normal(r, 4)),
    "float16 cast and cut": lambda r: P(
        lambda x: bl.exp(x.astype("float16")) * x.detach().astype("float16"), normal(r, 4)
    ),
    "bfloat16 cast and cut": lambda r: P(
        lambda x: (x.astype("bfloat16") ** 2 + x.astype("bfloat16").detach()).sum(), normal(r, 4)
    ),
    "float16 layers, cut": lambda r: P(
        Held(lambda h, x: h.detach() + x).to("float16"), normal(r, 3, 5).astype(np.float16)
    ),
    "off by 1e-3": lambda r: P(Scaled(off=1e-3, shift=0.0), normal(r, 4)),
    "off by 1e-4": lambda r: P(Scaled(off=1e-4, shift=0.0), normal(r, 4)),
    "off by 1e-5": lambda r: P(Scaled(off=1e-5, shift=0.0), normal(r, 4)),
    "off by 1e-2, cancelling": lambda r: P(Scaled(off=1e-2, shift=1e3), normal(r, 4)),
    "off by 1e-2, huge": lambda r: P(Scaled(off=1e-2, shift=0.0), 1e9 * normal(r, 4)),
    "off by 1e-2, tiny": lambda r: P(Scaled(off=1e-2, shift=0.0), 1e-9 * normal(r, 4)),
    "off by 1e-2, mixed sizes": lambda r: P(Scaled(off=1e-2, shift=0.0), [1e-8, 1.0, -1e6]),
    "labels: a half": lambda r: P(Softmax(factor=0.5), normal(r, 3, 4), ONE_HOT),
    "labels: mean for sum": lambda r: P(Softmax(factor=1 / 3), normal(r, 3, 4), ONE_HOT),
    "largest: all winners": lambda r: P(Winners(), [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]]),
    "largest: all winners, no tie here": lambda r: P(Winners(), normal(r, 3, 4)),
    "median: to the largest": lambda r: P(Middle(), [1.0, 2.0, 4.0]),
    "median: to the largest, ties": lambda r: P(Middle(), [2.0, 2.0, 2.0]),
    "affine: half": lambda r: P(
        with_backward(AFFINE, half), normal(r, 3, 4), normal(r, 4, 2), normal(r, 2)
    ),
    "affine: nothing for x": lambda r: P(
        with_backward(AFFINE, nothing_for_first), normal(r, 3, 4), normal(r, 4, 2), normal(r, 2)
    ),
    "relu pair: half, zeros": lambda r: P(with_backward(RELU, half), [[0.0, 1.0], [-1.0, 0.0]]),
    "relu pair: no mask": lambda r: P(
        (gates.relu_forward, lambda d, x: d), [[0.0, 1.0], [-1.0, 0.0]]
    ),
    "relu pair: no mask, zeros only": lambda r: P(
        (gates.relu_forward, lambda d, x: d), np.zeros((2, 2))
    ),
    "batch norm: a term": lambda r: P(
        with_backward(NORM, without_mean), normal(r, 5, 3), normal(r, 3), normal(r, 3)
    ),
    "batch norm: half, far from 0": lambda r: P(
        with_backward(NORM, half), 100 + 5 * normal(r, 5, 3), normal(r, 3), normal(r, 3)
    ),
    "layer norm: a term": lambda r: P(
        with_backward(LAYER, without_mean), normal(r, 3, 5), normal(r, 5), normal(r, 5)
    ),
    "convolution: half": lambda r: P(
        with_backward(CONV, half), normal(r, 1, 2, 4, 4), normal(r, 2, 2, 3, 3), normal(r, 2)
    ),
    "pool: half, many ties": lambda r: P(
        with_backward(POOL, half), np.maximum(normal(r, 1, 2, 4, 4), 0)
    ),
    "pool: half, only ties": lambda r: P(with_backward(POOL, half), np.zeros((1, 1, 4, 4))),
    "hinge: half, at its edge": lambda r: P(
        with_backward(HINGE, half), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], np.array([2, 0])
    ),
    "hinge: mean forgotten": lambda r: P(
        with_backward(HINGE, lambda d, _: (4 * d, None)), normal(r, 4, 3), np.array([0, 2, 1, 1])
    ),
    "softmax loss: not divided": lambda r: P(
        with_backward(LOSS, lambda d, _: (4 * d, None)), normal(r, 4, 3), np.array([0, 2, 1, 1])
    ),
    "recurrent step: nothing for x": lambda r: P(
        with_backward(STEP, nothing_for_first),
        normal(r, 3, 4), normal(r, 3, 5), normal(r, 4, 5), normal(r, 5, 5), normal(r, 5),
    ),
    "words: half": lambda r: P(
        with_backward(WORDS, half), np.array([[0, 1, 1], [3, 0, 0]]), normal(r, 5, 3)
    ),
    "words: overwritten": lambda r: P(
        (gates.word_forward, lambda d, c: (None, overwritten(d, c))),
        np.array([[0, 1, 1], [3, 0, 0]]), normal(r, 5, 3),
    ),
    "NumPy inside": lambda r: P(numpy_inside, normal(r, 4)),
    "cut at kinks": lambda r: P(lambda x: F.relu(x) * x.detach(), [0.0, 1.0, -1.0]),
    "cut beside kinks": lambda r: P(lambda x: F.relu(x) * x.detach(), [1e-7, 1.0, -1e-8]),
    "cut at a tie": lambda r: P(lambda x: bl.max(x) * bl.max(x).detach(), [1.0, 1.0, 0.0]),
    "cut median of ties": lambda r: P(lambda x: bl.median(x) * x.detach().sum(), [2.0, 2.0, 2.0]),
    "cut in one of two outputs": lambda r: P(lambda x: (x * x, x.detach() * x), normal(r, 3)),
    "cut in a dictionary": lambda r: P(lambda d: d["a"] * d["b"].detach(),
                                       {"a": normal(r, 3), "b": normal(r, 3)}),
    "cut state": lambda r: P(Held(lambda h, x: bl.tanh(h.detach())), normal(r, 3, 5)),
    "cut residual of zeros": lambda r: P(
        Held(lambda h, x: F.relu(h + x.detach())), np.maximum(normal(r, 3, 5), 0)
    ),
    "cut under no_grad": lambda r: P(no_grad_inside, normal(r, 4)),
    "CNN on digits, cut": lambda r: P(Cutting(), *pictures(2), loss=nn.CrossEntropyLoss()),
    "perceptron on digits, cut": lambda r: P(
        nn.Sequential(nn.Linear(64, 8), nn.ReLU(), Detached(), nn.Linear(8, 10)), *rows(4),
        loss=nn.CrossEntropyLoss(),
    ),
    "compiled, cut": lambda r: P(
        bl.compile(lambda x: (bl.tanh(x) * x.detach()).sum()), normal(r, 4)
    ),
    "scan, cut": lambda r: P(
        lambda x: bl.scan(lambda c, v: (bl.tanh(c.detach() + v), c * v), x[0] * 1, x)[1],
        normal(r, 4, 3),
    ),
}  # fmt: skip


def overwritten(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    dw[x] = dout
    return dw


def no_grad_inside(x):
    with bl.no_grad():
        scale = bl.exp(x)
    return x * scale


class Detached(nn.Module):
    def forward(self, x):
        return x * x.detach()
