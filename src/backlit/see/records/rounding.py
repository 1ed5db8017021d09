"""By how much rounding can make two computations of one thing differ.

It is measured: what is computed is computed again with all numbers off by a rounding error or two.
So cancellation, long sums and unstable steps count as they are, with the dtype of each value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
#: How often it is done again: what moves one element little may move it more another time.
AGAIN = 3


def shake(array: np.ndarray, rng: np.random.Generator, eps: float | None = None) -> np.ndarray:
    """A floating array that is off by up to two units in the last place, or by those of `eps`."""
    if array.dtype not in FLOATING:
        return array
    wide = array.astype(np.float64)
    unit = finfo(array.dtype).eps if eps is None else eps
    with np.errstate(all="ignore"):
        return (wide * (1 + OFF * unit * rng.uniform(-1, 1, array.shape))).astype(array.dtype)


def moved(computed: np.ndarray, shaken: Sequence[np.ndarray]) -> np.ndarray:
    """By how much each element of a result went, at most, in float64; 0 where it is not finite."""
    one = computed.astype(np.float64)
    with np.errstate(all="ignore"):
        gaps = [np.abs(again.astype(np.float64) - one) for again in shaken]
        return np.max([np.where(np.isfinite(g), g, 0.0) for g in gaps], axis=0, initial=0.0)


def _size(array: np.ndarray) -> float:
    """The largest finite size of an element."""
    size = np.abs(array.astype(np.float64))
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def room(
    computed: np.ndarray, known: np.ndarray, shaken: Sequence[np.ndarray], eps: float
) -> np.ndarray:
    """By how much each element may differ between two results, if only rounding differs.

    Each by what it has moved itself, and at least by what nine of ten have that moved at all: a
    router that rounding turns somewhere leaves less room for that elsewhere.
    """
    gone = np.asarray(moved(computed, shaken)) if shaken else np.zeros(computed.shape)
    some = gone[gone > 0]
    usual = float(np.quantile(some, 0.9)) if some.size else 0.0
    return TIMES * np.maximum(gone, usual) + UNITS * eps * _size(known)


def within(a: np.ndarray, b: np.ndarray, shaken: np.ndarray | None) -> bool:
    """Whether two results differ by no more than rounding may make of it."""
    if shaken is None or a.dtype not in FLOATING:
        return False
    allowed = TIMES * float(np.max(moved(a, [shaken]), initial=0.0))
    allowed += UNITS * finfo(a.dtype).eps * _size(b)
    with np.errstate(all="ignore"):
        one, other = a.astype(np.float64), b.astype(np.float64)
        return bool(np.allclose(one, other, 0, allowed, equal_nan=True))


def shaken(record: Record, units: dict[int, float]) -> list[Record]:
    """The computation of a record done again a few times, with every number off by rounding.

    `units` has the unit of the last place for each floating node. Empty if it cannot be done again.
    """
    rng = np.random.default_rng(0)

    def off(number: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda array: shake(array, rng, units[number])

    known = [n for n in record.nodes if n.id in units and n.status != "failed"]
    values = {n.id: off(n.id) for n in known if array_of(n.value) is not None}
    gradients = {n.id: off(n.id) for n in known if n.upstream is not None}
    try:
        return [changed(record, values, gradients, beyond=True)[0] for _ in range(AGAIN)]
    except ArgumentError:  # an op that is closed, or not of this Backlit
        return []
