"""A block in which all floats are computed in float64."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit import nn
from backlit.widened import in_float64, widened

X = np.array([0.1, -0.7, 2.3])


def test_casts_to_narrower_floats_round_nothing():
    x = bl.tensor(X, requires_grad=True)
    for dtype in ("float16", "bfloat16", "float32"):
        with in_float64():
            y = bl.exp(x.astype(dtype)) * 3
            (gradient,) = bl.grad(y.sum(), [x])
        np.testing.assert_array_equal(y.array, np.exp(X) * 3)
        np.testing.assert_array_equal(gradient.array, np.exp(X) * 3)
    assert bl.exp(x.astype("float16")).dtype == bl.float16


def test_new_tensors_and_narrow_ones_are_widened():
    narrow = bl.tensor(X, dtype="float32")
    with in_float64():
        made = bl.zeros((3,)), bl.tensor([1.0]), bl.random.normal((2,)), narrow * 2
        assert {t.dtype for t in made} == {bl.float64}
        assert bl.arange(3).dtype == bl.int64
        state = nn.functional.linear(bl.zeros((2, 3)), bl.tensor(np.ones((4, 3))))
        assert state.dtype == bl.float64
    assert narrow.dtype == bl.float32


def test_a_compiled_function_runs_as_it_is_written():
    x = bl.tensor(X, requires_grad=True)
    step = bl.compile(lambda v: bl.tanh(v).sum())
    with in_float64():
        (gradient,) = bl.grad(step(x), [x])
    np.testing.assert_allclose(gradient.array, 1 - np.tanh(X) ** 2, rtol=1e-15)


def test_an_op_without_a_dtype_is_itself():
    op = bl.ops.activation.LeakyRelu(slope=0.1)
    assert widened(op) is widened(op) == op
