"""Training that goes wrong, each with the rules of `see.diagnose` that name the cause.

The rules were written with these at hand: what they find here is no rate on unseen code.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.nn import functional as F
from backlit.optim import lr_scheduler

CE, MSE, BCE = nn.CrossEntropyLoss(), nn.MSELoss(), nn.BCEWithLogitsLoss()


@dataclass
class Case:
    """What `diagnose` is given."""

    model: Any
    batch: Any
    loss: Any
    optimizer: Any = None
    more: dict[str, Any] = field(default_factory=dict)


def case(model, batch, loss, optimizer=None, **more):
    """A case; an optimizer may be a class and its settings, made of the model's parameters."""
    if isinstance(optimizer, tuple):
        optimizer = optimizer[0](model.parameters(), **optimizer[1])
    return Case(model, batch, loss, optimizer, more)


ADAM, SGD = (optim.Adam, {"lr": 1e-3}), (optim.SGD, {"lr": 0.1})

BUGS: dict[str, Any] = {}


def bug(*rules):
    """Register a bug with the rules that name it."""

    def add(make):
        BUGS[make.__name__] = (rules, make)
        return make

    return add


def rng(seed=0):
    return np.random.default_rng(seed)


def points(n=32, features=10, classes=4, seed=0):
    """Normal features, and labels that depend on them."""
    x = rng(seed).normal(size=(n, features)).astype("float32")
    return bl.tensor(x), bl.tensor((x @ rng(seed + 1).normal(size=(features, classes))).argmax(1))


def values(n=32, features=6, seed=0, column=True):
    """Normal features, and numbers that depend on them."""
    x = rng(seed).normal(size=(n, features)).astype("float32")
    t = (np.tanh(x[:, :2].sum(1)) + 0.1 * rng(seed + 1).normal(size=n)).astype("float32")
    return bl.tensor(x), bl.tensor(t[:, None] if column else t)


def pictures(n=16, seed=0, channels=1, side=8, classes=5):
    x = rng(seed).normal(size=(n, channels, side, side)).astype("float32")
    return bl.tensor(x), bl.tensor(rng(seed + 1).integers(0, classes, n))


def mlp(*sizes, act=nn.ReLU, seed=0):
    bl.manual_seed(seed)
    layers = []
    for i, o in itertools.pairwise(sizes):
        layers += [nn.Linear(i, o), act()]
    return nn.Sequential(*layers[:-1])


class Of(nn.Module):
    """A module of parts and of a function that is given the module and the inputs."""

    def __init__(self, f, **parts):
        super().__init__()
        self.f = f
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x):
        return self.f(self, *x)


def sentences(n=8, length=12, words=20, seed=0):
    """Tokens, and the ones that follow them."""
    tokens = rng(seed).integers(1, words, (n, length + 1))
    return bl.tensor(tokens[:, :-1]), bl.tensor(tokens[:, 1:])


def token_loss(y, t):
    return CE(y.reshape(-1, y.shape[-1]), t.reshape(-1))


def gpt(words=20, width=16, causal=True, length=12, seed=0, shift=0, axis=-1):
    """One block of attention over tokens; `shift` lets each see so many of the future."""
    bl.manual_seed(seed)

    def forward(m, x):
        t = x.shape[1]
        h = m.token(x) + m.place(bl.arange(t))
        q, k, v = m.q(h), m.k(h), m.v(h)
        scores = q @ k.mT / 4.0
        if causal:
            seen = np.tril(np.ones((t, t), bool), shift)
            scores = bl.where(bl.tensor(seen), scores, -1e9)
        h = h + m.o(F.softmax(scores, axis) @ v)
        return m.head(h + m.two(F.relu(m.one(m.norm(h)))))

    return Of(
        forward, token=nn.Embedding(words, width), place=nn.Embedding(length + 1, width),
        q=nn.Linear(width, width), k=nn.Linear(width, width), v=nn.Linear(width, width),
        o=nn.Linear(width, width), norm=nn.LayerNorm(width), one=nn.Linear(width, 32),
        two=nn.Linear(32, width), head=nn.Linear(width, words),
    )  # fmt: skip


def rnn_tagger(words=20, width=16, seed=0, kind=nn.GRU, **more):
    bl.manual_seed(seed)
    return Of(
        lambda m, x: m.head(m.rnn(m.token(x))[0]),
        token=nn.Embedding(words, width), rnn=kind(width, width, **{"batch_first": True, **more}),
        head=nn.Linear(width, words),
    )  # fmt: skip


