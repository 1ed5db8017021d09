"""Recording: the gradients are the engine's own, nothing is changed, crashes are kept."""

# ruff: noqa: F841, PT012, RUF059  # variables name the tensors; recorded blocks have several lines

import json
import linecache
import math
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.cli.stepper import panes
from backlit.errors import ArgumentError, DataError, GradientError, GraphFreedError
from backlit.nn.utils.checkpoint import checkpoint
from backlit.ops.activation import Softmax
from backlit.ops.convolution import Convolution
from backlit.see.records.model import Record
from backlit.see.records.value import Value, number
from backlit.see.show.draw.labels import local_text
from backlit.state import STATE


class Dense(nn.Module):
    def __init__(self, rows, columns, seed):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.weight = nn.Parameter(rng.normal(size=(rows, columns)) / rows**0.5)
        self.bias = nn.Parameter(np.zeros(columns))

    def forward(self, x):
        return x @ self.weight + self.bias


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = Dense(5, 4, 0)
        self.fc2 = Dense(4, 3, 1)

    def forward(self, x):
        return self.fc2(bl.tanh(self.fc1(x)))


def source_line(node):
    return Path(node.file).read_text().splitlines()[node.line - 1]


def first(record, op):
    return next(n for n in record if n.op == op)


def lecture():
    x = bl.tensor(-2.0, requires_grad=True)
    y = bl.tensor(5.0, requires_grad=True)
    z = bl.tensor(-4.0, requires_grad=True)
    q = x + y
    m = bl.maximum(y, z)
    return x, y, z, q, m, q * m


def step():
    net = Net()
    x = bl.tensor(np.random.default_rng(2).normal(size=(6, 5)))
    out = net(x)
    return net, x, out, (out * out).mean()


def test_every_quantity_of_the_lecture_graph():
    x, y, z, q, m, f = lecture()
    r = see.record(f)
    upstream = {n.name: n.upstream.item() for n in r}
    assert upstream == {"x": 5, "y": 8, "z": 0, "q": 5, "m": 3, "f": 1}
    values = {n.name: n.value.item() for n in r}
    assert values == {"x": -2, "y": 5, "z": -4, "q": 3, "m": 5, "f": 15}
    edges = {(r.nodes[e.source].name, r.nodes[e.target].name): e for e in r.edges}
    assert edges["y", "q"].gradient.item() == 5
    assert edges["y", "m"].gradient.item() == 3
    assert edges["q", "f"].local.value.item() == 5
    assert [n.name for n in r.backward_nodes()] == ["f", "m", "z", "q", "y", "x"]
    assert r.find(q).op == "add"
    assert r.find("q") is r.find(r.find("q").id)


def test_two_uses_are_two_edges():
    a = bl.tensor(3.0, requires_grad=True)
    r = see.record(a * a)
    assert [(e.position, e.argument) for e in r.incoming[r.output]] == [(0, "a"), (1, "b")]
    assert [e.gradient.item() for e in r.edges] == [3, 3]
    assert r.find("a").upstream.item() == 6


def test_gradients_are_those_of_backward_to_the_last_bit():
    net, _, _, loss = step()
    r = see.record(loss)
    loss.backward()
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(r.find(name).upstream.array, p.grad.numpy())


def test_names_scopes_and_lines():
    net, x, out, loss = step()
    r = see.record(loss)
    assert [s.name for s in r.scopes] == ["Net", "fc1", "fc2"]
    assert r.scope_path(first(r, "matmul").scope) == "Net.fc1"
    assert r.find("Net.fc2.bias").kind == "parameter"
    assert r.find("fc2.weight").shape == (4, 3)
    assert r.find(x).name == "x"
    node = first(r, "matmul")
    assert "return x @ self.weight" in source_line(node)
    assert "test_record.py" in r.location(node)
    assert ", in Net.fc1" in r.location(node)


def test_elements_of_lists_and_dictionaries_have_names():
    xs = [bl.tensor(1.0, requires_grad=True), bl.tensor(2.0, requires_grad=True)]
    d = {"w": bl.tensor(3.0, requires_grad=True)}
    r = see.record(xs[0] * d["w"] + xs[1])
    assert {n.name for n in r.leaves} == {"xs[0]", "xs[1]", "d['w']"}
    assert r.find("xs[1]").value.item() == 2


