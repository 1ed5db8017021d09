"""Training that is right, of all kinds, about which `see.diagnose` must say nothing."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.nn import functional as F
from backlit.optim import lr_scheduler

from .ailing import (
    ADAM,
    BCE,
    CE,
    MSE,
    SGD,
    Of,
    case,
    dropped,
    gpt,
    mlp,
    padded,
    pictures,
    points,
    rng,
    rnn_tagger,
    sentences,
    token_loss,
    values,
)  # fmt: skip

HEALTHY: dict[str, Any] = {}


def healthy(make):
    HEALTHY[make.__name__] = make
    return make


def normal(*shape, seed=0, scale=1.0):
    return bl.tensor((scale * rng(seed).normal(size=shape)).astype("float32"))


def edges(n=24, count=60, seed=0):
    return bl.tensor(rng(seed).integers(0, n, (2, count)))


# -- graphs, sets, pairs -------------------------------------------------------------------------


@healthy
def graph_network_with_an_adjacency_matrix():
    bl.manual_seed(0)
    a = (rng().random((24, 24)) < 0.2) | np.eye(24, dtype=bool)
    a = bl.tensor((a / a.sum(1, keepdims=True)).astype("float32"))
    net = Of(lambda m, x, a: m.b(a @ F.relu(m.a(a @ x))), a=nn.Linear(10, 16), b=nn.Linear(16, 4))
    return case(net, (points(24)[0], a, points(24)[1]), CE, ADAM)


@healthy
def graph_network_with_its_adjacency_inside():
    bl.manual_seed(0)
    a = (rng().random((24, 24)) < 0.2) | np.eye(24, dtype=bool)
    a = bl.tensor((a / a.sum(1, keepdims=True)).astype("float32"))
    net = Of(lambda m, x: m.b(a @ F.relu(m.a(a @ x))), a=nn.Linear(10, 16), b=nn.Linear(16, 4))
    return case(net, points(24), CE, ADAM)


@healthy
def graph_network_with_edges():
    bl.manual_seed(0)

    def f(m, x, e):
        h = m.a(x)
        sent = bl.take(h, e[0], axis=0)
        got = bl.zeros((x.shape[0], 16)).index_add(0, e[1], sent)
        return m.b(F.relu(h + got))

    net = Of(f, a=nn.Linear(10, 16), b=nn.Linear(16, 4))
    return case(net, (points(24)[0], edges(), points(24)[1]), CE, ADAM)


@healthy
def graph_attention():
    bl.manual_seed(0)
    seen = bl.tensor((rng().random((24, 24)) < 0.3) | np.eye(24, dtype=bool))

    def f(m, x, seen):
        h = m.a(x)
        scores = bl.where(seen, F.leaky_relu(m.l(h) + m.r(h).T, 0.2), -1e9)
        return m.b(F.elu(F.softmax(scores, 1) @ h))

    net = Of(f, a=nn.Linear(10, 16), b=nn.Linear(16, 4), l=nn.Linear(16, 1), r=nn.Linear(16, 1))
    return case(net, (points(24)[0], seen, points(24)[1]), CE, ADAM)


def nt_xent(z, t, temperature=0.5):
    z = z / bl.sqrt((z * z).sum(axis=1, keepdims=True))
    n = z.shape[0] // 2
    scores = z @ z.T / temperature - bl.tensor(1e9 * np.eye(2 * n, dtype="float32"))
    return CE(scores, bl.tensor(np.roll(np.arange(2 * n), n)))


@healthy
def contrastive_of_two_views():
    x = rng().normal(size=(16, 10))
    views = np.concatenate([x + 0.1 * rng(i).normal(size=x.shape) for i in (1, 2)])
    return case(mlp(10, 32, 8), (bl.tensor(views.astype("float32")), bl.tensor(np.arange(32) % 16)),
                nt_xent, ADAM)  # fmt: skip


@healthy
def similarities_of_two_towers():
    bl.manual_seed(0)

    def f(m, a, b):
        u, v = F.normalize(m.a(a), dim=1), F.normalize(m.b(b), dim=1)
        return u @ v.T * m.scale.exp()

    net = Of(f, a=mlp(10, 16, 8), b=mlp(6, 16, 8, seed=1))
    net.scale = nn.Parameter(bl.tensor(np.float32(2.0)))
    return case(net, (points(16)[0], values(16)[0], bl.tensor(np.arange(16))), CE, ADAM)


@healthy
def siamese_with_a_margin():
    def f(m, a, b):
        return bl.sqrt(((m.net(a) - m.net(b)) ** 2).sum(axis=1) + 1e-6)

    def loss(d, same):
        return (same * d**2 + (1 - same) * F.relu(1 - d) ** 2).mean()

    same = bl.tensor(rng(3).integers(0, 2, 32).astype("float32"))
    return case(Of(f, net=mlp(10, 16, 4)), (points()[0], points(seed=4)[0], same), loss, ADAM)


@healthy
def triplets():
    def loss(z, t):
        return F.triplet_margin_loss(z[:8], z[8:16], z[16:])

    return case(mlp(10, 16, 8), (points(24)[0], bl.tensor(np.arange(24) % 8)), loss, ADAM)


@healthy
def supervised_contrastive_with_labels():
    def loss(z, t):
        z = F.normalize(z, dim=1)
        scores = z @ z.T / 0.2 - bl.tensor(1e9 * np.eye(z.shape[0], dtype="float32"))
        same = t.numpy()[:, None] == t.numpy()[None]
        same = (same & ~np.eye(len(same), dtype=bool)).astype("float32")
        p = F.log_softmax(scores, 1)
        return -(bl.tensor(same) * p).sum() / float(same.sum())

    t = bl.tensor(np.repeat(np.arange(8), 4))
    return case(mlp(10, 32, 16), (points()[0], t), loss, ADAM)


@healthy
def barlow_twins():
    def loss(z, t):
        a, b = z[:16], z[16:]
        a = (a - a.mean(axis=0)) / bl.sqrt(((a - a.mean(axis=0)) ** 2).mean(axis=0) + 1e-5)
        b = (b - b.mean(axis=0)) / bl.sqrt(((b - b.mean(axis=0)) ** 2).mean(axis=0) + 1e-5)
        c = a.T @ b / 16 - bl.eye(8)
        return (c**2).sum()

    return case(mlp(10, 32, 8), (points()[0], bl.tensor(np.arange(32) % 16)), loss, ADAM)


@healthy
def deep_set():
    net = Of(lambda m, x: m.b(m.a(x).sum(axis=1)), a=mlp(5, 16, 16), b=mlp(16, 16, 3))
    return case(net, (normal(16, 7, 5), points(16, classes=3)[1]), CE, ADAM)


@healthy
def prototypes_of_an_episode():
    def loss(z, t):
        means = z[:15].reshape(3, 5, 8).mean(axis=1)
        far = ((z[15:, None] - means[None]) ** 2).sum(axis=2)
        return CE(-far, t[15:])

    t = np.concatenate([np.repeat(np.arange(3), 5), np.repeat(np.arange(3), 5)])
    return case(mlp(10, 16, 8), (points(30)[0], bl.tensor(t)), loss, ADAM)


# -- generative ----------------------------------------------------------------------------------


@healthy
def autoencoder():
    x = bl.tensor(rng().random((32, 20)).astype("float32"))
    return case(nn.Sequential(mlp(20, 16, 4), mlp(4, 16, 20), nn.Sigmoid()), (x, x), MSE, ADAM)


@healthy
def linear_autoencoder():
    x = normal(32, 20)
    return case(nn.Sequential(nn.Linear(20, 5), nn.Linear(5, 20)), (x, x), MSE, ADAM)


@healthy
def denoising_autoencoder():
    x = normal(32, 20)
    noisy = bl.tensor(x.numpy() + 0.3 * rng(5).normal(size=(32, 20)).astype("float32"))
    return case(mlp(20, 16, 20), (noisy, x), MSE, ADAM)


@healthy
def tied_autoencoder():
    bl.manual_seed(0)
    net = Of(lambda m, x: bl.tanh(m.a(x)) @ m.a.weight, a=nn.Linear(20, 6))
    return case(net, (normal(32, 20), normal(32, 20)), MSE, ADAM)


@healthy
def variational_autoencoder():
    bl.manual_seed(0)

    def f(m, x):
        h = F.relu(m.a(x))
        mu, logvar = m.mu(h), m.logvar(h)
        z = mu + bl.exp(0.5 * logvar) * bl.random.normal(mu.shape)
        return m.c(F.relu(m.b(z))), mu, logvar

    def loss(out, x):
        y, mu, logvar = out
        kl = -0.5 * (1 + logvar - mu**2 - bl.exp(logvar)).sum()
        return (F.binary_cross_entropy_with_logits(y, x, reduction="sum") + kl) / x.shape[0]

    net = Of(f, a=nn.Linear(20, 16), mu=nn.Linear(16, 2), logvar=nn.Linear(16, 2),
             b=nn.Linear(2, 16), c=nn.Linear(16, 20))  # fmt: skip
    x = bl.tensor((rng().random((32, 20)) > 0.6).astype("float32"))
    return case(net, (x, x), loss, ADAM)


@healthy
def discriminator_of_a_gan():
    bl.manual_seed(0)
    fake = mlp(4, 16, 10, seed=3)(normal(16, 4)).detach()
    x = bl.concat([points(16)[0], fake])
    t = bl.tensor(np.repeat([1.0, 0.0], 16).astype("float32")[:, None])
    net = mlp(10, 16, 1, act=functools.partial(nn.LeakyReLU, 0.2))
    return case(net, (x, t), BCE, (optim.Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}))


@healthy
def generator_of_a_gan():
    judge = mlp(10, 16, 1, seed=3)
    judge.requires_grad_(False)
    return case(mlp(4, 16, 10), (normal(32, 4), bl.ones((32, 1))), lambda x, t: BCE(judge(x), t),
                (optim.Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}))  # fmt: skip


@healthy
def minimax_generator():
    judge = mlp(10, 16, 1, seed=3)
    judge.requires_grad_(False)
    return case(
        mlp(4, 16, 10), (normal(32, 4), bl.zeros((32, 1))), lambda x, t: -BCE(judge(x), t), ADAM
    )


@healthy
def wasserstein_critic():
    x = bl.tensor(
        np.concatenate([rng().normal(size=(16, 10)), rng(1).normal(1, 1, (16, 10))]).astype(
            "float32"
        )
    )
    t = bl.tensor(np.repeat([1.0, -1.0], 16).astype("float32")[:, None])
    return case(mlp(10, 32, 1), (x, t), lambda y, t: -(y * t).mean(), (optim.RMSprop, {"lr": 5e-5}))


@healthy
def normalising_flow():
    bl.manual_seed(0)

    def f(m, x):
        total = 0.0
        for i, net in enumerate((m.a, m.b)):
            a, b = (x[:, :3], x[:, 3:]) if i % 2 else (x[:, 3:], x[:, :3])
            moved = net(a)
            s, t = bl.tanh(moved[:, :3]), moved[:, 3:]
            b = b * bl.exp(s) + t
            total = total + s.sum(axis=1)
            x = bl.concat([a, b], axis=1)
        return x, total

    def loss(out, target):
        z, logdet = out
        return (0.5 * (z**2).sum(axis=1) - logdet).mean()

    x = normal(64, 6, scale=2)
    net = Of(f, a=mlp(3, 16, 6), b=mlp(3, 16, 6, seed=1))
    return case(net, (x, x), loss, ADAM)


@healthy
def normal_likelihood_that_falls_below_zero():
    net = mlp(6, 32, 2)
    net[2].bias.assign(np.array([0.0, -3.0], "float32"))
    net[2].weight.assign(net[2].weight.numpy() * 0.1)
    x, _ = values()
    t = bl.tensor(0.01 * rng(4).normal(size=(32, 1)).astype("float32"))

    def loss(y, t):
        mu, log_s = y[:, :1], y[:, 1:]
        return (log_s + 0.5 * ((t - mu) * bl.exp(-log_s)) ** 2).mean()

    return case(net, (x, t), loss, (optim.Adam, {"lr": 3e-3}))


@healthy
def diffusion():
    bl.manual_seed(0)
    net = Of(lambda m, x, t: m.net(bl.concat([x, m.time(t)], axis=1)), time=nn.Embedding(50, 8),
             net=mlp(18, 32, 10))  # fmt: skip
    noise = normal(32, 10, seed=4)
    x = points()[0] * 0.7 + noise * 0.7
    return case(net, (x, bl.tensor(rng().integers(0, 50, 32)), noise), MSE, ADAM)


@healthy
def vector_quantisation():
    bl.manual_seed(0)

    def f(m, x):
        z = m.enc(x)
        far = ((z.detach()[:, None] - m.book.weight.detach()[None]) ** 2).sum(axis=2)
        q = m.book(bl.argmin(far, axis=1))
        return m.dec(z + (q - z).detach()), z, q

    def loss(out, x):
        y, z, q = out
        return MSE(y, x) + MSE(q, z.detach()) + 0.25 * MSE(z, q.detach())

    net = Of(f, enc=mlp(10, 16, 4), book=nn.Embedding(8, 4), dec=mlp(4, 16, 10, seed=1))
    x = points()[0]
    return case(net, (x, x), loss, ADAM)


# -- reinforcement -------------------------------------------------------------------------------


@healthy
def policy_gradient():
    def loss(y, advantage):
        p = F.log_softmax(y, 1)
        taken = bl.take_along_axis(p, bl.tensor(rng(3).integers(0, 3, (32, 1))), axis=1)
        return -(taken[:, 0] * advantage).mean()

    return case(mlp(4, 32, 3), (normal(32, 4), normal(32, seed=2)), loss, ADAM)


@healthy
def policy_gradient_of_good_actions():
    def loss(y, returns):
        p = F.log_softmax(y, 1)
        taken = bl.take_along_axis(p, bl.tensor(rng(3).integers(0, 3, (32, 1))), axis=1)
        return -(taken[:, 0] * returns).mean() - 0.01 * -(bl.exp(p) * p).sum(axis=1).mean()

    returns = bl.tensor(rng(2).random(32).astype("float32") * 20)
    return case(mlp(4, 32, 3), (normal(32, 4), returns), loss, ADAM)


@healthy
def q_learning():
    target = mlp(4, 32, 3)
    target.requires_grad_(False)

    def loss(q, t):
        actions = bl.tensor(rng(3).integers(0, 3, (32, 1)))
        return F.smooth_l1_loss(bl.take_along_axis(q, actions, axis=1)[:, 0], t)

    net = Of(lambda m, x: m.net(x), net=mlp(4, 32, 3))
    return case(net, (normal(32, 4), normal(32, seed=2)), loss, ADAM)


@healthy
def actor_and_critic():
    bl.manual_seed(0)
    net = Of(lambda m, x: (m.pi(bl.tanh(m.a(x))), m.v(bl.tanh(m.a(x)))), a=nn.Linear(4, 32),
             pi=nn.Linear(32, 2), v=nn.Linear(32, 1))  # fmt: skip

    def loss(out, returns):
        logits, v = out
        p = F.log_softmax(logits, 1)
        advantage = (returns - v[:, 0]).detach()
        taken = p[:, 0]
        return -(taken * advantage).mean() + 0.5 * ((returns - v[:, 0]) ** 2).mean()

    return case(net, (normal(32, 4), normal(32, seed=2)), loss, ADAM)


# -- sequences -----------------------------------------------------------------------------------


@healthy
def language_model():
    return case(gpt(), sentences(), token_loss, ADAM)


@healthy
def language_model_that_shifts_in_its_loss():
    x = bl.tensor(rng().integers(1, 20, (8, 12)))
    return case(gpt(), (x, x), lambda y, t: token_loss(y[:, :-1], t[:, 1:]), ADAM)


@healthy
def recurrent_language_model():
    return case(rnn_tagger(), sentences(), token_loss, ADAM)


@healthy
def tied_language_model():
    net = gpt()
    net.token.weight.assign(0.1 * net.token.weight.numpy())
    net.head.weight = net.token.weight
    return case(net, sentences(), token_loss, ADAM)


@healthy
def tagger_in_both_directions():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(m.token(x))[0]), token=nn.Embedding(20, 16),
             rnn=nn.LSTM(16, 8, batch_first=True, bidirectional=True),
             head=nn.Linear(16, 4))  # fmt: skip
    x = sentences()[0]
    return case(net, (x, bl.tensor(x.numpy() % 4)), token_loss, ADAM)


@healthy
def masked_language_model():
    x = rng().integers(1, 19, (8, 12))
    hidden = rng(1).random(x.shape) < 0.2
    t = np.where(hidden, x, -100)
    return case(
        gpt(causal=False), (bl.tensor(np.where(hidden, 19, x)), bl.tensor(t)), token_loss, ADAM
    )


@healthy
def autoencoder_of_tokens():
    bl.manual_seed(0)

    def f(m, x):
        h = m.enc(m.token(x))[1]
        steps = bl.broadcast_to(h[0][:, None], (x.shape[0], x.shape[1], 16))
        return m.head(m.dec(steps)[0])

    net = Of(f, token=nn.Embedding(20, 16), enc=nn.GRU(16, 16, batch_first=True),
             dec=nn.GRU(16, 16, batch_first=True), head=nn.Linear(16, 20))  # fmt: skip
    x = sentences()[0]
    return case(net, (x, x), token_loss, ADAM)


@healthy
def sequence_to_sequence():
    bl.manual_seed(0)
    net = Of(
        lambda m, s, t: m.head(m.dec(m.token(t), m.enc(m.token(s))[1])[0]),
        token=nn.Embedding(20, 16), enc=nn.GRU(16, 16, batch_first=True),
        dec=nn.GRU(16, 16, batch_first=True), head=nn.Linear(16, 20),
    )  # fmt: skip
    out = rng(5).integers(1, 20, (8, 10))
    batch = sentences()[0], bl.tensor(out[:, :-1]), bl.tensor(out[:, 1:])
    return case(net, batch, token_loss, ADAM)


@healthy
def transformer_encoder_of_copied_layers():
    bl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
    net = Of(lambda m, x: m.head(m.enc(m.token(x)).mean(axis=1)), token=nn.Embedding(20, 16),
             enc=nn.TransformerEncoder(layer, 2), head=nn.Linear(16, 3))  # fmt: skip
    return case(net, (sentences()[0], points(8, classes=3)[1]), CE, (optim.AdamW, {"lr": 1e-3}))


@healthy
def masked_mean_over_padding():
    bl.manual_seed(0)

    def f(m, x):
        real = bl.astype(x != 0, bl.float32)[:, :, None]
        return m.head((m.token(x) * real).sum(axis=1) / real.sum(axis=1))

    net = Of(f, token=nn.Embedding(20, 16, padding_idx=0), head=nn.Linear(16, 2))
    x = padded()
    return case(net, (bl.tensor(x), bl.tensor(x[:, 0] % 2)), CE, ADAM)


@healthy
def last_real_step_of_an_rnn():
    bl.manual_seed(0)

    def f(m, x):
        h = m.rnn(m.token(x))[0]
        last = bl.tensor((x.numpy() != 0).sum(1) - 1)
        at = bl.broadcast_to(last[:, None, None], (x.shape[0], 1, 16))
        return m.head(bl.take_along_axis(h, at, axis=1)[:, 0])

    net = Of(f, token=nn.Embedding(20, 16, padding_idx=0), rnn=nn.GRU(16, 16, batch_first=True),
             head=nn.Linear(16, 2))  # fmt: skip
    x = padded()
    return case(net, (bl.tensor(x), bl.tensor(x[:, 0] % 2)), CE, ADAM)


@healthy
def padding_ignored_in_the_loss():
    x = padded(length=13)

    def loss(y, t):
        return F.cross_entropy(y.reshape(-1, 20), t.reshape(-1), ignore_index=0)

    return case(gpt(), (bl.tensor(x[:, :-1]), bl.tensor(x[:, 1:])), loss, ADAM)


@healthy
def time_first():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(x)[0][-1]), rnn=nn.LSTM(5, 16), head=nn.Linear(16, 3))
    return case(net, (normal(10, 8, 5), points(8, classes=3)[1]), CE, ADAM)


@healthy
def series_forecast():
    bl.manual_seed(0)
    wave = np.sin(np.arange(60) * 0.3 + rng().random((16, 1)) * 6).astype("float32")
    net = Of(lambda m, x: m.head(m.rnn(x[:, :, None])[0])[:, :, 0],
             rnn=nn.LSTM(1, 16, batch_first=True), head=nn.Linear(16, 1))  # fmt: skip
    return case(net, (bl.tensor(wave[:, :-1]), bl.tensor(wave[:, 1:])), MSE, ADAM)


@healthy
def truncated_backpropagation_through_time():
    bl.manual_seed(0)

    def f(m, x):
        y, h = m.rnn(x[:, :5])
        z, _ = m.rnn(x[:, 5:], h.detach())
        return m.head(bl.concat([y, z], axis=1))

    net = Of(f, rnn=nn.GRU(5, 16, batch_first=True), head=nn.Linear(16, 3))
    return case(
        net, (normal(8, 10, 5), bl.tensor(rng(1).integers(0, 3, (8, 10)))), token_loss, ADAM
    )


@healthy
def ctc():
    bl.manual_seed(0)
    net = Of(lambda m, x: F.log_softmax(m.head(m.rnn(x)[0]), 2), rnn=nn.LSTM(6, 16),
             head=nn.Linear(16, 5))  # fmt: skip

    def loss(y, t):
        lengths = bl.tensor(np.full(4, 12)), bl.tensor(np.full(4, 3))
        return F.ctc_loss(y, t, *lengths)

    return case(net, (normal(12, 4, 6), bl.tensor(rng(1).integers(1, 5, (4, 3)))), loss, ADAM)


@healthy
def causal_convolutions():
    bl.manual_seed(0)

    def f(m, x):
        h = bl.permute_dims(m.token(x), (0, 2, 1))
        for c in (m.a, m.b):
            h = F.relu(c(F.pad(h, (2, 0))))
        return m.head(bl.permute_dims(h, (0, 2, 1)))

    net = Of(f, token=nn.Embedding(20, 16), a=nn.Conv1d(16, 16, 3), b=nn.Conv1d(16, 16, 3),
             head=nn.Linear(16, 20))  # fmt: skip
    return case(net, sentences(), token_loss, ADAM)


# -- pictures ------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, channels, zero=True):
        super().__init__()
        self.a, self.b = (nn.Conv2d(channels, channels, 3, padding=1) for _ in "ab")
        self.n = nn.BatchNorm2d(channels)
        if zero:
            self.n.weight.assign(np.zeros(channels, "float32"))

    def forward(self, x):
        return F.relu(x + self.n(self.b(F.relu(self.a(x)))))


@healthy
def residual_branches_that_start_at_zero():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), Residual(8), Residual(8), nn.AvgPool2d(8),
                        nn.Flatten(), nn.Linear(8, 5))  # fmt: skip
    return case(net, pictures(), CE, ADAM)


@healthy
def rezero():
    bl.manual_seed(0)

    def f(m, x):
        h = m.a(x)
        return m.c(h + m.alpha * F.relu(m.b(h)))

    net = Of(f, a=nn.Linear(10, 16), b=nn.Linear(16, 16), c=nn.Linear(16, 4))
    net.alpha = nn.Parameter(bl.zeros((1,)))
    return case(net, points(), CE, ADAM)


@healthy
def low_rank_adapter_that_starts_at_zero():
    bl.manual_seed(0)

    def f(m, x):
        return m.head(F.relu(m.base(x) + m.up(m.down(x))))

    net = Of(f, base=nn.Linear(10, 16), down=nn.Linear(10, 2, bias=False),
             up=nn.Linear(2, 16, bias=False), head=nn.Linear(16, 4))  # fmt: skip
    net.base.requires_grad_(False)
    net.up.weight.assign(np.zeros((16, 2), "float32"))
    made = optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    return case(net, points(), CE, made)


@healthy
def pixels_before_a_batch_norm():
    bl.manual_seed(0)
    x = bl.tensor(rng().integers(0, 256, (16, 1, 8, 8)).astype("float32"))
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(),
                        nn.Linear(288, 5))  # fmt: skip
    return case(net, (x, pictures()[1]), CE, ADAM)


@healthy
def pixels_scaled_by_the_model():
    bl.manual_seed(0)
    x = bl.tensor(rng().integers(0, 256, (16, 1, 8, 8)).astype("float32"))
    net = Of(lambda m, x: m.net(x / 255.0 - 0.5), net=nn.Sequential(nn.Flatten(), mlp(64, 32, 5)))
    return case(net, (x, pictures()[1]), CE, ADAM)


@healthy
def unscaled_features_before_layer_norm():
    x = bl.tensor(rng().normal(50, 300, (32, 10)).astype("float32"))
    return case(nn.Sequential(nn.LayerNorm(10), mlp(10, 16, 4)), (x, points()[1]), CE, ADAM)


@healthy
def convolution_then_batch_norm_of_pixels():
    bl.manual_seed(0)
    x = bl.tensor(rng().integers(0, 256, (16, 1, 8, 8)).astype("float32"))
    net = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
                        nn.Linear(288, 5))  # fmt: skip
    return case(net, (x, pictures()[1]), CE, ADAM)


@healthy
def unet():
    bl.manual_seed(0)

    def f(m, x):
        a = F.relu(m.a(x))
        b = F.relu(m.b(F.max_pool2d(a, 2)))
        return m.d(F.relu(m.c(bl.concat([m.up(b), a], axis=1))))

    net = Of(f, a=nn.Conv2d(1, 8, 3, padding=1), b=nn.Conv2d(8, 16, 3, padding=1),
             up=nn.ConvTranspose2d(16, 8, 2, stride=2), c=nn.Conv2d(16, 8, 3, padding=1),
             d=nn.Conv2d(8, 3, 1))  # fmt: skip
    return case(net, (pictures(4)[0], bl.tensor(rng(1).integers(0, 3, (4, 8, 8)))), CE, ADAM)


@healthy
def segmentation_with_void_pixels():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))
    t = rng(1).integers(0, 3, (4, 8, 8))
    t[:, 0] = 255
    return case(net, (pictures(4)[0], bl.tensor(t)), nn.CrossEntropyLoss(ignore_index=255), ADAM)


@healthy
def dice_of_masks():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.Sigmoid())

    def loss(y, t):
        return 1 - (2 * (y * t).sum() + 1) / (y.sum() + t.sum() + 1)

    t = bl.tensor((pictures(4)[0].numpy() > 0).astype("float32"))
    return case(net, (pictures(4)[0], t), loss, ADAM)


@healthy
def detection_of_one_box():
    bl.manual_seed(0)
    net = Of(lambda m, x: (m.box(m.body(x)), m.kind(m.body(x))),
             body=nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(),
                                nn.Linear(288, 32), nn.ReLU()),
             box=nn.Linear(32, 4), kind=nn.Linear(32, 3))  # fmt: skip
    kinds = bl.tensor(rng(2).integers(0, 3, 16))

    def loss(out, boxes):
        return F.smooth_l1_loss(bl.sigmoid(out[0]), boxes) + CE(out[1], kinds)

    return case(
        net, (pictures()[0], bl.tensor(rng(1).random((16, 4)).astype("float32"))), loss, ADAM
    )


@healthy
def depthwise_then_pointwise():
    bl.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 8, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    return case(net, pictures(channels=4), CE, ADAM)


@healthy
def vision_transformer():
    bl.manual_seed(0)

    def f(m, x):
        p = bl.permute_dims(m.patch(x).reshape(x.shape[0], 16, 4), (0, 2, 1))
        first = bl.broadcast_to(m.first, (x.shape[0], 1, 16))
        h = m.enc(bl.concat([first, p], axis=1) + m.place)
        return m.head(m.norm(h[:, 0]))

    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
    net = Of(f, patch=nn.Conv2d(1, 16, 4, stride=4), enc=nn.TransformerEncoder(layer, 2),
             norm=nn.LayerNorm(16), head=nn.Linear(16, 5))  # fmt: skip
    net.first = nn.Parameter(bl.zeros((1, 1, 16)))
    net.place = nn.Parameter(bl.zeros((1, 5, 16)))
    return case(net, pictures(), CE, ADAM)


@healthy
def binarised_digits():
    x = bl.tensor((rng().random((32, 64)) > 0.8).astype("float32"))
    return case(mlp(64, 32, 10), (x, points(classes=10)[1]), CE, ADAM)


# -- the ordinary --------------------------------------------------------------------------------


@healthy
def logistic_regression():
    bl.manual_seed(0)
    return case(nn.Linear(10, 4), points(), CE, SGD)


@healthy
def linear_regression():
    bl.manual_seed(0)
    return case(nn.Linear(6, 1), values(), MSE, (optim.SGD, {"lr": 0.01}))


@healthy
def multi_label():
    t = bl.tensor((rng(1).random((32, 6)) > 0.7).astype("float32"))
    return case(mlp(10, 32, 6), (points()[0], t), BCE, ADAM)


@healthy
def multi_label_with_weights():
    t = bl.tensor((rng(1).random((64, 6)) > 0.9).astype("float32"))
    loss = nn.BCEWithLogitsLoss(pos_weight=bl.full((6,), 9.0))
    return case(mlp(10, 32, 6), (points(64)[0], t), loss, ADAM)


@healthy
def quantiles():
    q = bl.tensor(np.array([0.1, 0.5, 0.9], "float32"))

    def loss(y, t):
        e = t - y
        return bl.maximum(q * e, (q - 1) * e).mean()

    return case(mlp(6, 32, 3), values(), loss, ADAM)


@healthy
def ordinal_counts():
    x, _ = values()
    t = bl.tensor(rng(3).poisson(3.0, (32, 1)).astype("float32"))
    return case(mlp(6, 32, 1), (x, t), nn.PoissonNLLLoss(), ADAM)


@healthy
def label_smoothing():
    return case(mlp(10, 32, 4), points(), nn.CrossEntropyLoss(label_smoothing=0.1), ADAM)


@healthy
def mixed_up_samples():
    x, t = points()
    soft = np.eye(4, dtype="float32")[t.numpy()]
    mix = bl.tensor((0.7 * x.numpy() + 0.3 * x.numpy()[::-1]).astype("float32"))
    return case(mlp(10, 32, 4), (mix, bl.tensor(0.7 * soft + 0.3 * soft[::-1])), CE, ADAM)


@healthy
def distillation():
    teacher = mlp(10, 64, 4, seed=4)

    def loss(y, x):
        with bl.no_grad():
            soft = F.softmax(teacher(x) / 2.0, 1)
        return F.kl_div(F.log_softmax(y / 2.0, 1), soft, reduction="batchmean") * 4

    x = points()[0]
    return case(mlp(10, 16, 4), (x, x), loss, ADAM)


@healthy
def fine_tuning_with_frozen_features():
    net = mlp(10, 32, 32, 4)
    for layer in (net[0], net[2]):
        layer.requires_grad_(False)
    return case(net, points(), CE, optim.Adam(net[4].parameters(), lr=1e-2))


@healthy
def fine_tuning_with_frozen_batch_norm():
    net = dropped()
    for _ in range(30):
        net(points()[0])
    net[0].requires_grad_(False)
    net[1].requires_grad_(False)
    net[1].eval()
    made = optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    return case(net, points(), CE, made)


@healthy
def fine_tuning_of_a_head_on_a_backbone_in_evaluation_mode():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(F.relu(m.norm(m.body(x)))), body=nn.Linear(10, 16),
             norm=nn.BatchNorm1d(16), head=nn.Linear(16, 4))  # fmt: skip
    for part in (net.body, net.norm):
        part.requires_grad_(False)
        part.eval()
    return case(net, points(), CE, optim.Adam(net.head.parameters(), lr=1e-2))


@healthy
def summed_over_a_large_batch_with_adam():
    loss = nn.MSELoss(reduction="sum")
    return case(mlp(6, 16, 1), values(2048), loss, ADAM)


@healthy
def two_rates_for_two_groups():
    net = mlp(10, 32, 4)
    groups = [{"params": net[0].parameters(), "lr": 1e-5}, {"params": net[2].parameters()}]
    return case(net, points(), CE, optim.Adam(groups, lr=1e-3))


@healthy
def no_decay_for_biases():
    net = mlp(10, 32, 4)
    weights, rest = ([p for p in net.parameters() if (p.ndim > 1) is b] for b in (True, False))
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return case(net, points(), CE, optim.AdamW(groups, lr=1e-3))


@healthy
def warm_up_that_starts_at_zero():
    net = mlp(10, 32, 4)
    made = optim.Adam(net.parameters(), lr=1e-3)
    schedule = lr_scheduler.LambdaLR(made, lambda step: min(1.0, step / 100))
    return case(net, points(), CE, made, schedule=schedule)


@healthy
def tiny_batch():
    return case(mlp(10, 32, 4), points(2), CE, ADAM)


@healthy
def one_sample():
    return case(mlp(10, 32, 4), points(1), CE, ADAM)


@healthy
def huge_batch():
    return case(mlp(10, 32, 4), points(4096), CE, ADAM)


@healthy
def half_precision():
    net = mlp(10, 32, 4)
    net.half()
    x, t = points()
    return case(net, (x.astype("float16"), t), CE, (optim.SGD, {"lr": 0.05}))


@healthy
def double_precision():
    net = mlp(6, 32, 1)
    net.double()
    x, t = values()
    return case(net, (x.astype("float64"), t.astype("float64")), MSE, SGD)


@healthy
def summed_loss_with_a_small_rate():
    return case(mlp(6, 16, 1), values(), nn.MSELoss(reduction="sum"), (optim.SGD, {"lr": 1e-3}))


@healthy
def physics_informed():
    net = mlp(1, 32, 32, 1, act=nn.Tanh)
    x = bl.tensor(np.linspace(0, 1, 32, dtype="float32")[:, None])
    return case(net, (x, bl.tensor(np.sin(3 * x.numpy()))), MSE, ADAM)


@healthy
def mixture_of_experts():
    bl.manual_seed(0)

    def f(m, x):
        g = F.softmax(m.gate(x), 1)
        return sum(g[:, i : i + 1] * e(x) for i, e in enumerate((m.a, m.b)))

    net = Of(f, gate=nn.Linear(10, 2), a=mlp(10, 16, 4), b=mlp(10, 16, 4, seed=1))
    return case(net, points(), CE, ADAM)


@healthy
def entity_embeddings():
    bl.manual_seed(0)
    net = Of(lambda m, x, c: m.net(bl.concat([x, m.a(c[:, 0]), m.b(c[:, 1])], axis=1)),
             a=nn.Embedding(5, 3), b=nn.Embedding(7, 3), net=mlp(12, 16, 1))  # fmt: skip
    x, t = values()
    kinds = bl.tensor(np.stack([rng(1).integers(0, 5, 32), rng(2).integers(0, 7, 32)], 1))
    return case(net, (x, kinds, t), MSE, ADAM)


@healthy
def matrix_factorisation():
    bl.manual_seed(0)
    net = Of(
        lambda m, u, i: (m.u(u) * m.i(i)).sum(axis=1), u=nn.Embedding(12, 6), i=nn.Embedding(15, 6)
    )
    batch = [bl.tensor(rng(k).integers(0, n, 64)) for k, n in ((1, 12), (2, 15))]
    return case(net, (*batch, bl.tensor(rng(3).integers(1, 6, 64).astype("float32"))), MSE, ADAM)


@healthy
def spiral_of_two_classes():
    angle = np.linspace(0, 6, 32)
    x = np.stack([angle * np.cos(angle), angle * np.sin(angle)], 1) / 6
    batch = bl.tensor(x.astype("float32")), bl.tensor(np.arange(32) % 2)
    return case(mlp(2, 32, 32, 2, act=nn.Tanh), batch, CE, ADAM)


@healthy
def hinge():
    x, t = values()
    t = bl.tensor(np.where(t.numpy() > 0, 1.0, -1.0).astype("float32"))
    return case(mlp(6, 16, 1), (x, t), lambda y, t: F.relu(1 - y * t).mean(), ADAM)


@healthy
def focal_loss_of_rare_events():
    t = bl.tensor((rng(1).random((64, 1)) > 0.95).astype("float32"))

    def loss(y, t):
        p = bl.sigmoid(y)
        p = t * p + (1 - t) * (1 - p)
        return -((1 - p) ** 2 * bl.log(p + 1e-8)).mean()

    return case(mlp(10, 16, 1), (points(64)[0], t), loss, ADAM)


# -- whole loops ---------------------------------------------------------------------------------


def looped(body, optimizer=ADAM, net=None, **more):
    net = mlp(10, 16, 4) if net is None else net
    made = optimizer[0](net.parameters(), **optimizer[1])
    extra = {k: v(made) for k, v in more.items()}

    def step(x, t):
        return body(net, made, x, t, *extra.values())

    return case(net, points(), CE, made, step=step, **extra)


@healthy
def ordinary_step():
    def body(net, o, x, t):
        o.zero_grad()
        loss = CE(net(x), t)
        loss.backward()
        o.step()
        return float(loss)

    return looped(body, net=dropped())


@healthy
def gradients_forgotten_at_the_end():
    def body(net, o, x, t):
        CE(net(x), t).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        o.step()
        o.zero_grad()

    return looped(body)


@healthy
def gradients_of_four_batches():
    count = [0]

    def body(net, o, x, t):
        (CE(net(x), t) / 4).backward()
        count[0] += 1
        if count[0] % 4 == 0:
            o.step()
            o.zero_grad()

    return looped(body)


@healthy
def one_cycle_per_batch():
    def body(net, o, x, t, schedule):
        o.zero_grad()
        CE(net(x), t).backward()
        o.step()
        schedule.step()

    return looped(body, SGD, schedule=lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=500))


@healthy
def running_loss_of_numbers():
    total = [0.0]

    def body(net, o, x, t):
        net.train()
        o.zero_grad()
        loss = CE(net(x), t)
        loss.backward()
        o.step()
        total[0] += loss.item()
        net.eval()
        with bl.no_grad():
            net(x)
        return loss

    return looped(body, net=dropped())


@healthy
def shuffled_loader_and_separate_rows():
    x, t = points(160)
    data = TensorDataset(bl.tensor(x.numpy()[:128]), bl.tensor(t.numpy()[:128]))
    test = TensorDataset(bl.tensor(x.numpy()[128:]), bl.tensor(t.numpy()[128:]))
    loader = DataLoader(data, 16, shuffle=True)
    net = dropped()

    def evaluate(x, t):
        net.eval()
        with bl.no_grad():
            right = float((net(x).numpy().argmax(1) == t.numpy()).mean())
        net.train()
        return right

    return case(net, next(iter(loader)), CE, ADAM, data=loader, validation=test, evaluate=evaluate)


@healthy
def random_labels():
    t = bl.tensor(rng(8).integers(0, 4, 256))
    x = points(256)[0]
    return case(mlp(10, 32, 4), (x, t), CE, ADAM, data=TensorDataset(x, t))


@healthy
def tokens_that_occur_twice():
    x = bl.tensor(rng().integers(0, 4, (64, 3)))
    t = bl.tensor(rng(1).integers(0, 2, 64))
    net = nn.Sequential(nn.Embedding(4, 8), nn.Flatten(), nn.Linear(24, 2))
    data = TensorDataset(x, t)
    return case(net, (x, t), CE, ADAM, data=data, validation=data.__class__(x[:20], t[:20]))


@healthy
def two_networks_in_one_step():
    critic = mlp(5, 16, 1, seed=3)
    net = mlp(3, 16, 5)
    one, two = (optim.Adam(x.parameters(), lr=2e-4) for x in (critic, net))
    ones, zeros = bl.ones((32, 1)), bl.zeros((32, 1))

    def step(z, x):
        one.zero_grad()
        (BCE(critic(x), ones) + BCE(critic(net(z).detach()), zeros)).backward()
        one.step()
        two.zero_grad()
        BCE(critic(net(z)), ones).backward()
        two.step()

    return case(net, (normal(32, 3), normal(32, 5, seed=1)), lambda y, x: BCE(critic(y), ones), two,
                step=step)  # fmt: skip


# -- where the same would be a mistake elsewhere -------------------------------------------------


@healthy
def tagger_with_time_first():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(x)[0]), rnn=nn.GRU(5, 12), head=nn.Linear(12, 4))
    t = bl.tensor(rng(1).integers(0, 4, (11, 6)))
    return case(net, (normal(11, 6, 5), t), token_loss, ADAM)


@healthy
def language_model_with_time_first():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(m.token(x))[0]), token=nn.Embedding(20, 12),
             rnn=nn.LSTM(12, 16), head=nn.Linear(16, 20))  # fmt: skip
    x = rng().integers(0, 20, (13, 6))
    return case(net, (bl.tensor(x[:-1]), bl.tensor(x[1:])), token_loss, ADAM)


@healthy
def distributions_compared_by_their_kernels():
    def kernel(a, b):
        return bl.exp(-((a[:, None] - b[None]) ** 2).sum(axis=2) / 4).mean()

    def loss(y, t):
        return kernel(y, y) + kernel(t, t) - 2 * kernel(y, t)

    return case(mlp(3, 16, 4), (normal(32, 3), normal(32, 4, seed=1)), loss, ADAM)


@healthy
def points_of_one_cloud():
    bl.manual_seed(0)

    def f(m, x):
        h = F.relu(m.a(x))
        whole = bl.broadcast_to(h.max(axis=0, keepdims=True), h.shape)
        return m.b(bl.concat([h, whole], axis=1))

    net = Of(f, a=nn.Linear(3, 16), b=nn.Linear(32, 4))
    return case(net, (normal(40, 3), points(40)[1]), CE, ADAM)


@healthy
def student_with_its_teacher_inside():
    bl.manual_seed(0)

    def f(m, x):
        with bl.no_grad():
            wanted = m.teacher(x)
        return m.student(x), wanted

    net = Of(f, student=mlp(10, 16, 8), teacher=mlp(10, 16, 8, seed=1))
    x = points()[0]
    made = optim.Adam(net.student.parameters(), lr=1e-3)
    return case(net, (x, x), lambda out, _: ((out[0] - out[1]) ** 2).mean(), made)


@healthy
def actions_with_negative_returns():
    returns = bl.tensor(-5 * rng(4).random(32).astype("float32"))

    def loss(y, actions):
        p = F.log_softmax(y, 1)
        return -(bl.take_along_axis(p, actions[:, None], axis=1)[:, 0] * returns).mean()

    return case(mlp(4, 16, 3), (normal(32, 4), points(classes=3)[1]), loss, ADAM)


@healthy
def small_inputs_of_a_flow():
    bl.manual_seed(0)

    def f(m, x):
        x = x * m.scale.exp()
        a, moved = x[:, :2], m.net(x[:, :2])
        s = bl.tanh(moved[:, :2])
        return bl.concat([a, x[:, 2:] * s.exp() + moved[:, 2:]], axis=1), s.sum(
            axis=1
        ) + m.scale.sum()

    net = Of(f, net=mlp(2, 16, 16, 4))
    net.scale = nn.Parameter(bl.zeros((4,)))
    x = normal(64, 4, scale=0.01)
    return case(net, (x, x), lambda out, _: (0.5 * (out[0] ** 2).sum(axis=1) - out[1]).mean(), ADAM)


@healthy
def second_order_optimizer():
    return case(mlp(10, 16, 4), points(), CE, (optim.LBFGS, {"lr": 1.0}))
