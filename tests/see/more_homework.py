"""More homework in other words: einsum, np.add.at, loops, in-place sums, dicts as caches.

The pairs stand in `homework.PAIRS` with the others. The mistakes were written down before anything
judged them; the words that name them were not: some were widened when the first answers, true ones
in other words, had been read. How many are named is a record, no result.
"""

from __future__ import annotations

import numpy as np

from .homework import PAIRS, Mistake, functions, made, normal, pair, source

__all__ = ["MISTAKES", "PAIRS", "functions", "made", "source"]

BEFORE = set(PAIRS)

pair("spatial batch norm", normal(3, 2, 4, 3), normal(2), normal(2))("""
def forward(x, gamma, beta):
    m = x.mean(axis=(0, 2, 3), keepdims=True)
    inv = 1 / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
    h = (x - m) * inv
    y = np.einsum('nchw,c->nchw', h, gamma) + beta.reshape(1, -1, 1, 1)
    return y, {'h': h, 'inv': inv, 'gamma': gamma}


def backward(dy, cache):
    h, inv, gamma = cache['h'], cache['inv'], cache['gamma']
    dgamma = np.einsum('nchw,nchw->c', dy, h)
    dbeta = np.einsum('nchw->c', dy)
    dh = dy * gamma[None, :, None, None]
    dh -= dh.mean(axis=(0, 2, 3), keepdims=True) + h * (dh * h).mean(axis=(0, 2, 3), keepdims=True)
    return dh * inv, dgamma, dbeta
""")

pair("layer norm in a loop", normal(3, 5), normal(5), normal(5))("""
def forward(x, g, b):
    rows = []
    for row in x:
        rows.append((row - row.mean()) / np.sqrt(row.var() + 1e-5))
    xhat = np.stack(rows)
    return xhat * g + b, (x, xhat, g)


def backward(dout, cache):
    x, xhat, g = cache
    dx = np.empty_like(x)
    for i in range(len(x)):
        sigma = np.sqrt(x[i].var() + 1e-5)
        d = dout[i] * g
        dx[i] = (d - d.mean() - xhat[i] * (d @ xhat[i]) / d.size) / sigma
    return dx, (dout * xhat).sum(0), dout.sum(0)
""")

pair("instance norm", normal(2, 3, 7))("""
def forward(x):
    c = x - x.mean(-1, keepdims=True)
    s = np.sqrt((c ** 2).mean(-1, keepdims=True) + 1e-3)
    return c / s, (c, s)


def backward(dout, cache):
    c, s = cache
    L = c.shape[-1]
    ds = -(dout * c).sum(-1, keepdims=True) / s ** 2
    dc = dout / s + ds * c / (s * L)
    return dc - dc.mean(-1, keepdims=True)
""")

pair(
    "lstm over time", normal(3, 2, 2), 0.5 * normal(2, 12), 0.5 * normal(3, 12), 0.1 * normal(12)
)("""
def forward(x, Wx, Wh, b):
    T, N, _ = x.shape
    H = Wh.shape[0]
    sig = lambda z: 1 / (1 + np.exp(-z))
    h, c = np.zeros((N, H)), np.zeros((N, H))
    tape, out = [], []
    for t in range(T):
        a = x[t] @ Wx + h @ Wh + b
        i, f, o = sig(a[:, :H]), sig(a[:, H:2 * H]), sig(a[:, 2 * H:3 * H])
        g = np.tanh(a[:, 3 * H:])
        new = f * c + i * g
        tape.append((h, c, i, f, o, g, np.tanh(new)))
        c = new
        h = o * np.tanh(c)
        out.append(h)
    return np.stack(out), (x, Wx, Wh, tape)


def backward(dout, cache):
    x, Wx, Wh, tape = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    db = np.zeros(Wx.shape[1])
    dh_next = dc_next = 0
    for t in range(len(tape) - 1, -1, -1):
        h, c, i, f, o, g, tc = tape[t]
        dh = dout[t] + dh_next
        dc = dc_next + dh * o * (1 - tc ** 2)
        da = np.concatenate([
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dh * tc * o * (1 - o),
            dc * i * (1 - g ** 2),
        ], axis=1)
        dc_next = dc * f
        dh_next = da @ Wh.T
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += h.T @ da
        db += da.sum(axis=0)
    return dx, dWx, dWh, db
""")