def test_recording_changes_nothing():
    net, _, _, loss = step()
    calls = []
    loss.register_hook(lambda g: calls.append(g))
    state = bl.random.default_generator().state_dict()["counter"].item()
    r = see.record(loss)
    assert not calls
    assert all(p.grad is None for p in net.parameters())
    assert bl.random.default_generator().state_dict()["counter"].item() == state
    assert "hooks" in r.nodes[r.output].note
    loss.backward()
    assert len(calls) == 1
    with pytest.raises(GraphFreedError, match="was freed by an earlier backward"):
        see.record(loss)


def test_unsaved_values_are_computed_again():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = bl.tensor([3.0, 4.0], requires_grad=True)
    r = see.record(((x + y) - 1.0).sum())
    assert r.find("add_2").value.array.tolist() == [4, 6]
    assert r.find("subtract_3").value.array.tolist() == [3, 5]


def test_a_leaf_replaced_since_is_not_available():
    net, _, _, loss = step()
    net.fc1.bias.assign(net.fc1.bias + 1.0)
    net.fc1.weight.assign(net.fc1.weight * 0.0)
    r = see.record(loss)
    bias = r.find("fc1.bias")
    assert bias.value is None
    assert "replaced after" in bias.note
    sums = r.nodes[r.outgoing[bias.id][0].target]
    assert sums.value is None
    assert "replaced since" in sums.note
    # The product saved the weight that was used.
    assert r.find("fc1.weight").value.array.any()
    assert bias.upstream is not None


def test_which_of_two_leaves_was_replaced_is_not_made_up():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    c = bl.tensor([1.0, 2.0], requires_grad=True)
    loss = bl.tanh((x + c) - 0.5).sum()
    c.assign(c * 1.1)
    r = see.record(loss)
    assert r.find("c").value is r.find("x").value is None
    assert "it, or another of 2 leaves, was replaced after this computation" in r.find("x").note
    assert "replaced since" in r.find("subtract_3").note


def test_results_of_native_code_are_no_sign_of_a_replaced_leaf():
    x = np.random.default_rng(0).normal(size=(1024, 64)).astype(np.float32)
    layer = nn.Linear(64, 256)
    bl.set_native_ops(True)
    try:
        h = layer(bl.tensor(x))
        losses = bl.tanh(h).sum(), (h - h.mean(axis=0)).exp().sum()
        bl.set_native_ops(False)
        records = [see.record(loss) for loss in losses]
        assert all(n.value is not None and n.note is None for r in records for n in r.nodes)
        np.testing.assert_allclose(first(records[0], "linear").value.array, h.array, atol=1e-4)
    finally:
        bl.set_native_ops(True)


def test_an_op_that_draws_numbers_of_its_own_is_told():
    rng = np.random.default_rng(0)

    class Noisy(bl.Op):
        def forward(self, xp, x):
            return x + rng.normal(size=x.shape)

        def backward(self, xp, grad_y):
            return grad_y

    x = bl.tensor([1.0, 2.0], requires_grad=True)
    r = see.record(bl.tanh(bl.apply(Noisy(), x) - 0.5).sum())
    assert "its op gives another value at each call" in first(r, "noisy").note
    assert "a value that it was computed from is not, either" in first(r, "subtract").note
    assert r.find("x").note is None
    assert first(r, "tanh").value is not None


def test_values_can_be_asked_for_after_the_graph_is_gone():
    net, _, _, loss = step()
    r = see.record(loss)
    before = first(see.record(loss), "add").value.array
    loss.backward()
    net.fc1.bias.assign(net.fc1.bias + 1.0)
    net.fc1.weight.assign(net.fc1.weight * 0.0)
    np.testing.assert_array_equal(first(r, "add").value.array, before)
    assert r.find("fc1.bias").note is None
    assert first(r, "add").applied.inputs[1] is r.find("fc1.bias").value.array


def test_non_scalar_output_needs_a_gradient():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    r = see.record(y)
    assert r.find("x").upstream is None
    assert r.find("y").value.array.tolist() == [1, 4]
    r = see.record(y, [1.0, 10.0])
    assert r.find("x").upstream.array.tolist() == [2, 40]
    with pytest.raises(ArgumentError, match=r"record: the gradient must have the output's shape"):
        see.record(y, 1.0)


