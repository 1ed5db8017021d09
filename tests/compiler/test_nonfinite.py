"""Infinities and NaN: compiled functions have them where eager ones have, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.backend import numpy_backend
from backlit.compiler import interpreter, native
from backlit.nn import functional as F
from sampling import one_in

Arrays = list[np.ndarray]


def ways(function: Callable[..., Any], dtype: str) -> list[Callable[[Arrays], Arrays]]:
    """The value, and the gradients of a weighted sum of it to all arguments: in each of three ways.

    Eager, by the interpreter, and natively.
    """

    def step(*given: bl.Tensor) -> list[bl.Tensor]:
        leaves = [x.detach().requires_grad_() for x in given]
        y = function(*leaves)
        weights = bl.cos(bl.arange(y.size, dtype=bl.float64)).reshape(y.shape)
        return [y, *bl.grad((y * weights.astype(y.dtype)).sum(), leaves)]

    def way(call: Callable[..., Any]) -> Callable[[Arrays], Arrays]:
        def run(arrays: Arrays) -> Arrays:
            with np.errstate(all="ignore"):
                return [t.numpy() for t in call(*(bl.asarray(a, dtype=dtype) for a in arrays))]

        return run

    return [way(f) for f in (step, *(bl.compile(step, executor=e) for e in (interpreter, native)))]


def same(got: Arrays, want: Arrays, dtype: str, what: str) -> None:
    tolerance = {"float32": 1e-4, "float64": 1e-10, "bfloat16": 0.05}[dtype]
    for n, (a, b) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_allclose(
            a.astype(np.float64),
            b.astype(np.float64),
            rtol=tolerance,
            atol=tolerance * np.abs(b[np.isfinite(b)].astype(np.float64)).max(initial=1),
            err_msg=f"{what}, output {n}",
        )


def agree(function: Callable[..., Any], shapes: list[tuple[int, ...]], dtype: str) -> None:
    """In all three ways the same, with something that is not finite in one argument at a time."""
    eager, interpreted, compiled = ways(function, dtype)
    for place in range(len(shapes) * 4):
        rng = np.random.default_rng(place)
        arrays = [rng.standard_normal(shape) for shape in shapes]
        target = arrays[place // 4].reshape(-1)
        spots = rng.integers(target.size, size=1 + place % 3)
        target[spots] = [np.inf, -np.inf, np.nan, np.inf][place % 4]
        if place % 4 == 3:
            target[rng.integers(target.size)] = -np.inf
        want = eager(arrays)
        what = f"argument {place // 4}, {dict(zip(spots.tolist(), target[spots], strict=True))}"
        same(interpreted(arrays), want, dtype, f"interpreter, {what}")
        same(compiled(arrays), want, dtype, f"native, {what}")


@pytest.fixture(autouse=True)
def numpy_is_eager():
    """Eager results are NumPy's: what is right."""
    before = bl.get_native_ops()
    bl.set_native_ops(False)
    yield
    bl.set_native_ops(before)


#: shape of x, shape of the weight, and stride, padding, dilation, groups
CONVOLUTIONS = {
    "padded": ((2, 3, 6, 7), (4, 3, 3, 3), (1, 1, 1, 1)),
    "wide": ((1, 2, 5, 20), (18, 2, 3, 5), (1, (1, 2), 1, 1)),
    "strided": ((2, 2, 9, 8), (3, 2, 3, 2), ((2, 3), 1, 1, 1)),
    "dilated": ((1, 4, 9, 7), (6, 2, 3, 2), (1, 2, (2, 3), 2)),
    "narrow taps": ((2, 2, 7, 7), (2, 2, 1, 1), (2, 1, 1, 1)),
    "volumes": ((2, 2, 3, 4, 5), (2, 1, 2, 3, 3), ((1, 2, 1), (1, 1, 2), (2, 1, 1), 2)),
    "signals": ((2, 3, 9), (4, 3, 3), (2, 2, 1, 1)),
    "not padded": ((2, 3, 6, 5), (4, 3, 3, 2), (1, 0, 1, 1)),
}


