"""How a contraction is cut into tiles, blocks and phases for one kind of processor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .access import Access
from .spec import Contraction


@dataclass(frozen=True)
class Machine:
    """What the choice of a schedule depends on. Sizes in bytes."""

    vector: int = 64
    registers: int = 32
    l1: int = 48 * 1024
    l2: int = 1024 * 1024

    def lanes(self, itemsize: int) -> int:
        """Elements in a vector."""
        return self.vector // itemsize


@dataclass(frozen=True)
class Schedule:
    """Blocks of a contraction; lanes run along n.

    A tile is `rows` × `vectors` · lanes accumulators in registers. A step covers `mc` × `nc` × `kc`
    of `bc` matrices of the batch; the sums of the blocks of k meet in the first output, in order.
    Each step is a phase that packs (if anything is packed) and a phase that computes. Tiles are
    taken in blocks of `block` tiles along m. None of it depends on the number of threads.
    """

    rows: int
    vectors: int
    pack_a: bool
    pack_b: bool
    kc: int
    mc: int
    nc: int
    bc: int
    block: int
    unroll: int = 4
    swapped: bool = False


def choose(spec: Contraction, machine: Machine) -> tuple[Contraction, Schedule]:
    """The schedule for a contraction, and the contraction with the roles it wants."""
    swapped = _wants_swap(spec)
    if swapped:
        spec = spec.swapped()
    batch, m, n, k = (max(1, x) for x in spec.sizes)
    itemsize = spec.accumulator.itemsize
    lanes = machine.lanes(itemsize)
    a, b = Access(spec, spec.a), Access(spec, spec.b)
    plain = spec.accumulator
    direct_a = a.stride("m") is not None and a.stride("k") is not None
    direct_a = direct_a and not spec.a.windows and spec.a.dtype == plain
    direct_b = b.stride("n") == 1 and b.stride("k") is not None or n == 1
    direct_b = direct_b and b.stride("k") is not None
    direct_b = direct_b and not spec.b.windows and spec.b.dtype == plain
    rows, vectors = tile_shape(m, -(-n // lanes), machine)
    large = m * n * k >= 256**3
    pack_a = not direct_a or (large and n > 4 * vectors * lanes)
    pack_b = not direct_b or (large and m >= 8 * rows)
    kc = k
    splittable = spec.outputs[0].dtype == plain and k > 0
    if splittable and k > 512 and (pack_a or pack_b):
        blocks = -(-k // 384)
        kc = -(-(-(-k // blocks)) // 4) * 4
    wide = vectors * lanes
    limit = 8 * 1024 * 1024
    nc = min(n, max(1, limit // (kc * itemsize * wide)) * wide) if pack_b else n
    mc = min(m, max(1, limit // (kc * itemsize * rows)) * rows) if pack_a else m
    per_batch = (mc * pack_a + nc * pack_b) * kc * itemsize
    bc = min(batch, max(1, limit // max(1, per_batch)))
    if mc < m or nc < n:
        bc = 1
    block = max(1, (machine.l2 // 3) // (kc * itemsize * rows))
    tiles = -(-mc // rows)
    panels = -(-nc // wide)
    if panels < 4:
        block = 1
    return spec, Schedule(
        rows, vectors, pack_a, pack_b, kc, mc, nc, bc, min(block, tiles), swapped=swapped
    )


def _wants_swap(spec: Contraction) -> bool:
    """Whether lanes should run along m: where the first output has its elements side by side."""
    c = Access(spec, spec.outputs[0])
    along_n, along_m = c.stride("n"), c.stride("m")
    _, m, n, _ = spec.sizes
    if n == 1 and m > 1:
        return along_m == 1
    if m == 1:
        return False
    return along_n != 1 and along_m == 1


def tile_shape(m: int, vectors: int, machine: Machine) -> tuple[int, int]:
    """The tile (rows, vectors) that covers m × vectors in the least estimated time.

    A row of a tile costs half a cycle for each fused multiply-add, and at least what its loads
    cost; short tiles are bound by the latency of the additions.
    """
    best = None
    for w in range(1, min(vectors, 6) + 1):
        for r in range(1, 25):
            if r * w + min(w, 4) + 1 > machine.registers or (r > m and r > 1):
                continue
            cost = 0.0
            for height, times in ((r, m // r), (m % r, int(m % r > 0))):
                for width, count in ((w, vectors // w), (vectors % w, int(vectors % w > 0))):
                    if times and count:
                        busy = max(height * width / 2, (height + width) / 2, 4)
                        cost += times * count * (busy + 0.05 * (height + 4 * width))
            if best is None or cost < best[0]:
                best = (cost, r, w)
    assert best is not None
    return best[1], best[2]


__all__ = ["Machine", "Schedule", "choose", "math", "replace", "tile_shape"]