pair(
    "gru cell", normal(2, 3), normal(2, 4), normal(3, 4), normal(4, 4), normal(3, 4), normal(4, 4)
)("""
def forward(x, h, Wz, Uz, Wn, Un):
    z = 1 / (1 + np.exp(-(x @ Wz + h @ Uz)))
    n = np.tanh(x @ Wn + h @ Un)
    return z * h + (1 - z) * n, (x, h, Wz, Uz, Wn, Un, z, n)


def backward(dout, cache):
    x, h, Wz, Uz, Wn, Un, z, n = cache
    dz = dout * (h - n) * z * (1 - z)
    dn = dout * (1 - z) * (1 - n ** 2)
    dx = dz @ Wz.T + dn @ Wn.T
    dh = dout * z + dz @ Uz.T + dn @ Un.T
    return dx, dh, x.T @ dz, h.T @ dz, x.T @ dn, h.T @ dn
""")

pair("heads of attention", normal(2, 3, 4), normal(2, 3, 4), normal(2, 3, 5))("""
def forward(q, k, v):
    s = np.einsum('hid,hjd->hij', q, k) / np.sqrt(q.shape[-1])
    s = np.where(np.tril(np.ones(s.shape[1:], bool)), s, -1e9)
    e = np.exp(s - s.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p @ v, (q, k, v, p)


def backward(dout, cache):
    q, k, v, p = cache
    dv = np.einsum('hij,hie->hje', p, dout)
    dp = np.einsum('hie,hje->hij', dout, v)
    ds = p * (dp - np.einsum('hij,hij->hi', dp, p)[..., None])
    ds /= np.sqrt(q.shape[-1])
    dq = np.einsum('hij,hjd->hid', ds, k)
    dk = np.einsum('hij,hid->hjd', ds, q)
    return dq, dk, dv
""")

pair("dilated convolution", normal(2, 9), normal(3))("""
def forward(x, w):
    L = x.shape[1] - 4
    y = sum(w[k] * x[:, 2 * k:2 * k + L] for k in range(3))
    return y, (x, w)


def backward(dout, cache):
    x, w = cache
    L = dout.shape[1]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(3):
        dx[:, 2 * k:2 * k + L] += w[k] * dout
        dw[k] = (dout * x[:, 2 * k:2 * k + L]).sum()
    return dx, dw
""")

pair("strided convolution of pictures", normal(2, 2, 5, 5), normal(3, 2, 3, 3), normal(3))("""
def forward(x, w, b):
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    win = np.lib.stride_tricks.sliding_window_view(xp, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    y = np.einsum('nchwij,fcij->nfhw', win, w) + b[:, None, None]
    return y, (xp.shape, win.copy(), w)


def backward(dout, cache):
    shape, win, w = cache
    db = dout.sum(axis=(0, 2, 3))
    dw = np.einsum('nfhw,nchwij->fcij', dout, win)
    dxp = np.zeros(shape)
    for i in range(3):
        for j in range(3):
            dxp[:, :, i:i + 5:2, j:j + 5:2] += np.einsum('nfhw,fc->nchw', dout, w[:, :, i, j])
    return dxp[:, :, 1:-1, 1:-1], dw, db
""")

pair("depthwise convolution", normal(2, 3, 6), normal(3, 2))("""
def forward(x, w):
    y = x[:, :, :-1] * w[:, 0, None] + x[:, :, 1:] * w[:, 1, None]
    return y, (x, w)


def backward(dout, cache):
    x, w = cache
    dx = np.zeros_like(x)
    dx[:, :, :-1] += dout * w[:, 0, None]
    dx[:, :, 1:] += dout * w[:, 1, None]
    dw = np.stack([(dout * x[:, :, :-1]).sum((0, 2)), (dout * x[:, :, 1:]).sum((0, 2))], axis=1)
    return dx, dw
""")

pair("max pool by reshape", normal(2, 3, 4, 6))("""
def forward(x):
    n, c, h, w = x.shape
    v = x.reshape(n, c, h // 2, 2, w // 2, 2)
    y = v.max(axis=(3, 5))
    return y, (x, y)


def backward(dout, cache):
    x, y = cache
    up = lambda a: a.repeat(2, axis=2).repeat(2, axis=3)
    return np.where(x == up(y), up(dout), 0.0)
""")

