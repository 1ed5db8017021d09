"""The page about Caffe: every layer has a row, and what a row's line computes is Caffe's formula.

The formulas are those of Caffe's sources (BVLC/caffe, master), written with loops and NumPy.
"""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

import backlit
from backlit.errors import DataError
from house.test_documentation import FENCE, ROOT, blocks, run_python
from sampling import try_each

PAGE = ROOT / "docs" / "guide" / "caffe.md"

#: The types of the 74 headers in include/caffe/layers; solvers, policies and fillers.
LAYERS = """
    AbsVal Accuracy ArgMax BaseConvolution BaseData BatchNorm BatchReindex Bias BNLL Clip Concat
    ContrastiveLoss Convolution Crop CuDNNConvolution CuDNNDeconvolution CuDNNLCN CuDNNLRN
    CuDNNPooling CuDNNReLU CuDNNSigmoid CuDNNSoftmax CuDNNTanH Data Deconvolution Dropout DummyData
    Eltwise ELU Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output HingeLoss Im2col
    ImageData InfogainLoss InnerProduct Input Log Loss LRN LSTM MemoryData MultinomialLogisticLoss
    MVN Neuron Parameter Pooling Power PReLU Python Recurrent Reduction ReLU Reshape RNN Scale
    SigmoidCrossEntropyLoss Sigmoid Silence Slice Softmax SoftmaxWithLoss Split SPP Swish TanH
    Threshold Tile WindowData
""".split()
OTHERS = """
    SGD Nesterov AdaGrad RMSProp AdaDelta Adam
    fixed step exp inv multistep poly sigmoid
    constant uniform gaussian positive_unitball xavier msra bilinear
""".split()


def rows():
    """Name, lines of code and remark of each row of the page's tables."""
    for line in FENCE.sub("", PAGE.read_text("utf-8")).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        if line.startswith("| ") and cells[0] != "Caffe":
            assert len(cells) == 4, line
            yield cells[0], re.findall(r"`([^`]+)`", cells[2]), cells[3]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


def windows(x, size, stride, pad, up):
    """How many windows there are and where they begin, their number rounded `up` or down."""
    h, w = x.shape[2:]
    counts = [
        (math.ceil if up else math.floor)((length + 2 * pad - size) / stride) + 1
        for length in (h, w)
    ]
    if up and pad:
        counts = [
            m - ((m - 1) * stride >= length + pad)  # none begins in the padding behind
            for m, length in zip(counts, (h, w), strict=True)
        ]
    return counts, [
        (i, j, i * stride - pad, j * stride - pad)
        for i, j in itertools.product(*map(range, counts))
    ]


def pooled(x, size, stride, pad=0, how="max"):
    (height, width), places = windows(x, size, stride, pad, up=True)
    y = np.empty((*x.shape[:2], height, width))
    for n, c in np.ndindex(*x.shape[:2]):
        for i, j, top, left in places:
            bottom = min(top + size, x.shape[2] + pad)
            right = min(left + size, x.shape[3] + pad)
            area = (bottom - top) * (right - left)
            t, s = max(top, 0), max(left, 0)
            part = x[n, c, t : min(bottom, x.shape[2]), s : min(right, x.shape[3])]
            at = np.unravel_index(part.argmax(), part.shape)
            y[n, c, i, j] = {
                "max": part.max(),
                "mean": part.sum() / area,
                "mask": (t + at[0]) * x.shape[3] + s + at[1],
            }[how]
    return y


def padded(x, pad):
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def convolved(x, w, b, stride, pad, groups):
    (height, width), places = windows(x, w.shape[2], stride, pad, up=False)
    y = np.empty((len(x), len(w), height, width))
    for n, o in np.ndindex(len(x), len(w)):
        first = o // (len(w) // groups) * w.shape[1]
        for i, j, top, left in places:
            part = padded(x, pad)[n, first : first + w.shape[1], top + pad :, left + pad :]
            y[n, o, i, j] = (part[:, : w.shape[2], : w.shape[3]] * w[o]).sum() + b[o]
    return y