# -- the loss ------------------------------------------------------------------------------------


@bug("wrong sign")
def sign_of_cross_entropy():
    return case(mlp(10, 16, 4), points(), lambda y, t: -CE(y, t), ADAM)


@bug("wrong sign")
def likelihood_without_a_minus():
    def loss(y, t):
        p = F.log_softmax(y, 1)
        return bl.take_along_axis(p, bl.expand_dims(t, axis=1), axis=1).mean()

    return case(mlp(10, 16, 4), points(), loss, ADAM)


@bug("wrong sign")
def sign_of_a_squared_error_by_hand():
    return case(mlp(6, 16, 1), values(), lambda y, t: (t**2 - (y - t) ** 2).mean(), SGD)


@bug("wrong sign")
def maximised():
    return case(mlp(6, 16, 1), values(), MSE, (optim.SGD, {"lr": 0.01, "maximize": True}))


@bug("wrong sign")
def binary_likelihood_without_a_minus():
    x, t = values()
    t = bl.tensor((t.numpy() > 0).astype("float32"))

    def loss(y, t):
        p = bl.sigmoid(y)
        return (t * bl.log(p) + (1 - t) * bl.log(1 - p)).mean()

    return case(mlp(6, 16, 1), (x, t), loss, ADAM)


@bug("loss is no Tensor")
def loss_as_a_number():
    return case(mlp(10, 16, 4), points(), lambda y, t: CE(y, t).item(), ADAM)


@bug("loss is no Tensor", "no gradient")
def loss_wrapped_again():
    return case(mlp(10, 16, 4), points(), lambda y, t: bl.tensor(CE(y, t).item()), ADAM)


@bug("loss is no Tensor", "no gradient")
def loss_through_numpy():
    def loss(y, t):
        return bl.tensor(np.mean((y.detach().numpy() - t.numpy()) ** 2))

    return case(mlp(6, 16, 1), values(), loss, SGD)


@bug("constant loss")
def cross_entropy_of_one_output():
    x, _ = values()
    return case(mlp(6, 16, 1), (x, bl.tensor(np.zeros(32, "int64"))), CE, ADAM)


@bug("constant loss")
def softmax_of_one_output():
    x, t = values()
    t = bl.tensor((t.numpy() > 0).astype("float32"))
    net = nn.Sequential(mlp(6, 16, 1), nn.Softmax(dim=1))
    return case(net, (x, t), nn.MSELoss(), ADAM)


@bug("no log-probabilities")
def probabilities_into_kl_div():
    x, _ = points()
    soft = bl.tensor(rng().dirichlet(np.ones(4), 32).astype("float32"))
    net = nn.Sequential(mlp(10, 16, 4), nn.Softmax(dim=1))
    return case(net, (x, soft), nn.KLDivLoss(reduction="batchmean"), ADAM)


@bug("no log-probabilities")
def logits_into_kl_div():
    x, _ = points()
    soft = bl.tensor(rng().dirichlet(np.ones(4), 32).astype("float32"))
    return case(mlp(10, 16, 4), (x, soft), nn.KLDivLoss(reduction="batchmean"), ADAM)


@bug("targets do not fit")
def log_targets_into_kl_div():
    x, _ = points()
    soft = bl.tensor(np.log(rng().dirichlet(np.ones(4), 32)).astype("float32"))
    net = nn.Sequential(mlp(10, 16, 4), nn.LogSoftmax(dim=1))
    return case(net, (x, soft), nn.KLDivLoss(reduction="batchmean"), ADAM)


@bug("targets do not fit")
def soft_targets_that_do_not_sum_to_one():
    x, _ = points()
    t = bl.tensor((rng().random((32, 4)) > 0.5).astype("float32"))
    return case(mlp(10, 16, 4), (x, t), CE, ADAM)


@bug("targets do not fit")
def masks_of_255():
    x, t = values()
    t = bl.tensor(np.where(t.numpy() > 0, 255.0, 0.0).astype("float32"))
    return case(mlp(6, 16, 1), (x, t), BCE, ADAM)


@bug("targets do not fit")
def labels_of_minus_one_and_one():
    x, t = values()
    t = bl.tensor(np.where(t.numpy() > 0, 1.0, -1.0).astype("float32"))
    return case(mlp(6, 16, 1), (x, t), BCE, ADAM)


