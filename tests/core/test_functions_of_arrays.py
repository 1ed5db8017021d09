"""Functions beyond the standard, against NumPy and Python; their gradients; compiled as eager.

What PyTorch makes of ties, NaN and empty Tensors is compared in `tests/parity`.
"""

from __future__ import annotations

import collections
import itertools
import math
import statistics

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TraceError
from sampling import every

RNG = np.random.default_rng(11)
V = np.array([0.5, -1.25, 2.0, 0.75, -0.4])
M = RNG.permutation(12).reshape(3, 4) * 0.3 - 1.73
T = RNG.uniform(-2, 2, (2, 3, 4))
AT = np.array([[2, 0, 0, 1], [0, 2, 1, 1]])
B = RNG.uniform(-2, 2, (2, 4))
MASK = M > 0
inf, nan = math.inf, math.nan


def at(x) -> bl.Tensor:
    return bl.asarray(np.asarray(x))


def scattered(x, source, fold, first=None):
    """x with the source's elements folded in along axis 0 at AT, one after the other."""
    result = x.copy()
    if first is not None:
        for i, j in np.ndindex(AT.shape):
            result[AT[i, j], j] = first
    for i, j in np.ndindex(AT.shape):
        place = AT[i, j], j
        result[place] = fold(result[place], source[i, j])
    return result


def most_frequent(row):
    counts = collections.Counter(row)
    return min(v for v in counts if counts[v] == max(counts.values()))


def row_by_row(f):
    return lambda x: np.array([f(row.tolist()) for row in x])


