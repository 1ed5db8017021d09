"""Programs that train, of which `see.why` says nothing bad, and mistakes that it must name.

They were written after the rules. Each returns the parameters asked for, and a recording or a loss.
"""

# ruff: noqa: F841  (the names are those of a user's program)

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.nn import functional as F

X = bl.tensor(np.random.default_rng(0).normal(size=(16, 4)).astype("float32"))
Y = bl.tensor(np.random.default_rng(1).integers(0, 3, 16))
T = bl.tensor(np.random.default_rng(2).normal(size=(16, 1)).astype("float32"))
RIGHT = {}
WRONG = {}


def net(act=nn.Tanh, out=3, seed=0):
    bl.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), act(), nn.Linear(8, out))


def right(program):
    assert program.__name__ not in RIGHT, "this name is taken: the other would never run"
    RIGHT[program.__name__] = program
    return program


def wrong(*words):
    def add(program):
        assert program.__name__ not in WRONG, "this name is taken: the other would never run"
        WRONG[program.__name__] = program, words
        return program

    return add


def causes(program):
    parameters, source = program()
    return parameters if source is None else [see.why(p, source) for p in parameters]


# -- programs that are right ------------------------------------------------------------------


@right
def plain():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
    return m.parameters(), r


@right
def logging_item():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        print(f"{loss.item():.3f}")
        history = [float(loss)]
    return m.parameters(), r


@right
def accuracy_after():
    m = net()
    with see.recording() as r:
        p = m(X)
        loss = F.cross_entropy(p, Y)
        loss.backward()
        acc = (bl.argmax(p, axis=1) == Y).astype("float32").mean()
        acc.item()
    return m.parameters(), r


@right
def accuracy_before_backward():
    m = net()
    with see.recording() as r:
        p = m(X)
        acc = (bl.argmax(p, axis=1) == Y).astype("float32").mean()
        loss = F.cross_entropy(p, Y)
        a = acc.item()
    loss.backward()
    return m.parameters(), r


@right
def validation_under_no_grad():
    m = net()
    with see.recording() as r:
        out = F.cross_entropy(m(X), Y)
        out.item()
        with bl.no_grad():
            val_loss = F.cross_entropy(m(X * 2), Y)
            val_loss.item()
    return m.parameters(), r


@right
def running_average():
    m = net()
    running = bl.tensor(0.7)
    with see.recording() as r:
        out = F.mse_loss(net(out=1)(X), T) * 0 + F.cross_entropy(m(X), Y)
        running = running * 0.9 + out.item() * 0.1
    return m.parameters(), r


@right
def target_detached():
    m = net(out=1)
    t = net(out=1, seed=1)
    with see.recording() as r:
        q = m(X)
        goal = (t(X) * 0.9 + T).detach()
        loss = F.mse_loss(q, goal)
        loss.backward()
    return m.parameters(), r


@right
def self_target_detached():
    m = net(out=1)
    with see.recording() as r:
        q = m(X)
        goal = 0.9 * q.detach() + T
        loss = F.mse_loss(q, goal)
        loss.backward()
    return m.parameters(), r


@right
def straight_through():
    m = net(out=3)
    with see.recording() as r:
        p = F.softmax(m(X), -1)
        hard = (p == p.max(axis=1, keepdims=True)).astype("float32")
        q = p + (hard - p).detach()
        loss = ((q - 1.5) ** 2 * X[:, :3]).sum()
        loss.backward()
    return m.parameters(), r


@right
def ema():
    m = net()
    e = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        with bl.no_grad():
            for a, b in zip(e.parameters(), m.parameters(), strict=True):
                a.assign(0.9 * a + 0.1 * b)
    return m.parameters(), r


@right
def dropout():
    m = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
    loss.backward()
    return m.parameters(), r


@right
def batchnorm():
    m = nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
    return m.parameters(), r


@right
def clipped():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
    return m.parameters(), r


@right
def norm_logged():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        total = sum(float((p.grad**2).sum()) for p in m.parameters()) ** 0.5
    return m.parameters(), r


@right
def weight_norm_logged_after():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        size = bl.vector_norm(m[0].weight)
    return m.parameters(), r


