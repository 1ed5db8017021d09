"""Eager heavy ops in native code: the same values as NumPy's, whoever calls them and how often."""

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import backlit
from apart import printed
from backlit import models, nn, see
from backlit.array_api.primitives import take_add
from backlit.backend import eager as given
from backlit.backend import numpy_backend as NUMPY
from backlit.compiler import eager
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional
from backlit.state import observing
from backlit.tensor import Tensor, wrap


@pytest.fixture(autouse=True)
def everything_is_heavy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """However small, so that the tests are fast; and nothing is known from before."""
    for name in ("PRODUCT", "MATRIX", "WINDOW", "SCATTER"):
        monkeypatch.setattr(eager, name, 1)
    monkeypatch.setattr(eager, "_programs", {})
    yield
    backlit.set_native_ops(True)


def normal(*shape: int, dtype: str = "float64", scale: float = 1.0) -> Tensor:
    rng = np.random.default_rng(sum(shape))
    return wrap((rng.standard_normal(shape) * scale).astype(dtype)).requires_grad_()


def whole(*shape: int, below: int) -> Tensor:
    return wrap(np.random.default_rng(3).integers(-below, below, shape))


def scan(cls: type[nn.Module]):
    layer = cls(3, 4, batch_first=True).to(backlit.float64)
    return lambda x: layer(x)[0]


def linear(*shape: int):
    layer = nn.Linear(shape[-1], 8).to(backlit.float64)
    return layer, (normal(*shape),), 2


#: name -> (function of Tensors, Tensors, how many programs: forwards and gradients)
CASES = {
    "matmul": (lambda a, b: a @ b, (normal(9, 10), normal(10, 8)), 3),
    "batches": (lambda a, b: a @ b.mT, (normal(2, 9, 10), normal(2, 8, 10)), 3),
    "linear": linear(2, 9, 10),
    "turned": (lambda a, b: a.mT @ b.mT, (normal(10, 9), normal(8, 10)), 3),
    "convolution": (
        lambda x, w: functional.conv2d(x, w, stride=2, padding=1),
        (normal(2, 3, 9, 8), normal(4, 3, 3, 2)),
        3,
    ),
    "groups": (
        lambda x, w: functional.conv2d(x, w, dilation=2, groups=2),
        (normal(2, 4, 7, 7), normal(6, 2, 3, 3)),
        3,
    ),
    "transposed": (
        lambda x, w: functional.conv_transpose2d(x, w, stride=2),
        (normal(2, 3, 4, 4), normal(3, 2, 3, 3)),
        3,
    ),
    "max_pool": (lambda x: functional.max_pool2d(x, 3, 2, 1), (normal(2, 3, 9, 9),), 2),
    "avg_pool": (lambda x: functional.avg_pool2d(x, 2), (normal(2, 3, 8, 8),), 2),
    "take": (lambda x, i: backlit.take(x, i, axis=1), (normal(3, 5, 2), whole(7, below=5)), 1),
    "take_along_axis": (
        lambda x, i: backlit.take_along_axis(x, i, axis=1),
        (normal(3, 5), whole(3, 7, below=5)),
        1,
    ),
    "gather": (lambda x, i: x[i, 1:], (normal(6, 4), whole(9, below=6)), 1),
    "rnn": (scan(nn.RNN), (normal(2, 5, 3),), 2),
    "lstm": (scan(nn.LSTM), (normal(2, 5, 3),), 2),
    "gru": (scan(nn.GRU), (normal(2, 5, 3),), 2),
}


def results(name: str, dtype: str = "float64") -> list[np.ndarray]:
    """The value and all gradients of a case."""
    function, inputs, _ = CASES[name]
    given_inputs = [
        x.detach().astype(dtype).requires_grad_() if x.requires_grad else x for x in inputs
    ]
    y = function(*given_inputs)
    rng = np.random.default_rng(1)
    upstream = wrap(rng.standard_normal(y.shape).astype(y.dtype))
    gradients = backlit.grad(y, [x for x in given_inputs if x.requires_grad], [upstream])
    return [t.numpy() for t in (y, *gradients)]


