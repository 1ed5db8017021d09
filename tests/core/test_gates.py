"""Gates as lectures write them: objects with forward and backward, and pairs of functions."""

import numpy as np
import pytest

import backlit
from backlit import see
from backlit.errors import ArgumentError, ShapeError, TraceError
from backlit.gates import as_op


class Multiply:
    calls = 0

    def forward(self, x, y):
        Multiply.calls += 1
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return [self.y * dz, self.x * dz]


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = np.array(x)
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(0)


def square(x):
    return x * x


def square_backward(dz, x):
    return 2 * x * dz


def total(*xs):
    return float(sum(x.sum() for x in xs))


def total_backward(dz, *xs):
    return [dz * np.ones_like(x) for x in xs]


def leaf(values, dtype="float64"):
    return backlit.tensor(values, dtype=dtype, requires_grad=True)


def test_labels_need_no_gradient():
    def loss(x, labels):
        p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        return -np.log(p[np.arange(len(x)), labels]).mean(), (p, labels)

    def loss_backward(dz, cache):
        p, labels = cache
        return dz * (p - np.eye(p.shape[1])[labels]) / len(p)

    x = backlit.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    labels = np.array([0, 2])
    backlit.apply((loss, loss_backward), x, backlit.tensor(labels)).backward()
    np.testing.assert_allclose(x.grad.array.sum(axis=1), 0, atol=1e-15)
    assert see.check((loss, loss_backward), x, labels).ok
    assert not see.check((loss, lambda dz, cache: 2 * loss_backward(dz, cache)), x, labels).ok


def test_each_use_of_one_gate_has_its_own_inputs():
    gate, x, y = Multiply(), leaf([1.0, 2.0]), leaf([3.0, 4.0])
    first, second = backlit.apply(gate, x, y), backlit.apply(gate, y, y)
    (first + second).sum().backward()
    assert x.grad.tolist() == [3, 4]
    assert y.grad.tolist() == [7, 10]


def test_forward_is_called_again_only_where_another_call_came_between():
    gate, x, y = Multiply(), leaf([1.0]), leaf([3.0])
    Multiply.calls = 0
    backlit.apply(gate, x, y).backward()
    assert Multiply.calls == 1
    first = backlit.apply(gate, x, y)
    backlit.apply(gate, y, y)
    first.backward()
    assert Multiply.calls == 4


def test_pairs_of_functions():
    x, w, b = leaf([[1.0, 2.0]]), leaf([[3.0], [4.0]]), leaf([5.0])
    y = backlit.apply((affine, affine_backward), x, w, b)
    assert y.op == "affine"
    backlit.apply((square, square_backward), y).sum().backward()
    assert y.tolist() == [[16]]
    assert (x.grad.tolist(), w.grad.tolist(), b.grad.tolist()) == ([[96, 128]], [[32], [64]], [32])
    z = backlit.apply([total, total_backward], x, b)
    assert z.dtype == np.float64
    assert backlit.grad(z, [x, b])[0].tolist() == [[1, 1]]
    assert backlit.apply([total, total_backward], leaf([1.0], "float32")).dtype == np.float32


def test_an_array_of_somebody_else_is_never_written_to():
    x = leaf([1.0, -2.0])
    y = backlit.apply(Relu(), x)
    upstream = backlit.tensor([5.0, 6.0], dtype="float64")
    y.backward(upstream)
    assert x.grad.tolist() == [5, 0]
    assert upstream.tolist() == [5, 6]

    class Writes(Relu):
        def forward(self, x):
            x[0] = 3
            return x

    with pytest.raises(ArgumentError, match=r"Writes: assignment destination is read-only"):
        backlit.apply(Writes(), x)


def test_they_are_drawn_and_checked():
    x = leaf([1.0, -2.0])
    y = backlit.apply(Relu, backlit.apply(Multiply(), x, x))
    text = see.draw(y.sum()).text()
    assert "= Relu(Multiply_1)" in text
    assert see.record(y.sum()).find("Multiply_1").value.array.tolist() == [1, 4]
    at = np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), np.array([0.5])
    assert see.check(Multiply, at[0], at[0]).ok
    assert see.check(Relu(), np.array([1.0, -2.0])).ok
    assert see.check((affine, affine_backward), *at).ok

    def forgets(dz, x):
        return 2 * x

    result = see.check((square, forgets), np.array([1.0, 2.0]))
    assert result.causes[0].kind == "upstream forgotten"
    assert "test_gates.py" in result.line
    assert "forgets" not in result.line


