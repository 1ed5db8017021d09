"""Records of indexing by arrays. References visit the index arrays element by element."""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit.array_api import primitives
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from backlit.ops import indexing as ops

from .record import Bad, Case, Record, Special, generator

_RNG = generator("indexing")


def x(*shape):
    return _RNG.uniform(-2, 2, shape)


def at(*values):
    return np.array(values, np.int64)


def sources(pattern, indices, shape):
    """(index into the result, index into the whole) for each element, by NumPy's rule spelled out.

    The block of the broadcast index arrays stands where the first of them is if they are adjacent,
    else in front. An integer counts as an index array here.
    """
    block = np.broadcast_shapes(*(i.shape for i in indices))
    advanced = [p for p, i in enumerate(pattern) if i == "array" or isinstance(i, int)]
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    before = sum(not isinstance(i, int) and i != "array" for i in pattern[: advanced[0]])
    place = before if adjacent else 0
    basic = [1 if i is None else i[1] for i in pattern if i is None or isinstance(i, tuple)]
    for block_index in np.ndindex(*block):
        chosen = [int(np.broadcast_to(i, block)[block_index]) for i in indices]
        for basic_index in np.ndindex(*basic):
            left, arrays, there = list(basic_index), list(chosen), []
            for i in pattern:
                if i is None:
                    left.pop(0)
                elif i == "array":
                    there.append(arrays.pop(0))
                elif isinstance(i, int):
                    there.append(i)
                else:
                    there.append(i[0] + left.pop(0) * i[2])
            wrapped = tuple(i % n for i, n in zip(there, shape, strict=True))
            yield basic_index[:place] + block_index + basic_index[place:], wrapped


def result_shape(pattern, indices):
    block = np.broadcast_shapes(*(i.shape for i in indices))
    advanced = [p for p, i in enumerate(pattern) if i == "array" or isinstance(i, int)]
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    before = sum(not isinstance(i, int) and i != "array" for i in pattern[: advanced[0]])
    basic = [1 if i is None else i[1] for i in pattern if i is None or isinstance(i, tuple)]
    place = before if adjacent else 0
    return (*basic[:place], *block, *basic[place:])


def gathered(x, *indices, pattern):
    result = np.empty(result_shape(pattern, indices), x.dtype)
    for here, there in sources(pattern, indices, x.shape):
        result[here] = x[there]
    return result


def scattered(x, *indices, pattern, shape):
    result = np.zeros(shape, x.dtype)
    for here, there in sources(pattern, indices, shape):
        result[there] = result[there] + x[here]
    return result


def overwritten(x, value, *indices, pattern):
    result = x.copy()
    value = np.broadcast_to(value, result_shape(pattern, indices))
    for here, there in sources(pattern, indices, x.shape):
        result[there] = value[here]
    return result


def folded_in(x, source, *indices, pattern, largest=None):
    """The same with the source's elements multiplied, or the larger or smaller one kept."""
    fold = {None: lambda a, b: a * b, True: max, False: min}[largest]
    result = x.copy()
    for here, there in sources(pattern, indices, x.shape):
        result[there] = fold(result[there], source[here])
    return result


def taken(x, indices, axis):
    pieces = [np.moveaxis(x, axis, 0)[i] for i in indices.flat]
    rest = np.delete(np.array(x.shape), axis)
    whole = np.array(pieces).reshape(*indices.shape, *rest)
    return np.moveaxis(whole, range(indices.ndim), range(axis, axis + indices.ndim))


def take_added(x, indices, axis, size):
    front = np.moveaxis(x, range(axis, axis + indices.ndim), range(indices.ndim))
    rest = front.shape[indices.ndim :]
    result = np.zeros((size, *rest), x.dtype)
    for position, i in np.ndenumerate(indices):
        result[i] = result[i] + front[position]
    return np.moveaxis(result, 0, axis)


def taken_along(x, indices, axis):
    result = np.empty(indices.shape, x.dtype)
    for here, i in np.ndenumerate(indices):
        result[here] = x[(*here[:axis], i, *here[axis + 1 :])]
    return result


def put_along(x, indices, axis, size):
    result = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
    for here, i in np.ndenumerate(indices):
        there = (*here[:axis], i, *here[axis + 1 :])
        result[there] = result[there] + x[here]
    return result


