"""Comparing two computations: rounding is told as rounding, and the first parting is found."""

import copy

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.errors import ArgumentError


def problem():
    rng = np.random.default_rng(0)
    x = bl.tensor(rng.normal(size=(16, 3, 10, 10)).astype(np.float32))
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8 * 16, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 5),
    )  # fmt: skip
    return net, x, bl.tensor(rng.integers(0, 5, 16))


def record(net, x, y, act=lambda z: z):
    return see.record(nn.CrossEntropyLoss()(act(net(x)), y))


def kinds(found):
    return {d.kind for d in found}


def test_what_is_the_same_is_the_same_to_the_bit():
    net, x, y = problem()
    found = see.compare(record(net, x, y), record(net, x, y))
    assert kinds(found.values) == kinds(found.gradients) == {"same"}
    assert found.equal
    assert found.first is found.first_gradient is None
    assert "values, in the order" in str(found).lower()
    assert "differ" not in str(found)


def test_another_precision_is_rounding_in_values_and_gradients():
    net, x, y = problem()
    one = record(net, x, y)
    other = copy.deepcopy(net).to("float64")
    found = see.compare(one, record(other, x.astype("float64"), y))
    assert found.equal, found
    assert "rounding" in kinds(found.values) & kinds(found.gradients)
    assert "differ by rounding (the most at" in str(found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_differs_by_its_own_rounding(dtype):
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s).astype(np.float32) for s in ((8, 16), (16, 4)))

    def loss(kind, wrong=1.0):
        a, b = bl.tensor(x).astype(kind), bl.tensor(w * wrong, dtype=kind, requires_grad=True)
        return see.record((bl.tanh(a @ b) * 3).sum())

    assert see.compare(loss("float32"), loss(dtype)).equal
    assert not see.compare(loss("float32"), loss("float32", 1.002)).equal
    assert not see.compare(loss("float32"), loss(dtype, 2.5)).equal


@pytest.mark.parametrize("size", [1e-2, 1e-3])
def test_a_value_that_parts_is_found_at_its_op_and_no_earlier(size):
    net, x, y = problem()
    one = record(net, x, y)
    for node in one.nodes:
        if node.kind != "op" or not node.shape:
            continue
        place = node.value.size // 2

        def part(v, place=place):
            v.reshape(-1)[place] += size * max(np.abs(v).max(), 1)
            return v

        other = see.what_if(one, {node.id: part}, beyond=True).record
        found = see.compare(one, other)
        assert found.first.node is node
        assert found.first.index == tuple(int(i) for i in np.unravel_index(place, node.shape))
        assert found.first.beyond == 1
        assert not found.equal


def test_two_steps_part_at_the_first_parameter_and_name_the_others():
    net, x, y = problem()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    one = record(net, x, y)
    loss = nn.CrossEntropyLoss()(net(x), y)
    loss.backward()
    optimizer.step()
    found = see.compare(one, record(net, x, y), names=("step 0", "step 1"))
    text = str(found)
    assert found.first.node.kind == "parameter"
    names = [d.node.name.split(".", 1)[1] for d in found.origins]
    # a bias before batch norm has no gradient but rounding: it does not part
    assert names == [n for n, _ in net.named_parameters() if n != "0.bias"]
    assert "step 0 and step 1 have the same graph" in text
    assert "By themselves differ, too: " in text
    assert "first used by convolution" in text
    assert "test_parting.py" in text


def test_a_wrong_backward_is_told_though_all_values_agree():
    net, x, y = problem()
    one = record(net, x, y)
    gelu = next(n for n in one.nodes if n.op == "gelu")
    into = one.nodes[one.incoming[gelu.id][0].source]
    other = see.what_if(one, upstream={into.id: lambda g: 1.5 * g}).record
    found = see.compare(one, other)
    assert found.first is None
    assert found.first_gradient.node.id == into.id
    assert "though all values agree: look at the backward of gelu" in str(found)


def test_other_graphs_are_told_with_the_first_op_that_differs():
    net, x, y = problem()
    one, other = record(net, x, y, bl.tanh), record(net, x, y, nn.functional.relu)
    found = see.compare(one, other, ("tanh", "relu"))
    assert [n.op for n in found.graphs_part] == ["tanh", "relu"]
    assert not found.equal
    assert found.gradients == []
    assert "The graphs part after" in str(found)
    assert "tanh: tanh_" in str(found)
    assert "relu: relu_" in str(found)
    smaller = see.compare(one, record(net, x[:4], y[:4], bl.tanh))
    assert [n.shape[0] for n in smaller.graphs_part] == [16, 4]
    longer = see.compare(one, see.record(bl.tanh(net(x)).sum()))
    assert longer.graphs_part is not None


def test_an_attribute_that_differs_is_told():
    x, w = bl.ones((1, 1, 6, 6)), bl.ones((1, 1, 3, 3)).requires_grad_()
    one, other = (nn.functional.conv2d(x, w, padding=1, dilation=d).sum() for d in (1, 1))
    assert see.compare(one, other).equal
    far = nn.functional.conv2d(x, w, padding=2, dilation=2).sum()
    text = str(see.compare(one, far))
    assert "padding=((1, 1), (1, 1)), dilation=(1, 1)" in text
    assert "padding=((2, 2), (2, 2)), dilation=(2, 2)" in text


def test_a_graph_that_goes_on_is_told():
    x = bl.tensor(2.0, requires_grad=True)
    y = x * 3
    found = see.compare(y, bl.exp(y))
    assert found.graphs_part[0] is None
    assert found.graphs_part[1].op == "exp"
    assert "a: it has ended" in str(found)


def test_nan_and_infinity_part():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    one = see.record((w * 2).sum())
    for bad in (np.nan, np.inf):
        found = see.compare(one, see.what_if(one, {"w": np.array([1.0, bad], np.float32)}).record)
        assert found.first.node.label == "w"
        assert found.first.index == (1,)
        assert found.first.beyond == 1
        same = see.what_if(one, {"w": np.array([1.0, bad], np.float32)}).record
        assert see.compare(same, same).equal


def test_whole_numbers_have_no_rounding():
    w = bl.tensor(np.eye(3), requires_grad=True)
    one, other = (see.record(w[bl.tensor(i)].sum()) for i in ([0, 1, 2], [0, 2, 2]))
    found = see.compare(one, other).first
    assert found.node.kind == "constant"
    assert found.text == "at [1] 1 and 2, which differ by 1; 1 of 3 elements differ"


def test_records_from_files_are_compared_if_they_have_their_arrays(tmp_path):
    net, x, y = problem()
    one = record(net, x, y)
    one.save(tmp_path / "one.json")
    assert see.compare(see.Record.load(tmp_path / "one.json"), one).equal
    one.save(tmp_path / "heads.json", arrays="elided")
    found = see.compare(see.Record.load(tmp_path / "heads.json"), one)
    assert not found.equal
    assert "unknown" in kinds(found.values)
    assert "cannot be compared, in a its elements were not kept (" in str(found)


def test_names_of_a_comparison():
    x = bl.tensor(2.0, requires_grad=True)
    with pytest.raises(ArgumentError, match=r"compare: names must be two, of a and of b, got 'ab'"):
        see.compare(x * 2, x * 2, "ab")