def test_bad_input_to_record():
    with pytest.raises(ArgumentError, match="record: needs the Tensor that was computed, got int"):
        see.record(3)
    with pytest.raises(GradientError, match="has no graph; set requires_grad=True on a leaf"):
        see.record(bl.tensor(1.0))
    with pytest.raises(ArgumentError, match="needs a Record, a recording or a Tensor, got str"):
        see.as_record("x")
    messages = []

    def captured(x):
        try:
            see.record(x.requires_grad_() * 2)
        except ArgumentError as error:
            messages.append(str(error))
        return x

    bl.capture(captured)(bl.tensor(1.0))
    assert "being captured has no values" in messages[0]


def test_find_says_what_exists():
    x, _, _, q, _, f = lecture()
    r = see.record(f)
    with pytest.raises(ArgumentError, match=r"no node is named 'Q'; there are x, "):
        r.find("Q")
    with pytest.raises(ArgumentError, match=r"a node's number must lie in \[0, 6\), got 6"):
        r.find(6)
    with pytest.raises(ArgumentError, match="this Tensor is not a tensor of the recorded"):
        r.find(bl.tensor(1.0))
    assert r.find("0").name == "x"


def test_recording_sees_what_the_tape_does_not():
    with see.recording() as r:
        x = bl.tensor([1.0, -2.0], requires_grad=True)
        mask = x > 0
        loss = bl.where(mask, x, 0.1 * x).sum()
        loss.backward()
    record = r.record
    assert r.record is record
    assert record.find("mask").value.array.tolist() == [True, False]
    assert record.find("mask").upstream is None
    np.testing.assert_array_equal(record.find("x").upstream.array, x.grad.numpy())
    assert record.nodes[record.output].name == "loss"
    assert see.as_record(r) is record


def test_recording_of_a_whole_step_keeps_the_values_that_were_used():
    net, x, _, _ = step()
    optimizer = bl.optim.Adam(net.parameters(), lr=0.1)
    before = net.fc1.bias.numpy().copy()
    with see.recording(step=7) as r:
        loss = net(x).sum()
        loss.backward()
        optimizer.step()
    assert r.record.step == 7
    assert r.record.find("fc1.bias").value.array.tolist() == before.tolist()
    np.testing.assert_array_equal(r.record.find("fc1.bias").upstream.array, net.fc1.bias.grad)
    assert not (net.fc1.bias.numpy() == before).all()


def test_recording_another_output():
    with see.recording() as r:
        x = bl.tensor(2.0, requires_grad=True)
        a, b = x * 3, x * 5
    assert r.record.nodes[r.record.output].name == "b"
    assert r.of(a).find("x").upstream.item() == 3
    with pytest.raises(
        ArgumentError, match=r"recording: the output .* was not computed in the blo"
    ):
        r.of(bl.tensor(1.0))
    with see.recording() as r, pytest.raises(ArgumentError, match="exists once the block has end"):
        r.of(None)


def test_nested_recordings_both_see():
    with see.recording() as outer:
        x = bl.tensor(2.0, requires_grad=True)
        with see.recording() as inner:
            _ = x * 3
        _ = x * 4
    assert len(inner.record) == 2
    assert len(outer.record) == 3
    assert STATE.observer is None


def test_a_failure_in_the_block_itself_is_at_its_own_line():
    with pytest.raises(bl.errors.ShapeError), see.recording() as r:
        x = bl.ones((2, 3))
        x @ x
    assert source_line(r.record.nodes[-1]).strip() == "x @ x"
    with pytest.raises(ArgumentError, match="a shape is integers"), see.recording() as r:
        x = bl.ones((2, 3))
        bl.reshape(x, "a")
    assert source_line(r.record.nodes[-1]).strip() == 'bl.reshape(x, "a")'


