"""In notebooks: one line of true numbers for each thing, more when opened, small for any size."""

import json
import math
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.errors import ArgumentError, MissingDependencyError, NonFiniteError
from backlit.see.show import widget
from backlit.see.show.notebook import CELLS, _cells, _colors
from backlit.see.show.widget import _SCRIPT
from backlit.table import Table
from backlit.train import Trainer, load_flight
from backlit.train.rates import RateRange
from graphs import deep


class Text(HTMLParser):
    """The text of a page, and whether every tag that was opened is closed."""

    EMPTY = ("img", "rect", "meta", "input", "br")

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.open = "", [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def shown(x):
    page = Text(x._repr_html_())
    assert "script" not in page.tags
    return page


def test_a_tensor_is_a_line_of_numbers():
    x = bl.tensor([[1.0, 2.0], [3.0, 6.0]], requires_grad=True)
    x.name = "w<1>"
    (x * x).sum().backward()
    text = shown(x).text
    assert "w<1> float32[2,2] leaf 1 … 6, mean 3 ± 1.87" in text
    assert "gradient float32[2,2] 2 … 12, mean 6 ± 3.74" in text
    assert shown(bl.tensor(3.5)).text == "Tensor float32[] 3.5"
    assert shown(bl.zeros((0, 3))).text == "Tensor float32[0,3] empty"
    assert "from exp" in shown(bl.exp(x)).text
    assert "0 … 4, mean 2" in shown(bl.arange(5)).text
    assert "True" in shown(bl.asarray([True, False])).text


def test_what_is_not_finite_is_counted():
    x = np.ones((3, 4))
    x[1, 2], x[0, 0], x[2, 2] = np.nan, np.inf, -np.inf
    text = shown(bl.asarray(x)).text
    assert "1 … 1" in text
    assert "1 nan 2 inf" in text
    pixels = _colors(_cells(x), 1.0, signed=False)
    assert (pixels == (200, 0, 40)).all(-1).sum() == 3


def test_a_map_shows_the_largest_of_each_cell():
    x = np.zeros((300, 5))
    x[123, 3], x[9, 0], x[299, 4] = -7.0, 3.0, np.nan
    cells = _cells(x)
    assert cells.shape == (CELLS, 5)
    assert np.nanmin(cells) == -7
    assert np.nanmax(cells) == 3
    assert np.isnan(cells).sum() == 1
    assert np.isnan(cells[-1, 4])
    assert cells[123 * CELLS // 300, 3] == -7
    white, most, least = _colors(np.array([[0.0, 4.0, -4.0]]), 4.0, signed=True)[0]
    assert white.tolist() == [255, 255, 255]
    assert most.tolist() == [213, 94, 0]
    assert least.tolist() == [0, 79, 150]


def test_a_gradient_has_a_scale_of_its_own_around_zero():
    x = bl.tensor([[1.0, 2.0], [3.0, 6.0]], requires_grad=True)
    (x * x).sum().backward()
    text = shown(x).text
    assert "white 0, dark blue 6" in text
    assert "purple 12, white 0, green −12" in text
    white, most, least = _colors(np.array([[0.0, 4.0, -4.0]]), 4.0, True, True)[0].tolist()
    assert (white, most, least) == ([255, 255, 255], [118, 42, 131], [27, 120, 55])


@pytest.mark.parametrize(
    ("scale", "shift", "key"),
    [(1, 0, "black 0, white 1"), (255, 0, "black 0, white 255"), (4, -2, "black −2, white 1.43")],
)
def test_images_are_images(scale, shift, key):
    pixels = np.linspace(0, 1, 14 * 3 * 9 * 8).reshape(14, 3, 9, 8) * scale + shift
    page = shown(bl.asarray(pixels.astype(np.float32)))
    assert page.tags.count("img") == 12
    assert f"{key}; the first 12 of 14" in page.text
    assert "map of elements" not in bl.asarray(pixels)._repr_html_()


@pytest.mark.parametrize("shape", [(3000, 2000), (50, 40, 30, 20), (100_000,), (1, 1, 1, 7)])
def test_large_ones_stay_small(shape):
    page = bl.zeros(shape)._repr_html_()
    assert len(page) < 60_000
    assert Text(page)
    noise = bl.asarray(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    assert len(noise._repr_html_()) < 250_000


def test_of_very_many_elements_some_are_looked_at_and_that_is_said(monkeypatch):
    monkeypatch.setattr("backlit.see.show.notebook.LOOKED_AT", 100)
    assert "of 1 in 3 elements" in shown(bl.arange(250)).text


def test_a_tensor_without_values_says_so():
    seen = []

    def f(x):
        seen.append(x._repr_html_())
        return x * 2

    bl.compile(f)(bl.ones(3))
    assert "abstract" in seen[0]


def test_a_module_is_its_tree():
    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1, bias=False)))
    page = shown(model)
    assert "Sequential() 10 parameters" in page.text
    assert "0: Linear(in_features=3, out_features=2) weight 2×3, bias 2 8 parameters" in page.text
    assert page.tags.count("details") == 2
    assert "ReLU()" in shown(nn.ReLU()).text
    assert "…" in shown(nn.Sequential(*[nn.ReLU() for _ in range(500)])).text


