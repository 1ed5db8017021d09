"""Records of the movement ops. References place elements one by one, by their index."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit.array_api.primitives import place, set_slice
from backlit.array_api.primitives import slice as basic_slice
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import movement as ops

from .record import Bad, Case, Record, Special, generator

_RNG = generator("movement")


def x(*shape):
    return _RNG.uniform(-2, 2, shape)


def reshaped(x, shape):
    result = np.empty(shape, x.dtype)
    for position, index in zip(np.ndindex(*shape), np.ndindex(*x.shape), strict=True):
        result[position] = x[index]
    return result


def permuted(x, axes):
    result = np.empty([x.shape[a] for a in axes], x.dtype)
    for index in np.ndindex(*x.shape):
        result[tuple(index[a] for a in axes)] = x[index]
    return result


def broadcast(x, shape):
    result = np.empty(shape, x.dtype)
    for index in np.ndindex(*shape):
        own = index[len(shape) - x.ndim :]
        result[index] = x[tuple(0 if n == 1 else i for i, n in zip(own, x.shape, strict=True))]
    return result


def flipped(x, axis):
    result = np.empty(x.shape, x.dtype)
    for index in np.ndindex(*x.shape):
        turned = (x.shape[a] - 1 - i if a in axis else i for a, i in enumerate(index))
        result[tuple(turned)] = x[index]
    return result


def joined(*arrays, axis):
    rows = [row for array in arrays for row in np.moveaxis(array, axis, 0)]
    rest = np.moveaxis(arrays[0], axis, 0).shape[1:]
    return np.moveaxis(np.array(rows).reshape(len(rows), *rest), 0, axis)


def positions(index, shape):
    """Pairs of an index into the selection and the index into the whole that it stands for."""
    counts = [1 if i is None else i[1] for i in index if not isinstance(i, int)]
    for here in np.ndindex(*counts):
        left = list(here)
        there = []
        for i in index:
            if i is None:
                left.pop(0)
            elif isinstance(i, int):
                there.append(i)
            else:
                there.append(i[0] + left.pop(0) * i[2])
        yield here, tuple(there)


def selected(x, index):
    counts = [1 if i is None else i[1] for i in index if not isinstance(i, int)]
    result = np.empty(counts, x.dtype)
    for here, there in positions(index, x.shape):
        result[here] = x[there]
    return result


def placed(x, index, shape):
    result = np.zeros(shape, x.dtype)
    for here, there in positions(index, shape):
        result[there] = x[here]
    return result


def overwritten(x, value, index):
    result = x.copy()
    whole = np.broadcast_to(value, selected(x, index).shape)
    for here, there in positions(index, x.shape):
        result[there] = whole[here]
    return result


INDICES = [
    ((4,), (2,)),
    ((4,), ((1, 2, 1),)),
    ((4,), ((3, 4, -1),)),
    ((4,), ((3, 2, -2), None)),
    ((3, 4), ((0, 3, 1), (1, 0, 1))),
    ((3, 4), (1, None, (0, 2, 3))),
    ((0, 2), ((0, 0, 1), 1)),
    ((), (None,)),
]

TABLE = [
    Record(
        op=ops.Reshape,
        reference=reshaped,
        cases=[
            Case((x(2, 3),), {"shape": (3, 2)}),
            Case((x(2, 3),), {"shape": (6,)}),
            Case((x(1, 4),), {"shape": (2, 1, 2)}),
            Case((x(0, 3),), {"shape": (3, 0)}),
            Case((x(),), {"shape": (1, 1)}),
        ],
        function=lambda x, shape: bl.reshape(x, shape),
        bad=[
            Bad(lambda: bl.reshape(bl.ones((2, 3)), (4, 2)), ShapeError,
                r"reshape: the new shape must hold as many elements as the old, got "
                r"\(2, 3\) \(6\) and \(4, 2\) \(8\)"),
            Bad(lambda: bl.reshape(bl.ones((2, 3)), (4, -1)), ShapeError,
                r"reshape: \(2, 3\) \(6 elements\) does not fit \(4, -1\)"),
        ],
    ),
    Record(
        op=ops.PermuteDims,
        reference=permuted,
        cases=[
            Case((x(2, 3),), {"axes": (1, 0)}),
            Case((x(2, 1, 3),), {"axes": (2, 0, 1)}),
            Case((x(0, 2),), {"axes": (1, 0)}),
            Case((x(),), {"axes": ()}),
        ],
        function=lambda x, axes: bl.permute_dims(x, axes),
        bad=[
            Bad(lambda: bl.permute_dims(bl.ones((2, 3)), (0, 0)), ShapeError,
                r"permute_dims: axes must name each of 2 axes once, got \(0, 0\)"),
        ],
    ),
    Record(
        op=ops.BroadcastTo,
        reference=broadcast,
        cases=[
            Case((x(3),), {"shape": (2, 3)}),
            Case((x(2, 1),), {"shape": (2, 3)}),
            Case((x(),), {"shape": (2,)}),
            Case((x(1, 2),), {"shape": (0, 2)}),
            Case((x(1, 1),), {"shape": (2, 1, 2)}),
        ],
        function=bl.broadcast_to,
        bad=[
            Bad(lambda: bl.broadcast_to(bl.ones(3), (3, 2)), ShapeError,
                r"broadcast_to: each axis of x must be 1 or equal to the new shape's, from the "
                r"last, got \(3,\) and \(3, 2\)"),
            Bad(lambda: bl.broadcast_to(bl.ones(3), (-1, 3)), ShapeError,
                r"broadcast_to: sizes must not be negative, got \(-1, 3\)"),
        ],
    ),
    Record(
        op=ops.Flip,
        reference=flipped,
        cases=[
            Case((x(3),), {"axis": (0,)}),
            Case((x(2, 3),), {"axis": (1,)}),
            Case((x(2, 3),), {"axis": (0, 1)}),
            Case((x(0, 3),), {"axis": (0,)}),
        ],
        function=bl.flip,
        bad=[
            Bad(lambda: bl.flip(bl.ones(3), axis=1), ShapeError,
                r"flip: axis must lie in \[-1, 1\) for 1 axes, got 1"),
        ],
    ),
    Record(
        op=ops.Concat,
        reference=joined,
        cases=[
            Case((x(2), x(3)), {"axis": 0}),
            Case((x(2, 1), x(2, 3), x(2, 0)), {"axis": 1}),
            Case((x(1, 2, 2), x(2, 2, 2)), {"axis": 0}),
            Case((x(3),), {"axis": 0}),
        ],
        function=lambda *arrays, axis: bl.concat(arrays, axis=axis),
        bad=[
            Bad(lambda: bl.concat((bl.ones((2, 3)), bl.ones((2, 4))), axis=0), ShapeError,
                r"concat: shapes must agree on every axis but 0, got float32\[2,3\] and "
                r"arrays\[1\]: float32\[2,4\]"),
            Bad(lambda: bl.concat((bl.ones((2, 3)), bl.ones((4, 3))), axis=1), ShapeError,
                r"concat: shapes must agree on every axis but 1, got float32\[2,3\] and "
                r"arrays\[1\]: float32\[4,3\]"),
            Bad(lambda: bl.concat(()), ArgumentError, r"concat: at least one Tensor is required"),
        ],
    ),
    Record(
        op=ops.Slice,
        reference=selected,
        cases=[Case((x(*shape),), {"index": index}) for shape, index in INDICES],
        function=lambda x, index: basic_slice(x, index),
        bad=[
            Bad(lambda: bl.ones((2, 3))[0, 0, 0], ShapeError,
                r"indexing: 3 indices are too many for shape \(2, 3\)"),
        ],
    ),
    Record(
        op=ops.Place,
        reference=placed,
        cases=[
            Case((selected(np.zeros(shape), index) + x(*selected(np.zeros(shape), index).shape),),
                 {"index": index, "shape": shape})
            for shape, index in INDICES
        ],
        function=lambda x, index, shape: place(x, index, shape),
        bad=[
            Bad(lambda: place(bl.ones(3), ((0, 2, 1),), (4,)), ShapeError,
                r"place: x must have the shape that the index selects, \(2,\), got "
                r"x: float32\[3\]"),
        ],
    ),
    Record(
        op=ops.SetSlice,
        reference=overwritten,
        cases=[
            *[Case((x(*shape), x(*selected(np.zeros(shape), index).shape)), {"index": index})
              for shape, index in INDICES],
            Case((x(3, 2), x(2)), {"index": ((0, 2, 1), (0, 2, 1))}),
            Case((x(3, 2), x(2, 1)), {"index": ((2, 2, -2), (0, 2, 1))}),
            Case((x(3, 2), x()), {"index": (1, (0, 2, 1))}),
            Case((x(3, 2), 2.0), {"index": (1, (0, 2, 1))}),
        ],
        function=lambda x, value, index: set_slice(x, value, index),
        specials=[
            Special((np.array([np.inf, 1.0]), np.array(2.0)), np.array([2.0, 1.0]),
                    (np.array([0.0, 1.0]), np.array(1.0)), {"index": (0,)}),
        ],
        bad=[
            Bad(lambda: bl.zeros(3).__setitem__(slice(2), bl.ones(3)), ShapeError,
                r"item assignment: the value must broadcast to the selected shape \(2,\), got "
                r"float32\[3\] \(x: float32\[3\]\)"),
        ],
    ),
]  # fmt: skip
