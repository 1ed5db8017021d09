"""Looking at a computation over a training, and two computations in one page."""

import json
import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.errors import ArgumentError
from backlit.train import History, Trainer


def data(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))


def train(steps, **settings):
    rng = np.random.default_rng(0)
    x, y = bl.tensor(rng.normal(size=(8, 4)).astype(np.float32)), bl.tensor(rng.integers(0, 3, 8))
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = optim.SGD(net.parameters(), lr=0.5)
    seen, records = see.history(**settings), {}
    for step in range(steps):
        loss = nn.CrossEntropyLoss()(net(x), y)
        if seen.add(loss, step):
            records[step] = seen.record
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return seen, records


def test_each_step_has_its_own_values_gradients_and_pictures():
    seen, records = train(5, every=2)
    assert seen.steps == [0, 2, 4]
    assert repr(seen) == "History(3 steps from 0 to 4, 10 nodes)"
    weight = seen.record.find("0.weight").id
    for what, row in (("value", "value"), ("gradient", "upstream")):
        shown = seen.statistics("0.weight", what)
        true = [getattr(r.nodes[weight], row).statistics["norm"] for r in records.values()]
        assert [s["norm"] for s in shown] == pytest.approx(true, rel=1e-5)
    page = data(seen.html())
    frames = page["frames"]
    assert [f["label"].split(",")[0] for f in frames] == ["step 0", "step 2", "step 4"]
    assert len({f["nodes"]["values"][weight] for f in frames}) == 3
    assert len({f["pictures"]["list"][f["pictures"]["value"][str(weight)]][6] for f in frames}) == 3
    assert page["nodes"]["values"] == frames[-1]["nodes"]["values"]


def test_memory_is_bounded_and_the_last_step_stays():
    seen, _ = train(40, limit=6)
    assert len(seen) <= 6
    assert seen.steps[0] == 0
    gaps = np.diff(seen.steps)
    assert (gaps == gaps[0]).all()
    assert seen.steps[-1] + gaps[0] >= 40
    assert not seen.wants(1)
    kept = [x for frame in seen._frames for x in frame.values() if isinstance(x, np.ndarray)]
    assert kept == []


def test_a_step_that_is_not_looked_at_costs_nothing():
    seen, _ = train(1, every=10)

    class Untouched:
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was asked for")

    assert seen.add(Untouched(), 3) is False


def test_what_a_history_refuses():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    seen = see.history()
    with pytest.raises(ArgumentError, match="history: there must be at least one step to draw"):
        seen.html()
    seen.add((w * 2).sum(), 3)
    with pytest.raises(ArgumentError, match=r"history: steps must go up, got 3 after 3; begin a"):
        seen.add((w * 2).sum(), 3)
    with pytest.raises(
        ArgumentError,
        match=r"history: all steps must have the same graph, but step 4 has exp_1 \(float32\[2\]\) "
        r"where step 3 has multiply_1 \(.*\); look at the same batch each time, of one size",
    ):
        seen.add(bl.exp(w).sum(), 4)
    with pytest.raises(ArgumentError, match=r"history: what must be 'value' or 'gradient', got 'x"):
        seen.statistics(0, "x")
    with pytest.raises(ArgumentError, match=r"history: the file's name must end in .html, got 'a"):
        seen.save("a.svg")
    with pytest.raises(ArgumentError, match=r"history: limit must be at least 2, got 1"):
        see.history(limit=1)
    with see.recording() as nothing:
        pass
    with pytest.raises(ArgumentError, match=r"history: the record has no nodes, so there is noth"):
        see.history().add(nothing, 0)


def test_a_trainer_is_looked_at_between_epochs_and_goes_on_as_before(tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(32, 4)).astype(np.float32), rng.integers(0, 3, 32)
    batch = bl.tensor(x[:6]), bl.tensor(y[:6])
    weights = []
    look = History(batch, every=2, path=tmp_path / "over.html")
    for callbacks in ([], [look]):
        bl.random.manual_seed(3)
        net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
        trainer = Trainer(
            net, nn.CrossEntropyLoss(), optim.Adam(net.parameters()), callbacks=callbacks,
            progress="quiet",
        )  # fmt: skip
        trainer.fit([(bl.tensor(x), bl.tensor(y))], epochs=5)
        weights.append([p.numpy().copy() for p in net.parameters()])
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    assert look.history.steps == [0, 2, 4]
    labels = [f["label"] for f in data((tmp_path / "over.html").read_text())["frames"]]
    assert labels[1].startswith("epoch 2, loss ")


def test_the_page_of_a_comparison():
    _, records = train(3)
    one, other = records[0], records[2]
    found = see.compare(one, other, ("before", "after"))
    page = data(found.html())
    assert [f["label"] for f in page["frames"]] == ["before", "after"]
    assert page["compared"]["first"] == found.first.node.id
    assert page["compared"]["value"][str(one.output)][0] == "parts"
    x = bl.tensor(2.0, requires_grad=True)
    parted = data(see.compare(bl.exp(x * 2), bl.sin(x * 2)).html())
    assert len(parted["frames"]) == 1
    assert parted["compared"]["first"] == 2
    with pytest.raises(ArgumentError, match=r"compare: the file's name must end in .html, got 'x'"):
        found.save("x")


# -- in a browser ---------------------------------------------------------------------------------


def run(browser, script, *args):
    return browser.execute_script(f"return {script}", *args)


@pytest.mark.browser
def test_the_bar_goes_through_the_training(browser, tmp_path):
    seen, _ = train(6)
    seen.save(tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    weight = seen.record.find("0.weight").id
    run(browser, "backlit.go(arguments[0])", weight)
    shown = "document.querySelector('#panel .v').textContent"
    last = run(browser, shown)
    bar = browser.find_element("id", "frame")
    bar.send_keys("\ue011")  # Home
    first = run(browser, shown)
    assert first != last
    assert first == seen._frames[0]["nodes"]["values"][weight]
    assert run(browser, "document.getElementById('frame-at').textContent").startswith("step 0, ")
    thumbs = "[...document.querySelectorAll('#strips .frame span')].map(t => t.textContent)"
    assert len(run(browser, thumbs)) == 12  # six steps, of value and gradient
    assert run(browser, "document.querySelectorAll('#strips .ridge canvas').length") == 2
    browser.find_element("id", "stage").send_keys("]")
    assert run(browser, "backlit.film.at()") == 1
    run(browser, "backlit.go(arguments[0])", seen.record.output)
    assert run(browser, "document.querySelectorAll('#panel .curve').length") == 2
    assert browser.get_log("browser") == []


@pytest.mark.browser
def test_two_computations_side_by_side(browser, tmp_path):
    _, records = train(2)
    found = see.compare(records[0], records[1], ("one", "two"))
    found.save(tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    panel = run(browser, "document.getElementById('panel').innerText")
    assert "Side by side" in panel
    assert f"value: differs: {found.first.text}" in panel
    assert run(browser, "document.getElementById('sentence').textContent") == str(found)
    names = "[...document.querySelectorAll('#strips .frame span')].map(t => t.textContent)"
    assert [t.split(":")[0] for t in run(browser, names)] == ["one", "two", "two − one"] * 2
    assert browser.get_log("browser") == []
