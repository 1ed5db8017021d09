"""The Tensor: operators, promotion, indexing, assignment, conversions, printing."""

import copy
import gc
import math
import operator
import pickle
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit import data, nn
from backlit.errors import (
    ArgumentError,
    DTypeError,
    GradientError,
    IndexRangeError,
    ShapeError,
    TraceError,
)
from backlit.nn import functional
from backlit.ops import reductions
from sampling import every

A = np.array([[1.0, -2.0, 3.5], [0.5, 4.0, -1.5]], np.float32)
B = np.array([2.0, -3.0, 0.5], np.float32)
I = np.array([[7, -2, 3], [5, 4, -9]])  # noqa: E741
J = np.array([2, 3, -4])


def same(got, want):
    assert isinstance(got, bl.Tensor)
    want = np.asarray(want)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.numpy(), want)


# -- operators ----------------------------------------------------------------------------------

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
              operator.mod]  # fmt: skip
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]


@every("op", [*ARITHMETIC, *COMPARISONS])
def test_operators_of_floats(op):
    want = op(A, B)
    same(op(bl.tensor(A), bl.tensor(B)), want)
    same(op(bl.tensor(A), B), want)  # a NumPy array on the right,
    same(op(A, bl.tensor(B)), want)  # and on the left
    same(op(bl.tensor(A), B.tolist()), want)
    same(op(bl.tensor(A), np.float32(2)), op(A, np.float32(2)))
    same(op(np.float32(2), bl.tensor(A)), op(np.float32(2), A))
    for number in (2, 2.5, True):
        if number is not True:
            same(op(bl.tensor(A), number), op(A, number))
            same(op(number, bl.tensor(A)), op(number, A))


@every("op", [*ARITHMETIC, *COMPARISONS])
def test_operators_of_integers(op):
    def want(x):
        return x.astype(np.float32) if op is operator.truediv else x

    same(op(bl.tensor(I), bl.tensor(J)), want(op(I, J)))
    same(op(bl.tensor(I), 3), want(op(I, 3)))
    same(op(3, bl.tensor(J)), want(op(3, J)))


@pytest.mark.parametrize("op", BITS, ids=lambda f: f.__name__)
def test_operators_of_bits(op):
    a, b = np.array([5, 12, 255]), np.array([1, 2, 3])
    same(op(bl.tensor(a), bl.tensor(b)), op(a, b))
    same(op(bl.tensor(a), 2), op(a, 2))
    same(op(2, bl.tensor(b)), op(2, b))
    same(op(a, bl.tensor(b)), op(a, b))


def test_operators_of_truth_values():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    for op in (operator.and_, operator.or_, operator.xor, operator.eq, operator.ne):
        same(op(bl.tensor(a), bl.tensor(b)), op(a, b))
    same(~bl.tensor(a), ~a)
    same(bl.tensor(a) & True, a)


def test_operators_of_one():
    same(-bl.tensor(A), -A)
    same(+bl.tensor(A), A)
    same(abs(bl.tensor(A)), abs(A))
    same(~bl.tensor(I), ~I)


def test_powers():
    positive = abs(A)
    same(bl.tensor(positive) ** 2, positive**2)
    same(bl.tensor(positive) ** bl.tensor(B), positive**B)
    same(2 ** bl.tensor(B), np.float32(2) ** B)
    same(positive ** bl.tensor(B), positive**B)
    same(bl.tensor(J) ** 2, J**2)


def test_matrix_products():
    m = np.arange(6, dtype=np.float32).reshape(3, 2)
    same(bl.tensor(A) @ bl.tensor(m), A @ m)
    same(A @ bl.tensor(m), A @ m)
    same(bl.tensor(A) @ m, A @ m)
    same(bl.tensor(A) @ bl.tensor(B), A @ B)


def test_reflected_operators_are_differentiated():
    x = bl.tensor([2.0, 4.0], dtype="float64", requires_grad=True)
    for y, want in (
        (1 - x, [-1.0, -1.0]),
        (8 / x, [-2.0, -0.5]),
        (2**x, [math.log(2) * 4, math.log(2) * 16]),
        (np.array([3.0, 5.0]) * x, [3.0, 5.0]),
        (np.array([3.0, 5.0]) - x, [-1.0, -1.0]),
    ):
        assert bl.grad(y.sum(), x).tolist() == pytest.approx(want)


def test_operators_refuse_what_is_no_number():
    for other in ("text", None, 1j, object()):
        with pytest.raises(DTypeError, match="the data must be numbers in a regular nesting, got"):
            bl.tensor(A) + other


def test_shapes_must_broadcast():
    with pytest.raises(ShapeError, match=r"add: shapes must broadcast .* got \(2, 3\) and \(2,\)"):
        bl.tensor(A) + bl.tensor([1.0, 2.0])


# -- promotion ------------------------------------------------------------------------------------

NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64"
NAMES = NAMES.split()


