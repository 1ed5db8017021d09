"""Programs in which a NaN or an infinity is born: the line has `# born` at its end, unless what is
named there is a Tensor that was bad from the start. Each returns its loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim

F = nn.functional
PROGRAMS: dict[str, tuple[Callable[[], Any], str, str]] = {}


def program(where: str, leaf: str = "") -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Keep a program: in which pass the first bad number is, and the leaf that brings it in."""

    def keep(f: Callable[[], Any]) -> Callable[[], Any]:
        PROGRAMS[f.__name__] = f, where, leaf
        return f

    return keep


def weight(data: Any, dtype: str = "float32") -> bl.Tensor:
    return bl.tensor(np.array(data, dtype), requires_grad=True)


@program("forward")
def log_zero():
    x = weight([[1.0, 0.0], [2.0, 3.0]])
    y = bl.log(x)  # born
    return y.sum()


@program("forward")
def log_of_probabilities():
    logits = weight([[200.0, -200.0], [1.0, 2.0]])
    p = F.softmax(logits, dim=1)
    loss = -bl.log(p)[:, 1].mean()  # born
    return loss


@program("forward")
def log_of_sigmoid():
    z = weight([-200.0, 1.0])
    p = bl.sigmoid(z)
    return -bl.log(p).mean()  # born


@program("forward")
def log_of_one_minus_sigmoid():
    z = weight([200.0, 1.0])
    p = bl.sigmoid(z)
    return -bl.log(1 - p).mean()  # born


@program("forward")
def bce_by_hand():
    z = weight([50.0, -150.0, 0.3])
    y = bl.tensor([1.0, 0.0, 1.0])
    p = bl.sigmoid(z)
    loss = -(y * bl.log(p) + (1 - y) * bl.log(1 - p)).mean()  # born
    return loss


@program("forward")
def zero_by_zero():
    a, b = weight([0.0, 1.0]), weight([0.0, 2.0])
    return (a / b).sum()  # born


@program("forward")
def one_by_zero():
    a, b = weight([1.0, 1.0]), weight([0.0, 2.0])
    q = a / b  # born
    return (q * q).mean()


@program("forward")
def empty_mask():
    x = weight([1.0, 2.0, 3.0])
    mask = bl.tensor([0.0, 0.0, 0.0])
    mean = (x * mask).sum() / mask.sum()  # born
    return mean


@program("backward")
def root_at_zero():
    x = weight([0.0, 4.0])
    r = bl.sqrt(x)  # born
    return r.sum()


@program("backward")
def norm_at_zero():
    x = weight([0.0, 0.0, 0.0])
    n = bl.sqrt((x * x).sum())  # born
    return n


@program("backward")
def distance_of_equals():
    a, b = weight([[1.0, 2.0], [3.0, 1.0]]), weight([[1.0, 2.0], [1.0, 5.0]])
    d = bl.sqrt(((a - b) ** 2).sum(axis=1))  # born
    return d.mean()


@program("forward")
def normalise_zero_vector():
    x = weight([[0.0, 0.0], [3.0, 4.0]])
    n = bl.sqrt((x**2).sum(axis=1, keepdims=True))
    y = x / n  # born
    return (y * bl.tensor([[1.0, 2.0], [0.5, 1.0]])).sum()


@program("forward")
def cosine_by_hand():
    a, b = weight([[0.0, 0.0], [1.0, 2.0]]), weight([[1.0, 1.0], [2.0, 1.0]])
    dot = (a * b).sum(axis=1)
    norms = bl.sqrt((a * a).sum(axis=1)) * bl.sqrt((b * b).sum(axis=1))
    return (dot / norms).sum()  # born


@program("forward")
def softmax_by_hand():
    x = weight([[1.0, 1000.0], [2.0, 3.0]])
    e = bl.exp(x)  # born
    p = e / e.sum(axis=1, keepdims=True)
    return (p * p).sum()


@program("backward")
def softmax_on_one_line():
    x = weight([[1.0, 1000.0], [2.0, 3.0]])
    p = bl.exp(x) / bl.sum(bl.exp(x), axis=1, keepdims=True)  # born
    return p[:, 0].sum()


