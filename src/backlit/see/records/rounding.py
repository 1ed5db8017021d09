"""By how much rounding can make two computations of one thing differ.

It is measured: what is computed is computed again with all numbers off by a rounding error or two.
So cancellation, long sums and unstable steps count as they are, with the dtype of each value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...dtypes import FLOATING, finfo
from ...errors import ArgumentError
from .changed import changed
from .model import Record
from .value import array_of

#: How far a number is off, in units of the last place.
OFF = 2
#: What is allowed: so many times what has moved, and so many units of the largest number.
TIMES, UNITS = 8, 64


def shake(array: np.ndarray, rng: np.random.Generator, eps: float | None = None) -> np.ndarray:
    """A floating array that is off by up to two units in the last place, or by those of `eps`."""
    if array.dtype not in FLOATING:
        return array
    wide = array.astype(np.float64)
    unit = finfo(array.dtype).eps if eps is None else eps
    with np.errstate(all="ignore"):
        return (wide * (1 + OFF * unit * rng.uniform(-1, 1, array.shape))).astype(array.dtype)


def room(
    computed: np.ndarray, known: np.ndarray, shaken: np.ndarray | None, eps: float | None = None
) -> float:
    """By how much an element may differ between two results, if only rounding differs."""
    unit = finfo(computed.dtype).eps if eps is None else eps
    one, other = computed.astype(np.float64), known.astype(np.float64)
    with np.errstate(all="ignore"):
        moved = 0.0
        if shaken is not None:
            gap = np.abs(shaken.astype(np.float64) - one)
            moved = float(np.max(gap, initial=0.0, where=np.isfinite(gap)))
        size = np.abs(other)
        top = float(np.max(size, initial=0.0, where=np.isfinite(size)))
    return TIMES * moved + UNITS * unit * top


def within(a: np.ndarray, b: np.ndarray, shaken: np.ndarray | None) -> bool:
    """Whether two results differ by no more than rounding may make of it."""
    if shaken is None or a.dtype not in FLOATING:
        return False
    with np.errstate(all="ignore"):
        one, other = a.astype(np.float64), b.astype(np.float64)
        return bool(np.allclose(one, other, 0, room(a, b, shaken), equal_nan=True))


def shaken(record: Record, units: dict[int, float]) -> Record | None:
    """The computation of a record done again, with every number off by rounding.

    `units` has the unit of the last place for each floating node. None if it cannot be done again.
    """
    rng = np.random.default_rng(0)

    def off(number: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda array: shake(array, rng, units[number])

    known = [n for n in record.nodes if n.id in units and n.status != "failed"]
    values = {n.id: off(n.id) for n in known if array_of(n.value) is not None}
    gradients = {n.id: off(n.id) for n in known if n.upstream is not None}
    try:
        return changed(record, values, gradients, beyond=True)[0]
    except ArgumentError:  # an op that is closed, or not of this Backlit
        return None