@every(
    "a, b, want",
    [
        ("int64", "float32", "float32"),
        ("int8", "float16", "float16"),
        ("float16", "bfloat16", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("uint8", "int8", "int16"),
        ("uint32", "int32", "int64"),
        ("bool", "int8", "int8"),
        ("bool", "float16", "float16"),
        ("uint8", "uint16", "uint16"),
    ],
)
def test_promotion(a, b, want):
    x, y = bl.ones((2,), dtype=a), bl.ones((2,), dtype=b)
    assert (x + y).dtype == (y + x).dtype == bl.result_type(x, y) == np.dtype(want)
    assert (x + y).tolist() == [2, 2] if want != "bool" else [True, True]


@given(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_promotion_is_commutative_and_associative_among_floats_and_integers(a, b, c):
    def kind(name):
        return "float" if "float" in name else "bool" if name == "bool" else name[0]

    try:
        ab = bl.result_type(np.dtype(a), np.dtype(b))
    except DTypeError:
        assert "uint64" in (a, b)
        with pytest.raises(DTypeError):
            bl.result_type(np.dtype(b), np.dtype(a))
        return
    assert ab == bl.result_type(np.dtype(b), np.dtype(a))
    assert bl.result_type(ab, np.dtype(a)) == ab
    if kind(a) == kind(b) == kind(c):
        bc = bl.result_type(np.dtype(b), np.dtype(c))
        assert bl.result_type(ab, np.dtype(c)) == bl.result_type(np.dtype(a), bc)


def test_python_numbers_are_weak():
    for name in ("float16", "bfloat16", "float32", "float64"):
        x = bl.ones((2,), dtype=name)
        assert {(x + 1).dtype, (x * 2.5).dtype, (1 / x).dtype, (x**2).dtype} == {np.dtype(name)}
    for name in ("int8", "uint8", "int32"):
        x = bl.ones((2,), dtype=name)
        assert (x + 1).dtype == np.dtype(name)
        assert (x + 1.5).dtype == bl.float32
        assert (x / 2).dtype == bl.float32
    assert (bl.tensor([True]) + 1.5).dtype == bl.float32


def test_uint64_and_signed_have_no_common_type():
    a, b = bl.ones((2,), dtype="uint64"), bl.ones((2,), dtype="int64")
    with pytest.raises(
        DTypeError,
        match="promotion: no integer type holds both uint64 and int64; cast one with astype",
    ):
        a + b
    assert (a.astype("int64") + b).tolist() == [2, 2]


def test_unsupported_dtypes():
    for bad in ("str", "datetime64[s]", "nonsense", object):
        with pytest.raises(
            DTypeError, match=r"dtype: .* is not supported; use one of bfloat16, bool"
        ):
            bl.zeros((2,), dtype=bad)
    with pytest.raises(DTypeError, match="got an array of complex numbers"):
        bl.tensor(np.array([1j]))


def test_result_type_needs_an_array():
    with pytest.raises(DTypeError, match="result_type: at least one array or dtype is required"):
        bl.result_type(1, 2.0)


# -- making ----------------------------------------------------------------------------------------


def test_python_numbers_have_default_types():
    assert bl.tensor(1.5).dtype == bl.tensor([[1.0, 2]]).dtype == bl.float32
    assert bl.tensor(3).dtype == bl.tensor([1, 2]).dtype == bl.int64
    assert bl.tensor(True).dtype == bl.bool
    assert bl.tensor([]).dtype == bl.float32


def test_arrays_keep_their_type():
    for name in NAMES:
        dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
        assert bl.tensor(np.ones(2, dtype)).dtype == dtype
        assert bl.tensor([np.ones(2, dtype)] * 2).dtype == dtype


def test_tensors_nest_in_lists():
    assert bl.tensor([bl.tensor(1.0), 2.0]).tolist() == [1.0, 2.0]


def test_tensor_copies_and_asarray_shares():
    array = np.ones(2, np.float32)
    a, b = bl.tensor(array), bl.asarray(array)
    array[0] = 5.0
    assert (a.tolist(), b.tolist()) == ([1.0, 1.0], [5.0, 1.0])
    assert bl.asarray(b) is b
    assert bl.asarray(b, copy=True) is not b
    with pytest.raises(ArgumentError, match="asarray: copy=False, but a copy is needed"):
        bl.asarray(array, dtype="float64", copy=False)


def test_irregular_data():
    with pytest.raises(
        ArgumentError, match="tensor: the data must be numbers in a regular nesting"
    ):
        bl.tensor([[1.0], [1.0, 2.0]])
    with pytest.raises(DTypeError, match="got a text, 'text'; number the classes first"):
        bl.tensor("text")


def test_only_floating_leaves_require_a_gradient():
    assert bl.tensor([1.0], requires_grad=True).requires_grad
    with pytest.raises(
        DTypeError, match="requires_grad: only floating Tensors have gradients, got int64"
    ):
        bl.tensor([1], requires_grad=True)
    y = bl.tensor([1.0], requires_grad=True) * 2
    with pytest.raises(
        GradientError, match="requires_grad_: this Tensor was computed by multiply; only"
    ):
        y.requires_grad_(False)


def test_the_attribute_requires_grad_asks_as_the_method_does():
    whole = bl.tensor([1, 2])
    with pytest.raises(DTypeError, match="only floating Tensors have gradients, got int64; use"):
        whole.requires_grad = True
    assert not whole.requires_grad
    x = bl.tensor([1.0])
    x.requires_grad = True
    y = x * 2
    assert bl.grad(y.sum(), x).tolist() == [2.0]
    y.requires_grad = True  # it does already
    with pytest.raises(GradientError, match="computed by multiply; only leaves are asked"):
        y.requires_grad = False
    x.requires_grad = False
    assert not (x * 2).requires_grad


# -- where a gradient would end --------------------------------------------------------------------

W = bl.tensor([1.0, 2.0, 3.0], requires_grad=True)
S = bl.tensor(0.5, requires_grad=True)
ONES = bl.ones(3)

LISTS = {
    "mean": lambda: bl.mean([S, S * 2]),
    "max": lambda: bl.max([S, 1.0]),
    "left": lambda: [S, S, S] * ONES,
    "right": lambda: ONES * (S, 1.0, 2.0),
    "nested": lambda: bl.zeros((2, 1)) - [[S], (1.0,)],
    "tensor": lambda: bl.tensor([S, S]),
    "asarray": lambda: bl.asarray([S, S]),
    "Parameter": lambda: nn.Parameter([S, S]),
    "concat": lambda: bl.concat([[S, S], ONES]),
    "where": lambda: bl.where(ONES > 0, [S, S, S], 0.0),
    "einsum": lambda: bl.einsum("i,i", [S, S], [1.0, 2.0]),
    "matmul": lambda: ONES @ [S, S, S],
    "loss": lambda: functional.mse_loss(ONES, [S, S, S]),
    "layer": lambda: nn.Linear(3, 1)([S, S, S]),
    "assign": lambda: bl.zeros(2).assign([S, S]),
}


@every("call", LISTS.values())
def test_a_list_of_tensors_does_not_cut_their_gradients(call):
    text = (
        r"a list of Tensors: a Tensor that requires a gradient \(float32\[\].* would lose it here.*"
    )
    for way in (call, bl.compile(lambda: call())):
        with pytest.raises(GradientError, match=text + r"; use backlit.stack, or t.detach\(\)"):
            way()
    with bl.no_grad():
        call()


def test_a_list_of_tensors_without_gradients_is_an_array():
    a, b = bl.tensor(1.0), bl.tensor(2.0)
    assert bl.mean([a, b]).item() == 1.5
    assert (bl.ones(2) * (a, S.detach())).tolist() == [1.0, 0.5]
    text = r"a list of Tensors: a captured function cannot ask for a value.*; use backlit.stack"
    with pytest.raises(TraceError, match=text):
        bl.compile(lambda x: bl.mean([x, x]))(a)


NUMPY = {
    "asarray": (lambda t: np.asarray(t), "numpy"),
    "array": (lambda t: np.array([t, t]), "numpy"),
    "ufunc": (lambda t: np.sqrt(t), "numpy"),
    "ufunc of two": (lambda t: np.add(np.ones(3), t), "numpy"),
    "list": (lambda t: np.mean([t, t]), "numpy"),
    "dot": (lambda t: np.dot(t, t), "numpy.dot"),
    "sum": (lambda t: np.sum(t), "numpy.sum"),
    "max": (lambda t: np.max(t, axis=0), "numpy.max"),
    "concatenate": (lambda t: np.concatenate([t, np.ones(3)]), "numpy.concatenate"),
    "where": (lambda t: np.where(np.ones(3) > 0, 1.0, t), "numpy.where"),
    "linalg": (lambda t: np.linalg.norm(t), "numpy.linalg.norm"),
    "keyword": (lambda t: np.clip(a=np.ones(3), a_min=0.0, a_max=t), "numpy.clip"),
}


@every("call, name", NUMPY.values())
def test_a_numpy_function_does_not_cut_a_gradient(call, name):
    text = rf"{name}: a Tensor that requires a gradient \(float32\[3\].*\) would lose it here; use "
    for t in (W, W * 2):
        with pytest.raises(GradientError, match=text + r".*or t.detach\(\).numpy\(\)"):
            call(t)
    np.testing.assert_array_equal(call(W.detach()), call(W.numpy()))
    with bl.no_grad():
        np.testing.assert_array_equal(call(W), call(W.numpy()))
    with pytest.raises(TraceError, match=r"numpy.*: a captured function cannot ask for a value"):
        bl.compile(lambda t: call(t))(ONES)


def test_the_error_names_the_function_and_the_module():
    class Net(nn.Module):
        def forward(self, t):
            return np.concatenate([t, t])

    with pytest.raises(GradientError, match=r"lose it here; in Net; use backlit.concat, or"):
        Net()(W)
    with pytest.raises(GradientError, match=r"computed by multiply.*use backlit.sum, or t.detach"):
        np.sum(W * 2)


def test_numpy_reads_a_shape_and_mixed_operators_keep_the_gradient():
    assert (np.shape(W), np.ndim(W), np.size(W)) == ((3,), 1, 3)
    for y in (np.ones(3) * W, np.float64(1) * W, np.ones((3, 3)) @ W - 3, np.ones(3) + W - 1):
        assert y.requires_grad
    assert bl.grad((np.full(3, 2.0) * W).sum(), W).tolist() == [2.0] * 3
    total = np.zeros(3)
    total += W
    assert total.requires_grad
    kept = np.zeros(3)
    kept[1] = S  # like float(S)
    assert kept.tolist() == [0.0, 0.5, 0.0]


def test_a_tensor_is_copied_with_its_gradient_or_not_at_all():
    with pytest.raises(GradientError, match=r"tensor: .* lose it here; use the Tensor itself"):
        bl.tensor(W)
    with pytest.raises(GradientError, match=r"tensor: .* lose it here; use the Tensor itself"):
        bl.compile(lambda: bl.tensor(W))()
    copied = bl.asarray(W, copy=True)
    assert copied.op == "positive"
    assert copied.array is not W.array
    assert bl.asarray(W.detach(), copy=True).array is not W.array
    assert bl.compile(lambda x: bl.tensor(x, "float64") * 2)(ONES).dtype == np.float64
    parameter = nn.Parameter(W * 2)  # a new leaf
    assert parameter.is_leaf
    assert parameter.tolist() == [2.0, 4.0, 6.0]


NUMBERS_ONLY = {
    "leaky_relu: negative_slope": lambda: functional.leaky_relu(ONES, S),
    "elu: alpha": lambda: functional.elu(ONES, S),
    "dropout: p": lambda: functional.dropout(ONES, S),
    "huber_loss: delta": lambda: functional.huber_loss(ONES, ONES, delta=S),
    "smooth_l1_loss: beta": lambda: functional.smooth_l1_loss(ONES, ONES, beta=S),
    "hinge_embedding_loss: margin": lambda: functional.hinge_embedding_loss(ONES, ONES, margin=S),
    "multi_margin_loss: margin": lambda: functional.multi_margin_loss(ONES, 1, margin=S),
    "cross_entropy: label_smoothing": lambda: functional.cross_entropy(
        ONES, bl.tensor(1), label_smoothing=S
    ),
    "batch_norm: eps": lambda: functional.batch_norm(bl.ones((2, 3)), training=True, eps=S),
    "layer_norm: eps": lambda: functional.layer_norm(ONES, 3, eps=S),
    "group_norm: eps": lambda: functional.group_norm(ONES[None], 1, eps=S),
    "std: correction": lambda: bl.std(ONES, correction=S),
    "arange": lambda: bl.arange(S, 3),
    "normal": lambda: bl.random.normal((2,), S),
    "collate": lambda: data.collate([S, S]),
    "TensorDataset": lambda: data.TensorDataset(W),
    "unique_values": lambda: bl.unique_values(W),
    "unique_counts": lambda: bl.unique_counts(W),
    "unique_inverse": lambda: bl.unique_inverse(W),
    "unique_all": lambda: bl.unique_all(W),
    "uniform": lambda: bl.random.uniform((2,), high=S),
}


@every("name", NUMBERS_ONLY)
def test_what_takes_only_numbers_takes_no_gradient_away(name):
    call = NUMBERS_ONLY[name]
    with pytest.raises(GradientError, match=rf"{name}: .*\(float32\[3?\]\) would lose it here; "):
        call()
    with bl.no_grad():
        call()


def test_an_attribute_of_an_op_takes_no_gradient_away():
    with pytest.raises(
        GradientError, match="mean: axis is an attribute, to which no gradient goes"
    ):
        reductions.Mean(axis=S, keepdims=False)


def test_a_value_for_all_elements_and_a_rounded_one_keep_the_gradient():
    for y in (bl.full((3,), S), bl.full_like(ONES, S)):
        assert bl.grad(y.sum(), S).item() == 3.0
    assert round(bl.tensor(1.234), 2).item() == pytest.approx(1.23)
    assert round(bl.tensor([1.5, 2.5, -1.2])).tolist() == [2.0, 2.0, -1.0]
    assert round(bl.tensor([14, 16])).dtype == np.int64
    assert round(bl.tensor(167.0), -1).item() == 170.0
    assert round(S, 1).requires_grad


# -- indexing --------------------------------------------------------------------------------------

X = np.arange(60, dtype=np.float64).reshape(3, 4, 5)
INDICES = [
    0, -1, (1, 2), (1, 2, 3), slice(None), slice(1, None), slice(None, None, 2),
    slice(None, None, -1), slice(3, 0, -2), slice(5, 9), slice(-2, None), (slice(None), 1),
    (0, slice(1, 3), slice(None, None, -2)), ..., (..., 0), (0, ...), (0, ..., 1),
    (slice(1), ..., slice(2)), None, (None, 0), (0, None), (..., None), (slice(None), None, 2),
    (None, None, ..., None), [0, 2], ([0, 2], [1, 3]), ([[0], [2]], [1, 3]),
    (slice(None), [0, 2, 2]), (0, [1, 2]), ([1, 2], 0), ([0, 1], slice(None), [2, 3]),
    (slice(None), [0, 1], [2, 3]), ([0, 1], None, [2, 3]), (..., [0, -1]), ([-1, -3],),
    (0, slice(None), [1, 2]), ([0, 1], 1, [2, 3]), (None, [0, 1]), np.array([2, 0]), np.array(1),
    np.array([], np.int64), ([],), (slice(0, 0), 1), (np.array([[0, 1], [1, 2]]), np.array([0, 1])),
    X > 30, X[:, :, 0] > 20, (X[:, 0, 0] > 10, 2), (0, X[0] % 2 == 0),
    (slice(None), X[0] % 3 == 0), np.zeros((3, 4, 5), bool),
    (X[:, 0, 0] > 10, slice(None), [0, 1]), (np.int64(1), np.uint8(2)), True, False, (0, True),
    (slice(None), True), (True, [0, 1]), (True, True, slice(1)), np.array(True), np.bool_(False),
    ((0, 1),), ((0, 1), [3, 2]), range(2), (range(2), 1), ([[]],), (None, 0, 1, ..., [3, -3]),
    (slice(None), 0, ..., [3, -3]), ([0, 1], ..., 1, [3, -3]), (0, ..., True, [0, 1], 2),
]  # fmt: skip


@every("index", INDICES)
def test_indexing_agrees_with_numpy(index):
    x = bl.tensor(X, requires_grad=True)
    y = x[index]
    same(y, X[index])
    weights = np.random.default_rng(0).normal(size=y.shape)
    (y * bl.tensor(weights)).sum().backward()
    want = np.zeros_like(X)
    np.add.at(want, index, weights)
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-14)


def test_indexing_by_tensors():
    x, i = bl.tensor(X), bl.tensor([2, 0])
    same(x[i], X[[2, 0]])
    same(x[i, 1], X[[2, 0], 1])
    same(x[bl.tensor(1)], X[1])
    same(x[x > 30], X[X > 30])
    same(x[i.astype("uint8")], X[[2, 0]])


@given(st.data())
def test_slices_of_every_kind(data):
    size = data.draw(st.integers(0, 6))
    bound = st.none() | st.integers(-8, 8)
    step = data.draw(st.none() | st.integers(-4, 4).filter(bool))
    index = slice(data.draw(bound), data.draw(bound), step)
    array = np.arange(size, dtype=np.float64)
    x = bl.tensor(array, requires_grad=True)
    same(x[index], array[index])
    x[index].sum().backward()
    want = np.zeros(size)
    want[index] = 1
    np.testing.assert_array_equal(x.grad.numpy(), want)


@every(
    "index, error, text",
    [
        (3, IndexRangeError, r"indexing: the index must lie in \[-3, 3\) on axis 0, got 3"),
        ((0, -5), IndexRangeError, r"indexing: the index must lie in \[-4, 4\) on axis 1, got -5"),
        ([0, 3], IndexRangeError, r"indexing: indices must lie in \[-3, 3\) on axis 0, got 3"),
        ((0, [0, -5]), IndexRangeError, r"indices must lie in \[-4, 4\) on axis 1, got -5"),
        ((0, 0, 0, 0), ShapeError, r"indexing: 4 indices are too many for shape \(3, 4, 5\)"),
        ((..., ...), ShapeError, r"indexing: `...` may stand only once in an index"),
        (
            1.0,
            DTypeError,
            r"indexing: an index is an integer, slice, Tensor, None or ..., got 1\.0",
        ),
        ("a", DTypeError, "indexing: an index is an integer, .* got 'a'"),
        (slice(0, 1, 0), ArgumentError, r"indexing: slice step cannot be zero, got slice\(0"),
        ([0.5], DTypeError, r"indexing: index arrays must be integers or bool, got float32\[1\]"),
        (([0, 1], [0, 1, 2]), ShapeError, "index arrays must broadcast"),
    ],
)
def test_bad_indices(index, error, text):
    with pytest.raises(error, match=text):
        bl.tensor(X)[index]


def test_a_mask_of_nothing_selects_nothing():
    x = bl.zeros((0, 3))
    assert x[np.zeros(0, bool)].shape == (0, 3)
    assert x[np.zeros((0, 3), bool)].shape == (0,)


def test_a_mask_must_have_the_shape_of_what_it_selects():
    with pytest.raises(ShapeError, match=r"got size 0 for axis 1 of float32\[0,3\]"):
        bl.zeros((0, 3))[:, np.zeros(0, bool)]
    with pytest.raises(ShapeError, match=r"mask"):
        bl.tensor(X)[np.ones(2, bool)]


# -- assignment ------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, (1, 2), slice(None, None, 2), [0, 2], X > 30, (..., None, 0)])
def test_item_assignment_agrees_with_numpy(index):
    x, want = bl.tensor(X), X.copy()
    x[index] = 7.0
    want[index] = 7.0
    same(x, want)
    values = np.random.default_rng(0).normal(size=want[index].shape)
    x[index], want[index] = bl.tensor(values), values
    same(x, want)


def test_item_assignment_leaves_shared_values_alone():
    x = bl.tensor([1.0, 2.0])
    y, seen = x.detach(), x.numpy()
    x[0] = 5.0
    assert (y.tolist(), seen.tolist(), x.tolist()) == ([1.0, 2.0], [1.0, 2.0], [5.0, 2.0])


def test_a_table_is_filled_in_its_own_memory():
    x = bl.zeros((3, 4))
    place = x.array.__array_interface__["data"][0]
    for i, j in np.ndindex(3, 4):
        x[i, j] = i + j
    x[1:, ::2] = bl.tensor([7.0, 8.0])
    assert x.tolist() == [[0, 1, 2, 3], [7, 2, 8, 4], [7, 3, 8, 5]]
    with pytest.raises(ShapeError):
        x[0] = bl.zeros((2,))
    assert x.array.__array_interface__["data"][0] == place


def test_a_table_is_not_filled_in_memory_that_somebody_has_seen():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    step = bl.compile(lambda t: t * 2)

    def kept(value):
        return lambda: value

    def product(x):
        y = (w * x).sum()
        return lambda: bl.grad(y, w)

    seen = {
        "a Tensor of the same value": lambda x: kept(x.detach()),
        "a view": lambda x: kept(x[:]),
        "NumPy's view of it": lambda x: kept(x.numpy()),
        "DLPack": lambda x: kept(np.from_dlpack(x)),
        "the tape": product,
        "a compiled function": lambda x: kept(step(x) / 2),
    }
    for name, look in seen.items():
        x = bl.tensor([3.0, 4.0])
        got = look(x)
        x[0] = 5.0
        x[1:] = 6.0
        assert np.asarray(got()).tolist() == [3.0, 4.0], name
        assert x.tolist() == [5.0, 6.0], name
        assert step(x).tolist() == [10.0, 12.0], name
    array = np.array([3.0, 4.0])
    x = bl.asarray(array)
    x[0] = 5.0
    assert array.tolist() == [3.0, 4.0]
    x = bl.tensor([3.0, 4.0, 5.0])
    x[1:] = x[:-1]
    assert x.tolist() == [3.0, 3.0, 4.0]


def test_item_assignment_by_tensor_index():
    x = bl.tensor([1.0, 2.0, 3.0])
    x[bl.tensor([0, 2])] = bl.tensor([7.0, 8.0])
    x[x > 7.5] = 0.0
    assert x.tolist() == [7.0, 2.0, 0.0]


def test_item_assignment_casts_as_numpy_does():
    whole = bl.zeros(3, dtype="int64")
    whole[0], whole[1], whole[2] = 2.7, bl.tensor(-3.9), True
    truth = bl.zeros(2, dtype="bool")
    truth[0] = 5
    half = bl.zeros(1, dtype="bfloat16")
    half[0] = bl.tensor(1.0, dtype="float64")
    assert (whole.tolist(), truth.tolist(), half.tolist()) == ([2, -3, 1], [True, False], [1.0])
    assert (whole.dtype, truth.dtype, half.dtype) == (bl.int64, bl.bool, bl.bfloat16)


V = np.arange(4.0)


@every(
    "x, index, value, error, text",
    [
        (
            V,
            0,
            [1.0, 2.0],
            ShapeError,
            r"to the selected shape \(\), got float64\[2\] \(x: float64\[4",
        ),
        (V, [0, 1], [1, 2, 3], ShapeError, r"item assignment: .* shape \(2,\), got float64\[3\]"),
        (X, X > 0, np.ones((3, 5)), ShapeError, "item assignment: the value must broadcast to the"),
        (X, np.ones((3, 2), bool), 1.0, ShapeError, r"item assignment: a mask must have the sizes"),
        (X[0], np.ones(4, bool), [1, 2], ShapeError, r"shape \(5,\), got float64\[2\] \(x: f"),
        (V, 5, 1.0, IndexRangeError, r"the index must lie in \[-4, 4\) on axis 0, got 5"),
        (V, [5], 1.0, IndexRangeError, r"indices must lie in \[-4, 4\) on axis 0, got 5"),
        (V, 0, "text", DTypeError, "got a text, 'text'"),
        (
            np.zeros(2, np.uint8),
            0,
            300,
            ArgumentError,
            r"uint8 holds 0 to 255, got 300 \(x: uint8\[",
        ),
        (np.zeros(2, np.int8), 0, float("nan"), ArgumentError, r"int8 holds -128 to 127, got nan"),
        (
            np.zeros(2, np.int64),
            0,
            bl.tensor(1.0, requires_grad=True),
            DTypeError,
            r"item assignment: a int64\[2\] has no gradient to hand on, but the value requires one",
        ),
    ],
)
def test_bad_item_assignments(x, index, value, error, text):
    x = bl.tensor(x)
    before = x.tolist()
    with pytest.raises(error, match=text):
        x[index] = value
    assert x.tolist() == before


# -- in place --------------------------------------------------------------------------------------

IN_PLACE = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "//=": operator.ifloordiv,
    "%=": operator.imod,
    "**=": operator.ipow,
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_operators_in_place_keep_the_object_and_its_dtype(name):
    x, want = bl.tensor(X[0] + 0.5), X[0] + 0.5
    one, other = x, x.detach()
    want = IN_PLACE[name](want, 2.0)
    x = IN_PLACE[name](x, 2.0)
    assert x is one
    same(x, want)
    assert other.tolist() == (X[0] + 0.5).tolist()  # who shared the old value keeps it
    half = bl.tensor([1.5], dtype="float16")
    assert IN_PLACE[name](half, bl.tensor([2.0], dtype="float64")).dtype == bl.float16


def test_matrix_product_and_bits_in_place():
    x, bits = bl.tensor([[1.0, 2.0], [3.0, 4.0]]), bl.tensor([6, 1])
    one, two = x, bits
    x @= bl.tensor([[0.0, 1.0], [1.0, 0.0]])
    bits &= 3
    bits |= 8
    bits ^= 1
    bits <<= 2
    bits >>= 1
    assert (x is one, x.tolist()) == (True, [[2.0, 1.0], [4.0, 3.0]])
    assert (bits is two, bits.tolist()) == (True, [22, 16])


def test_gradients_go_through_changes_in_place():
    w = bl.tensor([2.0, 3.0], requires_grad=True, dtype="float64")
    total = bl.zeros(2, dtype="float64")
    kept = total * w  # used before: the old value, and no gradient for `total`
    total += w * w
    total[0] = w[1] * 5
    total *= w
    assert total.tolist() == [30.0, 27.0]
    (kept + total).sum().backward()
    # total = (5 w1 w0, w1^3)
    assert w.grad.tolist() == [15.0, 37.0]
    assert total.grad is None


def test_second_derivatives_go_through_changes_in_place():
    def f(x):
        y = bl.zeros(3, dtype="float64")
        y[bl.tensor([2, 0, 2])] = x**3
        y[1:] *= x[:2]
        return y

    x = bl.tensor([0.5, 1.5, -2.0], dtype="float64", requires_grad=True)
    assert bl.gradcheck(f, x, order=2)


def test_a_row_at_a_time_is_stack():
    w = bl.tensor(X, requires_grad=True)
    rows = bl.zeros(X.shape, dtype="float64")
    for i in range(3):
        rows[i] = bl.tanh(w[i])
    gradient = bl.grad((rows * rows).sum(), w)
    want = bl.grad((bl.tanh(w) * bl.tanh(w)).sum(), w)
    np.testing.assert_allclose(gradient.tolist(), want.tolist(), 1e-14)


def test_of_repeated_indices_the_last_one_stays_and_gets_the_gradient():
    x, v = (bl.tensor(a, requires_grad=True) for a in ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]))
    y = x * 1
    y[bl.tensor([2, 0, 2])] = v
    assert y.tolist() == [20.0, 2.0, 30.0]
    y.backward(bl.tensor([5.0, 6.0, 7.0]))
    assert (x.grad.tolist(), v.grad.tolist()) == ([0.0, 6.0, 0.0], [0.0, 5.0, 7.0])