@bug("targets do not fit")
def regression_with_a_sigmoid():
    x, t = values()
    net = nn.Sequential(mlp(6, 16, 1), nn.Sigmoid())
    return case(net, (x, bl.tensor(t.numpy() * 5 + 3)), MSE, ADAM)


@bug("targets do not fit")
def negative_targets_and_a_relu():
    net = nn.Sequential(mlp(6, 16, 1), nn.ReLU())
    return case(net, values(), MSE, ADAM)


@bug("targets do not fit")
def pixels_of_255_and_a_tanh():
    x = bl.tensor(rng().normal(size=(16, 20)).astype("float32"))
    t = bl.tensor(rng().integers(0, 256, (16, 30)).astype("float32"))
    return case(nn.Sequential(mlp(20, 16, 30), nn.Tanh()), (x, t), nn.L1Loss(), ADAM)


@bug("class weights")
def a_class_of_weight_zero():
    loss = nn.CrossEntropyLoss(weight=bl.tensor([1.0, 0.0, 1.0, 1.0]))
    return case(mlp(10, 16, 4), points(), loss, ADAM)


@bug("class weights")
def positive_weight_of_zero():
    x, t = values()
    t = bl.tensor((t.numpy() > 0).astype("float32"))
    loss = nn.BCEWithLogitsLoss(pos_weight=bl.tensor([0.0]))
    return case(mlp(6, 16, 1), (x, t), loss, ADAM)


@bug("ignored labels")
def class_zero_is_ignored():
    return case(mlp(10, 16, 4), points(), nn.CrossEntropyLoss(ignore_index=0), ADAM)


@bug("labels out of range")
def labels_from_one():
    x, t = points()
    return case(mlp(10, 16, 4), (x, t + 1), CE, ADAM)


@bug("labels out of range")
def void_pixels_of_255():
    bl.manual_seed(0)
    t = rng(1).integers(0, 3, (4, 8, 8))
    t[:, 0] = 255
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))
    return case(net, (pictures(4)[0], bl.tensor(t)), CE, ADAM)


@bug("the step raises")
def one_hot_targets_as_integers():
    x, t = points()
    return case(mlp(10, 16, 4), (x, bl.tensor(np.eye(4, dtype="int64")[t.numpy()])), CE, ADAM)


@bug("the step raises")
def column_of_labels():
    x, t = points()
    return case(mlp(10, 16, 4), (x, t.reshape(-1, 1)), CE, ADAM)


@bug("targets not matched")
def batch_averaged_before_the_square():
    return case(mlp(6, 16, 1), values(), lambda y, t: ((y - t).mean(axis=0) ** 2).sum(), ADAM)


@bug("silent broadcasting")
def column_against_vector_in_l1():
    return case(mlp(6, 16, 1), values(column=False), lambda y, t: bl.abs(y - t).mean(), ADAM)


@bug("silent broadcasting", "the step raises")
def sequence_against_its_column():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(x)[0]), rnn=nn.GRU(3, 8, batch_first=True),
             head=nn.Linear(8, 1))  # fmt: skip
    x = bl.tensor(rng().normal(size=(6, 9, 3)).astype("float32"))
    t = bl.tensor(rng(1).normal(size=(6, 9)).astype("float32"))
    return case(net, (x, t), lambda y, t: ((y - t) ** 2).mean(), ADAM)


@bug("log of a softmax")
def log_of_a_softmax():
    def loss(y, t):
        return -bl.take_along_axis(
            bl.log(F.softmax(y, 1)), bl.expand_dims(t, axis=1), axis=1
        ).mean()

    return case(mlp(10, 16, 4), points(), loss, ADAM)


@bug("double softmax")
def softmax_by_hand():
    def f(m, x):
        e = bl.exp(m.net(x))
        return e / e.sum(axis=1, keepdims=True)

    return case(Of(f, net=mlp(10, 16, 4)), points(), CE, ADAM)


@bug("squashed logits", "double softmax")
def sigmoid_before_cross_entropy():
    return case(nn.Sequential(mlp(10, 16, 4), nn.Sigmoid()), points(), CE, ADAM)


@bug("double sigmoid")
def sigmoid_in_forward_by_hand():
    x, t = values()
    t = bl.tensor((t.numpy() > 0).astype("float32"))
    return case(Of(lambda m, x: 1 / (1 + bl.exp(-m.net(x))), net=mlp(6, 16, 1)), (x, t), BCE, ADAM)


