"""Where PyTorch is spoken, a part that is changed in place changes what it is a part of."""

import numpy as np
import pytest

import backlit
import backlit.torch as torch
from backlit.errors import GradientError


def test_parts_write_through():
    x = torch.zeros(2, 3)
    x[0][1] = 5
    x[1].fill_(2)
    x[0, 1:][1] = 4
    row = x[1]
    row += 1
    row *= 2
    for line in x:
        line -= 1
    assert x.tolist() == [[-1, 4, 3], [5, 5, 5]]
    y = torch.zeros(3)
    first, second = y[0], y[1:]
    first += 1
    second += 2
    assert y.tolist() == [1, 2, 2]
    chosen = x[torch.tensor([0, 1])]
    chosen += 1
    assert x.tolist() == [[-1, 4, 3], [5, 5, 5]]


def test_a_gradient_goes_through_what_was_written():
    w = torch.tensor([2.0, 3.0], requires_grad=True)
    x = torch.zeros(2, 2)
    x[0][1] = w[0] * w[1]
    x[1].copy_(w * w)
    (x[0] * 10 + x[1]).sum().backward()
    assert w.grad.tolist() == [34, 26]
    with pytest.raises(GradientError, match="a leaf that requires a gradient"):
        w[0].fill_(1.0)
    with torch.no_grad():
        w[0].fill_(1.0)
    assert w.tolist() == [1, 3]


def test_a_part_that_is_out_of_date_is_refused():
    x = torch.zeros(3)
    part = x[:2]
    x += 1
    with pytest.raises(
        GradientError, match=r"add_.*is a part of one \(float32\[3\]\) that has cha"
    ):
        part.add_(1)
    assert x.tolist() == [1, 1, 1]


def test_a_captured_function_writes_through():
    def step(x):
        y = x * 2
        y[0][1] = 7.0
        y[1].mul_(10)
        return y

    x = torch.ones(2, 2)
    assert backlit.compile(step)(x).tolist() == step(x).tolist() == [[2, 7], [20, 20]]
    assert np.array_equal(x.numpy(), np.ones((2, 2)))
