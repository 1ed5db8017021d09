"""16-bit floats: an op computes in float32 and rounds its result, and each gradient, once."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from scipy import special

import backlit as bl
from backlit.compiler import interpreter, native
from backlit.nn import functional as F

pytestmark = pytest.mark.long

FLOAT16, BFLOAT16 = np.dtype("float16"), np.dtype(ml_dtypes.bfloat16)
KINDS = pytest.mark.parametrize("kind", [FLOAT16, BFLOAT16], ids=str)
rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def numpy_only():
    """NumPy and native code take sums in another order; here bits are compared."""
    bl.set_native_ops(False)
    yield
    bl.set_native_ops(True)


def places(x: np.ndarray) -> np.ndarray:
    """The place of each number among all numbers of its type."""
    bits = x.view(np.int16).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFF), bits)


def ulps(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many numbers lie from x to y; many where only one of them is NaN."""
    x_nan, y_nan = (np.isnan(v.astype(np.float64)) for v in (x, y))
    apart = np.abs(places(x) - places(y))
    return np.where(x_nan | y_nan, np.where(x_nan & y_nan, 0, 1 << 16), apart)


# -- element-wise ops ----------------------------------------------------------------------------

UNARY = {
    "exp": (bl.exp, np.exp), "expm1": (bl.expm1, np.expm1), "log": (bl.log, np.log),
    "log1p": (bl.log1p, np.log1p), "log2": (bl.log2, np.log2), "log10": (bl.log10, np.log10),
    "sin": (bl.sin, np.sin), "cos": (bl.cos, np.cos), "tan": (bl.tan, np.tan),
    "asin": (bl.asin, np.asin), "acos": (bl.acos, np.acos), "atan": (bl.atan, np.atan),
    "sinh": (bl.sinh, np.sinh), "cosh": (bl.cosh, np.cosh), "tanh": (bl.tanh, np.tanh),
    "asinh": (bl.asinh, np.asinh), "acosh": (bl.acosh, np.acosh), "atanh": (bl.atanh, np.atanh),
    "sqrt": (bl.sqrt, np.sqrt), "reciprocal": (bl.reciprocal, np.reciprocal),
    "square": (bl.square, np.square), "abs": (bl.abs, np.abs),
    "negative": (bl.negative, np.negative), "sign": (bl.sign, np.sign),
    "floor": (bl.floor, np.floor), "ceil": (bl.ceil, np.ceil),
    "round": (bl.round, np.round), "trunc": (bl.trunc, np.trunc),
    "erf": (bl.erf, special.erf), "erfc": (bl.erfc, special.erfc),
    "sigmoid": (bl.sigmoid, special.expit), "relu": (F.relu, lambda x: np.maximum(x, 0)),
    "leaky_relu": (F.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "elu": (lambda x: F.elu(x, 1.7), lambda x: np.where(x > 0, x, 1.7 * np.expm1(x))),
    "softplus": (F.softplus, lambda x: np.logaddexp(0, x)),
    "silu": (F.silu, lambda x: x * special.expit(x)),
    "gelu": (F.gelu, lambda x: x * special.ndtr(x)),
    "gelu of GPT-2": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: x * special.expit(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
    ),
    "clip": (lambda x: bl.clip(x, -0.3, 0.7), lambda x: np.clip(x, -0.3, 0.7)),
    "times a number": (lambda x: 0.1 * x, lambda x: 0.1 * x),
    "a number by": (lambda x: 0.1 / x, lambda x: 0.1 / x),
    "power": (lambda x: x**0.3, lambda x: x**0.3),
    "cube": (lambda x: x**3, lambda x: x**3),
    "power of a number": (lambda x: 1.9**x, lambda x: 1.9**x),
}  # fmt: skip


@KINDS
@pytest.mark.parametrize("name", UNARY)
def test_every_number_is_within_one_unit_of_the_rounded_true_value(name: str, kind) -> None:
    function, reference = UNARY[name]
    x = np.arange(1 << 16, dtype=np.uint16).view(kind)
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64)).astype(kind)
        eager = function(bl.asarray(x))
    compiled = bl.compile(function, executor=native)(bl.asarray(x))
    assert eager.dtype == compiled.dtype == kind
    for got in (eager.numpy(), compiled.numpy()):
        wrong = ulps(got, want) > 1
        assert not wrong.any(), (x[wrong][:5], got[wrong][:5], want[wrong][:5])
    apart = ulps(eager.numpy(), compiled.numpy())  # float32 on both sides of the middle
    assert (apart > 0).mean() < 1e-3


