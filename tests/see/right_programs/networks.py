"""Right modules: with states of their own, several outputs, tied weights, running numbers."""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.nn import functional as F


class Residual(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return F.relu(x + self.b(F.relu(self.a(x))))


class OwnState(nn.Module):
    """A recurrent layer that makes its state with zeros."""

    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = bl.zeros((x.shape[0], 4))
        for t in range(x.shape[1]):
            h = bl.tanh(self.i(x[:, t]) + self.h(h))
        return h


class OwnLstmState(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        h, c = bl.zeros((1, x.shape[0], 4)), bl.zeros((1, x.shape[0], 4))
        y, _ = self.rnn(x, (h, c))
        return self.out(y[:, -1])


class Tied(nn.Module):
    """A language model whose last layer is its table of words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.inner = nn.Linear(4, 4)
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.words.weight

    def forward(self, x):
        return self.out(bl.tanh(self.inner(self.words(x))))


class Heads(nn.Module):
    """Two outputs in a dictionary."""

    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x):
        h = F.relu(self.body(x))
        return {"classes": self.a(h), "value": self.b(h)}


class Pair(Heads):
    def forward(self, x):
        h = F.relu(self.body(x))
        return self.a(h), self.b(h)


class OfDictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, inputs):
        return bl.tanh(self.a(inputs["left"]) + self.b(inputs["right"]))


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.log_variance, self.back = nn.Linear(5, 2), nn.Linear(5, 2), nn.Linear(2, 5)

    def forward(self, x):
        mean, log_variance = self.mean(x), self.log_variance(x)
        z = mean + bl.exp(log_variance / 2) * bl.random.normal(mean.shape)
        kl = -0.5 * (1 + log_variance - mean**2 - bl.exp(log_variance)).sum(axis=1)
        return ((self.back(z) - x) ** 2).sum(axis=1) + kl


class Cnn(nn.Module):
    def __init__(self, *middle):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *middle, nn.Flatten())
        self.out = nn.Linear(4 * 16, 10)

    def forward(self, x):
        return self.out(self.layers(x))


class Running(nn.Module):
    """A module with a buffer that every call changes."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.register_buffer("seen", bl.zeros((3,)))

    def forward(self, x):
        y = self.lin(x)
        with bl.no_grad():
            self.seen.assign(0.9 * self.seen + 0.1 * y.mean(axis=0))
        return bl.tanh(y)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 4, padding_idx=0)
        self.rnn = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.out = nn.Linear(6, 3)

    def forward(self, words, lengths):
        y, _ = self.rnn(self.words(words), lengths=lengths)
        return self.out(y)


class Crf(nn.Module):
    def __init__(self):
        super().__init__()
        self.crf = nn.CRF(3)

    def forward(self, emissions, tags, mask):
        return -self.crf(emissions, tags, mask=mask)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(9, 8), nn.Embedding(5, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.out = nn.Linear(8, 9)

    def forward(self, x):
        h = self.words(x) + self.places(bl.arange(x.shape[1]))
        mask = bl.triu(bl.ones((x.shape[1], x.shape[1]), dtype="bool"), k=1)
        return self.out(self.layer(h, src_mask=mask))


class With(nn.Module):
    """A function of a module and the inputs."""

    def __init__(self, module, function):
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *inputs):
        return self.function(self.module, *inputs)