def by_key(x, *indices, pattern):
    """x[...] with the key that a user would write for the pattern."""
    arrays = iter(indices)
    key = []
    for i in pattern:
        if i == "array":
            key.append(next(arrays))
        elif isinstance(i, tuple):
            start, count, step = i
            stop = start + count * step
            key.append(slice(start, stop if stop >= 0 else None, step))
        else:
            key.append(i)
    return x[tuple(key)]


PATTERNS = [
    ((4,), (at(0, 2, 2, -4),), ("array",)),
    ((3, 2), (at(-1, 0),), ("array", (0, 2, 1))),
    ((3, 2), (at(1, 1, 0),), ((0, 3, 1), "array")),
    ((3, 2), (at(0, 2), at(1, 1)), ("array", "array")),
    ((3, 2), (np.array([[0], [2]]), at(0, 1, 1)), ("array", "array")),
    ((2, 3, 2), (at(0, 1), at(1, 1)), ("array", (2, 2, -1), "array")),
    ((2, 3, 2), (at(2, 0),), (1, "array", (0, 2, 1))),
    ((2, 3, 2), (at(0, 1),), (1, (0, 3, 1), "array")),
    ((2, 3), (at(2, 0),), (None, (0, 2, 1), "array")),
    ((3, 2), (np.zeros((0,), np.int64),), ("array", (0, 2, 1))),
]

