"""How a contraction is cut into tiles, blocks and phases for one kind of processor."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

from .access import Access
from .pad import Padded, padded, simplified
from .pairs import paired, runs, spacing
from .spec import Contraction, Operand, merge
from .taps import taps_of


@dataclass(frozen=True)
class Machine:
    """What the choice of a schedule depends on. Sizes in bytes.

    With `pairs` it adds two products of bfloat16 at a time to a sum in float32.
    """

    vector: int = 64
    registers: int = 32
    l1: int = 48 * 1024
    l2: int = 1024 * 1024
    packed: int = 8 * 1024 * 1024
    pairs: bool = False

    def lanes(self, itemsize: int) -> int:
        """Elements in a vector."""
        return self.vector // itemsize


@dataclass(frozen=True)
class Schedule:
    """Blocks of a contraction; lanes run along n.

    A tile is `rows` × `vectors` · lanes accumulators in registers. A step covers `mc` × `nc` × `kc`
    of `bc` matrices of the batch; the sums of the blocks of k meet in the first output, in order,
    or in scratch memory if it is narrower than they are. Each step is a phase that packs (if
    anything is packed) and a phase that computes; steps that share nothing but B are one phase, in
    which a part copies and computes whole steps. Tiles are taken in blocks of `block` tiles along
    m. With `swapped` the contraction's (A, m) and (B, n) have exchanged roles; with `turn` tiles
    are transposed in registers before they are stored. `prefetch` is how many k ahead the rows of a
    direct A are fetched. If `inner` is not 0, m is taken in pieces of `inner` whose tiles have the
    same steps inside, wherever they begin; a step takes whole pieces, or whole tiles of the only
    one. With `pad` a windowed A is copied with zeros around it. None of it depends on the number of
    threads.
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
    inner: int = 0
    pad: bool = False


# Estimated cycles for each element: copied in order, turned in registers, gathered, scattered. Only
# their proportions matter, and only where two schedules are close.
_COPY, _TURN, _GATHER, _SCATTER = 0.15, 0.4, 2.0, 1.5
# Elements beyond the last cache: each pass over them costs this much.
_MEMORY = 0.6
_CACHED = 16 * 1024 * 1024
# Rows of A up to which pairs of B are not packed.
_FEW = 32
# Bytes after which cache lines share places in the first cache, and how many it has room for there.
_PAGE, _WAYS = 4096, 8
# Tiles are taken in a multiple of so many blocks, that a few threads get equal shares.
_SHARES = 4
# With so little of k for each array that is read or written beside the operands, these arrays come
# from memory and go there at its full speed: tiles then follow each other along the arrays' lines,
# of which they take few, so that the processor can fetch ahead.
_STREAMED, _LINES = 20, 8
# Chunks that there are at least, if that leaves enough for each of them to do.
_STREAMS = 16


def prepared(spec: Contraction, machine: Machine) -> Contraction:
    """The contraction without idle windows, over pairs where the processor has them."""
    spec = simplified(spec)
    return paired(spec) if machine.pairs else spec


