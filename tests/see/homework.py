"""Gradients as homework writes them: pairs of NumPy functions, and mistakes made in them.

A pair is the text of `forward` and `backward` with the inputs to check it at. A mistake is one
place of a backward, changed: the pair, the right text, the wrong text, what is wrong in words, and
how an explanation may name it (a kind of `see.checks.KINDS`, or a word of its title).
"""

from __future__ import annotations

import linecache
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


#: name: (text, inputs)
PAIRS: dict[str, tuple[str, tuple[Any, ...]]] = {}


def pair(name: str, *inputs: Any) -> Any:
    def add(text: str) -> None:
        PAIRS[name] = (f"import numpy as np\n\n\n{text.strip()}\n", inputs)

    return add


pair("affine", normal(4, 3), normal(3, 5), normal(5))("""
def forward(x, w, b):
    return x @ w + b, (x, w)


def backward(dout, cache):
    x, w = cache
    dx = dout.dot(w.T)
    dw = x.T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db
""")

pair("affine of pictures", normal(4, 2, 3), normal(6, 4), normal(4))("""
def forward(x, w, b):
    return x.reshape(x.shape[0], -1) @ w + b, (x, w)


def backward(dout, cache):
    x, w = cache
    flat = x.reshape(x.shape[0], -1)
    dx = dout.dot(w.T).reshape(x.shape)
    dw = flat.T.dot(dout)
    db = dout.sum(axis=0)
    return dx, dw, db
""")

pair("relu", normal(4, 5))("""
def forward(x):
    return np.maximum(0, x), x


def backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx
""")

pair("leaky relu", normal(4, 5))("""
def forward(x):
    alpha = 0.1
    return np.where(x > 0, x, alpha * x), (x, alpha)


def backward(dout, cache):
    x, alpha = cache
    slope = np.ones_like(x)
    slope[x < 0] = alpha
    return dout * slope
""")

pair("elu", normal(4, 5))("""
def forward(x):
    a = 1.5
    y = np.where(x > 0, x, a * (np.exp(x) - 1))
    return y, (x, y, a)


def backward(dout, cache):
    x, y, a = cache
    return dout * np.where(x > 0, 1.0, y + a)
""")

pair("sigmoid", normal(3, 4))("""
def forward(x):
    s = 1 / (1 + np.exp(-x))
    return s, s


def backward(dout, cache):
    s = cache
    return dout * s * (1 - s)
""")

pair("tanh", normal(3, 4))("""
def forward(x):
    t = np.tanh(x)
    return t, t


def backward(dout, cache):
    t = cache
    return dout * (1 - t ** 2)
""")

pair("swish", normal(3, 4))("""
def forward(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)


def backward(dout, cache):
    x, s = cache
    ds = s * (1 - s)
    return dout * (s + x * ds)
""")

pair("gelu", normal(3, 4))("""
def forward(x):
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x ** 3))
    return 0.5 * x * (1 + t), (x, t, c)


def backward(dout, cache):
    x, t, c = cache
    inner = c * (1 + 3 * 0.044715 * x ** 2)
    dx = 0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * inner
    return dout * dx
""")

pair("mish", normal(3, 4))("""
def forward(x):
    sp = np.log(1 + np.exp(x))
    t = np.tanh(sp)
    return x * t, (x, t)


def backward(dout, cache):
    x, t = cache
    sig = 1 / (1 + np.exp(-x))
    return dout * (t + x * (1 - t * t) * sig)
""")

pair("cube", normal(3, 4))("""
def forward(x):
    return x ** 3, x


def backward(dout, cache):
    x = cache
    return 3 * x ** 2 * dout
""")

pair("max pool", normal(2, 2, 4, 6))("""
def forward(x):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // 2, W // 2))
    for i in range(H // 2):
        for j in range(W // 2):
            out[:, :, i, j] = x[:, :, 2 * i:2 * i + 2, 2 * j:2 * j + 2].max(axis=(2, 3))
    return out, x


def backward(dout, cache):
    x = cache
    N, C, H, W = x.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(H // 2):
                for j in range(W // 2):
                    window = x[n, c, 2 * i:2 * i + 2, 2 * j:2 * j + 2]
                    mask = window == window.max()
                    dx[n, c, 2 * i:2 * i + 2, 2 * j:2 * j + 2] += mask * dout[n, c, i, j]
    return dx
""")

pair("average pool", normal(2, 2, 4, 6))("""
def forward(x):
    N, C, H, W = x.shape
    return x.reshape(N, C, H // 2, 2, W // 2, 2).mean(axis=(3, 5)), x.shape


def backward(dout, cache):
    N, C, H, W = cache
    dx = np.repeat(np.repeat(dout, 2, axis=2), 2, axis=3) / 4
    return dx
""")

pair("attention", normal(3, 4), normal(5, 4), normal(5, 2))("""
def forward(q, k, v):
    d = q.shape[1]
    scores = q @ k.T / np.sqrt(d)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    a = e / e.sum(axis=1, keepdims=True)
    return a @ v, (q, k, v, a, d)


def backward(dout, cache):
    q, k, v, a, d = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - np.sum(da * a, axis=1, keepdims=True))
    ds = ds / np.sqrt(d)
    dq = ds @ k
    dk = ds.T @ q
    return dq, dk, dv
""")

pair("causal attention", normal(4, 4), normal(4, 4), normal(4, 4))("""
def forward(q, k, v):
    mask = np.tril(np.ones((4, 4)))
    scores = np.where(mask > 0, q @ k.T / 2, -1e9)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return p @ v, (q, k, v, p)


def backward(dout, cache):
    q, k, v, p = cache
    dv = p.T @ dout
    dp = dout @ v.T
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    return ds @ k / 2, ds.T @ q / 2, dv
""")

pair("softmax loss", normal(5, 3))("""
y = np.array([0, 2, 1, 1, 0])


def forward(x):
    shifted = x - x.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    N = x.shape[0]
    return -np.log(p[np.arange(N), y]).mean(), p


def backward(dout, cache):
    p = cache
    N = p.shape[0]
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return dout * dx
""")

pair("softmax", normal(4, 5))("""
def forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p


def backward(dout, cache):
    p = cache
    inner = np.sum(dout * p, axis=1, keepdims=True)
    return p * (dout - inner)
""")

