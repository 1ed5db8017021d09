"""Gradient clipping by norm and by value."""

import math

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.api import interpreter
from backlit.errors import ArgumentError, NonFiniteError, TraceError
from backlit.optim import SGD, clip_grad_norm_, clip_grad_value_


def with_gradients(*gradients, dtype="float64"):
    leaves = []
    for g in gradients:
        g = np.asarray(g, dtype)
        leaf = bl.tensor(np.zeros(g.shape, dtype), requires_grad=True)
        leaf.grad = bl.tensor(g)
        leaves.append(leaf)
    return leaves


def test_norm_scales_all_gradients_as_one_vector():
    a, b = with_gradients([3.0], [[4.0, 0.0]])
    norm = clip_grad_norm_([a, b], 1.0)
    assert norm.item() == 5.0
    scale = 1 / (5 + 1e-6)
    assert a.grad.tolist() == pytest.approx([3 * scale], rel=1e-15)
    assert b.grad.tolist()[0] == pytest.approx([4 * scale, 0.0], rel=1e-15)


def test_norm_leaves_small_gradients_alone():
    a, b = with_gradients([0.3], [0.4])
    assert clip_grad_norm_([a, b], 1.0).item() == pytest.approx(0.5)
    assert (a.grad.tolist(), b.grad.tolist()) == ([0.3], [0.4])


@pytest.mark.parametrize(("order", "norm"), [(1, 7.0), (3, 91 ** (1 / 3)), (math.inf, 4.0)])
def test_other_norms(order, norm):
    a, b = with_gradients([3.0], [-4.0])
    assert clip_grad_norm_([a, b], 2.0, norm_type=order).item() == pytest.approx(norm)
    assert a.grad.item() == pytest.approx(3 * 2 / (norm + 1e-6))


def test_norm_does_not_overflow():
    (a,) = with_gradients([3e30, 4e30], dtype="float32")
    assert clip_grad_norm_(a, 1.0).item() == pytest.approx(5e30)
    assert a.grad.tolist() == pytest.approx([0.6, 0.8])


def test_norm_of_sixteen_bit_gradients_is_taken_in_float32():
    (a,) = with_gradients(np.full(70000, 1.0), dtype="float16")
    norm = clip_grad_norm_(a, 1.0)
    assert norm.dtype == bl.float32
    assert norm.item() == pytest.approx(math.sqrt(70000), rel=1e-5)
    assert a.grad.dtype == bl.float16


def test_norm_without_gradients_is_zero():
    a = bl.tensor([1.0], requires_grad=True)
    assert clip_grad_norm_([a], 1.0).item() == 0.0
    assert a.grad is None


def test_one_tensor_and_iterators_are_taken():
    (a,) = with_gradients([2.0])
    assert clip_grad_norm_(a, 1.0).item() == 2.0
    assert clip_grad_norm_(iter([a]), 1.0).item() == pytest.approx(1.0, abs=1e-6)


def test_old_gradients_are_not_overwritten():
    (a,) = with_gradients([2.0])
    before = a.grad
    clip_grad_norm_(a, 1.0)
    assert before.item() == 2.0


def test_nonfinite_norms_are_an_error_on_request():
    a, b = with_gradients([1.0], [math.nan])
    with pytest.raises(
        NonFiniteError,
        match=r"must be finite, got nan from the gradient of parameter 1 \(float64\[1\]\)",
    ):
        clip_grad_norm_([a, b], 1.0, error_if_nonfinite=True)
    assert a.grad.tolist() == [1.0]
    clip_grad_norm_([a, b], 1.0)
    assert math.isnan(a.grad.item())
    (c,) = with_gradients([math.inf, 1.0])
    with pytest.raises(NonFiniteError, match="got inf from the gradient of parameter 0"):
        clip_grad_norm_(c, 1.0, error_if_nonfinite=True)
    d, e = with_gradients([1e308], [1e308])
    with pytest.raises(NonFiniteError, match="got inf from their sum of powers"):
        clip_grad_norm_([d, e], 1.0, norm_type=1, error_if_nonfinite=True)


def test_value_limits_each_element():
    a, b = with_gradients([3.0, -0.5], [-7.0])
    clip_grad_value_([a, b], 1.0)
    assert (a.grad.tolist(), b.grad.tolist()) == ([1.0, -0.5], [-1.0])


def test_bad_limits():
    (a,) = with_gradients([1.0])
    with pytest.raises(
        ArgumentError, match="clip_grad_norm_: max_norm must not be negative, got -1"
    ):
        clip_grad_norm_(a, -1)
    with pytest.raises(ArgumentError, match="max_norm must not be negative, got nan"):
        clip_grad_norm_(a, math.nan)
    with pytest.raises(ArgumentError, match="clip_grad_norm_: norm_type must be above 0, got 0"):
        clip_grad_norm_(a, 1.0, norm_type=0)
    with pytest.raises(
        ArgumentError, match="clip_grad_value_: clip_value must not be negative, got -2"
    ):
        clip_grad_value_(a, -2)


def test_clipping_inside_a_captured_step():
    def train(compiled):
        w = bl.tensor([3.0, -4.0], requires_grad=True)
        optimizer = SGD([w], lr=0.1)

        def step():
            optimizer.zero_grad()
            (w * w).sum().backward()
            norm = clip_grad_norm_([w], 1.0)
            clip_grad_value_([w], 0.7)
            optimizer.step()
            return norm

        call = bl.compile(step, executor=interpreter) if compiled else step
        norms = [call().item() for _ in range(3)]
        return norms, w.tolist(), w.grad.tolist()

    assert train(False) == train(True)


def test_the_check_for_finite_norms_asks_for_a_value():
    (a,) = with_gradients([1.0])
    with pytest.raises(TraceError, match="captured function cannot ask for a value"):
        bl.compile(lambda: clip_grad_norm_(a, 1.0, error_if_nonfinite=True))()


def test_clipping_of_nothing_is_an_error():
    used = (p for p in with_gradients([3.0]))
    list(used)
    text = ": parameters must not be empty, got none; a generator, such as model.parameters"
    for parameters in (used, []):
        with pytest.raises(ArgumentError, match="clip_grad_norm_" + text):
            clip_grad_norm_(parameters, 1.0)
        with pytest.raises(ArgumentError, match="clip_grad_value_" + text):
            clip_grad_value_(parameters, 1.0)
