"""Graphs that several tests of `see` look at."""

import numpy as np

import backlit as bl
from backlit import nn, see


class Linear(nn.Module):
    def __init__(self, inputs, outputs, rng):
        super().__init__()
        self.weight = nn.Parameter(rng.normal(size=(outputs, inputs)) / inputs**0.5)
        self.bias = nn.Parameter(np.zeros(outputs))

    def forward(self, x):
        return x @ self.weight.mT + self.bias


class Block(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.up, self.down = Linear(8, 16, rng), Linear(16, 8, rng)

    def forward(self, x):
        return x + self.down(bl.tanh(self.up(x)))


class Deep(nn.Module):
    def __init__(self, blocks=12):
        super().__init__()
        rng = np.random.default_rng(0)
        self.embed = Linear(4, 8, rng)
        for i in range(blocks):
            self.add_module(f"block{i}", Block(rng))
        self.blocks = blocks
        self.head = Linear(8, 3, rng)

    def forward(self, x):
        x = self.embed(x)
        for i in range(self.blocks):
            x = getattr(self, f"block{i}")(x)
        return self.head(x)


def lecture():
    """f = (x + y) · max(y, z), the graph of the lectures."""
    x = bl.tensor(-2.0, requires_grad=True)
    y = bl.tensor(5.0, requires_grad=True)
    z = bl.tensor(-4.0, requires_grad=True)
    q = x + y
    m = bl.maximum(y, z)
    f = q * m
    return see.record(f)


def deep(blocks=12):
    """The mean square of a network of residual blocks."""
    rng = np.random.default_rng(1)
    X = bl.tensor(rng.normal(size=(6, 4)))
    out = Deep(blocks)(X)
    loss = (out * out).mean()
    return see.record(loss)


def large(nodes=10_000):
    """A graph without modules and with few repetitions."""
    rng = np.random.default_rng(0)
    pool = [bl.tensor(float(v), requires_grad=True) for v in rng.normal(size=nodes // 20)]
    last = pool[0]
    kinds = [
        lambda a, b: a + b,
        lambda a, b: a * b,
        bl.maximum,
        lambda a, b: a - b,
    ]
    made = len(pool)
    while made < nodes * 1.06:  # not every leaf is used
        other = pool[int(rng.integers(max(0, len(pool) - 40), len(pool)))]
        last = bl.sin(kinds[int(rng.integers(4))](last, other))
        pool.append(last)
        made += 2
    return see.record(last)
