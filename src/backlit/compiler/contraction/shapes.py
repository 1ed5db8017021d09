"""The shape of tiles: of all that fit the registers, the one of the least estimated cycles."""

from __future__ import annotations

from dataclasses import dataclass

from .costs import TileCosts
from .cuts import Cut

#: Vectors of a row of a tile, at most; of a tile of a single row, which reads B once.
_MOST_VECTORS, _MOST_OF_A_ROW = 6, 24
#: From so many vectors of n on, tiles may be single rows.
_LONG_ROW = 32


@dataclass(frozen=True)
class TileShape:
    """A tile: rows, vectors of a row, the piece of m that tiles repeat in; cycles of all tiles."""

    rows: int
    vectors: int
    piece: int
    cycles: float


def best_shape(cuts: list[Cut], costs: TileCosts) -> TileShape:
    """The shape that takes the least cycles."""
    # A single row reads B once: no panel is kept, and long runs open few pages.
    single = cuts[-1].rows == 1 and costs.vectors >= _LONG_ROW
    widest = min(_MOST_OF_A_ROW, costs.vectors // 4) if single else _MOST_VECTORS
    best: TileShape | None = None
    for cut in cuts:
        for w in range(1, min(costs.vectors, widest) + 1):
            if not _fits(cut, w, costs) and (w > 1 or cut is not cuts[0]):
                continue
            cycles = costs.cycles(cut, w, single)
            if best is None or cycles < best.cycles:
                best = TileShape(cut.rows, w, cut.piece, cycles)
    assert best is not None
    return best


def _fits(cut: Cut, w: int, costs: TileCosts) -> bool:
    """Whether a tile's sums, a row of B and an element of A have registers."""
    return (cut.live or cut.rows) * w + min(w, 4) + 1 <= costs.machine.registers
