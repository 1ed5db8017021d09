"""Pictures for papers: they show the numbers they were given, and say what is missing."""

import math
import sys

import numpy as np
import pytest

import backlit
from backlit import nn, see
from backlit.errors import ArgumentError, MissingDependencyError
from backlit.see import plot
from backlit.train import ConfusionMatrix


def small():
    backlit.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    x = backlit.random.normal((8, 4))
    return model, see.record(nn.CrossEntropyLoss()(model(x), backlit.tensor([0, 1] * 4)))


def drawn(figure, tmp_path):
    path = tmp_path / "figure.png"
    figure.savefig(path)
    assert path.stat().st_size > 1000
    figure.savefig(tmp_path / "figure.pdf")
    return figure.axes


@pytest.mark.slow
def test_names_are_no_mathematics(tmp_path):
    name = r"a$x^{$b_\frac"
    (panel,) = drawn(plot.curves([{"epoch": 1, name: 1.0}, {"epoch": 2, name: 2.0}]), tmp_path)
    assert panel.get_title() == name


def test_curves(tmp_path):
    history = [
        {"epoch": i + 1, "lr": 0.1, "loss": 1 / (i + 1), "validation_loss": 2.0, "accuracy": 0.5}
        for i in range(4)
    ]
    history[2]["loss"] = math.nan
    loss, accuracy = drawn(plot.curves(history), tmp_path)
    assert [loss.get_title(), accuracy.get_title()] == ["loss", "accuracy"]
    training, validation = loss.lines
    assert training.get_ydata() == pytest.approx([1, 0.5, math.nan, 0.25], nan_ok=True)
    assert list(validation.get_ydata()) == [2, 2, 2, 2]
    assert training.get_linestyle() != validation.get_linestyle()
    (lr,) = plot.curves(history, ["lr"]).axes
    assert lr.get_title() == "lr"
    with pytest.raises(ArgumentError, match="history must have at least one epoch, got none"):
        plot.curves([])
    with pytest.raises(ArgumentError, match=r"names must be of lr, loss, accuracy, got \['los'\]"):
        plot.curves(history, ["los"])


@pytest.mark.slow
def test_histograms(tmp_path):
    model, record = small()
    panels = drawn(plot.histograms(record), tmp_path)[:4]
    assert [p.get_title() for p in panels] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    heights = [sum(b.get_height() for b in p.patches) for p in panels]
    assert heights == [p.size for p in model.parameters()]
    forward = see.record(model(backlit.ones((2, 4))))
    first = plot.histograms(forward, "gradients").axes[0]
    assert [t.get_text() for t in first.texts] == ["not computed"]
    with pytest.raises(ArgumentError, match="what must be 'values' or 'gradients', got 'x'"):
        plot.histograms(record, "x")
    with pytest.raises(ArgumentError, match=r"histograms: needs a Record, got Tensor"):
        plot.histograms(backlit.ones(1))
    x = backlit.tensor(1.0, requires_grad=True)
    with pytest.raises(ArgumentError, match="record must have parameters, got none of 3"):
        plot.gradient_flow(see.record((x * 2) * 3))


@pytest.mark.slow
def test_gradient_flow(tmp_path):
    _, record = small()
    (panel,) = drawn(plot.gradient_flow(record), tmp_path)
    sizes = [b.get_height() for b in panel.patches]
    expected = [np.abs(n.upstream.array).mean() for n in record.nodes if n.kind == "parameter"]
    assert sizes == pytest.approx(expected)
    assert panel.get_yscale() == "log"
    model, _ = small()
    (panel,) = plot.gradient_flow(see.record((model(backlit.zeros((2, 4))) * 0).sum())).axes
    assert [t.get_text() for t in panel.texts] == ["0"] * 4


@pytest.mark.slow
def test_update_ratios(tmp_path):
    layers = [{"name": f"{i}.weight", "shape": [2, 2], "update": 10.0**-i} for i in range(12)]
    layers[3]["update"] = None
    looks = [{"epoch": e, "layers": layers} for e in range(3)]
    (panel,) = drawn(plot.update_ratios(looks), tmp_path)
    assert len(panel.lines) == 12
    assert list(panel.lines[2].get_ydata()) == [0.01] * 3
    assert np.isnan(panel.lines[3].get_ydata()).all()
    with pytest.raises(ArgumentError, match="at least one look at the layers, got none"):
        plot.update_ratios([])


def test_confusion(tmp_path):
    matrix = ConfusionMatrix(2)
    matrix.update([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]], [0, 0, 1])
    (panel,) = drawn(plot.confusion(matrix, ["cat", "dog"]), tmp_path)
    assert [t.get_text() for t in panel.texts] == ["1", "1", "1"]
    assert panel.images[0].get_array().tolist() == [[0.5, 0.5], [0, 1]]
    with pytest.raises(ArgumentError, match=r"counts must have shape \(C, C\), got \(2, 3\)"):
        plot.confusion(np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match="there must be 2 class names, got 1"):
        plot.confusion(np.eye(2), ["a"])


@pytest.mark.parametrize(("shape", "size"), [((6, 1, 3, 3), (9, 13)), ((4, 3, 5, 5), (13, 13)),
                                             ((3, 8, 3, 3), (13, 33))])  # fmt: skip