def test_masks_in_assignments_hand_gradients_on():
    x, v = bl.tensor([1.0, -2.0, -3.0], requires_grad=True), bl.tensor(4.0, requires_grad=True)
    y = x * 1
    y[y < 0] = v
    assert y.tolist() == [1.0, 4.0, 4.0]
    y.sum().backward()
    assert (x.grad.tolist(), v.grad.item()) == ([1.0, 0.0, 0.0], 2.0)


def change_item(x):
    x[0] = 5.0


def add_one(x):
    x += 1.0


@pytest.mark.parametrize(
    ("change", "what", "after"),
    [(change_item, "item assignment", [5.0, 2.0]), (add_one, r"\+=", [2.0, 3.0])],
)
def test_a_leaf_that_requires_a_gradient_changes_under_no_grad_only(change, what, after):
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    with pytest.raises(
        GradientError, match=what + r": a leaf that requires a gradient \(float32\[2\]\) cannot"
    ):
        change(x)
    assert x.tolist() == [1.0, 2.0]
    with bl.no_grad():
        change(x)
    assert (x.tolist(), x.is_leaf, x.requires_grad) == (after, True, True)
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]  # of the value that was used


def test_what_was_computed_stays_on_the_tape_when_it_changes_under_no_grad():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = bl.tanh(x)
    with bl.no_grad():
        y += 10.0
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), 1 - np.tanh([1.0, 2.0]) ** 2, 1e-6)