def deconvolved(x, w, stride, pad):
    size = (x.shape[2] - 1) * stride + w.shape[2]
    y = np.zeros((len(x), w.shape[1], size, size))
    for n, c, i, j in np.ndindex(*x.shape):
        y[n, :, i * stride : i * stride + 3, j * stride : j * stride + 3] += x[n, c, i, j] * w[c]
    return y[:, :, pad:-pad, pad:-pad]


def columns(x, size, stride, pad):
    places = windows(x, size, stride, pad, up=False)[1]
    taken = [
        padded(x, pad)[:, :, t + pad : t + pad + size, s + pad : s + pad + size]
        for _, _, t, s in places
    ]
    return np.stack([part.reshape(len(x), -1) for part in taken], axis=2)


def normalized_across(x, size, alpha, beta):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        near = x[:, max(0, c - size // 2) : c + size // 2 + 1]
        y[:, c] = x[:, c] / (1 + alpha / size * (near**2).sum(1)) ** beta
    return y


def normalized_within(x, size, beta):
    y = np.empty_like(x)
    for i, j in np.ndindex(*x.shape[2:]):
        near = padded(x, size // 2)[:, :, i : i + size, j : j + size]
        y[:, :, i, j] = x[:, :, i, j] / (1 + (near**2).sum((2, 3)) / size**2) ** beta
    return y


def pyramid(x):
    """Max over 1 and 2 × 2 bins, which share the middle row and column of 5."""
    middle = x.shape[2] // 2
    halves = (slice(0, middle + 1), slice(middle, None))
    bins = [x[:, :, r, c].max((2, 3)) for r in halves for c in halves]
    return np.concatenate([x.max((2, 3)), np.stack(bins, 2).reshape(len(x), -1)], axis=1)


def recurrent(v, going=None, second=False):
    h, out = np.zeros((2, 5)), []
    for t in range(4):
        h = h if going is None else h * going[t][:, None]
        h = np.tanh(v.steps[t] @ v.w_in.T + h @ v.w_hid.T)
        out.append(np.tanh(h @ v.w_out.T) if second else h)
    return np.stack(out)


def lstm(v):
    h = c = np.zeros((2, 5))
    out = []
    for x in v.steps:
        i, f, g, o = np.split(x @ v.w_x.T + h @ v.w_h.T + v.w_b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.stack(out)


def enlarged(x, size):
    """Bilinear, pixels as squares: what is outside repeats the border."""
    at = np.clip((np.arange(size) + 0.5) * x.shape[2] / size - 0.5, 0, x.shape[2] - 1)
    low = np.minimum(at.astype(int), x.shape[2] - 2)
    part = at - low
    x = x[:, :, low] * (1 - part)[:, None] + x[:, :, low + 1] * part[:, None]
    return x[..., low] * (1 - part) + x[..., low + 1] * part


def softmax_loss(v):
    p = softmax(v.maps)
    valid = [(n, i, j) for n, i, j in np.ndindex(*v.marks.shape) if v.marks[n, i, j] != 3]
    return -sum(math.log(p[n, v.marks[n, i, j], i, j]) for n, i, j in valid) / len(valid)


def sigmoid_loss(v):
    t = sigmoid(v.scores)
    return (np.maximum(v.scores, 0) - v.scores * t + np.log1p(np.exp(-abs(v.scores)))).sum() / 6


def hinge(v, p):
    s = np.where(np.arange(4) == v.labels[:, None], 1, -1)
    return (np.maximum(0, 1 - s * v.scores) ** p).sum() / 6


def contrastive(v, margin, legacy):
    d = ((v.a - v.b) ** 2).sum(1)
    apart = np.maximum(margin - d, 0) if legacy else np.maximum(margin - np.sqrt(d), 0) ** 2
    return np.where(v.together, d, apart).sum() / 6 / 2


def top(v, k):
    hits = [(row > row[t]).sum() < k for row, t in zip(v.scores, v.labels, strict=True)]
    return np.mean(hits)


class Values:
    """The page's Tensors as arrays."""

    def __init__(self, names):
        for name, value in names.items():
            if isinstance(value, backlit.Tensor):
                setattr(self, name, value.detach().numpy())


EACH = (1, 2, 3)
#: What Caffe computes of the page's values.
FORMULAS = {
    "Convolution": lambda v: convolved(v.x, v.kernel, v.six, 2, 1, 2),
    "Deconvolution": lambda v: deconvolved(v.x, v.upward, 2, 1),
    "Pooling MAX": lambda v: pooled(v.x, 2, 2),
    "Pooling MAX, mask": lambda v: pooled(v.x, 2, 2, how="mask"),
    "Pooling AVE": lambda v: pooled(v.x, 4, 2, 1, "mean"),
    "Pooling STOCHASTIC, test": lambda v: (
        (pooled(v.x**2, 2, 2, how="mean") / pooled(abs(v.x), 2, 2, how="mean"))[:, :, :2, :2]
    ),
    "SPP": lambda v: pyramid(v.x),
    "LRN": lambda v: normalized_across(v.x, 3, 1.0, 0.75),
    "LRN WITHIN_CHANNEL": lambda v: normalized_within(v.x, 3, 0.75),
    "Im2col": lambda v: columns(v.x, 3, 2, 1),
    "Crop": lambda v: v.x[:, :, 1:3, 2:4],
    "InnerProduct": lambda v: np.array(
        [[np.vdot(image, w) for w in v.weight] for image in v.x]
    ) + v.bias,
    "Embed": lambda v: v.table[v.words],
    "Bias": lambda v: np.stack([v.x[:, c] + v.four[c] for c in range(4)], axis=1),
    "Scale": lambda v: np.stack([v.x[:, c] * v.four[c] + v.four[c] for c in range(4)], axis=1),
    "PReLU": lambda v: np.where(v.x > 0, v.x, v.x * v.four.reshape(4, 1, 1)),
    "BatchNorm": lambda v: np.stack(
        [(c - c.mean()) / math.sqrt(c.var() + 1e-5) for c in v.x.swapaxes(0, 1)], axis=1
    ),
    "MVN": lambda v: np.array(
        [[(c - c.mean()) / (c.std() + 1e-9) for c in image] for image in v.x]
    ),
    "Recurrent": recurrent,
    "RNN": lambda v: recurrent(v, v.going, second=True),
    "LSTM": lstm,
    "ReLU": lambda v: np.maximum(v.x, 0),
    "ReLU, negative_slope": lambda v: np.maximum(v.x, 0) + 0.1 * np.minimum(v.x, 0),
    "ELU": lambda v: np.where(v.x > 0, v.x, 0.5 * np.expm1(v.x)),
    "Sigmoid": lambda v: sigmoid(v.x),
    "TanH": lambda v: 2 * sigmoid(2 * v.x) - 1,
    "AbsVal": lambda v: np.maximum(v.x, -v.x),
    "Power": lambda v: (1 + 0.5 * v.x) ** 2,
    "Exp": lambda v: np.exp((1 + 0.5 * v.x) * math.log(2)),
    "Log": lambda v: np.log2(5 + 0.5 * v.x),
    "BNLL": lambda v: np.log(1 + np.exp(v.x)),
    "Threshold": lambda v: np.where(v.x > 0.3, 1.0, 0.0),
    "Clip": lambda v: np.maximum(-0.5, np.minimum(v.x, 0.5)),
    "Swish": lambda v: v.x * sigmoid(1.5 * v.x),
    "ArgMax": lambda v: [image.argmax() for image in v.x],
    "BatchReindex": lambda v: np.stack([v.x[1], v.x[1], v.x[0]]),
    "Concat": lambda v: np.hstack([v.x, v.x2]),
    "Slice": lambda v: v.x[:, 1:4],
    "Split": lambda v: v.x,
    "Eltwise SUM": lambda v: 2 * v.x - 0.5 * v.x2,
    "Eltwise PROD": lambda v: v.x * v.x2,
    "Eltwise MAX": lambda v: np.where(v.x > v.x2, v.x, v.x2),
    "Filter": lambda v: v.a[[0, 2, 5]],
    "Flatten": lambda v: [image.ravel() for image in v.x],
    "Reshape": lambda v: v.x.reshape(2, 20, 5),
    "Reduction SUM": lambda v: [image.sum() for image in v.x],
    "Reduction ASUM": lambda v: [abs(image).sum() for image in v.x],
    "Reduction SUMSQ": lambda v: [np.vdot(image, image) for image in v.x],
    "Reduction MEAN": lambda v: [image.sum() / 100 for image in v.x],
    "Softmax": lambda v: softmax(v.x),
    "Tile": lambda v: np.hstack([v.x, v.x, v.x]),
    "Parameter": lambda v: v.four,
    "Python": lambda v: v.x + v.x,
    "SoftmaxWithLoss": softmax_loss,
    "SigmoidCrossEntropyLoss": sigmoid_loss,
    "EuclideanLoss": lambda v: sum(np.linalg.norm(r) ** 2 for r in v.a - v.b) / 12,
    "HingeLoss": lambda v: hinge(v, 1),
    "HingeLoss L2": lambda v: hinge(v, 2),
    "ContrastiveLoss": lambda v: contrastive(v, 2.0, legacy=False),
    "ContrastiveLoss, legacy": lambda v: contrastive(v, 9.0, legacy=True),
    "InfogainLoss": lambda v: -(v.gain[v.labels] * np.log(softmax(v.scores))).sum() / 6,
    "MultinomialLogisticLoss": lambda v: -sum(
        math.log(p[t]) for p, t in zip(softmax(v.scores), v.labels, strict=True)
    ) / 6,
    "Accuracy": lambda v: top(v, 1),
    "Accuracy, top_k": lambda v: top(v, 2),
    "Input": lambda v: np.zeros((2, 4, 5, 5)),
    "DummyData": lambda v: np.full((2, 3), 0.5),
    "HDF5Output": lambda v: v.scores,
    "WindowData": lambda v: enlarged(v.x[:, :, 1:4, :3], 6),
    "constant": lambda v: np.full((40, 30), 0.2),
    "bilinear": lambda v: np.broadcast_to(
        np.outer([0.25, 0.75, 0.75, 0.25], [0.25, 0.75, 0.75, 0.25]), (3, 1, 4, 4)
    ),
}  # fmt: skip


# -- what is no number ----------------------------------------------------------------------------


def pools_at_random(y, names, lines):
    """Each of a window's numbers as often as it is large: their mean is Σx² / Σx."""
    many = {**names, "x": backlit.tile(names["x"], (2000, 1, 1, 1))}
    drawn = run(lines, many).numpy().reshape(2000, 2, 4, 2, 2)
    part = abs(names["x"].numpy())[:, :, :4, :4].reshape(2, 4, 2, 2, 2, 2)
    assert {*np.unique(drawn)} <= {*part.ravel()}
    mean = (part**2).sum((3, 5)) / part.sum((3, 5))
    spread = np.sqrt((part**3).sum((3, 5)) / part.sum((3, 5)) - mean**2)
    assert (abs(drawn.mean(0) - mean) < 5 * spread / math.sqrt(2000)).all()
    assert y.shape == (2, 4, 2, 2)


def dropped(y, names, lines):
    many = backlit.ones((100, 100), dtype="float64")
    kept = run(lines, {**names, "x": many}).numpy()
    np.testing.assert_allclose(kept[kept > 0], 1 / 0.7)
    assert abs((kept > 0).mean() - 0.7) < 0.02


def uniform_between(low, high):
    def check(w, names, lines):
        w = w.numpy()
        width = high - low
        assert low <= w.min() < low + 0.01 * width < high - 0.01 * width < w.max() <= high
        assert abs(w.mean() - (low + high) / 2) < 0.03 * width

    return check


def normal_with(mean, std):
    def check(w, names, lines):
        w = w.numpy()
        assert abs(w.mean() - mean) < 0.1 * std
        assert abs(w.std() - std) < 0.05 * std
        assert abs(w - mean).max() > 2.5 * std

    return check


def unit_ball(w, names, lines):
    assert (w.numpy() > 0).all()
    np.testing.assert_allclose(w.numpy().sum(1), 1, rtol=1e-12)


def updates(rule, tolerance=1e-12, regularized=0.0):
    """Five steps of an optimizer beside Caffe's rule: (gradient, state, t) -> v."""

    def check(optimizer, names, lines):
        p = names["p"]
        p.assign(names["four"])
        w, state = p.detach().numpy().copy(), {}
        gradients = np.random.default_rng(1).normal(size=(5, 4))
        for t, g in enumerate(gradients, start=1):
            p.grad = backlit.tensor(g)
            optimizer.step()
            w = w - rule(g + regularized * w, state, t)
            np.testing.assert_allclose(p.detach().numpy(), w, rtol=tolerance)

    return check


def sgd(g, state, t, nesterov=False):
    old = state.get("v", 0)
    state["v"] = 0.9 * old + 0.1 * g
    return 1.9 * state["v"] - 0.9 * old if nesterov else state["v"]


def adagrad(g, state, t):
    state["h"] = state.get("h", 0) + g**2
    return 0.1 * g / (np.sqrt(state["h"]) + 1e-8)


def rmsprop(g, state, t):
    state["h"] = 0.99 * state.get("h", 0) + 0.01 * g**2
    return 0.1 * g / (np.sqrt(state["h"]) + 1e-8)


def adadelta(g, state, t):
    state["h"] = 0.95 * state.get("h", 0) + 0.05 * g**2
    v = g * np.sqrt((state.get("u", 0) + 1e-6) / (state["h"] + 1e-6))
    state["u"] = 0.95 * state.get("u", 0) + 0.05 * v**2
    return v


def adam(g, state, t):
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * g**2
    correction = math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return 0.1 * correction * state["m"] / (np.sqrt(state["v"]) + 1e-8)


def l1_derivative(loss, names, lines):
    p = names["p"]
    want = 0.05 * np.sign(p.detach().numpy())
    np.testing.assert_array_equal(backlit.grad(loss, p).numpy(), want)


def clips(length, names, lines):
    p = names["p"]
    p.grad = backlit.tensor([3.0, 0.0, 4.0, 0.0], dtype="float64")
    run(lines, names)
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0, 0.8, 0], rtol=1e-5)
    p.grad = backlit.tensor([0.3, 0.0, 0.4, 0.0], dtype="float64")
    run(lines, names)
    np.testing.assert_array_equal(p.grad.numpy(), [0.3, 0, 0.4, 0])


def two_rates(optimizer, names, lines):
    p, q = names["p"], names["q"]
    before = [w.detach().numpy().copy() for w in (p, q)]
    for w in (p, q):
        w.grad = backlit.ones(w.shape, dtype="float64")
    optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), before[0] - 0.1 * (1 + 0.05 * before[0]))
    np.testing.assert_allclose(q.detach().numpy(), before[1] - 0.2)


