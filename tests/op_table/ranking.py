"""Records of the ranks. References sort Python lists of pairs (element, place)."""

from __future__ import annotations

import bisect
import math

import numpy as np

import backlit as bl
from backlit.array_api import primitives
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import ranking as ops

from .record import Bad, Case, Record, Special, distinct, generator, grid, integers

nan = math.nan


def along(f):
    """A function of a list of numbers, which gives a list, as one along an axis."""

    def reference(x, axis, **more):
        rows = np.moveaxis(x, axis, -1)
        found = [f(row.tolist(), **more) for row in rows.reshape(-1, rows.shape[-1])]
        count = len(found[0]) if found else len(f([0.0] * rows.shape[-1], **more))
        return np.moveaxis(np.array(found, np.int64).reshape(*rows.shape[:-1], count), -1, axis)

    return reference


def in_order(row: list[float]) -> list[int]:
    return sorted(range(len(row)), key=lambda i: (math.isnan(row[i]), row[i], i))


def top(row, k, largest):
    if largest:
        row = [-v for v in row]
        return sorted(range(len(row)), key=lambda i: (not math.isnan(row[i]), row[i], i))[:k]
    return in_order(row)[:k]


def kth(row, k):
    return [in_order(row)[k]]


def so_far(row, largest):
    sign = 1 if largest else -1
    return [max(range(i + 1), key=lambda j: (sign * row[j], j)) for i in range(len(row))]


def cases(name, *attributes):
    """Different and equal elements, along a few and along many."""
    made = [
        case
        for i, make in enumerate((distinct, integers(0, 3)))
        for shape in ((3,), (2, 4), (4, 1, 2), (0, 3), (2, 150))
        for axis in range(len(shape))
        if shape[axis] >= 3
        for case in grid(
            f"{name}{i}{shape}", make, shapes=[(shape,)],
            attributes=[{"axis": axis, **a} for a in attributes],
        )
    ]  # fmt: skip
    return made


_RNG = generator("searchsorted")
MANY = np.array([3.0, nan, 1.0, 5.0] * 25)


def positions(row, x, side):
    find = {"left": bisect.bisect_left, "right": bisect.bisect_right}[side]
    if row.ndim == 1:
        row = np.broadcast_to(row, (*x.shape[:-1], row.size))
    found = [find(row[i[:-1]].tolist(), x[i]) for i in np.ndindex(x.shape)]
    return np.array(found, np.int64).reshape(x.shape)


TABLE = [
    Record(
        op=ops.Argtop,
        reference=along(top),
        cases=cases("argtop", {"k": 2, "largest": True}, {"k": 3, "largest": False}),
        function=primitives.argtop,
        specials=[
            Special(([2.0, nan, 3.0],), [1, 2], None, {"axis": 0, "k": 2, "largest": True}),
            Special(([2.0, nan, 3.0],), [0, 2], None, {"axis": 0, "k": 2, "largest": False}),
            Special((MANY,), [1, 5, 9], None, {"axis": 0, "k": 3, "largest": True}),
            Special((MANY,), [2, 6, 10], None, {"axis": 0, "k": 3, "largest": False}),
        ],
        bad=[
            Bad(lambda: bl.topk(bl.ones((2, 3)), 4), ShapeError,
                r"topk: k must be at most the 3 elements of axis 1, got 4"),
            Bad(lambda: bl.topk(bl.ones((2, 3)), -1), ArgumentError,
                r"topk: k must be an integer that is not negative, got -1"),
        ],
        low_precision=False,
    ),
    Record(
        op=ops.Argkth,
        reference=along(kth),
        cases=cases("argkth", {"k": 0}, {"k": 2}),
        function=primitives.argkth,
        specials=[
            Special(([2.0, nan, 3.0],), [1], None, {"axis": 0, "k": 2}),
            Special((MANY,), [16], None, {"axis": 0, "k": 29}),
            Special((MANY,), [1], None, {"axis": 0, "k": 75}),
        ],
        bad=[
            Bad(lambda: bl.kthvalue(bl.ones((2, 3)), 4), ShapeError,
                r"kthvalue: k must be at most the 3 elements of axis 1, got 4"),
            Bad(lambda: bl.median(bl.ones((2, 0)), 1), ShapeError,
                r"median: axis 1 must not be empty, got float32\[2,0\]"),
        ],
        low_precision=False,
    ),
    Record(
        op=ops.Argrunning,
        reference=along(so_far),
        cases=cases("argrunning", {"largest": True}, {"largest": False}),
        function=primitives.argrunning,
        specials=[
            Special(([1.0, nan, 3.0, nan],), [0, 1, 1, 3], None, {"axis": 0, "largest": True}),
            Special(([1.0, nan, 0.0, nan],), [0, 1, 1, 3], None, {"axis": 0, "largest": False}),
        ],
        low_precision=False,
    ),
    Record(
        op=ops.Searchsorted,
        reference=positions,
        cases=[
            Case((np.sort(row), x), {"side": side})
            for side in ("left", "right")
            for row, x in (
                (_RNG.uniform(-1, 1, 5), _RNG.uniform(-1, 1, (2, 3))),
                (np.array([1, 2, 2, 4]), np.array([2, 0, 4, 5])),
                (_RNG.uniform(-1, 1, (2, 4)), _RNG.uniform(-1, 1, (2, 3))),
                (np.zeros(0), np.ones(2)),
            )
        ],
        function=primitives.searchsorted,
        bad=[
            Bad(lambda: bl.searchsorted(bl.ones((2, 3)), bl.ones(3)), ShapeError,
                r"searchsorted: x1 must be a row, or have a row for each row of x2, got "
                r"float32\[2,3\] and float32\[3\]"),
        ],
        low_precision=False,
    ),
]  # fmt: skip