def test_bad_changes_in_place():
    x, n = bl.tensor([1.0, 2.0]), bl.tensor([1, 2])
    with pytest.raises(
        ShapeError, match=r"\+=: the result must have the shape .* \(2,\), got \(3, 2\); make a new"
    ):
        x += bl.ones((3, 2))
    with pytest.raises(DTypeError, match=r"/=: int64 cannot hold the result, which is float32; "):
        n /= 2
    bits = n.astype("uint8")
    with pytest.raises(DTypeError, match=r"\*=: uint8 cannot hold the result, which is int64"):
        bits *= n
    assert (x.tolist(), n.tolist()) == ([1.0, 2.0], [1, 2])


def test_a_graph_that_a_leaf_was_put_on_dies_with_it():
    gc.collect()
    gc.disable()
    try:
        w = bl.tensor([1.0], requires_grad=True)
        y = bl.zeros(1)
        y += w
        y[0] = w[0]
        seen = weakref.ref(y)
        del y
        assert seen() is None
    finally:
        gc.enable()


def test_retained_gradients_are_those_of_the_new_value():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.retain_grad()
    y *= 2
    (y * y).sum().backward()
    assert y.grad.tolist() == [12.0, 24.0]  # 2 y, y = 6 x
    assert x.grad.tolist() == [72.0, 144.0]


