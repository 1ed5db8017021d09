"""Numbers that a dtype cannot hold: compiled code does what eager code does, in every place."""

from __future__ import annotations

import math
import operator
import warnings

import ml_dtypes
import numpy as np
import pytest

import backlit as bl
from backlit.backend import numpy_backend
from backlit.compiler import interpreter, native
from backlit.errors import ArgumentError, DTypeError
from sampling import every, only

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
NUMBERS = [
    0, 1, -1, 7, 255, 256, -129, 2**31, 2**40, 2**63, -(2**63) - 1, 2**64, 10**400, True, 0.5,
    300.0, 1e300, math.nan, -math.inf,
]  # fmt: skip
FUNCTIONS = {
    name: getattr(bl, name)
    for name in """add subtract multiply floor_divide remainder pow maximum minimum equal not_equal
    less less_equal greater greater_equal logical_and logical_or logical_xor bitwise_and bitwise_or
    bitwise_xor bitwise_left_shift bitwise_right_shift divide""".split()
} | {
    ">": operator.gt,
    "-": operator.sub,
    "**": operator.pow,
    "where": lambda x, n: bl.where(x == 1, n, x),
    "full": lambda x, n: bl.full((3,), n, dtype=x.dtype),
    "full_like": lambda x, n: bl.full_like(x, n),
    "clip": lambda x, n: bl.clip(x, n, None),
    "clip above": lambda x, n: bl.clip(x, None, max=n),
    "pad": lambda x, n: bl.pad(x, [(1, 0)], value=n),
}
ONE_WAY = ("where", "full", "full_like", "clip", "clip above", "pad")


def outcome(function):
    """The value, or what kind of error there was and what it said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = function()
    except (ArgumentError, DTypeError) as error:
        return type(error), str(error)
    return y


def same(a: bl.Tensor, b: bl.Tensor) -> bool:
    close = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-6}.get(a.dtype.name, 1e-14)
    x, y = (t.numpy() for t in (a, b))
    if a.dtype not in (bl.float64, *map(bl.dtypes.as_dtype, FLOATS)):
        return bool(a.dtype == b.dtype and (x == y).all())
    return a.dtype == b.dtype and np.allclose(
        x.astype(np.float64), y.astype(np.float64), rtol=close, atol=0, equal_nan=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype", only("uint8 bfloat16", ["bool", "uint8", "int32", "uint64", "bfloat16", "float32"])
)
def test_a_number_that_eager_code_refuses_is_refused_compiled_and_others_agree(dtype):
    x = bl.tensor([1, 0, 3] if dtype == "bool" else [3, 1, 100]).astype(dtype)
    accepted, results = [], []
    for name, function in FUNCTIONS.items():
        for n in NUMBERS:
            for step in (
                lambda x, f=function, n=n: f(x, n),
                lambda x, f=function, n=n: f(n, x),
            )[: 1 if name in ONE_WAY else 2]:
                eager = outcome(lambda step=step: step(x))
                if isinstance(eager, bl.Tensor):
                    accepted.append((name, n, step))
                    results.append(eager)
                else:
                    assert outcome(lambda step=step: bl.capture(step)(x)) == eager, (name, n)
    for executor in (native, interpreter):
        compiled = bl.compile(lambda x: [step(x) for *_, step in accepted], executor=executor)
        for case, eager, y in zip(accepted, results, compiled(x), strict=True):
            assert same(eager, y), (case, eager, y)


@every("run", [lambda f: f, bl.compile, bl.capture])
@every(
    "function, text",
    [
        (lambda x: x - 300, r"subtract: b must lie in \[0, 255\], because a number takes on the d"),
        (lambda x: -1 + x, r"add: a must lie in \[0, 255\], .* got -1; choose a wider dtype, as "),
        (lambda x: bl.where(x > 1, x, 256), r"where: b must lie in \[0, 255\], .* uint8, got 256"),
        (lambda x: bl.clip(x, -1, 3), r"clip: min must lie in \[0, 255\], .* got -1"),
        (lambda x: bl.full_like(x, 1000), r"full: fill_value must lie in \[0, 255\], .* got 1000"),
        (lambda x: bl.full_like(x, np.int64(-3)), r"full: fill_value must lie in .* got -3"),
        (
            lambda x: x.astype("int64") ** -2,
            r"pow: integers have no negative integer powers, got a",
        ),
        (lambda x: x.astype("float32") + 10**400, r"add: b must be a number that float32 can rou"),
        (lambda x: x.astype("bfloat16") < -(10**400), r"less: .* got an integer of 1329 bits; use"),
    ],
)
def test_a_number_outside_the_type_of_its_array_is_explained(function, text, run):
    with pytest.raises(ArgumentError, match=text):
        run(function)(bl.tensor([2, 3], dtype="uint8"))


@pytest.mark.parametrize("run", [lambda f: f, bl.compile])
@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (np.int64(3), "int64"),
        (np.uint8(3), "int64"),
        (np.True_, "bool"),
        (np.float64(3), "float32"),
    ],
)
def test_a_number_of_numpys_fills_as_pythons_does(number, dtype, run):
    assert run(lambda: bl.full((2,), number))().dtype == dtype


def test_an_array_that_fills_is_read_at_each_call():
    value = np.array(3.0)
    filled = bl.compile(lambda x: bl.full_like(x, value))
    assert filled(bl.zeros(2)).tolist() == [3, 3]
    value[...] = 5
    assert filled(bl.zeros(2)).tolist() == [5, 5]


def test_bfloat16_takes_integers_above_those_of_64_bits():
    x = bl.ones(2, dtype="bfloat16")
    assert (x * 2**70).tolist() == bl.compile(lambda x: x * 2**70)(x).tolist() == [2.0**70] * 2


# -- floats as integers ---------------------------------------------------------------------------

VALUES = [
    0.0, -0.0, 0.99, -0.5, -1.0, -1.5, 127.0, 128.0, 200.0, 255.0, 256.0, 300.0, -129.0, 32768.0,
    65535.0, 65536.0, 7e4, -4e4, 2.0**31 - 1, 2.0**31, 3e9, -3e9, -(2.0**31) - 1, 2.0**32, 5e9,
    2.0**40, -(2.0**40), 2.0**53 - 1, 2.0**62, 2.0**63, 1.5 * 2.0**63, 2.0**64, 1e20, -1e20,
    -(2.0**63), math.nan, math.inf, -math.inf,
]  # fmt: skip


def whole(v: float, dtype: np.dtype) -> int:
    """What `astype` says, one number at a time, with Python's integers."""

    def within(v, bits):
        inside = math.isfinite(v) and abs(v) < 2.0 ** (bits - 1)
        return int(v) if inside else -(2 ** (bits - 1))

    if dtype == np.uint64:
        number = within(v - 2.0**63, 64) + 2**63 if v >= 2.0**63 else within(v, 64)
    else:
        number = within(v, 64 if dtype.name in ("uint32", "int64") else 32)
    number %= 2 ** (8 * dtype.itemsize)
    return number - 2 ** (8 * dtype.itemsize) if number > np.iinfo(dtype).max else number


