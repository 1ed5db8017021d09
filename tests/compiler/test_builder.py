"""The writer of LLVM IR: what it writes is run, and compared with NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from backlit.compiler.llvm import machine
from backlit.compiler.llvm.builder import Function, Index, Value
from backlit.compiler.llvm.scalar import convert
from backlit.dtypes import bfloat16, float16, float32

LANES = 8
VECTOR = f"<{LANES} x float>"


def of_pointers(*names: str) -> tuple[Function, list[Value]]:
    f = Function("f", [("ptr", name) for name in names])
    return f, [f.argument(name) for name in names]


def compiled(f: Function) -> Callable[..., None]:
    """A function of pointers as one of arrays."""
    f.finish()
    library = machine.build(machine.header() + f.module() + machine.attributes(), [f.name])

    def call(*arrays: np.ndarray) -> None:
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))
        kind(library.addresses[f.name])(*[a.ctypes.data for a in arrays])

    return call


def test_operators_work_lane_by_lane() -> None:
    f, (x, y) = of_pointers("x", "y")
    v = f.load(VECTOR, x)
    clipped = v.compare("gt", 0.0).select(v * 2.0, -v) + f.const("float", 1.0).splat(LANES)
    f.store(clipped.shuffle(v, [7, 6, 5, 4, 8, 9, 10, 11]), y)
    a, b = np.linspace(-3, 4, LANES, dtype=np.float32), np.zeros(LANES, np.float32)
    compiled(f)(a, b)
    wanted = np.where(a > 0, 2 * a, -a) + 1
    np.testing.assert_array_equal(b, [*wanted[:3:-1], *a[:4]])


@pytest.mark.parametrize("exist", [1, 3, 8])
def test_masked_lanes_are_neither_read_nor_written(exist: int) -> None:
    f, (x, y) = of_pointers("x", "y")
    mask = tuple(i < exist for i in range(LANES))
    f.store(f.load(VECTOR, x, mask) + 1.0, y, mask)
    spread = f.vector("i64", [2 * i for i in range(LANES)])
    found = f.gather(VECTOR, x.at(spread, "float"), mask)
    f.scatter(found, y.at(LANES, "float").at(spread, "float"), mask)
    a, b = np.arange(16, dtype=np.float32), np.full(24, 9, np.float32)
    compiled(f)(a, b)
    wanted = np.full(24, 9, np.float32)
    wanted[:exist] = a[:exist] + 1
    wanted[LANES : LANES + 2 * exist : 2] = a[: 2 * exist : 2]
    np.testing.assert_array_equal(b, wanted)


@pytest.mark.parametrize("dtype", [bfloat16, float16])
def test_vectors_of_16_bit_floats_are_rounded_to_nearest_even(dtype: np.dtype) -> None:
    f, (x, y) = of_pointers("x", "y")
    half = convert(f.load(VECTOR, x), float32, dtype)
    f.store(convert(half + 0, dtype, float32), y)
    a = np.array([1 + 2**-9, 1 + 2**-8, 1 + 2**-11, 1e-7, 7e4, -0.0, np.inf, np.nan], np.float32)
    b = np.zeros(LANES, np.float32)
    compiled(f)(a, b)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(b, a.astype(dtype).astype(np.float32))


def test_what_is_done_here_or_there_and_what_is_carried() -> None:
    """The sums of the even numbers below n and of their squares; the number of odd ones."""
    f, (n, out) = of_pointers("n", "out")
    odd = out.at(2, "i64")

    def body(i: Index, sums: list[Value]) -> list[Value]:
        i = f.index(i)
        even = (i % 2).compare("eq", 0)
        with f.either(even) as (then, otherwise):
            with then:
                square, left = i * i, f.here
            with otherwise:
                none, right = f.index(0), f.here
        squares = sums[1] + f.phi((square, left), (none, right))
        with f.when(even ^ 1):
            f.store(f.load("i64", odd) + 1, odd)
        return [sums[0] + even.select(i, 0), squares]

    for place, total in enumerate(f.fold(0, f.load("i64", n), body, [f.index(0)] * 2)):
        f.store(total, out.at(place, "i64"))
    call = compiled(f)
    for count in (0, 1, 11):
        found = np.zeros(3, np.int64)
        call(np.array([count]), found)
        even = np.arange(0, count, 2)
        assert found.tolist() == [even.sum(), (even**2).sum(), count // 2]


def test_loops_of_one_turn_or_none_are_no_loops() -> None:
    f, (out,) = of_pointers("out")
    turns: list[Index] = []
    f.repeat(5, 5, turns.append)
    f.repeat(2, 6, turns.append, step=4)
    assert turns == [2]
    assert len(f.blocks) == 1
    f.repeat(0, 6, lambda i: f.store(f.index(i), out.at(i, "i64")), step=2)
    assert len(f.blocks) > 1
    found = np.full(6, -1)
    compiled(f)(found)
    assert found.tolist() == [0, -1, 2, -1, 4, -1]


def test_divisions_of_known_numbers_are_done_at_once() -> None:
    f = Function("f", [("i64", "x")])
    x, seven = f.argument("x"), f.const("i64", 7)
    assert [(seven // 2).number, (seven % 4).number, (x % 1).number] == [3, 3, 0]
    assert x // 1 is x
    assert (20 // seven).number == 2
    assert (f.const("i64", -7) // 2).number is None, "a large number without a sign"