def test_assign_replaces_values_and_keeps_type():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    assert x.assign(bl.tensor([3, 4])) is x
    assert (x.tolist(), x.dtype, x.requires_grad) == ([3.0, 4.0], bl.float32, True)
    assert x.assign(np.array([5.0, 6.0])).tolist() == [5.0, 6.0]
    assert x.assign([7.0, 8.0]).tolist() == [7.0, 8.0]


def test_assign_does_not_alias_arrays():
    array = np.array([1.0, 2.0], np.float32)
    x = bl.tensor([0.0, 0.0]).assign(array)
    array[0] = 9.0
    assert x.tolist() == [1.0, 2.0]


def test_bad_assigns():
    x = bl.tensor([1.0, 2.0])
    with pytest.raises(
        ShapeError, match=r"assign: the value must have shape \(2,\), got float32\[3\]"
    ):
        x.assign(bl.zeros((3,)))
    y = bl.tensor([1.0], requires_grad=True) * 2
    with pytest.raises(
        GradientError, match=r"assign: only leaf Tensors .* was computed by multiply"
    ):
        y.assign([1.0])


# -- values ----------------------------------------------------------------------------------------


def test_item_and_tolist():
    assert bl.tensor([[2.5]]).item() == 2.5
    assert type(bl.tensor(3).item()) is int
    assert type(bl.tensor(True).item()) is bool
    assert type(bl.tensor(1.5, dtype="bfloat16").item()) is float
    assert bl.tensor(I).tolist() == I.tolist()
    assert bl.tensor([1.5, 2.0], dtype="bfloat16").tolist() == [1.5, 2.0]
    with pytest.raises(
        ShapeError, match=r"item: the Tensor must have exactly one element, got shape"
    ):
        bl.tensor(A).item()