@pytest.mark.parametrize("like_c", [True, False])
@pytest.mark.parametrize("source", FLOATS)
def test_a_float_outside_an_integer_type_is_one_number_wherever_it_stands(
    source, like_c, monkeypatch
):
    """Eager, compiled, interpreted; in vectors of every length, alone, strided; as a constant."""
    if not like_c:
        monkeypatch.setattr(numpy_backend, "_LIKE_C", False)
    dtype = np.dtype(getattr(ml_dtypes, source, source))
    with np.errstate(over="ignore"):
        values = np.array(VALUES).astype(dtype)
    x = bl.asarray(np.tile(values, 9))
    targets = [np.dtype(name) for name in INTEGERS]

    def function(x):
        lengths = [x[:n].astype(t) for t in targets for n in (1, 5, 17, 70)]
        return [x.astype(t) for t in targets] + [x[::2].astype(t) for t in targets] + lengths

    wanted = {t: [whole(float(v), t) for v in values] * 9 for t in targets}
    runs = [function, bl.compile(function, executor=interpreter)]
    for run in [*runs, bl.compile(function)] if like_c else runs:
        for y in run(x):
            full = wanted[y.dtype]
            assert y.tolist() in (full[::2], full[: y.shape[0]]), (run, y.dtype)
    if like_c:
        for t in targets:
            assert [x[i].astype(t).item() for i in range(len(values))] == wanted[t][: len(values)]
            assert bl.tensor(x.numpy(), dtype=t).tolist() == wanted[t]


@pytest.mark.parametrize("executor", [native, interpreter])
def test_a_float_that_fills_an_integer_type_is_cast_as_elements_are(executor):
    for name in INTEGERS:
        dtype = np.dtype(name)
        filled = bl.compile(
            lambda x, t=dtype: [bl.full((3,), v, dtype=t) + x.astype(t) for v in VALUES],
            executor=executor,
        )
        got = [y.tolist() for y in filled(bl.zeros(3))]
        assert got == [[whole(v, dtype)] * 3 for v in VALUES]
        assert [bl.full((2,), v, dtype=dtype).tolist()[0] for v in VALUES] == [g[0] for g in got]
    truths = bl.compile(lambda x: [bl.full((2,), v, dtype="bool") for v in VALUES])(bl.zeros(1))
    assert [t.tolist() for t in truths] == [[v != 0] * 2 for v in VALUES]


@pytest.mark.parametrize("source", ["bool", *INTEGERS])
def test_integers_become_floats_as_in_eager_code(source):
    info = np.iinfo(source) if source != "bool" else None
    odd = [0, 1, -1, 255, 2047, 2049, 65504, 65519, 65520, 70000, 2**24 + 1, 2**31 - 1, 2**53 + 1,
           131329, 2**40 + 2**16 + 1, 2**62 + 2**38 + 1, 2**63 - 1, 2**64 - 1]  # fmt: skip
    values = [v for v in odd if info is None or info.min <= v <= info.max]
    x = bl.tensor(np.array(values * 3, source))

    def function(x):
        return [x.astype(t) for t in ["bool", *INTEGERS, *FLOATS] if t != source]

    for a, b in zip(function(x), bl.compile(function)(x), strict=True):
        assert a.tolist() == b.tolist(), a.dtype
