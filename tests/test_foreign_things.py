"""What is said of things of the wrong kind: what it is that came, and what to do with it."""

from __future__ import annotations

import collections
import copy
import pathlib
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, ShapeError


class OfAnotherLibrary:
    """An array of a library that does not give its elements away while it wants a gradient."""

    def __init__(self, wants_gradient):
        self.wants_gradient = wants_gradient

    def __array__(self, dtype=None, copy=None):
        if self.wants_gradient:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use detach()")
        return np.array([1.0, 2.0], np.float64)


LABELS = r"number the classes first: np\.unique\(labels, return_inverse=True\)\[1\]"
RECORDS = np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
LINEAR = nn.Linear(1, 2)

NO_NUMBERS = {
    "None": (None, "got None; give a value: does a function lack its return"),
    "text": ("cat", rf"got a text, 'cat'; {LABELS}"),
    "bytes": (b"cat", rf"got a text, b'cat'; {LABELS}"),
    "texts": (["cat", "dog"], rf"got texts, \['cat', 'dog'\]; {LABELS}"),
    "texts in rows": ([[1, "a"]], rf"got texts, \[\[1, 'a'\]\]; {LABELS}"),
    "text array": (np.array(["a"]), rf"got an array of texts \(<U1\); {LABELS}"),
    "path": (pathlib.Path("x.npy"), r"got a path, .*x\.npy.*; read the file first"),
    "dict": ({"a": 1}, r"got a dict, {'a': 1}; give one of its values"),
    "set": ({1}, r"got a set, \{1\}; give it an order: sorted\(x\)"),
    "generator": ((i for i in range(3)), r"got a generator or iterator, .*; use list\(x\)"),
    "map": (map(int, "12"), r"got a generator or iterator, .*; use list\(x\)"),
    "dict view": ({1: 2}.values(), r"got a view of a dict, .*; use list\(x\)"),
    "complex": (1j, r"got a complex number, 1j; use the real and imaginary parts"),
    "complex array": (np.array([1j]), r"got an array of complex numbers \(complex128\); use the"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), r"got an array of dates .*; make numbers of them"),
    "time spans": (np.array([1], "m8[s]"), r"got an array of time spans .*; make numbers of them"),
    "records": (RECORDS, r"got an array of records .*; take a field, as x\['name'\]"),
    "objects": (np.array([1, 2.0], object), r"Python objects; cast it first: x\.astype\('float32'"),
    "None in objects": (np.array([1, None], object), r"got an array of objects, among them None;"),
    "None in a list": ([1.0, None], r"got a sequence that holds None; give a value"),
    "class": (nn.Linear, r"got a class, <class .*Linear'>; make an instance of it"),
    "module": (LINEAR, r"got an object of class Linear, .*; call it and give what it returns"),
    "method": (LINEAR.parameters, r"got an object of class method, .*; call it and give what"),
    "object": (object(), r"got an object of class object, .*; give numbers or an array"),
    "slice": (slice(3), r"got a slice, .*; use backlit\.arange"),
    "huge": ([2**70], r"holds an integer beyond 64 bits, \d+; write it as a float"),
    "fraction": (Fraction(1, 2), r"got a number of another kind, Fraction.*; use float\(x\)"),
    "decimals": ([Decimal(1)], r"holds a number of another kind, Decimal.*; use float\(x\)"),
    "masked": (np.ma.array([1, 2], mask=[0, 1]),
               r"got a masked array with 1 elements masked; say what stands there: x\.filled\(0\)"),
    "foreign": (OfAnotherLibrary(True), r"OfAnotherLibrary, .*: Can't call numpy\(\) on Tensor"),
    "foreign in a list": ([OfAnotherLibrary(True)], r": Can't call numpy\(\) on Tensor"),
}  # fmt: skip


@pytest.mark.parametrize("thing", NO_NUMBERS)
@pytest.mark.parametrize(
    "take",
    [
        bl.tensor,
        bl.asarray,
        lambda x: bl.tensor(x, dtype="float32"),
        lambda x: bl.ones(2).assign(x),
        lambda x: bl.ones(2) + x,
        lambda x: x * bl.ones(2),
        lambda x: bl.ones(2) < x,
        bl.exp,
        lambda x: bl.where(bl.ones(2), x, 0.0),
        nn.ReLU().forward,
        nn.Parameter,
    ],
    ids=["tensor", "asarray", "cast", "assign", "add", "rmul", "less", "exp", "where", "relu",
         "Parameter"],
)  # fmt: skip
def test_what_is_no_number_is_named_with_its_cure(take, thing):
    data, text = NO_NUMBERS[thing]
    with pytest.raises(DTypeError, match=text):
        take(copy.copy(data) if isinstance(data, list) else data)


