"""Loops that go more than one way: each way against NumPy's result."""

import numpy as np
import pytest

import backlit
from backlit.compiler import native
from backlit.nn import functional as F


def same(function, *arrays) -> None:
    tensors = [backlit.asarray(a) for a in arrays]
    expected = function(*tensors)
    result = backlit.compile(function, executor=native)(*tensors)
    assert np.array_equal(result.numpy(), expected.numpy(), equal_nan=True)


POOLS = {
    "apart, all covered": ((2, 3, 8, 12), {"kernel_size": 2}),
    "apart, a rest": ((2, 3, 9, 13), {"kernel_size": 2, "stride": 3}),
    "one window": ((2, 3, 3, 4), {"kernel_size": (3, 4), "stride": 1}),
    "shared": ((2, 3, 9, 11), {"kernel_size": 3, "stride": 2}),
    "shared, padded": ((2, 3, 9, 11), {"kernel_size": 3, "stride": 1, "padding": 1}),
    "dilated": ((2, 3, 9, 11), {"kernel_size": 2, "stride": 1, "dilation": 3}),
    "dilated, some windows empty": (
        (2, 3, 3, 9),
        {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 4},
    ),
    "long rows": ((1, 1, 3, 2500), {"kernel_size": 3, "stride": 1, "padding": 1}),
}


@pytest.mark.parametrize(("shape", "options"), POOLS.values(), ids=POOLS.keys())
def test_largest_of_windows(shape, options) -> None:
    """Ties go to the first, NaN wins; small whole numbers, so that sums are exact."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, shape).astype(np.float32)
    x[0, 0, 0, 1] = np.nan
    x[-1, -1, -1, -2] = -np.inf

    def gradient(x):
        x = x.detach().requires_grad_()
        y = F.max_pool2d(x, **options)
        weights = backlit.arange(y.size, dtype=y.dtype).reshape(y.shape)
        return backlit.grad((backlit.where(backlit.isnan(y), 0.0, y) * weights).sum(), x)

    same(gradient, x)
    same(lambda x: F.max_pool2d(x, **options), x)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("widths", [(8, 9, 30), (3, 20), (16, 16, 16, 16, 16, 16), (0, 8, 8)])
def test_concatenations(axis, widths) -> None:
    """Long pieces are made one after the other, short ones element by element."""
    rng = np.random.default_rng(1)
    arrays = []
    for n in widths:
        shape = [5, 6, 7]
        shape[axis] = n
        arrays.append(rng.standard_normal(shape))

    def f(*pieces):
        whole = backlit.concat([2.0 * p + pieces[0].sum() * 0.0 for p in pieces], axis=axis)
        return whole[::-1] - whole.mean(axis=axis, keepdims=True) * 0.0 + whole

    same(f, *arrays)


@pytest.mark.parametrize("name", ["max", "min"])
def test_largest_of_those_that_a_mask_lets_through(name) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((7, 70))
    x[3, 5] = np.nan
    mask = rng.random((7, 70)) < 0.3
    mask[3, 5] = True
    mask[4] = False
    worst = -np.inf if name == "max" else np.inf

    def f(x, mask):
        return getattr(backlit, name)(backlit.where(mask, x, worst), axis=1)

    same(f, x, mask)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((6, 40, 4, 5), (0, 2, 3)),  # short runs: as they lie in memory, in blocks of channels
        ((3, 2, 600), (0, 2)),  # long runs
        ((3, 700), 0),
        ((3, 700), 1),
        ((2, 3, 40, 2, 3), (1, 3)),
        ((2, 3, 4), (0, 1, 2)),
        ((1, 9, 1), 0),
    ],
)
def test_folds_of_the_same_axes_share_a_loop(shape, axis) -> None:
    """Small whole numbers, so that sums are exact in any order."""
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 4, shape).astype(np.float32)
    y = rng.integers(-3, 4, shape).astype(np.float32)

    def f(x, y):
        folds = [
            (x * y).sum(axis=axis),
            x.sum(axis=axis),
            backlit.max(x + y, axis=axis),
            backlit.astype(backlit.any(x > 2, axis=axis), x.dtype),
        ]
        return backlit.stack(folds)

    expected = np.stack(
        [(x * y).sum(axis), x.sum(axis), (x + y).max(axis), (x > 2).any(axis)], dtype=np.float32
    )
    compiled = backlit.compile(f, executor=native)
    assert np.array_equal(compiled(backlit.asarray(x), backlit.asarray(y)).numpy(), expected)
    plan = compiled._latest("kernels")
    assert [k.kind.name for k in plan.kernels].count("reduce") == 1


@pytest.mark.parametrize(("start", "count", "step"), [(0, 3, 1), (1, 1, 1), (1, 2, 2), (3, 4, -1)])
def test_placed_arrays_whose_other_axes_are_one_loop(start, count, step) -> None:
    """Axes that are placed whole are one loop, whose count passes the size of the last of them."""
    x = np.random.default_rng(4).standard_normal((5, 2, 3, 4))

    def gradient(x):
        x = x.detach().requires_grad_()
        stop = start + count * step
        part = x[start : stop if stop >= 0 else None : step]
        return backlit.grad((part * part).sum() + (x[2] * x[4]).sum(), x)

    same(gradient, x)


@pytest.mark.parametrize(("axis", "loops"), [(0, 2), (1, 3), (2, 2), ((0, 2), 3), ((1, 2), 3)])
def test_axes_beside_a_flipped_one_stay_one_loop(axis, loops) -> None:
    x = np.random.default_rng(6).standard_normal((3, 4, 5))

    def flipped(x):
        return backlit.flip(x * 2.0 + 1.0, axis=axis)

    same(flipped, x)
    compiled = backlit.compile(flipped, executor=native)
    compiled(backlit.asarray(x))
    _, kernel = compiled._latest("kernels").text.split("define internal void @kernel")
    body, _ = kernel.split("\n}", 1)
    assert body.count("phi i64") == loops