#: name: (function, reference in NumPy, inputs). All of them have gradients to the second order.
TABLE = {
    "narrow": (lambda x: bl.narrow(x, 1, -3, 2), lambda x: x[:, 1:3], (M,)),
    "split": (lambda x: bl.split(x, [1, 3], 1)[1], lambda x: x[:, 1:], (M,)),
    "chunk": (lambda x: bl.chunk(x, 3, -1)[1], lambda x: x[:, 2:], (M,)),
    "tensor_split": (lambda x: bl.tensor_split(x, 3)[0], lambda x: x[:2], (V,)),
    "unbind": (lambda x: bl.unbind(x, 1)[2], lambda x: x[:, 2], (M,)),
    "hstack": (lambda *x: bl.hstack(x), lambda *x: np.hstack(x), (M, M)),
    "vstack": (lambda *x: bl.vstack(x), lambda *x: np.vstack(x), (M, M[0])),
    "dstack": (lambda *x: bl.dstack(x), lambda *x: np.dstack(x), (V, V)),
    "movedim": (lambda x: bl.movedim(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), (T,)),
    "swapaxes": (lambda x: bl.swapaxes(x, 0, 2), lambda x: np.swapaxes(x, 0, 2), (T,)),
    **{
        f"rot90 {k}": (lambda x, k=k: bl.rot90(x, k), lambda x, k=k: np.rot90(x, k), (M,))
        for k in (-1, 2, 5)
    },
    "repeat_interleave": (
        lambda x: bl.repeat_interleave(x, 2, 1), lambda x: np.repeat(x, 2, 1), (M,)
    ),
    **{
        f"diag {k}": (lambda x, k=k: bl.diag(x, k), lambda x, k=k: np.diag(x, k), (V[:3],))
        for k in (-2, 0, 1)
    },
    **{
        f"diag of {k}": (lambda x, k=k: bl.diag(x, k), lambda x, k=k: np.diag(x, k), (M,))
        for k in (-4, -1, 0, 2)
    },
    "diagonal": (
        lambda x: bl.diagonal(x, -1, 2, 0), lambda x: np.diagonal(x, -1, 2, 0), (T,)
    ),
    "diagflat": (lambda x: bl.diagflat(x, 1), lambda x: np.diagflat(x, 1), (M[:2, :2],)),
    "diag_embed": (
        lambda x: bl.diag_embed(x, -1), lambda x: np.stack([np.diag(r, -1) for r in x]), (M,)
    ),
    "trace": (bl.trace, np.trace, (M,)),
    "kron": (bl.kron, np.kron, (M[:2, :2], T[:, :1, :2])),
    "cross": (bl.cross, np.cross, (T[..., :3], V[:3])),
    "block_diag": (
        bl.block_diag,
        lambda a, b: np.block([[a, np.zeros((3, 5))], [np.zeros((1, 4)), b[None]]]),
        (M, V),
    ),
    "vander": (lambda x: bl.vander(x, 3), lambda x: np.vander(x, 3), (V,)),
    "cartesian_prod": (
        bl.cartesian_prod, lambda *x: np.array(list(itertools.product(*x))), (V[:2], V[2:])
    ),
    "combinations": (
        lambda x: bl.combinations(x, 3),
        lambda x: np.array(list(itertools.combinations(x, 3))),
        (V,),
    ),
    "mm": (bl.mm, np.matmul, (M, M.T.copy())),
    "bmm": (bl.bmm, np.matmul, (T, T.transpose(0, 2, 1).copy())),
    "mv": (bl.mv, np.matmul, (M, V[:4])),
    "dot": (bl.dot, np.dot, (V, V * V)),
    "addmm": (
        lambda *x: bl.addmm(*x, beta=0.5, alpha=-2),
        lambda x, a, b: 0.5 * x - 2 * a @ b,
        (V[:3], M, M.T.copy()),
    ),
    "addmv": (bl.addmv, lambda x, a, b: x + a @ b, (V[:3], M, V[:4])),
    "addr": (bl.addr, lambda x, a, b: x + np.outer(a, b), (M, V[:3], V[:4])),
    "baddbmm": (bl.baddbmm, lambda x, a, b: x + a @ b, (V[:3], T, T.transpose(0, 2, 1).copy())),
    "addbmm": (
        bl.addbmm, lambda x, a, b: x + (a @ b).sum(0), (V[:3], T, T.transpose(0, 2, 1).copy())
    ),
    "addcmul": (
        lambda *x: bl.addcmul(*x, value=3), lambda x, a, b: x + 3 * a * b, (M, M[0], M[:, :1])
    ),
    "addcdiv": (
        lambda *x: bl.addcdiv(*x, value=3), lambda x, a, b: x + 3 * a / b, (M, M[0], M[:, :1])
    ),
    **{
        f"cdist {p}": (
            lambda a, b, p=p: bl.cdist(a, b, p),
            lambda a, b, p=p: np.array([[np.linalg.norm(u - v, p) for v in b] for u in a]),
            (M, B),
        )
        for p in (1.0, 2.0, 3.0, inf)
    },
    "cov": (bl.cov, np.cov, (M,)),
    "cov weighted": (
        lambda x: bl.cov(x, fweights=at([1, 2, 1, 3]), aweights=at([0.5, 1.0, 2.0, 1.0])),
        lambda x: np.cov(x, fweights=[1, 2, 1, 3], aweights=[0.5, 1.0, 2.0, 1.0]),
        (M,),
    ),
    "cov of one": (lambda x: bl.cov(x, correction=0), lambda x: np.cov(x, ddof=0), (V,)),
    "corrcoef": (bl.corrcoef, np.corrcoef, (T[0],)),
    "renorm": (
        lambda x: bl.renorm(x, 2, 0, 2.0),
        row_by_row(lambda r: np.array(r) * min(1, 2 / (np.linalg.norm(r) + 1e-7))),
        (M,),
    ),
    "exp2": (bl.exp2, np.exp2, (M,)),
    "logaddexp2": (bl.logaddexp2, np.logaddexp2, (M, V[:4])),
    "rsqrt": (bl.rsqrt, lambda x: 1 / np.sqrt(x), (np.abs(M),)),
    "deg2rad": (bl.deg2rad, np.deg2rad, (M,)),
    "rad2deg": (bl.rad2deg, np.rad2deg, (M,)),
    "frac": (bl.frac, lambda x: x - np.trunc(x), (M,)),
    "digamma": (bl.digamma, lambda x: np.array([-0.5772156649015329, 0.42278433509846713]) + 0 * x,
                (np.array([1.0, 2.0]),)),
    "lerp": (lambda a, b: bl.lerp(a, b, 0.75), lambda a, b: a + 0.75 * (b - a), (M, V[:4])),
    "lerp by a tensor": (
        bl.lerp, lambda a, b, w: a + w * (b - a), (M, V[:4], np.array([0.2, 0.9, -1.0, 3.0]))
    ),
    "amax": (lambda x: bl.amax(x, (0, 1)), np.max, (M,)),
    "amin": (lambda x: bl.amin(x, 1, True), lambda x: x.min(1, keepdims=True), (M,)),
    "aminmax": (lambda x: bl.aminmax(x, axis=0).min, lambda x: x.min(0), (M,)),
    "logcumsumexp": (
        lambda x: bl.logcumsumexp(x, 1), lambda x: np.logaddexp.accumulate(x, 1), (M,)
    ),
    "topk": (lambda x: bl.topk(x, 2, 0).values, lambda x: -np.sort(-x, 0)[:2], (M,)),
    "topk smallest": (
        lambda x: bl.topk(x, 3, largest=False).values, lambda x: np.sort(x)[:, :3], (M,)
    ),
    "kthvalue": (lambda x: bl.kthvalue(x, 2, 0, True).values, lambda x: np.sort(x, 0)[1:2], (M,)),
    "median": (bl.median, lambda x: statistics.median_low(x.ravel()), (M,)),
    "median of rows": (
        lambda x: bl.median(x, 1).values, row_by_row(statistics.median_low), (M,)
    ),
    "mode": (lambda x: bl.mode(x, 1).values, row_by_row(most_frequent), (M,)),
    **{
        f"quantile {how}": (
            lambda x, how=how: bl.quantile(x, at([0.3, 0.9]), 1, interpolation=how),
            lambda x, how=how: np.quantile(x, [0.3, 0.9], 1, method=how),
            (M,),
        )
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    },
    "quantile of all": (
        lambda x: bl.quantile(x, 0.4, keepdims=True),
        lambda x: np.quantile(x, 0.4, keepdims=True),
        (M,),
    ),
    "cummax": (lambda x: bl.cummax(x, 0).values, lambda x: np.maximum.accumulate(x, 0), (M,)),
    "cummin": (lambda x: bl.cummin(x, 1).values, lambda x: np.minimum.accumulate(x, 1), (M,)),
    "scatter": (
        lambda x, s: bl.scatter(x, 0, at(AT), s), lambda x, s: scattered(x, s, lambda a, b: b),
        (M, B),
    ),
    "scatter a number": (
        lambda x: bl.scatter(x, 0, at(AT), 1.5), lambda x: scattered(x, B, lambda a, b: 1.5), (M,)
    ),
    "scatter_add": (
        lambda x, s: bl.scatter_add(x, 0, at(AT), s),
        lambda x, s: scattered(x, s, lambda a, b: a + b),
        (M, B),
    ),
    **{
        f"scatter_reduce {how} {included}": (
            lambda x, s, how=how, included=included: bl.scatter_reduce(
                x, 0, at(AT), s, how, include_self=included
            ),
            lambda x, s, fold=fold, first=None if included else first: scattered(x, s, fold, first),
            (M, B),
        )
        for how, fold, first in (
            ("prod", lambda a, b: a * b, 1.0), ("amax", max, -inf), ("amin", min, inf),
            ("sum", lambda a, b: a + b, 0.0),
        )
        for included in (True, False)
    },
    "scatter_reduce mean": (
        lambda x, s: bl.scatter_reduce(x, 0, at([[1] * 4, [1] * 4]), s, "mean"),
        lambda x, s: np.stack([x[0], (x[1] + s[0] + s[1]) / 3, x[2]]),
        (M, B),
    ),
    "index_select": (
        lambda x: bl.index_select(x, 1, at([3, 0, 3])), lambda x: x[:, [3, 0, 3]], (M,)
    ),
    "index_add": (
        lambda x, s: bl.index_add(x, 0, at([2, 2]), s, alpha=2),
        lambda x, s: np.stack([x[0], x[1], x[2] + 2 * s[0] + 2 * s[1]]),
        (M, B),
    ),
    "index_copy": (
        lambda x, s: bl.index_copy(x, 0, at([2, 0]), s), lambda x, s: np.stack([s[1], x[1], s[0]]),
        (M, B),
    ),
    "index_fill": (
        lambda x, v: bl.index_fill(x, 0, at([1]), v),
        lambda x, v: np.stack([x[0], np.full(4, v), x[2]]),
        (M, np.array(0.3)),
    ),
    "masked_fill": (
        lambda x: bl.masked_fill(x, at(MASK), 0.5), lambda x: np.where(MASK, 0.5, x), (M,)
    ),
    "masked_scatter": (
        lambda x, s: bl.masked_scatter(x, at(MASK), s),
        lambda x, s: (y := x.copy(), y.__setitem__(MASK, s[: MASK.sum()]))[0],
        (M, np.arange(12.0)),
    ),
}  # fmt: skip