# -- the network ---------------------------------------------------------------------------------


@bug("no nonlinearity")
def three_linear_layers():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 32), nn.Linear(32, 32), nn.Linear(32, 4))
    return case(net, points(), CE, ADAM)


@bug("no nonlinearity")
def convolutions_without_activation():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 5))
    return case(net, pictures(), CE, ADAM)


@bug("no nonlinearity")
def activations_made_and_not_used():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.c(m.drop(m.b(m.a(x)))), a=nn.Linear(6, 24), b=nn.Linear(24, 24),
             relu=nn.ReLU(), drop=nn.Dropout(0.1), c=nn.Linear(24, 1))  # fmt: skip
    return case(net, values(), MSE, ADAM)


@bug("dropout on the output")
def dropout_on_logits():
    return case(nn.Sequential(mlp(10, 16, 4), nn.Dropout(0.5)), points(), CE, ADAM)


@bug("dropout")
def dropout_of_almost_all():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Dropout(0.97), nn.Linear(64, 4))
    return case(net, points(), CE, ADAM)


@bug("unregistered parameters")
def layers_in_a_list():
    bl.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(10, 16), nn.Linear(16, 16)]
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            for layer in self.layers:
                x = F.relu(layer(x))
            return self.head(x)

    return case(Net(), points(), CE, ADAM)


@bug("unregistered parameters")
def layers_in_a_dict():
    bl.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(10, 16)
            self.heads = {"a": nn.Linear(16, 4)}

        def forward(self, x):
            return self.heads["a"](F.relu(self.body(x)))

    return case(Net(), points(), CE, ADAM)


@bug("made in forward")
def a_layer_made_in_forward():
    bl.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            return self.head(F.relu(nn.Linear(10, 16)(x)))

    return case(Net(), points(), CE, ADAM)


@bug("frozen statistics")
def batch_norm_left_in_evaluation():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    net[1].eval()
    return case(net, points(), CE, ADAM)


@bug("frozen statistics")
def batch_norm_with_momentum_zero():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16, momentum=0.0), nn.ReLU(),
                        nn.Linear(16, 4))  # fmt: skip
    return case(net, points(), CE, ADAM)


@bug("evaluation mode")
def everything_in_evaluation_mode():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4)).eval()
    return case(net, points(), CE, ADAM)


@bug("normalised over one number")
def layer_norm_of_one_number():
    net = nn.Sequential(mlp(6, 16, 1), nn.LayerNorm(1))
    return case(net, values(), MSE, ADAM)


@bug("normalised over one number", "the step raises")
def batch_norm_of_one_sample():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    return case(net, points(1), CE, ADAM)


@bug("softmax over the wrong axis")
def attention_normalised_over_queries():
    t = bl.tensor(rng(3).integers(0, 20, (8, 12)))
    return case(gpt(axis=-2, causal=False), (sentences()[0], t),
                token_loss, ADAM)  # fmt: skip


@bug("softmax over the wrong axis", "no log-probabilities", "mixing across the batch")
def log_softmax_over_the_batch():
    net = nn.Sequential(mlp(10, 16, 4), nn.LogSoftmax(dim=0))
    return case(net, points(), nn.NLLLoss(), ADAM)


@bug("copies of tied weights")
def tied_weights_copied():
    net = gpt()
    net.head.weight.assign(net.token.weight.numpy().copy())
    return case(net, sentences(), token_loss, ADAM)


@bug("copies of tied weights")
def decoder_of_copied_weights():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.b(bl.tanh(m.a(x))), a=nn.Linear(20, 6), b=nn.Linear(6, 20))
    net.b.weight.assign(net.a.weight.numpy().T.copy())
    x = bl.tensor(rng().normal(size=(16, 20)).astype("float32"))
    return case(net, (x, x), MSE, ADAM)


@bug("symmetric initialisation")
def convolutions_start_equal():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 5))
    net[0].weight.assign(np.full((6, 1, 3, 3), 0.1, "float32"))
    net[0].bias.assign(np.zeros(6, "float32"))
    net[3].weight.assign(np.full((5, 216), 0.01, "float32"))
    return case(net, pictures(), CE, ADAM)


