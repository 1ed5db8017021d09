"""Where PyTorch is spoken, a part that is changed in place changes what it is a part of."""

import copy
import weakref

import numpy as np
import pytest

import backlit
import backlit.torch as torch
from backlit.errors import GradientError
from backlit.ops import movement


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


def test_counting_in_a_table_does_not_copy_it(monkeypatch):
    x = torch.zeros(2, 3)
    copied = []
    set_slice = movement.SetSlice.forward
    monkeypatch.setattr(
        movement.SetSlice, "forward", lambda *args: copied.append(args) or set_slice(*args)
    )
    for i, j in ((0, 1), (1, 2), (0, 1)):
        x[i, j] += 1
        x[i, j].mul_(2)
        x[:, 0] = x[i, j]
    assert x.tolist() == [[6, 6, 0], [6, 0, 2]]
    assert not copied
    row, one = x[0], x[0, 1]
    x[0, 1] += 1
    assert (row.tolist(), one.item(), x[0].tolist()) == ([6, 6, 0], 6, [6, 7, 0])
    with pytest.raises(GradientError, match="is a part of one"):
        row += 1
    with pytest.raises(GradientError, match="is a part of one"):
        one += 1
    value = x[1, 2]
    x[0, 0] = value
    value += 1
    assert x.tolist() == [[2, 7, 0], [6, 0, 3]]


def test_other_shapes_and_orders_write_through():
    for write, wanted in {
        lambda x: x.view(-1)[4].fill_(9): [[1, 2, 3], [4, 9, 6]],
        lambda x: x.reshape(3, 2)[0].zero_(): [[0, 0, 3], [4, 5, 6]],
        lambda x: torch.flatten(x).add_(1): [[2, 3, 4], [5, 6, 7]],
        lambda x: x.unsqueeze(0)[0, 1].neg_(): [[1, 2, 3], [-4, -5, -6]],
        lambda x: x[None].squeeze(0).mul_(2): [[2, 4, 6], [8, 10, 12]],
        lambda x: x.t()[0].zero_(): [[0, 2, 3], [0, 5, 6]],
        lambda x: x.T[2].fill_(7): [[1, 2, 7], [4, 5, 7]],
        lambda x: x.mT.add_(1): [[2, 3, 4], [5, 6, 7]],
        lambda x: x.permute(1, 0)[1].fill_(8): [[1, 8, 3], [4, 8, 6]],
        lambda x: torch.transpose(x, 0, 1)[:, 0].zero_(): [[0, 0, 0], [4, 5, 6]],
        lambda x: x.diagonal().fill_(0): [[0, 2, 3], [4, 0, 6]],
        lambda x: x.chunk(3, dim=1)[1].zero_(): [[1, 0, 3], [4, 0, 6]],
        lambda x: x.narrow(1, 0, 2).zero_(): [[0, 0, 3], [0, 0, 6]],
        lambda x: torch.unbind(x)[1].zero_(): [[1, 2, 3], [0, 0, 0]],
        lambda x: x.flip(0).zero_(): [[1, 2, 3], [4, 5, 6]],  # a copy, as in PyTorch
        lambda x: x.clone().view(-1).zero_(): [[1, 2, 3], [4, 5, 6]],
    }.items():
        x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        write(x)
        assert x.tolist() == wanted
        compiled = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

        def step(x, write=write):
            y = x * 1
            write(y)
            return y

        assert backlit.compile(step)(compiled).tolist() == wanted
    w = torch.ones(2, 2, requires_grad=True)
    w.data.view(-1).fill_(5)
    w.data.t()[0].mul_(2)
    w.data[0].view(2, 1)[1] = 3.0
    assert w.tolist() == [[10, 3], [10, 5]]
    w = torch.ones(2, 2, requires_grad=True)
    x = w * 1
    x.view(-1)[0] = 5.0
    x.t()[1].mul_(3)
    x.sum().backward()
    assert w.grad.tolist() == [[0, 3], [1, 3]]


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


def test_what_is_detached_writes_through_off_the_tape():
    w = torch.ones(2, requires_grad=True)
    y = w.detach()
    y += 1
    y.view(-1)[0] = 5.0
    w.detach()[1].mul_(3)
    assert (w.tolist(), y.tolist(), w.requires_grad, w.node) == ([5, 6], [5, 2], True, None)
    z = w * 2
    torch.detach(z).fill_(9)
    z.sum().backward()
    assert (z.tolist(), w.grad.tolist()) == ([9, 9], [2, 2])
    w.grad.detach().mul_(0.5)
    assert w.grad.tolist() == [1, 1]
    layer = torch.nn.Linear(1, 1)
    state = layer.state_dict()
    state["bias"].fill_(7)
    assert layer.bias.tolist() == [7]
    copy.deepcopy(state)["bias"].zero_()
    w.detach().clone().zero_()
    assert (layer.bias.tolist(), w.tolist()) == ([7], [5, 6])
    x = torch.zeros(2, 2)
    x.view(-1)[3].detach().fill_(7)
    x.data.detach().add_(1)
    assert x.tolist() == [[1, 1], [1, 8]]

    @backlit.compile
    def clamp():
        w.detach().clamp_(max=1)
        return w.sum()

    assert (clamp().item(), w.tolist()) == (2, [1, 1])
    old = w.detach()
    w.data.zero_()
    with pytest.raises(GradientError, match=r"has changed since.*; take it again, as x\[0\] or "):
        old += 1


def test_what_is_detached_does_not_keep_the_tape():
    w = torch.ones(2, requires_grad=True)
    y = (w * 2).view(2, 1)
    whole = weakref.ref(y)
    kept = y[0].detach(), y.detach()
    del y
    assert whole() is None
    assert kept[0].item() == 2