def test_filters(tmp_path, shape, size):
    weight = np.random.default_rng(0).normal(size=shape)
    (panel,) = drawn(plot.filters(weight), tmp_path)
    sheet = panel.images[0].get_array()
    assert sheet.shape[:2] == size
    tile = np.asarray(sheet[1 : 1 + shape[2], 1 : 1 + shape[3]])
    first = weight[0].transpose(1, 2, 0) if shape[1] == 3 else weight[0, 0]
    assert tile == pytest.approx(0.5 + first / (2 * np.abs(weight).max()))
    with pytest.raises(ArgumentError, match=r"weight must have shape \(F, C, H, W\), got \(2,\)"):
        plot.filters([1.0, 2.0])


def test_filters_of_a_model_are_those_of_its_first_convolution(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Conv2d(6, 4, 3))
    (panel,) = drawn(plot.filters(net), tmp_path)
    assert panel.get_title().startswith("6 of 6")
    with pytest.raises(ArgumentError, match=r"filters: the model must have a conv.*Linear"):
        plot.filters(nn.Linear(2, 3))


def test_feature_maps(tmp_path):
    x = backlit.tensor(np.arange(32.0).reshape(2, 1, 4, 4) - 20, dtype="float32")
    net = nn.Conv2d(1, 3, 1)
    h = net(x)
    record = see.record(backlit.maximum(h, 0).sum())
    relu = next(n for n in record.nodes if n.op == "maximum")
    panel, _ = drawn(plot.feature_maps(record, relu.id, 1), tmp_path)
    image = panel.images[0]
    assert panel.get_title() == f"value of {relu.label}: 3 of 3"
    assert image.get_clim() == (0.0, relu.value.array[1].max())
    assert np.allclose(image.get_array()[1:5, 1:5], relu.value.array[1, 0])
    panel, _ = drawn(plot.feature_maps(record, h, what="gradient"), tmp_path)
    assert panel.images[0].get_clim() in ((0.0, 1.0), (-1.0, 1.0))
    for arguments, text in (
        ((relu.id, 5), r"feature_maps: example must be one of 2, got 5"),
        ((relu.id, 0, "x"), r"feature_maps: what must be 'value' or 'gradient', got 'x'"),
        ((record.output,), r"feature_maps: the value of sum_\d+ must have maps, .* shape is \(\)"),
        ((0, 0, "gradient"), r"feature_maps: the gradient of .* but none was computed"),
    ):
        with pytest.raises(ArgumentError, match=text):
            plot.feature_maps(record, *arguments)


def test_jacobians(tmp_path):
    found = see.jacobian(backlit.exp, backlit.tensor([1.0, 2.0, 3.0]))
    (panel,) = drawn(plot.jacobian(found), tmp_path)
    assert panel.get_title() == "diagonal, 3 × 3"
    assert np.asarray(panel.images[0].get_array()).diagonal() == pytest.approx(np.exp([1, 2, 3]))


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "backlit\[plot\]"'):
        plot.confusion(np.eye(2))


@pytest.mark.slow
def test_landscape_with_ways_and_arrows(tmp_path):
    def f(x, y):
        return x**2 + 10 * y**2

    way = np.array([[2.0, 1.0], [1.0, 0.5], [0.0, 0.0]])
    ways = {"SGD": way, "Adam": backlit.tensor(way / 2)}
    panel, bar = drawn(plot.landscape(f, (-3, 3), (-1, 1), ways, arrows=4), tmp_path)
    assert (panel.get_xlim(), panel.get_ylim(), bar.get_ylabel()) == ((-3, 3), (-1, 1), "f")
    lines = {line.get_label(): line.get_xydata() for line in panel.lines}
    np.testing.assert_array_equal(lines["SGD"], way)
    np.testing.assert_array_equal(lines["Adam"], way / 2)
    (arrows,) = (c for c in panel.collections if hasattr(c, "U"))
    np.testing.assert_allclose(arrows.U, 2 * arrows.X, rtol=1e-6)
    np.testing.assert_allclose(arrows.V, 20 * arrows.Y, rtol=1e-6)
    drawn(plot.landscape(lambda x, y: backlit.log(x) + y, (-1, 1), (0, 1)), tmp_path)


def test_landscapes_that_are_none():
    def f(x, y):
        return x + y

    with pytest.raises(ArgumentError, match=r"x must be \(lowest, highest\), got \(1, 0\)"):
        plot.landscape(f, (1, 0), (0, 1))
    with pytest.raises(ArgumentError, match=r"each point, \(161, 161\) of them, got \(\);"):
        plot.landscape(lambda x, y: x.sum(), (0, 1), (0, 1))
    with pytest.raises(ArgumentError, match=r"have a finite value in x=\(-2, -1\), y=\(0, 1\)"):
        plot.landscape(lambda x, y: backlit.log(x) + y, (-2, -1), (0, 1))
    with pytest.raises(ArgumentError, match=r"path 'SGD' must be \(T, 2\), got \(3,\)"):
        plot.landscape(f, (0, 1), (0, 1), {"SGD": [1.0, 2.0, 3.0]})