@pytest.mark.parametrize("dtype", one_in(3, ["float32", "float64", "bfloat16"]))
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_and_their_gradients(name: str, dtype: str) -> None:
    x, weight, (stride, padding, dilation, groups) = CONVOLUTIONS[name]
    conv = (F.conv1d, F.conv2d, F.conv3d)[len(x) - 3]
    agree(lambda x, w: conv(x, w, None, stride, padding, dilation, groups), [x, weight], dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", one_in(3, ["bfloat16", "float64", "float32"]))
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_transposed_convolutions_and_their_gradients(name: str, dtype: str) -> None:
    x, (_, _, *kernel), (stride, padding, dilation, groups) = CONVOLUTIONS[name]
    weight = (x[1], 2, *kernel)
    padding = 0 if kernel == [1, 1] else padding
    transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(x) - 3]
    agree(
        lambda x, w: transposed(x, w, None, stride, padding, 0, groups, dilation),
        [x, weight],
        dtype,
    )


def test_numpy_has_no_terms_outside_the_image() -> None:
    """Convolution and weight gradient by their definition, term by term."""
    rng = np.random.default_rng(0)
    x, weight, up = (rng.standard_normal(s) for s in ((2, 2, 4, 5), (3, 2, 3, 2), (2, 3, 3, 6)))
    weight[0, 1, 0, 0], weight[2, 0, 2, 1], up[1, 0, 0, 0], up[0, 2, 2, 5] = np.inf, *[np.nan] * 3
    y, gradient = np.zeros(up.shape), np.zeros(weight.shape)
    for n, o, p, q, c, i, j in np.ndindex(*up.shape, *weight.shape[1:]):
        h, w = 2 * p + i - 1, q + j - 1
        if 0 <= h < 4 and 0 <= w < 5:
            y[n, o, p, q] += weight[o, c, i, j] * x[n, c, h, w]
            gradient[o, c, i, j] += up[n, o, p, q] * x[n, c, h, w]
    padding = ((1, 2), (1, 1))
    geometry = ((2, 1), padding, (1, 1), 1)
    assert np.isnan(y).any()
    assert np.isfinite(y).any()
    assert np.isfinite(gradient).any()
    np.testing.assert_allclose(numpy_backend.convolution(x, weight, *geometry), y)
    got = numpy_backend.convolution_weight(up, x, *geometry, (3, 2))
    np.testing.assert_allclose(got, gradient)


@pytest.mark.slow
def test_upstream_gradients_of_a_convolution() -> None:
    agree(
        lambda x, w, up: F.conv2d(x, w, padding=1) * up,
        [(2, 3, 5, 6), (4, 3, 3, 3), (2, 4, 5, 6)],
        "float32",
    )


def test_a_whole_step_whose_weights_have_become_infinite() -> None:
    """Every weight: sums anew end at the first term."""
    eager, _, compiled = ways(lambda x, w: F.conv2d(x, w, padding=1), "float32")
    for bad in (np.inf, np.nan):
        arrays = [np.ones((2, 3, 8, 8)), np.full((5, 3, 3, 3), bad)]
        same(compiled(arrays), eager(arrays), "float32", str(bad))