def test_a_failing_op_is_recorded_and_the_exception_goes_on():
    net = Net()
    with pytest.raises(bl.errors.ShapeError), see.recording() as r:
        h = net.fc1(bl.tensor(np.ones((2, 5))))
        net.fc1(h)
    failed = r.record.failed
    assert failed.op == "matmul"
    assert failed.status == "failed"
    assert failed.value is None
    assert "must equal b.shape[-2]" in failed.error
    assert r.record.error == failed.error
    assert r.record.scope_path(failed.scope) == "Dense"
    sources = [r.record.nodes[e.source].name for e in r.record.incoming[failed.id]]
    assert sources == ["h", "Dense.weight"]
    assert "return x @ self.weight" in source_line(failed)
    assert all(n.upstream is None for n in r.record)


def test_a_function_that_raises_before_its_op():
    with pytest.raises(bl.errors.ShapeError), see.recording() as r:
        x = bl.tensor([1.0, 2.0])
        x.sum(axis=3)
    assert r.record.failed.op == "sum"
    assert r.record.nodes[r.record.incoming[r.record.failed.id][0].source].name == "x"


def test_user_code_that_raises_marks_no_node():
    with pytest.raises(ZeroDivisionError), see.recording() as r:
        x = bl.tensor(1.0, requires_grad=True) * 2
        1 / 0  # noqa: B018
    assert r.record.failed is None
    assert r.record.error == "ZeroDivisionError: division by zero"
    assert r.record.find(x).value.item() == 2


class Broken(bl.Op):
    saves = ("x",)

    def forward(self, xp, x):
        return xp.exp(x)

    def backward(self, xp, grad_y, x):
        raise KeyError("forgotten")


def test_a_backward_that_raises_is_marked_and_the_rest_is_not_computed():
    with pytest.raises(KeyError), see.recording() as r:
        x = bl.tensor(1.0, requires_grad=True)
        y = bl.apply(Broken(), x)
        (y * 2).backward()
    assert r.record.failed.name == "y"
    assert r.record.failed.status == "failed in backward"
    assert r.record.failed.error == "KeyError: 'forgotten'"
    assert r.record.find("y").upstream.item() == 2
    assert r.record.find("x").upstream is None
    again = see.record(bl.apply(Broken(), x))
    assert again.failed.op == "broken"


def test_detached_values_know_where_they_came_from():
    with see.recording() as r:
        x = bl.tensor(2.0, requires_grad=True)
        h = x * 3
        y = h.detach() * x
    detached = next(n for n in r.record.leaves if n.detached_from is not None)
    assert r.record.nodes[detached.detached_from].name == "h"
    assert r.record.find(y).name == "y"


def test_json_round_trip():
    _, x, _, loss = step()
    r = see.record(loss, step=3)
    text = r.to_json("complete")
    again = Record.from_json(text)
    assert again.to_json("complete") == text
    for a, b in zip(r, again, strict=True):
        assert (a.op, a.name, a.shape, a.dtype, a.line) == (b.op, b.name, b.shape, b.dtype, b.line)
        np.testing.assert_array_equal(
            a.upstream.array if a.upstream else 0, b.upstream.array if b.upstream else 0
        )
    elided = Record.from_json(r.to_json())
    big = elided.find("x")
    assert big.value.array is None
    assert big.value.statistics == r.find("x").value.statistics
    assert big.value.at((0, 1)) == r.find("x").value.at((0, 1))
    assert big.value.at((5, 4)) is None
    assert elided.edges[0].local.kind == r.edges[0].local.kind
    with pytest.raises(ArgumentError, match="arrays must be 'elided' or 'complete', got 'some'"):
        r.to_dict("some")


