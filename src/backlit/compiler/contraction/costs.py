"""The cost model of a schedule: estimated cycles of one core.

    a schedule = its tiles                                        `TileCosts.cycles`
               + bringing operands into scratch memory            `packing`, PHASE
               + stores that are no vectors                       SCATTER

`shapes` takes the tiles of least cycles, `schedule` adds the rest and takes the roles of A and B
that cost less. Only the proportions of the numbers matter, and only where two schedules are close.

MULTIPLY_ADD, LOAD, LATENCY, PAGE and WAYS are a processor's: two units for multiply-adds, two for
loads, four cycles from a sum to the next, a first cache with 8 lines in each of 64 sets. The others
are estimates of what their comment says, and no single measurement gave them: `make bench` tells
whether the choices are good ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .addresses import AddressMap
from .cuts import Cut
from .pairs import runs, spacing
from .spec import Contraction
from .target import Machine

# -- packing ------------------------------------------------------------------------------------

#: Cycles for each element that is brought into scratch memory as it lies there: whole vectors, ...
COPY = 0.15
#: ... transposed in registers, if it lies in rows of eight or more, ...
TURN = 0.4
#: ... one by one; ...
GATHER = 2.0
#: ... and on top for each of two passes, reading and writing, over more than `CACHED` bytes.
FAR = 0.6
#: Bytes that are taken to be in the last cache when they are wanted again.
CACHED = 16 * 2**20
#: Cycles for each phase that packs: its barrier, and its start.
PHASE = 2000

# -- a step of k in a tile ----------------------------------------------------------------------

#: Cycles for each vector that is multiplied and added, and for each that is loaded: two at a time.
MULTIPLY_ADD = LOAD = 0.5
#: Cycles at least, without windows and with: a sum waits for the one before.
LATENCY, WINDOWED_LATENCY = 4, 5
#: Cycles for each load in the front end, and as how many loads a vector of B counts there, without
#: windows and with: then the code is long, for taps are written out.
OVERHEAD, VECTOR, WINDOWED_VECTOR = 0.05, 4, 8
#: Cycles for each vector of B that comes from the second cache, without windows and with, or from
#: behind it.
NEAR_L2, WINDOWED_NEAR_L2, BEYOND_L2 = 3.0, 2.0, 6.0
#: Up to so many taps are written out together, and share the loads of overlapping elements.
TOGETHER = 16

# -- the beginning and the end of a tile --------------------------------------------------------

#: Cycles for each tile that begins.
TILE = 20
#: Cycles for each vector that is stored, ...
STORE = 2.0
#: ... for each vector that is turned and each halving of its lanes, ...
SWAP = 0.5
#: ... and for each turned vector that is not full, without windows and with.
PART, WINDOWED_PART = 0.5, 1.5
#: Cycles for each element of the output that is stored alone, not beside the next lane's.
SCATTER = 1.5
#: Bytes after which cache lines share a set of the first cache, and how many a set holds.
PAGE, WAYS = 4096, 8
#: Cycles for each column stored beyond that: its line was pushed out and is read again.
CROWDED = 20.0


@dataclass(frozen=True)
class TileCosts:
    """What tiles take, by their cut and width.

    Rows are `vectors` long, sums of `k` terms. If `apart` is not 0, tiles are turned and stored
    with their lanes so far apart, and `column` bytes from column to column.
    """

    vectors: int
    k: int
    apart: int
    column: int
    lanes: int
    machine: Machine

    def cycles(self, cut: Cut, w: int, single: bool) -> float:
        """Cycles of all tiles of a cut, w vectors wide; with `single` rows nothing is kept of B."""
        fetch = self._fetch(cut, w, single)
        cost = 0.0
        for height, times in cut.heights:
            for width, count in ((w, self.vectors // w), (self.vectors % w, 1)):
                if times and count and width:
                    each = self._walk(cut, w, height, width, fetch) + self._end(cut, height, width)
                    cost += times * count * (each + TILE)
        return cost

    def _fetch(self, cut: Cut, w: int, single: bool) -> float:
        """Cycles to bring a vector of B's panel from the cache that holds it."""
        if single:
            return NEAR_L2
        panel = self.k * w * self.machine.vector
        if 2 * panel < self.machine.l1:
            return 0.0
        if cut.windowed:
            return WINDOWED_NEAR_L2 if panel < self.machine.l2 else BEYOND_L2
        return NEAR_L2 if 2 * panel < self.machine.l2 else BEYOND_L2

    def _walk(self, cut: Cut, w: int, height: int, width: int, fetch: float) -> float:
        """Cycles of a tile's sums, in a kernel with tiles of w vectors.

        For each k they are what the multiply-adds take, at least what the loads do, and at least
        what bringing B's panel does; short tiles are bound by the latency of the additions.
        """
        active = loads = height * cut.share
        sums = (cut.live or cut.rows) * w
        shares = cut.together <= TOGETHER
        if shares and sums + cut.together * width + 1 < self.machine.registers:
            loads = min(loads, 2 * active / cut.together)
        latency = (WINDOWED_LATENCY if cut.windowed else LATENCY) * cut.share
        busy = max(
            active * width * MULTIPLY_ADD,
            (loads + width) * LOAD,
            fetch * width,
            latency,
        )
        vector = WINDOWED_VECTOR if cut.windowed else VECTOR
        busy += OVERHEAD * (loads + vector * width)
        return self.k * cut.taken * busy

    def _end(self, cut: Cut, height: int, width: int) -> float:
        """Cycles to store a tile, or to turn and store it."""
        if not self.apart:
            return STORE * height * width
        turns = -(-height // self.lanes) * width
        part = WINDOWED_PART if cut.windowed else PART
        store = self.apart + part * (height % self.lanes > 0)
        end = turns * self.lanes * (math.log2(self.lanes) * SWAP + store)
        if cut.windowed:
            # Lines at multiples of a page are in each other's way.
            crowd = WAYS * (PAGE // math.gcd(PAGE, self.column))
            end += CROWDED * max(0, width * self.lanes - crowd)
        return end


def packing(spec: Contraction, x: AddressMap, group: str, size: int, full: float) -> float:
    """Cycles for each element of an operand with `size` elements, packed along a group of indices.

    `full` is how many lanes are copied for each that is wanted, where vectors are not full.
    """
    operand = x.operand
    each = GATHER
    run = runs(spec, operand)
    stride = x.stride(group)
    if stride == 1 and not operand.windows:
        each = COPY * full
    elif stride is not None and abs(run[-1][1]) == spacing(operand) and not operand.windows:
        each = TURN * max(1, 8 / max(1, run[-1][0]))
    if max(1, spec.sizes[0]) * size * spec.accumulator.itemsize > CACHED:
        each += 2 * FAR
    return each
