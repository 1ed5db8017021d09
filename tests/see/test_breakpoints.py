"""Breakpoints in a running backward pass: where they stop, what is at hand, what they change."""

import builtins
import code

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.errors import ArgumentError


class Net(nn.Module):
    """Two layers."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.fc2 = nn.Linear(4, 1)

    def forward(self, x):
        return self.fc2(bl.tanh(self.fc1(x)))


def net_and_loss():
    bl.manual_seed(0)
    net = Net()
    x = bl.random.normal((5, 3))
    return net, x, (net(x) ** 2).mean()


def stops(loss, **conditions):
    found = []
    with see.breakpoints(**conditions, action=found.append):
        loss.backward()
    return found


def test_at_a_tensor_with_the_numbers_of_both_sides():
    x = bl.tensor([1.0, -2.0], requires_grad=True)
    h = x * x
    found = []
    with see.breakpoints(h, action=found.append):
        (h * 3).sum().backward()
    (stop,) = found
    assert stop.node.name == "h"
    np.testing.assert_array_equal(stop.node.upstream.array, [3, 3])
    assert [e.gradient.array.tolist() for e in stop.downstream] == [[3, -6], [3, -6]]
    assert stop.sentence.startswith("× switches: upstream 2 numbers of norm 4.243; to x:")
    assert x.grad.numpy().tolist() == [6, -12]


@pytest.mark.parametrize(
    ("node", "ops"),
    [
        ("tanh", ["tanh"]),
        ("fc1", ["linear"]),
        ("Net", ["linear", "tanh", "linear"]),
    ],
)
def test_at_an_op_or_a_module_by_name(node, ops):
    _, _, loss = net_and_loss()
    assert [s.node.op for s in stops(loss, node=node)] == ops


def test_at_a_module_and_at_a_line():
    net, _, loss = net_and_loss()
    (stop,) = stops(loss, node=net.fc2)
    assert [e.position for e in stop.downstream] == [0, 1, 2]
    names = [stop.record.nodes[e.source].name for e in stop.downstream[1:]]
    assert names == ["Net.fc2.weight", "Net.fc2.bias"]
    x = bl.tensor(2.0, requires_grad=True)
    y = bl.exp(x)
    line = f"test_breakpoints.py:{y.node.line[1]}"
    assert [s.node.op for s in stops(y * 2, node=line)] == ["exp"]


def test_where_the_norm_that_arrives_is_above_a_number():
    x = bl.tensor(1.0, requires_grad=True)
    y = ((x * 10) * 10) * 10
    assert [s.norm for s in stops(y, norm_above=5)] == [10, 100]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_a_norm_whose_square_leaves_the_range_is_right(size):
    x = bl.tensor([3.0, 4.0], requires_grad=True)
    y = x * 1
    found = []
    with see.breakpoints(norm_above=4.9 * size, action=found.append):
        y.backward(bl.tensor([3 * size, 4 * size]))
    assert len(found) == 1
    assert found[0].norm == pytest.approx(5 * size)


def test_nonfinite_stops_where_it_begins_and_not_where_it_is_carried():
    x = bl.tensor([0.0, 1.0], requires_grad=True)
    y = bl.sqrt(x * 2)
    (stop,) = stops((y * y.detach()).sum() + (y * 1).sum(), nonfinite=True)
    assert stop.node.op == "sqrt"
    assert np.isfinite(stop.node.upstream.array).all()
    assert stop.bad
    assert "1 not finite" in stop.sentence
    assert np.isinf(x.grad.numpy()[0])


def test_nonfinite_stops_at_a_loss_that_is_given_a_bad_gradient():
    x = bl.tensor([1.0, 1.0], requires_grad=True)
    y = bl.exp(x)
    found = []
    with see.breakpoints(nonfinite=True, action=found.append):
        (y * 2).backward(bl.tensor([float("nan"), 1.0]))
    assert [s.node.op for s in found] == ["multiply"]


def test_finite_gradients_whose_squares_overflow_are_no_reason_to_stop():
    x = bl.tensor([1.0, 1.0], requires_grad=True)
    y = x * 1
    with see.breakpoints(nonfinite=True, action=pytest.fail):
        y.backward(bl.tensor([1e30, 1e38]))


def test_where_a_function_of_the_stop_says_so_and_at_most_so_often():
    _, _, loss = net_and_loss()
    found = stops(loss, when=lambda s: len(s.downstream) == 3, limit=1)
    assert [s.record.location(s.node).partition("in ")[2] for s in found] == ["Net.fc2"]


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_the_same_to_the_last_bit(create_graph):
    net, _, loss = net_and_loss()
    loss.backward(retain_graph=True)
    plain = {n: p.grad.numpy() for n, p in net.named_parameters()}
    net.zero_grad()
    with see.breakpoints(when=lambda s: False), see.breakpoints(nonfinite=True):
        loss.backward(create_graph=create_graph)
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(p.grad.numpy(), plain[name])


def test_nothing_watches_after_the_block_also_if_it_raises():
    def quit_now(stop):
        raise KeyboardInterrupt

    x = bl.tensor(1.0, requires_grad=True)
    with pytest.raises(KeyboardInterrupt), see.breakpoints("multiply", action=quit_now):
        (x * 2).backward()
    assert x.grad is None
    (x * 2).backward()
    assert x.grad.item() == 2


def test_both_of_two_nested_blocks_see_the_pass():
    x = bl.tensor(1.0, requires_grad=True)
    outer, inner = [], []
    with (
        see.breakpoints("multiply", action=outer.append),
        see.breakpoints("exp", action=inner.append),
    ):
        bl.exp(x * 2).backward()
    assert [s.node.op for s in outer + inner] == ["multiply", "exp"]


def test_the_prompt_has_the_stop_and_the_variables_around_backward(monkeypatch):
    lines = iter(["seen.append((upstream, learning_rate, node.op, downstream))"])
    seen = []
    learning_rate = 0.25
    banners = []

    def answer(prompt=""):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    def interact(banner=None, local=None, exitmsg=None):
        banners.append(banner)
        code.InteractiveConsole(local).interact(banner="", exitmsg="")

    monkeypatch.setattr(builtins, "input", answer)
    monkeypatch.setattr(code, "interact", interact)
    x = bl.tensor(2.0, requires_grad=True)
    with see.breakpoints("square"):
        (bl.square(x) * learning_rate).backward()
    upstream, rate, op, downstream = seen[0]
    assert (upstream.item(), rate, op, downstream["x"].item()) == (0.25, 0.25, "square", 1.0)
    assert "x² scales: upstream 0.25; to x: 0.25 · 4 = 1" in banners[0]
    assert "test_breakpoints.py:" in banners[0]
    assert "your own variables" in banners[0]


def test_a_capture_is_not_stopped_in():
    x = bl.tensor([1.0, 2.0], requires_grad=True)

    @bl.compile
    def gradient(x):
        return bl.grad((x * x).sum(), x)

    with see.breakpoints("multiply", action=pytest.fail):
        assert gradient(x).numpy().tolist() == [2, 4]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "breakpoints: a condition is required: a node, norm_above=x"),
        ({"node": 3}, "breakpoints: node must be a Tensor, a Module or a name, got int"),
        ({"node": bl.tensor(1.0)}, "a leaf has no step of its own in the backward pass"),
        ({"nonfinite": True, "limit": 0}, "breakpoints: limit must be a positive integer, got 0"),
        ({"when": 3}, "breakpoints: when must be a function of a Stop, got 3"),
        ({"when": id, "action": 3}, "breakpoints: action must be a function of a Stop, got 3"),
    ],
)
def test_arguments_that_make_no_sense(arguments, text):
    with pytest.raises(ArgumentError, match=text):
        see.breakpoints(**arguments)


def test_a_name_that_fits_no_step_is_said():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    with (
        pytest.warns(UserWarning, match=r"no step of the backward pass is 'tahn'; it has tanh"),
        see.breakpoints("tahn", action=pytest.fail),
    ):
        bl.tanh(x).sum().backward()
    with see.breakpoints("tahn", norm_above=1e9, action=pytest.fail):
        bl.tanh(x).sum().backward()  # may be meant for another pass
