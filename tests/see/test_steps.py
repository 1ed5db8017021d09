"""Stepping: every stop says what happens with the numbers that are really there."""

import builtins
import code

import numpy as np
import pytest

import backlit as bl
from backlit import see
from backlit.errors import ArgumentError
from graphs import deep, lecture


def sentences(source):
    return [s.sentence for s in see.steps(source)]


def test_the_lecture_graph_gate_by_gate():
    assert sentences(lecture()) == [
        "q = x + y = −2 + 5 = 3",
        "m = max(y, z) = max(5, −4) = 5",
        "f = q × m = 3 × 5 = 15",
        "× switches: upstream 1; to q: 1 · 5 = 5; to m: 1 · 3 = 3",
        "max routes: upstream 3; to y: 3 · 1 = 3; to z: 3 · 0 = 0",
        "+ distributes: upstream 5; to x: 5 · 1 = 5; to y: 5 · 1 = 5. "
        "y is used 2 times and adds up: 5 + 3 = 8",
    ]


def test_every_op_has_a_stop_in_both_passes_in_the_order_of_the_engine():
    record = deep(2)
    stops = list(see.steps(record))
    ops = [n.id for n in record if n.kind == "op"]
    assert [s.node.id for s in stops if s.phase == "forward"] == ops
    assert [s.node.id for s in stops if s.phase == "backward"] == ops[::-1]
    assert [s.number for s in stops] == list(range(2 * len(ops)))


def test_tensors_are_told_by_shape_and_one_element():
    w = bl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = bl.tensor([[1.0], [-2.0]], requires_grad=True)
    h = w @ x
    b = bl.tensor([[0.5]], requires_grad=True)
    y = bl.tanh(h + b)
    loss = y.sum()
    told = sentences(see.record(loss))
    assert told[0] == "h = w @ x: 2×1, norm 5.831; at [1, 0]: a sum of 2 products = −5"
    assert told[1] == "add_4 = h + b: 2×1, norm 5.148; at [1, 0]: −5 + 0.5 = −4.5"
    assert told[2].startswith("y = tanh(add_4): 2×1, norm 1.405; at [1, 0]: tanh(−4.5)")
    assert told[3].endswith("= −1.986")
    assert told[4] == (
        "Σ distributes: upstream 1; to y: 2×1 of norm 1.414 "
        "(1, copied to every element that was added)"
    )
    assert "at [0, 0]: 1 · 0.02659 = 0.02659" in told[5]
    assert "summed over the axes along which the input was repeated" in told[6]
    assert "to w: g·bᵀ, (2×1)·(2×1)ᵀ = 2×2, norm" in told[7]
    assert "to x: aᵀ·g, (2×2)ᵀ·(2×1) = 2×1, norm" in told[7]


def test_a_product_with_itself_adds_up():
    x = bl.tensor(3.0, requires_grad=True)
    assert sentences(x * x)[1].endswith("x is used 2 times and adds up: 3 + 3 = 6")


def test_many_uses_are_summed_up_in_words():
    x = bl.tensor(3.0, requires_grad=True)
    y = x * 1.0
    for _ in range(5):
        y = y + x
    assert "x is used 6 times and adds up to 6" in sentences(see.record(y))[-1]


def test_failures_are_told():
    x = bl.tensor([1.0, 2.0])
    with pytest.raises(bl.errors.ShapeError), see.recording() as r:
        x + bl.tensor([1.0, 2.0, 3.0])
    (told,) = sentences(r)
    assert told.startswith("add_2 = x + input_1 raised: add: shapes must broadcast")


def test_values_that_are_not_available_are_told():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = bl.tanh(w + x).sum()
    w.assign([5.0, 5.0])
    assert sentences(see.record(y))[0] == "add_2 = w + x; its value is not available"


def test_a_record_from_a_file_tells_the_same():
    assert sentences(see.Record.from_json(lecture().to_json())) == sentences(lecture())


def test_breakpoints():
    record = lecture()
    assert see.breakpoint_at(record, "q").node.name == "q"
    assert see.breakpoint_at(record, norm_above=2).node.name == "m"
    assert see.breakpoint_at(record, norm_above=100) is None
    assert see.breakpoint_at(record, nonfinite=True) is None
    x = bl.tensor([0.0, 1.0], requires_grad=True)
    root = bl.sqrt(x)
    stop = see.breakpoint_at(see.record((root * 0.0).sum()), nonfinite=True)
    assert stop.node.name == "root"
    assert stop.bad
    with pytest.raises(ArgumentError, match="a condition is required: a node, norm_above=x"):
        see.breakpoint_at(record)


def test_a_breakpoint_drops_into_python_with_everything_at_hand(monkeypatch):
    seen = {}

    def interact(banner, local, exitmsg):
        seen.update(local, banner=banner)

    monkeypatch.setattr(code, "interact", interact)
    record = lecture()
    stop = see.breakpoint_at(record, "m", interact=True)
    assert seen["stop"] is stop
    assert seen["node"] is record.find("m")
    assert seen["upstream"] == 3
    assert seen["value"] == 5
    assert {k: float(v) for k, v in seen["downstream"].items()} == {"y": 3, "z": 0}
    assert seen["record"] is record
    assert seen["np"] is np
    assert "max routes" in seen["banner"]
    assert builtins.exit


def test_blocked_gradients_are_told():
    x = bl.tensor(2.5, requires_grad=True)
    told = sentences(see.record(bl.floor(x) * x))
    assert "⌊" in told[0] or "floor(2.5) = 2" in told[0]
    assert told[-1].startswith("floor blocks: upstream 2.5; to x: 2.5 · 0 = 0")


def test_reprs_are_short():
    x = bl.tensor(3.0, requires_grad=True)
    loss = x * 2
    stop = list(see.steps(see.record(loss)))[-1]
    assert repr(stop) == "Stop(1, backward: × 2 scales: upstream 1; to x: 1 · 2 = 2)"
    assert repr(stop.node) == "NodeRecord(1: multiply 'loss', float32[])"


def test_a_sentence_has_the_parts_that_are_shown_whatever_names_look_like():
    x = bl.tensor(3.0, requires_grad=True)
    x.name = "x; to y = 1. z is used 2 times"
    forward, backward = see.steps(x * 2)
    assert (forward.parts.text, forward.parts.result) == (
        f"multiply_1 = {x.name} × 2 = 3 × 2 = ",
        "6",
    )
    assert (backward.parts.text, backward.parts.result) == ("× 2 scales: upstream ", "1")
    assert backward.parts.sent == ((x.name, "1 · 2 = ", "2"),)
    assert (backward.parts.note, backward.parts.totals) == ("", ())