def test_a_record_is_a_line_with_its_drawing_inside():
    x = bl.tensor(2.0, requires_grad=True)
    page = shown(see.record(x * x))
    assert page.text.startswith("Record of 1 op, 0 parameters")
    assert "= 4" in page.text
    assert "iframe" in page.tags
    y = x
    for i in range(3100):
        y = bl.sin(y) if i % 7 else y + float(i)
    assert "iframe" not in shown(see.record(y)).tags


def test_what_is_told_in_lines_keeps_its_colours():
    page = see.check(bl.tanh, bl.tensor([0.5]))._repr_html_()
    assert (
        Text(page).text.splitlines()[0]
        == repr(see.check(bl.tanh, bl.tensor([0.5]))).splitlines()[0]
    )
    assert re.search(r"color:#\w{6}", page)


# -- the widget -----------------------------------------------------------------------------------


def test_the_widget_and_python_know_what_is_chosen():
    pytest.importorskip("anywidget", reason="needs anywidget")
    w = bl.tensor(3.0, requires_grad=True)
    w.name = "w"
    live = see.draw(w * 2).widget(height=300)
    heard = []
    live.observe(lambda change: heard.append(change["new"]), "picked")
    assert live.selected is None
    live.select("w")
    assert live.selected.name == "w"
    live.set_state({"picked": 1, "stop": 1})  # as the page does
    assert live.selected.op == "multiply"
    live.select(None)
    assert heard == [0, 1, None]
    with pytest.raises(ArgumentError, match=r"must be from 0 to 1, got 9"):
        live.select(9)