@bug("mixing across the batch")
def time_first_taken_for_batch_first():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(x)[0]), rnn=nn.LSTM(5, 16), head=nn.Linear(16, 3))
    x = bl.tensor(rng().normal(size=(8, 10, 5)).astype("float32"))
    t = bl.tensor(rng(1).integers(0, 3, (8, 10)))
    return case(net, (x, t), token_loss, ADAM)


@bug("mixing across the batch")
def view_that_mixes_batch_and_features():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.b(F.relu(m.a(x)).T.reshape(-1, 24)), a=nn.Linear(10, 24),
             b=nn.Linear(24, 4))  # fmt: skip
    return case(net, points(), CE, ADAM)


@bug("no gradient")
def argmax_inside():
    def f(m, x):
        h = m.a(x)
        return m.b(bl.astype(h == h.max(axis=1, keepdims=True), bl.float32))

    bl.manual_seed(0)
    return case(Of(f, a=nn.Linear(10, 16), b=nn.Linear(16, 4)), points(), CE, ADAM)


@bug("hidden state detached")
def hidden_state_detached_at_each_step():
    bl.manual_seed(0)

    def f(m, x):
        h = bl.zeros((x.shape[0], 16))
        for t in range(x.shape[1]):
            h = m.cell(x[:, t], h.detach())
        return m.head(h)

    net = Of(f, cell=nn.GRUCell(5, 16), head=nn.Linear(16, 3))
    x = bl.tensor(rng().normal(size=(8, 10, 5)).astype("float32"))
    return case(net, (x, bl.tensor(rng(1).integers(0, 3, 8))), CE, ADAM)


# -- sequences -----------------------------------------------------------------------------------


@bug("sees the future")
def causal_mask_forgotten():
    return case(gpt(causal=False), sentences(), token_loss, ADAM)


@bug("sees the future")
def causal_mask_off_by_one():
    return case(gpt(shift=1), sentences(), token_loss, ADAM)


@bug("sees the future")
def bidirectional_language_model():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(m.token(x))[0]), token=nn.Embedding(20, 16),
             rnn=nn.LSTM(16, 16, batch_first=True, bidirectional=True),
             head=nn.Linear(32, 20))  # fmt: skip
    return case(net, sentences(), token_loss, ADAM)


@bug("targets not shifted")
def targets_are_the_inputs():
    x, _ = sentences()
    return case(gpt(), (x, x), token_loss, ADAM)


@bug("targets not shifted")
def targets_shifted_the_other_way():
    x = rng().integers(1, 20, (8, 13))
    return case(rnn_tagger(), (bl.tensor(x[:, 1:]), bl.tensor(x[:, :-1])), token_loss, ADAM)


@bug("targets shifted twice")
def targets_shifted_twice():
    def loss(y, t):
        return token_loss(y[:, :-1], t[:, 1:])

    return case(gpt(), sentences(), loss, ADAM)


@bug("targets not shifted")
def teacher_forcing_shows_the_answer():
    bl.manual_seed(0)
    net = Of(
        lambda m, s, t: m.head(m.dec(m.token(t), m.enc(m.token(s))[1])[0]),
        token=nn.Embedding(20, 16), enc=nn.GRU(16, 16, batch_first=True),
        dec=nn.GRU(16, 16, batch_first=True), head=nn.Linear(16, 20),
    )  # fmt: skip
    out = bl.tensor(rng(5).integers(1, 20, (8, 9)))
    return case(net, (sentences()[0], out, out), token_loss, ADAM)


def padded(n=16, length=12, words=20, seed=0):
    x = rng(seed).integers(1, words, (n, length))
    for row, end in enumerate(rng(seed + 1).integers(4, length + 1, n)):
        x[row, end:] = 0
    return x


@bug("padding counts")
def mean_over_padding():
    bl.manual_seed(0)
    token = nn.Embedding(20, 16, padding_idx=0)
    net = Of(lambda m, x: m.head(m.token(x).mean(axis=1)), token=token,
             head=nn.Linear(16, 2))  # fmt: skip
    x = padded()
    return case(net, (bl.tensor(x), bl.tensor(x[:, 0] % 2)), CE, ADAM)


@bug("padding counts")
def padding_is_a_word():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.rnn(m.token(x))[0][:, -1]), token=nn.Embedding(20, 16),
             rnn=nn.GRU(16, 16, batch_first=True), head=nn.Linear(16, 2))  # fmt: skip
    x = padded()
    return case(net, (bl.tensor(x), bl.tensor(x[:, 0] % 2)), CE, ADAM)


