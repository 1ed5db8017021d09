"""`see.operations`: how much a computation has to do."""

from __future__ import annotations

import pytest

import backlit as bl
from backlit import nn, see
from backlit.errors import ArgumentError
from backlit.nn import functional as f


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
        self.fc = nn.Linear(6 * 4 * 4, 5)

    def forward(self, x):
        return self.fc(f.relu(self.conv(x)).reshape((x.shape[0], -1)))


def test_multiply_adds_are_those_of_products_by_hand() -> None:
    count = see.operations(Net(), bl.zeros((2, 4, 8, 8)))
    conv, fc = 2 * (6 * 4 * 4) * (2 * 3 * 3), 2 * 96 * 5
    assert count.by("module") == {"Net.conv": conv, "Net.fc": fc}
    assert count.by("op") == {"convolution": conv, "matmul": fc}
    assert list(count.by("line").values()) == [conv + fc]  # both stand in one line
    assert count.multiply_adds == conv + fc
    others = 2 * 96 * 2 + 2 * 5  # the two biases and relu
    assert count.operations == 2 * (conv + fc) + others
    assert len(count.table()) == 2
    assert f"{conv + fc:,} multiply-adds in products" in repr(count)


def test_a_backward_pass_is_counted_and_nothing_is_computed_or_changed() -> None:
    model = Net()

    def step(x):
        loss = model(x).sum()
        loss.backward()
        return loss

    count = see.operations(step, bl.zeros((2, 4, 8, 8)))
    forward = see.operations(model, bl.zeros((2, 4, 8, 8)))
    assert count.multiply_adds == 2 * forward.by("module")["Net.conv"] + 3 * 960
    assert model.fc.weight.grad is None


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"function must be a network or a function, got int"):
        see.operations(3)
    with pytest.raises(ArgumentError, match=r'what must be "line", "module" or "op", got kind'):
        see.operations(Net(), bl.zeros((1, 4, 8, 8))).by("kind")
