"""Arrays as few cells for the eye: neighbours as one, elements as bytes, counts as bars."""

from __future__ import annotations

import math

import numpy as np


def pooled(values: np.ndarray, axis: int, most: int) -> np.ndarray:
    """At most so many cells along an axis: of each the element of largest size, and one that is not
    finite before all others.

    >>> pooled(np.array([1.0, -5.0, 0.0, 2.0]), 0, 2)
    array([-5.,  2.])
    """
    n = values.shape[axis]
    if n <= most:
        return values
    edges = np.linspace(0, n, most + 1).astype(int)[:-1]
    with np.errstate(invalid="ignore"):
        high = np.maximum.reduceat(values, edges, axis)
        low = np.minimum.reduceat(values, edges, axis)
        return np.where(np.abs(low) > np.abs(high), low, high)


#: So many elements are counted at a time: they stay in the cache.
CHUNK = 2**14


def bars(values: np.ndarray, count: int) -> tuple[np.ndarray, float, float] | None:
    """How many finite elements lie in each of `count` bars of equal width, and from where to where.

    None where they do not differ, or by more than a float holds.
    """
    flat = values.reshape(-1)
    finite = np.isfinite(flat)
    flat = flat if finite.all() else flat[finite]
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    if not low < high or not math.isfinite(high - low):
        return None
    counts = np.zeros(count, np.intp)
    for start in range(0, flat.size, CHUNK):
        share = (flat[start : start + CHUNK].astype(np.float64) - low) / (high - low)
        cells = np.minimum((share * count).astype(np.int32), count - 1)
        counts += np.bincount(cells, minlength=count)
    return counts, low, high


#: The codes of what is not finite; those of numbers go from 0 to TOP.
NAN, PLUS, MINUS, TOP = 253, 254, 255, 252


def coded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers between `low` and `high` as bytes: evenly, and with a byte that is exactly 0.

    If 0 lies between them the middle one, 126, is 0, and the ends are ± the larger size.

    >>> coded(np.array([-1.0, 0.0, 2.0, np.nan]), -1.0, 2.0)
    array([ 63, 126, 252, 253], dtype=uint8)
    """
    start, stop = ends(low, high)
    with np.errstate(all="ignore"):
        share = (values.astype(np.float64) / 2 - start / 2) / (stop / 2 - start / 2 or 1.0)
        codes = np.rint(np.clip(np.nan_to_num(share), 0, 1) * TOP).astype(np.uint8)
    codes[np.isnan(values)] = NAN
    codes[np.isposinf(values)] = PLUS
    codes[np.isneginf(values)] = MINUS
    return codes


def ends(low: float, high: float) -> tuple[float, float]:
    """The numbers of the first and the last code: see `coded`."""
    if low < 0 < high:
        top = max(-low, high)
        return -top, top
    return low, high
