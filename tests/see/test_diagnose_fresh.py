"""Kinds of bugs that `see.diagnose` was once silent on: what is said, and what to do next."""

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.see import diagnose
from backlit.see.find.diagnose.rules.dataset import no_pairs

CE = nn.CrossEntropyLoss()


def one(found):
    assert len(found) == 1, found
    return found.findings[0]


def points(n=200, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 6)).astype("float32")
    return x, x[:, :2].argmax(1)


def network(out=2):
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, out))


def asked(x, t, net=None, loss=CE, **more):
    return diagnose(net or network(), (bl.tensor(x[:40]), bl.tensor(t[:40])), loss, **more)


def test_validation_data_in_other_units():
    x, t = points()
    wrong = asked(x, t, data=(x[:150], t[:150]), validation=(255 * x[150:], t[150:]))
    f = one(wrong)
    assert f.rule == "validation scaled otherwise"
    assert "deviations are 25" in f.evidence
    assert "of the training rows" in f.next
    assert not asked(x, t, data=(x[:150], t[:150]), validation=(x[150:], t[150:]))


def test_inputs_that_were_shuffled_alone():
    random = np.random.default_rng(0)
    t = random.integers(0, 3, 300)
    x = (4 * random.normal(size=(3, 6))[t] + random.normal(size=(300, 6))).astype("float32")
    f = one(asked(x[random.permutation(300)], t, network(3), data=(x[random.permutation(300)], t)))
    assert f.rule == "targets of other rows"
    assert "3 clear groups" in f.evidence
    assert not asked(x, t, network(3), data=(x, t))
    # groups that are no classes, and no groups
    assert not no_pairs(x, random.integers(0, 3, 300))
    assert not no_pairs(random.normal(size=(300, 6)), t)


@pytest.mark.parametrize(("factor", "silent"), [(lambda s: s // 1000, False),
                                                (lambda s: s / 40, True)])  # fmt: skip
def test_a_schedule_under_which_nothing_moves(factor, silent):
    x, t = points()
    net = network()
    opt = optim.Adam(net.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.LambdaLR(opt, lambda s: min(1, factor(s)))

    def step(x, t):
        opt.zero_grad()
        CE(net(x), t).backward()
        opt.step()
        schedule.step()

    found = asked(x, t, net, optimizer=opt, schedule=schedule, step=step)
    if silent:
        assert not found, found
        return
    f = one(found)
    assert f.rule == "learning rate is 0"
    assert "in all 6 steps" in f.evidence
    assert "s // n" in f.next


def test_a_schedule_before_its_optimizer():
    x, t = points()
    net = network()
    opt = optim.SGD(net.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(opt, gamma=0.99)

    def step(x, t):
        opt.zero_grad()
        CE(net(x), t).backward()
        schedule.step()
        opt.step()

    f = one(asked(x, t, net, optimizer=opt, schedule=schedule, step=step))
    assert f.rule == "schedule before step"
    assert "the first step has the rate 0.099" in f.evidence


@pytest.mark.parametrize("weight", [[0.9, 0.1], [0.1, 0.9], [1.0, 1.0]])
def test_weights_that_are_frequencies(weight):
    x, _ = points(600)
    t = (np.random.default_rng(1).random(600) < 0.1).astype("int64")
    x[:, 0] += 2 * t
    found = asked(x, t, loss=nn.CrossEntropyLoss(weight=bl.tensor(weight)), data=(x, t))
    if weight[0] <= weight[1]:
        assert not found, found
        return
    f = one(found)
    assert f.rule == "class weights"
    assert "1 / frequency" in f.next


class Tokens(nn.Module):
    def __init__(self, read, both=False):
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True, bidirectional=both)
        self.head, self.read = nn.Linear(16 if both else 8, 2), read

    def forward(self, x):
        return self.head(self.read(*self.rnn(self.embedding(x))))


def test_the_way_back_has_seen_one_step():
    x = np.random.default_rng(0).integers(0, 12, (200, 9))
    t = (x[:, 0] > 5).astype("int64")
    f = one(asked(x, t, Tokens(lambda out, h: out[:, -1], both=True)))
    assert f.rule == "one step counts"
    assert "it has seen one of 9 steps" in f.text
    assert "h[-2], h[-1]" in f.next
    for read in (lambda out, h: out.mean(axis=1), lambda out, h: bl.concat([h[0], h[1]], axis=1)):
        assert not asked(x, t, Tokens(read, both=True))


class Attention(nn.Module):
    def __init__(self, width, scale):
        super().__init__()
        self.given, self.norm = nn.Linear(6, width), nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        for layer in (self.q, self.k):
            nn.init.normal_(layer.weight, std=width**-0.5)
        self.out, self.scale = nn.Linear(width, 2), scale

    def forward(self, x):
        h = self.norm(self.given(x))
        scores = self.q(h) @ bl.permute_dims(self.k(h), (0, 2, 1))
        scores = scores / self.scale if self.scale != 1 else scores
        return self.out((nn.functional.softmax(scores, -1) @ self.v(h)).mean(axis=1))


def test_scores_that_grow_with_their_width():
    x = np.random.default_rng(0).normal(size=(40, 7, 6)).astype("float32")
    t = (x[:, 0, 0] > 0).astype("int64")
    f = one(asked(x, t, Attention(128, 1), rehearse=False))
    assert f.rule == "attention scores"
    assert "math.sqrt(d)" in f.next
    assert not asked(x, t, Attention(128, math.sqrt(128)), rehearse=False)


def test_findings_that_say_the_same_are_one():
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.95), nn.Linear(16, 16),
                        nn.ReLU(), nn.Dropout(0.95), nn.Linear(16, 2))  # fmt: skip
    f = one(asked(*points(), net, rehearse=False))
    assert "the same of Sequential.5" in f.evidence
    assert f.line == "in Sequential.2"