@right
def penalty():
    m = net()
    with see.recording() as r:
        data = F.cross_entropy(m(X), Y)
        total = data + 1e-3 * sum((p * p).sum() for p in m.parameters())
        total.backward()
    return m.parameters(), r


@right
def two_losses():
    m = net()
    with see.recording() as r:
        (F.cross_entropy(m(X[:8]), Y[:8]) + F.cross_entropy(m(X[8:]), Y[8:])).backward()
    return m.parameters(), r


@right
def live_loss():
    m = net()
    loss = F.cross_entropy(m(X), Y)
    return m.parameters(), loss


@right
def stack_of_losses():
    m = net()
    with see.recording() as r:
        loss = bl.mean(
            bl.stack([F.cross_entropy(m(X[i : i + 1]), Y[i : i + 1]) for i in range(16)])
        )
        loss.backward()
    return m.parameters(), r


@right
def rnn_by_hand():
    w = bl.tensor(0.5, requires_grad=True)
    u = bl.tensor(0.3, requires_grad=True)
    with see.recording() as r:
        h = bl.tensor(0.0)
        for t in range(5):
            h = bl.tanh(w * h + u * float(X[t, 0]))
        loss = (h - 1.0) ** 2
        loss.backward()
    return [w, u], r


@right
def weights_by_item():
    m = net()
    with see.recording() as r:
        p = m(X)
        weight = bl.tensor([1.0, 2.0, 0.5])
        loss = F.cross_entropy(p, Y, weight=weight)
        scale = loss.detach().item()
        (loss / scale).backward()
    return m.parameters(), r


@right
def numpy_histogram():
    m = net()
    with see.recording() as r:
        h = m[0](X)
        np.histogram(h.numpy())
        loss = F.cross_entropy(m[2](m[1](h)), Y)
        loss.backward()
    return m.parameters(), r


@right
def curriculum_number():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        k = 2.0 if loss.item() > 1 else 1.5
        (k * loss).backward()
    return m.parameters(), r


@right
def policy_gradient():
    m = net()
    with see.recording() as r:
        logp = F.log_softmax(m(X), -1)
        a = bl.argmax(logp, axis=1)
        adv = T[:, 0] - T.mean()
        picked = bl.take_along_axis(logp, a[:, None], axis=1)[:, 0]
        loss = -(picked * adv).mean()
        loss.backward()
    return m.parameters(), r


@right
def adversarial_generator():
    g = net(out=4)
    d = net(out=1, seed=3)
    with see.recording() as r:
        loss = F.binary_cross_entropy_with_logits(d(g(X)), bl.ones((16, 1)))
        loss.backward()
    return g.parameters(), r


@right
def discriminator_with_detach():
    g = net(out=4)
    d = net(out=1, seed=3)
    with see.recording() as r:
        fake = g(X).detach()
        loss = F.binary_cross_entropy_with_logits(
            d(fake), bl.zeros((16, 1))
        ) + F.binary_cross_entropy_with_logits(d(X), bl.ones((16, 1)))
        loss.backward()
    return d.parameters(), r


@right
def frozen_body():
    m = net()
    m[0].requires_grad_(False)
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
    return m[2].parameters(), r


@right
def optimizer_step_then_ask_again():
    m = net()
    o = optim.Adam(m.parameters(), 0.01)
    for _ in range(3):
        with see.recording() as r:
            o.zero_grad()
            loss = F.cross_entropy(m(X), Y)
            loss.backward()
        ask = [see.why(p, r) for p in m.parameters()]
        o.step()
    return ask, None


@right
def hand_loop():
    w = bl.tensor([1.5, -2.5], requires_grad=True)
    for _ in range(3):
        w.grad = None
        with see.recording() as r:
            loss = ((w - 0.3) ** 2).sum()
            loss.backward()
        ask = [see.why(w, r)]
        with bl.no_grad():
            w.assign(w - 0.1 * w.grad)
    return ask, None


@right
def unused_output_printed():
    m = net()
    aux = nn.Linear(4, 1)
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        print(aux(X).mean())
    return m.parameters(), r


@right
def embedding():
    e = nn.Embedding(10, 3)
    with see.recording() as r:
        loss = (e(bl.tensor([1, 2, 1])) ** 2).sum()
        loss.backward()
    return e.parameters(), r