def test_json_has_no_numbers_that_are_not_finite():
    x = bl.tensor([0.0, -1.0, 1.0], requires_grad=True)
    text = see.record(bl.log(x).sum()).to_json()
    json.loads(text, parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    back = Record.from_json(text).find("log_1").value
    assert back.statistics["nan"] == 1
    assert back.statistics["inf"] == 1
    assert back.head[0] == -math.inf


def test_files_that_are_not_records(tmp_path):
    x, *_, f = lecture()
    path = tmp_path / "r.json"
    see.record(f).save(path)
    assert Record.load(path).find("x").upstream.item() == 5
    with pytest.raises(DataError, match=r"none.json cannot be read"):
        Record.load(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"save: .* could not be written: Not a directory"):
        see.record(f).save(path / "r.json")
    good = json.loads(path.read_text())
    first = good["nodes"][0]["value"]

    def changed(key, value):
        return {"nodes": [{**good["nodes"][0], key: value}, *good["nodes"][1:]]}

    for change, message in [
        ({"format": "other"}, 'must have "format": "backlit-record"'),
        ({"version": 9}, "has version 9, this Backlit reads 1"),
        ({"nodes": [{}]}, "r.json lacks a part: 'id'"),
        ({"nodes": 5}, "lacks a part or has one of a wrong type: TypeError"),
        ({"nodes": good["nodes"][::-1]}, "numbers must run from 0, got 5 at node 0"),
        ({"edges": [{**good["edges"][0], "target": 0}]}, "must lead from an earlier node"),
        (
            {"edges": good["edges"][:1]},
            r"an argument of node 2 must be null or lie in \[0, 1\)",
        ),
        ({"output": 6}, r"output must be null or lie in \[0, 6\), got 6"),
        ({"output": "0"}, "output must be an integer, got '0'"),
        ({"output": None}, "seed must be null where output is"),
        (
            {"output": 0, "seed": {**good["seed"], "shape": [1]}},
            r"seed must have the shape \(\)",
        ),
        ({"sources": {"a.py": {"1": 5}}}, "a line of the sources must be text, got 5"),
        ({"sources": {"a.py": {"x": "y"}}}, "has one of a wrong type: ValueError"),
        (
            changed("kind", '"><script>'),
            "kind of node 0 must be op, parameter, leaf, constant",
        ),
        (changed("status", "fine"), "status of node 0 must be ok, failed, failed in backward"),
        (changed("scope", 0), r"the scope of node 0 must be null or lie in \[0, 0\), got 0"),
        (changed("name", 5), "name of node 0 must be text, got 5"),
        (changed("line", "1' onclick='"), "line of node 0 must be an integer, got"),
        (changed("attributes", {"a": 1}), "a of node 0 must be text, got 1"),
        (changed("arguments", [{"edge": 0}]), "node 0 must be an op to have arguments, got a leaf"),
        (
            {"nodes": [n | {"arguments": n["arguments"][::-1]} for n in good["nodes"]]},
            "edge 1 must lead to argument 0 of node 2, which has it, got argument 1",
        ),
        (
            changed("arguments", [{"x": 0}]),
            "an argument of node 0 must be an edge or a number",
        ),
        (changed("shape", [-1]), r"a shape must be at most 64 sizes of 0 or more, got \[-1\]"),
        (changed("shape", [2]), r"the value must have the shape \(2,\) of node 0, got \(\)"),
        (changed("dtype", "float31"), "has one of a wrong type: DTypeError"),
        (changed("upstream", None), "node 0 has a place in the backward pass, but no upstream"),
        (changed("value", {**first, "shape": [-1]}), "value of node 0: a shape must be at most"),
        (changed("value", {**first, "shape": [2**40] * 2}), "value of node 0: a shape must be"),
        (changed("value", {**first, "head": ["x"]}), "value of node 0: a number must be one, or"),
        (changed("value", {**first, "head": []}), "head must have the first 1 numbers of float32"),
        (changed("value", {**first, "head": [10**400]}), "wrong type: OverflowError"),
        (
            {"nodes": [n | {"op": "negative"} if n["id"] == 4 else n for n in good["nodes"]]},
            "node 4 must have the arguments x of negative, got 2",
        ),
    ]:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(DataError, match=message):
            Record.load(path)
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"r.json is not JSON"):
        Record.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"r.json is not JSON"):
        Record.load(path)
    value = see.record(f).nodes[0].value.to_dict(True)
    with pytest.raises(DataError, match=r"float32\[\] must have 4 bytes, got 3"):
        Value.from_dict({**value, "data": "AAAA"})


def written(tmp_path, text="y = bl.log(x)  # the line\n"):
    """A record whose op was made by a script of that text, and the script."""
    script = tmp_path / "script.py"
    script.write_text(f"import backlit as bl\nx = bl.tensor(0.0, requires_grad=True)\n{text}")
    linecache.checkcache()
    with see.recording() as r:
        exec(compile(script.read_text(), str(script), "exec"), {})
    return r.record, script


