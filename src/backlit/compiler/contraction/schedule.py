"""How a contraction is cut into tiles, blocks and phases for one kind of processor."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from functools import cached_property

from . import costs
from .addresses import AddressMap
from .cuts import Cut, padded_cuts, plain_cuts
from .pad import Padded, padded, simplified
from .pairs import paired, runs, spacing
from .shapes import TileShape, best_shape
from .spec import Contraction, Operand, merge
from .target import Machine

# What is no unit of a processor's is an estimate: near it two schedules take about as long. Each
# group says which methods of `_Choice` use it.

# `large`, `_tiles`: operands that lie right already are packed all the same ...
#: ... from so many multiply-adds on: ...
_LARGE = 256**3
#: ... A if there are more columns than this, ...
_WIDE = 256
#: ... or more tiles in a row of them; ...
_TILES_OF_ROW = 4
#: ... and B if there are at least so many tiles in a column.
_TILES_OF_COLUMN = 8

# `direct_b`
#: Rows of A up to which pairs of B are not packed, but made in registers.
_FEW_ROWS = 32

# `apart`
#: Elements between lanes of a turned tile's columns that are stored as vectors, at most.
_NEAR = 4

# `_cuts`
#: Values of k for each array that is read or written beside the operands, up to which these arrays
#: come from memory and go there at its full speed: tiles then follow each other along their lines.
_STREAMED = 20
#: Rows of such a tile, at most: of so few lines the processor can fetch ahead.
_LINES = 8

# `_depth`
#: Values of k in a block, if k is worth blocks.
_DEPTH = 384
#: The same where sums go through scratch and do not fit the cache: each block writes and reads them
#: once more, so there are fewer.
_NARROW_DEPTH = 1024
#: The part of a block, one in so many, by which k may be longer and still be one block.
_SPARE = 3

# `_padded_blocks`
#: Values of k in a block of a copy with zeros around it, at least.
_PADDED_DEPTH = 1024
#: Chunks that there are at least, ...
_STREAMS = 16
#: ... if that leaves so many rows of the output for each of them.
_ROWS_OF_STREAM = 256

# `_rows`
#: Bytes of each row of A that are fetched ahead where they come from memory once, ...
_AHEAD = 1024
#: ... in tiles of so many rows.
_ROWS_AHEAD = 8

# `_padded_blocks`, `_by_rows`, `_block`
#: Blocks of tiles are taken in a multiple of this, that a few threads get equal shares.
_SHARES = 4

# `_by_rows`
#: Values of k in a block that is stored at once, at most: it is short beside what it stores.
_STORING = 64


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
        cycles, schedule = _Choice(turned_spec, machine).best()
        candidates.append((cycles, swapped, turned_spec, schedule))
    _, swapped, spec, schedule = min(candidates, key=lambda c: c[:2])
    return spec, replace(schedule, swapped=swapped)


@dataclass(frozen=True)
class _Tiles:
    """Tiles of `rows` × `wide`, over indices of m of which the extents are `dims`."""

    shape: TileShape
    dims: list[int]
    wide: int
    pack_a: bool
    pack_b: bool

    @property
    def rows(self) -> int:
        return self.shape.rows


@dataclass(frozen=True)
class _Blocks:
    """Sizes of the blocks of k, m, n and the batch, and of the blocks of tiles."""

    kc: int
    mc: int
    nc: int
    bc: int
    tiles: int


@dataclass(frozen=True)
class _Choice:
    """The choice of a schedule with lanes along n."""

    spec: Contraction
    machine: Machine

    def best(self) -> tuple[float, Schedule]:
        """The schedule, and its estimated cycles."""
        tiles = self._tiles()
        rows, prefetch = self._rows(tiles)
        if self.pad:
            blocks = self._padded_blocks(tiles, rows, self.pad)
        else:
            blocks = self._blocks(tiles, rows, split=not prefetch)
        inner = tiles.shape.piece if len(tiles.dims) > 1 else 0
        schedule = Schedule(
            rows,
            tiles.shape.vectors,
            tiles.pack_a,
            tiles.pack_b,
            blocks.kc,
            blocks.mc,
            blocks.nc,
            blocks.bc,
            self._block(blocks, rows, inner),
            turn=self.turn,
            prefetch=prefetch,
            inner=inner,
            pad=self.pad is not None,
        )
        return self._cycles(tiles, rows), schedule

    # -- what is known of the operands --------------------------------------------------------

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """Those of the batch, m, n and k, at least 1."""
        batch, m, n, k = (max(1, x) for x in self.spec.sizes)
        return batch, m, n, k

    @cached_property
    def itemsize(self) -> int:
        """Bytes of a sum."""
        return self.spec.accumulator.itemsize

    @cached_property
    def lanes(self) -> int:
        """Sums in a vector."""
        return self.machine.lanes(self.itemsize)

    @property
    def half(self) -> int:
        """Bytes that stay in the second cache while as many others go through it."""
        return self.machine.l2 // 2

    @property
    def third(self) -> int:
        """Bytes of A in a block of tiles: the rest is for B's panels and the sums."""
        return self.machine.l2 // 3

    @property
    def most(self) -> int:
        """Bytes of B that stay in the second cache while rows of the other arrays go by once."""
        return self.machine.l2 * 3 // 4

    @cached_property
    def large(self) -> bool:
        """Whether packing is worth its time."""
        _, m, n, k = self.sizes
        return m * n * k >= _LARGE

    @cached_property
    def pad(self) -> Padded | None:
        """A copied with zeros around it, if it has windows that tiles can know."""
        spec = self.spec
        if not spec.a.windows or not all(spec.sizes):
            return None
        pad = padded(spec, spec.a)
        return pad if padded_cuts(spec, pad, structure(spec, pad.operand, False)) else None

    @cached_property
    def a(self) -> AddressMap:
        """A, or its copy."""
        return AddressMap(self.spec, self.pad.operand if self.pad else self.spec.a)

    @cached_property
    def b(self) -> AddressMap:
        """B."""
        return AddressMap(self.spec, self.spec.b)

    @cached_property
    def affine_a(self) -> bool:
        """Whether A's rows and columns are steps of one length."""
        return self.a.stride("m") is not None and self.a.stride("k") is not None

    @cached_property
    def direct_a(self) -> bool:
        """Whether tiles can read A as it is."""
        a = self.spec.a
        beside = a.pair == 1 and not self.spec.odd  # pairs in memory as a tile wants them
        plain = a.dtype == self.spec.accumulator or beside
        return self.pad is not None or (plain and not a.windows)

    @cached_property
    def direct_b(self) -> bool:
        """Whether tiles can read B as it is."""
        spec, (_, m, n, _) = self.spec, self.sizes
        # Rows of B make pairs in registers where few tiles read them.
        few = spec.pairs is not None and not spec.odd and m <= _FEW_ROWS
        plain = spec.b.dtype == spec.accumulator or few
        return plain and not spec.b.windows and (self.b.stride("n") == 1 or n == 1)

    @cached_property
    def narrow(self) -> bool:
        """Whether the first output cannot hold sums."""
        return self.spec.outputs[0].dtype != self.spec.accumulator

    @cached_property
    def columns(self) -> list[tuple[int, ...]]:
        """(extent, stride) of the first output's n."""
        return merge(self.spec.n, self.spec.outputs[0].n) or [(1, 0)]

    @cached_property
    def apart(self) -> int:
        """How far apart a turned tile's lanes are stored, 0 if tiles are not turned."""
        _, m, n, _ = self.sizes
        rows = merge(self.spec.m, self.spec.outputs[0].m)
        turn = bool(rows) and m > 1 and 1 <= rows[-1][1] <= _NEAR
        return rows[-1][1] if turn and (n == 1 or self.columns[-1][1] > rows[-1][1]) else 0

    @property
    def turn(self) -> bool:
        """Whether tiles are turned before they are stored."""
        return self.apart > 0

    @cached_property
    def planes(self) -> int:
        """Arrays that are read or written beside the operands, as large as the sums."""
        return sum(bool(any(x.m) and any(x.n)) for x in (*self.spec.outputs, *self.spec.extras))

    @cached_property
    def unit(self) -> int:
        """Values of k that stay together: blocks begin where its outermost index does."""
        spec, k, pad = self.spec, self.sizes[3], self.pad
        unit = math.prod(spec.k[1:]) if pad else 1
        for x in (self.a.operand, spec.b):
            if spec.sizes[3]:
                unit = max(unit, k // runs(spec, x)[0][0])
        if pad and pad.chunked == "k":
            unit = max(unit, k // pad.chunks)
        return unit

    # -- tiles --------------------------------------------------------------------------------

    def _tiles(self) -> _Tiles:
        """The shape of tiles, and what is packed for them."""
        spec, pad = self.spec, self.pad
        _, m, n, k = self.sizes
        pack_a = not self.direct_a or (self.affine_a and not pad and self.large and n > _WIDE)
        dims = [m]
        if not pack_a and spec.sizes[1]:
            dims = structure(spec, self.a.operand, self.turn) or [1]
        column = abs(self.columns[-1][1]) * self.itemsize
        vectors = -(-n // self.lanes)
        tiles = costs.TileCosts(vectors, k, self.apart, column, self.lanes, self.machine)
        shape = best_shape(self._cuts(dims), tiles)
        wide = shape.vectors * self.lanes
        if not pad and self.affine_a and self.large and len(dims) == 1:
            pack_a |= n > _TILES_OF_ROW * wide
        pack_b = not self.direct_b or (self.large and m >= _TILES_OF_COLUMN * shape.rows)
        return _Tiles(shape, dims, wide, pack_a, pack_b)

    def _cuts(self, dims: list[int]) -> list[Cut]:
        if self.pad:
            return padded_cuts(self.spec, self.pad, dims)
        cuts = plain_cuts(dims)
        batch, m, n, k = self.sizes
        touched = batch * m * n * self.planes * self.itemsize
        if k <= _STREAMED * self.planes and touched > costs.CACHED and not self.turn:
            return [cut for cut in cuts if cut.rows <= _LINES] or cuts
        return cuts

    def _rows(self, tiles: _Tiles) -> tuple[int, int]:
        """Rows of a tile, and how many k ahead they are fetched."""
        _, m, n, k = self.sizes
        if self.pad or not self.direct_a or tiles.pack_a:
            return tiles.rows, 0
        from_memory = m * k * self.itemsize > 2 * self.machine.l2
        along = self.a.stride("k") == spacing(self.spec.a) and n <= 2 * self.lanes
        if along and from_memory and k * tiles.wide * self.itemsize <= self.machine.l2:
            # Rows of A come from memory once: few at a time, far ahead, and whole.
            return min(m, _ROWS_AHEAD), _AHEAD // self.itemsize
        if self.a.stride("m") == 1 and n <= self.lanes < m and from_memory:
            return self.lanes, 0  # whole cache lines of A
        return tiles.rows, 0

    # -- blocks -------------------------------------------------------------------------------

    def _depth(self, tiles: _Tiles) -> int:
        """Values of k in a block; 0 if k is one block."""
        _, m, n, k = self.sizes
        spills = m * n * self.itemsize > self.half
        depth = _NARROW_DEPTH if self.narrow and tiles.pack_b and spills else _DEPTH
        longest = depth + depth // _SPARE
        return depth if k > longest and (tiles.pack_a or tiles.pack_b) else 0

    def _padded_blocks(self, tiles: _Tiles, rows: int, pad: Padded) -> _Blocks:
        """Blocks of whole chunks of the copy, about half of the second cache."""
        batch, m, n, k = self.sizes
        kc, mc = k, m
        chunk = max(1, self.half // max(1, pad.unit * self.itemsize))
        if pad.chunked == "m":
            # A thread takes whole chunks: enough of them, in a number that a few threads share.
            groups = max(-(-pad.chunks // chunk), min(_STREAMS, m // _ROWS_OF_STREAM))
            groups = -(-groups // _SHARES) * _SHARES if groups > 1 else 1
            chunk = -(-pad.chunks // min(groups, pad.chunks))
            height = m // pad.chunks
            if len(tiles.dims) == 1 or tiles.shape.piece > height:
                # Tiles go on from one chunk into the next.
                whole = rows // math.gcd(rows, height)
                chunk = -(-chunk // whole) * whole
            mc = min(m, chunk * height)
        elif pad.chunked == "k" and self._depth(tiles):
            kc = min(k, max(chunk, -(-_PADDED_DEPTH // self.unit)) * self.unit)
        return _Blocks(kc, mc, n, batch, tiles=m)

    def _blocks(self, tiles: _Tiles, rows: int, split: bool) -> _Blocks:
        """Blocks that the cache for packed operands holds; k is split if `split`."""
        itemsize, machine = self.itemsize, self.machine
        batch, m, n, k = self.sizes
        kc = k
        depth = self._depth(tiles) if split else 0
        if depth:
            step = max(self.unit, 4)
            kc = min(k, math.ceil(math.ceil(k / -(-k // depth)) / step) * step)
        room = max(1, machine.packed // (kc * itemsize))
        nc = _equal(n, room, tiles.wide) if tiles.pack_b else n
        keeps = self.narrow and kc < k
        if self.narrow:
            room = min(room // 2, machine.packed // (nc * itemsize) if keeps else room)
        mc = _equal(m, room, rows) if tiles.pack_a or keeps else m
        bc = 1
        if mc == m and nc == n:
            packed = (mc * tiles.pack_a + nc * tiles.pack_b) * kc
            bc = min(batch, max(1, machine.packed // (max(1, packed, mc * nc * keeps) * itemsize)))
        count = max(1, self.third // (kc * itemsize * rows))
        return _Blocks(kc, mc, nc, bc, 1 if self._by_rows(tiles, kc, nc) else count)

    def _by_rows(self, tiles: _Tiles, kc: int, nc: int) -> bool:
        """Whether rows of the output are finished one after the other."""
        _, _, n, k = self.sizes
        storing = not self.turn and kc <= _STORING and nc * kc * self.itemsize <= self.half
        several = not self.turn and self.planes > 1 and k * n * self.itemsize < self.most
        return -(-nc // tiles.wide) < _SHARES or storing or several

    def _block(self, blocks: _Blocks, rows: int, inner: int) -> int:
        """Tiles along m that are taken before the next ones along n."""
        piece = min(inner, blocks.mc) if inner else blocks.mc
        tiles = max(1, blocks.mc // piece) * -(-piece // rows)
        block = min(blocks.tiles, tiles)
        if self.pad and tiles >= _SHARES * 4:
            # Panels of unequal width: shares of whole blocks are equal, shares of panels are not.
            count = -(-tiles // block)
            block = -(-tiles // (-(-count // _SHARES) * _SHARES))
        return block

    # -- costs --------------------------------------------------------------------------------

    def _cycles(self, tiles: _Tiles, rows: int) -> float:
        """Cycles for tiles, for what is packed, and for stores that are no vectors."""
        _, m, n, k = self.sizes
        pad = self.pad
        cycles = tiles.shape.cycles
        cycles += costs.PHASE if tiles.pack_a or tiles.pack_b or pad else 0
        if pad:
            cycles += pad.unit * pad.chunks * costs.COPY
        if tiles.pack_a:
            full = -(-rows // self.lanes) * self.lanes / rows  # vectors that are not full
            cycles += m * k * costs.packing(self.spec, self.a, "m", m * k, full)
        if tiles.pack_b:
            cycles += n * k * costs.packing(self.spec, self.b, "n", n * k, 1.0)
        if not self.turn and self.columns[-1][1] not in (0, 1) and n > 1:
            cycles += m * n * costs.SCATTER
        return cycles


def _equal(size: int, room: int, piece: int) -> int:
    """Blocks of about equal sizes, each of whole pieces and of no more than `room`."""
    count = -(-size // max(piece, room // piece * piece))
    return min(size, -(-size // (count * piece)) * piece)


def structure(spec: Contraction, a: Operand, turn: bool, *more: Operand) -> list[int]:
    """The extents of m after joining the indices that a tile's operands step through as one."""
    operands = [a, *(spec.outputs + spec.extras if turn else ()), *more]
    windows = [w.m for w in a.windows]
    return [merged[0] for merged in merge(spec.m, *(x.m for x in operands), *windows)]