pair("pooling of a sequence", normal(3, 7))("""
def forward(x):
    return np.stack([x[:, i:i + 3].mean(axis=1) for i in range(0, 5, 2)], axis=1), x.shape


def backward(dout, cache):
    dx = np.zeros(cache)
    for j, i in enumerate(range(0, 5, 2)):
        dx[:, i:i + 3] += dout[:, j, None] / 3
    return dx
""")

pair("bag of words", normal(6, 3))("""
BAGS = np.array([[0, 2, 2], [5, 1, 2], [0, 3, 3]])


def forward(E):
    return E[BAGS].mean(axis=1), E.shape


def backward(dout, shape):
    dE = np.zeros(shape)
    for k in range(BAGS.shape[1]):
        np.add.at(dE, BAGS[:, k], dout / BAGS.shape[1])
    return dE
""")

pair("skip-gram with negative words", normal(5, 3), normal(6, 3))("""
CENTRE, OUTSIDE, NEGATIVE = 2, 4, np.array([1, 3, 1])


def forward(V, U):
    sig = lambda z: 1 / (1 + np.exp(-z))
    v = V[CENTRE]
    p, q = sig(U[OUTSIDE] @ v), sig(-U[NEGATIVE] @ v)
    return -np.log(p) - np.log(q).sum(), (V, U, v, p, q)


def backward(dout, cache):
    V, U, v, p, q = cache
    dV, dU = np.zeros_like(V), np.zeros_like(U)
    dV[CENTRE] = (p - 1) * U[OUTSIDE] + (1 - q) @ U[NEGATIVE]
    dU[OUTSIDE] += (p - 1) * v
    np.add.at(dU, NEGATIVE, np.outer(1 - q, v))
    return dout * dV, dout * dU
""")

pair("forward algorithm of a CRF", normal(4, 3), normal(3, 3))("""
def forward(emit, trans):
    alpha = [emit[0]]
    for t in range(1, len(emit)):
        z = alpha[-1][:, None] + trans
        m = z.max(axis=0)
        alpha.append(emit[t] + m + np.log(np.exp(z - m).sum(axis=0)))
    last = alpha[-1]
    return last.max() + np.log(np.exp(last - last.max()).sum()), (emit, trans, alpha)


def backward(dout, cache):
    emit, trans, alpha = cache
    demit, dtrans = np.zeros_like(emit), np.zeros_like(trans)
    d = np.exp(alpha[-1] - alpha[-1].max())
    d = dout * d / d.sum()
    for t in range(len(emit) - 1, 0, -1):
        demit[t] = d
        z = alpha[t - 1][:, None] + trans
        p = np.exp(z - z.max(axis=0))
        p /= p.sum(axis=0)
        dtrans += p * d
        d = p @ d
    demit[0] = d
    return demit, dtrans
""")

pair("gaussian likelihood", normal(4, 3), normal(4, 3))("""
Y = np.linspace(-1, 1, 12).reshape(4, 3)


def forward(mu, logvar):
    loss = 0.5 * (logvar + (Y - mu) ** 2 * np.exp(-logvar)).sum(axis=1).mean()
    return loss, (mu, logvar)


def backward(dout, cache):
    mu, logvar = cache
    n = len(mu)
    inv = np.exp(-logvar)
    dmu = -(Y - mu) * inv / n
    dlogvar = 0.5 * (1 - (Y - mu) ** 2 * inv) / n
    return dout * dmu, dout * dlogvar
""")

pair("focal loss", normal(5))("""
T = np.array([1.0, 0.0, 1.0, 1.0, 0.0])


def forward(x):
    p = 1 / (1 + np.exp(-x))
    pt = np.where(T == 1, p, 1 - p)
    return -((1 - pt) ** 2 * np.log(pt)), (p, pt)


def backward(dout, cache):
    p, pt = cache
    dpt = 2 * (1 - pt) * np.log(pt) - (1 - pt) ** 2 / pt
    return dout * dpt * np.where(T == 1, 1, -1) * p * (1 - p)
""")

