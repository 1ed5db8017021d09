"""How a contraction is cut into tiles, blocks and phases for one kind of processor."""

from __future__ import annotations

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
    packed: int = 8 * 1024 * 1024

    def lanes(self, itemsize: int) -> int:
        """Elements in a vector."""
        return self.vector // itemsize


@dataclass(frozen=True)
class Schedule:
    """Blocks of a contraction; lanes run along n.

    A tile is `rows` × `vectors` · lanes accumulators in registers. A step covers `mc` × `nc` × `kc`
    of `bc` matrices of the batch; the sums of the blocks of k meet in the first output, in order.
    Each step is a phase that packs (if anything is packed) and a phase that computes. Tiles are
    taken in blocks of `block` tiles along m. With `swapped` the contraction's (A, m) and (B, n)
    have exchanged roles; with `turn` tiles are transposed in registers before they are stored.
    `prefetch` is how many
    k ahead the rows of a direct A are fetched. None of it depends on the number of threads.
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
    swapped: bool = False
    turn: bool = False
    prefetch: int = 0


# Estimated cycles for each element: copied in order, turned in registers, gathered; stored turned,
# stored one by one. Only their proportions matter, and only where two schedules are close.
_COPY, _TURN, _GATHER, _STORE_TURNED, _STORE_SCATTERED = 0.15, 0.4, 2.0, 0.4, 1.5
# Elements beyond the last cache: each pass over them costs this much.
_MEMORY = 0.6
_CACHED = 16 * 1024 * 1024


def choose(spec: Contraction, machine: Machine) -> tuple[Contraction, Schedule]:
    """The schedule for a contraction, and the contraction with the roles it wants."""
    candidates = []
    for swapped in (False, True):
        turned_spec = spec.swapped() if swapped else spec
        cost, schedule = _plan(turned_spec, machine)
        candidates.append((cost, swapped, turned_spec, schedule))
    _, swapped, spec, schedule = min(candidates, key=lambda c: c[:2])
    return spec, replace(schedule, swapped=swapped)


def _plan(spec: Contraction, machine: Machine) -> tuple[float, Schedule]:
    """The schedule with lanes along n, and its estimated cycles."""
    batch, m, n, k = (max(1, x) for x in spec.sizes)
    itemsize = spec.accumulator.itemsize
    lanes = machine.lanes(itemsize)
    a, b, c = Access(spec, spec.a), Access(spec, spec.b), Access(spec, spec.outputs[0])
    plain = spec.accumulator
    affine_a = a.stride("m") is not None and a.stride("k") is not None and not spec.a.windows
    affine_b = b.stride("n") is not None and b.stride("k") is not None and not spec.b.windows
    direct_a = affine_a and spec.a.dtype == plain
    direct_b = affine_b and spec.b.dtype == plain and (b.stride("n") == 1 or n == 1)
    turn = c.stride("n") != 1 and c.stride("m") == 1 and m > 1 and n > 1
    rows, vectors, cycles = tile_shape(m, -(-n // lanes), machine)
    wide = vectors * lanes
    large = m * n * k >= 256**3
    pack_a = not direct_a or (large and n > 4 * wide)
    pack_b = not direct_b or (large and m >= 8 * rows)

    kc = k
    if spec.outputs[0].dtype == plain and k > 512 and (pack_a or pack_b):
        blocks = -(-k // 384)
        kc = (k + 4 * blocks - 1) // (4 * blocks) * 4
    prefetch = 0
    streams = direct_a and not pack_a and a.stride("k") == 1 and n <= 2 * lanes
    if streams and m * k * itemsize > 2 * machine.l2 and k * wide * itemsize <= machine.l2:
        # Rows of A come from memory once: few at a time, far ahead, and whole.
        rows, kc, prefetch = min(m, 8), k, 1024 // itemsize
    room = max(1, machine.packed // (kc * itemsize))
    nc = min(n, max(1, room // wide) * wide) if pack_b else n
    mc = min(m, max(1, room // rows) * rows) if pack_a else m
    bc = 1
    if mc == m and nc == n:
        packed = max(1, (mc * pack_a + nc * pack_b) * kc * itemsize)
        bc = min(batch, max(1, machine.packed // packed))
    block = max(1, (machine.l2 // 3) // (kc * itemsize * rows))
    if -(-nc // wide) < 4:
        block = 1
    schedule = Schedule(
        rows,
        vectors,
        pack_a,
        pack_b,
        kc,
        mc,
        nc,
        bc,
        min(block, -(-mc // rows)),
        turn=turn,
        prefetch=prefetch,
    )

    cost = cycles * k + (2000 if pack_a or pack_b else 0)
    for size, packed_too, affine, lane_stride, k_stride in (
        (m * k, pack_a, affine_a, a.stride("m"), a.stride("k")),
        (n * k, pack_b, affine_b, b.stride("n"), b.stride("k")),
    ):
        if not packed_too:
            continue
        each = _GATHER
        if affine:
            each = _COPY if lane_stride == 1 else _TURN if k_stride == 1 else _GATHER
        if batch * size * itemsize > _CACHED:
            each += 2 * _MEMORY
        cost += size * each
    if turn:
        cost += m * n * _STORE_TURNED
    elif c.stride("n") not in (0, 1) and n > 1:
        cost += m * n * _STORE_SCATTERED
    return cost, schedule


def tile_shape(m: int, vectors: int, machine: Machine) -> tuple[int, int, float]:
    """The tile (rows, vectors) that covers m × vectors in the least estimated cycles for each k.

    A row of a tile costs half a cycle for each fused multiply-add, and at least what its loads
    cost; short tiles are bound by the latency of the additions.
    """
    best: tuple[float, int, int] | None = None
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
    return best[1], best[2], best[0]