def test_numbers():
    assert float(bl.tensor([2.5])) == 2.5
    assert int(bl.tensor(2.9)) == 2
    assert bool(bl.tensor([[0.0]])) is False
    assert [10, 20, 30][bl.tensor(2)] == 30
    assert f"{bl.tensor(3.14159):.2f}" == "3.14"
    assert f"{bl.tensor(16)}/{bl.tensor(0.5)}" == "16/0.5"
    assert f"{bl.tensor([16])}" == str(bl.tensor([16]))
    for convert, name in ((float, "float"), (int, "int"), (bool, "bool")):
        with pytest.raises(
            ShapeError, match=rf"{name}\(\): the truth or number of a Tensor of shape"
        ):
            convert(bl.tensor(A))
    with pytest.raises(
        DTypeError, match="index: only integer Tensors can be an index, got float32"
    ):
        [1, 2][bl.tensor(1.0)]


def test_length_and_iteration():
    x = bl.tensor(A, requires_grad=True)
    assert len(x) == 2
    rows = list(x)
    assert [r.tolist() for r in rows] == A.tolist()
    (rows[0] * 2 + rows[1]).sum().backward()
    assert x.grad.tolist() == [[2.0] * 3, [1.0] * 3]
    a, b = bl.tensor([1.0, 2.0])
    assert (a.item(), b.item()) == (1.0, 2.0)
    assert 4.0 in bl.tensor(A)
    assert 4.25 not in bl.tensor(A)
    with pytest.raises(ShapeError, match="len: a Tensor of no axes has no length"):
        len(bl.tensor(1.0))
    with pytest.raises(ShapeError, match="iteration: a Tensor of no axes cannot be iterated"):
        iter(bl.tensor(1.0))