@functools.lru_cache(1024)
def choose(spec: Contraction, machine: Machine) -> tuple[Contraction, Schedule]:
    """The schedule for a contraction, and the contraction with the roles it wants."""
    spec = prepared(spec, machine)
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
    plain = spec.accumulator
    itemsize = plain.itemsize
    lanes = machine.lanes(itemsize)
    pad = padded(spec, spec.a) if spec.a.windows and all(spec.sizes) else None
    if pad and not _cuts(spec, pad, structure(spec, pad.operand, False)):
        pad = None
    a, b = Access(spec, pad.operand if pad else spec.a), Access(spec, spec.b)
    affine_a = a.stride("m") is not None and a.stride("k") is not None
    beside = spec.a.pair == 1 and not spec.odd  # pairs in memory as a tile wants them
    plain_a = spec.a.dtype == plain or beside
    direct_a = pad is not None or (plain_a and not spec.a.windows)
    # Rows of B make pairs in registers where few tiles read them.
    few = spec.pairs is not None and not spec.odd and m <= _FEW
    direct_b = spec.b.dtype == plain or few
    direct_b = direct_b and not spec.b.windows and (b.stride("n") == 1 or n == 1)
    c_m = merge(spec.m, spec.outputs[0].m)
    c_n = merge(spec.n, spec.outputs[0].n) or [(1, 0)]
    turn = bool(c_m) and m > 1 and 1 <= c_m[-1][1] <= 4 and (n == 1 or c_n[-1][1] > c_m[-1][1])
    large = m * n * k >= 256**3
    pack_a = not direct_a or (affine_a and not pad and large and n > 256)
    dims = [m] if pack_a or not spec.sizes[1] else structure(spec, a.operand, turn) or [1]
    apart = c_m[-1][1] if turn else 0
    cuts = _cuts(spec, pad, dims) if pad else _pieces(dims)
    planes = sum(bool(any(x.m) and any(x.n)) for x in (*spec.outputs, *spec.extras))
    touched = batch * m * n * planes * itemsize
    if k <= _STREAMED * planes and touched > _CACHED and not turn and not pad:
        cuts = [cut for cut in cuts if cut.rows <= _LINES] or cuts
    rows, vectors, inner, cycles = tile_shape(
        cuts, -(-n // lanes), k, apart, abs(c_n[-1][1]) * itemsize, lanes, machine
    )
    wide = vectors * lanes
    if not pack_a and affine_a and not pad and large and n > 4 * wide and len(dims) == 1:
        pack_a = True
    pack_b = not direct_b or (large and m >= 8 * rows)

    # Blocks of k begin where its outermost index does.
    unit = math.prod(spec.k[1:]) if pad else 1
    for x in (a.operand, spec.b):
        if spec.sizes[3]:
            unit = max(unit, k // runs(spec, x)[0][0])
    if pad and pad.chunked == "k":
        unit = max(unit, k // pad.chunks)
    kc, nc, mc, bc = k, n, m, 1
    block = max(1, (machine.l2 // 3) // (min(k, 512) * itemsize * rows))
    # Sums that meet in scratch memory are written and read once more: in fewer blocks of k, if
    # they do not fit the cache.
    narrow = spec.outputs[0].dtype != plain
    depth = 1024 if narrow and pack_b and m * n * itemsize > machine.l2 // 2 else 384
    splittable = k > depth * 4 // 3 and (pack_a or pack_b)
    prefetch = 0
    along = a.stride("k") == spacing(spec.a)
    streams = direct_a and not pack_a and along and n <= 2 * lanes and not pad
    if pad:
        bc, block = batch, m
        chunk = max(1, machine.l2 // 2 // max(1, pad.unit * itemsize))
        if pad.chunked == "m":
            # A thread takes whole chunks: enough of them, in a number that a few threads share.
            groups = max(-(-pad.chunks // chunk), min(_STREAMS, m // 256))
            groups = -(-groups // _SHARES) * _SHARES if groups > 1 else 1
            chunk = -(-pad.chunks // min(groups, pad.chunks))
            height = m // pad.chunks
            if len(dims) == 1 or inner > height:  # tiles go on from one chunk into the next
                whole = rows // math.gcd(rows, height)
                chunk = -(-chunk // whole) * whole
            mc = min(m, chunk * height)
        elif pad.chunked == "k" and splittable:
            kc = min(k, max(chunk, -(-1024 // unit)) * unit)
    elif streams and m * k * itemsize > 2 * machine.l2 and k * wide * itemsize <= machine.l2:
        # Rows of A come from memory once: few at a time, far ahead, and whole.
        rows, prefetch = min(m, 8), 1024 // itemsize
    elif direct_a and not pack_a and a.stride("m") == 1 and n <= lanes < m:
        rows = lanes if m * k * itemsize > 2 * machine.l2 else rows  # whole cache lines of A
    if splittable and not pad and not prefetch:
        blocks = -(-k // depth)
        step = max(unit, 4)
        kc = min(k, math.ceil(math.ceil(k / blocks) / step) * step)
    if not pad:
        room = max(1, machine.packed // (kc * itemsize))
        nc = _equal(n, room, wide) if pack_b else n
        keeps = narrow and kc < k
        if narrow:
            room = min(room // 2, machine.packed // (nc * itemsize) if keeps else room)
        mc = _equal(m, room, rows) if pack_a or keeps else m
        if mc == m and nc == n:
            packed = max(1, (mc * pack_a + nc * pack_b) * kc, mc * nc * keeps) * itemsize
            bc = min(batch, max(1, machine.packed // packed))
        block = max(1, (machine.l2 // 3) // (kc * itemsize * rows))
        storing = not turn and kc <= 64 and nc * kc * itemsize <= machine.l2 // 2
        beside = not turn and planes > 1 and k * n * itemsize < machine.l2 * 3 // 4
        if -(-nc // wide) < 4 or storing or beside:
            block = 1  # rows of the output are finished one after the other
    piece = min(inner, mc) if len(dims) > 1 and inner else mc
    tiles = max(1, mc // piece) * -(-piece // rows)
    block = min(block, tiles)
    if pad and tiles >= _SHARES * 4:
        # Panels of unequal width: shares of whole blocks are equal, shares of panels are not.
        blocks = -(-tiles // block)
        block = -(-tiles // (-(-blocks // _SHARES) * _SHARES))
    schedule = Schedule(
        rows,
        vectors,
        pack_a,
        pack_b,
        kc,
        mc,
        nc,
        bc,
        block,
        turn=turn,
        prefetch=prefetch,
        inner=inner if len(dims) > 1 else 0,
        pad=pad is not None,
    )

    cost = cycles + (2000 if pack_a or pack_b or pad else 0)
    if pad:
        cost += pad.unit * pad.chunks * _COPY
    for size, packed_too, access, group in ((m * k, pack_a, a, "m"), (n * k, pack_b, b, "n")):
        if not packed_too:
            continue
        each = _GATHER
        run = runs(spec, access.operand)
        stride, plainly = access.stride(group), not access.operand.windows
        if stride == 1 and plainly:
            each = _COPY
            if group == "m":
                each *= -(-rows // lanes) * lanes / rows  # vectors that are not full
        elif stride is not None and abs(run[-1][1]) == spacing(access.operand) and plainly:
            each = _TURN * max(1, 8 / max(1, run[-1][0]))
        if batch * size * itemsize > _CACHED:
            each += 2 * _MEMORY
        cost += size * each
    if not turn and c_n[-1][1] not in (0, 1) and n > 1:
        cost += m * n * _SCATTER
    return cost, schedule


def _equal(size: int, room: int, piece: int) -> int:
    """Blocks of about equal sizes, each of whole pieces and of no more than `room`."""
    count = -(-size // max(piece, room // piece * piece))
    return min(size, -(-size // (count * piece)) * piece)


def structure(spec: Contraction, a: Operand, turn: bool, *more: Operand) -> list[int]:
    """The extents of m after joining the indices that a tile's operands step through as one."""
    operands = [a, *(spec.outputs + spec.extras if turn else ()), *more]
    windows = [w.m for w in a.windows]
    return [merged[0] for merged in merge(spec.m, *(x.m for x in operands), *windows)]


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


def _pieces(dims: list[int]) -> list[Cut]:
    """The ways to cut the indices of m into tiles of equal steps: along one of the last indices."""
    cuts: list[Cut] = []
    trail, outer = 1, math.prod(dims)
    for extent in reversed(dims):
        outer //= extent
        for r in range(1, min(extent, 26 // trail) + 1):
            heights = ((r * trail, outer * (extent // r)), (extent % r * trail, outer))
            cut = Cut(r * trail, extent * trail, tuple(h for h in heights if h[0] and h[1]))
            cuts.append(cut)
        trail *= extent
        if trail > 26:
            break
    return cuts or [Cut(1, dims[-1], ((1, math.prod(dims)),))]


def _cuts(spec: Contraction, pad: Padded, dims: list[int]) -> list[Cut]:
    """Those of `dims` in whose tiles the taps of the windows that need it are known."""
    found = []
    for cut in _pieces(dims or [1]):
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


def tile_shape(
    cuts: list[Cut],
    vectors: int,
    k: int,
    apart: int,
    column: int,
    lanes: int,
    machine: Machine,
) -> tuple[int, int, int, float]:
    """The tile (rows, vectors, piece of m) that takes the least estimated cycles, and these.

    For each k, a row of a tile costs half a cycle for each fused multiply-add, at least what its
    loads cost, and at least what bringing B's panel from the cache that holds it costs; short tiles
    are bound by the latency of the additions. At the end a tile is stored, or, if `apart` is not 0,
    turned and stored with its lanes so far apart and `column` bytes from column to column: lines at
    multiples of a page are in each other's way.
    """
    crowd = _WAYS * (_PAGE // math.gcd(_PAGE, column))
    # A single row reads B once: no panel is kept, and long runs open few pages.
    single = cuts[-1].rows == 1 and vectors >= 32
    widest = min(24, vectors // 4) if single else 6
    best: tuple[float, int, int, int] | None = None
    for cut in cuts:
        r, inner, heights = cut.rows, cut.piece, cut.heights
        for w in range(1, min(vectors, widest) + 1):
            sums = (cut.live or r) * w
            if sums + min(w, 4) + 1 > machine.registers and (w > 1 or cut is not cuts[0]):
                continue
            panel = k * w * machine.vector
            fetch = 0.0 if 2 * panel < machine.l1 else 3.0 if 2 * panel < machine.l2 else 6.0
            if single:
                fetch = 3.0
            elif cut.windowed and fetch:
                fetch = 2.0 if panel < machine.l2 else 6.0
            cost = 0.0
            for height, times in heights:
                for width, count in ((w, vectors // w), (vectors % w, int(vectors % w > 0))):
                    if not times or not count:
                        continue
                    active = loads = height * cut.share
                    if cut.together <= 16 and sums + cut.together * width + 1 < machine.registers:
                        loads = min(loads, 2 * active / cut.together)
                    latency = (5 if cut.windowed else 4) * cut.share
                    busy = max(active * width / 2, (loads + width) / 2, fetch * width, latency)
                    busy += 0.05 * (loads + (8 if cut.windowed else 4) * width)
                    end = 2.0 * height * width
                    if apart:
                        turns = -(-height // lanes) * width
                        store = apart + (1.5 if cut.windowed else 0.5) * (height % lanes > 0)
                        end = turns * lanes * (math.log2(lanes) / 2 + store)
                        if cut.windowed:
                            end += 20.0 * max(0, width * lanes - crowd)
                    cost += times * count * (k * cut.taken * busy + end + 20)
            if best is None or cost < best[0]:
                best = (cost, r, w, inner)
    assert best is not None
    return best[1], best[2], best[3], best[0]