@right
def zero_feature():
    m = nn.Linear(4, 1)
    x = bl.tensor(np.concatenate([X.numpy()[:, :3], np.zeros((16, 1), "float32")], 1))
    with see.recording() as r:
        loss = F.mse_loss(m(x), T)
        loss.backward()
    return m.parameters(), r


@right
def no_loss_variable():
    m = net()

    def run():
        cost = F.cross_entropy(m(X), Y)
        cost.backward()
        return cost.item()

    with see.recording() as r:
        v = run()
    return m.parameters(), r


@right
def scaled_by_batch_std():
    m = net(out=1)
    with see.recording() as r:
        p = m(X)
        s = float(T.std(correction=0).item())
        loss = F.mse_loss(p / s, T / s)
        loss.backward()
    return m.parameters(), r


@right
def step_in_block():
    m = net()
    o = optim.SGD(m.parameters(), 0.1)
    with see.recording() as r:
        o.zero_grad()
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        o.step()
    return m.parameters(), r


@right
def two_steps_in_block():
    m = net()
    o = optim.Adam(m.parameters(), 0.01)
    with see.recording() as r:
        for _ in range(2):
            o.zero_grad()
            loss = F.cross_entropy(m(X), Y)
            loss.backward()
            o.step()
    return m.parameters(), r


@right
def lstm():
    m = nn.LSTM(4, 5)
    h = nn.Linear(5, 1)
    with see.recording() as r:
        y, _ = m(X[None].reshape(4, 4, 4))
        loss = (h(y) ** 2).mean()
        loss.backward()
    return [*m.parameters(), *h.parameters()], r


@right
def conv():
    m = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    x = X.reshape(4, 1, 4, 4)
    with see.recording() as r:
        loss = F.cross_entropy(m(x), Y[:4])
        loss.backward()
    return m.parameters(), r


@right
def attention():
    m = nn.MultiheadAttention(4, 2)
    with see.recording() as r:
        x = X.reshape(4, 4, 4)
        y, _ = m(x, x, x)
        loss = (y * x).sum()
        loss.backward()
    return [p for n, p in m.named_parameters() if "k" not in n], r


@right
def gradient_penalty():
    m = net(out=1)
    with see.recording() as r:
        x = X.detach().requires_grad_()
        y = m(x).sum()
        g = bl.grad(y, x, create_graph=True)
        loss = F.mse_loss(m(X), T) + 0.1 * ((g**2).sum(axis=1)).mean()
        loss.backward()
    return [m[0].weight, m[2].weight], r


@right
def microbatches_scaled():
    m = net()
    with see.recording() as r:
        out = sum(F.cross_entropy(m(X[i : i + 4]), Y[i : i + 4]) for i in range(0, 16, 4)) / 4
        out.backward()
    return m.parameters(), r


@right
def best_model_copy():
    m = net()
    best = 1e9
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        if loss.item() < best:
            best = loss.item()
            saved = m.state_dict()
    return m.parameters(), r


@right
def confusion_matrix():
    m = net()
    with see.recording() as r:
        p = m(X)
        loss = F.cross_entropy(p, Y)
        loss.backward()
        c = np.zeros((3, 3))
        np.add.at(c, (Y.numpy(), bl.argmax(p, axis=1).numpy()), 1)
        mean_acc = bl.tensor(c).mean()
    return m.parameters(), r


@right
def kd():
    m = net()
    t = net(seed=4)
    with see.recording() as r:
        with bl.no_grad():
            soft = F.softmax(t(X), -1)
        loss = -(soft * F.log_softmax(m(X), -1)).sum(axis=1).mean()
        loss.backward()
    return m.parameters(), r


@right
def rewards_from_item():
    m = net()
    with see.recording() as r:
        logp = F.log_softmax(m(X), -1)
        reward = bl.tensor([p.item() for p in bl.exp(logp[:, 0]).detach()])
        loss = -(logp[:, 0] * reward).mean()
        loss.backward()
    return [m[0].weight], r