pair("log softmax", normal(4, 5))("""
def forward(x):
    s = x - x.max(axis=1, keepdims=True)
    y = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    return y, y


def backward(dout, cache):
    y = cache
    total = dout.sum(axis=1, keepdims=True)
    return dout - np.exp(y) * total
""")

pair("weighted cross entropy", normal(4, 3))("""
t = np.eye(3)[[0, 1, 2, 1]]
weight = np.array([1.0, 2.0, 0.5])


def forward(x):
    e = np.exp(x)
    p = e / e.sum(axis=1, keepdims=True)
    each = -(t * np.log(p) * weight).sum(axis=1)
    return each.sum(), p


def backward(dout, cache):
    p = cache
    tw = t * weight
    dx = p * tw.sum(axis=1, keepdims=True) - tw
    return dout * dx
""")

pair("rnn step", normal(3, 4), normal(3, 5), normal(4, 5), normal(5, 5), normal(5))("""
def forward(x, prev_h, Wx, Wh, b):
    h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return h, (x, prev_h, Wx, Wh, h)


def backward(dh, cache):
    x, prev_h, Wx, Wh, h = cache
    da = dh * (1 - h ** 2)
    dx = da @ Wx.T
    dprev = da @ Wh.T
    dWx = x.T @ da
    dWh = prev_h.T @ da
    db = da.sum(axis=0)
    return dx, dprev, dWx, dWh, db
""")

pair("rnn", normal(2, 4, 3), normal(2, 4), 0.5 * normal(3, 4), 0.5 * normal(4, 4), normal(4))("""
def forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    hs = np.zeros((N, T, H))
    h = h0
    for t in range(T):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        hs[:, t] = h
    return hs, (x, h0, Wx, Wh, hs)


def backward(dhs, cache):
    x, h0, Wx, Wh, hs = cache
    N, T, D = x.shape
    dx = np.zeros_like(x)
    dWx = np.zeros_like(Wx)
    dWh = np.zeros_like(Wh)
    db = np.zeros(Wh.shape[0])
    dnext = np.zeros_like(h0)
    for t in reversed(range(T)):
        dh = dhs[:, t] + dnext
        da = dh * (1 - hs[:, t] ** 2)
        prev = hs[:, t - 1] if t > 0 else h0
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        dnext = da @ Wh.T
    return dx, dnext, dWx, dWh, db
""")

pair(
    "lstm step", normal(3, 4), normal(3, 5), normal(3, 5), normal(4, 20), normal(5, 20), normal(20)
)("""
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, h, c, Wx, Wh, b):
    a = x @ Wx + h @ Wh + b
    H = h.shape[1]
    i = sigmoid(a[:, :H])
    f = sigmoid(a[:, H:2 * H])
    o = sigmoid(a[:, 2 * H:3 * H])
    g = np.tanh(a[:, 3 * H:])
    c_new = f * c + i * g
    tc = np.tanh(c_new)
    return o * tc, (x, h, c, Wx, Wh, i, f, o, g, tc)


def backward(dh_new, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    do = dh_new * tc
    dc = dh_new * o * (1 - tc ** 2)
    di = dc * g
    df = dc * c
    dg = dc * i
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)))
    dx = da @ Wx.T
    dh = da @ Wh.T
    dc_prev = dc * f
    dWx = x.T @ da
    dWh = h.T @ da
    db = da.sum(axis=0)
    return dx, dh, dc_prev, dWx, dWh, db
""")

pair("gru step", normal(3, 4), normal(3, 4), normal(8, 4), normal(8, 4), normal(8, 4))("""
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, h, Wz, Wr, Wn):
    both = np.concatenate([x, h], axis=1)
    z = sigmoid(both @ Wz)
    r = sigmoid(both @ Wr)
    cat = np.concatenate([x, r * h], axis=1)
    n = np.tanh(cat @ Wn)
    return (1 - z) * n + z * h, (x, h, Wz, Wr, Wn, both, z, r, cat, n)


def backward(dout, cache):
    x, h, Wz, Wr, Wn, both, z, r, cat, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n ** 2)
    dz = dout * (h - n) * z * (1 - z)
    dcat = dn @ Wn.T
    drh = dcat[:, D:]
    dr = drh * h * r * (1 - r)
    dboth = dz @ Wz.T + dr @ Wr.T
    dx = dboth[:, :D] + dcat[:, :D]
    dh = dout * z + dboth[:, D:] + drh * r
    return dx, dh, both.T @ dz, both.T @ dr, cat.T @ dn
""")

pair("svm loss", normal(5, 4))("""
y = np.array([0, 2, 1, 3, 0])


def forward(x):
    N = x.shape[0]
    right = x[np.arange(N), y][:, None]
    margins = np.maximum(0, x - right + 1.0)
    margins[np.arange(N), y] = 0
    return margins.sum() / N, (x, margins)


def backward(dout, cache):
    x, margins = cache
    N = x.shape[0]
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    count = (margins > 0).sum(axis=1)
    dx[np.arange(N), y] -= count
    dx /= N
    return dout * dx
""")

pair("linear svm", normal(5, 3), normal(3, 4))("""
y = np.array([0, 2, 1, 3, 0])
reg = 0.3


def forward(x, W):
    N = x.shape[0]
    scores = x @ W
    margins = np.maximum(0, scores - scores[np.arange(N), y][:, None] + 1)
    margins[np.arange(N), y] = 0
    return margins.sum() / N + reg * np.sum(W * W), (x, W, margins)


def backward(dout, cache):
    x, W, margins = cache
    N = x.shape[0]
    binary = (margins > 0).astype(float)
    binary[np.arange(N), y] = -binary.sum(axis=1)
    dW = x.T @ binary / N + 2 * reg * W
    dx = binary @ W.T / N
    return dout * dx, dout * dW
""")