@bug("padding is learnt")
def loss_over_padding():
    x = padded(length=13)
    return case(gpt(), (bl.tensor(x[:, :-1]), bl.tensor(x[:, 1:])), token_loss, ADAM)


@bug("padding is learnt")
def another_ignore_index():
    x = padded(length=13)

    def loss(y, t):
        return F.cross_entropy(y.reshape(-1, 20), t.reshape(-1), ignore_index=1)

    return case(gpt(), (bl.tensor(x[:, :-1]), bl.tensor(x[:, 1:])), loss, ADAM)


# -- data ----------------------------------------------------------------------------------------


@bug("bad data")
def nan_in_the_inputs():
    x, t = points()
    x = x.numpy().copy()
    x[3, 2] = np.nan
    return case(mlp(10, 16, 4), (bl.tensor(x), t), CE, ADAM)


@bug("bad data")
def nan_in_the_targets():
    x, t = values()
    t = t.numpy().copy()
    t[3] = np.nan
    return case(mlp(6, 16, 1), (x, bl.tensor(t)), MSE, ADAM)


@bug("constant inputs")
def bytes_divided_by_floor():
    x = (rng().integers(0, 255, (16, 1, 8, 8)).astype("uint8") // 255).astype("float32")
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    return case(net, (bl.tensor(x), pictures()[1]), CE, ADAM)


@bug("rounded inputs")
def bytes_divided_by_floor_with_white_spots():
    x = (rng().integers(0, 256, (16, 1, 16, 16)).astype("uint8") // 255).astype("float32")
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 196, 5))
    return case(net, (bl.tensor(x), pictures()[1]), CE, ADAM)


@bug("unscaled inputs")
def pictures_to_255():
    x = rng().integers(0, 256, (16, 1, 8, 8)).astype("float32")
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    return case(net, (bl.tensor(x), pictures()[1]), CE, ADAM)


@bug("unscaled targets")
def prices_of_houses():
    x, t = values()
    return case(mlp(6, 16, 1), (x, bl.tensor(t.numpy() * 9e4 + 2.5e5)), MSE, ADAM)


@bug("duplicates")
def the_same_sample_always():
    x, t = points()
    x = np.repeat(x.numpy()[:1], 32, 0)
    return case(mlp(10, 16, 4), (bl.tensor(x), t), CE, ADAM)


@bug("not shuffled")
def sorted_and_not_shuffled():
    x, t = points(128)
    order = np.argsort(t.numpy(), kind="stable")
    x, t = bl.tensor(x.numpy()[order]), bl.tensor(t.numpy()[order])
    loader = DataLoader(TensorDataset(x, t), 16)
    return case(mlp(10, 16, 4), next(iter(loader)), CE, ADAM, data=loader)


@bug("validation rows in training")
def validation_leaks():
    x, t = points(128)
    x, t = x.numpy(), t.numpy()
    train = TensorDataset(bl.tensor(x[:100]), bl.tensor(t[:100]))
    test = TensorDataset(bl.tensor(x[80:]), bl.tensor(t[80:]))
    batch = bl.tensor(x[:32]), bl.tensor(t[:32])
    return case(mlp(10, 16, 4), batch, CE, ADAM, data=train, validation=test)


@bug("targets of other rows")
def labels_of_the_row_before():
    x, t = points(256)
    t = bl.tensor(np.roll(t.numpy(), 1))
    data = TensorDataset(x, t)
    return case(mlp(10, 16, 4), (bl.tensor(x.numpy()[:64]), bl.tensor(t.numpy()[:64])), CE, ADAM,
                data=data)  # fmt: skip


@bug("targets of other rows")
def inputs_and_targets_shuffled_apart():
    x, t = points(512)
    t = t.numpy().copy()
    t[:384] = t[rng(9).permutation(384)]
    train = TensorDataset(bl.tensor(x.numpy()[:384]), bl.tensor(t[:384]))
    test = TensorDataset(bl.tensor(x.numpy()[384:]), bl.tensor(t[384:]))
    batch = bl.tensor(x.numpy()[:64]), bl.tensor(t[:64])
    return case(mlp(10, 16, 4), batch, CE, ADAM, data=train, validation=test)