BINARY = ("add subtract multiply divide pow hypot atan2 logaddexp remainder floor_divide maximum "
          "minimum copysign").split()  # fmt: skip


@KINDS
@pytest.mark.parametrize("name", BINARY)
def test_every_pair_is_within_one_unit_of_the_rounded_true_value(name: str, kind) -> None:
    n = 30_000
    anything = rng.integers(0, 1 << 16, (2, n)).astype(np.uint16).view(kind)
    usual = (rng.normal(size=(2, n)) * [[1], [3]]).astype(kind)
    pairs = itertools.product((anything[0], usual[0]), (anything[1], usual[1]))
    a, b = (np.concatenate(x) for x in zip(*pairs, strict=True))
    function = getattr(bl, name)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(a.astype(np.float64), b.astype(np.float64)).astype(kind)
        eager = function(bl.asarray(a), bl.asarray(b)).numpy()
    compiled = bl.compile(function, executor=native)(bl.asarray(a), bl.asarray(b)).numpy()
    for got in (eager, compiled):
        wrong = ulps(got, want) > 1
        assert not wrong.any(), (a[wrong][:5], b[wrong][:5], got[wrong][:5], want[wrong][:5])


@KINDS
def test_a_number_is_compared_as_the_nearest_element(kind) -> None:
    """As NumPy and PyTorch compare; in arithmetic it stays float32."""

    def function(x):
        return x == 0.1, x < 1e9, bl.where(x < 0, x, 0.1)

    x = bl.tensor([0.1, math.inf, -1.0], dtype=kind)
    wanted = ([True, False, False], [True, kind == BFLOAT16 and False, True], [0.1, 0.1, -1.0])
    for way in (function, *(bl.compile(function, executor=e) for e in (interpreter, native))):
        equal, less, chosen = way(x)
        assert (equal.tolist(), less.tolist()) == wanted[:2]
        assert chosen.dtype == kind
        assert chosen.numpy().tobytes() == np.array(wanted[2], kind).tobytes()


# -- whole ops -----------------------------------------------------------------------------------


def made(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


ROWS, IMAGE = made(40, 33), made(3, 4, 9, 9)
LABELS = rng.integers(0, 33, 40)
#: name: (function, inputs, whether the gradients read inputs only, not the rounded result)
OPS = {
    "linear": (F.linear, (ROWS, made(20, 33), made(20)), True),
    "convolution": (
        lambda x, w, b: F.conv2d(x, w, b, padding=1), (IMAGE, made(5, 4, 3, 3), made(5)), True),
    "transposed convolution": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), (IMAGE, made(4, 5, 3, 3), made(5)),
        True),
    "gelu": (F.gelu, (3 * ROWS,), True),
    "leaky_relu": (F.leaky_relu, (ROWS,), True),
    "silu": (F.silu, (3 * ROWS,), True),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, 33, w, b), (ROWS, made(33), made(33)), True),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), (IMAGE, made(4), made(4)), True),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, weight=w, bias=b, training=True),
        (IMAGE, made(4), made(4)), True),
    "softmax": (lambda x: F.softmax(x, 1), (3 * ROWS,), False),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (3 * ROWS,), False),
    "logsumexp": (lambda x: bl.logsumexp(x, axis=1), (3 * ROWS,), False),
    "mean": (lambda x: bl.mean(x, axis=0), (ROWS,), True),
    "var": (lambda x: bl.var(x, axis=0), (ROWS,), True),
    "std": (lambda x: bl.std(x, axis=0, correction=1), (ROWS,), True),
    "norm": (lambda x: bl.vector_norm(x, axis=1, ord=3), (ROWS,), True),
    "average": (lambda x: F.avg_pool2d(x, 3, 2, padding=1), (IMAGE,), True),
    "adaptive average": (lambda x: F.adaptive_avg_pool2d(x, (4, 5)), (IMAGE,), True),
    "cross_entropy": (lambda x: F.cross_entropy(x, bl.asarray(LABELS)), (3 * ROWS,), True),
    "sum of products": (lambda a, b: bl.einsum("ij,jk->ik", a, b), (ROWS, made(33, 21)), True),
}  # fmt: skip


