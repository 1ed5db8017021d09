"""Which taps of a window meet data: products with the zeros around an operand are left out.

A tap is a value of the index of k that moves a window. Where all rows of a tile agree on a window's
index of m, the taps that exist for them are a range, found when the tile begins. Where the rows are
different but known when the code is written, each tap is written for those rows that it exists for.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from ..llvm.builder import Function, Index, Value
from .spec import Contraction, Extents, Window

# Taps of one index that are looked through, at most, to leave out what is only zeros.
_LOOKED = 32


@dataclass(frozen=True)
class Tap:
    """One window, its index of k (`level`, `extent` values) and its index of m.

        q = start + ahead · (m // inner mod around) + back · k        exists if 0 ≤ q / step < size

    If `fixed`, the index of m is the same for all rows of a tile. If `exact`, it is known; if not,
    it is known up to multiples of the step. In a padded copy, coordinate p lies at
    (p - low) · stride: tiles of windows with steps above 1 get their places from here.
    """

    level: int
    extent: int
    start: int
    size: int
    step: int
    ahead: int
    inner: int
    around: int
    back: int
    low: int
    stride: int
    fixed: bool
    exact: bool

    @property
    def period(self) -> int:
        """Taps from one that exists for an element to the next."""
        return self.step // math.gcd(self.step, self.back)

    @property
    def share(self) -> float:
        """Of all pairs of an index of m and a tap, the part that exists."""
        if not self.fixed and not self.exact:
            return 1 / self.step
        qs = tuple(self._q(digit, 0) for digit in range(self.around))
        moves = tuple(self.back * k for k in range(self.extent))
        return _share(qs, moves, self.size, self.step)

    def _digit(self, within: int, row: int) -> int:
        return (within + row) // self.inner % self.around

    def _q(self, digit: int, k: int) -> int:
        return self.start + self.ahead * digit + self.back * k

    def exists(self, within: int, row: int, k: int) -> bool:
        """Whether tap k may meet data in a row of the tile that begins at `within`."""
        q = self._q(self._digit(within, row), k)
        return q % self.step == 0 and (not self.exact or 0 <= q // self.step < self.size)

    def shift(self, within: int, row: int, k: int) -> int:
        """How far from the tile's `base` a row's element for a tap that exists lies."""
        first = self._q(self._digit(within, 0), 0) // self.step
        return (self._q(self._digit(within, row), k) // self.step - first) * self.stride

    def _q_of(self, m: Index) -> Index:
        """q for tap 0 of the row m, counted from the copy's first coordinate: never negative."""
        return m // self.inner % self.around * self.ahead + (self.start - self.low * self.step)

    def base(self, m: Index) -> Index:
        """Where the element of row m for tap 0 lies in the copy, rounded down."""
        return self._q_of(m) // self.step * self.stride

    def range(self, f: Function, m: Index) -> tuple[Value, Value, Index]:
        """The first tap that exists for row m, how many do, and where the first one's element is.

        The taps are `period` apart.
        """
        q = f.index(self._q_of(m))
        low = self.low * self.step
        last = (self.size - 1) * self.step - low
        first = count = f.index(0)
        for k in reversed(range(self.extent)):
            at = q + self.back * k
            inside = at.compare("ge", -low) & at.compare("le", last)
            if self.step > 1:
                inside = inside & (at % self.step).compare("eq", 0)
            first = inside.select(k, first)
            count = count + inside.cast("zext", "i64")
        return first, count, (q + first * self.back) // self.step * self.stride


@functools.lru_cache(1024)
def _share(qs: Extents, moves: Extents, size: int, step: int) -> float:
    found = sum((q + d) % step == 0 and 0 <= q + d < size * step for q in qs for d in moves)
    return found / (len(qs) * len(moves))


def taps_of(
    spec: Contraction, windows: tuple[tuple[int, int, Window], ...], piece: int, rows: int
) -> list[Tap] | None:
    """The windows of A whose taps are known to tiles of `rows` in pieces of `piece`.

    `windows` are (first coordinate, stride) in the copy and the window. None if a window of a step
    above 1 is not among those that can be known.
    """
    found: dict[int, Tap] = {}
    for number, (low, stride, w) in enumerate(windows):
        tap = _tap(spec, low, stride, w, piece, rows)
        key = -1 - number if tap is None or tap.level < 0 else tap.level
        if tap is None or key in found:
            if w.step > 1 or (key in found and found[key].step > 1):
                return None
            continue
        found[key] = tap
    return list(found.values())


def _tap(spec: Contraction, low: int, stride: int, w: Window, piece: int, rows: int) -> Tap | None:
    def moving(coefficients: Extents, extents: Extents) -> list[int]:
        pairs = zip(coefficients, extents, strict=False)
        return [i for i, (c, e) in enumerate(pairs) if c and e > 1]

    ks, ms = moving(w.k, spec.k), moving(w.m, spec.m)
    if moving(w.batch, spec.batch) or len(ks) > 1 or len(ms) > 1 or (ks and ks[0] == 0):
        return None
    extent, back = (spec.k[ks[0]], w.k[ks[0]]) if ks else (1, 1)
    if w.step == 1 and not 1 < extent <= _LOOKED:
        return None
    ahead, inner, around = 0, 1, 1
    if ms:
        ahead, around = w.m[ms[0]], spec.m[ms[0]]
        inner = math.prod(spec.m[ms[0] + 1 :])
    fixed = not ms or inner % piece == 0
    whole = piece % (inner * around) == 0
    exact = whole and (piece <= rows or rows % (inner * around) == 0 or piece <= 2 * rows)
    steady = piece == inner * around and rows % inner == 0 == rows // inner * ahead % w.step
    if not fixed and not exact and not (steady and w.step > 1):
        return None
    return Tap(
        ks[0] if ks else -1, extent, w.start, w.extent, w.step, ahead, inner, around, back,
        low, stride, fixed, exact,
    )  # fmt: skip