pair("convolution", normal(2, 2, 5, 5), normal(3, 2, 3, 3), normal(3))("""
def forward(x, w, b):
    N, C, H, W = x.shape
    F, _, K, _ = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((N, F, H, W))
    for i in range(H):
        for j in range(W):
            part = xp[:, :, i:i + K, j:j + K]
            out[:, :, i, j] = np.tensordot(part, w, ((1, 2, 3), (1, 2, 3))) + b
    return out, (x, w, xp)


def backward(dout, cache):
    x, w, xp = cache
    N, C, H, W = x.shape
    F, _, K, _ = w.shape
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    for n in range(N):
        for f in range(F):
            for i in range(H):
                for j in range(W):
                    dxp[n, :, i:i + K, j:j + K] += dout[n, f, i, j] * w[f]
                    dw[f] += dout[n, f, i, j] * xp[n, :, i:i + K, j:j + K]
    db = dout.sum(axis=(0, 2, 3))
    dx = dxp[:, :, 1:-1, 1:-1]
    return dx, dw, db
""")

pair("strided convolution", normal(2, 7), normal(3))("""
def forward(x, w):
    N, L = x.shape
    out = np.zeros((N, 3))
    for i in range(3):
        out[:, i] = x[:, 2 * i:2 * i + 3] @ w
    return out, (x, w)


def backward(dout, cache):
    x, w = cache
    dx = np.zeros_like(x)
    dw = np.zeros_like(w)
    for i in range(3):
        dx[:, 2 * i:2 * i + 3] += dout[:, i:i + 1] * w
        dw += dout[:, i] @ x[:, 2 * i:2 * i + 3]
    return dx, dw
""")

pair("transposed convolution", normal(2, 4), normal(3))("""
def forward(x, w):
    N, L = x.shape
    out = np.zeros((N, 2 * L + 1))
    for i in range(L):
        out[:, 2 * i:2 * i + 3] += x[:, i:i + 1] * w
    return out, (x, w)


def backward(dout, cache):
    x, w = cache
    dx = np.zeros_like(x)
    dw = np.zeros_like(w)
    for i in range(x.shape[1]):
        part = dout[:, 2 * i:2 * i + 3]
        dx[:, i] = part @ w
        dw += x[:, i] @ part
    return dx, dw
""")

pair("batch norm", normal(5, 3), normal(3), normal(3))("""
def forward(x, gamma, beta):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    std = np.sqrt(var + 1e-5)
    xhat = (x - mu) / std
    return gamma * xhat + beta, (x, mu, std, xhat, gamma)


def backward(dout, cache):
    x, mu, std, xhat, gamma = cache
    N = x.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mu) * -0.5 * std ** -3, axis=0)
    dmu = np.sum(-dxhat / std, axis=0)
    dx = dxhat / std + dvar * 2 * (x - mu) / N + dmu / N
    return dx, dgamma, dbeta
""")

pair("batch norm in short", normal(5, 3), normal(3), normal(3))("""
def forward(x, gamma, beta):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    inv = 1 / np.sqrt(var + 1e-5)
    xhat = (x - mu) * inv
    return gamma * xhat + beta, (xhat, inv, gamma)


def backward(dout, cache):
    xhat, inv, gamma = cache
    N = dout.shape[0]
    dbeta = dout.sum(0)
    dgamma = np.sum(dout * xhat, 0)
    dx = gamma * inv / N * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta
""")

pair("layer norm", normal(3, 5), normal(5), normal(5))("""
def forward(x, gamma, beta):
    mu = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    inv = 1 / np.sqrt(var + 1e-5)
    xhat = (x - mu) * inv
    return gamma * xhat + beta, (xhat, inv, gamma)


def backward(dout, cache):
    xhat, inv, gamma = cache
    D = dout.shape[1]
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    mean = np.mean(dxhat, axis=1, keepdims=True)
    along = np.mean(dxhat * xhat, axis=1, keepdims=True)
    dx = inv * (dxhat - mean - xhat * along)
    return dx, dgamma, dbeta
""")

pair("rms norm", normal(3, 5), normal(5))("""
def forward(x, g):
    r = 1 / np.sqrt((x ** 2).mean(axis=1, keepdims=True) + 1e-6)
    return x * r * g, (x, r, g)


def backward(dout, cache):
    x, r, g = cache
    D = x.shape[1]
    dg = np.sum(dout * x * r, axis=0)
    dn = dout * g
    dx = r * dn - x * r ** 3 * np.sum(dn * x, axis=1, keepdims=True) / D
    return dx, dg
""")

pair("group norm", normal(2, 4, 3), normal(1, 4, 1), normal(1, 4, 1))("""
def forward(x, gamma, beta):
    N, C, L = x.shape
    g = x.reshape(N, 2, -1)
    mu = g.mean(axis=2, keepdims=True)
    inv = 1 / np.sqrt(g.var(axis=2, keepdims=True) + 1e-5)
    xhat = ((g - mu) * inv).reshape(N, C, L)
    return gamma * xhat + beta, (xhat, inv, gamma)


def backward(dout, cache):
    xhat, inv, gamma = cache
    N, C, L = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2), keepdims=True)
    d = (dout * gamma).reshape(N, 2, -1)
    h = xhat.reshape(N, 2, -1)
    dg = inv * (d - d.mean(axis=2, keepdims=True) - h * (d * h).mean(axis=2, keepdims=True))
    return dg.reshape(N, C, L), dgamma, dbeta
""")

pair("embedding", normal(6, 3))("""
words = np.array([[0, 2, 2], [5, 1, 0]])


def forward(W):
    return W[words], W


def backward(dout, cache):
    W = cache
    dW = np.zeros_like(W)
    np.add.at(dW, words, dout)
    return dW
""")

pair("window of words", normal(6, 3), normal(9, 2))("""
words = np.array([[0, 2, 2], [5, 1, 0], [1, 2, 3]])


def forward(E, W):
    h = E[words].reshape(3, -1)
    z = np.tanh(h @ W)
    return z, (E, W, h, z)


def backward(dout, cache):
    E, W, h, z = cache
    dz = dout * (1 - z ** 2)
    dW = h.T @ dz
    dh = (dz @ W.T).reshape(3, 3, -1)
    dE = np.zeros_like(E)
    for n in range(3):
        for k in range(3):
            dE[words[n, k]] += dh[n, k]
    return dE, dW
""")

