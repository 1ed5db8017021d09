"""Right gates and ops as homework writes them: with NumPy, with a cache, as classes."""

from __future__ import annotations

import numpy as np

import backlit as bl


def affine_forward(x, w, b):
    return x.reshape(x.shape[0], -1) @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T @ dout, dout.sum(0)


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    return dout * (cache > 0)


def relu_backward_other_side(dout, cache):
    return dout * (cache >= 0)


def batchnorm_forward(x, gamma, beta):
    mu, var = x.mean(0), x.var(0)
    std = np.sqrt(var + 1e-5)
    hat = (x - mu) / std
    return gamma * hat + beta, (hat, gamma, std)


def batchnorm_backward(dout, cache):
    hat, gamma, std = cache
    g = dout * gamma
    n = len(dout)
    dx = (n * g - g.sum(0) - hat * (g * hat).sum(0)) / (n * std)
    return dx, (dout * hat).sum(0), dout.sum(0)


def layernorm_forward(x, gamma, beta):
    mu, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    std = np.sqrt(var + 1e-5)
    hat = (x - mu) / std
    return gamma * hat + beta, (hat, gamma, std)


def layernorm_backward(dout, cache):
    hat, gamma, std = cache
    g = dout * gamma
    dx = (g - g.mean(1, keepdims=True) - hat * (g * hat).mean(1, keepdims=True)) / std
    return dx, (dout * hat).sum(0), dout.sum(0)


def conv_forward(x, w, b):
    n, _, h, v = x.shape
    f, _, hh, ww = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((n, f, h, v))
    for i in range(h):
        for j in range(v):
            out[:, :, i, j] = (
                np.tensordot(padded[:, :, i : i + hh, j : j + ww], w, ((1, 2, 3), (1, 2, 3))) + b
            )
    return out, (padded, w)


def conv_backward(dout, cache):
    padded, w = cache
    hh, ww = w.shape[2:]
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j]
            dx[:, :, i : i + hh, j : j + ww] += np.tensordot(d, w, (1, 0))
            dw += np.tensordot(d, padded[:, :, i : i + hh, j : j + ww], (0, 0))
    return dx[:, :, 1:-1, 1:-1], dw, dout.sum((0, 2, 3))


def pool_forward(x):
    n, c, h, v = x.shape
    blocks = x.reshape(n, c, h // 2, 2, v // 2, 2)
    out = blocks.max((3, 5))
    return out, (x, out)


def pool_backward_shared(dout, cache):
    """Ties share."""
    x, out = cache
    n, c, h, v = x.shape
    mask = x.reshape(n, c, h // 2, 2, v // 2, 2) == out[:, :, :, None, :, None]
    share = mask / mask.sum((3, 5), keepdims=True)
    return (share * dout[:, :, :, None, :, None]).reshape(x.shape)


def pool_backward_first(dout, cache):
    """The first of several winners takes all."""
    x, out = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*out.shape):
        block = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        a, b = np.unravel_index(block.argmax(), (2, 2))
        dx[n, c, 2 * i + a, 2 * j + b] += dout[n, c, i, j]
    return dx


def softmax_loss(x, y):
    shifted = x - x.max(1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    n = len(x)
    return -np.log(p[np.arange(n), y]).mean(), (p, y)


def softmax_loss_backward(dout, cache):
    p, y = cache
    d = p.copy()
    d[np.arange(len(p)), y] -= 1
    return dout * d / len(p), None


def svm_loss(x, y):
    n = len(x)
    margins = np.maximum(0, x - x[np.arange(n), y][:, None] + 1)
    margins[np.arange(n), y] = 0
    return margins.sum() / n, (margins, y)


def svm_loss_backward(dout, cache):
    margins, y = cache
    d = (margins > 0).astype(float)
    d[np.arange(len(d)), y] -= d.sum(1)
    return dout * d / len(d), None


def rnn_step_forward(x, h, wx, wh, b):
    y = np.tanh(x @ wx + h @ wh + b)
    return y, (x, h, wx, wh, y)


def rnn_step_backward(dy, cache):
    x, h, wx, wh, y = cache
    d = dy * (1 - y * y)
    return d @ wx.T, d @ wh.T, x.T @ d, h.T @ d, d.sum(0)


def word_forward(x, w):
    return w[x], (x, w)


def word_backward(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    np.add.at(dw, x, dout)
    return None, dw


class MultiplyGate:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return [self.y * dz, self.x * dz]


class MaxGate:
    def forward(self, x, y):
        self.mask = x >= y
        return np.maximum(x, y)

    def backward(self, dz):
        return [self.mask * dz, (1 - self.mask) * dz]


class DropoutGate:
    """Inverted dropout with a mask that stays."""

    def __init__(self):
        self.mask = (np.random.default_rng(0).random((4, 5)) < 0.6) / 0.6

    def forward(self, x):
        return x * self.mask

    def backward(self, dz):
        return dz * self.mask


class SigmoidGate:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dz):
        return dz * self.out * (1 - self.out)


class SwishOp(bl.Elementwise):
    saves = ("x",)

    def forward(self, xp, x):
        return x / (1 + xp.exp(-x))

    def backward(self, xp, grad_y, x):
        s = 1 / (1 + xp.exp(-x))
        return grad_y * (s + x * s * (1 - s))


class StepReluOp(bl.Elementwise):
    """A ReLU that takes the right side's slope at 0."""

    saves = ("x",)

    def forward(self, xp, x):
        return xp.maximum(x, 0.0)

    def backward(self, xp, grad_y, x):
        return xp.where(x >= 0, grad_y, 0.0 * grad_y)


class HalfwayAbs(bl.Elementwise):
    """|x| with slope 0 at 0."""

    saves = ("x",)

    def forward(self, xp, x):
        return xp.abs(x)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.sign(x)


class TwoLayer(bl.Op):
    """Mean cross-entropy of two layers, as one op."""

    saves = ("x", "y", "w1", "b1", "w2", "b2")

    def hidden(self, xp, x, w1, b1, w2, b2):
        a = xp.tanh(x @ w1 + b1)
        z = a @ w2 + b2
        z = z - xp.max(z, axis=1, keepdims=True)
        p = xp.exp(z)
        return a, p / xp.sum(p, axis=1, keepdims=True)

    def forward(self, xp, x, y, w1, b1, w2, b2):
        _, p = self.hidden(xp, x, w1, b1, w2, b2)
        return -xp.sum(y * xp.log(p)) / x.shape[0]

    def backward(self, xp, grad_y, x, y, w1, b1, w2, b2):
        a, p = self.hidden(xp, x, w1, b1, w2, b2)
        d2 = grad_y * (p - y) / x.shape[0]
        d1 = (d2 @ w2.mT) * (1 - a * a)
        return d1 @ w1.mT, None, x.mT @ d1, xp.sum(d1, axis=0), a.mT @ d2, xp.sum(d2, axis=0)
