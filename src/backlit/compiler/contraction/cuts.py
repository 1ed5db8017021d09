"""Tiles: the ways to cut m into them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .pad import Padded
from .spec import Contraction
from .taps import taps_of

#: Rows of a tile, at most: accumulators of more would not fit the registers.
_MOST_ROWS = 26


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