#: The same without gradients, and where the shape of the result depends on values.
CONCRETE = {
    "tril_indices": (lambda: bl.tril_indices(3, 4, -1), lambda: np.tril_indices(3, -1, 4), ()),
    "triu_indices": (lambda: bl.triu_indices(4, 3, 1), lambda: np.triu_indices(4, 1, 3), ()),
    "lcm": (bl.lcm, np.lcm, (np.array([4, 0, -6]), np.array([6, 5, 4]))),
    "heaviside": (bl.heaviside, np.heaviside, (np.array([-1.0, 0.0, 2.0]), np.array(0.5))),
    "nan_to_num": (
        lambda x: bl.nan_to_num(x, 1.0, 2.0), lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0),
        (np.array([nan, inf, -inf, 3.0]),),
    ),
    "isclose": (
        lambda a, b: bl.isclose(a, b, equal_nan=True),
        lambda a, b: np.isclose(a, b, equal_nan=True),
        (np.array([1.0, 1.0, inf, inf, nan]), np.array([1.0 + 1e-6, 1.1, inf, 1.0, nan])),
    ),
    "nansum": (lambda x: bl.nansum(x, 1), lambda x: np.nansum(x, 1), (np.where(MASK, nan, M),)),
    "nanmean": (bl.nanmean, np.nanmean, (np.where(MASK, nan, M),)),
    "nanmedian": (
        bl.nanmedian, lambda x: statistics.median_low(x[~MASK]), (np.where(MASK, nan, M),)
    ),
    "nanquantile": (
        lambda x: bl.nanquantile(x, 0.3, 0), lambda x: np.nanquantile(x, 0.3, 0),
        (np.where(M > 1, nan, M),),
    ),
    "mode's last place": (
        lambda x: bl.mode(x).indices, lambda x: np.array(4), (np.array([2, 1, 5, 2, 1]),)
    ),
    "unique": (bl.unique, np.unique, (AT,)),
    "unique rows": (
        lambda x: bl.unique(x, axis=0, return_inverse=True, return_counts=True),
        lambda x: np.unique(x, axis=0, return_inverse=True, return_counts=True),
        (np.array([[2, 1], [0, 5], [2, 1]]),),
    ),
    "bincount": (lambda x: bl.bincount(x, minlength=5), lambda x: np.bincount(x, minlength=5),
                 (AT[0],)),
    "bincount weighted": (bl.bincount, np.bincount, (AT[0], V[:4])),
    "histc": (
        lambda x: bl.histc(x, 4, -1, 1), lambda x: np.histogram(x, 4, (-1, 1))[0].astype(float),
        (M,),
    ),
    "histogram": (
        lambda x: bl.histogram(x, 5, density=True), lambda x: np.histogram(x, 5, density=True), (M,)
    ),
    "histogram between edges": (
        lambda x, e: bl.histogram(x, e, weight=x).hist,
        lambda x, e: np.histogram(x, e, weights=x)[0],
        (M, np.array([-2.0, 0.0, 0.1, 0.4])),
    ),
    "bucketize": (
        lambda x, b: bl.bucketize(x, b, right=True), lambda x, b: np.digitize(x, b),
        (M, np.array([-1.0, 0.0, 1.0])),
    ),
    "searchsorted by rows": (
        bl.searchsorted,
        lambda a, b: np.array([np.searchsorted(r, v) for r, v in zip(a, b, strict=True)]),
        (np.sort(M), M),
    ),
    "isin": (bl.isin, np.isin, (AT, np.array([0, 5]))),
    "isin none": (
        lambda a, b: bl.isin(a, b, invert=True), lambda a, b: np.isin(a, b, invert=True), (M, M[0])
    ),
    "one_hot": (bl.one_hot, lambda x: np.eye(3, dtype=int)[x], (AT,)),
    "one_hot of more": (lambda x: bl.one_hot(x, 5), lambda x: np.eye(5, dtype=int)[x], (AT,)),
    "masked_select": (lambda x: bl.masked_select(x, at(MASK)), lambda x: x[MASK], (M,)),
}  # fmt: skip


