"""Element types: names, promotion, weak numbers, 16-bit floats, casts and their gradients."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest

import backlit as bl
from backlit import dtypes
from backlit.compiler import interpreter, native
from backlit.errors import ArgumentError, DTypeError
from backlit.ops import elementwise
from sampling import every

FLOATS = [bl.float16, bl.bfloat16, bl.float32, bl.float64]
INTEGERS = [bl.int8, bl.int16, bl.int32, bl.int64, bl.uint8, bl.uint16, bl.uint32, bl.uint64]


@every(
    "given, want",
    [
        ("float32", bl.float32),
        ("bfloat16", bl.bfloat16),
        (np.float64, bl.float64),
        (np.dtype("int8"), bl.int8),
        (ml_dtypes.bfloat16, bl.bfloat16),
        (float, bl.float32),
        (int, bl.int64),
        (bool, bl.bool),
        (np.dtype(">f4"), bl.float32),
        (np.dtype(">i8").newbyteorder("="), bl.int64),
    ],
)
def test_dtype_by_any_name(given, want) -> None:
    assert dtypes.as_dtype(given) is want  # ops compare dtypes by identity first
    assert bl.ones(1, dtype=given).dtype is want
    assert bl.zeros(1, dtype=given).dtype == want


@every("given", ["complex64", complex, np.complex128, np.dtype(">c8")])
def test_a_complex_dtype_says_that_there_are_none(given) -> None:
    with pytest.raises(DTypeError, match=r"is not supported; there are no complex numbers; comp"):
        dtypes.as_dtype(given)


@every("given", [None, "float8", "O", str, "x" * 3])
def test_unknown_dtype_is_named(given) -> None:
    with pytest.raises(DTypeError, match=r"dtype: .* is not supported; use one of bfloat16, bool"):
        dtypes.as_dtype(given)


def test_defaults_of_python_numbers() -> None:
    assert bl.tensor([1.0]).dtype == bl.float32
    assert bl.tensor([1]).dtype == bl.int64
    assert bl.tensor([True]).dtype == bl.bool
    assert bl.tensor([]).dtype == bl.float32
    assert bl.tensor(np.array([1.0])).dtype == bl.float64
    assert bl.tensor([np.float16(1)]).dtype == bl.float16


def width(dtype) -> tuple[int, int]:
    info = bl.finfo(dtype)
    return info.bits, round(-np.log2(info.eps))


@every("a, b", list(itertools.product(FLOATS, FLOATS)))
def test_the_wider_float_wins(a, b) -> None:
    """bfloat16 and float16 hold different numbers, so together they are float32."""
    want = a if width(a) >= width(b) else b
    if {a, b} == {bl.float16, bl.bfloat16}:
        want = bl.float32
    assert bl.result_type(a, b) == bl.result_type(b, a) == want
    assert (bl.ones(2, dtype=a) + bl.ones(2, dtype=b)).dtype == want
    assert (bl.ones((2, 2), dtype=a) @ bl.ones((2, 2), dtype=b)).dtype == want


@every("floating", FLOATS)
@every("whole", [*INTEGERS, bl.bool])
def test_a_float_wins_over_integers(floating, whole) -> None:
    """As in PyTorch and JAX; NumPy would make float64 of float32 and int32."""
    assert (bl.ones(2, dtype=floating) * bl.ones(2, dtype=whole)).dtype == floating
    assert (bl.ones(2, dtype=whole) - bl.ones(2, dtype=floating)).dtype == floating


def test_integers_and_truth_values() -> None:
    assert bl.result_type(bl.int8, bl.uint8) == bl.int16
    assert bl.result_type(bl.bool, bl.uint16) == bl.uint16
    for signed in ("int8", "int16", "int32", "int64"):
        with pytest.raises(
            DTypeError, match=rf"no integer type holds both .*{signed}.*cast one with astype"
        ):
            bl.result_type(bl.uint64, signed)
        assert not bl.can_cast(signed, bl.uint64)


@every("dtype", FLOATS)
@every("number", [2, 0.5, True])
def test_numbers_take_on_the_floats_dtype(dtype, number) -> None:
    x = bl.full((3,), 1.5, dtype=dtype)
    for y in (
        x + number, number + x, x - number, number - x, x * number, number * x, x / number,
        number / x, x**number, number**x, x // number, x % number, bl.maximum(x, number),
        bl.minimum(number, x), bl.where(x > 0, x, number), bl.hypot(x, number),
        bl.logaddexp(x, number), bl.atan2(number, x), bl.clip(x, 0, number), x.sum() * number,
    ):  # fmt: skip
        assert y.dtype == dtype
    assert ((x < number).dtype, (x == number).dtype) == (bl.bool, bl.bool)


@every("dtype", FLOATS)
@every("number", [2, 0.3, True])
def test_numbers_are_as_weak_where_an_op_is_applied_to_them(dtype, number) -> None:
    """Without the user's functions between: the same elements, eager, interpreted and compiled."""
    x = bl.tensor([1.5, 0.7, -3.1], dtype=dtype)
    ops = (elementwise.Add(), elementwise.Multiply(), elementwise.Maximum())

    def both_ways(x):
        return [y for op in ops for y in (bl.apply(op, x, number), bl.apply(op, number, x))]

    eager = both_ways(x)
    assert {y.dtype for y in eager} == {dtype}
    for executor in (interpreter, native):
        for y, z in zip(eager, bl.compile(both_ways, executor=executor)(x), strict=True):
            assert (z.dtype, z.tolist()) == (dtype, y.tolist())