pair("maxout", normal(4, 6))("""
def forward(x):
    v = x.reshape(x.shape[0], -1, 2)
    return v.max(axis=2), (v, v.argmax(axis=2))


def backward(dout, cache):
    v, k = cache
    dv = np.zeros_like(v)
    np.put_along_axis(dv, k[..., None], dout[..., None], axis=2)
    return dv.reshape(len(v), -1)
""")

pair("prelu", normal(4, 3), np.array([0.1, 0.2, 0.3]))("""
def forward(x, a):
    return np.maximum(x, 0) + a * np.minimum(x, 0), (x, a)


def backward(dout, cache):
    x, a = cache
    dx = dout * np.where(x > 0, 1, a)
    da = (dout * np.minimum(x, 0)).sum(axis=0)
    return dx, da
""")

pair("softmax with temperature", normal(3, 4), np.array(1.7))("""
def forward(x, tau):
    z = x / tau
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, (x, tau, p)


def backward(dout, cache):
    x, tau, p = cache
    dz = p * (dout - (dout * p).sum(axis=1, keepdims=True))
    return dz / tau, np.sum(-dz * x / tau ** 2)
""")

pair("radial basis", normal(4, 2), normal(3, 2), np.array(0.7))("""
def forward(x, c, s):
    d = x[:, None] - c[None]
    r = (d ** 2).sum(axis=2)
    y = np.exp(-r / (2 * s ** 2))
    return y, (d, r, s, y)


def backward(dout, cache):
    d, r, s, y = cache
    dr = -dout * y / (2 * s ** 2)
    dd = 2 * dr[:, :, None] * d
    ds = (dout * y * r).sum() / s ** 3
    return dd.sum(axis=1), -dd.sum(axis=0), ds
""")

pair("variational layer", normal(3, 2), normal(3, 2))("""
EPS = np.array([[0.3, -1.0], [0.7, 0.2], [-0.4, 1.1]])


def forward(mu, logvar):
    z = mu + EPS * np.exp(logvar / 2)
    kl = -0.5 * (1 + logvar - mu ** 2 - np.exp(logvar)).sum()
    return (z ** 2).sum() + kl, (mu, logvar, z)


def backward(dout, cache):
    mu, logvar, z = cache
    dz = 2 * z
    dmu = dz + mu
    dlogvar = dz * EPS * np.exp(logvar / 2) * 0.5 - 0.5 * (1 - np.exp(logvar))
    return dout * dmu, dout * dlogvar
""")

pair("highway layer", normal(3, 4), normal(4, 4), normal(4, 4))("""
def forward(x, Wt, Wh):
    t = 1 / (1 + np.exp(-x @ Wt))
    h = np.tanh(x @ Wh)
    return t * h + (1 - t) * x, (x, Wt, Wh, t, h)


def backward(dout, cache):
    x, Wt, Wh, t, h = cache
    da = dout * (h - x) * t * (1 - t)
    db = dout * t * (1 - h * h)
    dx = da @ Wt.T + db @ Wh.T + dout * (1 - t)
    return dx, x.T @ da, x.T @ db
""")

pair("squeeze and excite", normal(2, 3, 2, 4), normal(3, 2), normal(2, 3))("""
def forward(x, W1, W2):
    s = x.mean(axis=(2, 3))
    h = np.maximum(s @ W1, 0)
    g = 1 / (1 + np.exp(-h @ W2))
    return x * g[:, :, None, None], (x, W1, W2, s, h, g)


def backward(dout, cache):
    x, W1, W2, s, h, g = cache
    dg = np.einsum('nchw,nchw->nc', dout, x)
    da = dg * g * (1 - g)
    dh = (da @ W2.T) * (h > 0)
    ds = dh @ W1.T
    dx = dout * g[:, :, None, None] + ds[:, :, None, None] / (x.shape[2] * x.shape[3])
    return dx, s.T @ dh, h.T @ da
""")

pair("gated linear unit", normal(3, 6))("""
def forward(x):
    a, b = np.split(x, 2, axis=1)
    s = 1 / (1 + np.exp(-b))
    return a * s, (a, s)


def backward(dout, cache):
    a, s = cache
    return np.concatenate([dout * s, dout * a * s * (1 - s)], axis=1)
""")

