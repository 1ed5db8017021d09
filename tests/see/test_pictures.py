"""Pictures on the page: what is kept of an array, what is told of the rest, and how it is drawn."""

import base64
import json
import math
import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.errors import ArgumentError
from backlit.see.records.value import Value
from backlit.see.show.cells import MINUS, NAN, PLUS, bars, coded, ends, pooled
from backlit.see.show.draw.pictures import CAPS, packed, pictures, tokens_of


def read(picture):
    """The numbers of a picture, as the page reads them."""
    code, _, kept, _, low, high, data, _ = picture
    raw = base64.b64decode(data)
    if code != "u":
        return np.frombuffer(raw, {"f": "<f4", "i": "<i4"}[code]).reshape(kept)
    start, stop = ends(low, high)
    codes = np.frombuffer(raw, np.uint8).astype(float)
    values = start + (stop - start) * codes / 252
    values[codes == NAN], values[codes == PLUS], values[codes == MINUS] = np.nan, np.inf, -np.inf
    return values.reshape(kept)


def test_zero_has_a_code_of_its_own_and_so_has_what_is_not_finite():
    for low, high in ((-3.0, 1.0), (0.0, 7.0), (-2.0, 0.0), (-1e-300, 2e300)):
        start, stop = ends(low, high)
        zero = int(coded(np.array([0.0]), low, high)[0])
        assert start + (stop - start) * zero / 252 == 0
    odd = coded(np.array([np.nan, np.inf, -np.inf]), -1.0, 1.0)
    assert odd.tolist() == [NAN, PLUS, MINUS]
    assert coded(np.array([5.0]), 5.0, 5.0)[0] <= 252


def test_a_cell_is_its_element_of_largest_size_or_one_that_is_not_finite():
    values = np.array([[1.0, -4.0, 2.0, np.nan], [0.0, 3.0, 9.0, -9.5]])
    assert pooled(values[1:], 1, 2).tolist() == [[3.0, -9.5]]
    assert math.isnan(pooled(values, 1, 2)[0, 1])
    assert pooled(values, 1, 8) is values


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "bool"])
def test_small_arrays_are_there_as_they_are(dtype):
    x = bl.tensor(np.arange(-6, 6).reshape(3, 4) % 5, dtype=dtype).numpy()
    assert np.array_equal(read(packed(Value(x), CAPS[0])), x.astype(np.float64))


def test_large_arrays_are_rounded_between_their_true_ends_and_told_by_axis():
    x = np.random.default_rng(0).normal(size=(7, 9, 20, 30)).astype(np.float32)
    whole = packed(Value(x), 10**6)
    assert whole[3] == "aaaa"
    assert whole[7] is None
    assert np.abs(read(whole) - x).max() <= np.abs(x).max() / 126 / 2 * 1.001
    part = packed(Value(x), 2000)
    code, shape, kept, cuts, low, high, _, counts = part
    assert (code, shape, cuts) == ("u", [7, 9, 20, 30], "facc")
    assert kept == [1, 9, 11, 11]
    assert math.prod(kept) <= 2000
    assert (low, high) == (float(f"{x.min():.6g}"), float(f"{x.max():.6g}"))  # of all of it
    assert sum(counts[0]) == x.size
    wide = packed(Value(x.reshape(63, 600)), 2000)
    assert wide[2:4] == [[44, 44], "cc"]
    assert np.abs(read(wide)).max() == pytest.approx(np.abs(x).max(), rel=0.01)


def test_whole_numbers_are_never_mixed_and_images_keep_their_channels():
    numbers = np.arange(10_000).reshape(100, 100)
    first = read(packed(Value(numbers), 1024))
    assert np.array_equal(first, numbers[: first.shape[0], : first.shape[1]])
    photo = packed(Value(np.zeros((5, 3, 224, 224), np.float32)), 4096, photo=True)
    assert photo[2] == [1, 3, 36, 36]
    assert photo[3] == "faee"


def test_rows_that_may_be_squares_stay_whole():
    assert packed(Value(np.zeros((500, 784))), 2**14)[2:4] == [[20, 784], "fa"]


def test_what_stands_at_every_eighth_place_of_a_large_array_is_one_element_of_many():
    x = np.zeros((2000, 3000), np.float32)
    x[::8, ::8] = 1
    x[5, 7] = -3  # nowhere in evenly spaced rows and columns
    part = packed(Value(x), 2**14)
    assert part[3] == "cc"
    assert read(part).min() == -3
    counts, low, high = part[7]
    assert (low, high, sum(counts)) == (-3, 1, x.size)  # of all elements, as the statistics are
    assert counts[31] == (x == 1).sum()