pair("word2vec", normal(3), normal(5, 3))("""
target = 1


def forward(v, U):
    scores = U @ v
    p = np.exp(scores) / np.exp(scores).sum()
    return -np.log(p[target]), (v, U, p)


def backward(dout, cache):
    v, U, p = cache
    delta = p.copy()
    delta[target] -= 1
    dv = U.T @ delta
    dU = np.outer(delta, v)
    return dout * dv, dout * dU
""")

pair("negative sampling", normal(3), normal(4, 3))("""
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(v, U):
    pos = sigmoid(U[0] @ v)
    neg = sigmoid(-(U[1:] @ v))
    return -np.log(pos) - np.log(neg).sum(), (v, U, pos, neg)


def backward(dout, cache):
    v, U, pos, neg = cache
    dv = (pos - 1) * U[0] + (1 - neg) @ U[1:]
    dU = np.zeros_like(U)
    dU[0] = (pos - 1) * v
    dU[1:] = np.outer(1 - neg, v)
    return dout * dv, dout * dU
""")

pair("two layers", normal(4, 3), normal(3, 5), normal(5), normal(5, 2), normal(2))("""
def forward(X, W1, b1, W2, b2):
    z1 = X @ W1 + b1
    h = np.maximum(0, z1)
    return h @ W2 + b2, (X, W1, W2, z1, h)


def backward(dout, cache):
    X, W1, W2, z1, h = cache
    dW2 = h.T @ dout
    db2 = dout.sum(axis=0)
    dh = dout @ W2.T
    dz1 = dh * (z1 > 0)
    dW1 = X.T @ dz1
    db1 = dz1.sum(axis=0)
    dX = dz1 @ W1.T
    return dX, dW1, db1, dW2, db2
""")

pair("two-layer loss", normal(5, 3), normal(3, 4), normal(4, 3))("""
y = np.array([0, 2, 1, 1, 0])
reg = 0.1


def forward(X, W1, W2):
    h = np.tanh(X @ W1)
    s = h @ W2
    p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(5), y]).mean() + 0.5 * reg * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
    return loss, (X, W1, W2, h, p)


def backward(dout, cache):
    X, W1, W2, h, p = cache
    N = X.shape[0]
    ds = p.copy()
    ds[np.arange(N), y] -= 1
    ds /= N
    dW2 = h.T @ ds + reg * W2
    dh = ds @ W2.T
    dz = dh * (1 - h ** 2)
    dW1 = X.T @ dz + reg * W1
    dX = dz @ W1.T
    return dout * dX, dout * dW1, dout * dW2
""")

pair("ridge", normal(6, 3), normal(3))("""
y = np.array([1.0, -2.0, 0.5, 0.3, 1.1, -0.7])
lam = 0.4


def forward(X, w):
    r = X @ w - y
    return r @ r / len(y) + lam * w @ w, (X, w, r)


def backward(dout, cache):
    X, w, r = cache
    n = len(r)
    dw = 2 * X.T @ r / n + 2 * lam * w
    dX = 2 * np.outer(r, w) / n
    return dout * dX, dout * dw
""")

pair("dropout", normal(4, 5))("""
keep = 0.8
mask = (np.random.default_rng(0).random((4, 5)) < keep) / keep


def forward(x):
    return x * mask, mask


def backward(dout, cache):
    mask = cache
    return dout * mask
""")

pair("logistic regression", normal(6, 3), normal(3), normal(1))("""
y = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])


def forward(X, w, b):
    p = 1 / (1 + np.exp(-(X @ w + b)))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), (X, w, p)


def backward(dout, cache):
    X, w, p = cache
    m = len(y)
    dz = (p - y) / m
    dw = X.T @ dz
    db = np.array([dz.sum()])
    dX = np.outer(dz, w)
    return dout * dX, dout * dw, dout * db
""")

pair("residual block", normal(4, 3), normal(3, 3), normal(3, 3))("""
def forward(x, W1, W2):
    h = np.maximum(0, x @ W1)
    return x + h @ W2, (x, W1, W2, h)


def backward(dout, cache):
    x, W1, W2, h = cache
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dh = dh * (h > 0)
    dW1 = x.T @ dh
    dx = dout + dh @ W1.T
    return dx, dW1, dW2
""")

pair("contrastive loss", normal(4, 3), normal(4, 3))("""
same = np.array([1.0, 0.0, 0.0, 1.0])
margin = 4.0


def forward(a, b):
    diff = a - b
    d = np.sqrt((diff ** 2).sum(axis=1))
    gap = np.maximum(0, margin - d)
    return np.sum(same * d ** 2 + (1 - same) * gap ** 2), (diff, d, gap)


def backward(dout, cache):
    diff, d, gap = cache
    coeff = 2 * same - 2 * (1 - same) * gap / d
    da = coeff[:, None] * diff
    return dout * da, -dout * da
""")

pair("triplet loss", normal(4, 3), normal(4, 3), normal(4, 3))("""
def forward(a, p, n):
    dp = ((a - p) ** 2).sum(axis=1)
    dn = ((a - n) ** 2).sum(axis=1)
    loss = np.maximum(0, dp - dn + 3.0)
    return loss.sum(), (a, p, n, loss)


def backward(dout, cache):
    a, p, n, loss = cache
    active = (loss > 0)[:, None] * dout
    da = 2 * active * (n - p)
    dp = -2 * active * (a - p)
    dn = 2 * active * (a - n)
    return da, dp, dn
""")

pair("huber loss", normal(4, 3), normal(4, 3))("""
def forward(p, t):
    r = p - t
    small = np.abs(r) <= 1
    return np.where(small, 0.5 * r ** 2, np.abs(r) - 0.5).mean(), (r, small)


def backward(dout, cache):
    r, small = cache
    dr = np.where(small, r, np.sign(r))
    return dout * dr / r.size, -dout * dr / r.size
""")

pair("upsampling", normal(2, 3, 4))("""
def forward(x):
    return x.repeat(2, axis=1).repeat(2, axis=2), x.shape


def backward(dout, cache):
    N, H, W = cache
    dx = dout.reshape(N, H, 2, W, 2).sum(axis=(2, 4))
    return dx
""")