pair("tied autoencoder", normal(4, 3), normal(3, 2))("""
def forward(x, W):
    h = np.tanh(x @ W)
    return h @ W.T, (x, W, h)


def backward(dout, cache):
    x, W, h = cache
    da = (dout @ W) * (1 - h ** 2)
    dW = x.T @ da + dout.T @ h
    return da @ W.T, dW
""")

pair("weight norm", normal(4, 3), normal(3, 2), np.array([1.2, 0.7]))("""
def forward(x, v, g):
    norm = np.sqrt((v ** 2).sum(axis=0))
    w = g * v / norm
    return x @ w, (x, v, g, norm, w)


def backward(dout, cache):
    x, v, g, norm, w = cache
    dw = x.T @ dout
    dg = (dw * v).sum(axis=0) / norm
    dv = dw * g / norm - v * g * (dw * v).sum(axis=0) / norm ** 3
    return dout @ w.T, dv, dg
""")

pair("smoothed cross entropy", normal(4, 3))("""
LABELS = np.array([0, 2, 1, 2])


def forward(x):
    n, c = x.shape
    t = np.full((n, c), 0.1 / c)
    t[np.arange(n), LABELS] += 0.9
    z = x - x.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -(t * logp).sum() / n, (logp, t)


def backward(dout, cache):
    logp, t = cache
    n = len(t)
    return dout * (np.exp(logp) - t) / n
""")

pair("squared hinge", normal(5, 2), normal(2))("""
S = np.array([1.0, -1.0, 1.0, 1.0, -1.0])


def forward(X, w):
    m = np.maximum(0, 1 - S * (X @ w))
    return (m ** 2).mean() + 0.1 * w @ w, (X, w, m)


def backward(dout, cache):
    X, w, m = cache
    n = X.shape[0]
    ds = -2 * S * m / n
    return dout * np.outer(ds, w), dout * (X.T @ ds + 0.2 * w)
""")

pair("pixel shuffle", normal(2, 4, 3, 2))("""
def forward(x):
    n, c, h, w = x.shape
    y = x.reshape(n, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(n, 2 * h, 2 * w)
    return y, x.shape


def backward(dout, shape):
    n, c, h, w = shape
    return dout.reshape(n, h, 2, w, 2).transpose(0, 2, 4, 1, 3).reshape(shape)
""")

pair("running sum", normal(3, 5))("""
def forward(x):
    return np.cumsum(x, axis=1) * x, (x, np.cumsum(x, axis=1))


def backward(dout, cache):
    x, c = cache
    return dout * c + np.cumsum((dout * x)[:, ::-1], axis=1)[:, ::-1]
""")

pair("soft argmax", normal(3, 6))("""
def forward(x):
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    i = np.arange(x.shape[1])
    return p @ i, (p, i)


def backward(dout, cache):
    p, i = cache
    mean = p @ i
    return dout[:, None] * p * (i - mean[:, None])
""")

pair("cosine of rows", normal(4, 3), normal(4, 3))("""
def forward(a, b):
    na = np.linalg.norm(a, axis=1)
    nb = np.linalg.norm(b, axis=1)
    c = (a * b).sum(1) / (na * nb)
    return c, (a, b, na, nb, c)


def backward(dout, cache):
    a, b, na, nb, c = cache
    da = b / (na * nb)[:, None] - (c / na ** 2)[:, None] * a
    db = a / (na * nb)[:, None] - (c / nb ** 2)[:, None] * b
    return dout[:, None] * da, dout[:, None] * db
""")

pair("pooled pairs", normal(3, 4), normal(3, 2), normal(4, 2, 5))("""
def forward(x, y, W):
    return np.einsum('ni,nj,ijk->nk', x, y, W), (x, y, W)


def backward(dout, cache):
    x, y, W = cache
    dx = np.einsum('nk,nj,ijk->ni', dout, y, W)
    dy = np.einsum('nk,ni,ijk->nj', dout, x, W)
    dW = np.einsum('ni,nj,nk->ijk', x, y, dout)
    return dx, dy, dW
""")

pair("weighted least squares", normal(6, 3), normal(3), normal(1))("""
A = np.array([1.0, 2.0, 0.5, 1.5, 1.0, 3.0])


def forward(X, w, b):
    r = X @ w + b - A
    return (A * r ** 2).sum() / A.sum() + 0.3 * (w ** 2).sum(), (X, w, r)


def backward(dout, cache):
    X, w, r = cache
    dr = 2 * A * r / A.sum()
    return dout * np.outer(dr, w), dout * (X.T @ dr + 0.6 * w), dout * np.array([dr.sum()])
""")


