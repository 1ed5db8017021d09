"""Right modules, for the second half of the programs."""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.nn import functional as F


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))

    def forward(self, a, b):
        return ((self.body(a) - self.body(b)) ** 2).sum(axis=1)


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(12, 4)
        self.rnn = nn.GRU(4, 5, num_layers=2, batch_first=True)
        self.out = nn.Linear(5, 12)

    def forward(self, x):
        h = bl.zeros((2, x.shape[0], 5))
        y, _ = self.rnn(self.words(x), h)
        return self.out(y)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 3))
        self.outward = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 64), nn.Sigmoid())

    def forward(self, x):
        return ((self.outward(self.inward(x)) - x) ** 2).mean()


class DepthWise(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 2, 3, padding=1, groups=2)
        self.b, self.norm = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return F.relu6(self.norm(self.b(self.a(x))))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.middle = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(3, 3, 2, stride=2), nn.Conv2d(6, 1, 1)

    def forward(self, x):
        a = F.relu(self.down(x))
        b = F.relu(self.middle(F.max_pool2d(a, 2)))
        return self.out(bl.concat([a, self.up(b)], axis=1))


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 2), nn.Linear(2, 4)

    def forward(self, x):
        return x * bl.sigmoid(self.b(F.relu(self.a(x.mean(axis=(2, 3))))))[:, :, None, None]


class Mixture(nn.Module):
    """Experts, of which the best one is taken."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList([nn.Linear(4, 2) for _ in range(3)])

    def forward(self, x):
        scores = F.softmax(self.gate(x), -1)
        best = bl.argmax(scores, axis=1)
        outputs = bl.stack([e(x) for e in self.experts], axis=1)
        index = best[:, None]
        chosen = bl.take_along_axis(scores, index, axis=1)
        return (
            bl.take_along_axis(
                outputs, index[:, :, None] + bl.zeros((1, 1, 2), dtype="int64"), axis=1
            )[:, 0]
            * chosen
        )


class Masked(nn.Module):
    """A plain Tensor as an attribute, which is no buffer."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.mask = bl.tril(bl.ones((4, 4)))

    def forward(self, x):
        return F.linear(x, self.lin.weight * self.mask, self.lin.bias)


class Counting(nn.Module):
    """Keeps a running mean in an attribute that is replaced."""

    def __init__(self):
        super().__init__()
        self.lin, self.mean = nn.Linear(3, 3), None

    def forward(self, x):
        y = self.lin(x)
        now = y.detach().mean(axis=0)
        self.mean = now if self.mean is None else 0.9 * self.mean + 0.1 * now
        return bl.tanh(y)


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.h, self.t = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        t = bl.sigmoid(self.t(x))
        return t * F.relu(self.h(x)) + (1 - t) * x


class Decoder(nn.Module):
    """Attention over what came before, with a mask of padding."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(8, 6, padding_idx=0)
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        h = self.words(x)
        y, _ = self.attend(h, h, h, key_padding_mask=x == 0)
        return self.norm(h + y)


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 3)

    def forward(self, x):
        w = self.lin.weight
        return x @ (w / bl.linalg.svd(w, full_matrices=False)[1][0]).mT