pair("cosine similarity", normal(4, 3), normal(4, 3))("""
def forward(a, b):
    na = np.sqrt((a * a).sum(axis=1, keepdims=True))
    nb = np.sqrt((b * b).sum(axis=1, keepdims=True))
    c = (a * b).sum(axis=1, keepdims=True) / (na * nb)
    return c, (a, b, na, nb, c)


def backward(dout, cache):
    a, b, na, nb, c = cache
    da = dout * (b / (na * nb) - c * a / na ** 2)
    db = dout * (a / (na * nb) - c * b / nb ** 2)
    return da, db
""")

pair("bilinear", normal(4, 3), normal(3, 3), normal(4, 3))("""
def forward(x, W, y):
    return np.sum((x @ W) * y, axis=1), (x, W, y)


def backward(dout, cache):
    x, W, y = cache
    g = dout[:, None]
    dx = g * (y @ W.T)
    dW = x.T @ (g * y)
    dy = g * (x @ W)
    return dx, dW, dy
""")

pair("crop", normal(2, 5, 5))("""
def forward(x):
    return x[:, 1:4, 2:5], x.shape


def backward(dout, cache):
    dx = np.zeros(cache)
    dx[:, 1:4, 2:5] = dout
    return dx
""")

pair("global average", normal(2, 3, 4, 4))("""
def forward(x):
    return x.mean(axis=(2, 3)), x.shape


def backward(dout, cache):
    N, C, H, W = cache
    dx = np.ones(cache) * dout[:, :, None, None] / (H * W)
    return dx
""")


@dataclass
class Mistake:
    """One wrong backward. `kinds` are the kinds, or words of a title, that name it."""

    pair: str
    right: str
    wrong: str
    truth: str
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pair}: {self.truth}"

    @property
    def line(self) -> int:
        """The line that was changed."""
        text = PAIRS[self.pair][0]
        return (
            text[: text.index("def backward") + _backward(text).index(self.right)].count("\n") + 1
        )


def _backward(text: str) -> str:
    return text[text.index("def backward") :]


def source(name: str, mistake: Mistake | None = None) -> str:
    """The text of a pair, right or with one mistake."""
    text = PAIRS[name][0]
    if mistake is not None:
        body = _backward(text)
        assert mistake.right in body, mistake
        text = text[: -len(body)] + body.replace(mistake.right, mistake.wrong, 1)
    return text


def functions(name: str, mistake: Mistake | None = None, readable: bool = True) -> tuple[Any, Any]:
    """The pair, right or with one mistake; its source can be read or not."""
    return made(source(name, mistake), readable)


def made(text: str, readable: bool = True) -> tuple[Any, Any]:
    """The pair of a text, which can be read as that of a file or not."""
    filename = f"/homework/{zlib.crc32(text.encode())}.py"
    if readable:
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    place: dict[str, Any] = {"__name__": "homework"}
    exec(compile(text, filename if readable else "<nowhere>", "exec"), place)
    return place["forward"], place["backward"]


def fixed(text: str, fix: str) -> str:
    """A text with a printed fix put in, letter by letter: what it says must stand there once."""
    found = re.fullmatch(r"line (\d+): (.*)  →  (.*)", fix)
    assert found, fix
    lines = text.split("\n")
    number, old, new = int(found[1]) - 1, found[2], found[3]
    assert lines[number].count(old) == 1, (lines[number], old)
    lines[number] = lines[number].replace(old, "pass" if new == "(nothing)" else new)
    return "\n".join(lines)