def rates(formula):
    def check(_, names, lines):
        optimizer = names["optimizer"] = backlit.optim.SGD([names["p"]], lr=0.1)
        scheduler = run(lines, names)
        names["p"].grad = backlit.zeros(4, dtype="float64")
        for t in range(10):
            assert scheduler.get_last_lr()[0] == pytest.approx(0.1 * formula(t), rel=1e-12)
            optimizer.step()
            scheduler.step()

    return check


def is_a(kind):
    return lambda value, names, lines: value is kind


def first_batch(batch, names, lines):
    for part, name in zip(batch, ("scores", "labels"), strict=True):
        np.testing.assert_array_equal(part.numpy(), names[name][:2].numpy())


def first_of_file(data, names, lines):
    assert len(data) == 2
    np.testing.assert_array_equal(data[1][0], names["x"][1].numpy())
    assert [int(data[i][1]) for i in range(2)] == [1, 0]


def red_picture(data, names, lines):
    ((image, label),) = data
    assert (image.shape, data.classes[label]) == ((3, 6, 8), "1")
    np.testing.assert_allclose(np.asarray(image)[:, 0, 0], np.array([200, 30, 30]) / 255, rtol=1e-6)


def crops(transform, names, lines):
    assert transform(names["Image"].new("RGB", (8, 6))).shape == (3, 4, 4)