def parts(y) -> tuple:
    return tuple(y) if isinstance(y, tuple) else (y,)


@every("name", [*TABLE, *CONCRETE])
def test_values_are_numpys(name: str) -> None:
    function, reference, arrays = {**TABLE, **CONCRETE}[name]
    got, want = parts(function(*map(bl.tensor, arrays))), parts(reference(*arrays))
    for a, b in zip(got[0] if name.endswith("_indices") else got, want, strict=True):
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(a.numpy(), b, 1e-12, 1e-13)


@every("name", TABLE)
def test_gradients_are_right_to_the_second_order(name: str) -> None:
    function, _, arrays = TABLE[name]
    bl.gradcheck(function, [bl.tensor(a, requires_grad=True) for a in arrays], order=2)


def test_compiled_they_give_the_same() -> None:
    def everything(*inputs):
        given = iter(inputs)
        return [function(*[next(given) for _ in arrays]) for function, _, arrays in table.values()]

    values = {"unique", "unique rows", "bincount", "bincount weighted", "one_hot", "masked_select"}
    table = {n: row for n, row in {**TABLE, **CONCRETE}.items() if n not in values}
    inputs = [bl.tensor(a) for _, _, arrays in table.values() for a in arrays]
    compiled = bl.compile(everything)(*inputs)
    for name, got, want in zip(table, compiled, everything(*inputs), strict=True):
        for a, b in zip(parts(got), parts(want), strict=True):
            assert a.dtype == b.dtype, name
            np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-12, 1e-13, err_msg=name)
    for name in values:
        function, _, arrays = CONCRETE[name]
        with pytest.raises(TraceError, match="a captured function cannot ask for a value"):
            bl.capture(function)(*map(bl.tensor, arrays))