def test_properties():
    x = bl.tensor(X)
    assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((3, 4, 5), 3, 60, bl.float64, "cpu")
    assert (x.is_leaf, x.op, (x * 1).op) == (True, None, None)
    y = bl.tensor([1.0], requires_grad=True) * 2
    assert (y.is_leaf, y.op) == (False, "multiply")
    same(bl.tensor(A).T, A.T)
    same(x.mT, X.mT)
    with pytest.raises(
        ShapeError, match=r"T: the Tensor must have 2 axes, got float64\[3,4,5\]; use mT"
    ):
        _ = x.T
    with pytest.raises(ShapeError, match="mT: the Tensor must have at least 2 axes"):
        _ = bl.tensor([1.0]).mT


def test_tensors_are_hashed_by_identity():
    a, b = bl.tensor([1.0]), bl.tensor([1.0])
    assert len({a, b, a}) == 2


def test_casts():
    x = bl.tensor([1.7, -1.7], requires_grad=True)
    assert x.astype("float32") is x
    assert x.astype(float) is x
    assert x.to("float64").dtype == bl.float64
    assert x.astype("int32").tolist() == [1, -1]
    assert x.astype("bool").tolist() == [True, True]
    (x.astype("float64") * 3).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([3.0, 3.0], bl.float32)
    assert not x.astype("int32").requires_grad


def test_devices():
    x = bl.tensor([1.0])
    assert x.to("cpu") is x.to(device="cpu") is x.to_device("cpu") is x
    assert x.to("cpu", "float64").dtype == bl.float64
    for move in (lambda: x.to("cuda"), lambda: x.to("cuda:0"), lambda: x.to_device("mps"),
                 lambda: bl.zeros((1,), device="gpu")):  # fmt: skip
        with pytest.raises(
            ArgumentError, match=r"device: must be 'cpu', got '.*'; Backlit computes on the"
        ):
            move()


# -- other libraries -------------------------------------------------------------------------------


def test_numpy_is_a_view_that_cannot_be_written():
    x = bl.tensor([1.0, 2.0])
    view = x.numpy()
    assert np.shares_memory(view, x.array)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 5.0


def test_numpy_functions_take_tensors():
    x = bl.tensor(A)
    assert np.asarray(x).dtype == np.float32
    assert np.array(x, dtype=np.float64).dtype == np.float64
    assert np.asarray(x).flags.writeable is False
    copied = np.array(x)
    copied[0, 0] = 9.0
    assert x[0, 0].item() == 1.0
    np.testing.assert_array_equal(np.concatenate([x, x]), np.concatenate([A, A]))
    with pytest.raises(ArgumentError, match="__array__: float32 to float64 needs a copy"):
        x.__array__(np.float64, copy=False)


def test_dlpack_to_numpy_and_back():
    x = bl.tensor(A)
    array = np.from_dlpack(x)
    np.testing.assert_array_equal(array, A)
    back = bl.from_dlpack(array)
    same(back, A)
    source = A.copy()
    shared = bl.from_dlpack(source)
    assert np.shares_memory(shared.array, source)
    assert not np.shares_memory(bl.from_dlpack(source, copy=True).array, source)
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(
        GradientError, match=r"__dlpack__: gradients do not cross DLPack; export t.detach"
    ):
        np.from_dlpack(bl.tensor([1.0], requires_grad=True))


def test_what_dlpack_exports_cannot_change_the_tensor():
    x = bl.tensor([1.0, 2.0])
    array = np.from_dlpack(x)
    assert not np.shares_memory(array, x.array)
    if array.flags.writeable:
        array[0] = 9.0
    assert x.tolist() == [1.0, 2.0]
    view = np.from_dlpack(x, copy=False)
    assert np.shares_memory(view, x.array)
    assert not view.flags.writeable
    same(bl.from_dlpack(bl.tensor(A.T.copy()).T), A)


@pytest.mark.parametrize(
    "view",
    [lambda x: x, lambda x: x[1::2, ::3], lambda x: x.T, lambda x: x[::-1],
     lambda x: bl.broadcast_to(x[:1], x.shape), lambda x: x[0, 0], lambda x: x[:0]],
    ids=["whole", "strided", "transposed", "reversed", "broadcast", "scalar", "empty"],
)  # fmt: skip
def test_dlpack_without_a_copy_shares_memory_whatever_the_strides(view):
    x = view(bl.tensor(np.arange(24.0).reshape(4, 6)))
    array = np.from_dlpack(x, copy=False)
    np.testing.assert_array_equal(array, x.numpy())
    assert array.strides == x.array.strides or x.size < 2
    assert np.shares_memory(array, x.array) or not x.size
    assert not array.flags.writeable
    assert np.shares_memory(bl.from_dlpack(x, copy=False).array, x.array) or not x.size
    for copies in (np.from_dlpack(x), np.from_dlpack(x, copy=True)):
        np.testing.assert_array_equal(copies, x.numpy())
        assert not np.shares_memory(copies, x.array)


