"""Tiles: the ways to cut m into them, and the shape that takes the least estimated cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import costs
from .pad import Padded
from .spec import Contraction
from .taps import taps_of
from .target import Machine

#: Rows of a tile, at most: accumulators of more would not fit the registers.
_MOST_ROWS = 26
#: Vectors of a row, at most; of a tile of a single row, and of how many vectors such rows are.
_MOST_VECTORS, _MOST_OF_A_ROW, _LONG_ROW = 6, 24, 32
#: Taps that are written out together share the loads of their overlapping elements.
_TOGETHER = 16


@dataclass(frozen=True)
class Cut:
    """A way to cut m into tiles: rows, the piece that tiles repeat in, (height, times) of tiles.

    Of the values of k the part `taken` exists for a tile, and of these `share` for each row.
    `together` taps that follow each other read overlapping elements of A. The sums of all but
    `live` rows are zero.
    """

    rows: int
    piece: int
    heights: tuple[tuple[int, int], ...]
    taken: float = 1.0
    share: float = 1.0
    together: int = 1
    windowed: bool = False
    live: int = 0


@dataclass(frozen=True)
class Shape:
    """A tile: rows, vectors of a row, the piece of m that tiles repeat in; cycles of all tiles."""

    rows: int
    vectors: int
    piece: int
    cycles: float


def plain_cuts(dims: list[int]) -> list[Cut]:
    """The ways to cut the indices of m into tiles of equal steps: along one of the last indices."""
    cuts: list[Cut] = []
    trail, outer = 1, math.prod(dims)
    for extent in reversed(dims):
        outer //= extent
        for r in range(1, min(extent, _MOST_ROWS // trail) + 1):
            heights = ((r * trail, outer * (extent // r)), (extent % r * trail, outer))
            cut = Cut(r * trail, extent * trail, tuple(h for h in heights if h[0] and h[1]))
            cuts.append(cut)
        trail *= extent
        if trail > _MOST_ROWS:
            break
    return cuts or [Cut(1, dims[-1], ((1, math.prod(dims)),))]


def padded_cuts(spec: Contraction, pad: Padded, dims: list[int]) -> list[Cut]:
    """Those of `dims` in whose tiles the taps of the windows that need it are known."""
    found = []
    for cut in plain_cuts(dims or [1]):
        piece = cut.piece if len(dims) > 1 else max(1, spec.sizes[1])
        taps = taps_of(spec, pad.places, piece, cut.rows)
        if taps is not None:
            taken = math.prod(t.share for t in taps if t.fixed)
            share = math.prod(t.share for t in taps if not t.fixed)
            together = math.prod(t.extent for t in taps if not t.fixed)
            live = sum(
                all(any(t.exists(0, r, k) for k in range(t.extent)) for t in taps if not t.fixed)
                for r in range(cut.rows)
            )
            found.append(Cut(cut.rows, cut.piece, cut.heights, taken, share, together, True, live))
    return found


@dataclass(frozen=True)
class Shapes:
    """What the choice of a shape depends on beside the cuts.

    Rows are `vectors` long, sums of `k` terms. If `apart` is not 0, tiles are turned and stored
    with their lanes so far apart, and `column` bytes from column to column.
    """

    vectors: int
    k: int
    apart: int
    column: int
    lanes: int
    machine: Machine

    def best(self, cuts: list[Cut]) -> Shape:
        """The shape that takes the least cycles."""
        # A single row reads B once: no panel is kept, and long runs open few pages.
        single = cuts[-1].rows == 1 and self.vectors >= _LONG_ROW
        widest = min(_MOST_OF_A_ROW, self.vectors // 4) if single else _MOST_VECTORS
        best: Shape | None = None
        for cut in cuts:
            for w in range(1, min(self.vectors, widest) + 1):
                if not self._fits(cut, w) and (w > 1 or cut is not cuts[0]):
                    continue
                cycles = self._cycles(cut, w, self._fetch(cut, w, single))
                if best is None or cycles < best.cycles:
                    best = Shape(cut.rows, w, cut.piece, cycles)
        assert best is not None
        return best

    def _fits(self, cut: Cut, w: int) -> bool:
        """Whether a tile's sums, a row of B and an element of A have registers."""
        return (cut.live or cut.rows) * w + min(w, 4) + 1 <= self.machine.registers

    def _fetch(self, cut: Cut, w: int, single: bool) -> float:
        """Cycles to bring a vector of B's panel from the cache that holds it."""
        if single:
            return costs.NEAR_L2
        panel = self.k * w * self.machine.vector
        if 2 * panel < self.machine.l1:
            return 0.0
        if cut.windowed:
            return costs.WINDOWED_NEAR_L2 if panel < self.machine.l2 else costs.BEYOND_L2
        return costs.NEAR_L2 if 2 * panel < self.machine.l2 else costs.BEYOND_L2

    def _cycles(self, cut: Cut, w: int, fetch: float) -> float:
        """Cycles of all tiles of a cut, w vectors wide."""
        cost = 0.0
        for height, times in cut.heights:
            for width, count in ((w, self.vectors // w), (self.vectors % w, 1)):
                if times and count and width:
                    each = self._walk(cut, w, height, width, fetch) + self._end(cut, height, width)
                    cost += times * count * (each + costs.TILE)
        return cost

    def _walk(self, cut: Cut, w: int, height: int, width: int, fetch: float) -> float:
        """Cycles of a tile's sums, in a kernel with tiles of w vectors.

        For each k they are what the multiply-adds take, at least what the loads do, and at least
        what bringing B's panel does; short tiles are bound by the latency of the additions.
        """
        active = loads = height * cut.share
        sums = (cut.live or cut.rows) * w
        shares = cut.together <= _TOGETHER
        if shares and sums + cut.together * width + 1 < self.machine.registers:
            loads = min(loads, 2 * active / cut.together)
        latency = (costs.WINDOWED_LATENCY if cut.windowed else costs.LATENCY) * cut.share
        busy = max(
            active * width * costs.MULTIPLY_ADD,
            (loads + width) * costs.LOAD,
            fetch * width,
            latency,
        )
        vector = costs.WINDOWED_VECTOR if cut.windowed else costs.VECTOR
        busy += costs.OVERHEAD * (loads + vector * width)
        return self.k * cut.taken * busy

    def _end(self, cut: Cut, height: int, width: int) -> float:
        """Cycles to store a tile, or to turn and store it."""
        if not self.apart:
            return costs.STORE * height * width
        turns = -(-height // self.lanes) * width
        part = costs.WINDOWED_PART if cut.windowed else costs.PART
        store = self.apart + part * (height % self.lanes > 0)
        end = turns * self.lanes * (math.log2(self.lanes) * costs.SWAP + store)
        if cut.windowed:
            # Lines at multiples of a page are in each other's way.
            crowd = costs.WAYS * (costs.PAGE // math.gcd(costs.PAGE, self.column))
            end += costs.CROWDED * max(0, width * self.lanes - crowd)
        return end