def test_the_layer_that_got_none_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Tanh()
            self.second = nn.ReLU()

        def forward(self, x):
            self.first(x)
            return self.second(None)

    with pytest.raises(DTypeError, match=r"got None; .* return\?; in Net\.second$"):
        Net()(bl.ones(2))


def test_lists_of_different_lengths_are_named():
    for data in ([[1], [2, 3]], [1, [2]], [np.ones(2), np.ones(3)]):
        with pytest.raises(
            ArgumentError, match=r"got lists of different lengths or depths, .*; give all of them"
        ):
            bl.tensor(data)


def test_numbers_that_do_not_fit_the_asked_dtype_are_named():
    with pytest.raises(ArgumentError, match=r"data must fit into uint8: .*300 out of bounds"):
        bl.tensor([300], dtype="uint8")
    with pytest.raises(ArgumentError, match="data must fit into int64: cannot convert float NaN"):
        bl.tensor([float("nan")], dtype="int64")


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">u8", ">f2"])
def test_arrays_of_the_other_byte_order_are_converted(dtype):
    array = np.arange(1, 7).astype(dtype).reshape(3, 2)
    own = array.dtype.newbyteorder("=")
    for t in (bl.tensor(array), bl.asarray(array), bl.tensor(array, dtype=own)):
        assert (t.dtype, t.tolist()) == (own, array.tolist())
    assert bl.zeros(1, dtype=dtype).dtype == own
    assert (bl.zeros((3, 2), dtype=own) + array).tolist() == array.tolist()
    with pytest.raises(ArgumentError, match="asarray: copy=False, but a copy is needed"):
        bl.asarray(array, copy=False)


def test_captured_code_asks_for_the_byte_order_of_this_machine():
    array = np.arange(2, dtype=">f4")
    with pytest.raises(DTypeError, match=r"got >f4; convert it outside: x\.astype\(x\.dtype\.newb"):
        bl.compile(lambda x: x + array)(bl.ones(2))


@pytest.mark.parametrize(
    ("data", "want", "dtype"),
    [
        (range(3), [0, 1, 2], "int64"),
        (collections.deque([1.0, 2.0]), [1.0, 2.0], "float32"),
        (bytearray(b"ab"), [97, 98], "uint8"),
        (np.ones((1, 2)).view(np.matrix), [[1.0, 1.0]], "float64"),
        (np.ma.array([1.0, 2.0]), [1.0, 2.0], "float64"),
        (OfAnotherLibrary(False), [1.0, 2.0], "float64"),
        ([OfAnotherLibrary(False)], [[1.0, 2.0]], "float64"),
        ([], [], "float32"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_holds_numbers_is_taken(data, want, dtype):
    t = bl.tensor(data)
    assert (t.tolist(), t.dtype.name) == (want, dtype)


NEVER_EQUAL = [None, "a", b"a", object(), {"a": 1}, {1}, LINEAR, len, nn.Linear, ...]


@pytest.mark.parametrize("other", NEVER_EQUAL, ids=lambda x: type(x).__name__)
def test_a_tensor_and_what_is_no_number_differ_as_any_two_things_do(other):
    x = bl.ones(2)
    assert (x == other) is False
    assert (other == x) is False
    assert (x != other) is True
    assert other not in x
    assert x not in [other, None]
    assert [other, x].index(other) == 0
    assert bl.compile(lambda t: t if t != other else -t)(x).tolist() == [1.0, 1.0]


def test_a_tensor_is_found_in_a_list_by_identity():
    x = bl.ones(2)
    assert x in [None, x]
    assert [None, "a", x].index(x) == 2
    with pytest.raises(ShapeError, match=r"use any\(\), .* and `is` to look for a Tensor"):
        [bl.ones(2), x].index(x)


def test_equality_of_texts_as_arrays_is_refused():
    with pytest.raises(DTypeError, match="number the classes first"):
        bl.tensor([0, 1]) == np.array(["cat", "dog"])  # noqa: B015
    with pytest.raises(DTypeError, match="number the classes first"):
        bl.tensor([0, 1]) == ["cat", "dog"]  # noqa: B015