def test_a_conversion_is_no_sharing():
    with pytest.raises(
        ArgumentError, match=r"asarray: copy=False, but float32\[2,3\] as float64 is a copy; leave"
    ):
        bl.asarray(bl.tensor(A), dtype="float64", copy=False)
    assert bl.asarray(bl.tensor(A), dtype="float32", copy=False).dtype == bl.float32


def test_array_namespace():
    x = bl.tensor(A)
    assert x.__array_namespace__() is bl
    assert x.__array_namespace__(api_version="2024.12") is bl
    with pytest.raises(
        ArgumentError, match=r"__array_namespace__: version '2019.12' is not provided"
    ):
        x.__array_namespace__(api_version="2019.12")


# -- copies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copies_are_leaves_of_their_own(make):
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    x.name = "weight"
    (x * x).sum().backward()
    y = make(x)
    assert (y.tolist(), y.requires_grad, y.name, y.grad) == ([1.0, 2.0], True, "weight", None)
    y.assign([5.0, 6.0])
    assert x.tolist() == [1.0, 2.0]
    with pytest.raises(GradientError, match=r"copy: only leaf Tensors are copied; use t.detach"):
        make(x * 2)


def test_a_deep_copy_keeps_sharing_and_types():
    p = bl.nn.Parameter([1.0])
    a, b = copy.deepcopy([p, p])
    assert a is b
    assert type(a) is bl.nn.Parameter


class Tagged(bl.Tensor):
    """A class of a user's, with attributes."""


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_leaf_is_pickled_as_its_values_and_whether_it_needs_a_gradient(protocol):
    x = bl.tensor([[1.0, 2.0], [3.0, 4.0]], "float16", requires_grad=True)
    x.name, x.grad = "weight", bl.ones((2, 2), dtype="float16")
    n = x.detach().T.astype("bfloat16")
    p = bl.nn.Parameter([1.0])
    b = bl.nn.Buffer([1.0], persistent=False)
    t = Tagged([1])
    t.tag = ["a", t]
    x2, n2, p2, p3, b2, t2, data = pickle.loads(pickle.dumps((x, n, p, p, b, t, p.data), protocol))
    assert (x2.tolist(), x2.dtype, x2.requires_grad) == (x.tolist(), bl.float16, True)
    assert (x2.name, x2.grad) == ("weight", None)
    assert (n2.tolist(), n2.dtype, n2.requires_grad) == ([[1, 3], [2, 4]], bl.bfloat16, False)
    assert p2 is p3
    assert (type(p2), p2.requires_grad) == (bl.nn.Parameter, True)
    assert (type(b2), b2.persistent) == (bl.nn.Buffer, False)
    assert (type(t2), t2.tag[0], t2.dtype) == (Tagged, "a", bl.int64)
    assert t2.tag[1] is t2
    assert (type(data), data.tolist()) == (bl.Tensor, [1.0])


def test_what_is_on_the_tape_is_not_pickled():
    x = bl.tensor([1.0], requires_grad=True)
    with pytest.raises(
        GradientError,
        match=r"pickle: only leaf Tensors .* \(float32\[1\]\) was computed by mul.*t.detach\(\)",
    ):
        pickle.dumps([x * 2])
    with pytest.raises(TraceError, match="pickle"):
        bl.compile(lambda x: pickle.dumps(x.detach()))(x)


def test_a_deep_copy_of_a_users_class_has_its_attributes():
    x = Tagged([1.0])
    x.tag = ["a", x]
    y = copy.deepcopy(x)
    assert y.tag[1] is y
    assert y.tag is not x.tag


# -- printing --------------------------------------------------------------------------------------


def test_repr():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], shape=(2,), dtype=float32, requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 4.], shape=(2,), dtype=float32, op=multiply)"
    assert str(bl.tensor(3)) == "Tensor(3, shape=(), dtype=int64)"
    assert repr(bl.tensor([[True], [False]])) == (
        "Tensor([[ True],\n        [False]], shape=(2, 1), dtype=bool)"
    )
    assert repr(bl.zeros((0, 3))) == "Tensor([], shape=(0, 3), dtype=float32)"
    assert f"{bl.tensor(1.5)}" == "1.5"


def test_repr_is_elided_and_counts_what_is_not_finite():
    values = np.arange(1000.0)
    values[3] = np.nan
    values[500:503] = np.inf
    assert repr(bl.tensor(values)) == (
        "Tensor([  0.,   1.,   2., ..., 997., 998., 999.], shape=(1000,), "
        "dtype=float64, nan=1, inf=3)"
    )
    assert "nan" not in repr(bl.tensor(np.arange(5)))
    assert repr(bl.tensor([1.0, np.inf], dtype="bfloat16")).endswith("dtype=bfloat16, inf=1)")


@pytest.mark.parametrize(
    "copied",
    [
        lambda x: +x,
        lambda x: bl.positive(x),
        lambda x: bl.astype(x, x.dtype),
        lambda x: bl.reshape(x, x.shape, copy=True),
    ],
    ids=["+", "positive", "astype", "reshape"],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64"])
def test_a_copy_is_a_tensor_of_its_own(copied, dtype):
    x = bl.tensor([1, 2], dtype=dtype)
    for step in (copied, bl.compile(copied)):
        y = step(x)
        y += 1
        assert (x.tolist(), y.tolist(), y.dtype) == ([1, 2], [2, 3], x.dtype)


def test_the_copy_of_truth_values_and_of_a_leaf():
    truth = bl.tensor([True, False])
    assert bl.astype(truth, "bool") is not truth
    assert bl.astype(truth, "bool", copy=False) is truth
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    y = +w
    y *= 3
    (y + bl.astype(w, "float32")).sum().backward()
    assert (w.tolist(), w.grad.tolist()) == ([1, 2], [4, 4])