def test_bars_count_every_finite_element_once():
    x = np.random.default_rng(0).normal(size=50_001).astype(np.float32)
    x[::7] = np.nan
    counts, low, high = bars(x, 32)
    true, edges = np.histogram(x[np.isfinite(x)].astype(np.float64), 32)
    assert (low, high) == (edges[0], edges[-1])
    assert np.abs(counts - true).max() <= 2
    assert counts.sum() == true.sum()
    assert bars(np.full(9, 4.0), 32) is None


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4 * 36, 3)

    def forward(self, x):
        return self.head(bl.reshape(bl.maximum(self.conv(x), 0), (x.shape[0], -1)))


def loss(n=6):
    rng = np.random.default_rng(0)
    x = bl.tensor(rng.uniform(size=(n, 1, 8, 8)).astype(np.float32))
    return nn.CrossEntropyLoss()(Net()(x), bl.tensor(rng.integers(0, 3, n)))


def test_values_gradients_local_and_downstream_gradients_have_pictures():
    record = see.record(loss())
    found = pictures(record)
    relu = next(n for n in record.nodes if n.op == "maximum")
    (into,) = (e for e in record.incoming[relu.id] if e.gradient is not None)
    true = {
        ("value", relu.id): relu.value,
        ("upstream", relu.id): relu.upstream,
        ("local", into.id): into.local.value,
        ("downstream", into.id): into.gradient,
    }
    for (kind, number), v in true.items():
        shown = read(found["list"][found[kind][number]])
        assert np.abs(shown - v.array).max() <= np.abs(v.array).max() / 200, kind
    # what flows back along a value's only use is that value's gradient: it is there once
    before = record.nodes[into.source].id
    assert found["downstream"][into.id] == found["upstream"][before]
    assert record.output not in found["value"]  # a number is no picture


def test_all_pictures_fit_into_the_page():
    record = see.record(loss(64))
    sizes = {total: len(json.dumps(pictures(record, True, total))) for total in (30_000, 90_000)}
    assert all(size <= 1.1 * total for total, size in sizes.items())
    assert pictures(record, True, 30_000)["cap"] < pictures(record, True, 90_000)["cap"]


def test_images_come_before_what_is_inside_of_ops():
    x = bl.tensor(np.random.default_rng(0).uniform(size=(1, 3, 64, 64)).astype(np.float32))
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LayerNorm((62, 62)), nn.GELU())
    drawing = see.draw(net(x).sum(), unfold=True)
    record = drawing.tree.record
    found = pictures(record, True, 200_000)
    own = len(record.closed.nodes)
    assert len(record.nodes) > own
    assert found["list"][found["value"][0]][2] == [1, 3, 64, 64]
    inside = [i for i in found["value"] if i >= own]
    assert inside
    shown = [math.prod(found["list"][found["value"][i]][2]) for i in found["value"]]
    assert max(shown[-len(inside) :]) < max(shown[1 : -len(inside)])


def test_pictures_can_be_left_out_or_chosen():
    record = see.record(loss())
    assert pictures(record, False)["list"] == []
    weight = record.find("conv.weight").id
    some = pictures(record, ["conv.weight"])
    assert list(some["value"]) == list(some["upstream"]) == [weight]
    data = see.draw(record, pictures=False).html()
    assert len(data) < len(see.draw(record).html())


def test_what_pictures_must_be():
    with pytest.raises(
        ArgumentError,
        match=r"draw: pictures must be True, False or a list of nodes \(.*\), got 'fc'",
    ):
        see.draw(loss(), pictures="fc").html()


def sentence():
    words = ["<pad>", "the", "cat", "sat"]
    tokens = bl.tensor([[1, 2, 3], [1, 3, 0]])
    embed, places, out = nn.Embedding(4, 5), nn.Embedding(3, 5), nn.Linear(5, 4)
    logits = out(embed(tokens) + places(bl.arange(3)))
    targets = bl.tensor([[2, 3, 0], [3, 0, 0]])
    value = nn.CrossEntropyLoss()(bl.reshape(logits, (6, 4)), bl.reshape(targets, (6,)))
    return words, see.record(value)


def test_tokens_are_told_from_positions():
    words, record = sentence()
    for given in (words, dict(enumerate(words))):
        found = tokens_of(record, given)
        names = [record.nodes[i].shape for i in found["nodes"]]
        assert names == [(2, 3), (6,)]
        assert found["words"] == {0: "<pad>", 1: "the", 2: "cat", 3: "sat"}
    assert tokens_of(record, str)["words"][3] == "3"
    assert tokens_of(record, None) is None


