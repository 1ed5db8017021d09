"""What is known of a kernel before its code is written: steps, panels, places in scratch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..llvm.scalar import memory_type
from ..llvm.types import vector_type
from .addresses import AddressMap
from .pad import Padded, padded
from .schedule import Schedule, structure
from .spec import Contraction, Operand
from .taps import Tap, taps_of
from .target import Machine

#: Bytes of a cache line, at which what lies in scratch begins.
ALIGNMENT = 64


@dataclass(frozen=True)
class Layout:
    """One contraction cut as a schedule says for one kind of processor.

    A step covers a block of each of k, n, m and the batch. Sizes of panels and matrices are in
    elements, those of scratch in bytes.
    """

    spec: Contraction
    schedule: Schedule
    machine: Machine

    # -- elements -----------------------------------------------------------------------------

    @cached_property
    def dtype(self) -> np.dtype:
        """What sums are made in."""
        return self.spec.accumulator

    @cached_property
    def lanes(self) -> int:
        """Sums in a vector."""
        return self.machine.lanes(self.dtype.itemsize)

    @cached_property
    def scalar(self) -> str:
        """The type of one sum."""
        return memory_type(self.dtype)

    @cached_property
    def vector(self) -> str:
        """The type of a register of sums."""
        return vector_type(self.scalar, self.lanes)

    @cached_property
    def wide(self) -> int:
        """Columns of a tile."""
        return self.schedule.vectors * self.lanes

    # -- operands -----------------------------------------------------------------------------

    @cached_property
    def padding(self) -> Padded | None:
        """The copy of A with zeros around it, if there is one."""
        return padded(self.spec, self.spec.a) if self.schedule.pad else None

    @cached_property
    def a(self) -> AddressMap:
        """A, or its padded copy."""
        if self.padding is None:
            return AddressMap(self.spec, self.spec.a)
        replace(self.spec, a=self.padding.operand)  # proves the addresses in the copy
        return AddressMap(self.spec, self.padding.operand)

    @cached_property
    def b(self) -> AddressMap:
        """B."""
        return AddressMap(self.spec, self.spec.b)

    @cached_property
    def outputs(self) -> list[AddressMap]:
        """What is written."""
        return [AddressMap(self.spec, x) for x in self.spec.outputs]

    @cached_property
    def extras(self) -> list[AddressMap]:
        """What the epilogue reads beside the sums."""
        return [AddressMap(self.spec, x) for x in self.spec.extras]

    @cached_property
    def varying(self) -> list[int]:
        """The extras that are more than one element each."""
        extras = enumerate(self.spec.extras)
        return [i for i, x in extras if any((*x.batch, *x.m, *x.n))]

    @property
    def address_maps(self) -> list[AddressMap]:
        """All operands, in the order of their pointers."""
        return [self.a, self.b, *self.outputs, *self.extras]

    def is_steady(self, x: Operand) -> bool:
        """Whether the steps along m inside a tile are the same in every tile."""
        s = self.schedule
        if not s.inner:
            return False
        plain = structure(self.spec, self.a.operand, s.turn)
        return len(structure(self.spec, self.a.operand, s.turn, x)) == len(plain)

    # -- steps and tiles ----------------------------------------------------------------------

    @cached_property
    def blocks(self) -> tuple[int, int, int, int]:
        """Blocks of the batch, m, n and k."""
        s = self.schedule
        batch, m, n, k = self.spec.sizes
        return (
            _pieces(batch, s.bc), _pieces(m, s.mc), _pieces(n, s.nc), max(1, _pieces(k, s.kc)),
        )  # fmt: skip

    @cached_property
    def k_blocks(self) -> int:
        """Blocks of k, whose sums meet."""
        return self.blocks[3]

    @cached_property
    def steps(self) -> int:
        """All blocks with all others."""
        b_blocks, m_blocks, n_blocks, k_blocks = self.blocks
        return k_blocks * m_blocks * n_blocks * b_blocks

    @property
    def packs(self) -> bool:
        """Whether something is copied before it is computed with."""
        return self.schedule.pack_a or self.schedule.pack_b or self.schedule.pad

    @cached_property
    def streams(self) -> bool:
        """Whether steps need nothing of each other but B.

        A part then takes whole ones, with no barrier between.
        """
        return (
            self.padding is not None
            and self.padding.chunked == "m"
            and self.steps == self.blocks[1] > 1
        )

    @property
    def phases(self) -> int:
        """Phases, with a barrier before each."""
        if self.streams:
            return 1 + self.schedule.pack_b
        return self.steps * (2 if self.packs else 1)

    @cached_property
    def inner(self) -> int:
        """Rows of a piece of m, in which tiles begin anew."""
        return self.schedule.inner or self.spec.sizes[1]

    @property
    def in_pieces(self) -> bool:
        """Whether there are several pieces of m."""
        return 0 < self.schedule.inner < self.spec.sizes[1]

    @cached_property
    def per_inner(self) -> int:
        """Tiles of a piece of m."""
        return _pieces(self.inner, self.schedule.rows)

    @cached_property
    def taps(self) -> list[Tap]:
        """The taps of windows that are known to tiles."""
        if self.padding is None:
            return []
        found = taps_of(self.spec, self.padding.places, self.inner, self.schedule.rows)
        assert found is not None
        return found

    # -- packed operands ----------------------------------------------------------------------

    @property
    def a_panel(self) -> int:
        """Elements of the rows of a tile."""
        return self.schedule.kc * self.schedule.rows

    @property
    def b_panel(self) -> int:
        """Elements of the columns of a tile."""
        return self.schedule.kc * self.wide

    @cached_property
    def a_matrix(self) -> int:
        """Elements of one matrix of a step's A."""
        return _pieces(self.schedule.mc, self.schedule.rows) * self.a_panel

    @cached_property
    def b_matrix(self) -> int:
        """Elements of one matrix of a step's B."""
        return _pieces(self.schedule.nc, self.wide) * self.b_panel

    @cached_property
    def chunk_values(self) -> int:
        """How many values of the index that a padded copy is chunked by a step covers at most."""
        assert self.padding is not None
        if self.padding.chunked is None:
            return 1
        step = {"m": self.schedule.mc, "k": self.schedule.kc}[self.padding.chunked]
        return -(-step // self.per_chunk)

    @cached_property
    def per_chunk(self) -> int:
        """Values of m or of k for one value of the index that a padded copy is chunked by."""
        assert self.padding is not None
        assert self.padding.chunked is not None
        return self.spec.size(self.padding.chunked) // self.padding.chunks

    # -- scratch ------------------------------------------------------------------------------

    @cached_property
    def slot(self) -> int:
        """Bytes of a step's A."""
        s, itemsize = self.schedule, self.dtype.itemsize
        size = s.bc * self.a_matrix * itemsize if s.pack_a else 0
        if self.padding is not None:
            size = self.chunk_values * self.padding.unit * itemsize
        return -(-size // ALIGNMENT) * ALIGNMENT

    @cached_property
    def b_scratch(self) -> int:
        """Where packed B begins."""
        return self.slot * (self.steps if self.streams else 1)

    @cached_property
    def kept_scratch(self) -> int:
        """Where kept sums begin."""
        s = self.schedule
        size = s.bc * self.b_matrix * self.dtype.itemsize if s.pack_b else 0
        return self.b_scratch + -(-size // ALIGNMENT) * ALIGNMENT

    @cached_property
    def keeps(self) -> bool:
        """Whether sums of blocks of k meet in scratch: the first output is too narrow for them."""
        return self.k_blocks > 1 and self.spec.outputs[0].dtype != self.dtype

    @cached_property
    def scratch(self) -> int:
        """All of it."""
        if not self.keeps:
            return self.kept_scratch
        s = self.schedule
        tiles = _pieces(s.mc, s.rows)
        if self.in_pieces:
            tiles = s.mc // self.inner * self.per_inner
        kept = s.bc * tiles * _pieces(s.nc, self.wide) * s.rows * self.wide
        return self.kept_scratch + kept * self.dtype.itemsize


def _pieces(size: int, piece: int) -> int:
    """How many pieces cover a size."""
    return -(-size // piece) if piece else 1