#: Functions of one argument, or of several.
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), [(2, 3, 6, 6)]),
    "max_pool2d overlapping": (lambda x: F.max_pool2d(x, 3, 2, 1), [(1, 2, 7, 9)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(2, 2, 7, 8)]),
    "matmul": (lambda a, b: a @ b, [(5, 7), (7, 6)]),
    "matmul, large": (lambda a, b: a @ b, [(40, 50), (50, 37)]),
    "matmul, transposed": (lambda a, b: a.mT @ b.mT, [(3, 50, 20), (45, 50)]),
    "linear": (lambda x, w, b: F.linear(x, w, b), [(33, 40), (50, 40), (50,)]),
    "softmax": (lambda x: F.softmax(x, -1), [(6, 9)]),
    "softmax of columns": (lambda x: F.softmax(x, 0), [(9, 17)]),
    "log_softmax": (lambda x: F.log_softmax(x, 1), [(6, 9)]),
    "logsumexp": (lambda x: bl.logsumexp(x, axis=0), [(6, 19)]),
    "max": (lambda x: bl.max(x, axis=1), [(6, 33)]),
    "min of all": (lambda x: bl.min(x), [(4, 33)]),
    "maximum": (lambda x, y: bl.maximum(x, y), [(5, 20), (20,)]),
    "clip": (lambda x: bl.clip(x, -0.5, 0.5), [(40,)]),
    "relu": (F.relu, [(40,)]),
    "gelu": (F.gelu, [(40,)]),
    "sum": (lambda x: bl.sum(x, axis=0), [(6, 40)]),
    "mean and var": (lambda x: bl.mean(x, axis=1) + bl.var(x, axis=1), [(6, 40)]),
    "prod": (lambda x: bl.prod(x, axis=1), [(5, 7)]),
    "cumulative_sum": (lambda x: bl.cumulative_sum(x, axis=1), [(5, 20)]),
    "vector_norm": (lambda x: bl.vector_norm(x, axis=1), [(5, 20)]),
    "layer_norm": (lambda x: F.layer_norm(x, (20,)), [(5, 20)]),
    "group_norm": (lambda x: F.group_norm(x, 2), [(2, 4, 5)]),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        [(2, 3, 4, 4), (3,), (3,)],
    ),
    "where": (lambda x, y: bl.where(x > y, x * 2.0, y), [(6, 20), (20,)]),
    "flip": (lambda x: bl.flip(x, axis=0) * 0.5 + x, [(20, 4)]),
    "tanh": (lambda x: bl.tanh(x) + bl.sigmoid(x), [(40,)]),
    "exp": (lambda x: bl.exp(x) - bl.expm1(x) * 0.5, [(40,)]),
    "log": (lambda x: bl.log(bl.abs(x)) + bl.log1p(bl.square(x)), [(40,)]),
    "pow": (lambda x: x**3 + bl.abs(x) ** 0.5, [(40,)]),
    "divide": (lambda x, y: x / y, [(6, 20), (20,)]),
    "logaddexp": (lambda x, y: bl.logaddexp(x, y), [(6, 20), (6, 20)]),
    "hypot": (lambda x, y: bl.hypot(x, y), [(20,), (20,)]),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        [(2, 5, 4), (2, 6, 4), (2, 6, 3)],
    ),
}


@pytest.mark.parametrize("dtype", one_in(2, ["float32", "float64"]))
@pytest.mark.parametrize("name", one_in(2, FUNCTIONS))
def test_functions_and_their_gradients(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    agree(function, shapes, dtype)


@pytest.mark.parametrize("name", ["argmax", "argmin", "sort", "argsort", "any", "isfinite"])
def test_what_has_no_gradient(name: str) -> None:
    functions: dict[str, Callable[[bl.Tensor], bl.Tensor]] = {
        "argmax": lambda x: bl.argmax(x, axis=1),
        "argmin": lambda x: bl.argmin(x, axis=0),
        "sort": lambda x: bl.sort(x, axis=1, descending=True),
        "argsort": lambda x: bl.argsort(x, axis=1),
        "any": lambda x: bl.any(bl.isnan(x), axis=0),
        "isfinite": lambda x: bl.isfinite(x) | (x > 0.0),
    }
    function = functions[name]
    x = np.random.default_rng(0).standard_normal((9, 35))
    x[x > 1.5], x[x < -1.5], x[:, ::6] = np.inf, -np.inf, np.nan
    given = bl.asarray(x)
    want = function(given).numpy()
    for executor in (interpreter, native):
        np.testing.assert_array_equal(bl.compile(function, executor=executor)(given).numpy(), want)