def test_the_lines_of_the_user_travel_in_the_record(tmp_path):
    record, script = written(tmp_path)
    text = record.to_json()
    script.unlink()
    linecache.checkcache()
    again = Record.from_json(text)
    assert again.source(again.nodes[-1]) == "y = bl.log(x)  # the line"
    assert again.source_line(str(script), 1) == "import backlit as bl\n"
    assert "y = bl.log(x)  # the line" in see.draw(again).html()
    found = repr(see.bad_numbers(again))
    assert "script.py:3: y = bl.log(x)  # the line" in found
    assert Record.from_json(again.to_json()).to_json() == again.to_json()


def test_a_record_from_elsewhere_shows_no_file_of_this_machine(tmp_path):
    record, script = written(tmp_path)
    data = record.to_dict()
    script.write_text("import backlit as bl\n\nsecret = bl.log(password)\n")
    linecache.checkcache()
    for sources in ({}, None):
        data["sources"] = sources
        if sources is None:
            del data["sources"]  # as records were written once
        again = Record.from_json(json.dumps(data))
        assert again.source(again.nodes[-1]) == ""
        shown = [see.draw(again).html(), repr(see.bad_numbers(again)), again.to_json()]
        shown.append(panes.source(again, again.nodes[-1], 80, 5).plain)
        assert not any("secret" in text or "password" in text for text in shown)
    assert "Its lines are not known." in shown[-1]


def test_texts_of_a_record_cannot_steer_a_terminal(tmp_path):
    data = written(tmp_path)[0].to_dict()
    data["nodes"][0]["name"] = "x\x1b[2J\x07\x9b1m\ud800"
    again = Record.from_json(json.dumps(data))
    assert again.nodes[0].name == "x\ufffd[2J\ufffd\ufffd1m\ufffd"


def test_where_one_number_is_finite_it_is_all_there_is_to_know():
    s = Value(np.array([math.nan, 2.0, -math.inf])).statistics
    assert (s["min"], s["max"], s["mean"], s["std"], s["norm"]) == (2, 2, 2, 0, 2)
    none = Value(np.array([math.nan, math.inf, math.nan])).statistics
    assert (none["nan"], none["inf"], none["max"], none["norm"]) == (2, 1, None, None)


def test_statistics_leave_out_what_is_not_finite():
    v = Value(np.array([0.0, 3.0, -4.0, math.nan, math.inf]))
    s = v.statistics
    assert (s["min"], s["max"], s["nan"], s["inf"], s["zeros"]) == (-4, 3, 1, 1, 0.2)
    assert s["norm"] == pytest.approx(5)
    assert s["mean"] == pytest.approx(-1 / 3)
    assert s["std"] == pytest.approx(np.std([0, 3, -4]))
    assert Value(np.array([math.nan])).statistics["max"] is None
    assert Value(np.zeros((0, 2))).statistics["norm"] is None
    assert Value(np.array([1e200, 1e200])).statistics["norm"] == pytest.approx(2**0.5 * 1e200)
    assert Value(np.array([True, False])).statistics["zeros"] == 0.5


def test_numbers_for_reading():
    assert number(math.nan) == "nan"
    assert number(-math.inf) == "−∞"
    assert number(-0.0) == "0"
    assert number(1234567.0) == "1.235e6"
    assert Value(np.arange(6.0)).text() == "[0, 1, 2, 3, …]"


@pytest.mark.slow
def test_deep_graphs_are_recorded_without_recursion():
    x = y = bl.tensor(1.0, requires_grad=True)
    for _ in range(20_000):
        y = y + 1.0
    r = see.record(y)
    assert len(r) == 20_001
    assert r.find("x").upstream.item() == 1
    assert r.find("x").backward_order == 20_000


def test_local_gradients_name_their_structure():
    x = bl.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
    w = bl.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    b = bl.tensor([0.5, 0.5], requires_grad=True)
    h = bl.tanh(x @ w + b)
    loss = h.reshape(4).sum() + bl.max(x) + bl.apply(Softmax(axis=1), x).mean()
    r = see.record(loss)
    kinds = {(r.nodes[e.target].op, e.argument): e.local.kind for e in r.edges}
    assert kinds["matmul", "a"] == kinds["matmul", "b"] == "matrix"
    assert kinds["tanh", "x"] == "diagonal"
    assert kinds["reshape", "x"] == "move"
    assert kinds["sum", "x"] == "copy"
    assert kinds["max", "x"] == "row"
    assert kinds["softmax", "x"] == "map"
    summed = r.outgoing[r.find("b").id]
    assert summed[0].local.kind == "identity"
    assert "summed over the axes" in summed[0].local.text
    tanh = next(e for e in r.edges if r.nodes[e.target].op == "tanh")
    np.testing.assert_allclose(tanh.local.value.array, 1 - h.numpy() ** 2, rtol=1e-6)