def test_sixteen_bits_are_rounded_once() -> None:
    for dtype in ("float16", "bfloat16"):
        step = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
        for name in ("addmm", "cov", "corrcoef", "lerp", "logaddexp2", "rsqrt", "quantile linear"):
            function, _, arrays = TABLE[name]
            low = [bl.tensor(a, dtype=dtype) for a in arrays]
            exact = function(*[x.astype("float64") for x in low]).numpy()
            got = function(*low)
            assert got.dtype.name == dtype, name
            off = np.abs(got.astype("float64").numpy() - exact)
            assert (off <= step * np.maximum(np.abs(exact), 1e-6)).all(), name


def test_the_median_of_all_shares_its_gradient_among_equal_elements() -> None:
    for values, share in (
        ([2.0, 1.0, 2.0, 7.0], [0.5, 0, 0.5, 0]),
        ([nan, 1.0, nan], [0.5, 0, 0.5]),
        ([inf, 1.0, inf], [0.5, 0, 0.5]),
        ([0.1] * 3, [1 / 3] * 3),
    ):
        x = bl.tensor(values, dtype="float64", requires_grad=True)
        y = bl.median(x)
        y.backward()
        assert x.grad.tolist() == share
        np.testing.assert_equal(y.item(), values[0])


def test_distances_of_many_points_are_those_of_few() -> None:
    points = RNG.uniform(-1, 1, (30, 5)) + 100
    x = bl.tensor(points, requires_grad=True)
    gaps = points[:, None] - points
    y = bl.cdist(x, x)
    np.testing.assert_allclose(y.numpy(), np.linalg.norm(gaps, axis=-1), 1e-7, 1e-6)
    assert np.isfinite(bl.grad(y.sum(), x).numpy()).all()
    gaps = gaps - 0.5
    want = (gaps / np.linalg.norm(gaps, axis=-1, keepdims=True)).sum(1)
    got = bl.grad(bl.cdist(x, at(points + 0.5)).sum(), x)
    np.testing.assert_allclose(got.numpy(), want, 1e-9, 1e-9)