@right
def whiten_by_numbers():
    m = net(out=1)
    with see.recording() as r:
        p = m(X)
        mu, sd = p.mean().item(), p.std(correction=0).item()
        loss = (((p - mu) / sd - T) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@right
def eval_loop_after():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        total = 0.0
        with bl.no_grad():
            for i in range(0, 16, 4):
                total += F.cross_entropy(m(X[i : i + 4]), Y[i : i + 4]).item()
        test_loss = bl.tensor(total / 4) * 1.0
    return m.parameters(), r


@right
def maximum_clamped_targets():
    m = net(out=1)
    with see.recording() as r:
        loss = bl.where(T > 0, (m(X) - T) ** 2, bl.abs(m(X) - T)).mean()
        loss.backward()
    return m.parameters(), r


@right
def rows_written():
    m = net(out=1)
    with see.recording() as r:
        buf = bl.zeros((16, 1))
        for i in range(0, 16, 4):
            buf[i : i + 4] = m(X[i : i + 4])
        loss = ((buf - T) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@right
def residual_in_place():
    m = nn.Linear(4, 4)
    with see.recording() as r:
        h = X * 1.0
        for _ in range(3):
            h += bl.tanh(m(h))
        loss = (h**2).mean()
        loss.backward()
    return m.parameters(), r


@right
def hand_sgd_in_place():
    w = bl.tensor([1.5, -2.5], requires_grad=True)
    for _ in range(3):
        w.grad = None
        with see.recording() as r:
            loss = ((w - 0.3) ** 2).sum()
            loss.backward()
            with bl.no_grad():
                w -= 0.1 * w.grad
    return [w], r


@right
def module_hand_sgd():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
        with bl.no_grad():
            for p in m.parameters():
                p -= 0.1 * p.grad
    return m.parameters(), r


@right
def masked_fill():
    m = net()
    with see.recording() as r:
        s = m(X)
        s[s > 5.0] = 0.0
        loss = F.cross_entropy(s, Y)
        loss.backward()
    return m.parameters(), r


@right
def loss_accumulated_in_place():
    m = net()
    with see.recording() as r:
        loss = bl.tensor(0.0)
        for i in range(0, 16, 4):
            loss += F.cross_entropy(m(X[i : i + 4]), Y[i : i + 4])
        loss.backward()
    return m.parameters(), r


@right
def loss_accumulated_live():
    m = net()
    loss = bl.tensor(0.0)
    for i in range(0, 16, 4):
        loss += F.cross_entropy(m(X[i : i + 4]), Y[i : i + 4])
    return m.parameters(), loss


# -- programs with a mistake ------------------------------------------------------------------


@wrong("item")
def sum_of_items():
    m = net(out=1)
    with see.recording() as r:
        total = 0.0
        for i in range(4):
            total += ((m(X[i : i + 1]) - T[i]) ** 2).sum().item()
        loss = bl.tensor(total / 4)
        loss = loss * 1.0
    return m.parameters(), r


@wrong("item")
def item_exact():
    m = net(out=1)
    with see.recording() as r:
        e = ((m(X) - T) ** 2).mean()
        loss = bl.tensor(e.item(), requires_grad=True) * 2.5
        loss.backward()
    return m.parameters(), r


@wrong("float")
def float_times():
    a = bl.tensor([0.7, 1.3], requires_grad=True)
    b = bl.tensor([1.1, 0.2], requires_grad=True)
    with see.recording() as r:
        loss = (float((a * a).sum()) * b).sum()
        loss.backward()
    return [a], r


@wrong("numpy")
def numpy_exact():
    m = net(out=1)
    with see.recording() as r:
        h = m(X).numpy()
        loss = F.mse_loss(bl.tensor(h), T)
    return m.parameters(), r


@wrong("numpy")
def numpy_computed():
    a = bl.tensor([0.7, 1.3], requires_grad=True)
    b = bl.tensor([1.1, 0.2], requires_grad=True)
    with see.recording() as r:
        h = np.tanh((a * 2.0).numpy()) + 1
        loss = (bl.tensor(h) * b).sum()
        loss.backward()
    return [a], r


@wrong("tolist")
def tolist():
    a = bl.tensor([0.7, 1.3], requires_grad=True)
    with see.recording() as r:
        xs = (a * 3.0).tolist()
        loss = bl.tensor([x * x for x in xs]).sum()
    return [a], r


@wrong("argmax")
def argmax():
    m = net()
    with see.recording() as r:
        loss = ((bl.argmax(m(X), axis=1) - Y).astype("float32") ** 2).mean()
    return m.parameters(), r


@wrong("greater")
def comparison():
    m = net(out=1)
    with see.recording() as r:
        loss = (
            ((m(X) > 0).astype("float32") - T).abs().mean()
            if hasattr(T, "abs")
            else bl.abs((m(X) > 0).astype("float32") - T).mean()
        )
    return m.parameters(), r


@wrong("cast")
def int_cast():
    m = net(out=1)
    with see.recording() as r:
        loss = (m(X).astype("int32").astype("float32") - T).sum()
    return m.parameters(), r


@wrong("round")
def round():
    m = net(out=1)
    with see.recording() as r:
        loss = ((bl.round(m(X)) - T) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@wrong("detach")
def detach():
    m = net()
    head = nn.Linear(3, 1)
    with see.recording() as r:
        loss = F.mse_loss(head(m(X).detach()), T)
        loss.backward()
    return m.parameters(), r


@wrong("no_grad")
def no_grad_features():
    m = net()
    head = nn.Linear(3, 1)
    with see.recording() as r:
        with bl.no_grad():
            f = m(X)
        loss = F.mse_loss(head(f), T)
        loss.backward()
    return m.parameters(), r


@wrong("no_grad")
def everything_no_grad():
    m = net()
    with see.recording() as r, bl.no_grad():
        loss = F.cross_entropy(m(X), Y)
    return m.parameters(), r


@wrong("assign")
def buffer_assign():
    a = bl.tensor([0.7, 1.3], requires_grad=True)
    b = bl.tensor([1.1, 0.2], requires_grad=True)
    buf = bl.zeros(2)
    with see.recording() as r:
        buf.assign(a * a)
        loss = (buf * b).sum()
        loss.backward()
    return [a], r


@wrong("before the forward", "requires_grad")
def asked_late():
    a = bl.tensor([0.7, 1.3])
    b = bl.tensor([1.1, 0.2], requires_grad=True)
    with see.recording() as r:
        loss = (a * b).sum()
    a.requires_grad = True
    return [a], r


@wrong("replaced")
def replaced_after_optimizer():
    m = net()
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
    return [net(seed=5)[0].weight], r


@wrong("no_grad", "assign")
def own_loop_under_no_grad():
    w = bl.tensor([0.7, 1.3], requires_grad=True)
    with see.recording() as r:
        loss = (w * w).sum()
        loss.backward()
        with bl.no_grad():
            w = w - 0.1 * w.grad
    return [w], r


@wrong("result of subtract")
def own_loop():
    w = bl.tensor([0.7, 1.3], requires_grad=True)
    (w * w).sum().backward()
    w = w - 0.1 * w.grad
    loss = (w * w).sum()
    loss.backward()
    return [w], loss


@wrong("leaf", "numbers")
def leaf_loss():
    m = net(out=1)
    e = np.mean((m(X).numpy() - T.numpy()) ** 2)
    loss = bl.tensor(e, requires_grad=True)
    loss.backward()
    return m.parameters(), loss


@wrong("does not require a gradient")
def loss_without_graph():
    m = net()
    loss = (bl.argmax(m(X), axis=1) == Y).astype("float32").mean()
    return m.parameters(), loss


@wrong("not use")
def head_forgotten():
    m = net()
    head = nn.Linear(8, 1)
    with see.recording() as r:
        h = m[1](m[0](X))
        aux = head(h).mean()
        loss = F.cross_entropy(m[2](h), Y)
        loss.backward()
        aux.item()
    return head.parameters(), r


@wrong("numpy")
def numpy_metric_as_loss():
    m = net(out=1)
    with see.recording() as r:
        err = np.abs(m(X).detach().numpy() - T.numpy()).mean()
        loss = bl.tensor(err) + 0.0
    return m.parameters(), r


@wrong("times")
def accumulated():
    w = bl.tensor([0.7, 1.3], requires_grad=True)
    for _ in range(3):
        with see.recording() as r:
            loss = (w * w).sum()
            loss.backward()
    return [w], r


@wrong("item")
def python_sigmoid():
    w = bl.tensor(0.7, requires_grad=True)
    v = bl.tensor(0.2, requires_grad=True)
    with see.recording() as r:
        p = 1 / (1 + math.exp(-(w * 1.7).item()))
        loss = (v - p) ** 2
        loss.backward()
    return [w], r


@wrong("item")
def stacked_items_in_loop():
    m = net(out=1)
    with see.recording() as r:
        parts = []
        for i in range(3):
            parts.append(F.mse_loss(m(X[i : i + 2]), T[i : i + 2]).item())
        loss = bl.tensor(parts).mean()
    return m.parameters(), r


@wrong("detach")
def detached_middle():
    m = net()
    with see.recording() as r:
        h = bl.tanh(m[0](X))
        loss = F.cross_entropy(m[2](h.detach()), Y)
        loss.backward()
    return m[0].parameters(), r


@wrong("argmax")
def argmax_then_embedding():
    m = net()
    e = nn.Embedding(3, 2)
    with see.recording() as r:
        loss = (e(bl.argmax(m(X), axis=1)) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@wrong("no_grad")
def decorated():
    m = net()

    @bl.no_grad()
    def features(x):
        return m(x)

    h = nn.Linear(3, 1)
    with see.recording() as r:
        loss = F.mse_loss(h(features(X)), T)
    return m.parameters(), r


@wrong("float")
def parameter_as_number():
    a = bl.tensor(0.731, requires_grad=True)
    b = bl.tensor([1.1, 0.2], requires_grad=True)
    with see.recording() as r:
        loss = (b * float(a)).sum()
    return [a], r


@wrong("sign")
def sign():
    m = net(out=1)
    with see.recording() as r:
        loss = ((bl.sign(m(X)) - T) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@wrong("dead units", "off")
def dead_relu():
    m = net(act=nn.ReLU)
    m[0].bias.assign(bl.full((8,), -100.0))
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
    return m[0].parameters(), r


@wrong("zeros")
def zero_init():
    m = net()
    m[2].weight.assign(bl.zeros((3, 8)))
    with see.recording() as r:
        loss = F.cross_entropy(m(X), Y)
        loss.backward()
    return m[0].parameters(), r


@wrong("numpy")
def tonumpy_and_back():
    m = net(out=1)
    with see.recording() as r:
        y = bl.asarray(m(X).detach().numpy().copy())
        loss = F.mse_loss(y, T)
    return m.parameters(), r


@wrong("leaf", "not used", "no way")
def live_item():
    m = net(out=1)
    b = nn.Linear(1, 1)
    loss = F.mse_loss(b(bl.tensor(m(X).tolist())), T)
    return m.parameters(), loss


@wrong("detach")
def live_param_detached():
    a = bl.tensor([0.7, 1.3], requires_grad=True)
    b = bl.tensor([1.1, 0.2], requires_grad=True)
    return [a], (a.detach() * b).sum()


@wrong("no_grad")
def written_under_no_grad():
    m = net(out=1)
    v = bl.tensor(2.0, requires_grad=True)
    with see.recording() as r:
        buf = bl.zeros((16, 1))
        with bl.no_grad():
            buf[:] = m(X)
        loss = (v * (buf - T) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@wrong("detach")
def detached_row():
    m = net(out=1)
    v = bl.tensor(2.0, requires_grad=True)
    with see.recording() as r:
        buf = bl.zeros((16, 1))
        buf[:] = m(X).detach()
        loss = (v * (buf - T) ** 2).mean()
        loss.backward()
    return m.parameters(), r


@wrong("item")
def list_of_items_written():
    m = net(out=1)
    with see.recording() as r:
        buf = bl.zeros(4)
        for i in range(4):
            buf[i] = m(X[i : i + 1]).sum().item()
        loss = (buf**2).mean()
    return m.parameters(), r


# -- what must be said of them ----------------------------------------------------------------


@pytest.mark.parametrize("program", RIGHT.values(), ids=RIGHT)
def test_a_right_program_is_not_accused(program):
    for answer in causes(program):
        if answer.state == "partly zero":  # said as it is: a part that this batch does not use
            assert answer.reasons[0].kind in ("not chosen", "masked"), answer
        elif answer.state != "fine":
            assert [r.kind for r in answer.reasons] == ["no backward yet"], answer


@pytest.mark.parametrize(("program", "words"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_named(program, words):
    for answer in causes(program):
        assert answer.state != "fine"
        assert any(word in repr(answer) for word in words), answer