def test_the_gradients_of_the_users_own_backward_are_taken_over_and_not_computed_again():
    x = bl.tensor([1.0, -2.0], requires_grad=True)
    calls = []

    class Counted(bl.Elementwise):
        saves = ("x",)

        def forward(self, xp, x):
            return x * x

        def backward(self, xp, grad_y, x):
            calls.append(1)
            return grad_y * 2 * x

    op = Counted()
    with see.recording() as r:
        loss = (bl.apply(op, x) * 3).sum()
        loss.backward()
    record = r.record
    np.testing.assert_array_equal(record.find("x").upstream.array, x.grad.numpy())
    assert len(calls) == 1
    with see.recording() as r:
        loss = (bl.apply(op, x) * 3).sum()
        loss.backward(bl.tensor(7.0))
    np.testing.assert_array_equal(r.record.find("x").upstream.array, [6, -12])  # started with 1
    assert len(calls) == 3
    with see.recording() as r:
        loss = (bl.apply(op, x) * x).sum()
        (g,) = bl.grad(loss, [x], create_graph=True)
    np.testing.assert_array_equal(r.of(loss).find("x").upstream.array, g.numpy())


def test_the_local_gradient_of_a_convolution_names_its_structure():
    x = bl.tensor(np.ones((1, 1, 4, 4)), requires_grad=True)
    w = bl.tensor(np.ones((1, 1, 3, 3)), requires_grad=True)
    y = bl.functional.conv2d(x, w)
    record = see.record(y.sum())
    of = {record.nodes[e.source].label: e for e in record.edges}
    assert of["x"].local.text.startswith("Toeplitz: every window sends")
    assert of["w"].local.text.startswith("each weight gets the upstream")
    assert local_text(of["x"], Convolution) == "∗flip w"
    assert local_text(of["w"], Convolution) == "∗x"


def test_drawn_numbers_are_inputs_of_a_recording():
    with see.recording() as r:
        layer = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
        x = bl.random.normal((4, 3))
        loss = (layer(x) * bl.random.integers(0, 2, (4, 2))).sum()
        loss.backward()
    ops = [n.op for n in r.record.nodes if n.kind == "op"]
    assert not {"random_bits", "bitwise_right_shift", "cos"} & set(ops)
    assert ops[0] == "linear"
    assert ops[-1] == "sum"
    assert r.record.find("x").kind == "constant"
    assert STATE.observer is None


def test_one_input_of_many_that_may_be_needs_no_number():
    loss = bl.concat([nn.Linear(3, 2)(bl.ones((1, 3))), bl.ones((1, 2))]).sum()
    assert [e.argument for e in see.record(loss).edges][:5] == [
        "x", "weight", "bias", "arrays[0]", "arrays[1]",
    ]  # fmt: skip


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return checkpoint(lambda v: bl.tanh(self.inner(v)), x)


def test_a_checkpoint_is_no_sign_of_a_replaced_leaf_and_knows_its_modules():
    layer, net = nn.Linear(3, 3), Doubled()
    x = bl.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    for loss, names in (
        (checkpoint(lambda v: bl.tanh(layer(v)), x).sum(), {"x", "Linear.weight", "Linear.bias"}),
        (checkpoint(layer, x).sum(), {"x", "Linear.weight", "Linear.bias"}),
        (net(x).sum(), {"x", "Doubled.inner.weight", "Doubled.inner.bias"}),
    ):
        r = see.record(loss)
        assert {n.name for n in r.leaves} == names
        assert all(n.value is not None and n.note is None for n in r.leaves)
        inside = next(n for n in r.nodes if n.op == "recomputed")
        assert inside.value is None
        assert "a checkpoint keeps no values" in inside.note
    assert see.why(layer.weight, checkpoint(layer, x).sum()).name == "Linear.weight"