@bug("one class")
def nearly_one_class():
    x, _ = points(64)
    t = np.zeros(64, "int64")
    t[:2] = 1
    net = mlp(10, 16, 4)
    net[2].bias.assign(np.array([5.0, 0, 0, 0], "float32"))
    return case(net, (x, bl.tensor(t)), CE, ADAM)


# -- the optimizer -------------------------------------------------------------------------------


@bug("weight decay")
def weight_decay_of_ten():
    return case(mlp(10, 16, 4), points(), CE, (optim.SGD, {"lr": 0.01, "weight_decay": 10.0}))


@bug("weight decay")
def adamw_decay_of_a_hundred():
    return case(mlp(10, 16, 4), points(), CE, (optim.AdamW, {"lr": 1e-3, "weight_decay": 100.0}))


@bug("weight decay")
def adam_decay_of_one():
    return case(mlp(10, 16, 4), points(), CE, (optim.Adam, {"lr": 1e-3, "weight_decay": 1.0}))


@bug("optimizer")
def optimizer_of_another_model():
    other = optim.Adam(mlp(10, 16, 4, seed=3).parameters())
    return case(mlp(10, 16, 4), points(), CE, other)


@bug("learning rates of groups")
def one_group_at_a_millionth():
    net = mlp(10, 16, 4)
    groups = [{"params": net[0].parameters(), "lr": 1e-9}, {"params": net[2].parameters()}]
    return case(net, points(), CE, optim.Adam(groups, lr=1e-3))


@bug("learning rates of groups")
def one_group_at_ten():
    net = mlp(10, 16, 4)
    groups = [{"params": net[0].parameters(), "lr": 5.0}, {"params": net[2].parameters()}]
    return case(net, points(), CE, optim.SGD(groups, lr=1e-3))


@bug("learning rate is 0", "learning rate too low")
def learning_rate_of_zero():
    return case(mlp(10, 16, 4), points(), CE, (optim.SGD, {"lr": 0.0}))


@bug("learning rate too high")
def sum_that_diverges_in_four_steps():
    net = mlp(6, 16, 1)
    return case(net, values(64), lambda y, t: ((y - t) ** 2).sum(), (optim.SGD, {"lr": 1.0}))


@bug("learning rate too high")
def sgd_at_three():
    return case(mlp(6, 64, 64, 1), values(), MSE, (optim.SGD, {"lr": 3.0}))


@bug("optimizer settings")
def momentum_of_nearly_one():
    return case(mlp(10, 16, 4), points(), CE, (optim.SGD, {"lr": 0.01, "momentum": 0.9995}))


# -- the loop ------------------------------------------------------------------------------------


def looped(body, optimizer=ADAM, net=None, **more):
    """A case whose step is `body(model, optimizer, x, t)`."""
    net = mlp(10, 16, 4) if net is None else net
    made = optimizer[0](net.parameters(), **optimizer[1])
    extra = {k: v(made) if callable(v) else v for k, v in more.items()}

    def step(x, t):
        return body(net, made, x, t, *extra.values())

    return case(net, points(), CE, made, step=step, **extra)


@bug("zero_grad forgotten")
def zero_grad_forgotten_in_the_step():
    def body(net, o, x, t):
        loss = CE(net(x), t)
        loss.backward()
        o.step()

    return looped(body)


@bug("zero_grad after backward")
def zero_grad_after_backward():
    def body(net, o, x, t):
        loss = CE(net(x), t)
        loss.backward()
        o.zero_grad()
        o.step()

    return looped(body)


@bug("backward forgotten")
def backward_forgotten():
    def body(net, o, x, t):
        o.zero_grad()
        loss = CE(net(x), t)
        o.step()
        return loss

    return looped(body)


@bug("step forgotten")
def step_forgotten():
    def body(net, o, x, t):
        o.zero_grad()
        CE(net(x), t).backward()

    return looped(body)


@bug("gradients clipped away")
def clipped_to_nothing():
    def body(net, o, x, t):
        o.zero_grad()
        CE(net(x), t).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1e-8)
        o.step()

    return looped(body, SGD)


@bug("gradients clipped away")
def values_clipped_to_nothing():
    def body(net, o, x, t):
        o.zero_grad()
        CE(net(x), t).backward()
        nn.utils.clip_grad_value_(net.parameters(), 1e-9)
        o.step()

    return looped(body, SGD)


