"""What leaves and constants are called: as in the code that uses them, and by what they are for."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see


class Holder:
    """Something with a Tensor among its attributes."""


def circuit(a, b):
    c = a * b + 3.0
    holder = Holder()
    holder.w = bl.tensor(2.0, requires_grad=True)
    batch = {"x": bl.tensor(4.0, requires_grad=True)}
    return bl.tanh(c) * holder.w - batch["x"]


def made():
    return circuit(bl.tensor(1.0, requires_grad=True), bl.tensor(2.0, requires_grad=True))


@pytest.mark.parametrize("watched", [True, False])
def test_leaves_of_functions_that_have_ended_are_called_as_they_were_there(watched):
    with see.recording() as r:
        result = made()
    record = r.record if watched else see.record(result)
    assert [n.name for n in record.leaves] == ["a", "b", "holder.w", "batch['x']"]


@pytest.mark.parametrize("watched", [True, False])
def test_one_name_for_several_gets_numbers(watched):
    def added():
        total = bl.tensor(0.0, requires_grad=True) * 1.0
        for i in range(3):
            v = bl.tensor(float(i), requires_grad=True)
            total = total + v * v
        return total

    with see.recording() as r:
        result = added()
    record = r.record if watched else see.record(result)
    names = [n.name for n in record.leaves if n.name]
    assert names[0] == "v"
    assert len(names) == len(set(names)) == 3


def test_a_function_of_several_ops_names_nothing_by_its_arguments():
    def loss():
        return nn.functional.normalize(bl.tensor([1.0, 2.0], requires_grad=True) * 2, dim=0).sum()

    assert [n.name for n in see.record(loss()).leaves if n.kind == "leaf"] == [None]


def test_constants_say_what_they_are_for():
    def loss():
        scores = nn.Linear(2, 3)(bl.ones((4, 2)))
        kept = bl.where(bl.tensor(np.ones((4, 3), bool)), scores, -9.0)
        return nn.functional.cross_entropy(kept, bl.tensor([0, 1, 2, 0]).reshape(4))

    names = [n.name.split("_")[0] for n in see.record(loss()).leaves if n.kind == "constant"]
    assert names == ["input", "condition", "target"]


def test_a_file_that_is_another_now_names_nothing():
    file = "<another>"
    text = "def f(a):\n    return a * b\n"
    scope = {"b": bl.tensor(2.0)}
    exec(compile(text, file, "exec"), scope)
    other = text.replace("a * b", "c * d")
    linecache.cache[file] = len(other), None, other.splitlines(True), file
    result = scope["f"](bl.tensor(1.0, requires_grad=True))
    del scope
    assert {n.name for n in see.record(result).leaves if n.kind == "leaf"} == {None}
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    assert {n.name for n in see.record(result).leaves if n.kind == "leaf"} == {"a"}
