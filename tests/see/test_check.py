"""`see.check`: wrong backward bodies that people write, and what must not be blamed on them."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import backlit as bl
from backlit import Elementwise, Op, nn, see
from backlit.cli import main
from backlit.errors import ArgumentError, DTypeError
from backlit.finite_differences import precision
from backlit.ops import activation, contraction, elementwise, reductions
from backlit.random import default_generator
from backlit.see.checks import KINDS, Experiment, judge
from backlit.see.checks.numeric import along, measure

RNG = np.random.default_rng(1)


def broken(cls, backward, **attributes):
    """An instance of a built-in op with another backward."""
    made = type(f"Wrong{cls.__name__}", (cls,), {"backward": backward})
    return made(**attributes)


def first(op, *inputs):
    result = see.check(op, *inputs)
    assert result.verdict == "wrong", result
    assert result.causes, result
    assert {c.kind for c in result.causes} <= set(KINDS)
    return result.causes[0]


X = RNG.uniform(0.3, 1.5, (3, 4)) * RNG.choice([-1.0, 1.0], (3, 4))


class Conv(Op):
    """A valid cross-correlation of one picture with one kernel: (1, 1, H, W) and (1, 1, 2, 2)."""

    saves = ("x", "w")

    def forward(self, xp, x, w):
        h, v = x.shape[2] - 1, x.shape[3] - 1
        total = 0.0
        for i in range(2):
            for j in range(2):
                part = xp.slice(x, index=((0, 1, 1), (0, 1, 1), (i, h, 1), (j, v, 1)))
                total = total + part * w[:, :, i : i + 1, j : j + 1]
        return total

    def backward(self, xp, grad_y, x, w):
        return self.spread_over(grad_y, x, w)

    def spread_over(self, grad_y, x, used):
        grad_x, grad_w = np.zeros_like(x), np.zeros_like(used)
        h, v = grad_y.shape[2:]
        for i in range(2):
            for j in range(2):
                grad_x[:, :, i : i + h, j : j + v] += grad_y * used[:, :, i : i + 1, j : j + 1]
                grad_w[:, :, i, j] = np.sum(grad_y * x[:, :, i : i + h, j : j + v])
        return grad_x, grad_w


class Standardise(Op):
    """Zero mean and unit variance over the last axis."""

    saves = ("x", "y")

    def forward(self, xp, x):
        n = x.shape[1]
        centred = x - xp.sum(x, axis=1, keepdims=True) / n
        variance = xp.sum(centred * centred, axis=1, keepdims=True) / n
        return centred / xp.sqrt(variance)

    def backward(self, xp, grad_y, x, y):
        mean, along_y, deviation = self.terms(xp, grad_y, x, y)
        return (grad_y - mean - along_y) / deviation

    def terms(self, xp, grad_y, x, y):
        n = x.shape[1]
        centred = x - xp.sum(x, axis=1, keepdims=True) / n
        deviation = xp.sqrt(xp.sum(centred * centred, axis=1, keepdims=True) / n)
        mean = xp.sum(grad_y, axis=1, keepdims=True) / n
        along_y = y * xp.sum(grad_y * y, axis=1, keepdims=True) / n
        return mean, along_y, deviation


CASES = {
    "sign": (broken(elementwise.Cos, lambda s, xp, g, x: g * xp.sin(x)), (X,), "sign"),
    "two": (broken(elementwise.Square, lambda s, xp, g, x: g * x), (X,), "constant"),
    "mean for sum": (
        broken(reductions.Sum, lambda s, xp, g: s.spread(xp, g) / 4, axis=(1,), keepdims=False),
        (X,),
        "mean or sum",
    ),
    "transposed": (
        broken(contraction.Matmul, lambda s, xp, g, a, b: (xp.matmul(g, b), xp.matmul(a.mT, g))),
        (X[:, :3], RNG.normal(size=(3, 3))),
        "transposed",
    ),
    "transposed and wrong": (
        broken(contraction.Matmul, lambda s, xp, g, a, b: (
            xp.matmul(g, b.mT), 1.5 * xp.matmul(g.mT, a))),
        (X, RNG.normal(size=(4, 2))),
        "shape",
    ),
    "factor": (broken(elementwise.Tanh, lambda s, xp, g, y: g * (1 - y)), (X,), "factor missing"),
    "x for y": (
        broken(
            elementwise.Exp, lambda s, xp, g, y: g
        ),
        (X,),
        "factor missing",
    ),
    "mask": (broken(activation.Relu, lambda s, xp, g, y: g), (X,), "mask missing"),
    "upstream": (
        broken(elementwise.Sin, lambda s, xp, g, x: xp.cos(x)), (X,), "upstream forgotten",
    ),
    "diagonal": (
        broken(activation.Softmax, lambda s, xp, g, y: g * y * (1 - y), axis=1),
        (X,),
        "diagonal only",
    ),
    "softmax without its sum": (
        broken(activation.Softmax, lambda s, xp, g, y: g * y, axis=1), (X,), "path missing",
    ),
    "exchanged": (
        broken(elementwise.Multiply, lambda s, xp, g, a, b: (g * a, g * b)),
        (X, RNG.normal(size=(3, 4))),
        "inputs exchanged",
    ),
    "ties": (
        broken(
            reductions.Max,
            lambda s, xp, g, x, y: s.spread(xp, g) * xp.where(x == s.spread(xp, y), 1.0, 0.0 * x),
            axis=(1,),
            keepdims=False,
        ),
        (X,),
        "ties",
    ),
    "keep probability": (
        broken(activation.LeakyRelu, lambda s, xp, g, x: xp.where(x > 0, g, g * s.slope) / 0.75,
               slope=0.25),
        (X,),
        "constant",
    ),
    "not summed": (
        broken(contraction.Linear, lambda s, xp, g, x, w, b: (
            g @ w, g[0][:, None] * x[0][None, :], g)),
        (X, RNG.normal(size=(2, 4)), RNG.normal(size=2)),
        "sum missing",
    ),
    "overwritten": (
        broken(contraction.Linear, lambda s, xp, g, x, w, b: (
            g @ w, g[-1][:, None] * x[-1][None, :], g)),
        (X, RNG.normal(size=(2, 4)), RNG.normal(size=2)),
        "overwritten",
    ),
    "in place": (
        broken(elementwise.Square, lambda s, xp, g, x: np.multiply(x, 2, out=x) * g),
        (X,),
        "in place",
    ),
    "raises": (broken(elementwise.Square, lambda s, xp, g, x: g * missing), (X,), "raises"),  # noqa: F821
    "broadcast not reduced": (
        broken(contraction.Linear, lambda s, xp, g, x, w, b: (
            g @ w, g[:, :, None] * x[:, None, :], g.mT)),
        (X, RNG.normal(size=(2, 4)), RNG.normal(size=2)),
        "sum missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_usual_mistake_is_named(name):
    op, inputs, kind = CASES[name]
    cause = first(op, *inputs)
    assert cause.kind == kind, cause


def unreadable(cls, text, **more):
    """A class like this one with the backward of a text that nothing can read."""
    place = {"np": np}
    exec(f"def backward(self, xp, grad_y, *saved):\n    {text}", place)
    return type(f"Wrong{cls.__name__}", (cls,), {"backward": place["backward"], **more})


def test_a_kernel_that_is_not_flipped():
    text = "return self.spread_over(grad_y, saved[0], saved[1][:, :, ::-1, ::-1])"
    x, w = RNG.normal(size=(1, 1, 4, 4)), RNG.normal(size=(1, 1, 2, 2))
    assert see.check(Conv(), x, w).ok
    assert first(unreadable(Conv, text)(), x, w).kind == "kernel not flipped"


@pytest.mark.parametrize("missing", ["mean", "variance", "both"])
def test_a_missing_term_of_a_normalisation(missing):
    kept = {"mean": " - along_y", "variance": " - mean", "both": ""}[missing]
    text = f"mean, along_y, d = self.terms(xp, grad_y, *saved); return (grad_y{kept}) / d"
    assert see.check(Standardise(), X).ok
    cause = first(unreadable(Standardise, text)(), X)
    assert cause.kind == "path missing"
    said = {"both": "the mean and the variance term are"}.get(missing, f"the {missing} term is")
    assert f"the normalisation of x over axis 1, {said} missing" in cause.title


def test_the_change_that_makes_it_right_is_found():
    class SiluByHand(Elementwise):
        saves = ("x",)

        def forward(self, xp, x):
            return x * xp.reciprocal(1 + xp.exp(-x))

        def backward(self, xp, grad_y, x):
            s = xp.reciprocal(1 + xp.exp(-x))
            return grad_y * (s * (1 + x * (1 + s)))

    cause = first(SiluByHand, X)
    assert cause.kind == "term sign"
    assert cause.fix.endswith("1 + s  →  1 - s")
    assert (
        f"line {cause.detail['line']} of backward: the term `s` has the wrong sign" in cause.title
    )
    assert "with that one change the gradient of x agrees" in cause.evidence


def test_nothing_fits_is_an_answer():
    wrong = broken(elementwise.Tanh, lambda s, xp, g, y: xp.cos(7 * y) + xp.sin(9 * y) * g * g)
    result = see.check(wrong, X)
    assert result.verdict == "wrong"
    assert result.causes == []
    assert "no usual mistake fits" in repr(result)
    assert "known: every element of the gradient of x is wrong" in repr(result)


def test_what_is_known_of_a_wrong_gradient_is_said_where_nothing_fits():
    def forward(x):
        return np.sin(x), x

    def backward(dout, cache):
        middle = np.sin(17 * dout[1]) + np.exp(cache[1]) * dout[1] ** 2
        return np.stack([dout[0] * np.cos(cache[0]), middle, dout[2] * np.cos(cache[2])])

    result = see.check((forward, backward), X)
    assert "the gradient of x is wrong at index 1 of axis 0 only" in result.known


def test_the_result_says_what_where_and_how_sure():
    class Cube(Elementwise):
        saves = ("x",)

        def forward(self, xp, x):
            return x * x * x

        def backward(self, xp, grad_y, x):
            return -3 * grad_y * x * x

    result = see.check(Cube, X)
    text = repr(result)
    assert not result
    assert "✗ cube of (x): the gradient of x is wrong" in text
    assert "test_check.py" in result.line
    assert "forward: return x * x * x" in result.line
    assert "the sign of the gradient of x is wrong" in text
    assert "predicts all 36 elements at 3 points" in text
    assert "should be" in text
    assert result.__rich__() is not None


# -- what is not blamed on the code ------------------------------------------------------------


def test_a_kink_is_named_and_either_side_is_right():
    result = see.check(elementwise.Abs(), np.array([-1.0, 0.0, 2.0]))
    assert result.ok
    assert any(n.startswith("kinks") for n in result.notes)
    other = broken(activation.Relu, lambda s, xp, g, y: xp.where(y >= 0, g, 0.0))
    zero = see.check(other, np.array([0.0, 0.0]))
    assert zero.verdict != "wrong" or zero.causes[0].kind != "sign"


def test_a_jump_is_left_out():
    result = see.check(elementwise.Floor(), np.array([0.5, 1.0, 2.0]))
    assert result.ok
    assert any(n.startswith("edges") for n in result.notes)


def test_the_end_of_a_domain_is_left_out():
    result = see.check(elementwise.Sqrt(), np.array([0.0, 1.0, 4.0]))
    assert result.ok


def test_low_precision_is_named_and_not_blamed():
    class Narrow(Elementwise):
        saves = ("x",)

        def forward(self, xp, x):
            return xp.astype(xp.sin(xp.astype(x, np.dtype("float32"))), np.dtype("float64"))

        def backward(self, xp, grad_y, x):
            return grad_y * xp.cos(x)

    result = see.check(Narrow, X)
    assert result.ok, result
    assert not result.notes  # its conversions are to float64 while it is checked
    for dtype in (np.float32, np.float16):  # NumPy's own are not

        def narrow(x, dtype=dtype):
            return np.sin(x.astype(dtype)).astype(np.float64)

        result = see.check((narrow, lambda d, x: d * np.cos(x)), X)
        assert result.ok, result
        assert any(n.startswith("low precision") for n in result.notes)
        assert see.check((narrow, lambda d, x: 2 * d * np.cos(x)), X).verdict == "wrong"


def test_randomness_is_named_and_not_blamed():
    class Noise(Elementwise):
        def forward(self, xp, x):
            return x + np.random.default_rng().normal(size=x.shape)

        def backward(self, xp, grad_y):
            return grad_y

    result = see.check(Noise, X)
    assert result.verdict == "undecided"
    assert not result.causes
    assert any(n.startswith("randomness") for n in result.notes)


def test_seeded_randomness_in_a_function_is_repeated():
    state = default_generator().counter.numpy().copy()
    result = see.check(lambda x: (x * bl.random.uniform((3, 4), dtype="float64")).sum(), X)
    assert result.ok, result
    assert any(n.startswith("randomness") for n in result.notes)
    assert (default_generator().counter.numpy() == state).all()


def test_state_that_a_module_replaces_is_put_back_before_each_call():
    class Stateful(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.register_buffer("scale", bl.ones(4))
            self.hidden, self.calls = bl.ones(4), 0

        def forward(self, x):
            self.scale = self.scale * 0.9
            self.hidden[0] *= 2.0
            self.calls += 1
            self.last = self.layer(x) * self.scale * self.hidden * self.calls
            return self.last

    model = Stateful()
    result = see.check(model, X)
    assert result.ok, result
    assert model.scale.tolist() == model.hidden.tolist() == [1.0] * 4
    assert model.calls == 0
    assert not hasattr(model, "last")


def test_an_op_without_a_derivative_is_not_judged():
    result = see.check(elementwise.Less(), X, X)
    assert result.verdict == "undecided"
    assert "declares no derivative" in repr(result)


def test_integer_inputs_alone_are_not_judged():
    assert see.check(elementwise.Add(), np.arange(3), np.arange(3)).verdict == "undecided"


# -- functions and models ----------------------------------------------------------------------


class Double(Elementwise):
    """y = 2 x with a backward that forgets the 2."""

    def forward(self, xp, x):
        return 2 * x

    def backward(self, xp, grad_y):
        return grad_y


class Dense(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        rng = np.random.default_rng(i + o)
        self.weight = nn.Parameter(rng.normal(size=(o, i)).astype("float32"))
        self.bias = nn.Parameter(np.zeros(o, "float32"))

    def forward(self, x):
        return x @ self.weight.mT + self.bias


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.one, self.two = Dense(9, 12), Dense(12, 3)
        self.register_buffer("calls", bl.tensor(0.0))

    def forward(self, x):
        self.calls.assign(self.calls + 1)
        h = bl.tanh(self.one(x))
        if self.kind == "wrong":
            h = bl.apply(Double(), h)
        if self.kind == "cut":
            h = h * bl.sigmoid(h).detach()
        if self.kind == "no grad":
            with bl.no_grad():
                gate = bl.sigmoid(h)
            h = h * gate
        return self.two(h)


BATCH = RNG.normal(size=(5, 9)).astype("float32")


def test_a_right_model_is_right_and_unchanged():
    net = Net("right")
    before = {n: t.array for n, t in (*net.named_parameters(), *net.named_buffers())}
    result = see.check(net, BATCH)
    assert result.ok, result
    assert len(result.nodes) >= 5
    assert "the gradients of all" in repr(result)
    for name, t in (*net.named_parameters(), *net.named_buffers()):
        assert t.array is before[name]
        assert t.grad is None


def test_a_wrong_node_is_found_in_a_model():
    result = see.check(Net("wrong"), BATCH)
    assert [n.verdict for n in result.nodes].count("wrong") == 1
    assert "double" in result.wrong[0].subject
    assert "bl.apply(Double(), h)" in result.line
    assert "in Net" in result.line
    assert result.causes[0].kind == "constant"


@pytest.mark.parametrize("kind", ["cut", "no grad"])
def test_a_path_cut_off_is_found_in_a_model(kind):
    result = see.check(Net(kind), BATCH)
    assert not result.wrong
    assert result.verdict == "wrong"
    assert result.causes[0].kind == "cut"
    assert "test_check.py" in repr(result)


def test_a_model_with_its_loss():
    target = RNG.normal(size=(5, 3)).astype("float32")
    result = see.check(Net("right"), BATCH, target, loss=lambda y, t: ((y - t) ** 2).mean())
    assert result.ok, result


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.out = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x):
        h, _ = self.cells(x)
        return self.out(h[:, -1])


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x):
        h = self.embedding(x)
        a, _ = self.attention(h, h, h)
        return self.out(self.norm(h + a).mean(axis=1))


def pictures_net():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 5),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (pictures_net, RNG.normal(size=(4, 1, 8, 8)).astype("float32")),
        (Recurrent, RNG.normal(size=(4, 5, 6)).astype("float32")),
        (Attending, RNG.integers(0, 30, (4, 6))),
    ],
)
def test_ordinary_networks_are_not_accused(make, x):
    bl.manual_seed(0)
    result = see.check(make(), x, np.array([0, 4, 2, 1]), loss=nn.CrossEntropyLoss())
    assert result.ok, result
    assert len(result.nodes) > 8


def test_a_function_of_several_inputs():
    assert see.check(lambda a, b: a @ b, X, RNG.normal(size=(4, 2))).ok


# -- bad input ---------------------------------------------------------------------------------


def test_several_outputs_and_inputs_in_containers():
    assert see.check(lambda x: (x * x, {"a": bl.tanh(x)}), X).ok
    cut = see.check(lambda x: (x * x, x.detach() * x), X)
    assert cut.verdict == "wrong"
    assert cut.causes[0].kind == "cut"
    named = see.check(lambda given: given["a"].detach() * given["b"][0], {"a": X, "b": [X]})
    assert named.causes[0].input == "input 0['a']"


def test_labels_stay_as_they_are():
    """The gradient of the cross-entropy of one-hot labels is right for labels that sum to 1."""

    class CrossEntropy(Op):
        saves = ("x", "labels")
        factor = 1.0

        def forward(self, xp, x, labels):
            return xp.sum(labels * (xp.log(xp.sum(xp.exp(x), axis=1, keepdims=True)) - x))

        def backward(self, xp, grad_y, x, labels):
            p = xp.exp(x)
            return self.factor * grad_y * (p / xp.sum(p, axis=1, keepdims=True) - labels), None

    labels = np.eye(4)[[0, 3, 1]]
    assert see.check(CrossEntropy(), X, labels).ok
    half = type("Half", (CrossEntropy,), {"factor": 0.5})()
    assert first(half, X, labels).kind == "constant"


def test_bad_input():
    with pytest.raises(ArgumentError, match=r"multiply needs an input for each of \(a, b\)"):
        see.check(elementwise.Multiply())
    with pytest.raises(ArgumentError, match=r"must be an op, a module or a function, got Dense"):
        see.check(Dense, X)
    with pytest.raises(ArgumentError, match=r"got int"):
        see.check(3, X)
    with pytest.raises(ArgumentError, match=r"end with the target, got 1 input"):
        see.check(Net("right"), BATCH, loss=lambda y, t: y)
    with pytest.raises(DTypeError, match=r"input 0 of exp must be numbers"):
        see.check(elementwise.Exp(), np.array(["a"]))
    with pytest.raises(ArgumentError, match=r"must return floating Tensors, got tuple; return wh"):
        see.check(lambda x: (x.numpy(), 3), X)


# -- measuring ---------------------------------------------------------------------------------


def test_a_measured_derivative_is_within_its_band():
    x = np.array([0.7, -1.2, 3.0])
    y = np.exp(x)
    columns = measure(lambda v: np.exp(v), [x], 0, np.arange(3), y)
    error = np.abs(np.diagonal(columns.jacobian) - np.exp(x))
    assert (error <= 5 * np.diagonal(columns.band) + 1e-12).all()
    assert error.max() < 1e-8
    slope, band = along(lambda v: np.exp(v), [x], {0: np.ones(3)}, np.ones(3))
    assert abs(slope - np.exp(x).sum()) <= 5 * band + 1e-12


def test_precision_is_seen_through_a_cast():
    x = RNG.normal(size=5)
    assert precision(np.sin(x), [x]) == "float64"
    assert precision(np.sin(x).astype(np.float16).astype(np.float64), [x]) == "float16"
    assert precision(np.sin(x).astype(np.float32), [x]) == "float32"


def test_one_experiment_judges_many_bodies():
    experiment = Experiment(elementwise.Tanh(), [X])
    assert judge(experiment).ok
    assert not judge(experiment, broken(elementwise.Tanh, lambda s, xp, g, y: g)).ok


# -- the command line --------------------------------------------------------------------------

OPS = """
import numpy as np
from backlit import Elementwise, nn, tanh

