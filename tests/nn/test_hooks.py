"""Hooks of modules: when they are called, with what, and what they may replace."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, TraceError


class Double(nn.Module):
    def forward(self, x, *, by=2.0):
        return x * by


def test_hooks_see_the_call_in_order_and_can_be_removed() -> None:
    layer, calls = Double(), []
    handles = [
        layer.register_forward_hook(lambda m, args, y: calls.append(("after", m, args, y))),
        layer.register_forward_hook(lambda *_: calls.append(("first",)), prepend=True),
        layer.register_forward_pre_hook(lambda m, args: calls.append(("before", m, args))),
    ]
    x = bl.ones(2)
    y = layer(x)
    assert [c[0] for c in calls] == ["before", "first", "after"]
    assert calls[0][1:] == (layer, (x,))
    assert calls[2][1:] == (layer, (x,), y)
    for handle in handles:
        handle.remove()
        handle.remove()
    layer(x)
    assert len(calls) == 3
    with pytest.raises(ArgumentError, match="Double: a hook must be a function"):
        layer.register_forward_hook(3)


def test_the_old_backward_hook_says_what_to_use() -> None:
    with pytest.raises(ArgumentError, match="register_backward_hook: it saw the gradients"):
        nn.Tanh().register_backward_hook(print)


def test_hooks_replace_arguments_and_results() -> None:
    layer = Double()
    with layer.register_forward_pre_hook(lambda m, args: args[0] + 1):
        assert layer(bl.ones(1)).tolist() == [4.0]
    with layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    ):
        assert layer(bl.ones(1), by=4.0).tolist() == [5.0]
    with layer.register_forward_hook(lambda m, args, kw, y: y + kw["by"], with_kwargs=True):
        assert layer(bl.ones(1), by=4.0).tolist() == [8.0]
    with (
        layer.register_forward_pre_hook(lambda *_: 3, with_kwargs=True),
        pytest.raises(ArgumentError, match=r"hook with kwargs returns None or \(args, kwargs\)"),
    ):
        layer(bl.ones(1))


def test_a_hook_can_be_called_although_the_module_fails() -> None:
    layer, seen = Double(), []
    layer.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    layer.register_forward_hook(lambda m, args, y: seen.append("not this one"))
    with pytest.raises(TypeError, match="Double: it has no argument factor; it takes x, by="):
        layer(bl.ones(1), factor=1)
    assert seen == [None]


def test_gradients_of_a_call_are_seen_and_replaced() -> None:
    layer, seen = Double(), []
    layer.register_full_backward_hook(lambda m, send, came: seen.append((m, send, came)))
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    (layer(x) * 3).sum().backward()
    ((module, (sent,), (came,)),) = seen
    assert module is layer
    assert (sent.tolist(), came.tolist()) == ([6.0, 6.0], [3.0, 3.0])
    layer.register_full_backward_hook(lambda m, send, came: (send[0] * 10,))
    layer.register_full_backward_pre_hook(lambda m, came: came[0] * 2)
    x.grad = None
    (layer(x) * 3).sum().backward()
    assert x.grad.tolist() == [120.0, 120.0]
    with bl.no_grad():
        layer(x)
    assert len(seen) == 2


def test_a_hook_gets_the_gradients_of_several_values_together() -> None:
    class Two(nn.Module):
        def forward(self, x, n, y):
            return x * n, x + y

    layer, seen = Two(), []
    layer.register_full_backward_hook(lambda m, send, came: seen.append((send, came)))
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = bl.tensor([[1.0], [2.0]], dtype="float64", requires_grad=True)
    a, b = layer(x, 3, y)
    (a.sum() + (b * bl.tensor([[1.0, 2.0], [3.0, 4.0]])).sum()).backward()
    ((send, came),) = seen
    assert send[1] is None
    assert send[0].tolist() == [7.0, 9.0]
    assert send[2].tolist() == [[3.0], [7.0]]
    assert came[1].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert (x.grad.tolist(), y.grad.dtype) == ([7.0, 9.0], bl.float64)


def test_a_first_layer_has_no_gradient_of_its_input() -> None:
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, send, came: seen.append((send, came[0].tolist())))
    layer(bl.ones((1, 2))).sum().backward()
    assert seen == [((None,), [[1.0]])]


def test_gradients_that_do_not_fit_are_refused() -> None:
    layer = Double()
    x = bl.tensor([1.0, 1.0], requires_grad=True)
    with (
        layer.register_full_backward_hook(lambda m, send, came: bl.ones(3)),
        pytest.raises(ArgumentError, match=r"like grad_input = \(float32\[2\]\), got \(float32\[3"),
    ):
        layer(x).sum().backward()
    lists = nn.Sequential()
    lists.forward = lambda x: [x]
    lists.register_full_backward_hook(lambda *_: None)
    with pytest.raises(ArgumentError, match="the result must be a Tensor or a tuple with Tensors"):
        lists(x)


def test_hooks_are_part_of_a_captured_function() -> None:
    """Values and gradients as without compile; what changes hooks captures anew."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    model[1].register_forward_hook(lambda m, args, y: y * 2)
    model[1].register_full_backward_hook(lambda m, send, came: (send[0] * 3,))

    def step(x):
        for p in model.parameters():
            p.grad = None
        loss = model(x).sum()
        loss.backward()
        return loss, *[p.grad for p in model.parameters()]

    compiled, x = (
        bl.compile(step),
        bl.tensor(np.random.default_rng(0).normal(size=(5, 3)), "float32"),
    )
    for _ in range(2):
        for got, want in zip(compiled(x), step(x), strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-6)
        model[0].register_forward_hook(lambda m, args, y: y + 1)
    with (
        model[1].register_forward_hook(lambda m, args, y: print(y)),
        pytest.raises(TraceError, match="print"),
    ):
        compiled(x)


def test_hooks_are_listed_by_when_they_are_called():
    layer = nn.Linear(2, 3)

    def before(module, args):
        return None

    def after(module, args, y):
        return None

    def backward(module, grad_input, grad_output):
        return None

    handle = layer.register_forward_hook(after)
    layer.register_forward_pre_hook(before)
    layer.register_full_backward_hook(backward)
    assert list(layer._forward_hooks.values()) == [after]
    assert list(layer._forward_pre_hooks.values()) == [before]
    assert list(layer._backward_hooks.values()) == [backward]
    with pytest.raises(AttributeError, match="clear"):  # handles take them away
        layer._forward_hooks.clear()
    handle.remove()
    assert not layer._forward_hooks