def _(name: str, right: str, wrong: str, truth: str, *kinds: str) -> Mistake:
    return Mistake(name, right, wrong, truth, kinds)


MISTAKES = [
    _(
        "spatial batch norm",
        "'nchw,nchw->c', dy, h",
        "'nchw,nchw->c', dy, h * inv",
        "inv too many",
        "factor extra",
    ),
    _(
        "spatial batch norm",
        " + h * (dh * h).mean(axis=(0, 2, 3), keepdims=True)",
        "",
        "path of the variance missing",
        "path missing",
        "term",
    ),
    _("spatial batch norm", "return dh * inv", "return dh", "inv missing", "factor missing"),
    _(
        "layer norm in a loop",
        "/ d.size",
        "",
        "mean for sum",
        "mean or sum",
        "size",
        "counts",
        "times",
    ),
    _(
        "layer norm in a loop",
        "- d.mean() ",
        "",
        "path of the mean missing",
        "path missing",
        "term",
    ),
    _(
        "instance norm",
        "ds * c / (s * L)",
        "ds * c / s",
        "L missing",
        "mean or sum",
        "counts",
        "times",
    ),
    _(
        "instance norm",
        "return dc - dc.mean(-1, keepdims=True)",
        "return dc",
        "mean's path missing",
        "path missing",
    ),
    _(
        "lstm over time",
        "dc_next + dh * o",
        "dh * o",
        "cell's path from the next step missing",
        "path missing",
        "term",
    ),
    _(
        "lstm over time",
        "dc * c * f * (1 - f)",
        "dc * c * f",
        "1 - f missing",
        "factor missing",
        "local gradient",
        "derivative",
    ),
    _("lstm over time", "dWh += h.T @ da", "dWh = h.T @ da", "overwritten", "overwritten", "zero"),
    _("gru cell", "dout * z + dz", "dout + dz", "z missing", "factor missing"),
    _(
        "gru cell",
        "(1 - z) * (1 - n ** 2)",
        "(1 - z)",
        "tanh not differentiated",
        "local gradient",
        "factor missing",
        "factor",
    ),
    _(
        "heads of attention",
        "'hij,hid->hjd', ds, q",
        "'hji,hid->hjd', ds, q",
        "ds transposed",
        "transposed",
        "order",
        "axes",
    ),
    _(
        "heads of attention",
        "    ds /= np.sqrt(q.shape[-1])\n",
        "",
        "scale forgotten",
        "constant",
        "division",
    ),
    _(
        "dilated convolution",
        "+= w[k] * dout",
        "= w[k] * dout",
        "overwritten",
        "overwritten",
        "more than once",
    ),
    _(
        "dilated convolution",
        "+= w[k] * dout",
        "+= w[2 - k] * dout",
        "kernel turned",
        "flipped",
        "shifted",
        "index",
        "term extra",
    ),
    _(
        "strided convolution of pictures",
        "1:-1, 1:-1]",
        "2:, 2:]",
        "cropped at one side",
        "shifted",
        "off by one",
    ),
    _(
        "strided convolution of pictures",
        "w[:, :, i, j]",
        "w[:, :, j, i]",
        "kernel transposed",
        "transposed",
        "exchanged",
    ),
    _(
        "strided convolution of pictures",
        "dout.sum(axis=(0, 2, 3))",
        "dout.mean(axis=(0, 2, 3))",
        "mean for sum",
        "mean or sum",
    ),
    _(
        "depthwise convolution",
        "dx[:, :, 1:] += dout * w[:, 1, None]",
        "dx[:, :, 1:] += dout * w[:, 0, None]",
        "w0 for w1",
        "index",
        "shifted",
        "off by one",
        "used where",
    ),
    _(
        "depthwise convolution",
        "dx[:, :, 1:] += dout",
        "dx[:, :, 1:] = dout",
        "overwritten",
        "overwritten",
        "more than once",
    ),
    _(
        "max pool by reshape",
        "np.where(x == up(y), up(dout), 0.0)",
        "up(dout)",
        "mask missing",
        "mask missing",
    ),
    _("pooling of a sequence", "/ 3", "", "3 missing", "constant", "mean or sum"),
    _(
        "pooling of a sequence",
        "+= dout[:, j, None]",
        "= dout[:, j, None]",
        "overlap overwritten",
        "overwritten",
    ),
    _("bag of words", "/ BAGS.shape[1])", ")", "bag's size missing", "mean or sum", "constant"),
    _(
        "bag of words",
        "np.add.at(dE, BAGS[:, k], dout / BAGS.shape[1])",
        "dE[BAGS[:, k]] += dout / BAGS.shape[1]",
        "repeated words once",
        "overwritten",
    ),
    _(
        "skip-gram with negative words",
        "np.add.at(dU, NEGATIVE, np.outer(1 - q, v))",
        "dU[NEGATIVE] += np.outer(1 - q, v)",
        "repeated words once",
        "overwritten",
    ),
    _(
        "skip-gram with negative words",
        "+ (1 - q) @ U[NEGATIVE]",
        "- (1 - q) @ U[NEGATIVE]",
        "sign of the negative words",
        "term sign",
    ),
    _(
        "forward algorithm of a CRF",
        "p /= p.sum(axis=0)",
        "p /= p.sum(axis=1, keepdims=True)",
        "normalised over the wrong axis",
        "axis",
    ),
    _(
        "forward algorithm of a CRF",
        "dtrans += p * d",
        "dtrans = p * d",
        "overwritten",
        "overwritten",
    ),
    _("forward algorithm of a CRF", "d = p @ d", "d = p.T @ d", "p transposed", "transposed"),
    _("gaussian likelihood", "0.5 * (1 - ", "(1 - ", "half missing", "constant"),
    _(
        "gaussian likelihood",
        "-(Y - mu) * inv / n",
        "-(Y - mu) / n",
        "precision missing",
        "factor missing",
        "factor",
    ),
    _("focal loss", "(1 - pt) ** 2 / pt", "(1 - pt) / pt", "square missing", "factor"),
    _(
        "focal loss",
        "np.where(T == 1, 1, -1) * ",
        "",
        "sign of the other class missing",
        "factor missing",
        "sign",
        "mask",
    ),
    _("focal loss", "2 * (1 - pt)", "-2 * (1 - pt)", "sign of a term", "term sign", "sign"),
    _(
        "maxout",
        "np.zeros_like(v)",
        "np.ones_like(v)",
        "ones for zeros",
        "zeros",
        "term extra",
        "mask missing",
    ),
    _(
        "prelu",
        "np.where(x > 0, 1, a)",
        "np.where(x > 0, a, 1)",
        "sides exchanged",
        "mask wrong",
        "mask",
    ),
    _(
        "prelu",
        "np.minimum(x, 0)).sum(axis=0)",
        "x).sum(axis=0)",
        "mask of da missing",
        "mask missing",
        "mask",
    ),
    _(
        "prelu",
        "(dout * np.minimum(x, 0)).sum(axis=0)",
        "(dout * np.minimum(x, 0)).mean(axis=0)",
        "mean for sum",
        "mean or sum",
    ),
    _(
        "softmax with temperature",
        "dz / tau,",
        "dz,",
        "tau missing",
        "factor missing",
        "tau too many",
    ),
    _("softmax with temperature", "/ tau ** 2", "/ tau", "square of tau missing", "factor"),
    _("radial basis", "2 * dr[:, :, None]", "dr[:, :, None]", "2 missing", "constant"),
    _("radial basis", "-dd.sum(axis=0)", "dd.sum(axis=0)", "sign of dc", "sign"),
    _("radial basis", "/ s ** 3", "/ s ** 2", "power of s", "factor", "power", "constant"),
    _(
        "variational layer",
        "* 0.5 - 0.5 * (1 - np.exp(logvar))",
        "* 0.5 + 0.5 * (1 - np.exp(logvar))",
        "sign of the KL term",
        "term sign",
    ),
    _("variational layer", "dz + mu", "dz", "KL forgotten", "path missing", "term"),
    _(
        "variational layer",
        "np.exp(logvar / 2) * 0.5",
        "np.exp(logvar / 2)",
        "half missing",
        "constant",
        "division by 2",
        "`dz` is used where `z`",
    ),
    _("highway layer", " + dout * (1 - t)", "", "carried path missing", "path missing"),
    _("highway layer", "(h - x)", "h", "carried path missing in the gate", "path missing", "term"),
    _(
        "squeeze and excite",
        " + ds[:, :, None, None] / (x.shape[2] * x.shape[3])",
        "",
        "gate's path missing",
        "path missing",
    ),
    _(
        "squeeze and excite",
        "dg * g * (1 - g)",
        "dg * (1 - g)",
        "g missing",
        "factor missing",
        "local gradient",
        "derivative",
    ),
    _(
        "squeeze and excite",
        "/ (x.shape[2] * x.shape[3])",
        "/ x.shape[2]",
        "width missing",
        "mean or sum",
        "counts",
        "times",
        "constant",
    ),
    _(
        "gated linear unit",
        "[dout * s, dout * a * s * (1 - s)]",
        "[dout * a * s * (1 - s), dout * s]",
        "halves exchanged",
        "exchanged",
        "order",
    ),
    _(
        "gated linear unit",
        "dout * a * s * (1 - s)",
        "dout * s * (1 - s)",
        "a missing",
        "factor missing",
    ),
    _(
        "tied autoencoder",
        " + dout.T @ h",
        "",
        "decoder's share missing",
        "path missing",
        "last use",
        "overwritten",
    ),
    _("tied autoencoder", "(1 - h ** 2)", "(1 - h) ** 2", "parentheses", "parenthes", "factor"),
    _(
        "weight norm",
        "/ norm ** 3",
        "/ norm ** 2",
        "power of the norm",
        "factor",
        "power",
        "constant 2",
    ),
    _(
        "weight norm",
        "(dw * v).sum(axis=0) / norm\n",
        "(dw * v).sum(axis=0)\n",
        "norm missing",
        "factor missing",
        "factor",
    ),
    _(
        "smoothed cross entropy",
        "np.exp(logp) - t",
        "np.exp(logp) + t",
        "sign of the target",
        "term sign",
    ),
    _(
        "smoothed cross entropy",
        "(np.exp(logp) - t) / n",
        "np.exp(logp) - t / n",
        "parentheses",
        "parenthes",
        "mean or sum",
        "counts",
        "times",
    ),
    _(
        "squared hinge",
        "-2 * S * m / n",
        "-2 * S * (m > 0) / n",
        "margin's indicator for the margin",
        "factor",
        "mask",
    ),
    _(
        "squared hinge",
        "+ 0.2 * w",
        "+ 0.1 * w",
        "2 of the penalty missing",
        "constant",
        "counts",
        "times",
        "path missing",
    ),
    _(
        "pixel shuffle",
        "transpose(0, 2, 4, 1, 3)",
        "transpose(0, 4, 2, 1, 3)",
        "axes exchanged",
        "transposed",
        "order",
    ),
    _(
        "running sum",
        "[:, ::-1], axis=1)[:, ::-1]",
        ", axis=1)",
        "not turned round",
        "flipped",
        "wrong way",
        "transposed",
    ),
    _("running sum", "dout * c + ", "", "path missing", "path missing"),
    _(
        "soft argmax",
        "(i - mean[:, None])",
        "i",
        "mean missing",
        "path missing",
        "term",
        "diagonal",
    ),
    _(
        "cosine of rows",
        "(c / na ** 2)",
        "(c / na)",
        "square of the norm missing",
        "factor",
        "power",
    ),
    _(
        "cosine of rows",
        "- (c / nb ** 2)[:, None] * b",
        "- (c / nb ** 2)[:, None] * a",
        "a for b",
        "factor replaced",
        "used where",
        "exchanged",
    ),
    _(
        "pooled pairs",
        "'nk,ni,ijk->nj', dout, x, W",
        "'nk,ni,ijk->nj', dout ** 2, x, W",
        "upstream twice",
        "upstream twice",
    ),
    _(
        "weighted least squares",
        "2 * A * r / A.sum()",
        "2 * A * r / len(A)",
        "A's sum for its length",
        "constant",
        "mean or sum",
        "factor",
    ),
    _(
        "weighted least squares",
        "X.T @ dr + 0.6 * w",
        "X.T @ r + 0.6 * w",
        "r for dr",
        "factor replaced",
        "used where",
        "local gradient",
        "factor",
    ),
]
