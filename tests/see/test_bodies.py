"""Ops opened in place: the gates inside, with values and gradients that are those of the op."""

import json
import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.errors import ArgumentError
from backlit.see.show.draw import bodies
from backlit.see.show.draw.labels import Labels
from backlit.see.show.draw.layout import METRICS
from backlit.see.show.draw.overview import overview
from backlit.see.show.draw.svg import scene
from backlit.see.show.draw.tree import Tree
from graphs import large


def classifier():
    rng = np.random.default_rng(0)
    x = bl.tensor(rng.normal(size=(6, 3, 6, 6)).astype("float32"), requires_grad=True)
    bl.random.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 5), nn.LayerNorm(5), nn.Sigmoid(), nn.Dropout(0.5), nn.Softmax(-1),
    )  # fmt: skip
    logits = net(x)
    return see.record(nn.functional.cross_entropy(logits, bl.tensor([0, 1, 2, 3, 4, 0])))


def lstm(steps=3):
    rng = np.random.default_rng(0)
    y, _ = nn.LSTM(3, 4)(bl.tensor(rng.normal(size=(steps, 2, 3)).astype("float32")))
    return see.record((y * y).sum())


def inside(opened, op):
    """The nodes of an op's body, by name."""
    number = next(n.id for n in opened.closed.nodes if n.op == op)
    found = [opened.nodes[i] for i, owner in enumerate(opened.owner) if owner == number]
    return opened.nodes[number], {n.name: n for n in found if n.name}


@pytest.mark.parametrize("make", [classifier, lstm])
def test_values_and_gradients_inside_are_those_of_the_op(make):
    opened = bodies.opened(make(), True)
    assert len(opened.results) > 3 or make is lstm
    for op, result in opened.results.items():
        whole, inner = opened.nodes[op], opened.nodes[result]
        np.testing.assert_allclose(inner.value.array, whole.value.array, rtol=1e-6)
        np.testing.assert_array_equal(inner.upstream.array, whole.upstream.array)
        for source in {e.source for e in opened.incoming[op]}:
            sent = [e.gradient for e in opened.incoming[op] if e.source == source]
            within = [
                e.gradient
                for e in opened.edges
                if e.source == source and opened.owner[e.target] == op and e.gradient is not None
            ]
            wanted = sum(g.array for g in sent if g is not None)
            found = sum(g.array for g in within)
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_an_lstm_shows_its_gates():
    whole, found = inside(bodies.opened(lstm(1), "lstm_scan"), "lstm_scan")
    assert {"i", "f", "g", "o", "c", "h"} <= found.keys()
    for block, name in enumerate("hcifgo"):
        np.testing.assert_allclose(found[name].value.array, whole.value.array[block], rtol=1e-6)


def test_the_steps_of_an_lstm_are_repetitions():
    tree = Tree(bodies.opened(lstm(30), "lstm_scan"))
    (body,) = [b for b in tree.boxes if b.node is not None and b.wanted]
    inner = [b for b in tree.boxes if b.kind == "repeat" and b.parent == body.id]
    assert [b.title for b in inner] == ["a, both, i, f, g, o, c, … ×30"]
    assert len(body.members) == 4


def test_the_gradient_of_cross_entropy_is_built_up_inside():
    rng = np.random.default_rng(0)
    x, labels = bl.tensor(rng.normal(size=(4, 3)), requires_grad=True), [0, 2, 1, 2]
    opened = bodies.opened(see.record(nn.functional.cross_entropy(x, bl.tensor(labels))), True)
    _, found = inside(opened, "cross_entropy")
    p = np.exp(x.numpy()) / np.exp(x.numpy()).sum(1, keepdims=True)
    np.testing.assert_allclose(found["z"].upstream.array, (p - np.eye(3)[labels]) / 4)


def test_the_text_shows_what_was_opened_below_the_op():
    x = bl.tensor([1.0, 2.0, 6.0], requires_grad=True)
    text = see.draw(x.mean(), unfold="mean").text()
    assert [line.split("  ")[0] for line in text.splitlines()[1:3]] == [
        "x",
        "▾ mean_1 = mean(x, axis=(0,))",
    ]
    assert "    sum_2 = sum(x" not in see.draw(x.mean()).text()


def test_what_cannot_be_opened_says_why():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = bl.tanh(x).mean()
    for what, why in (
        ("x", r"got x \(a leaf\); give ops by name"),
        ("tanh", r"got tanh_1 \(the primitive tanh\); it is a single gate"),
        ("tan", "no node is named 'tan'"),
    ):
        with pytest.raises(ArgumentError, match=why):
            see.draw(y, unfold=what)
    loaded = see.Record.from_json(see.record(y).to_json())
    with pytest.raises(
        ArgumentError, match=r"mean of a record from a file\); draw the computation"
    ):
        see.draw(loaded, unfold="mean")


def test_pages_have_limits(monkeypatch):
    def page(source):
        found = re.search(r'id="data">(.*?)</script>', see.draw(source).html(), re.S)
        return json.loads(found.group(1))

    assert bodies.opened(large(3500)).results == {}
    monkeypatch.setattr(bodies, "GATES", 20)
    data = page(classifier())
    assert 0 < sum(owner >= 0 for owner in data["owner"]) <= 20
    assert data["unopened"]
    monkeypatch.setattr(bodies, "ELEMENTS", 10)
    assert page(classifier())["results"] == {}


def test_a_recording_of_an_op_that_raised_is_drawn():
    x = bl.tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(bl.errors.ShapeError), see.recording() as r:
        nn.functional.cross_entropy(x.softmax(-1), bl.tensor([0, 1, 2]))
    assert "cross entropy" in see.draw(r).svg()


@pytest.mark.browser
def test_a_click_opens_an_op_where_python_places_it(browser, tmp_path):
    from selenium.webdriver.common.by import By

    record, path = classifier(), tmp_path / "page.html"
    see.draw(record, unfold=["softmax", "cross_entropy"]).save(path)
    browser.get(path.as_uri())
    tree = Tree(bodies.opened(record, ["softmax", "cross_entropy"]))
    window = browser.execute_script(
        "const s = document.getElementById('stage'); return [s.clientWidth, s.clientHeight]"
    )
    folded, frames = overview(tree, Labels(tree.record, METRICS), window)
    assert browser.execute_script("return backlit.layout().folded") == folded
    placed = scene(tree, Labels(tree.record, METRICS), frames).nodes
    found = browser.execute_script(
        "return arguments[0].map(n => backlit.position(n))", list(placed)
    )
    np.testing.assert_allclose(found, list(placed.values()), atol=1e-6)

    see.draw(record).save(path)
    browser.get(path.as_uri())
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    visible = browser.execute_script("return backlit.state().visible")
    opener = browser.find_element(By.CSS_SELECTOR, ".opener")
    assert "what it is made of" in opener.get_attribute("aria-label")
    opener.click()
    assert browser.execute_script("return backlit.state().visible") > visible + 2
    assert browser.find_elements(By.CSS_SELECTOR, ".box.op")
    assert browser.get_log("browser") == []


def test_the_language_of_graphviz_has_an_opened_op_as_a_cluster():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    drawing = see.draw(bl.exp(x.mean()), unfold="mean")
    text = drawing.dot()
    assert "subgraph cluster_body_1" in text
    arrows = sorted(re.findall(r"n\d+ -> n\d+", text))
    assert arrows == ["n0 -> n3", "n3 -> n4", "n4 -> n2"]
    assert "cluster_body" not in see.draw(drawing.record).dot()