TABLE = [
    Record(
        op=ops.Gather,
        reference=gathered,
        cases=[Case((x(*s), *i), {"pattern": p}) for s, i, p in PATTERNS],
        function=by_key,
        bad=[
            Bad(lambda: bl.ones((2, 3))[bl.tensor([0, 2])], IndexRangeError,
                r"indexing: indices must lie in \[-2, 2\) on axis 0, got 2"),
            Bad(lambda: bl.ones((2, 3))[bl.tensor([0, 1]), bl.tensor([0, 1, 2])], ShapeError,
                r"gather: index arrays must broadcast, got shapes \(2,\) and \(3,\)"),
            Bad(lambda: bl.ones(3)[bl.tensor([0.0])], DTypeError,
                r"indexing: index arrays must be integers or bool, got float32\[1\]"),
        ],
    ),
    Record(
        op=ops.ScatterAdd,
        reference=scattered,
        cases=[
            Case((x(*result_shape(p, i)), *i), {"pattern": p, "shape": s}) for s, i, p in PATTERNS
        ],
        function=primitives.scatter_add,
    ),
    Record(
        op=ops.SetItems,
        reference=overwritten,
        cases=[
            *[Case((x(*s), x(*result_shape(p, i)), *i), {"pattern": p}) for s, i, p in PATTERNS],
            Case((x(3, 2), x(2), at(2, 0, 2)), {"pattern": ("array", (0, 2, 1))}),
            Case((x(3, 2), x(3, 1), at(2, 0, 2)), {"pattern": ("array", (0, 2, 1))}),
            Case((x(3), x(), at(1, -2)), {"pattern": ("array",)}),
            Case((x(3), 2.0, at(1, -2)), {"pattern": ("array",)}),
        ],
        function=primitives.set_items,
        bad=[
            Bad(lambda: bl.zeros(2).__setitem__(bl.tensor([2]), 1.0), IndexRangeError,
                r"indexing: indices must lie in \[-2, 2\) on axis 0, got 2"),
            Bad(lambda: bl.zeros(3).__setitem__([0, 1], bl.ones(3)), ShapeError,
                r"item assignment: the value must broadcast to the selected shape \(2,\), got "
                r"float32\[3\] \(x: float32\[3\]\)"),
        ],
    ),
    Record(
        op=ops.ScatterExtreme,
        reference=folded_in,
        cases=[
            Case(
                (x(*s), x(*result_shape(p, i)), *i), {"pattern": p, "largest": largest}
            )
            for s, i, p in PATTERNS
            if None not in p
            for largest in (True, False)
        ],
        function=primitives.scatter_extreme,
        specials=[
            Special(([3.0, 1.0], [3.0, 3.0, 0.0], at(0, 0, 1)), [3.0, 1.0],
                    ([1 / 3, 1.0], [1 / 3, 1 / 3, 0.0]), {"pattern": ("array",), "largest": True},
                    rtol=1e-15),
            Special(([1.0], [math.nan], at(0)), [math.nan], None,
                    {"pattern": ("array",), "largest": False}),
        ],
        bad=[
            Bad(lambda: bl.scatter_reduce(bl.ones(2), 0, bl.tensor([2]), bl.ones(1), "amax"),
                IndexRangeError, r"indexing: indices must lie in \[-2, 2\) on axis 0, got 2"),
        ],
    ),
    Record(
        op=ops.ScatterProd,
        reference=folded_in,
        cases=[
            Case((x(*s), x(*result_shape(p, i)), *i), {"pattern": p})
            for s, i, p in PATTERNS
            if None not in p
        ],
        function=primitives.scatter_prod,
        specials=[
            Special(([0.0, 2.0], [2.0, 0.0, 5.0], at(0, 1, 1)), [0.0, 0.0],
                    ([2.0, 0.0], [0.0, 10.0, 0.0]), {"pattern": ("array",)}),
            Special(([0.0, 2.0], [0.0, 3.0], at(0, 1)), [0.0, 6.0],
                    ([0.0, 3.0], [0.0, 2.0]), {"pattern": ("array",)}),
        ],
        bad=[
            Bad(lambda: bl.scatter_reduce(bl.ones(2), 0, bl.tensor([0]), bl.ones(1), "max"),
                ArgumentError,
                r"scatter_reduce: reduce must be one of sum, mean, prod, amax, amin, got 'max'"),
        ],
    ),
    Record(
        op=ops.Take,
        reference=taken,
        cases=[
            Case((x(4), at(3, -4, 3)), {"axis": 0}),
            Case((x(3, 2), np.array([[0, 1], [2, 2]])), {"axis": 0}),
            Case((x(2, 3), at(-1, 0)), {"axis": 1}),
            Case((x(2, 3), np.array(1)), {"axis": 1}),
            Case((x(2, 3), np.zeros((0,), np.int64)), {"axis": 0}),
        ],
        function=bl.take,
        bad=[
            Bad(lambda: bl.take(bl.ones((2, 3)), bl.tensor([3]), axis=1), IndexRangeError,
                r"take: indices must lie in \[-3, 3\) on axis 1, got 3"),
            Bad(lambda: bl.take(bl.ones((2, 3)), bl.tensor([0])), ShapeError,
                r"take: axis is required for a Tensor of 2 axes"),
            Bad(lambda: bl.take(bl.ones(2), bl.tensor([0.5])), DTypeError,
                r"take: indices must be integers, got float32\[1\]"),
        ],
    ),
    Record(
        op=ops.TakeAdd,
        reference=take_added,
        cases=[
            Case((x(3), at(3, 0, 3)), {"axis": 0, "size": 4}),
            Case((x(2, 2, 2), np.array([[0, 1], [2, 2]])), {"axis": 0, "size": 3}),
            Case((x(2, 2), at(-1, 0)), {"axis": 1, "size": 3}),
            Case((x(2), np.array(1)), {"axis": 1, "size": 3}),
        ],
        function=primitives.take_add,
    ),
    Record(
        op=ops.TakeAlongAxis,
        reference=taken_along,
        cases=[
            Case((x(4), at(3, 0, 3)), {"axis": 0}),
            Case((x(2, 3), np.array([[2], [-1]])), {"axis": 1}),
            Case((x(2, 3), np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]])), {"axis": 0}),
            Case((x(0, 3), np.zeros((0, 1), np.int64)), {"axis": 1}),
        ],
        function=bl.take_along_axis,
        bad=[
            Bad(lambda: bl.take_along_axis(bl.ones((2, 3)), bl.tensor([[3], [0]]), axis=1),
                IndexRangeError,
                r"take_along_axis: indices must lie in \[-3, 3\) on axis 1, got 3"),
            Bad(lambda: bl.take_along_axis(bl.ones((2, 3)), bl.tensor([0]), axis=1), ShapeError,
                r"take_along_axis: x and indices must agree on every axis but 1, got "
                r"x: float32\[2,3\] and indices: int64\[1\]"),
        ],
    ),
    Record(
        op=ops.PutAlongAxisAdd,
        reference=put_along,
        cases=[
            Case((x(3), at(3, 0, 3)), {"axis": 0, "size": 4}),
            Case((x(2, 1), np.array([[2], [-1]])), {"axis": 1, "size": 3}),
            Case((x(3, 3), np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]])), {"axis": 0, "size": 2}),
        ],
        function=primitives.put_along_axis_add,
    ),
]  # fmt: skip