def unsummed(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout


def kept(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(0, keepdims=True)


def scale(x, a):
    return x * a


def scale_unsummed(dz, x, a):
    return dz * a, dz * x


def summed(x):
    return x.sum()


@pytest.mark.parametrize(
    ("pair", "shapes", "kind", "title", "fix"),
    [
        ((affine, unsummed), ((4, 6), (6, 5), (5,)), "sum missing",
         "the gradient of b is not summed over axis 0: shape (4, 5) for b of shape (5,)",
         "dout @ w.T, x.T @ dout, dout  →  dout @ w.T, x.T @ dout, dout.sum(axis=0)"),
        ((affine, kept), ((4, 6), (6, 5), (5,)), "shape",
         "the gradient of b has shape (1, 5), must have (5,): an axis is kept",
         "dout.sum(0, keepdims=True)  →  dout.sum(0, keepdims=False)"),
        ((scale, scale_unsummed), ((3, 2), ()), "sum missing",
         "the gradient of a is not summed over axis 0, 1: shape (3, 2) for a of shape ()",
         "dz * x  →  (dz * x).sum()"),
        ((summed, lambda dz, x: dz), ((3,),), "shape",
         "the gradient of x has shape (), must have (3,)", ""),
    ],
)  # fmt: skip
def test_a_gradient_has_the_shape_of_its_input(pair, shapes, kind, title, fix):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in shapes]
    result = see.check(pair, *inputs)
    assert result.verdict == "wrong"
    (cause,) = result.causes
    assert (cause.kind, cause.title[: len(title)]) == (kind, title)
    assert cause.fix.endswith(fix)
    tensors = [leaf(x) for x in inputs]
    with pytest.raises(ShapeError, match=r"backward: the gradient of \w must have its shape \("):
        backlit.apply(pair, *tensors).sum().backward()


def test_an_unsummed_gradient_and_a_wrong_one_are_both_named():
    def both(dout, cache):
        x, w = cache
        return dout @ w.T, 2 * (x.T @ dout), dout

    rng = np.random.default_rng(0)
    causes = see.check((affine, both), *[rng.standard_normal(s) for s in ((4, 6), (6, 5), (5,))])
    assert [c.input for c in causes.causes] == ["b", "w"]
    assert causes.causes[0].fix.endswith("dout  →  dout @ w.T, 2 * (x.T @ dout), dout.sum(axis=0)")
    assert causes.causes[1].fix.endswith("2 * (x.T @ dout)  →  x.T @ dout")


class Circle:
    def forward(self, x):
        self.x = x
        return [np.sin(x), np.cos(x)]

    def backward(self, d):
        return d[0] * np.cos(self.x) - d[1] * np.sin(self.x)


class CircleOfTwo(Circle):
    def backward(self, ds, dc):
        return ds * np.cos(self.x) - dc * np.sin(self.x)


class WrongCircle(Circle):
    def backward(self, ds, dc):
        return ds * np.cos(self.x) + dc * np.sin(self.x)


def test_each_of_two_outputs_has_its_gradient():
    assert see.check(Circle, [0.3, 1.0]).ok
    assert see.check(CircleOfTwo, [0.3, 1.0]).ok
    x = leaf([0.3, 1.0])
    backlit.apply(CircleOfTwo, x).sum().backward()
    assert np.allclose(x.grad.array, np.cos(x.array) - np.sin(x.array))
    cause = see.check(WrongCircle, [0.3, 1.0]).causes[0]
    assert "has the wrong sign" in cause.title


def test_whole_numbers_in_lists_have_slopes():
    pair = square, square_backward
    for given in ([1, 2], 3):
        result = see.check(pair, given)
        assert result.ok
        assert "the whole numbers are taken as float64" in result.notes[-1]
    result = see.check(pair, np.array([1, 2]))
    assert result.verdict == "undecided"
    assert "write [1.0, 2.0]" in result.notes[-1]


def test_the_length_of_a_shape_is_no_divisor():
    class Pool:
        def forward(self, x):
            self.shape = x.shape
            n, c, h, w = x.shape
            return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))

        def backward(self, dout):
            return dout.repeat(2, axis=2).repeat(2, axis=3)

    x = np.random.default_rng(0).standard_normal((2, 1, 6, 8))
    assert "len(" not in str(see.check(Pool, x))


def test_operators_alone_are_differentiated_again_and_compiled():
    x = leaf([1.0, -2.0])

    def slope(x):
        return backlit.grad(backlit.apply((square, square_backward), x).sum(), x, create_graph=True)

    assert backlit.grad(slope(x).sum(), x).tolist() == [2, 2]
    assert backlit.compile(slope)(x).tolist() == [2, -4]
    with pytest.raises(TraceError, match="a captured function cannot ask for a value"):
        backlit.compile(lambda x: backlit.apply(Relu(), x))(x)


def test_what_is_no_gate_is_refused():
    x = leaf([1.0])
    with pytest.raises(ArgumentError, match=r"apply: the op must be a backlit.Op, an object with"):
        backlit.apply(square, x)

    class Scale:
        def __init__(self, factor):
            self.factor = factor

        forward = backward = staticmethod(square)

    with pytest.raises(ArgumentError, match=r"check: Scale cannot be made without arguments.*Sca"):
        as_op(Scale, "check")

    def short(dz, x, w, b):
        return (dz,)

    with pytest.raises(ArgumentError, match=r"total.backward must return a gradient for each of 3"):
        backlit.apply((total, short), x, x, x).backward()


def test_a_numeric_gradient():
    x, w = np.array([1.0, -2.0]), backlit.tensor([3.0, 4.0])
    given, tensors = backlit.numeric_gradient(lambda x, w: (x * w.numpy() ** 2).sum(), [x, w])
    assert isinstance(given, np.ndarray)
    assert isinstance(tensors, backlit.Tensor)
    assert np.allclose(given, [9, 16], rtol=1e-9)
    assert np.allclose(tensors.numpy(), [6, -16], rtol=1e-9)
    one_sided = backlit.numeric_gradient(lambda x: x**2, 3.0, h=0.5, one_sided=True)
    assert one_sided == 6.5
    assert backlit.numeric_gradient(lambda x: x**2, 3.0, h=0.5) == 6
    with pytest.raises(ArgumentError, match=r"f must return one number, got shape \(2,\)"):
        backlit.numeric_gradient(lambda x: x, x)
    with pytest.raises(ArgumentError, match="the step h must be above 0, got 0"):
        backlit.numeric_gradient(lambda x: x, x, h=0)