def no_value(value, names, lines):
    assert value is None


CHECKS = {
    "Pooling STOCHASTIC": pools_at_random,
    "Dropout": dropped,
    "Silence": no_value,
    "uniform": uniform_between(-0.1, 0.3),
    "gaussian": normal_with(0.5, 0.01),
    "positive_unitball": unit_ball,
    "xavier": uniform_between(-math.sqrt(3 / 30), math.sqrt(3 / 30)),
    "msra": normal_with(0, math.sqrt(2 / 30)),
    "SGD": updates(sgd),
    "Nesterov": updates(lambda g, state, t: sgd(g, state, t, nesterov=True)),
    "AdaGrad": updates(adagrad),
    "RMSProp": updates(rmsprop),
    "AdaDelta": updates(adadelta),
    "Adam": updates(adam, 1e-5),
    "weight_decay, L2": updates(lambda g, state, t: 0.1 * g, regularized=0.05),
    "weight_decay, L1": l1_derivative,
    "clip_gradients": clips,
    "lr_mult, decay_mult": two_rates,
    "fixed": rates(lambda t: 1),
    "step": rates(lambda t: 0.5 ** (t // 3)),
    "exp": rates(lambda t: 0.9**t),
    "inv": rates(lambda t: (1 + 0.1 * t) ** -0.75),
    "multistep": rates(lambda t: 0.5 ** ((t >= 3) + (t >= 7))),
    "poly": rates(lambda t: (1 - t / 10) ** 2),
    "sigmoid": rates(lambda t: 1 / (1 + math.exp(0.8 * (t - 5)))),
    "MemoryData": first_batch,
    "HDF5Data": first_of_file,
    "ImageData": red_picture,
    "transform_param": crops,
    "BaseConvolution, BaseData, Loss, Neuron": is_a(backlit.nn.Module),
}


def run(lines, names):
    """Run all but the last, and give the value of that."""
    for line in lines[:-1]:
        exec(line, names)
    return eval(lines[-1], names)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the page's code has made."""
    monkeypatch.chdir(tmp_path)
    backlit.manual_seed(0)
    names = {"__name__": "__main__"}
    for block in blocks(PAGE.read_text("utf-8")):
        if block.language == "python":
            run_python(PAGE, block, names)
    return names


def test_every_layer_solver_policy_and_filler_of_caffe_has_a_row():
    named = {word for name, _, _ in rows() for word in re.findall(r"\w+", name)}
    assert len(LAYERS) == len({*LAYERS}) == 74
    assert not {*LAYERS, *OTHERS} - named


def test_every_line_computes_what_caffe_does(names):
    values = Values(names)

    def check(row):
        name, lines, _ = row
        assert lines, "no line"
        if name == "Data":
            with pytest.raises(DataError, match="database of LMDB"):
                run(lines, names)
            return
        got = run(lines, names)
        if name in CHECKS:
            CHECKS[name](got, names, lines)
        elif not name.startswith("CuDNN"):
            got = got.detach().numpy() if isinstance(got, backlit.Tensor) else np.asarray(got)
            want = np.asarray(FORMULAS[name](values))
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)

    try_each(check, rows())


def test_every_name_in_a_remark_is_there(names):
    for name, _, remark in rows():
        for code in re.findall(r"`((?:nn|F|init|optim|backlit|transforms)\.[\w.]+)", remark):
            assert eval(code, names) is not None, name


def test_each_formula_belongs_to_a_row():
    assert {*FORMULAS, *CHECKS} <= {name for name, _, _ in rows()}


def test_what_the_page_says_of_ties_is_so():
    a, b = (backlit.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    backlit.maximum(a, b).sum().backward()
    assert a.grad.tolist() == b.grad.tolist() == [0.5, 0.5]
    _, at = backlit.functional.max_pool2d(backlit.ones((1, 1, 2, 2)), 2, return_indices=True)
    assert at.item() == 0