@pytest.mark.parametrize("rows", [[[0, 1, 2, 3]], [[0, 1, 2, 3], [0, 1, 2, 3]]])
def test_a_sentence_that_counts_up_is_no_row_of_positions(rows):
    words = ["the", "cat", "sat", "."]
    vectors = nn.Embedding(4, 5)(bl.tensor(rows))
    plain = see.record(vectors.sum())
    places = see.record((vectors + nn.Embedding(4, 5)(bl.arange(4))).sum())
    for record in (plain, places):
        for given in (words, words.__getitem__):
            found = tokens_of(record, given)
            assert [record.nodes[i].shape for i in found["nodes"]] == [(len(rows), 4)]
            assert list(found["words"].values()) == words


def test_what_tokens_must_be():
    _, record = sentence()
    with pytest.raises(
        ArgumentError,
        match=r"draw: tokens must be a vocabulary, a tokenizer, a list of words, .*, got int",
    ):
        see.draw(record, tokens=7).html()


def test_a_page_of_single_numbers_has_no_pictures():
    x = bl.tensor(2.0, requires_grad=True)
    data = json.loads(re.search(r'id="data">(.*?)</script>', see.draw(x * 3).html(), re.S).group(1))
    assert data["pictures"]["list"] == []


# -- in a browser ---------------------------------------------------------------------------------


def show(browser, tmp_path, source, **settings):
    path = tmp_path / "page.html"
    see.draw(source, **settings).save(path)
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []


def run(browser, script, *args):
    return browser.execute_script(f"return {script}", *args)


PIXEL = """((canvas, x, y) => {
  const r = window.devicePixelRatio || 1;
  return [...canvas.getContext('2d').getImageData(x * r, y * r, 1, 1).data].slice(0, 3);
})(document.querySelectorAll('#pictures canvas')[arguments[0]], 8, 8)"""


@pytest.mark.browser
def test_the_panel_has_pictures_of_value_and_gradient(browser, tmp_path):
    w = bl.tensor(np.array([[0.0, 2.0, -1.0], [1.0, 3.0, 0.0]]), requires_grad=True)
    x = bl.tensor(np.array([[1.0, -1.0, 0.0], [1.0, 2.0, 0.0]]))
    record = see.record((w * x).sum())
    show(browser, tmp_path, record)
    run(browser, "backlit.go(arguments[0])", record.find("w").id)
    assert run(browser, PIXEL, 0) == [255, 255, 255]  # zero is neutral
    assert run(browser, PIXEL, 1)[1] < 150  # gradient 1: half of the scale's end
    keys = run(browser, "[...document.querySelectorAll('#pictures .key')].map(k => k.innerText)")
    assert [k.split() for k in keys] == [["−3", "3"], ["−2", "2"]]
    label = run(browser, "document.querySelector('#pictures canvas').getAttribute('aria-label')")
    assert label.startswith("value of w, 1 map of 2 by 3 cells, from −1 to 3")
    canvas = browser.find_element("css selector", "#pictures canvas")
    canvas.send_keys("\ue014\ue014\ue015")  # right, right, down
    told = run(browser, "document.querySelector('#pictures .told').textContent")
    assert told == "[1, 1] value 3 gradient 2"
    run(browser, "backlit.seek(1)")  # nothing is shown before it is computed
    assert run(browser, "document.querySelectorAll('#pictures canvas').length") == 1