def bits(arrays: list[np.ndarray]) -> list[bytes]:
    return [a.tobytes() for a in arrays]


@pytest.mark.parametrize("name", CASES)
def test_heavy_ops_agree_with_numpy(name: str) -> None:
    mine = results(name)
    assert len(eager._programs) == CASES[name][2]
    backlit.set_native_ops(False)
    reference = results(name)
    assert len(eager._programs) == CASES[name][2]
    for a, b in zip(mine, reference, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["convolution", "max_pool", "take"])
def test_heavy_ops_in_float32(name: str) -> None:
    mine = results(name, "float32")
    assert {a.dtype for a in mine} == {np.dtype("float32")}
    assert len(eager._programs) == CASES[name][2]
    for a, b in zip(mine, results(name), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["matmul", "batches", "turned", "convolution", "groups"])
def test_products_of_16_bit_floats(name: str, dtype: str) -> None:
    mine = results(name, dtype)
    assert {a.dtype.name for a in mine} == {dtype}
    assert len(eager._programs) == CASES[name][2]
    backlit.set_native_ops(False)
    for a, b in zip(mine, results(name, dtype), strict=True):
        a, b = (x.astype(np.float64) for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=0.01, atol=0.01 * np.abs(b).max())


POINTWISE = {
    "expm1": backlit.expm1, "log1p": lambda x: backlit.log1p(backlit.abs(x)), "erf": backlit.erf,
    "erfc": backlit.erfc, "sinh": backlit.sinh, "cosh": backlit.cosh, "atan": backlit.atan,
    "asin": lambda x: backlit.asin(x / 8), "acos": lambda x: backlit.acos(x / 8),
    "atanh": lambda x: backlit.atanh(x / 8), "tan": backlit.tan, "sign": backlit.sign,
    "log2": lambda x: backlit.log2(backlit.abs(x)), "cube": lambda x: x**3,
    "log10": lambda x: backlit.log10(backlit.abs(x)), "inverse": lambda x: x**-1,
    "atan2": lambda x: backlit.atan2(x, backlit.flip(x)),
    "hypot": lambda x: backlit.hypot(x, backlit.flip(x)),
    "logaddexp": lambda x: backlit.logaddexp(x, backlit.flip(x)),
    "remainder": lambda x: x % backlit.flip(x), "floor_divide": lambda x: x // backlit.flip(x),
    "sigmoid": backlit.sigmoid, "relu": functional.relu, "leaky_relu": functional.leaky_relu,
    "elu": functional.elu, "softplus": functional.softplus, "silu": functional.silu,
    "gelu": functional.gelu, "clip": lambda x: backlit.clip(x, -1, 0.5),
    "gelu of GPT-2": lambda x: functional.gelu(x, approximate="tanh"),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", POINTWISE)
def test_elements_in_blocks(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the last block is not full, and where the array is not contiguous."""
    monkeypatch.setattr(eager, "BLOCKS", (32, 8))
    monkeypatch.setattr(eager, "SIMPLE", 8)
    function = POINTWISE[name]
    whole = np.random.default_rng(0).normal(size=(9, 11)).astype(dtype) * 2

    def values(array: np.ndarray) -> list[np.ndarray]:
        x = wrap(array).requires_grad_()
        y = function(x)
        upstream = wrap(np.linspace(-1, 1, y.size).reshape(y.shape).astype(dtype))
        return [y.numpy(), backlit.grad(y, x, upstream).numpy()]

    for array in (whole, whole.T, whole[:, :1], whole[:2, :4]):
        mine = values(array)
        backlit.set_native_ops(False)
        numpys = values(array)
        backlit.set_native_ops(True)
        for a, b in zip(mine, numpys, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            unit = 4e-6 if dtype == "float32" else 1e-13
            np.testing.assert_allclose(a, b, rtol=unit, atol=unit * (name == "logaddexp"))


def test_quotients_have_the_same_bits_in_native_code() -> None:
    rng = np.random.default_rng(0)
    a = np.concatenate([rng.normal(size=40_000) * 100, rng.integers(-50, 50, 40_000) / 8])
    b = np.concatenate([rng.choice([-1, 1], 40_000) * rng.uniform(0.01, 3, 40_000),
                        rng.choice([-0.5, 0.125, 3, 7], 40_000)])  # fmt: skip
    a, b = wrap(a.astype(np.float32)), wrap(b.astype(np.float32))
    mine = [(a // b).numpy(), (a % b).numpy()]
    assert len(eager._programs) > 0
    backlit.set_native_ops(False)
    for x, y in zip(mine, ((a // b).numpy(), (a % b).numpy()), strict=True):
        assert x.tobytes() == y.tobytes()


LABELS = backlit.abs(whole(6, below=7))
WHOLE = {
    "layer_norm": (
        lambda x, w, b: functional.layer_norm(x, 7, w, b), (normal(6, 7), normal(7), normal(7))),
    "batch_norm": (
        lambda x, w, b: functional.batch_norm(x, weight=w, bias=b, training=True),
        (normal(6, 7), normal(7), normal(7))),
    "softmax": (lambda x: functional.softmax(x, 1), (normal(6, 7),)),
    "log_softmax": (lambda x: functional.log_softmax(x, 1), (normal(6, 7),)),
    "cross_entropy": (lambda x, w: functional.cross_entropy(x, LABELS, w * w),
                      (normal(6, 7), normal(7))),
    "nll_loss": (lambda x: functional.nll_loss(x, LABELS, reduction="none"), (normal(6, 7),)),
    "huber_loss": (functional.huber_loss, (normal(6, 7), normal(6, 7))),
    "prod": (lambda x: backlit.prod(x, axis=1), (normal(6, 7),)),
    "norm": (lambda x: backlit.vector_norm(x, axis=1), (normal(6, 7),)),
    "cumulative_sum": (lambda x: backlit.cumulative_sum(x, axis=0), (normal(6, 7),)),
    "cumulative_prod": (lambda x: backlit.cumulative_prod(x, axis=1), (normal(6, 7),)),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_ops_as_a_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "WHOLE", 1)
    function, inputs = WHOLE[name]

    def values() -> list[np.ndarray]:
        y = function(*inputs)
        upstream = backlit.ones_like(y) * 0.5
        return [t.numpy() for t in (y, *backlit.grad(y, list(inputs), upstream))]

    mine = values()
    assert len(eager._programs) >= 2
    again = values()
    backlit.set_native_ops(False)
    for a, b, c in zip(mine, again, values(), strict=True):
        assert a.tobytes() == b.tobytes()
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-13)


def test_small_and_integer_work_stays_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(dtype: Any) -> None:
        take_add(wrap(np.ones((1, 2, 5, 5), dtype)), wrap(np.zeros(2, np.int64)), axis=1, size=3)

    run("int64")
    assert not eager._programs
    monkeypatch.undo()
    run("float32")
    functional.conv2d(normal(2, 3, 8, 8), normal(4, 3, 3, 3))
    nn.LSTM(3, 4)(normal(5, 2, 3, dtype="float32"))
    assert not any("Lstm" in str(key) for key in eager._programs)


def test_long_recurrences_stay_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their code would take too long to make."""
    monkeypatch.setattr(eager, "STEPS", 4)
    results("lstm")
    assert not eager._programs


def test_other_products_stay_with_numpy() -> None:
    a, b = normal(9, 10), normal(10)
    a @ b
    b @ a.mT
    normal(2, 1, 9, 10) @ normal(4, 10, 8)
    with pytest.raises(ShapeError, match=r"a\.shape\[-1\] must equal b\.shape\[-2\]"):
        a @ a
    assert not eager._programs


@pytest.mark.parametrize("name", ["matmul", "convolution", "lstm"])
def test_bits_do_not_depend_on_threads(name: str) -> None:
    before = backlit.get_threads()
    try:
        seen = []
        for count in (1, 2, 3):
            backlit.set_threads(count)
            seen.append(bits(results(name)))
    finally:
        backlit.set_threads(before)
    assert seen[0] == seen[1] == seen[2]


def test_large_work_is_shared_and_its_bits_do_not_depend_on_threads() -> None:
    x, w = normal(4, 16, 24, 24, dtype="float32"), normal(32, 16, 3, 3, dtype="float32")
    before = backlit.get_threads()
    try:
        seen = set()
        for count in (1, 2, 3):
            backlit.set_threads(count)
            seen.add(functional.conv2d(x, w).numpy().tobytes())
    finally:
        backlit.set_threads(before)
    (program,) = eager._programs.values()
    assert program.driver.parallel
    assert len(seen) == 1


def test_inputs_need_not_be_contiguous() -> None:
    x, w = normal(2, 9, 8, 3), normal(4, 3, 3, 3)
    turned = backlit.permute_dims(x, (0, 3, 1, 2)).detach()
    straight = wrap(np.ascontiguousarray(turned.numpy()))
    a, b = functional.conv2d(turned, w), functional.conv2d(straight, w)
    assert not turned.array.flags.c_contiguous
    assert a.numpy().tobytes() == b.numpy().tobytes()


def test_an_index_out_of_range_is_the_same_error() -> None:
    x = normal(3, 4)
    with pytest.raises(ArgumentError, match="index 7 is out of bounds") as mine:
        take_add(x, wrap(np.array([0, 1, 7])), axis=0, size=3)
    backlit.set_native_ops(False)
    with pytest.raises(ArgumentError, match="index 7 is out of bounds") as reference:
        take_add(x, wrap(np.array([0, 1, 7])), axis=0, size=3)
    assert str(mine.value) == str(reference.value)


def test_derivatives_of_derivatives() -> None:
    x, w = normal(1, 2, 5, 5), normal(2, 2, 3, 3)

    def value() -> np.ndarray:
        y = functional.max_pool2d(functional.conv2d(x, w), 2)
        (g,) = backlit.grad((y * y).sum(), [w], create_graph=True)
        return backlit.grad((g * g).sum(), x).numpy()

    mine = value()
    backlit.set_native_ops(False)
    np.testing.assert_allclose(mine, value(), rtol=1e-11, atol=1e-11)


def test_bodies_may_name_the_attributes() -> None:
    x, w = normal(1, 2, 5, 5).array, normal(2, 2, 3, 3).array
    geometry = {
        "stride": (1, 1),
        "padding": ((0, 0), (0, 0)),
        "dilation": (1, 1),
    }
    y = given.EAGER.convolution(x, w, groups=1, **geometry)
    np.testing.assert_allclose(y, NUMPY.convolution(x, w, groups=1, **geometry))
    y = given.EAGER.max_pool(x, (2, 2), **geometry)
    assert (y == NUMPY.max_pool(x, kernel=(2, 2), **geometry)).all()
    assert len(eager._programs) == 2


def test_in_many_threads_at_once() -> None:
    """Also while the code is being made; nobody sees another's numbers."""
    start, found = threading.Barrier(6), {}

    def work(i: int) -> None:
        x, w = normal(2, 3, 20, 20, dtype="float32"), normal(8, 3, 3, 3, dtype="float32")
        start.wait()
        outputs = [functional.conv2d(x * float(i), w).numpy() for _ in range(20)]
        found[i] = {y.tobytes() for y in outputs}, outputs[0]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert len(eager._programs) == 1
    for i in range(6):
        several, y = found[i]
        assert len(several) == 1
        np.testing.assert_allclose(y, found[1][1] * i, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_results_and_inputs_are_not_kept() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    first = functional.conv2d(x, w)
    kept = first.numpy().copy()
    second = functional.conv2d(x * 2.0, w)
    assert not np.shares_memory(first.array, second.array)
    assert (first.numpy() == kept).all()
    array = weakref.ref(x.array)
    del x, first, second
    gc.collect()
    assert array() is None


def test_the_number_of_programs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "KINDS", 2)
    for n in (1, 2, 3):
        functional.max_pool2d(normal(n, 1, 4, 4), 2)
        assert len(eager._programs) == min(n, 2)
    for _ in range(eager._ARENAS + 2):
        eager._give_back(np.empty(64, np.uint8))
    assert len(eager._arenas) <= eager._ARENAS


@pytest.mark.slow
@pytest.mark.parametrize("network", [models.LeNet, models.CharRNN])
def test_a_record_shows_the_same_numbers(network: type[nn.Module]) -> None:
    """And not what is compiled on the way."""
    backlit.manual_seed(0)
    model = network()
    if network is models.LeNet:
        x = normal(2, 1, 28, 28, dtype="float32").detach()
    else:
        x = wrap(np.arange(12).reshape(2, 6))

    def loss() -> Tensor:
        y = model(x)
        return ((y[0] if isinstance(y, tuple) else y) ** 2).sum()

    value = loss()
    record = see.record(value)
    assert eager._programs
    value.backward()
    assert record.nodes[record.output].value.item() == value.item()
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(record.find(name).upstream.array, p.grad.numpy())
    backlit.set_native_ops(False)
    assert [n.op for n in see.record(loss())] == [n.op for n in record]


def test_whoever_watches_does_not_see_the_compiler() -> None:
    seen = []
    with observing(lambda op, inputs, y: seen.append(op.name)):
        nn.LSTM(3, 4)(normal(5, 2, 3, dtype="float32"))
        assert eager._programs
        first, seen = seen, []
        nn.LSTM(3, 4)(normal(5, 2, 3, dtype="float32"))
    assert "lstm_scan" in first
    assert first[-5:] == seen[-5:]


QUIET = ("-W", "ignore")

SCRIPT = """
import os, threading, backlit
from backlit.compiler import eager
x, w = backlit.ones((8, 8, 32, 32)), backlit.ones((16, 8, 3, 3))
y = backlit.nn.functional.conv2d(x, w)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_in_a_child_forked_while_another_thread_compiles() -> None:
    code = SCRIPT + (
        "assert len(eager._programs) == 1\n"
        "held, leave = threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with eager._lock: held.set(); leave.wait()\n"
        "t = threading.Thread(target=hold); t.start(); held.wait()\n"
        "pid = os.fork()\n"
        "leave.set()\n"
        "if pid: assert os.waitpid(pid, 0)[1] == 0\n"
        "else: backlit.nn.functional.conv2d(x[:4], w)\n"
        "print(int(backlit.nn.functional.conv2d(x, w).sum()), len(eager._programs), flush=True)\n"
        "if not pid: os._exit(0)\n"
    )
    total = 8 * 16 * 30 * 30 * 72
    assert printed(code, *QUIET).splitlines() == [f"{total} 2", f"{total} 1"]


@pytest.mark.slow
def test_the_environment_switches_them_off() -> None:
    code = SCRIPT + "print(backlit.get_native_ops(), len(eager._programs))"
    assert printed(code, *QUIET, BACKLIT_NATIVE_OPS="0") == "False 0\n"
    assert printed(code, *QUIET, BACKLIT_NATIVE_OPS="1") == "True 1\n"


def test_the_switch() -> None:
    assert backlit.get_native_ops()
    backlit.set_native_ops(False)
    assert not backlit.get_native_ops()
    functional.max_pool2d(normal(1, 1, 4, 4), 2)
    assert not eager._programs
    with pytest.raises(ArgumentError, match="enabled must be True or False, got 0"):
        backlit.set_native_ops(0)


def test_work_with_a_part_that_only_numpy_can_do_stays_with_numpy() -> None:
    """Large windows: their loops would not be unrolled."""
    x = normal(2, 3, 40, 40)
    y = functional.avg_pool2d(x, 33, 1)
    assert [type(p) for p in eager._programs.values()] == [eager.Numpys]
    backlit.set_native_ops(False)
    assert y.numpy().tobytes() == functional.avg_pool2d(x, 33, 1).numpy().tobytes()
