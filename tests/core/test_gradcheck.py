"""`gradcheck`: what it accepts as outputs, at which sizes it can be trusted, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, GradcheckError
from backlit.nn import functional as F
from sampling import every


class Doubtful(bl.Elementwise):
    """y = x², with a derivative that is 1 % too large."""

    saves = ("x",)

    def forward(self, xp, x):
        return x * x

    def backward(self, xp, grad_y, x):
        return grad_y * 2.02 * x


def doubtful(x):
    return bl.apply(Doubtful(), x)


def at(*values):
    return bl.tensor(values, dtype="float64", requires_grad=True)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x, x * 2),
        lambda x: [x**2, (x**3).sum()],
        lambda x: {"a": x, "b": [x * x, bl.argmax(x, axis=0)]},
        lambda x: (x.detach(), x * x),
        lambda x: (x**2,),
    ],
    ids=["tuple", "list", "nested, one integer", "one cut off on purpose", "one"],
)
def test_several_outputs_are_weighted_together(f, order):
    if order == 1 and "detach" in f.__code__.co_names:
        with pytest.raises(
            GradcheckError, match=r"in 2 of 2 elements, most at \[\d\], where it is"
        ):
            bl.gradcheck(f, at(1.0, 2.0))
    elif "detach" not in f.__code__.co_names:
        assert bl.gradcheck(f, at(1.0, 2.0), order=order)


@pytest.mark.parametrize("where", [0, 1])
def test_a_wrong_output_among_right_ones_is_found(where):
    def f(x):
        ys = [x**2, x * 3]
        ys.insert(where, doubtful(x))
        return tuple(ys)

    with pytest.raises(GradcheckError, match=r"inputs\[0\] \(float64\[2\]\) differs .* in 2 of 2"):
        bl.gradcheck(f, at(1.0, 2.0))


RIGHT = {
    "x": lambda x: x,
    "x²": lambda x: x * x,
    "x³": lambda x: x**3,
    "sin": bl.sin,
    "log": lambda x: bl.log(bl.abs(x)),
    "1/x": lambda x: 1 / x,
    "softmax": lambda x: F.softmax(x, 0),
    "tanh": bl.tanh,
}


@every("name", RIGHT)
@every("size", [1e-9, 1e-3, 1.0, 1e3, 1e9, 1e12])
def test_right_gradients_are_right_at_every_size(name, size):
    assert bl.gradcheck(RIGHT[name], at(size, -0.7 * size))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e9, 1e100])
def test_wrong_gradients_are_found_at_every_size(size):
    with pytest.raises(GradcheckError, match=r"in [12] of 2 elements, most at \[\d\], where it is"):
        bl.gradcheck(doubtful, at(size, -size))
    with pytest.raises(GradcheckError, match="in 1 of 2 elements"):
        bl.gradcheck(lambda x: (x * bl.tensor([1.0, 0.0])) ** 2 + doubtful(x)[1], at(1.0, size))


def test_an_element_is_named_with_its_value():
    with pytest.raises(
        GradcheckError,
        match=r"the gradient for inputs\[1\] \(float64\[1,2\]\) differs from central differences "
        r"in 1 of 2 elements, most at \[0, 1\], where it is 3: analytic .*, numerical .*, error ",
    ):
        bl.gradcheck(lambda a, x: a + doubtful(x), [at(1.0), at([1e-8, 3.0])])


AT_KINKS = {
    "relu at 0": (F.relu, [0.0, 1.0]),
    "relu beside 0": (F.relu, [1e-8, -1e-8, 1.0]),
    "median of equals": (bl.median, [1.0, 2.0, 2.0, 2.0]),
    "pooling of equals": (lambda x: F.max_pool1d(x.reshape(1, 1, 4), 2), [1.0, 1.0, 0.0, 0.0]),
    "relu and its mirror": (lambda x: F.relu(x) - F.relu(-x), [0.0, 1.0]),
}


@pytest.mark.filterwarnings("ignore:gradcheck")
@every("name", AT_KINKS)
def test_a_choice_at_a_kink_is_right(name):
    f, x = AT_KINKS[name]
    assert bl.gradcheck(f, at(*x))


def test_a_choice_at_a_kink_is_told():
    with pytest.warns(
        UserWarning,
        match=r"the gradient for inputs\[0\] \(float64\[2\]\) is a choice at a kink in 1 of 2 "
        r"elements, as at \[0\], where it is 0: 0; it is right a little way off",
    ):
        assert bl.gradcheck(F.relu, at(0.0, 1.0))


class Steep(bl.Elementwise):
    """A ReLU whose slope at 0 is one that there is on no side."""

    saves = ("x",)

    def forward(self, xp, x):
        return xp.maximum(x, 0.0)

    def backward(self, xp, grad_y, x):
        return xp.where(x == 0, 3 * grad_y, xp.where(x > 0, grad_y, 0 * grad_y))


class OneSided(Steep):
    """A ReLU that has the wrong slope below 0."""

    def backward(self, xp, grad_y, x):
        return xp.where(x > 0, grad_y, 0.5 * grad_y)


@every("op, x", [(Steep, [0.0, 1.0]), (OneSided, [0.0, -1.0])])
def test_what_is_wrong_at_a_kink_is_found(op, x):
    with pytest.raises(GradcheckError, match="in 1 of 2 elements, most at"):
        bl.gradcheck(lambda v: bl.apply(op(), v), at(*x))


def test_casts_inside_are_computed_in_float64():
    x = at(0.3, -1.2)
    assert bl.gradcheck(lambda v: bl.exp(v.astype("float16")) * v.astype("bfloat16"), x)
    with pytest.raises(GradcheckError, match="in 2 of 2 elements"):
        bl.gradcheck(lambda v: bl.exp(v.astype("float16")).detach() * v, x)


def test_a_gate_that_computes_in_float32_is_not_blamed():
    gate = (lambda x: np.exp(x.astype(np.float32)), lambda dz, x: dz * np.exp(x))
    with pytest.warns(UserWarning, match="more cannot be decided numerically, because f rises in"):
        assert bl.gradcheck(lambda v: bl.apply(gate, v), at(0.3, -1.2))


def test_a_gate_that_computes_in_float32_and_is_wrong_is_told_that_it_does():
    gate = (lambda x: np.exp(x.astype(np.float32)), lambda dz, x: dz * x)
    with pytest.raises(DTypeError, match="f must compute in float64, but its values are those of"):
        bl.gradcheck(lambda v: bl.apply(gate, v), at(0.3, -1.2))


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda x: None, ArgumentError, "f must return Tensors, got None; give a value: does a fu"),
        (lambda x: (x, 1.5), ArgumentError, r"f must return Tensors, got a number, 1\.5"),
        (lambda x: x.numpy(), ArgumentError, "f must return Tensors, got an array of float64"),
        (lambda x: bl.argmax(x, axis=0), ArgumentError, "at least one floating Tensor, got none"),
    ],
    ids=["None", "number", "array", "integers"],
)
def test_what_f_may_return(f, error, text):
    with pytest.raises(error, match=f"gradcheck: .*{text}"):
        bl.gradcheck(f, at(1.0, 2.0))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_lower_precision_is_refused_with_the_cure(dtype):
    x = bl.tensor([1.0], dtype=dtype, requires_grad=True)
    with pytest.raises(
        DTypeError, match=rf"inputs\[0\] must be float64, got {dtype}\[1\].*; use x\.astype\('floa"
    ):
        bl.gradcheck(lambda x: x * x, x)


def test_what_f_must_be():
    for f in (None, 3, "sin", np.ones(2)):
        with pytest.raises(ArgumentError, match="gradcheck: f must be a function, got "):
            bl.gradcheck(f, at(1.0))


EDGES = {
    "sqrt": (bl.sqrt, [0.0, 4.0]),
    "acos": (bl.acos, [1.0, 0.5]),
    "asin": (bl.asin, [-1.0, 0.5]),
    "acosh": (bl.acosh, [1.0, 1.5]),
    "a power below 1": (lambda x: x ** (1 / 3), [0.0, 2.0]),
    "a cusp": (lambda x: bl.abs(x) ** 0.3333, [0.0, 2.0]),
    "sums of it": (lambda x: bl.sum(bl.sqrt(x) * 3), [0.0, 2.0]),
}


def floats(*values):
    return bl.Tensor(list(values), dtype="float64", requires_grad=True)


@pytest.mark.parametrize("name", EDGES)
def test_an_infinite_slope_at_an_edge_is_told_and_no_error(name):
    f, at = EDGES[name]
    with pytest.warns(
        UserWarning, match=r"one side, at an edge of the domain or a cusp, in 1 of 2 el.* \[0\]"
    ):
        assert bl.gradcheck(f, floats(*at))


class WrongRoot(bl.Op):
    """The root, with a slope at 0 that is finite, or of the wrong sign."""

    attributes = ("at_0",)

    def forward(self, xp, x):
        return xp.sqrt(x)

    saves = ("y",)

    def backward(self, xp, grad_y, y):
        return xp.where(y == 0, self.at_0, grad_y / (2 * xp.where(y == 0, 1.0, y)))


@pytest.mark.parametrize("at_0", [-np.inf, 0.0, 3.0, np.nan])
def test_a_wrong_slope_at_an_edge_is_found(at_0):
    with pytest.raises(GradcheckError, match=r"1 of 2 elements, most at \[0\]"):
        bl.gradcheck(lambda x: bl.apply(WrongRoot(at_0=at_0), x), floats(0.0, 4.0))


def test_what_is_infinite_in_the_output_is_left_out():
    def f(x):
        return bl.concat([x * x, bl.Tensor([np.inf], dtype="float64")])

    with pytest.warns(UserWarning, match="1 of 3 elements of the output are nan or infinite"):
        assert bl.gradcheck(f, floats(1.0, 2.0))
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(GradcheckError, match="2 of 2 elements"),
    ):
        bl.gradcheck(lambda x: f(x) * 1 + f(x.detach()), floats(1.0, 2.0))
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.warns(
            UserWarning, match="not finite, where the output is not, and was not compared"
        ),
    ):
        assert bl.gradcheck(lambda x: bl.log(x * x), floats(0.0, 2.0))


def test_nothing_finite_is_no_success():
    with pytest.raises(GradcheckError, match="nothing to compare for the gradient: all 1 elements"):
        bl.gradcheck(lambda x: bl.log(x).sum(), floats(0.0, 2.0))


def test_layers_of_narrower_floats_are_widened():
    x = bl.Tensor(np.random.default_rng(0).normal(size=(2, 4, 5)), requires_grad=True)
    layers = (
        bl.nn.BatchNorm1d(4),
        bl.nn.BatchNorm1d(4).eval(),
        bl.nn.GroupNorm(2, 4),
        bl.nn.InstanceNorm1d(4, affine=True),
        bl.nn.Conv1d(4, 2, 3),
        bl.nn.PReLU(4),
    )
    assert all(bl.gradcheck(layer, x) for layer in layers)
    with pytest.raises(DTypeError, match="x and weight must have one dtype"):
        layers[0](x)


class EarlyStop:
    """z = tanh(x + z/2), iterated until it changes little; `backward` takes it for the solution."""

    def forward(self, x):
        self.z, last = np.tanh(x), np.inf
        while np.abs(self.z - last).max() > 1e-4:
            last, self.z = self.z, np.tanh(x + self.z / 2)
        return self.z

    def backward(self, dz):
        slope = 1 - self.z**2
        return dz * slope / (1 - slope / 2)


class HalfSolved(EarlyStop):
    def backward(self, dz):
        return dz * (1 - self.z**2)


class Narrow:
    """1.1 tanh x, with float32 inside."""

    def forward(self, x):
        self.y = np.tanh(x.astype(np.float32)).astype(np.float64)
        return 1.1 * self.y

    def backward(self, dy):
        return 1.1 * dy * (1 - self.y**2)


class NarrowAndWrong(Narrow):
    def backward(self, dy):
        return 1.1 * dy * (1 - self.y)


ROUGH = {
    "values that cancel": (lambda x: (x + 1e9) - 1e9, "rises in stairs"),
    "float32 inside": (lambda x: bl.apply(Narrow(), x), "rises in stairs"),
    "an iteration that stops early": (lambda x: bl.apply(EarlyStop(), x), "jumps by"),
}


@pytest.mark.parametrize("name", ROUGH)
def test_what_is_right_as_far_as_differences_tell_is_not_blamed(name):
    f, why = ROUGH[name]
    with pytest.warns(UserWarning, match=f"more cannot be decided numerically, because f {why}"):
        assert bl.gradcheck(f, at(0.12573, -0.1321, 0.64042, 0.1049))


@pytest.mark.parametrize("gate", [HalfSolved, NarrowAndWrong])
def test_what_is_wrong_beyond_that_is_found(gate):
    with pytest.raises(GradcheckError, match="differs from central differences"):
        bl.gradcheck(lambda x: bl.apply(gate(), x), at(0.12573, -0.1321, 0.64042, 0.1049))