#: The mistakes. Those who tuned the explanations have seen them: how many are named is no result.
MISTAKES = [
    Mistake("affine", "dout.dot(w.T)", "dout.dot(w.T) * 2", "dx doubled", ("constant",)),
    Mistake(
        "affine",
        "np.sum(dout, axis=0)",
        "np.mean(dout, axis=0)",
        "db is a mean over the batch",
        ("mean or sum",),
    ),
    Mistake(
        "affine of pictures",
        "flat.T.dot(dout)",
        "flat.T.dot(dout) / x.shape[0]",
        "dw divided by N",
        ("mean or sum",),
    ),
    Mistake(
        "affine of pictures",
        "dout.dot(w.T).reshape(x.shape)",
        "dout.dot(w.T).reshape(x.shape[0], 3, 2).transpose(0, 2, 1)",
        "rows and columns exchanged",
        ("transposed",),
    ),
    Mistake(
        "affine of pictures",
        "dout.sum(axis=0)",
        "dout.sum(axis=1)",
        "db summed over the wrong axis",
        ("summed over", "axis"),
    ),
    Mistake("relu", "x > 0", "x < 0", "mask the wrong way round", ("mask",)),
    Mistake("relu", "x > 0", "dout > 0", "mask of the upstream gradient", ("mask",)),
    Mistake(
        "relu", "dout * (x > 0)", "dout * (x > 0) * x", "a factor x too many", ("factor extra",)
    ),
    Mistake(
        "relu", "dout * (x > 0)", "(x > 0) * 1.0", "upstream forgotten", ("upstream forgotten",)
    ),
    Mistake(
        "leaky relu",
        "alpha\n    return",
        "0\n    return",
        "negative side gets 0",
        ("mask", "slope", "factor"),
    ),
    Mistake(
        "leaky relu", "x < 0", "x > 0", "the slope on the wrong side", ("mask", "side", "compar")
    ),
    Mistake("elu", "y + a", "y", "derivative y where y + a", ("factor", "term", "path missing")),
    Mistake(
        "elu",
        "y + a",
        "a",
        "slope of the negative side constant",
        ("local gradient missing", "factor", "term", "mask"),
    ),
    Mistake(
        "sigmoid",
        "s * (1 - s)",
        "(1 - s)",
        "factor s missing",
        ("factor missing", "times 1 minus it"),
    ),
    Mistake(
        "sigmoid",
        "s * (1 - s)",
        "s * (1 + s)",
        "sign in the local gradient",
        ("sign", "factor replaced"),
    ),
    Mistake("tanh", "1 - t ** 2", "1 - t", "square forgotten", ("factor",)),
    Mistake("tanh", "1 - t ** 2", "t ** 2", "one minus forgotten", ("factor replaced",)),
    Mistake("swish", "s + x * ds", "x * ds", "path s missing", ("path missing",)),
    Mistake("swish", "s + x * ds", "s + ds", "factor x missing in a term", ("factor", "path")),
    Mistake("swish", "s * (1 - s)", "(1 - s)", "ds lacks s", ("factor", "local gradient missing")),
    Mistake(
        "gelu",
        "3 * 0.044715",
        "0.044715",
        "3 of the cube missing",
        ("constant", "factor", "counts", "times"),
    ),
    Mistake("gelu", "0.5 * (1 + t) + 0.5", "0.5 * (1 + t) - 0.5", "sign of a term", ("term sign",)),
    Mistake(
        "gelu",
        "(1 - t ** 2) * inner",
        "(1 - t ** 2)",
        "inner derivative missing",
        ("local gradient missing", "factor missing", "factor"),
    ),
    Mistake(
        "mish",
        "* sig",
        "",
        "sigmoid of softplus missing",
        ("local gradient missing", "factor missing", "factor"),
    ),
    Mistake("mish", "(1 - t * t)", "(1 - t)", "square forgotten", ("factor",)),
    Mistake(
        "cube", "3 * x ** 2 * dout", "3 * x ** 2 * dout ** 2", "upstream twice", ("upstream twice",)
    ),
    Mistake("cube", "3 * x ** 2 * dout", "x ** 2 * dout", "3 forgotten", ("constant",)),
    Mistake(
        "max pool",
        "+= mask * dout[n, c, i, j]",
        "+= dout[n, c, i, j]",
        "every element gets it: mask missing",
        ("mask missing",),
    ),
    Mistake(
        "max pool",
        "+= mask * dout[n, c, i, j]",
        "+= mask * dout[n, c, i, j] / 4",
        "divided by the window",
        ("constant", "mean"),
    ),
    Mistake(
        "max pool",
        "+= mask * dout[n, c, i, j]",
        "+= window * dout[n, c, i, j]",
        "the window's values as mask",
        ("factor", "mask"),
    ),
    Mistake("average pool", "/ 4", "", "window size forgotten", ("constant", "mean or sum")),
    Mistake(
        "average pool",
        "np.repeat(np.repeat(dout, 2, axis=2), 2, axis=3)",
        "np.tile(dout, (1, 1, 2, 2))",
        "tile for repeat",
        ("order", "transposed", "places", "tile"),
    ),
    Mistake("attention", "    ds = ds / np.sqrt(d)\n", "", "scaling forgotten", ("constant",)),
    Mistake("attention", "ds.T @ q", "ds.T @ dq", "dq for q", ("factor replaced", "stands")),
    Mistake(
        "attention",
        "axis=1, keepdims",
        "axis=0, keepdims",
        "inner sum over the wrong axis",
        ("axis",),
    ),
    Mistake(
        "attention",
        "a * (da - np.sum(da * a, axis=1, keepdims=True))",
        "a * da",
        "sum of the softmax missing",
        ("path missing",),
    ),
    Mistake(
        "attention",
        "dout @ v.T\n",
        "dout @ v.T\n    da = da * a\n",
        "a multiplied in twice",
        ("factor extra", "factor"),
    ),
    Mistake(
        "causal attention",
        "p * (dp - (dp * p).sum(axis=-1, keepdims=True))",
        "p * (1 - p) * dp",
        "diagonal only",
        ("diagonal only",),
    ),
    Mistake(
        "causal attention",
        "return ds @ k / 2, ds.T @ q / 2",
        "return ds @ k / 2, ds @ q / 2",
        "ds not transposed",
        ("transposed",),
    ),
    Mistake("softmax loss", "    dx /= N\n", "", "not divided by N", ("mean or sum",)),
    Mistake(
        "softmax loss",
        "-= 1",
        "-= 0",
        "label term missing",
        ("path missing", "label", "term", "constant"),
    ),
    Mistake("softmax loss", "-= 1", "+= 1", "label term's sign", ("term sign", "sign")),
    Mistake(
        "softmax loss",
        "dx /= N",
        "dx /= p.shape[1]",
        "divided by C",
        ("size", "axis", "constant", "mean or sum"),
    ),
    Mistake(
        "softmax loss",
        "return dout * dx",
        "return dx",
        "upstream forgotten",
        ("upstream forgotten",),
    ),
    Mistake("softmax", "axis=1, keepdims", "axis=0, keepdims", "sum over the batch", ("axis",)),
    Mistake(
        "softmax",
        "dout * p, axis",
        "dout, axis",
        "factor p in the sum missing",
        ("factor missing", "factor", "local gradient"),
    ),
    Mistake("softmax", "(dout - inner)", "(dout + inner)", "sign of the sum", ("term sign",)),
    Mistake(
        "log softmax",
        "np.exp(y) * total",
        "y * total",
        "exp forgotten",
        ("factor", "local gradient", "exp"),
    ),
    Mistake(
        "log softmax",
        "dout - np.exp(y) * total",
        "dout - np.exp(y) * dout",
        "sum forgotten",
        ("sum missing", "diagonal only", "factor"),
    ),
    Mistake(
        "log softmax",
        "dout - np.exp(y) * total",
        "dout - total / dout.shape[1]",
        "mean for softmax",
        ("factor", "path"),
    ),
    Mistake(
        "weighted cross entropy",
        "p * tw.sum(axis=1, keepdims=True) - tw",
        "p - tw",
        "weights of p missing",
        ("factor missing", "factor"),
    ),
    Mistake(
        "weighted cross entropy",
        "p * tw.sum(axis=1, keepdims=True) - tw",
        "p - t",
        "class weights forgotten",
        ("factor missing", "factor"),
    ),
    Mistake("rnn step", "1 - h ** 2", "1 - h", "square forgotten", ("factor",)),
    Mistake("rnn step", "da @ Wh.T", "da @ Wh", "Wh not transposed", ("transposed",)),
    Mistake(
        "rnn step",
        "da @ Wh.T",
        "dh @ Wh.T",
        "dh for da: tanh not differentiated",
        ("local gradient missing", "factor"),
    ),
    Mistake(
        "rnn",
        "dhs[:, t] + dnext",
        "dhs[:, t]",
        "gradient from the next step missing",
        ("path missing",),
    ),
    Mistake("rnn", "dWx +=", "dWx =", "overwritten over time", ("overwritten",)),
    Mistake(
        "rnn",
        "hs[:, t - 1] if t > 0 else h0",
        "hs[:, t]",
        "h_t for h_(t-1)",
        ("factor replaced", "shifted", "stands"),
    ),
    Mistake(
        "rnn",
        "da.sum(axis=0)\n",
        "da.sum(axis=0) / N\n",
        "mean for sum in db",
        (
            "1/n",
            "mean or sum",
        ),
    ),
    Mistake(
        "rnn",
        "dnext = da @ Wh.T",
        "dnext = dh @ Wh.T",
        "tanh not differentiated backwards in time",
        ("local gradient missing", "factor"),
    ),
    Mistake("lstm step", "dc * g\n", "dc * i\n", "i for g", ("factor replaced",)),
    Mistake(
        "lstm step",
        "dh_new * o * (1 - tc ** 2)",
        "dh_new * o",
        "tanh of the cell not differentiated",
        ("local gradient missing", "factor"),
    ),
    Mistake("lstm step", "dc * f\n", "dc\n", "forget gate missing", ("factor missing",)),
    Mistake(
        "lstm step",
        "dg * (1 - g ** 2)",
        "dg * g * (1 - g)",
        "sigmoid's derivative for tanh's",
        ("factor replaced",),
    ),
    Mistake(
        "lstm step",
        "np.hstack((di * i * (1 - i), df * f * (1 - f), do",
        "np.hstack((df * f * (1 - f), di * i * (1 - i), do",
        "gates exchanged",
        ("exchanged", "order"),
    ),
    Mistake("gru step", "(h - n) * z", "(n - h) * z", "sign of dz", ("term sign", "sign")),
    Mistake(
        "gru step",
        "dout * z + dboth[:, D:] + drh * r",
        "dboth[:, D:] + drh * r",
        "path z h missing",
        ("path missing",),
    ),
    Mistake(
        "gru step",
        "drh * h * r",
        "drh * r",
        "factor h missing",
        ("factor missing", "factor", "local gradient"),
    ),
    Mistake(
        "svm loss",
        "dx[margins > 0] = 1",
        "dx[margins > 0] = margins[margins > 0]",
        "margin for its indicator",
        ("factor", "mask"),
    ),
    Mistake(
        "svm loss", "-= count", "-= 1", "counted once", ("label", "row", "term", "path", "factor")
    ),
    Mistake(
        "svm loss",
        "    dx[np.arange(N), y] -= count\n",
        "",
        "right class gets nothing",
        ("path missing", "label", "term"),
    ),
    Mistake(
        "svm loss",
        "(margins > 0).sum(axis=1)",
        "(margins > 0).sum()",
        "counted over all rows",
        ("axis", "summed too much"),
    ),
    Mistake(
        "linear svm",
        "+ 2 * reg * W",
        "+ reg * W",
        "2 of the penalty missing",
        ("constant", "counts", "times", "term"),
    ),
    Mistake("linear svm", "+ 2 * reg * W", "", "penalty forgotten", ("path missing",)),
    Mistake(
        "linear svm",
        "-binary.sum(axis=1)",
        "binary.sum(axis=1)",
        "sign of the right class",
        ("term sign", "sign"),
    ),
    Mistake(
        "convolution",
        "dxp[:, :, 1:-1, 1:-1]",
        "dxp[:, :, :-2, :-2]",
        "padding cropped at one side",
        ("shifted",),
    ),
    Mistake(
        "convolution",
        "+= dout[n, f, i, j] * w[f]",
        "= dout[n, f, i, j] * w[f]",
        "overwritten",
        ("overwritten",),
    ),
    Mistake(
        "convolution",
        "* w[f]\n",
        "* w[f, :, ::-1, ::-1]\n",
        "kernel flipped",
        ("kernel not flipped", "flipped"),
    ),
    Mistake(
        "convolution",
        "dw[f] += dout[n, f, i, j] * xp[n, :, i:i + K, j:j + K]",
        "dw[f] += dout[n, f, i, j] * xp[n, :, j:j + K, i:i + K]",
        "rows and columns exchanged",
        ("transposed", "exchanged"),
    ),
    Mistake(
        "convolution",
        "for n in range(N)",
        "for n in range(1, N)",
        "first example skipped",
        ("first", "skipped", "leaves out a step", "index 0", "sum missing", "overwritten"),
    ),
    Mistake(
        "strided convolution",
        "dx[:, 2 * i:2 * i + 3]",
        "dx[:, i:i + 3]",
        "stride forgotten",
        ("stride", "shifted", "places"),
    ),
    Mistake(
        "strided convolution",
        "dw += dout[:, i] @ x[:, 2 * i:2 * i + 3]",
        "dw += dout[:, i] @ x[:, i:i + 3]",
        "stride forgotten in dw",
        ("stride", "shifted", "places"),
    ),
    Mistake(
        "transposed convolution",
        "dw += x[:, i] @ part",
        "dw = x[:, i] @ part",
        "overwritten",
        ("overwritten",),
    ),
    Mistake(
        "batch norm",
        "* -0.5 * std",
        "* -0.5 / std ** -3 * std",
        "std cubed missing",
        ("factor", "constant"),
    ),
    Mistake(
        "batch norm",
        "+ dmu / N",
        "+ dmu",
        "mean's N missing",
        ("mean or sum", "constant", "counts", "times", "term"),
    ),
    Mistake(
        "batch norm",
        "+ dvar * 2 * (x - mu) / N",
        "",
        "path through the variance missing",
        ("path missing",),
    ),
    Mistake("batch norm", "dout * gamma\n", "dout\n", "gamma missing", ("factor missing",)),
    Mistake(
        "batch norm",
        "(dout * xhat).sum(axis=0)",
        "(dout * (x - mu)).sum(axis=0)",
        "not divided by std",
        ("factor",),
    ),
    Mistake(
        "batch norm in short",
        "- xhat * dgamma",
        "+ xhat * dgamma",
        "sign of the variance's term",
        ("term sign",),
    ),
    Mistake(
        "batch norm in short",
        "gamma * inv / N * (N * dout",
        "gamma * inv * (dout",
        "parentheses: N dout lost its N",
        ("factor", "constant", "parenthes", "term", "times"),
    ),
    Mistake(
        "layer norm",
        "np.mean(dxhat, axis=1, keepdims=True)",
        "np.mean(dxhat, axis=0, keepdims=True)",
        "mean over the batch",
        ("axis",),
    ),
    Mistake(
        "layer norm",
        "- mean - xhat * along",
        "- xhat * along",
        "mean's path missing",
        ("path missing",),
    ),
    Mistake(
        "layer norm",
        "np.sum(dout * xhat, axis=0)",
        "np.sum(dout * xhat)",
        "dgamma summed over all",
        ("summed too much", "axis"),
    ),
    Mistake("rms norm", "r ** 3", "r ** 2", "power of r", ("factor", "parentheses")),
    Mistake(
        "rms norm",
        "/ D",
        "",
        "mean for sum in one term",
        ("mean or sum", "times", "counts", "constant"),
    ),
    Mistake(
        "group norm",
        "(d * h).mean(axis=2, keepdims=True)",
        "(d * h).sum(axis=2, keepdims=True)",
        "sum for mean",
        ("mean or sum", "times", "counts", "constant"),
    ),
    Mistake(
        "embedding",
        "np.add.at(dW, words, dout)",
        "dW[words] = dout",
        "repeated words overwritten",
        ("overwritten",),
    ),
    Mistake(
        "window of words",
        "dE[words[n, k]] += dh[n, k]",
        "dE[words[n, k]] = dh[n, k]",
        "repeated words overwritten",
        ("overwritten",),
    ),
    Mistake(
        "window of words",
        "h.T @ dz",
        "h.T @ dout",
        "dout for dz",
        ("local gradient missing", "factor"),
    ),
    Mistake(
        "word2vec",
        "    delta[target] -= 1\n",
        "",
        "target forgotten",
        ("path missing", "label", "term"),
    ),
    Mistake(
        "word2vec",
        "U.T @ delta",
        "U.T @ p",
        "p for p − t",
        ("path missing", "label", "term", "factor replaced", "stands"),
    ),
    Mistake(
        "negative sampling",
        "+ (1 - neg) @ U[1:]",
        "",
        "negative words missing",
        ("path missing", "term"),
    ),
    Mistake(
        "negative sampling",
        "(pos - 1) * v",
        "pos * v",
        "one minus forgotten",
        ("local gradient missing", "factor", "term", "row"),
    ),
    Mistake(
        "two layers",
        "dh * (z1 > 0)",
        "dh",
        "mask missing",
        ("mask missing", "local gradient missing"),
    ),
    Mistake("two layers", "dh * (z1 > 0)", "dh * (dh > 0)", "mask of the gradient", ("mask",)),
    Mistake(
        "two layers",
        "h.T @ dout",
        "z1.T @ dout",
        "z1 for h",
        ("factor replaced", "stands", "mask missing"),
    ),
    Mistake("two-layer loss", "dh * (1 - h ** 2)", "dh * (1 - h)", "square forgotten", ("factor",)),
    Mistake(
        "two-layer loss",
        "X.T @ dz + reg * W1",
        "X.T @ dz",
        "penalty forgotten",
        ("path missing", "term"),
    ),
    Mistake(
        "two-layer loss",
        "X.T @ dz + reg * W1",
        "X.T @ dz + 2 * reg * W1",
        "penalty twice",
        ("constant", "times", "counts", "term"),
    ),
    Mistake(
        "ridge",
        "2 * X.T @ r / n + 2 * lam * w",
        "2 * X.T @ r + 2 * lam * w",
        "n missing in one term",
        ("division by", "mean or sum", "times", "counts", "constant", "term"),
    ),
    Mistake(
        "ridge",
        "2 * X.T @ r / n + 2 * lam * w",
        "2 * (X.T @ r + lam * w) / n",
        "parentheses: the penalty is divided, too",
        ("mean or sum", "times", "counts", "constant", "parenthes", "term"),
    ),
    Mistake(
        "dropout",
        "dout * mask",
        "dout * (mask > 0)",
        "scale forgotten",
        ("constant", "factor missing"),
    ),
    Mistake("dropout", "dout * mask", "dout", "mask forgotten", ("mask missing", "factor missing")),
    Mistake("logistic regression", "(p - y) / m", "(p - y)", "m missing", ("mean or sum",)),
    Mistake(
        "logistic regression",
        "(p - y) / m",
        "(p - y) * p * (1 - p) / m",
        "sigmoid differentiated twice",
        ("factor extra", "factor"),
    ),
    Mistake(
        "residual block", "dout + dh @ W1.T", "dh @ W1.T", "shortcut forgotten", ("path missing",)
    ),
    Mistake(
        "residual block", "dout + dh @ W1.T", "dout + dh @ W1", "W1 not transposed", ("transposed",)
    ),
    Mistake("contrastive loss", "* gap / d", "* gap", "d missing", ("factor",)),
    Mistake(
        "triplet loss",
        "(n - p)",
        "(a - p)",
        "a - p for n - p",
        ("path missing", "factor replaced", "stands"),
    ),
    Mistake("huber loss", "np.sign(r)", "r", "not clipped", ("mask", "factor")),
    Mistake(
        "upsampling",
        "sum(axis=(2, 4))",
        "mean(axis=(2, 4))",
        "mean for sum",
        ("constant", "mean or sum"),
    ),
    Mistake(
        "cosine similarity",
        "- c * a / na ** 2",
        "",
        "path through the norm missing",
        ("path missing",),
    ),
    Mistake("bilinear", "y @ W.T", "y @ W", "W not transposed", ("transposed",)),
    Mistake("crop", "dx[:, 1:4, 2:5] = dout", "dx[:, 0:3, 2:5] = dout", "off by one", ("shifted",)),
    Mistake(
        "crop",
        "dx[:, 1:4, 2:5] = dout",
        "dx[:, 2:5, 1:4] = dout",
        "rows and columns exchanged",
        ("shifted", "exchanged", "transposed", "places"),
    ),
    Mistake("global average", "/ (H * W)", "/ H", "W missing", ("mean or sum", "size", "constant")),
]