def test_a_value_that_is_typed_on_the_page_is_set_and_the_page_shows_what_comes_of_it():
    pytest.importorskip("anywidget", reason="needs anywidget")
    x, y = (bl.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    x.name, y.name = "x", "y"
    live = see.draw(x * y, title="a product").widget()
    before = live.page
    live.select("x")
    live.set_state({"edit": {"node": 0, "what": "value", "text": "−7", "number": 1}})
    assert live.record.find("x").value.item() == -7
    assert live.changed.output.text == "6 → −21"
    assert live.selected is live.record.find("x")
    assert live.answer["said"].splitlines()[0].endswith(": 6 → −21")
    assert live.page != before
    assert '"given":{"0":"value"}' in live.page
    live.set_state({"edit": {"node": 1, "what": "upstream", "text": "[0] = 1", "number": 2}})
    assert live.answer["bad"]
    assert "is no value: IndexError" in live.answer["said"]
    live.set("y", 5.0, "upstream")
    assert [live.record.find(n).upstream.item() for n in "xy"] == [3, 5]
    live.set_state({"edit": {"undo": True, "number": 3}})
    assert live.answer == {"said": "taken back: the upstream of y", "bad": False, "count": 1}
    live.undo()
    assert live.page == before
    assert live.changed is None
    live.set_state({"edit": {"node": 0, "what": "value", "text": "exit()", "number": 4}})
    assert "it must be a number, or a list of numbers" in live.answer["said"]
    large = see.draw(deep(3)).widget()
    large.set("embed.bias", 1.0)
    assert large.answer["said"].splitlines()[-1].endswith("more, in widget.changed")


def test_an_inner_gate_of_an_opened_op_can_be_selected():
    pytest.importorskip("anywidget", reason="needs anywidget")
    x = bl.tensor([1.0, 3.0], requires_grad=True)
    record = see.record(bl.mean(x))
    live = see.draw(record, unfold="mean").widget()
    live.set_state({"picked": len(record.nodes)})
    assert live.selected.label.startswith("sum")


def test_without_anywidget_the_cure_is_told(monkeypatch):
    widget._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "backlit\[notebook\]"'):
        see.draw(bl.tensor(1.0, requires_grad=True) * 2).widget()
    widget._widget_class.cache_clear()


CELLS_OF_A_NOTEBOOK = [
    "import backlit as bl\nfrom backlit import nn, see",
    "x = bl.tensor([[1.0, 2.0]], requires_grad=True); x.name = 'x'; x",
    "model = nn.Linear(2, 1); model",
    "loss = model(x).sum(); see.draw(loss)",
    "see.record(loss)",
    "see.check(bl.tanh, x)",
    "widget = see.draw(loss).widget(); widget.select('x'); widget",
    "see.explain(x, loss)",
    "widget.set_state({'edit': {'node': widget.record.find('x').id, 'what': 'value',"
    " 'text': '[0, 1] = 5'}}); widget.record.find('x').value.array.tolist()",
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_a_notebook_runs_and_shows_everything(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    pytest.importorskip("anywidget", reason="needs anywidget")
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(text) for text in CELLS_OF_A_NOTEBOOK])
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "."}})
    client.execute()
    shown = [c.outputs[-1]["data"] if c.outputs else {} for c in notebook.cells]
    html = [data.get("text/html", "") for data in shown]
    assert "x float32[1,2] leaf 1 … 2" in Text(html[1]).text
    assert "3 parameters" in Text(html[2]).text
    assert html[3].startswith("<iframe srcdoc=")
    assert Text(html[4]).text.startswith("Record of")
    assert "tanh" in Text(html[5]).text
    assert "application/vnd.jupyter.widget-view+json" in shown[6]
    assert "<math" in html[7]
    assert shown[8]["text/plain"] == "[[1.0, 5.0]]"
    assert all("text/plain" in data for data in shown[1:])