@pytest.mark.browser
def test_slices_images_and_what_flows_at_a_stop(browser, tmp_path):
    record = see.record(loss())
    show(browser, tmp_path, record)
    image = next(n.id for n in record.nodes if n.kind == "constant" and len(n.shape) == 4)
    run(browser, "backlit.go(arguments[0])", image)
    shown = "[...document.querySelectorAll('#pictures select option')].map(o => o.value)"
    assert run(browser, shown) == ["images", "map"]
    assert "0 is black, 1 is white" in run(browser, "document.getElementById('panel').innerText")
    conv = next(n.id for n in record.nodes if n.op == "convolution")
    run(browser, "backlit.go(arguments[0])", conv)
    label = "document.querySelector('#pictures canvas').getAttribute('aria-label')"
    assert "4 maps of 6 by 6 cells" in run(browser, label)
    slide = "document.querySelector('#pictures input[type=range]')"
    run(browser, f"({slide}.value = 5, {slide}.dispatchEvent(new Event('input')))")
    run(browser, "document.querySelector('#pictures canvas').focus()")
    canvas = browser.find_element("css selector", "#pictures canvas")
    canvas.send_keys("\ue014")
    assert run(browser, "document.querySelector('.told').textContent").startswith("[5, 0, 0, 0]")
    canvas.send_keys("\ue007")  # Enter: one slice alone
    assert "1 map of 6 by 6 cells" in run(browser, label)
    flow = "[...document.querySelectorAll('#flow .thumb span')].map(t => t.textContent)"
    assert run(browser, flow) == []
    relu = next(n for n in record.nodes if n.op == "maximum")
    stops = [s.node.id for s in see.steps(record)]
    backward = len(stops) - stops[::-1].index(relu.id)
    run(browser, "backlit.seek(arguments[0])", backward)
    before = record.nodes[record.incoming[relu.id][0].source].label
    assert run(browser, flow) == [f"∂ {relu.label}", "local, a", f"∂ {before}"]
    run(browser, "backlit.seek(arguments[0])", stops.index(relu.id) + 1)
    assert run(browser, flow) == [before, relu.label]


@pytest.mark.browser
def test_words_stand_where_tokens_are(browser, tmp_path):
    words, record = sentence()
    show(browser, tmp_path, record, tokens=words)
    tokens = next(n.id for n in record.nodes if n.shape == (2, 3) and n.dtype.kind == "i")
    run(browser, "backlit.go(arguments[0])", tokens)
    shown = run(browser, "[...document.querySelectorAll('.token')].map(t => t.textContent)")
    assert shown == ["the", "cat", "sat", "the", "sat", "<pad>"]
    assert browser.get_log("browser") == []


def attention(heads):
    """Self-attention of three words in some heads, whose numbers count up."""
    vectors = nn.Embedding(3, 4)(bl.tensor([[0, 1, 2]]))
    split = bl.swapaxes(bl.reshape(vectors, (1, 3, heads, 4 // heads)), 1, 2)
    return (nn.functional.softmax(split @ split.mT, axis=-1) @ split).sum()


@pytest.mark.browser
@pytest.mark.parametrize("heads", [1, 2])
def test_rows_and_columns_of_attention_maps_have_words(browser, tmp_path, heads):
    record = see.record(attention(heads))
    spy = "CanvasRenderingContext2D.prototype.fillText = (t) => (window.told ??= []).push(t)"
    show(browser, tmp_path, record, tokens=["the", "cat", "sat"])
    run(browser, f"({spy}, null)")
    softmax = next(n.id for n in record.nodes if n.op == "softmax")
    run(browser, "(window.told = [], backlit.go(arguments[0]))", softmax)
    counts = run(browser, "['the', 'cat', 'sat'].map(w => told.filter(t => t === w).length)")
    assert counts[0] >= 2  # at rows and at columns, of value and gradient
    assert len(set(counts)) == 1


@pytest.mark.browser
def test_what_is_shown_of_a_large_array_is_called_so(browser, tmp_path):
    w = bl.tensor(np.random.default_rng(0).normal(size=(40, 16, 64, 64)), requires_grad=True)
    record = see.record((w * 2).sum())
    show(browser, tmp_path, record)
    run(browser, "backlit.go(arguments[0])", record.find("w").id)
    said = run(browser, "document.getElementById('pictures').lastElementChild.textContent")
    assert said.startswith("Shown: axis 0: the first 1 of 40; ")
    ends = run(
        browser,
        "[...document.querySelectorAll('.hist.value figcaption span')].map(s => s.textContent)",
    )
    low, high = record.find("w").value.statistics["min"], record.find("w").value.statistics["max"]
    assert [float(t.replace("−", "-")) for t in (ends[0], ends[2])] == pytest.approx(
        [low, high], rel=0.01
    )


@pytest.mark.browser
def test_what_is_sent_to_several_inputs_stands_side_by_side(browser, tmp_path):
    x, w, b = (bl.tensor(np.ones((4, 4)), requires_grad=True) for _ in range(3))
    record = see.record((nn.functional.linear(x, w, b[0])).sum())
    show(browser, tmp_path, record)
    stops = [s.node.op for s in see.steps(record)]
    run(browser, "backlit.seek(arguments[0])", len(stops) - stops[::-1].index("linear"))
    signs = run(browser, "[...document.querySelectorAll('#flow .sign')].map(s => s.textContent)")
    assert signs == ["→", ",", ","]
