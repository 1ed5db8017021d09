"""Ranks in NumPy: partitions where not all of an axis need be put in order.

The meaning of each function is that of the op in `ops.ranking`.
"""

from __future__ import annotations

import numpy as np

#: Up to this many elements along an axis they are all put in order.
_FEW = 64
#: From this many elements on NumPy's quicksort, which has vectors, saves more than ties cost.
_MANY = 1 << 11


def argsort(x: np.ndarray, axis: int, descending: bool = False) -> np.ndarray:
    """Stable in both directions: equal elements keep their order, NaN as the largest."""
    if not descending:
        return _upward(x, axis)
    return np.flip(x.shape[axis] - 1 - _upward(np.flip(x, axis), axis), axis)


def _upward(x: np.ndarray, axis: int) -> np.ndarray:
    """The stable order of the elements: long rows by quicksort, and then what is equal by place."""
    n = x.shape[axis]
    if n < _MANY or x.itemsize < 4:  # NumPy's stable sort of small types is by digits
        return np.argsort(x, axis=axis, stable=True)
    rows = _rows(x, axis)
    packed = _packed_order(rows) if x.dtype == np.uint64 else None
    if packed is not None:
        return _back(packed, x, axis)
    order = np.argsort(rows, axis=-1)
    values = np.take_along_axis(rows, order, -1)
    equal = values[:, 1:] == values[:, :-1]
    if x.dtype.kind == "f" and np.isnan(values[:, -1]).any():
        equal |= np.isnan(values[:, :-1])
    if equal.any():
        first = np.zeros(order.shape, np.int64)  # n for each different value before
        np.cumsum(np.where(equal, 0, n), axis=-1, out=first[:, 1:])
        order = np.sort(first + order, axis=-1) - first
    return _back(order, x, axis)


def _packed_order(rows: np.ndarray) -> np.ndarray | None:
    """The stable order of words, by sorting them with their places in the last bits of each.

    That is several times as fast as any sort of places. Where a word and a place have no room in
    one, the last bits of the word are left out; None if the order then depends on them.
    """
    places = (rows.shape[1] - 1).bit_length()
    lost = max(int(rows.max(initial=0)).bit_length() + places - 64, 0)
    keys = rows >> np.uint64(lost)
    keys <<= np.uint64(places)
    keys |= np.arange(rows.shape[1], dtype=np.uint64)
    keys.sort(axis=-1)
    keys &= np.uint64((1 << places) - 1)
    order = keys.astype(np.int64)
    if lost:
        values = np.take_along_axis(rows, order, -1)
        if not (values[:, 1:] > values[:, :-1]).all():
            return None
    return order


def _rows(x: np.ndarray, axis: int) -> np.ndarray:
    """The elements along an axis as rows of a matrix."""
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])


def _back(rows: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Rows where the axis of x was."""
    lead = (*x.shape[:axis], *x.shape[axis + 1 :])
    return np.moveaxis(rows.reshape(*lead, rows.shape[-1]), -1, axis)


def _beside(rows: np.ndarray, rank: int, upward: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which elements of each row are before the one of a rank, and which are equal to it."""
    at = np.partition(rows, rank, axis=-1)[:, rank, None]
    before, equal = (rows < at if upward else rows > at), rows == at
    if rows.dtype.kind == "f":
        nan, nan_at = np.isnan(rows), np.isnan(at)
        if nan.any():
            before |= nan_at & ~nan if upward else nan & ~nan_at
            equal |= nan & nan_at
    return before, equal


def argtop(x: np.ndarray, axis: int, k: int, largest: bool) -> np.ndarray:
    """See `ops.ranking.Argtop`."""
    n = x.shape[axis]
    if n <= _FEW or 4 * k > n or k == 0 or x.size == 0:
        return np.take(argsort(x, axis, largest), np.arange(k), axis)
    rows = _rows(x, axis)
    chosen, equal = _beside(rows, n - k if largest else k - 1, not largest)
    missing = k - chosen.sum(1, keepdims=True)
    if (equal.sum(1, keepdims=True) > missing).any():
        equal &= np.cumsum(equal, 1) <= missing
    chosen |= equal
    places = np.nonzero(chosen)[1].reshape(-1, k)
    order = argsort(np.take_along_axis(rows, places, 1), 1, largest)
    return _back(np.take_along_axis(places, order, 1), x, axis)


def argkth(x: np.ndarray, axis: int, k: int) -> np.ndarray:
    """See `ops.ranking.Argkth`."""
    n = x.shape[axis]
    if n <= _FEW or x.size == 0:
        return np.take(argsort(x, axis), [k], axis)
    rows = _rows(x, axis)
    before, equal = _beside(rows, k, True)
    missing = k - before.sum(1, keepdims=True)
    if missing.any():
        equal &= np.cumsum(equal, 1) > missing
    return _back(np.argmax(equal, 1)[:, None], x, axis)


def argrunning(x: np.ndarray, axis: int, largest: bool) -> np.ndarray:
    """See `ops.ranking.Argrunning`."""
    extreme = np.maximum if largest else np.minimum
    hit = (x == extreme.accumulate(x, axis)) | (x != x)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    place = np.where(hit, np.arange(x.shape[axis]).reshape(shape), 0)
    return np.maximum.accumulate(place, axis)


def searchsorted(row: np.ndarray, x: np.ndarray, side: str) -> np.ndarray:
    """See `ops.ranking.Searchsorted`."""
    if row.ndim == 1:
        return np.asarray(np.searchsorted(row, x, side))  # type: ignore[call-overload]
    result = np.empty(x.shape, np.int64)
    for place in np.ndindex(x.shape[:-1]):
        result[place] = np.searchsorted(row[place], x[place], side)  # type: ignore[call-overload]
    return result