class Cube(Elementwise):
    saves = ("x",)
    def forward(self, xp, x):
        return x * x * x
    def backward(self, xp, grad_y, x):
        return 3 * grad_y * x * x

class Scaled(Cube):
    attributes = ("k",)
    def forward(self, xp, x):
        return self.k * x * x * x
    def backward(self, xp, grad_y, x):
        return 3 * grad_y * x * x

class Layer(nn.Module):
    def forward(self, x):
        return tanh(x).sum()

class Needy(nn.Module):
    def __init__(self, size):
        super().__init__()

def pick(x, i):
    return x[i].sum()

def noise(x):
    return x * np.random.default_rng().normal()
"""


@pytest.fixture
def ops(tmp_path):
    path = tmp_path / "ops.py"
    path.write_text(OPS)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_the_command_says_right_or_wrong(ops):
    right = run(f"{ops}:Cube")
    assert (right.exit_code, "the gradient is right" in right.output) == (0, True)
    wrong = run(f"{ops}:Scaled", "--shape", "2x3", "-a", "k=5.0")
    assert wrong.exit_code == 1
    assert "1/k" in wrong.output
    assert "ops.py" in wrong.output
    assert run(f"{ops}:Layer", "--shape", "8x20").exit_code == 0
    assert run(f"{ops}:pick", "--shape", "6x2", "--shape", "4:6").exit_code == 0
    assert run(f"{ops}:noise", "--shape", "3").exit_code == 2


def test_the_command_takes_inputs_from_the_file(tmp_path):
    path = tmp_path / "more.py"
    path.write_text(OPS + "\nexample_inputs = (np.ones((2, 2)),)\n")
    assert run(f"{path}:Layer").exit_code == 0
    path.write_text(OPS + "\ndef example_inputs():\n    return np.ones(3)\n")
    assert run(f"{path}:Cube").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["{}"], "the target must be FILE.py:NAME"),
        (["{}:Nothing"], "has no 'Nothing'; it has"),
        (["{}.py:Cube"], "there is no such file"),
        (["{}:Cube", "-a", "k"], "an attribute must be NAME=VALUE, got 'k'"),
        (["{}:pick", "-a", "k=1"], "pick takes no attributes"),
        (["{}:Needy"], "Needy cannot be made"),
        (["{}:Layer"], "a layer or function needs inputs"),
        (["{}:Cube", "--shape", "3,4"], "a shape must be numbers with x between"),
    ],
)
def test_bad_arguments_are_one_line(ops, arguments, text):
    result = run(*[a.format(ops) for a in arguments])
    assert result.exit_code == 1
    assert text in " ".join(result.output.split())


def test_a_file_that_raises(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    assert "raised ZeroDivisionError" in run(f"{path}:X").output


def test_a_call_that_does_not_fit():
    with pytest.raises(
        ArgumentError, match=r"check: Linear cannot be called with 0 inputs: missing"
    ):
        see.check(bl.nn.Linear(2, 2))


GATES = """
class Multiply:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return self.y * dz, self.y * dz


def square(x):
    return x * x


def square_backward(dz, x):
    return 2 * x * dz
"""


def test_the_command_checks_gates_as_lectures_write_them(tmp_path):
    (tmp_path / "gates.py").write_text(GATES)
    result = run(f"{tmp_path / 'gates.py'}:Multiply")
    assert result.exit_code == 1
    assert "y gets the gradient that belongs to x" in result.output
    result = run(f"{tmp_path / 'gates.py'}:square,square_backward")
    assert result.exit_code == 0, result.output
    result = run(f"{tmp_path / 'gates.py'}:square,nothing")
    assert "has no 'nothing'; it has" in result.output