def test_a_compiled_function_is_no_sign_of_a_replaced_leaf():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    r = see.record(bl.compile(lambda t: bl.tanh(t) * 2)(x).sum())
    assert r.find("x").value.array.tolist() == [1, 2]
    inside = next(n for n in r.nodes if n.op == "compiled")
    assert "computed inside a compiled function" in inside.note
    # No gradient comes, and the record says where it ended.
    assert r.find("x").upstream is None
    assert "no gradient came: the backward of compiled raised" in r.find("x").note


def test_behind_a_backward_that_raises_it_is_said_that_no_gradient_came():
    class Cube(bl.Op):
        def forward(self, xp, x):
            return x * x * x

        def backward(self, xp, grad_y):
            raise ValueError("no")

    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = bl.tensor([1.0, 2.0], requires_grad=True)
    r = see.record((bl.apply(Cube(), x * 2) + y * x).sum())
    assert r.find("multiply_1").note == "no gradient came: the backward of cube raised"
    assert r.find("x").upstream.array.tolist() == [1, 2]
    assert "lacks what the backward of cube, which raised, would send" in r.find("x").note
    assert r.find("y").note is None


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_say_what_their_slope_is(reduction):
    rng = np.random.default_rng(0)
    x, t = bl.tensor(rng.normal(size=(3, 4)), requires_grad=True), rng.random((3, 4))
    classes = np.array([0, 1, 3])
    p = np.exp(x.numpy()) / np.exp(x.numpy()).sum(1, keepdims=True)
    losses = nn.functional
    cases = {
        "p − y": (losses.cross_entropy(x, bl.tensor(classes), reduction=reduction),
                  p - np.eye(4)[classes], 3),
        "2(x − t)": (losses.mse_loss(x, bl.tensor(t), reduction=reduction),
                     2 * (x.numpy() - t), 12),
        "σ(x) − t": (losses.binary_cross_entropy_with_logits(x, bl.tensor(t), reduction=reduction),
                     1 / (1 + np.exp(-x.numpy())) - t, 12),
    }  # fmt: skip
    for formula, (loss, slope, n) in cases.items():
        edge = see.record(loss).edges[0]
        if reduction == "mean":
            formula, slope = (formula if formula[0] == "2" else f"({formula})") + "/N", slope / n
        assert local_text(edge, see.record(loss).nodes[edge.target].op_class) == formula
        np.testing.assert_allclose(edge.local.value.array, slope)
    weighted = losses.cross_entropy(x, bl.tensor(classes), bl.tensor(rng.random(4)))
    assert see.record(weighted).edges[0].local.text == "∂cross_entropy/∂x, an array like x"


def test_numpy_takes_values_where_all_elements_are_there(tmp_path):
    x = bl.tensor(np.arange(12.0), requires_grad=True)
    record = see.record((x * x).sum())
    upstream = record.find("x").upstream
    assert np.linalg.norm(upstream) == np.linalg.norm(2 * np.arange(12.0))
    assert np.asarray(upstream, np.float32).dtype == np.float32
    record.save(tmp_path / "small.json", arrays="elided")
    few = Record.load(tmp_path / "small.json").find("x").value
    with pytest.raises(
        ArgumentError,
        match=r"__array__: of float64\[12\] a file kept the statistics and the first 8 elements "
        r'only, and \.array is None; record it anew, or save it with arrays="complete"',
    ):
        np.asarray(few)


def test_local_gradients_that_are_no_numbers_say_what_they_do():
    x = bl.tensor(np.random.default_rng(0).normal(size=(1, 1, 4, 4)), requires_grad=True)
    said = {}
    for y in (
        nn.functional.max_pool2d(x, 2),
        nn.functional.softmax(x, dim=-1),
        bl.cumulative_sum(x, axis=-1),
    ):
        record = see.record((y * y).sum())
        node = next(n for n in record.nodes if n.op in ("max_pool", "softmax", "cumulative_sum"))
        said[node.op] = record.incoming[node.id][0].local.text
    assert said == {
        "max_pool": "upstream goes to where the maximum of its window was, 0 elsewhere",
        "softmax": "each element of x gets y · (upstream − Σ upstream · y along the axis)",
        "cumulative_sum": "each element gets the upstream gradients of all sums that it is in, "
        "added up",
    }