@program("forward")
def softmax_shifted_by_all():
    x = weight([[1.0, 1000.0], [2.0, 3.0]])
    e = bl.exp(x - bl.max(x))
    p = e / e.sum(axis=1, keepdims=True)  # born
    return p[:, 0].sum()


@program("forward")
def log_softmax_by_hand():
    x = weight([[1.0, 300.0], [2.0, 3.0]])
    y = x - bl.log(bl.exp(x).sum(axis=1, keepdims=True))  # born
    return -y[:, 0].mean()


@program("forward")
def logsumexp_by_hand():
    x = weight([[1.0, 300.0], [2.0, 3.0]])
    return bl.log(bl.sum(bl.exp(x), axis=1)).sum()  # born


@program("forward")
def logsumexp_underflow():
    x = weight([[-300.0, -400.0], [2.0, 3.0]])
    return bl.log(bl.sum(bl.exp(x), axis=1)).sum()  # born


@program("forward")
def softplus_by_hand():
    x = weight([1.0, 300.0])
    return bl.log(1 + bl.exp(x)).sum()  # born


@program("backward")
def sigmoid_by_hand():
    x = weight([1.0, -300.0])
    s = 1 / (1 + bl.exp(-x))  # born
    return s.sum()


@program("forward")
def tanh_by_hand():
    x = weight([1.0, 300.0])
    a, b = bl.exp(x), bl.exp(-x)  # born
    return ((a - b) / (a + b)).sum()


@program("forward")
def exp_overflow():
    x = weight([1.0, 100.0])
    rate = bl.exp(x)  # born
    return (rate - 3 * x).mean()


@program("forward")
def expm1_overflow():
    x = weight([1.0, 100.0])
    return bl.expm1(x).sum()  # born


@program("forward")
def cosh_overflow():
    x = weight([1.0, 100.0])
    return bl.log(bl.cosh(x)).sum()  # born


@program("forward")
def float16_square():
    x = weight([300.0, 2.0], "float16")
    return (x * x).mean()  # born


@program("forward")
def float16_sum():
    x = weight(np.full(70, 1000.0), "float16")
    return x.sum()  # born


@program("forward")
def float16_matmul():
    a, b = weight(np.full((2, 40), 50.0), "float16"), weight(np.full((40, 2), 50.0), "float16")
    y = a @ b  # born
    return y.mean()


@program("forward")
def float16_cast():
    x = weight([1e6, 2.0])
    h = x.astype("float16")  # born
    return h.sum()


@program("backward")
def float16_epsilon():
    x = weight([0.0, 2.0], "float16")
    r = bl.sqrt(x + 1e-12)  # born
    return r.sum()


@program("backward")
def acos_of_one():
    x = weight([1.0, 0.5])
    a = bl.acos(x)  # born
    return a.sum()


@program("forward")
def acos_past_one():
    x = weight([1.0000001, 0.5])
    return bl.acos(x).sum()  # born


@program("forward")
def power_of_negative():
    x = weight([-1.0, 4.0])
    return (x**0.5).sum()  # born


@program("forward")
def negative_power_of_zero():
    x = weight([0.0, 4.0])
    return (x**-0.5).sum()  # born


@program("backward")
def small_power_at_zero():
    x = weight([0.0, 4.0])
    y = x**0.4  # born
    return y.sum()


@program("backward")
def exponent_of_negative():
    x, p = weight([-2.0, 3.0]), weight([2.0, 2.0])
    y = x**p  # born
    return y.sum()


@program("forward")
def variance_of_one():
    x = weight([[1.0], [2.0]])
    v = bl.var(x, axis=1, correction=1)  # born
    return v.sum()


@program("backward")
def root_of_a_product():
    a, b = weight([0.0, 2.0]), weight([3.0, 2.0])
    s = bl.sqrt(a * b)  # born
    return s.mean()


