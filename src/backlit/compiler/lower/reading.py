"""Readings: what making a value reads from memory, followed down its expression symbolically."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...op import Elementwise, Shape
from ...ops import creation, movement
from ..capture.graph import Equation, Variable
from .indexing import LOOKUPS, MOVED, index_arrays, looked_up, source
from .views import View, Views, row_major

#: An index as known before any code is written: for each axis the number of the loop that counts
#: it, ZERO where the axis has size 1, Fixed where it is always the same, or Mixed where it is
#: computed from loops otherwise.
Index = tuple[Any, ...]


class _Zero:
    def __repr__(self) -> str:
        return "0"


ZERO = _Zero()


@dataclass(frozen=True)
class Mixed:
    """An index computed from some loops, not equal to one of them."""

    loops: frozenset[int]


@dataclass(frozen=True)
class Fixed:
    """One index for all turns of all loops."""

    number: int


def loops_of(entries: Index) -> frozenset[int]:
    """The loops that index entries depend on."""
    found: set[int] = set()
    for entry in entries:
        if isinstance(entry, Mixed):
            found |= entry.loops
        elif isinstance(entry, int):
            found.add(entry)
    return frozenset(found)


@dataclass(eq=False)
class Access:
    """Elements that a loop nest reads: those of a view, at an index."""

    view: View
    index: Index

    @property
    def start(self) -> int:
        """The first element read, counted from the base's first, computed indices left aside."""
        fixed = zip(self.index, self.view.strides, strict=True)
        return self.view.offset + sum(i.number * s for i, s in fixed if isinstance(i, Fixed))

    def moves(self, loops: int) -> list[int]:
        """How far one turn of each loop moves in memory, computed indices left aside."""
        steps = [0] * loops
        for entry, stride in zip(self.index, self.view.strides, strict=True):
            if isinstance(entry, int):
                steps[entry] += stride
        return steps

    def is_at(self, shape: Shape) -> bool:
        """Whether each turn of loops over `shape` reads the element that it would write."""
        if self.start or self.view.base.size != math.prod(shape):
            return False
        if any(isinstance(entry, Mixed) for entry in self.index):
            return False
        if any(isinstance(entry, int) and entry >= len(shape) for entry in self.index):
            return False  # a loop inside these, that of a fold, reads it
        steps, wanted = self.moves(len(shape)), row_major(shape)
        return all(n == 1 or s == w for n, s, w in zip(shape, steps, wanted, strict=True))


def loop_index(shape: Shape) -> Index:
    """One loop an axis."""
    return tuple(ZERO if n == 1 else a for a, n in enumerate(shape))


class Reading:
    """Follows an expression down to what it reads, with symbolic indices."""

    def __init__(self, views: Views):
        self.views = views
        self.found: list[Access] = []
        #: Loops whose very value matters, not only the address they lead to.
        self.exact: set[int] = set()
        self.seen: set[tuple[Variable, Index]] = set()
        #: Whether an index may turn out to be out of range.
        self.may_fail = False

    def read(self, v: Variable, index: Index) -> None:
        """v at an index: from memory, or by its expression."""
        index = tuple(ZERO if n == 1 else i for n, i in zip(v.shape, index, strict=True))
        if (v, index) in self.seen:
            return
        self.seen.add((v, index))
        view = self.views.view(v)
        if view is not None:
            self.found.append(Access(view, index))
        else:
            self.expand(self.views.made[v], index)

    def expand(self, e: Equation, index: Index) -> None:
        """The inputs of e where e's output is wanted at an index."""
        op: Any = e.op
        if isinstance(op, creation.Arange):
            self.exact |= loops_of(index)
        whole = self.views.reshaped(e)
        if whole is not None:
            self.found.append(Access(whole, index))
            return
        if isinstance(op, LOOKUPS):
            x: Any = e.inputs[0]
            self.read(x, tuple(looked_up(op, x.shape, index, index_arrays(e), self)))
            return
        for x in e.inputs:
            if not isinstance(x, Variable):
                continue
            if isinstance(op, Elementwise):
                own: Any = index[len(index) - len(x.shape) :]
            elif isinstance(op, MOVED):
                own = source(e, index, self)
            elif isinstance(op, movement.Concat):
                own = [self._mixed((i,)) if a == op.axis else i for a, i in enumerate(index)]
            else:  # what is placed in zeros
                placed = self._placed(op, index)
                if placed is None:
                    continue
                own = placed
            self.read(x, tuple(own))

    def _mixed(self, entries: Index) -> Any:
        loops = loops_of(entries)
        self.exact |= loops
        return Mixed(loops)

    def fixed(self, number: int) -> Fixed:
        """A number, as the index of an axis."""
        return Fixed(number)

    def strided(self, i: Any, entry: tuple[int, int, int], size: int) -> Any:
        """start + step · i."""
        if isinstance(i, Fixed):
            return Fixed(entry[0] + i.number * entry[2])
        return i if entry == (0, size, 1) else self._mixed((i,))

    def reversed(self, i: Any, size: int) -> Any:
        """size - 1 - i."""
        return Fixed(size - 1 - i.number) if isinstance(i, Fixed) else self._mixed((i,))

    def looked_up(self, indices: Variable, index: Sequence[Any], size: int) -> Any:
        """What an index array has at an index."""
        self.may_fail = True
        self.read(indices, tuple(index))
        return self._mixed(tuple(index))

    def _placed(self, op: movement.Place, index: Index) -> Index | None:
        """Where the placed array is read; None where it never is, being elsewhere."""
        own: list[Any] = []
        entries = iter(zip(index, op.shape, strict=True))
        for i in op.index:
            if i is None:
                own.append(ZERO)
                continue
            entry, n = next(entries)
            start, count, step = (i, 1, 1) if isinstance(i, int) else i
            if isinstance(entry, Fixed):
                place, rest = divmod(entry.number - start, step)
                if rest or not 0 <= place < count:
                    return None
                entry = Fixed(place)
            elif (start, count, step) != (0, n, 1):
                entry = self._mixed((entry,))
            if not isinstance(i, int):
                own.append(entry)
        return tuple(own)