@pytest.mark.browser
def test_what_is_typed_on_the_page_goes_to_python_and_the_new_page_comes_back(browser, tmp_path):
    x, y = (bl.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    live = see.draw(x * y).widget(height=700)
    (tmp_path / "host.html").write_text(_host(live.page))
    browser.get((tmp_path / "host.html").as_uri())
    wait = "const done = arguments[0]; setTimeout(done, 400)"
    browser.execute_async_script(wait)
    browser.execute_script("choose('picked', 0)")
    browser.execute_async_script(wait)
    browser.switch_to.frame(0)
    typed = "document.querySelector('form.edits [name=value]')"
    assert browser.execute_script(f"return {typed} === null")  # nobody listens yet
    browser.switch_to.default_content()
    browser.execute_script("choose('answer', {said: '', bad: false, count: 0})")
    browser.execute_async_script(wait)
    browser.switch_to.frame(0)
    browser.execute_script(f"{typed}.value = '7'; {typed}.form.requestSubmit()")
    browser.execute_async_script(wait)
    browser.switch_to.default_content()
    edit = browser.execute_script("return state.edit")
    assert edit == {"node": 0, "what": "value", "text": "7", "number": 1}
    live.set_state({"edit": edit})
    browser.execute_script("choose('page', arguments[0]); state.answer = arguments[1]",
                           live.page, live.answer)  # fmt: skip
    browser.execute_async_script(wait)
    browser.switch_to.frame(0)
    shown = browser.execute_script("return document.getElementById('panel').innerText")
    assert "value set" in shown
    assert "6 → 21" in shown
    browser.execute_script("document.querySelector('[data-undo]').click()")
    browser.execute_async_script(wait)
    browser.switch_to.default_content()
    assert browser.execute_script("return state.edit") == {"undo": True, "number": 2}
    errors = [m for m in browser.get_log("browser") if m["level"] == "SEVERE"]
    assert errors == []


def _host(page):
    """The widget's own script, with a model that stands for the notebook's."""
    return (
        "<!doctype html><div id=here></div><script>"
        + _SCRIPT.replace("export default { render };", "")
        + "const state = {picked: null, stop: null, height: 500, title: 'a', page: "
        + json.dumps(page).replace("<", "\\u003c")
        + "}; const changed = {};"
        "const model = {get: (k) => state[k], set: (k, v) => { state[k] = v; }, save_changes() {},"
        " on: (k, f) => { changed[k.slice(7)] = f; }};"
        "function choose(k, v) { state[k] = v; changed[k](); }"
        "render({model, el: document.getElementById('here')});</script>"
    )


@pytest.mark.browser
def test_page_and_notebook_tell_each_other(browser, tmp_path):
    """The widget's own script, with a model that stands for the notebook's."""
    x, y = (bl.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    page = see.draw(x * y).html()
    (tmp_path / "host.html").write_text(_host(page))
    browser.get((tmp_path / "host.html").as_uri())
    wait = "const done = arguments[0]; setTimeout(done, 400)"
    browser.execute_async_script(wait)
    browser.execute_script("choose('picked', 1)")
    browser.execute_async_script(wait)
    browser.switch_to.frame(0)
    assert browser.execute_script("return backlit.state().picked") == 1
    browser.execute_script("backlit.go(2); backlit.seek(1)")
    browser.execute_async_script(wait)
    browser.switch_to.default_content()
    assert browser.execute_script("return [state.picked, state.stop]") == [2, 1]
    browser.execute_script("choose('picked', null)")
    browser.execute_async_script(wait)
    browser.switch_to.frame(0)
    assert browser.execute_script("return backlit.state().picked") is None


def test_results_show_themselves():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    x, y = bl.tensor([[1.0, -1.0], [0.5, 2.0]]), bl.tensor([0, 1])
    page = shown(see.summary(net, x))
    assert page.tags.count("tr") == 4
    assert "17 parameters" in page.text
    loss = nn.functional.cross_entropy(net(x), y)
    for found in (see.operations(net, x), see.saved(loss)):
        assert shown(found).tags.count("tr") == len(found.table()) + 1
    each = see.sample_gradients(net, (x, y), nn.functional.cross_entropy)
    assert "0.weight" in shown(each).text
    watching = see.watch(net)
    assert "step 0" in shown(watching).text
    with watching:
        net(x)
    assert "step 1" in shown(watching).text
    zero = bl.tensor([0.0], requires_grad=True)
    bad = see.bad_numbers(bl.sqrt(zero).sum())
    assert "the derivative of √x at 0 is infinite" in shown(bad).text
    assert shown(see.bad_numbers(loss)).text == repr(see.bad_numbers(loss))
    found = see.diagnose(nn.Sequential(net, nn.Softmax(dim=1)), (x, y), nn.CrossEntropyLoss())
    assert found
    for f in found:
        assert f.rule in shown(f).text
        assert f.text in repr(f)
    d = see.differentiate("x * y", {"x": 2, "y": 3})
    assert "∂f/∂x = 3" in re.sub(" +", " ", shown(d).text)
    j = see.jacobian(bl.tanh, bl.tensor([1.0, 2.0]))
    page = shown(j)
    assert "diagonal" in page.text
    assert page.tags.count("img") == 1


def test_tables_are_escaped_and_numbers_stand_right():
    page = Table(["a<b", "n"], [["<i>", 3], ["y", 12000]], "foot & all")._repr_html_()
    assert "<i>" not in page
    assert "&lt;i&gt;" in page
    assert page.count("text-align:right") == 3
    assert "12,000" in page
    assert "foot &amp; all" in page
    assert "m̂  1\nn  2" in str(Table(["a", "b"], [["m̂", 1], ["n", 2]]))


def test_a_range_of_rates_and_a_replay_show_themselves(tmp_path):
    found = RateRange([1e-3, 1e-2, 1e-1], [1.0, 0.5, math.nan], [1.0, 0.9, 0.8], 0.01)
    page = Text(found._repr_html_())
    assert "suggestion 0.01" in page.text
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), 0.1)
    path = tmp_path / "flight.safetensors"
    trainer = Trainer(model, nn.MSELoss(), optimizer, progress="quiet", flight=path)
    with pytest.raises(NonFiniteError):
        trainer.fit([(np.full((2, 1), np.inf, np.float32), np.ones((2, 1), np.float32))], epochs=1)
    flight = load_flight(path)
    assert flight.reason in shown(flight).text
    done = flight.replay(model, nn.MSELoss(), optimizer)
    assert shown(done).text == repr(done)
    assert "done again, it went the same, bit for bit" in repr(done)
