"""Records from files are explained as live ones are."""

import json

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn, see
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from graphs import deep, lecture


def network():
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.GELU(), nn.MaxPool2d(2), nn.Flatten()
    )
    x = bl.asarray(rng.standard_normal((2, 1, 4, 4), dtype=np.float32))
    scores = F.dropout(net(x), 0.3) @ bl.asarray(rng.standard_normal((8, 3), dtype=np.float32))
    return see.record(F.cross_entropy(scores, bl.asarray([0, 2])))


def language():
    model = models.GPT2(5, context=4, layers=1, heads=2, width=4, dropout=0.0)
    letters = bl.asarray([[0, 1, 2, 3]])
    return see.record(F.cross_entropy(model(letters).reshape(-1, 5), letters.reshape(-1)))


def numbers():
    x = bl.tensor([0.5, 2.0], requires_grad=True)
    y = bl.clip(x**2 + 3.0, -np.inf, 6.0)
    return see.record((bl.stack([y, 1.0 / x]).max(axis=1) * 2.0).sum())


RECORDS = {f.__name__: f for f in (lecture, deep, network, language, numbers)}


def leaves(record):
    return [n for n in record.nodes if n.kind in ("leaf", "parameter") and n.upstream is not None]


@pytest.mark.parametrize("name", RECORDS)
def test_explanations_are_those_of_the_live_record(tmp_path, name) -> None:
    bl.manual_seed(0)
    record = RECORDS[name]()
    record.save(tmp_path / "record.json")
    loaded = see.Record.load(tmp_path / "record.json")
    assert leaves(loaded)
    for node in leaves(loaded):
        mine = str(see.explain(node, loaded, top=3))
        assert mine == str(see.explain(record.nodes[node.id], record, top=3))


def saved(record, **changes):
    data = record.to_dict("complete")
    for node in data["nodes"]:
        if node["kind"] == "op":
            node.update(changes)
    return see.Record.from_json(json.dumps(data))


def test_what_a_file_does_not_say_is_an_error() -> None:
    record = lecture()
    with pytest.raises(
        ArgumentError, match=r"q.* is not an op of this Backlit.*before it is saved"
    ):
        see.explain("y", saved(record, op="blend"))
    with pytest.raises(ArgumentError, match="is not an op of this Backlit"):
        see.explain("y", saved(record, attributes={"axis": "0"}))
    x = bl.tensor(np.arange(20.0), requires_grad=True)
    large = see.record((x * x).sum())
    elided = see.Record.from_json(large.to_json("elided"))
    with pytest.raises(
        ArgumentError, match=r'without all its arrays.*save it with arrays="complete"'
    ):
        see.explain("x", elided)
    broken = saved(see.record(bl.sum(x, axis=0)), attributes={"axis": "(0", "keepdims": "False"})
    with pytest.raises(ArgumentError, match="cannot be read from the file"):
        see.explain("x", broken)


def test_an_op_that_has_changed_since_is_noticed() -> None:
    record = lecture()
    data = record.to_dict("complete")
    (edge,) = [
        e
        for e in data["edges"]
        if data["nodes"][e["target"]]["op"] == "multiply" and e["position"] == 0
    ]
    loaded = see.Record.from_json(json.dumps(data))
    loaded.edges[edge["id"]].gradient = see.Value(np.array(4.0))
    with pytest.raises(ArgumentError, match="gives another gradient than the file says"):
        see.explain("y", loaded)


def test_another_s_op_of_a_known_name_is_not_taken() -> None:
    class Multiply(bl.Elementwise):
        name = "multiply"
        saves = ("x", "y")

        def forward(self, xp, x, y):
            return x * y

        def backward(self, xp, grad_z, x, y):
            return grad_z * y * 7.0, grad_z * x

    record = lecture()
    loaded = saved(record)
    assert "Gradient of y: 8" in str(see.explain("y", loaded))