def test_long_rows_are_put_in_order_as_stably_as_short_ones():
    rng = np.random.default_rng(0)
    edges = np.array([nan, inf, -inf, 0.0, -0.0, 1.0])
    kinds = {
        "different": rng.random,
        "few": lambda shape: rng.integers(0, 50, shape),
        "all equal": np.zeros,
        "edges": lambda shape: rng.choice(edges, shape).astype(np.float32),
        "64 bits": lambda shape: rng.integers(0, 2**64, shape, np.uint64),
        "16 bits": lambda shape: rng.integers(0, 2**16, shape, np.uint16),
    }
    for name, make in kinds.items():
        for shape, axis in (((5000,), 0), ((2, 3000), 1), ((3000, 2), 0), ((0, 3000), 1)):
            x = make(shape)
            expected = np.argsort(x, axis=axis, stable=True)
            assert np.array_equal(bl.argsort(at(x), axis=axis).numpy(), expected), (name, shape)
            last = x.shape[axis] - 1
            expected = np.flip(last - np.argsort(np.flip(x, axis), axis=axis, stable=True), axis)
            downward = bl.argsort(at(x), axis=axis, descending=True)
            assert np.array_equal(downward.numpy(), expected), (name, shape)


def test_equal_elements_keep_their_order_among_many() -> None:
    """However many there are, the places are those that a stable order begins with."""
    x = RNG.integers(0, 4, (3, 500)).astype(float)
    x[0, 7] = nan
    order = np.argsort(-x, axis=1, stable=True)
    order[0] = [7, *[i for i in order[0] if i != 7]]  # NaN is the largest
    assert bl.topk(at(x), 20).indices.tolist() == order[:, :20].tolist()
    upward = np.argsort(x, axis=1, stable=True)
    assert bl.topk(at(x), 20, largest=False).indices.tolist() == upward[:, :20].tolist()
    assert bl.kthvalue(at(x), 321).indices.tolist() == upward[:, 320].tolist()


def test_one_hot_of_classes_that_there_are_not_says_so_also_when_compiled() -> None:
    text = r"one_hot: classes must lie in \[0, 3\), got 3; give num_classes larger than"
    with pytest.raises(IndexRangeError, match=text):
        bl.one_hot(bl.tensor([0, 3]), 3)
    step = bl.compile(lambda x: bl.one_hot(x, 3))
    assert step(bl.tensor([0, 2])).tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(IndexRangeError, match=r"one_hot: classes must lie in \[0, 3\)"):
        step(bl.tensor([0, -1]))


def test_what_is_put_in_keeps_the_type() -> None:
    x = bl.tensor([1, 2, 3])
    assert bl.masked_fill(x, x > 1, 0).dtype == bl.int64
    assert bl.index_fill(x, 0, bl.tensor([0]), 7).tolist() == [7, 2, 3]
    assert bl.scatter(x, 0, bl.tensor([1]), 5).tolist() == [1, 5, 3]
    low = bl.tensor([1.0, 2.0], dtype="float16")
    assert bl.masked_fill(low, low > 1, -inf).dtype == bl.float16
    assert bl.allclose(low, low) is True
    assert bl.allclose(bl.tensor([1.0]), bl.tensor([nan])) is False