@program("forward")
def standardise_constant():
    x = weight([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    m, s = x.mean(axis=1, keepdims=True), bl.std(x, axis=1, keepdims=True)
    z = (x - m) / s  # born
    return (z * z * x).sum()


@program("forward")
def atanh_at_one():
    x = weight([1.0, 0.5])
    return bl.atanh(x).sum()  # born


@program("forward")
def gamma_at_zero():
    x = weight([0.0, 2.5])
    return bl.lgamma(x).sum()  # born


@program("backward")
def where_log():
    x = weight([0.0, 2.0])
    y = bl.where(x > 0, bl.log(x), 0.0)  # born
    return y.sum()


@program("backward")
def where_division():
    a, b = weight([1.0, 2.0]), weight([0.0, 4.0])
    return bl.where(b != 0, a / b, 0.0).sum()  # born


@program("backward")
def where_named_branch():
    x = weight([0.0, 4.0])
    root = bl.sqrt(x)  # born
    return bl.where(root > 0, root, 0.0).sum()


@program("backward")
def where_in_a_function():
    def safe_log(v):
        return bl.where(v > 0, bl.log(v), 0.0)  # born

    x = weight([0.0, 2.0])
    return safe_log(x * 1.0).sum()


@program("backward")
def mask_by_product():
    x = weight([0.0, 4.0])
    keep = bl.tensor([0.0, 1.0])
    r = bl.sqrt(x) * keep  # born
    return r.sum()


@program("forward")
def zero_times_infinity():
    x = weight([0.0, 1.0])
    scale = bl.tensor([math.inf, 1.0])
    return (x * scale).sum()  # born


@program("forward")
def entropy_by_hand():
    p = weight([0.0, 0.4, 0.6])
    h = -(p * bl.log(p)).sum()  # born
    return h


@program("forward")
def kl_by_hand():
    p, q = bl.tensor([0.5, 0.5, 0.0]), weight([0.2, 0.0, 0.8])
    return (p * bl.log(p / q)).sum()  # born


@program("forward")
def attention_all_masked():
    scores = weight([[1.0, 2.0], [3.0, 4.0]])
    allowed = bl.tensor([[True, True], [False, False]])
    s = bl.where(allowed, scores, -math.inf)
    w = F.softmax(s, dim=-1)  # born
    return (w * scores).sum()


@program("forward")
def attention_added_mask():
    q = weight(np.ones((3, 2)))
    mask = bl.tensor(np.array([[0, -np.inf, -np.inf]] * 2 + [[-np.inf] * 3], "float32"))
    weights = F.softmax(q @ q.T + mask, dim=-1)  # born
    return (weights @ q).sum()


@program("forward")
def cross_entropy_of_masked_label():
    logits = weight([[1.0, 2.0, 3.0], [1.0, 0.0, 2.0]])
    forbidden = bl.tensor([[False, True, False], [False, False, False]])
    z = bl.where(forbidden, -math.inf, logits)
    return F.cross_entropy(z, bl.tensor([1, 2]))  # born


@program("forward")
def infinity_minus_infinity():
    x = weight([200.0, 1.0])
    a = bl.exp(x)  # born
    return (a - a * 2).sum()


@program("forward")
def exploding_recurrence():
    w = weight(np.eye(3) * 60.0)
    h = bl.tensor(np.ones((1, 3), "float32"))
    for _ in range(30):
        h = h @ w  # born
    return h.mean()


@program("forward")
def rate_too_large():
    w = weight([1.0, -2.0])
    for _ in range(40):
        loss = (w**4).sum()  # born
        (g,) = bl.grad(loss, [w], retain_graph=True)
        w = weight((w - 10.0 * g).numpy())
        if not np.isfinite(loss.item()):
            break
    return loss


@program("forward")
def square_overflow():
    x = weight([1e25, 2.0])
    return (x * x).mean()  # born


@program("forward")
def product_of_many():
    x = weight(np.full(60, 1e2))
    return bl.prod(x)  # born


@program("forward")
def quotient_overflow():
    a, b = weight([1e20, 1.0]), weight([1e-25, 2.0])
    return (a / b).sum()  # born


@program("forward", "x")
def data_with_nan():
    x = bl.tensor([[1.0, 2.0], [math.nan, 1.0]])
    w = weight([[1.0], [2.0]])
    return ((x @ w) ** 2).mean()


@program("forward", "y")
def targets_with_nan():
    x, y = bl.tensor([[1.0], [2.0]]), bl.tensor([[1.0], [math.nan]])
    w = weight([[1.0]])
    return F.mse_loss(x @ w, y)


@program("forward", "data")
def batch_of_bad_data():
    data = bl.tensor(np.array([[1, 2], [3, 4], [5, np.nan], [7, 8]], "float32"))
    w = weight([[1.0], [2.0]])
    batch = data[1:4]
    return bl.tanh(batch @ w).mean()


@program("forward", "Linear.weight")
def weights_with_infinity():
    net = nn.Linear(2, 2)
    net.weight.assign(bl.tensor([[1.0, math.inf], [0.0, 1.0]]))
    return net(bl.tensor([[1.0, 2.0]])).mean()


@program("forward")
def log_of_negative_data():
    x = bl.tensor([3.0, -1.0])
    w = weight([1.0, 1.0])
    f = bl.log(x)  # born
    return (f * w).sum()


@program("forward", "x")
def log_of_nan_data():
    x = bl.tensor([3.0, math.nan])
    w = weight([1.0, 1.0])
    f = bl.log(x)
    return (f * w).sum()


@program("forward", "unused")
def adam_without_epsilon():
    w = weight([1.0, 2.0])
    unused = weight([0.0])
    step = optim.Adam([w, unused], lr=0.1, eps=0.0)
    for _ in range(2):
        step.zero_grad()
        loss = (w * w).sum() + (unused * 0.0).sum()
        loss.backward()
        step.step()
    return (w * w).sum() + (unused * 1.0).sum()


@program("backward")
def geometric_mean_of_zero():
    x = weight([0.0, 2.0, 4.0])
    g = bl.exp(bl.log(x).mean())  # born
    return g * 2.0 + x.sum()


@program("backward")
def angle_by_acos():
    a, b = weight([1.0, 0.0]), weight([1.0, 0.0])
    cos = (a * b).sum()
    return bl.acos(cos)  # born


@program("backward")
def huber_by_root():
    e = weight([0.0, 2.0]) - bl.tensor([0.0, 1.0])
    loss = bl.sqrt(e * e)  # born
    return loss.mean()


@program("forward")
def perplexity():
    losses = weight([120.0, 3.0])
    return bl.exp(losses).mean()  # born


@program("forward")
def gaussian_nll():
    mu, s = weight([0.0, 1.0]), weight([0.0, 1.0])
    x = bl.tensor([1.0, 2.0])
    return (bl.log(s) + (x - mu) ** 2 / (2 * s * s)).sum()  # born


@program("forward")
def kl_of_gaussians():
    mu, logvar = weight([0.0, 1.0]), weight([95.0, 0.1])
    return -0.5 * (1 + logvar - mu**2 - bl.exp(logvar)).sum()  # born


@program("forward")
def inverse_of_singular():
    a = weight([[1.0, 2.0], [2.0, 4.0]])
    d = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    return a[0, 0] / d  # born


@program("forward")
def harmonic_mean():
    x = weight([0.0, 2.0])
    return 2.0 / bl.sum(1.0 / x) + bl.sum(1.0 / x)  # born


@program("forward")
def two_bad_places():
    x, y = weight([0.0, 2.0]), weight([0.0, 3.0])
    a = bl.log(x)  # born
    return (a + bl.log(y)).sum()


@program("forward")
def focal_loss():
    z = weight([-200.0, 0.2])
    p = bl.sigmoid(z)
    return (-((1 - p) ** 2) * bl.log(p)).mean()  # born


@program("backward")
def square_root_of_variance():
    x = weight([[3.0, 3.0], [1.0, 2.0]])
    s = bl.sqrt(bl.var(x, axis=1))  # born
    return s.sum()


@program("backward")
def reciprocal_of_float16():
    x = weight([0.001, 2.0], "float16")
    y = bl.log(x) * 300.0  # born
    return y.sum()
