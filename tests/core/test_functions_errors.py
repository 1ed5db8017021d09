"""What functions say about bad arguments: the op, the condition with values, the cure."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TraceError
from sampling import every

CALLS = [
    (lambda: bl.linspace(0, 1, -1), ArgumentError, r"linspace: num must be an integer that is not"),
    (lambda: bl.eye(-1), ShapeError, r"eye: sizes must not be negative, got \(-1, -1\)"),
    (lambda: bl.ones((2, -3)), ShapeError, r"ones: sizes must not be negative, got \(2, -3\)"),
    (lambda: bl.full((2,), "x"), ArgumentError, r"full: fill_value must be a number, got 'x'"),
    (lambda: bl.full(1.5, 0), ArgumentError, r"full: a shape is integers, got 1.5"),
    (lambda: bl.asarray([1], copy=False), ArgumentError,
     r"asarray: copy=False needs an array to share memory with, got list"),
    (lambda: bl.asarray(np.ones(2), dtype="int8", copy=False), ArgumentError,
     r"asarray: copy=False, but a copy is needed"),
    (lambda: bl.asarray([[1], [2, 3]]), ArgumentError,
     r"tensor: the data must be numbers in a regular nesting, got lists of different lengths or "
     r"depths, \[\[1\], \[2, 3\]\]; give all of them one length"),
    (lambda: bl.asarray([1.0], device="moon"), ArgumentError,
     r"device: must be 'cpu', got 'moon'; Backlit computes on the CPU"),
    (lambda: bl.astype(bl.ones(1), "int8", device="moon"), ArgumentError, r"device: must be 'cpu'"),
    (lambda: bl.tril(bl.ones(2)), ShapeError,
     r"tril: x must have at least 2 axes, got shape \(2,\)"),
    (lambda: bl.meshgrid(bl.ones((2, 2))), ShapeError,
     r"meshgrid: vectors are required, got \[\(2, 2\)\]"),
    (lambda: bl.meshgrid(bl.ones(2), indexing="yx"), ArgumentError,
     r"meshgrid: indexing must be 'xy' or 'ij', got 'yx'"),
    (lambda: bl.arange(0, 1, 0), ArgumentError, r"arange: step must not be 0"),
    (lambda: bl.arange(257, dtype="uint8"), ArgumentError,
     r"arange: the elements must lie in \[0, 255\] for dtype uint8, got 256; use a larger type"),
    (lambda: bl.arange(3, -4, -3, dtype="uint64"), ArgumentError,
     r"arange: the elements must lie in \[0, 18446744073709551615\] for dtype uint64, got -3"),
    (lambda: bl.linspace(0, -300, 4, dtype="int8"), ArgumentError,
     r"linspace: the elements must lie in \[-128, 127\] for dtype int8, got -300.0; use"),
    # manipulation
    (lambda: bl.roll(bl.ones((2, 2)), (1, 2, 3), axis=(0, 1)), ArgumentError,
     r"roll: shift and axis must be as many, got 3 and 2"),
    (lambda: bl.moveaxis(bl.ones((2, 2)), (0, 0), (0, 1)), ShapeError,
     r"moveaxis: axes must differ, got \(0, 0\) and \(0, 1\)"),
    (lambda: bl.moveaxis(bl.ones((2, 2)), 0, (0, 1)), ArgumentError,
     r"moveaxis: source and destination must be as many, got 0 and \(0, 1\)"),
    (lambda: bl.repeat(bl.ones(2), -1), ArgumentError,
     r"repeat: repeats must be non-negative integers, got -1"),
    (lambda: bl.repeat(bl.ones(2), 1.5), ArgumentError,
     r"repeat: repeats must be non-negative integers, got 1.5"),
    (lambda: bl.repeat(bl.ones(2), bl.asarray([1, 2, 3])), ShapeError,
     r"repeat: repeats must be one number or one for each of 2 slices, got shape \(3,\)"),
    (lambda: bl.tile(bl.ones(2), -1), ShapeError, r"tile: sizes must not be negative, got \(-1,\)"),
    (lambda: bl.pad(bl.ones(2), 3), ShapeError,
     r"pad: widths must be one pair for each of 1 axes, got 3"),
    (lambda: bl.pad(bl.ones(2), ((1, 1), (1, 1))), ShapeError,
     r"pad: widths must be one pair for each of 1 axes, got \(\(1, 1\), \(1, 1\)\)"),
    (lambda: bl.stack([bl.ones(2), bl.ones(3)]), ShapeError,
     r"stack: shapes must be equal, got \[\(2,\), \(3,\)\]"),
    (lambda: bl.stack([]), ArgumentError, r"stack: at least one Tensor is required"),
    (lambda: bl.concat([bl.ones(())]), ShapeError, r"concat: a Tensor of no axes has no axis 0"),
    (lambda: bl.squeeze(bl.ones((2, 1)), axis=0), ShapeError,
     r"squeeze: the axes \(0,\) must have size 1, got shape \(2, 1\)"),
    (lambda: bl.expand_dims(bl.ones(2), axis=4), ShapeError,
     r"expand_dims: axis must lie in \[-2, 2\) for 2 axes, got 4"),
    (lambda: bl.broadcast_arrays(bl.ones(2), bl.ones(3)), ShapeError,
     r"broadcast_arrays: shapes must broadcast, got \[\(2,\), \(3,\)\]"),
    (lambda: bl.broadcast_shapes((2,), (3,)), ShapeError,
     r"broadcast_shapes: shapes must broadcast .*, got \(2,\) and \(3,\)"),
    (lambda: bl.broadcast_shapes((-2,)), ShapeError, r"sizes must not be negative, got \(-2,\)"),
    (lambda: bl.unstack(bl.tensor(1.0)), ShapeError, r"unstack: a Tensor of no axes has no axis 0"),
    # products and norms
    (lambda: bl.vecdot(bl.ones(2), bl.ones(3)), ShapeError,
     r"vecdot: the sizes along axis -1 must be equal, got a: float32\[2\] and b: float32\[3\]"),
    (lambda: bl.vecdot(bl.ones(2), bl.ones(2), axis=0), ShapeError,
     r"vecdot: axis must lie in \[-1, -1\] for a, got 0"),
    (lambda: bl.outer(bl.ones((2, 2)), bl.ones(2)), ShapeError,
     r"outer: both inputs must be vectors, got float32\[2,2\], float32\[2\]"),
    (lambda: bl.tensordot(bl.ones((2, 3)), bl.ones((2, 3)), axes=1), ShapeError,
     r"tensordot: paired axes must have equal sizes, got \[3\] and \[2\]"),
    (lambda: bl.tensordot(bl.ones(2), bl.ones(2), axes=2), ShapeError,
     r"tensordot: axes=2 is too many for \(2,\) and \(2,\)"),
    (lambda: bl.einsum("ij,jk", bl.ones((2, 3)), bl.ones((4, 5))), ShapeError,
     r"einsum: the index 'j' must have one size, got 3 and 4 in 'ij,jk'"),
    (lambda: bl.einsum("ij->ik", bl.ones((2, 3))), ArgumentError,
     r"einsum: output index \['k'\] is in no operand of 'ij->ik'"),
    (lambda: bl.einsum("i$", bl.ones(2)), ArgumentError,
     r"einsum: subscripts are letters, commas, ... and ->, got 'i\$'"),
    (lambda: bl.einsum("i.j", bl.ones((2, 3))), ArgumentError,
     r"einsum: `...` may stand once in a term, and dots only so, got 'i.j' in 'i.j'"),
    (lambda: bl.einsum("...i...->i", bl.ones((2, 3))), ArgumentError,
     r"einsum: `...` may stand once in a term, and dots only so, got '...i...' in"),
    (lambda: bl.einsum("...->..", bl.ones((2, 3))), ArgumentError,
     r"einsum: `...` may stand once in a term, and dots only so, got '..' in"),
    (lambda: bl.einsum("ii->", bl.ones((5, 1))), ShapeError,
     r"einsum: the index 'i' must have one size, got 5 and 1 in 'ii->' \(float32\[5,1\]\)"),
    (lambda: bl.einsum("...ii->...i", bl.ones((2, 1, 5))), ShapeError,
     r"einsum: the index 'i' must have one size, got 1 and 5 in"),
    (lambda: bl.einsum("ij", bl.ones(2)), ShapeError,
     r"einsum: the term 'ij' names 2 axes, but its operand is float32\[2\]"),
    (lambda: bl.einsum("i,j", bl.ones(2)), ArgumentError,
     r"einsum: 'i,j' has 2 terms, but 1 operands were given"),
    (lambda: bl.einsum("ij->ii", bl.ones((2, 2))), ArgumentError,
     r"einsum: an output index may stand only once, got 'ij->ii'"),
    (lambda: bl.vector_norm(bl.ones(2), ord="fro"), ArgumentError,
     r"vector_norm: ord must be a number, got 'fro'; see matrix_norm"),
    (lambda: bl.matrix_norm(bl.ones(2)), ShapeError,
     r"matrix_norm: x must have at least 2 axes, got shape \(2,\)"),
    (lambda: bl.matrix_norm(bl.ones((2, 2)), ord=3), ArgumentError,
     r"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got 3"),
    # reductions and searches
    (lambda: bl.diff(bl.ones(2), n=-1), ArgumentError, r"diff: n must not be negative, got -1"),
    (lambda: bl.searchsorted(bl.ones((2, 2)), bl.ones(2)), ShapeError,
     r"searchsorted: x1 must be a row, or have a row for each row of x2, got float32\[2,2\] and"),
    (lambda: bl.searchsorted(bl.ones(2), bl.ones(2), side="middle"), ArgumentError,
     r"searchsorted: side must be 'left' or 'right', got 'middle'"),
    (lambda: bl.nonzero(bl.tensor(1.0)), ShapeError,
     r"nonzero: x must have at least one axis, got a Tensor of no axes"),
    (lambda: bl.argmax(bl.tensor([])), ShapeError,
     r"argmax: the reduced axes must not be empty, got shape \(0,\)"),
    # indexing
    (lambda: bl.ones(3)[3], IndexRangeError,
     r"indexing: the index must lie in \[-3, 3\) on axis 0, got 3"),
    (lambda: bl.ones(3)[1.5], DTypeError,
     r"indexing: an index is an integer, slice, Tensor, None or ..., got 1.5"),
    (lambda: bl.ones(3)[..., ...], ShapeError, r"indexing: `...` may stand only once in an index"),
    (lambda: bl.ones(3)[::0], ArgumentError, r"indexing: slice step cannot be zero, got slice"),
    (lambda: bl.ones(3)[: "x"], ArgumentError, r"indexing: slice indices must be integers"),
    (lambda: bl.ones((2, 2))[bl.asarray([True, False, True])], ShapeError,
     r"indexing: a mask must have the sizes of the axes it selects from, got size 3 for axis 0 of "
     r"float32\[2,2\]"),
    (lambda: bl.ones((2, 2))[:, bl.asarray([True])], ShapeError,
     r"got size 1 for axis 1 of float32\[2,2\]"),
    (lambda: bl.ones(3)[np.array([2**64 - 1], np.uint64)], IndexRangeError,
     r"indexing: indices must lie below 2\*\*63, got 18446744073709551615"),
    (lambda: bl.take(bl.ones(3), np.array([2**64 - 1], np.uint64)), IndexRangeError,
     r"take: indices must lie below 2\*\*63, got 18446744073709551615"),
    # operands
    (lambda: bl.add("a", 1), DTypeError,
     r"tensor: the data must be numbers in a regular nesting, got a text, "),
    (lambda: bl.ones(1, dtype="int8") + 300, ArgumentError, r"add: b must lie in \[-128, 127\]"),
    (lambda: bl.tensor([True]) // bl.tensor([True]), DTypeError,
     r"floor_divide: a must be numbers, got bool\[1\]; use a.astype\('int64'\)"),
    (lambda: bl.tensor([True]) - bl.tensor([True]), DTypeError,
     r"subtract: a must be numbers, got bool\[1\]"),
    (lambda: bl.tensor([True]) << bl.tensor([True]), DTypeError,
     r"bitwise_left_shift: a must be integers, got bool\[1\]"),
    (lambda: bl.bitwise_and(bl.tensor([1]), 1.5), DTypeError,
     r"bitwise_and: b must be integers or truth values, got 1.5"),
    (lambda: bl.sign(bl.tensor([True])), DTypeError, r"sign: x must be numbers, got bool\[1\]"),
]  # fmt: skip


@every("call, error, text", CALLS)
def test_bad_argument_is_explained(call, error, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert type(caught.value) is error


@every(
    "function",
    [
        bl.nonzero, bl.unique_all, bl.unique_counts, bl.unique_inverse, bl.unique_values,
        lambda x: x[x > 0], lambda x: float(x.sum()),
        lambda x: x if x.sum() > 0 else -x, lambda x: bl.repeat(x, x.astype("int64")),
        lambda x: bl.arange(x.sum()),
    ],
)  # fmt: skip
def test_a_shape_that_depends_on_values_cannot_be_captured(function) -> None:
    with pytest.raises(TraceError, match="a captured function cannot ask for a value"):
        bl.capture(function)(bl.ones(3))


def test_types_are_checked_when_captured_too() -> None:
    with pytest.raises(DTypeError, match=r"bitwise_invert: x must be integers or truth values"):
        bl.capture(lambda x: ~x)(bl.ones(2))
    with pytest.raises(DTypeError, match=r"remainder: a must be numbers, got bool\[2\]"):
        bl.capture(lambda x: x % x)(bl.ones(2, dtype="bool"))


def test_arguments_at_the_edge_are_not_errors() -> None:
    assert bl.arange(256, dtype="uint8").tolist() == list(range(256))
    assert bl.arange(127, -129, -1, dtype="int8").tolist() == list(range(127, -129, -1))
    assert bl.linspace(0, 255.9, 2, dtype="uint8").tolist() == [0, 255]
    assert bl.linspace(0, 1, 0).shape == (0,)
    assert bl.eye(0).shape == (0, 0)
    assert bl.diff(bl.ones(2), n=0).shape == (2,)
    assert bl.diff(bl.ones(1), n=3).shape == (0,)
    assert bl.repeat(bl.ones(2), 0).shape == (0,)
    assert bl.ones((2, 2))[bl.asarray([[True, False], [True, False]])].shape == (2,)
    assert bl.ones(3)[[]].shape == (0,)
    assert bl.broadcast_arrays() == []
    assert bl.broadcast_shapes() == ()
    assert math.isnan(bl.var(bl.ones(1), correction=1).item())
