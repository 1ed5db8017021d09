"""Right gates and ops by hand, for the second half of the programs."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl


def leaky(x, slope=0.1):
    return np.where(x > 0, x, slope * x), (x, slope)


def leaky_back(d, cache):
    x, slope = cache
    return d * np.where(x > 0, 1, slope)


def elu(x):
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), x


def elu_back(d, x):
    return d * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))


def gelu(x):
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_back(d, cache):
    x, t = cache
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return d * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, y


def softmax_back(d, y):
    return y * (d - (d * y).sum(-1, keepdims=True))


def attention(q, k, v):
    y, _ = softmax(q @ k.T / math.sqrt(q.shape[1]))
    return y @ v, (q, k, v, y)


def attention_back(d, cache):
    q, k, v, y = cache
    scores = softmax_back(d @ v.T, y) / math.sqrt(q.shape[1])
    return scores @ k, scores.T @ q, y.T @ d


def group_norm(x, gamma):
    n, c, h = x.shape
    g = x.reshape(n, 2, c // 2 * h)
    mean, std = g.mean(2, keepdims=True), np.sqrt(g.var(2, keepdims=True) + 1e-5)
    hat = ((g - mean) / std).reshape(x.shape)
    return hat * gamma, (hat, gamma, std)


def group_norm_back(d, cache):
    hat, gamma, std = cache
    n, c, h = hat.shape
    g, t = (d * gamma).reshape(n, 2, -1), hat.reshape(n, 2, -1)
    dx = (g - g.mean(2, keepdims=True) - t * (g * t).mean(2, keepdims=True)) / std
    return dx.reshape(n, c, h), (d * hat).sum((0, 2)).reshape(gamma.shape)


def rms(x, w):
    r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    return x / r * w, (x, w, r)


def rms_back(d, cache):
    x, w, r = cache
    g = d * w
    return g / r - x * (g * x).mean(-1, keepdims=True) / r**3, (d * x / r).sum(0)


def lstm_step(x, h, c, wx, wh, b):
    n = h.shape[1]
    a = x @ wx + h @ wh + b
    s = 1 / (1 + np.exp(-a[:, : 3 * n]))
    i, f, o, g = s[:, :n], s[:, n : 2 * n], s[:, 2 * n :], np.tanh(a[:, 3 * n :])
    new = f * c + i * g
    return o * np.tanh(new), (x, h, c, wx, wh, i, f, o, g, new)


def lstm_step_back(d, cache):
    x, h, c, wx, wh, i, f, o, g, new = cache
    t = np.tanh(new)
    dc = d * o * (1 - t * t)
    da = np.concatenate(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), d * t * o * (1 - o), dc * i * (1 - g * g)], 1
    )
    return da @ wx.T, da @ wh.T, dc * f, x.T @ da, h.T @ da, da.sum(0)


def ridge(x, w, y):
    e = x @ w - y
    return (e**2).mean() + 0.1 * (w**2).sum(), (x, w, e)


def ridge_back(d, cache):
    x, w, e = cache
    g = 2 * e / e.size
    return d * np.outer(g, w), d * (x.T @ g + 0.2 * w), -d * g


def l1_penalty(w):
    return np.abs(w).sum(), w


def logistic(w, x, y):
    p = 1 / (1 + np.exp(-(x @ w)))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), (w, x, y, p)


def logistic_back(d, cache):
    _, x, y, p = cache
    return d * x.T @ (p - y) / len(y), None, None


def avg_pool(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5)), x.shape


def avg_pool_back(d, shape):
    return np.repeat(np.repeat(d, 2, 2), 2, 3) / 4


def dropout_pair(x):
    mask = (np.random.default_rng(3).random(x.shape) < 0.5) / 0.5
    return x * mask, mask


def nearest(x):
    return np.repeat(np.repeat(x, 2, -1), 2, -2), None


def nearest_back(d, _):
    h, w = d.shape[-2:]
    return d.reshape(*d.shape[:-2], h // 2, 2, w // 2, 2).sum((-3, -1))


def contrastive(a, b):
    gap = np.sqrt(((a - b) ** 2).sum(1))
    return np.maximum(0, 1 - gap).sum(), (a, b, gap)


def contrastive_back(d, cache):
    a, b, gap = cache
    g = np.where(gap < 1, -1 / gap, 0)[:, None] * (a - b) * d
    return g, -g


class AddGate:
    def forward(self, x, y):
        return x + y

    def backward(self, dz):
        return [dz, dz]


class Convolver:
    """A gate that remembers, with a kernel of its own."""

    def __init__(self):
        self.k = np.array([0.5, -1.0, 2.0])

    def forward(self, x):
        return np.convolve(x, self.k, "full")

    def backward(self, dz):
        return np.convolve(dz, self.k[::-1], "valid")


class Sorter:
    def forward(self, x):
        self.order = np.argsort(x, kind="stable")
        return x[self.order]

    def backward(self, dz):
        d = np.empty_like(dz)
        d[self.order] = dz
        return d


class LogSumExp(bl.Op):
    saves = ("x", "y")

    def forward(self, xp, x):
        m = xp.max(x, axis=1, keepdims=True)
        return m + xp.log(xp.sum(xp.exp(x - m), axis=1, keepdims=True))

    def backward(self, xp, grad_y, x, y):
        return grad_y * xp.exp(x - y)


class Focal(bl.Elementwise):
    """-(1 - p)² log p for p = σ(x)."""

    saves = ("x",)

    def forward(self, xp, x):
        p = 1 / (1 + xp.exp(-x))
        return -((1 - p) ** 2) * xp.log(p)

    def backward(self, xp, grad_y, x):
        p = 1 / (1 + xp.exp(-x))
        return grad_y * p * (1 - p) * (2 * (1 - p) * xp.log(p) - (1 - p) ** 2 / p)


class HalfTanh(bl.Elementwise):
    """tanh in half precision."""

    saves = ("y",)

    def forward(self, xp, x):
        return xp.tanh(xp.astype(x, bl.float16))

    def backward(self, xp, grad_y, y):
        return grad_y * (1 - y * y)


class Straight(bl.Op):
    """min(max(x, a), b), where bounds get gradients, too."""

    saves = ("x", "a", "b")

    def forward(self, xp, x, a, b):
        return xp.minimum(xp.maximum(x, a), b)

    def backward(self, xp, grad_y, x, a, b):
        below, above = x < a, x > b
        zero = 0 * grad_y
        inside = xp.where(below, zero, xp.where(above, zero, grad_y))
        return inside, xp.where(below, grad_y, zero), xp.where(above, grad_y, zero)
