"""What goes into a kernel beside its specification, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from llvmlite import ir

from .emit import Value
from .schedule import Schedule
from .spec import Contraction


@dataclass(frozen=True)
class Epilogue:
    """What becomes of a sum before it is stored.

    `emit(builder, value, extras)` gets a vector of sums and one vector for each extra operand at
    the same indices (floating ones in the accumulator's type, bool as i1, integers as they are) and
    returns one vector for each output, in the accumulator's type (i1 for bool outputs). Equal keys
    must mean equal code.
    """

    key: Hashable
    emit: Callable[[ir.IRBuilder, Value, list[Value]], list[Value]]


@dataclass(frozen=True)
class Consumer:
    """A function that takes finished tiles instead of a store.

        void name(ptr buffers, ptr tile, i64 stride, i64 batch, i64 m, i64 n, i64 rows, i64 columns)

    The sum for the flat indices (batch, m + r, n + c) is tile[r · stride + c], in the accumulator's
    type, for r < rows and c < columns. Every index comes exactly once; tiles of several parts come
    at the same time. The function writes the outputs (of which the first may hold unfinished sums
    before) and is defined by whoever links the module, best in the same module to be inlined.
    """

    name: str

    @property
    def key(self) -> Hashable:
        """Equal keys mean equal code."""
        return ("consumer", self.name)


PLAIN = Epilogue("store", lambda builder, value, extras: [value])


@dataclass(frozen=True)
class Kernel:
    """A function `void name(ptr buffers, i64 phase, i64 part, i64 parts, ptr scratch)` in a module.

    Run every phase from 0 to phases - 1 with every part from 0 to parts - 1, parts in any order or
    at once, with a barrier between phases. The result does not depend on `parts`. `scratch` points
    to that many bytes, aligned to 64, shared by all parts; its contents need not be kept.
    """

    name: str
    phases: int
    scratch: int
    spec: Contraction
    schedule: Schedule