@bug("schedule per batch")
def schedule_per_batch():
    def body(net, o, x, t, schedule):
        o.zero_grad()
        CE(net(x), t).backward()
        o.step()
        schedule.step()

    return looped(body, SGD, schedule=lambda o: lr_scheduler.StepLR(o, 5, 0.1))


@bug("schedule per batch")
def cosine_per_batch():
    def body(net, o, x, t, schedule):
        o.zero_grad()
        CE(net(x), t).backward()
        o.step()
        schedule.step()

    return looped(body, SGD, schedule=lambda o: lr_scheduler.CosineAnnealingLR(o, 10))


@bug("graph kept")
def losses_kept_in_a_list():
    kept = []

    def body(net, o, x, t):
        o.zero_grad()
        loss = CE(net(x), t)
        loss.backward()
        o.step()
        kept.append(loss)

    return looped(body)


@bug("graph kept")
def total_of_tensors():
    total = [0.0]

    def body(net, o, x, t):
        o.zero_grad()
        loss = CE(net(x), t)
        loss.backward()
        o.step()
        total[0] = total[0] + loss

    return looped(body)


@bug("graph kept")
def hidden_state_is_kept():
    bl.manual_seed(0)
    net = Of(lambda m, x, h=None: m.head(m.cell(x, h)), cell=nn.GRUCell(10, 16),
             head=nn.Linear(16, 4))  # fmt: skip
    state = [bl.zeros((32, 16))]

    def body(net, o, x, t):
        o.zero_grad()
        state[0] = net.cell(x, state[0])
        CE(net.head(state[0]), t).backward(retain_graph=True)
        o.step()

    return looped(body, net=net)


def dropped():
    bl.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3),
                         nn.Linear(16, 4))  # fmt: skip


@bug("evaluation mode")
def step_that_stays_in_evaluation_mode():
    def body(net, o, x, t):
        o.zero_grad()
        CE(net(x), t).backward()
        o.step()
        net.eval()
        net(x)

    return looped(body, net=dropped())


@bug("training mode while evaluating")
def evaluation_in_training_mode():
    net = dropped()

    def evaluate(x, t):
        with bl.no_grad():
            return float((net(x).numpy().argmax(1) == t.numpy()).mean())

    return case(net, points(), CE, ADAM, evaluate=evaluate)


@bug("step before backward")
def step_before_backward():
    def body(net, o, x, t):
        o.zero_grad()
        loss = CE(net(x), t)
        o.step()
        loss.backward()

    return looped(body)


@bug("optimizer made anew")
def optimizer_made_in_the_step():
    net = mlp(10, 16, 4)

    def step(x, t):
        made = optim.Adam(net.parameters())
        made.zero_grad()
        CE(net(x), t).backward()
        made.step()

    return case(net, points(), CE, step=step)


@bug("mixing across the batch")
def attention_along_the_batch():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.mix(x, x, x)[0].mean(axis=1)), mix=nn.MultiheadAttention(8, 2),
             head=nn.Linear(8, 3))  # fmt: skip
    x = bl.tensor(rng().normal(size=(12, 7, 8)).astype("float32"))
    return case(net, (x, bl.tensor(rng(1).integers(0, 3, 12))), CE, ADAM)


@bug("mixing across the batch")
def normalised_over_the_batch_by_hand():
    def f(m, x):
        h = m.a(x)
        return m.b(F.relu((h - h.mean(axis=0)) / (h.std(axis=0) + 1e-5)))

    bl.manual_seed(0)
    return case(Of(f, a=nn.Linear(10, 16), b=nn.Linear(16, 4)), points(), CE, ADAM)


@bug("unregistered parameters")
def a_plain_tensor_for_a_weight():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(F.relu(x @ m.weight)), head=nn.Linear(16, 4))
    net.weight = bl.tensor(rng().normal(size=(10, 16)).astype("float32"), requires_grad=True)
    return case(net, points(), CE, ADAM)


@bug("graph kept")
def hidden_state_that_is_not_detached():
    bl.manual_seed(0)
    net = Of(lambda m, x: m.head(m.cell(x)), cell=nn.GRUCell(10, 16), head=nn.Linear(16, 4))
    state = [bl.zeros((32, 16))]

    def body(net, o, x, t):
        o.zero_grad()
        state[0] = net.cell(x, state[0])
        CE(net.head(state[0]), t).backward()
        o.step()

    return looped(body, net=net)
