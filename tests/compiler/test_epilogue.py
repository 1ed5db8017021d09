"""Contractions that do what a map would do with their sums."""

import numpy as np
import pytest

import backlit
from backlit.compiler import interpreter, native
from backlit.errors import IndexRangeError
from backlit.nn import functional as F


def tensor(*shape, seed=0, dtype="float32"):
    random = np.random.default_rng(seed)
    return backlit.asarray(random.standard_normal(shape).astype(dtype))


def plan_of(compiled):
    (runners,) = compiled._runners.values()
    return runners[0]


def check(function, *args, fused=1, tolerance=2e-5):
    """Compiled as interpreted; so many contractions have an epilogue. Return their kernels."""
    compiled = backlit.compile(function, executor=native)
    results, expected = compiled(*args), backlit.compile(function, executor=interpreter)(*args)
    if not isinstance(results, tuple):
        results, expected = (results,), (expected,)
    for x, y in zip(results, expected, strict=True):
        scale = float(np.abs(y.array).max()) if y.dtype.kind == "f" else 0
        np.testing.assert_allclose(x.array, y.array, rtol=tolerance, atol=tolerance * scale)
    found = [k for k in plan_of(compiled).kernels if k.fused is not None]
    assert len(found) == fused
    return found


W = tensor(64, 70, seed=1)
BIAS = tensor(70, seed=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_bias_and_activation(dtype, transposed, lead):
    x, bias = tensor(*lead, 45, 64, dtype=dtype), tensor(70, seed=2, dtype=dtype)
    w = tensor(*((70, 64) if transposed else (64, 70)), seed=1, dtype=dtype)

    def layer(x, w, bias):
        return F.relu(x @ (w.mT if transposed else w) + bias)

    (kernel,) = check(layer, x, w, bias)
    assert len(kernel.makes) == 1  # the sums are never in memory


@pytest.mark.parametrize(
    "other",
    [
        lambda y, m: y[:, ::2].sum(axis=0),  # read by a later kernel
        lambda y, m: y,  # wanted outside
    ],
)
def test_sums_that_somebody_else_reads_are_kept(other):
    def function(x, w, m):
        y = x @ w
        return F.relu(y) * m, other(y, m)

    (kernel,) = check(function, tensor(45, 64), W, tensor(45, 1, seed=3))
    assert len(kernel.makes) == 2


def test_several_results_of_several_dtypes():
    def masked(x, w, mask):
        y = x @ w
        return backlit.where(mask, y, 0.0), y > 1.0

    def counted(x, w, count):
        y = x @ w
        return (y * 3.0).astype("int32"), y + count

    mask = backlit.asarray(np.random.default_rng(3).random((45, 70)) > 0.5)
    count = backlit.asarray(np.arange(70, dtype=np.int8))
    for function, other in ((masked, mask), (counted, count)):
        (kernel,) = check(function, tensor(45, 64), W, other)
        assert len(kernel.makes) == 2


def test_constants_of_another_dtype():
    """As an optimizer's numbers are: 64-bit, and computed with before they meet the sums."""
    rate = backlit.asarray(np.float64(0.1))

    def function(x, w, rate):
        return (x @ w) * (1.0 - rate).astype("float32") + rate.astype("float32")

    (kernel,) = check(function, tensor(45, 64), W, rate)
    once = kernel.fused.code.split("_once(", 1)[1]
    assert "fsub" in once
    assert "fptrunc" in once


def test_parts_of_other_arrays():
    """What is read beside the sums may be any regular part of an array."""
    table = tensor(3, 90, 140, seed=4)

    def function(x, w, table):
        return (x @ w) * table[1, 20:65, 35:105] + table[2, 0, 7]

    check(function, tensor(45, 64), W, table)


def test_what_is_read_out_of_order_stays_a_loop():
    def function(x, w, t):
        return (x @ w) + t[::-1], ((x + 1.0) @ w)[:, ::-1] * 2.0

    check(function, tensor(45, 64), W, tensor(45, 70, seed=3), fused=0)


def test_maps_that_differ_in_where_they_read_share_a_kernel():
    """As the steps of a recurrent network do."""
    table = tensor(4, 45, 70, seed=4)

    def function(x, w, table):
        return tuple((x + float(i)) @ w + table[i] for i in range(4))

    kernels = check(function, tensor(45, 64), W, table, fused=4)
    assert len({(k.fused.spec, k.fused.epilogue.key) for k in kernels}) == 1


def test_scattered_reads_stay_a_loop():
    rows = backlit.asarray(np.random.default_rng(3).integers(0, 45, 45))

    def function(x, w, t, rows):
        return (x @ w) + t[rows] + backlit.arange(70)

    check(function, tensor(45, 64), W, tensor(45, 70, seed=3), rows, fused=0)


def test_the_last_of_two_products_takes_the_map():
    def function(x, w, y):
        return backlit.maximum(x @ w + y @ w, 0.0)

    check(function, tensor(45, 64), W, tensor(45, 64, seed=3))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_convolutions(groups, stride, padding):
    """Where an image is padded, what infinite weights spoil is mended before anybody reads it."""
    x, w, bias = tensor(3, 8, 13, 11), tensor(12, 8 // groups, 3, 3, seed=1), tensor(12, seed=2)

    def function(x, w, bias):
        y = F.conv2d(x, w, bias, stride=stride, padding=padding, groups=groups)
        return F.relu(y)

    check(function, x, w, bias, fused=int(not padding))


def test_gradients_of_a_residual_block():
    x, w, bias = tensor(4, 8, 12, 12), tensor(8, 8, 1, 1, seed=1), tensor(8, seed=2)
    for t in (x, w, bias):
        t.requires_grad = True

    def function(x, w, bias):
        y = F.relu(F.conv2d(F.relu(x), w, bias) + x)
        return backlit.grad((y * y).sum(), [x, w, bias])

    compiled = backlit.compile(lambda *a: tuple(function(*a)), executor=native)
    wanted = function(x, w, bias)
    for got, want in zip(compiled(x, w, bias), wanted, strict=True):
        np.testing.assert_allclose(got.array, want.array, rtol=1e-4, atol=1e-3)
    assert any(k.fused for k in plan_of(compiled).kernels)


def test_an_update_in_place():
    """The gradient of a large matrix is made, scaled and subtracted without being stored."""
    start, x, gy = tensor(64, 200), tensor(30, 64, seed=1), tensor(30, 200, seed=2)
    w = backlit.asarray(start.array.copy())

    def step(x, gy):
        y = (x @ w).sum()
        w.assign(w - 0.1 * (x.mT @ gy))
        return y

    compiled = backlit.compile(step, executor=native)
    compiled(x, gy)
    expected = start.array - 0.1 * (x.array.T @ gy.array)
    np.testing.assert_allclose(w.array, expected, rtol=1e-4, atol=1e-4)
    (kernel,) = [k for k in plan_of(compiled).kernels if k.fused is not None]
    assert plan_of(compiled).buffers.in_place
    assert kernel.makes == [kernel.roots[-1].output]


def test_a_product_does_not_move_behind_the_update_of_what_it_reads():
    start, x, gy = tensor(64, 64), tensor(30, 64, seed=1), tensor(30, 64, seed=2)
    w = backlit.asarray(start.array.copy())

    def step(x, gy):
        gx = gy @ w.mT
        w.assign(w - 0.1 * (x.mT @ gy))
        return backlit.where(w.sum() > 0.0, gx, 2.0 * gx)

    compiled = backlit.compile(step, executor=native)
    after = start.array - 0.1 * (x.array.T @ gy.array)
    expected = gy.array @ start.array.T * (1 if after.sum() > 0 else 2)
    np.testing.assert_allclose(compiled(x, gy).array, expected, rtol=1e-4, atol=1e-4)
    assert plan_of(compiled).buffers.in_place


def test_a_product_does_not_move_behind_what_reads_it():
    def function(x, w):
        y = x @ w
        return y - y.sum(axis=1, keepdims=True)

    check(function, tensor(45, 64), W, fused=0)


def test_an_index_out_of_range_leaves_parameters_as_they_are():
    table, w = tensor(10, 64), tensor(64, 70, seed=1)
    before = w.array.copy()

    def step(rows, gy):
        w.assign(w - 0.1 * (table[rows].mT @ gy))

    compiled = backlit.compile(step, executor=native)
    gy = tensor(30, 70, seed=2)
    good = np.arange(30) % 10
    compiled(backlit.asarray(good), gy)
    after = w.array.copy()
    assert not np.array_equal(before, after)
    assert any(k.fused for k in plan_of(compiled).kernels)
    with pytest.raises(IndexRangeError):
        compiled(backlit.asarray(np.full(30, 10)), gy)
    np.testing.assert_array_equal(w.array, after)


@pytest.mark.slow
def test_large_arrays_take_long_maps():
    """Adam's update of four million numbers: bound by memory, so the gradient is not stored."""
    random = np.random.default_rng(0)
    p, m, v = (tensor(2048, 1024, seed=i) for i in range(3))
    v.assign(abs(v))
    first = [t.array.copy() for t in (p, m, v)]
    x, gy = tensor(8, 2048, seed=4), tensor(8, 1024, seed=5)

    def step(x, gy):
        g = x.mT @ gy
        m.assign(0.9 * m + 0.1 * g)
        v.assign(0.99 * v + 0.01 * g * g)
        p.assign(p - 0.01 * m / (backlit.sqrt(v) + 1e-8))

    compiled = backlit.compile(step, executor=native)
    compiled(x, gy)
    g = x.array.T @ gy.array
    m1, v1 = 0.9 * first[1] + 0.1 * g, 0.99 * first[2] + 0.01 * g * g
    np.testing.assert_allclose(m.array, m1, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(v.array, v1, rtol=1e-4, atol=1e-5)
    wanted = first[0] - 0.01 * m1 / (np.sqrt(v1) + 1e-8)
    rows = random.integers(0, 2048, 64)
    np.testing.assert_allclose(p.array[rows], wanted[rows], rtol=1e-3, atol=1e-4)
    assert sum(k.fused is not None for k in plan_of(compiled).kernels) == 1