def step(function):
    def run(*tensors):
        y = function(*tensors)
        upstream = bl.cos(bl.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        return y, *bl.grad(y, list(tensors), upstream)

    return run


@KINDS
@pytest.mark.parametrize("name", OPS)
def test_an_op_is_the_op_of_float32_rounded_once(name: str, kind) -> None:
    function, inputs, exact = OPS[name]
    narrow = [x.astype(kind) for x in inputs]
    tensors = [bl.asarray(x).requires_grad_() for x in narrow]
    wide = [bl.asarray(x.astype(np.float32)).requires_grad_() for x in narrow]
    y, want = function(*tensors), function(*wide)
    assert y.dtype == kind
    assert y.numpy().tobytes() == want.numpy().astype(kind).tobytes()
    upstream = rng.normal(size=y.shape).astype(kind)
    got = bl.grad(y, tensors, bl.asarray(upstream))
    true = bl.grad(want, wide, bl.asarray(upstream.astype(np.float32)))
    for g, t in zip(got, true, strict=True):
        rounded = t.numpy().astype(kind)
        if exact:
            assert g.numpy().tobytes() == rounded.tobytes()
        else:
            near = g.numpy().astype(np.float64), rounded.astype(np.float64)
            np.testing.assert_allclose(*near, rtol=0.02, atol=0.02 * np.abs(near[1]).max())


@KINDS
@pytest.mark.parametrize("name", OPS)
def test_interpreted_and_compiled_ops_round_as_eager_ones(name: str, kind) -> None:
    function, inputs, _ = OPS[name]
    tensors = [bl.asarray(x.astype(kind)).requires_grad_() for x in inputs]
    run = step(function)
    eager = run(*tensors)
    for e, i in zip(eager, bl.compile(run, executor=interpreter)(*tensors), strict=True):
        assert e.numpy().tobytes() == i.numpy().tobytes()
    for e, n in zip(eager, bl.compile(run, executor=native)(*tensors), strict=True):
        a, b = (x.numpy().astype(np.float64) for x in (e, n))
        unit = float(ml_dtypes.finfo(kind).eps)
        # Sums in another order may fall on the other side of the middle of two numbers.
        np.testing.assert_allclose(a, b, rtol=2 * unit, atol=4 * unit * np.abs(a).max())
        assert (a == b).mean() > 0.97 or a.size < 100


def test_means_of_float16_do_not_overflow_where_sums_would() -> None:
    x = bl.full((64, 64), 60.0, dtype="float16")
    for mean in (bl.mean(x), bl.std(x) + 60, F.avg_pool2d(x.reshape(1, 1, 64, 64), 64).sum()):
        assert mean.item() == 60.0
    assert F.mse_loss(x, bl.zeros((64, 64), dtype="float16")).item() == 3600.0


def test_running_statistics_are_rounded_once() -> None:
    x = bl.asarray(made(8, 3) + 2).astype("bfloat16")
    mean, var = (bl.full((3,), v, dtype="bfloat16") for v in (0.3, 1.7))
    wide = [t.astype("float32") for t in (x, mean, var)]
    F.batch_norm(x, mean, var, training=True)
    F.batch_norm(*wide, training=True)
    assert mean.tolist() == wide[1].astype("bfloat16").tolist()
    assert var.tolist() == wide[2].astype("bfloat16").tolist()


def test_second_derivatives_of_16_bit_floats() -> None:
    x = bl.tensor([0.5, -1.25], dtype="bfloat16", requires_grad=True)
    (first,) = bl.grad(F.gelu(x).sum(), [x], create_graph=True)
    (second,) = bl.grad(first.sum(), [x])
    wide = x.numpy().astype(np.float64)
    exact = (2 - wide**2) * np.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
    assert second.dtype == bl.bfloat16
    np.testing.assert_allclose(second.numpy().astype(np.float64), exact, rtol=0.02)
