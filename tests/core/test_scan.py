"""Recurrences in eager execution: what `scan` means, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, BacklitError, ShapeError, TraceError
from backlit.see import record


def running(total, x):
    return total + x, total * x


def test_the_carry_goes_on_and_every_y_is_stacked() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    carry, y = bl.scan(running, bl.asarray(np.zeros(2)), bl.asarray(x))
    assert carry.tolist() == [9.0, 12.0]
    assert y.tolist() == [[0, 0], [3, 8], [20, 36]]


def test_in_reverse_the_last_is_first_and_each_y_stays_beside_its_x() -> None:
    carry, y = bl.scan(running, 0.0, bl.tensor([1.0, 2.0, 3.0]), reverse=True)
    assert carry.item() == 6.0
    assert y.tolist() == [5.0, 6.0, 0.0]


@dataclass
class State:
    place: bl.Tensor
    speed: bl.Tensor


def test_structures_go_in_and_come_out_as_they_are() -> None:
    def fall(state, x):
        after = State(state.place + state.speed, state.speed - x["g"])
        return after, [{"at": after.place}, None, (after.speed > 0,)]

    start = State(bl.tensor(0.0), bl.tensor(3.0))
    last, (at, nothing, (up,)) = bl.scan(fall, start, {"g": bl.tensor([1.0, 2.0]), "wind": None})
    assert isinstance(last, State)
    assert last.place.item() == 5.0
    assert at["at"].tolist() == [3.0, 5.0]
    assert nothing is None
    assert up.tolist() == [True, False]
    assert up.dtype == bl.bool


def test_without_xs_the_length_counts() -> None:
    doubled, y = bl.scan(lambda c, x: (2 * c, x), bl.tensor(1), length=10)
    assert (doubled.item(), y) == (1024, None)


def test_a_step_may_change_what_it_is_given_and_the_caller_keeps_his() -> None:
    def f(c, x):
        c += x
        return c, c * 2

    first = bl.ones(())
    last, _ = bl.scan(f, first, bl.tensor([1.0, 2.0]))
    assert (first.item(), last.item()) == (1.0, 4.0)


@pytest.mark.parametrize("length", [5, 130])  # 130: slices are taken from parts
def test_gradients_to_second_order_are_those_of_the_loop_written_out(length) -> None:
    rng = np.random.default_rng(0)
    w = bl.asarray(rng.normal(size=(2, 2)) / 2).requires_grad_()
    x = bl.asarray(rng.normal(size=(length, 2))).requires_grad_()

    def cell(h, x):
        h = bl.tanh(h @ w + x)
        return h, h[0]

    def scanned():
        h, y = bl.scan(cell, bl.asarray(np.ones(2)), x)
        return (h * h).sum() + (y * y * y).sum()

    def written_out():
        h, ys = bl.asarray(np.ones(2)), []
        for t in range(length):
            h, y = cell(h, x[t])
            ys.append(y)
        return (h * h).sum() + (bl.stack(ys) ** 3).sum()

    def derivatives(f):
        first = bl.grad(f(), (w, x), create_graph=True)
        return *first, *bl.grad(sum((g * g).sum() for g in first), (w, x))

    for mine, plain in zip(derivatives(scanned), derivatives(written_out), strict=True):
        np.testing.assert_allclose(mine.numpy(), plain.numpy(), rtol=1e-12)


def test_slices_are_derivatives_of_a_function_that_vmap_jvp_and_hvp_take() -> None:
    x = bl.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])

    def product(row):
        return bl.scan(lambda c, v: (c * v, None), 1.0, row)[0]

    assert bl.vmap(product)(x).tolist() == [6.0, 8.0]
    assert bl.jvp(product, x[0], bl.tensor([1.0, 0.0, 0.0]))[1].item() == 6.0  # 2 · 3
    assert bl.hvp(product, x[0], bl.tensor([1.0, 0.0, 0.0])).tolist() == [0.0, 3.0, 2.0]


def test_a_record_shows_every_step() -> None:
    w = bl.tensor(0.5, requires_grad=True)
    y, _ = bl.scan(lambda c, x: (bl.tanh(c * w), None), 1.0, length=3)
    assert sum(n.op == "tanh" for n in record(y).nodes) == 3


X = bl.ones((3, 2))
BAD = {
    "no pair": (
        lambda: bl.scan(lambda c, x: c, 0.0, X), ArgumentError,
        "scan: f must return a pair (carry, y), got float32[]; return (carry, None) if nothing is "
        "to be stacked",
    ),
    "no function": (
        lambda: bl.scan(3, 0.0, X), ArgumentError, "scan: f must be a function, got a number, 3",
    ),
    "another structure": (
        lambda: bl.scan(lambda c, x: ({"h": c["h"]}, None), {"h": 0.0, "c": 0.0}, X), ArgumentError,
        "scan: f must return a carry of the structure that it was given, "
        "{'h': float32[], 'c': float32[]}, got {'h': float32[]}",
    ),
    "another shape": (
        lambda: bl.scan(lambda c, x: ({"h": c["h"] + x}, None), {"h": 0.0}, X), ShapeError,
        "scan: f must keep the shapes and dtypes of the carry, got float32[2] for carry['h']: "
        "float32[]; begin with a carry of shape (2,), or return one of shape ()",
    ),
    "another dtype": (
        lambda: bl.scan(lambda c, x: (c.astype("float64"), None), 0.0, X), ShapeError,
        "got float64[] for carry: float32[]; return it with astype('float32')",
    ),
    "begun with an integer": (
        lambda: bl.scan(lambda c, x: (c + x.sum(), None), 0, X), ShapeError,
        "got float32[] for carry: int64[]; begin with a carry of float32",
    ),
    "y of two kinds": (
        lambda: bl.scan(lambda c, x: (c + 1, x if c < 1 else x[:1]), 0.0, X), ShapeError,
        "scan: f must return a y of one kind at every step, got float32[2] and then float32[1]",
    ),
    "two lengths": (
        lambda: bl.scan(running, 0.0, (X, {"b": bl.ones(4)})), ShapeError,
        "scan: xs must have one length along the first axis, got xs[0]: float32[3,2] and "
        "xs[1]['b']: float32[4]",
    ),
    "a number among xs": (
        lambda: bl.scan(running, 0.0, (X, 2.0)), ShapeError,
        "scan: xs must have an axis to be taken apart along, got xs[1]: float32[]; let f find",
    ),
    "no length": (
        lambda: bl.scan(running, 0.0), ArgumentError,
        "scan: without xs the number of steps must be given; scan(f, carry, length=n)",
    ),
    "length of another kind": (
        lambda: bl.scan(running, 0.0, length=2.5), ArgumentError,
        "scan: length must be an integer, got a number, 2.5",
    ),
    "another length": (
        lambda: bl.scan(running, 0.0, X, 4), ShapeError,
        "scan: length must be that of xs along the first axis, 3, got 4",
    ),
    "no steps": (
        lambda: bl.scan(running, 0.0, X[:0]), ArgumentError,
        "scan: there must be at least one step, got 0; of none it is not known what y is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_said_in_eager_and_captured_code(name) -> None:
    call, error, text = BAD[name]
    with pytest.raises(error, match=re.escape(text)):
        call()
    if name == "y of two kinds":  # captured, it is a branch on a value
        error, text = TraceError, "bool(): a captured function cannot ask for a value"
    with pytest.raises(BacklitError, match=re.escape(text)) as captured:
        bl.compile(call)()
    assert captured.type is error