@every("dtype", FLOATS)
def test_the_float_of_numpy_is_as_weak_as_that_of_python(dtype) -> None:
    """np.float64 is a subclass of float: `x * np.sqrt(2)` is no step to float64."""
    x = bl.tensor([1.5, 0.7], dtype=dtype)
    two = np.float64(2.0)
    for y in (x * two, two * x, bl.maximum(x, two), bl.compile(lambda x: x * two)(x)):
        assert y.dtype == dtype
    assert (x * two).tolist() == (x * 2).tolist()


@every("dtype", [*INTEGERS, bl.bool])
def test_a_float_number_makes_float32_of_integers(dtype) -> None:
    x = bl.ones(2, dtype=dtype)
    assert (x + 0.5).dtype == (0.5 * x).dtype == (x / 2).dtype == bl.float32
    assert bl.exp(x).dtype == bl.sqrt(x).dtype == bl.mean(x).dtype == bl.float32


def test_an_integer_number_makes_int64_of_truth_values() -> None:
    x = bl.tensor([True, False])
    assert (x + 1).dtype == (2 * x).dtype == bl.int64
    assert (x + 1).tolist() == [2, 1]
    assert bl.result_type(bl.bool, 1) == bl.int64
    assert (x | True).dtype == bl.bool
    captured = bl.compile(lambda x: x + 1, executor=interpreter)(x)
    assert (captured.dtype, captured.tolist()) == (bl.int64, [2, 1])


@every("dtype", [bl.float16, bl.bfloat16])
def test_functions_and_gradients_keep_16_bits(dtype) -> None:
    x = bl.full((4,), 0.5, dtype=dtype).requires_grad_()
    for f in (
        bl.exp, bl.sigmoid, bl.tanh, bl.mean, bl.var, bl.std, bl.logsumexp, bl.vector_norm,
        bl.max, bl.prod, lambda x: 1 - x * 0.25, lambda x: x.reshape(2, 2) @ x.reshape(2, 2),
        bl.cumulative_sum, bl.erf, bl.sort, bl.round, lambda x: bl.clip(x, -1.0, 1.0),
        lambda x: bl.pad(x, (1, 1)), lambda x: x[bl.asarray([0, 0])],
    ):  # fmt: skip
        y = f(x)
        assert y.dtype == dtype, f
        assert bl.grad(y, x, bl.ones_like(y)).dtype == dtype
        captured = bl.compile(f, executor=interpreter)(x)
        assert captured.dtype == dtype
        got, want = captured.numpy().astype("f8"), y.numpy().astype("f8")
        np.testing.assert_allclose(got, want, 1e-2)


def test_bfloat16_rounds_to_eight_bits() -> None:
    assert bl.tensor(1.0 + 2**-9, dtype="bfloat16").item() == 1.0
    assert bl.tensor(3.3895313892515355e38, dtype="bfloat16").item() == bl.finfo(bl.bfloat16).max
    assert repr(bl.bfloat16) == "dtype(bfloat16)"
    assert bl.tensor([1.5], dtype="bfloat16").tolist() == [1.5]


def test_cast_carries_the_gradient_back() -> None:
    x = bl.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    y = (x.astype("float16") * 3).astype("float32").sum()
    y.backward()
    assert x.grad.dtype == bl.float64
    assert x.grad.tolist() == [3.0, 3.0]


def test_cast_through_integers_cuts_the_gradient() -> None:
    x = bl.tensor([1.5], requires_grad=True)
    assert not x.astype("int64").requires_grad
    assert not (x > 1).astype("float32").requires_grad


def test_mixed_precision_gradients_have_their_leafs_dtype() -> None:
    a = bl.ones(2, dtype="float16").requires_grad_()
    b = bl.ones(2, dtype="float64").requires_grad_()
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (bl.float16, bl.float64)


def test_only_floats_have_gradients() -> None:
    for dtype in (*INTEGERS, bl.bool):
        with pytest.raises(DTypeError, match=r"only floating Tensors have gradients, got "):
            bl.ones(1, dtype=dtype).requires_grad_()


@every("dtype", [bl.float16, bl.float32, bl.float64])
def test_finfo_of_numpy_types(dtype) -> None:
    ours, numpys = bl.finfo(bl.ones(1, dtype=dtype)), np.finfo(dtype)
    assert (ours.bits, ours.eps, ours.max, ours.min, ours.smallest_normal) == (
        numpys.bits, numpys.eps, numpys.max, numpys.min, numpys.smallest_normal,
    )  # fmt: skip


