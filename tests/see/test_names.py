"""What leaves and constants are called: as in the code that uses them, and by what they are for."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.see.show.draw.labels import bare


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
    assert names == ["input", "mask", "target"]


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


class Tagger(nn.Module):
    """Attention over words, with variables of its own."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(11, 8), nn.Embedding(5, 8)
        self.parts, self.out = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, tokens):
        h = self.words(tokens) + self.places(bl.arange(tokens.shape[1]))
        q, k, v = self.parts(h).chunk(3, -1)
        seen = bl.tensor(np.tril(np.ones((5, 5), bool)))
        scores = bl.where(seen, q @ k.mT, -9.0)
        other = scores.masked_fill(bl.tensor(np.eye(5, dtype=bool)), 0.0)
        mixed = other.softmax(-1) @ v
        mixed = mixed + nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed)


def tagging():
    batches = [(bl.tensor(np.ones((2, 5), int)), bl.tensor(np.zeros((2, 5), int)))]
    for sentences, tags in batches:
        logits = Tagger()(sentences)
        cost = nn.functional.cross_entropy(logits.reshape(-1, 3), tags.reshape(-1))
    return cost


def test_inputs_masks_positions_and_targets_have_their_names():
    record = see.record(tagging())
    names = [n.name for n in record.leaves if n.kind == "constant"]
    assert names == ["tokens", "positions_4", "seen", "mask_17", "causal mask_24", "tags"]
    assert bare(record.nodes[24]) == "causal mask"


@pytest.mark.parametrize("watched", [True, False])
def test_results_are_called_as_the_variables_that_got_them(watched):
    with see.recording() as r:
        result = tagging()
    record = r.record if watched else see.record(result)
    named = {n.name: n.op for n in record.nodes if n.kind == "op" and n.name}
    # `mixed` is set twice, so the name would say little; the logits are what the module gave.
    assert named == {
        "h": "add", "q": "slice", "k": "slice", "v": "slice", "scores": "where",
        "other": "where", "logits": "linear", "result": "cross_entropy",
    }  # fmt: skip


def test_results_of_a_loop_are_told_apart_by_numbers():
    def unrolled():
        total = bl.tensor(1.0, requires_grad=True)
        states = []
        for _ in range(3):
            squared = total * total
            states.append(squared)
            total = squared + 1.0
        return total

    record = see.record(unrolled())
    assert [n.name for n in record.nodes if n.op == "multiply"] == [
        "squared", "squared_3", "squared_5",
    ]  # fmt: skip
    assert record.find("multiply_3") is record.find("squared_3")


def test_what_is_no_tensor_names_nothing():
    def differentiated():
        result = see.differentiate("x * y", {"x": 1.0, "y": 2.0})
        return result

    assert differentiated().record.nodes[-1].name is None


def test_starting_states_of_a_recurrence_have_their_names():
    y, _ = nn.LSTM(2, 3)(bl.ones((4, 1, 2)))
    names = [n.name for n in see.record(y.sum()).leaves if n.kind == "constant"]
    assert [name.split("_")[0] for name in names] == ["input", "h0", "c0"]


def test_a_lone_number_is_drawn_as_itself():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    with see.recording() as r:
        (x * bl.tensor(0.5)).sum()
    assert ">0.5<" in see.draw(r).svg()


class Stacked(nn.Module):
    """The same lines run for the data, and for what a layer before has made of them."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Layer(), Layer()

    def forward(self, pixels):
        return self.second(self.first(pixels))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mixed = nn.Conv1d(2, 2, 1)

    def forward(self, signal):
        return bl.tanh(self.mixed(signal))


def test_what_a_module_was_given_is_named_where_the_data_come_in():
    def run():
        return Stacked()(bl.ones((1, 2, 3))).sum()

    assert [n.name for n in see.record(run()).leaves if n.kind == "constant"] == ["signal"]