I, F = bl.tensor([0, 1]), bl.ones(2)  # noqa: E741
CALLS = [
    (lambda: bl.narrow(F, 0, 1, 2), ShapeError,
     r"narrow: start and start \+ length must lie in the 2 slices of axis 0, got start 1 and len"),
    (lambda: bl.split(F, [1, 2]), ShapeError,
     r"split: the sizes must add up to the 2 slices of axis 0, got \[1, 2\], which add up to 3"),
    (lambda: bl.split(F, 0), ArgumentError, r"split: the size of a piece must be a positive int"),
    (lambda: bl.chunk(F, 0), ArgumentError, r"chunk: chunks must be a positive integer, got 0"),
    (lambda: bl.rot90(bl.ones((2, 2)), 1, (0, 0)), ArgumentError,
     r"rot90: axes must be two different ones, got \(0, 0\)"),
    (lambda: bl.repeat_interleave(bl.ones((2, 2), dtype="int64")), ShapeError,
     r"repeat_interleave: counts alone must be a vector, got int64\[2,2\]; give repeats, too"),
    (lambda: bl.repeat_interleave(F, 2, output_size=3), ArgumentError,
     r"repeat_interleave: output_size must be the sum of repeats, 4, got 3"),
    (lambda: bl.diagonal(F), ShapeError, r"diagonal: x must have at least 2 axes, got float"),
    (lambda: bl.diagonal(bl.ones((2, 2)), 0, 1, -1), ShapeError,
     r"diagonal: axis1 and axis2 must differ, got 1 and -1"),
    (lambda: bl.diag_embed(bl.tensor(1.0)), ShapeError,
     r"diag_embed: x must have at least one axis, got float32\[\]"),
    (lambda: bl.diag(bl.ones((1, 2, 2))), ShapeError,
     r"diag: x must be a vector or a matrix, got float32\[1,2,2\]; use diagonal or diag_embed"),
    (lambda: bl.trace(F), ShapeError, r"trace: x must be a matrix, got float32\[2\]; use li"),
    (lambda: bl.cross(F, F), ShapeError, r"cross: axis 0 must have size 3, got float32\[2\]"),
    (lambda: bl.block_diag(bl.ones((1, 1, 1))), ShapeError,
     r"block_diag: each input must have at most 2 axes, got float32\[1,1,1\] for input 0"),
    (lambda: bl.vander(bl.ones((2, 2))), ShapeError, r"vander: x must be a vector, got floa"),
    (lambda: bl.cartesian_prod(), ShapeError, r"cartesian_prod: vectors are required, got none"),
    (lambda: bl.combinations(bl.ones((2, 2))), ShapeError, r"combinations: x must be a vect"),
    (lambda: bl.mm(F, F), ShapeError,
     r"mm: x1 must be a matrix and x2 a matrix, got x1: float32\[2\] and x2: float32\[2\]; matmul"),
    (lambda: bl.bmm(bl.ones((2, 1, 1)), bl.ones((3, 1, 1))), ShapeError,
     r"bmm: both stacks must have as many matrices, got x1: float32\[2,1,1\] and x2: float32\[3,1"),
    (lambda: bl.addmv(I, bl.ones((2, 2), dtype="int64"), I, alpha=0.5), DTypeError,
     r"addmv: beta and alpha must be integers for int64, got 1 and 0.5; use x.astype\('float32'\)"),
    (lambda: bl.cdist(F, F), ShapeError, r"cdist: both must be rows of as many numbers, got"),
    (lambda: bl.cdist(bl.ones((1, 1)), bl.ones((1, 1)), -1), ArgumentError,
     r"cdist: p must not be negative, got -1"),
    (lambda: bl.cov(bl.ones((1, 1, 1))), ShapeError, r"cov: x must have at most 2 axes, got"),
    (lambda: bl.cov(F, aweights=bl.ones(3)), ShapeError,
     r"cov: aweights must be one number for each of 2 observations, got float32\[3\]"),
    (lambda: bl.renorm(I, 2, 0, 1.0), DTypeError, r"renorm: x must be floating, got int64\[2\]"),
    (lambda: bl.renorm(F, 2, 0, 1.0), ShapeError, r"renorm: x must have at least 2 axes, go"),
    (lambda: bl.renorm(bl.ones((1, 1)), 0, 0, 1.0), ArgumentError,
     r"renorm: p must be positive and maxnorm not negative, got 0 and 1.0"),
    (lambda: bl.quantile(F, 1.5), ArgumentError, r"quantile: q must lie in \[0, 1\], got 1."),
    (lambda: bl.quantile(F, bl.ones((1, 1))), ShapeError,
     r"quantile: q must be a number or a vector, got float32\[1,1\]"),
    (lambda: bl.nanquantile(F, 0.5, interpolation="cubic"), ArgumentError,
     r"nanquantile: interpolation must be one of linear, lower, .*, nearest, got 'cubic'"),
    (lambda: bl.bincount(F), DTypeError, r"bincount: x must be a vector of integers, got fl"),
    (lambda: bl.bincount(-I), ArgumentError, r"bincount: x must not be negative, got -1"),
    (lambda: bl.bincount(I, bl.ones(3)), ShapeError,
     r"bincount: weights must have the shape of x, got x: int64\[2\] and weights: float32\[3\]"),
    (lambda: bl.histc(I), DTypeError, r"histc: x must be floating, got int64\[2\]; use x.astype"),
    (lambda: bl.histc(F, 3, 2, 1), ArgumentError,
     r"histc: min must be at most max, both finite, got 2.0 and 1.0"),
    (lambda: bl.histogram(I, 3), DTypeError, r"histogram: x must be floating, got int64\[2\]"),
    (lambda: bl.histogram(F, bl.ones(1)), ShapeError,
     r"histogram: bins must be at least 2 edges, got float32\[1\]"),
    (lambda: bl.histogram(F, 3, weight=bl.ones(3)), ShapeError,
     r"histogram: weight must have the shape of x, got \(3,\) and \(2,\)"),
    (lambda: bl.one_hot(bl.zeros(0, dtype="int64")), ArgumentError,
     r"one_hot: num_classes is required for no classes at all"),
    (lambda: bl.scatter(bl.tensor(1.0), 0, I, F), ShapeError,
     r"scatter: x must have at least one axis, got float32\[\]"),
    (lambda: bl.scatter_add(bl.ones((2, 2)), 0, bl.zeros((1, 3), dtype="int64"), F), ShapeError,
     r"scatter_add: index must have the axes of x and, but for axis 0, no larger sizes, got"),
    (lambda: bl.scatter(F, 0, I, bl.ones(1)), ShapeError,
     r"scatter: src must have the axes of index and no smaller sizes, got index: int64\[2\]"),
    (lambda: bl.scatter(F, 0, I, I), DTypeError,
     r"scatter: x and src must have one dtype, got x: float32\[2\] and src: int64\[2\]; use"),
    (lambda: bl.scatter(I, 0, I, 0.5), DTypeError,
     r"scatter: src must be an integer for x: int64\[2\], got 0.5; use x.astype\('float32'\)"),
    (lambda: bl.scatter(F, 0, I, F, reduce="max"), ArgumentError,
     r"scatter: reduce must be 'add' or 'multiply', got 'max'; see scatter_reduce"),
    (lambda: bl.index_select(F, 0, bl.zeros((1, 1), dtype="int64")), ShapeError,
     r"index_select: index must be a vector, got int64\[1,1\]"),
    (lambda: bl.index_add(F, 0, I, bl.ones(3)), ShapeError,
     r"index_add: source must have a slice for each index, \(2,\), got source: float32\[3\]"),
    (lambda: bl.index_fill(F, 0, I, F), ShapeError,
     r"index_fill: value must be a number or a Tensor of no axes, got float32\[2\]"),
    (lambda: bl.masked_fill(F, I, 0.0), DTypeError,
     r"masked_fill: mask must be truth values, got int64\[2\]; use mask.astype\('bool'\)"),
    (lambda: bl.masked_fill(I, I > 0, bl.tensor(0.5)), DTypeError,
     r"masked_fill: value must be an integer for x: int64\[2\], got float32\[\]; use x"),
    (lambda: bl.masked_scatter(F, F > 0, bl.ones(1)), ArgumentError,
     r"masked_scatter: source must have an element for each true one of the mask, of which "),
]  # fmt: skip


@every("call, error, text", CALLS)
def test_bad_arguments_are_explained(call, error, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert type(caught.value) is error