def test_finfo_of_bfloat16() -> None:
    info = bl.finfo("bfloat16")
    assert (info.bits, info.eps, info.smallest_normal) == (16, 2.0**-7, 2.0**-126)
    assert info.max == -info.min == (2 - 2**-7) * 2.0**127


def test_limits_of_the_wrong_kind() -> None:
    with pytest.raises(DTypeError, match=r"finfo: dtype must be floating, got int32; use iinfo"):
        bl.finfo("int32")
    with pytest.raises(DTypeError, match=r"iinfo: dtype must be an integer type, got float32"):
        bl.iinfo("float32")


def test_kinds() -> None:
    assert bl.isdtype(bl.bfloat16, "real floating")
    assert bl.isdtype(bl.int8, (bl.int8, "bool"))
    assert not bl.isdtype(bl.int8, bl.uint8)
    with pytest.raises(
        ArgumentError, match=r"isdtype: kind must be a dtype or one of bool, .*'big'"
    ):
        bl.isdtype(bl.int8, "big")


def test_result_type_of_numbers_alone() -> None:
    with pytest.raises(DTypeError, match=r"result_type: at least one array or dtype is required"):
        bl.result_type(1, 2.0)
    assert bl.result_type(bl.ones(1, dtype="int8"), 1, bl.float16) == bl.float16
    assert bl.result_type(bl.int32, 1.5) == bl.float32


TYPES = sorted(d.name for d in (*dtypes.INTEGER, bl.bool))


PRODUCTS_AND_TRIANGLES = [
    (bl.tril, np.tril),
    (bl.triu, np.triu),
    (lambda x: bl.vecdot(x, x), lambda x: np.vecdot(x, x)),
    (lambda x: bl.einsum("ij->i", x), lambda x: np.einsum("ij->i", x)),
    (lambda x: bl.einsum("ii->", x), lambda x: np.einsum("ii->", x)),
    (lambda x: bl.einsum("ij,jk,kl->", x, x, x), lambda x: np.einsum("ij,jk,kl->", x, x, x)),
    (lambda x: x @ x, lambda x: x @ x),
    (lambda x: bl.tensordot(x, x, axes=1), lambda x: np.tensordot(x, x, axes=1)),
]


@every("dtype", TYPES)
def test_products_and_triangles_keep_the_type(dtype) -> None:
    x = np.array([[100, 0, 1], [1, 50, 3], [0, 7, 1]]).astype(dtype)

    def everything(x):
        return [ours(x) for ours, _ in PRODUCTS_AND_TRIANGLES]

    for run in (everything, bl.compile(everything)):
        for y, (_, numpys) in zip(run(bl.asarray(x)), PRODUCTS_AND_TRIANGLES, strict=True):
            assert y.dtype == numpys(x).dtype == dtype
            np.testing.assert_array_equal(y.numpy(), numpys(x))


@every("fold", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
@every("dtype", ["bool", "int8", "uint8", "int64", "float32", "bfloat16"])
@every("source", ["bool", "int8", "uint16", "float32"])
def test_a_fold_has_the_type_that_is_asked_for(fold, source, dtype) -> None:
    x = bl.asarray(np.array([[3, 0], [1, 2]]).astype(source))

    def run(x):
        return getattr(bl, fold)(x, axis=1, dtype=dtype)

    whole = x.numpy().astype("float32" if dtype == "bfloat16" else dtype)
    want = getattr(np, fold)(whole, axis=1, dtype=whole.dtype)
    for f in (run, bl.compile(run)):
        y = f(x)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.numpy().astype(whole.dtype), want)


@every("name", ["float", "int", "bool"])
def test_a_type_and_its_name_are_one(name) -> None:
    kind = {"float": float, "int": int, "bool": bool}[name]
    assert dtypes.as_dtype(name) == dtypes.as_dtype(kind)
    assert bl.zeros(2, dtype=name).dtype == bl.zeros(2, dtype=kind).dtype
    assert bl.zeros(2).astype(name).dtype == bl.zeros(2).to(kind).dtype
    assert bl.nn.Linear(2, 2).to("float").weight.dtype == "float32"


@every("dtype", sorted(dtypes.SUPPORTED, key=str))
def test_each_type_is_one_object_because_ops_compare_them_by_identity(dtype) -> None:
    for spelling in (dtype, dtype.name, dtype.type, np.dtype(dtype.name)):
        assert dtypes.as_dtype(spelling) is dtype
    if dtype.name != "bfloat16":
        assert dtypes.as_dtype(np.dtype(dtype.name).newbyteorder()) is dtype
    assert bl.zeros(2, dtype=dtype).array.dtype is dtype


def test_what_is_no_dtype_is_shown_in_part() -> None:
    with pytest.raises(DTypeError, match=r"^dtype: 'xxx") as error:
        bl.zeros(2, dtype="x" * 5000)
    assert len(str(error.value)) < 250
