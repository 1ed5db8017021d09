"""Index rules of the ops that only move elements: which element of x each element of y is.

Each rule is written once, over an arithmetic of indices: strides in memory (`views`), symbols
(`reading`) or LLVM values (`loops.elements`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from ...ops import movement
from ..capture.graph import Equation

T = TypeVar("T")


class Arithmetic(Protocol, Generic[T]):
    """What the rules do with an index i of one axis."""

    def fixed(self, number: int) -> T:
        """A number."""

    def strided(self, i: T, entry: tuple[int, int, int], size: int) -> T:
        """start + step · i, for an entry (start, count, step) of a slice of an axis of `size`."""

    def reversed(self, i: T, size: int) -> T:
        """size - 1 - i."""


#: The ops that have a rule. One of a reshape is for axes of size 1 that come or go.
MOVED = (
    movement.PermuteDims,
    movement.BroadcastTo,
    movement.Slice,
    movement.Flip,
    movement.Reshape,
)


def source(e: Equation, index: Sequence[T], arithmetic: Arithmetic[T]) -> list[T]:
    """The index of e's input that its output has at an index."""
    op: Any = e.op
    shape = e.inputs[0].shape
    if isinstance(op, movement.PermuteDims):
        return [index[op.axes.index(a)] for a in range(len(shape))]
    if isinstance(op, movement.BroadcastTo):
        own = zip(shape, op.shape[-len(shape) :], index[len(index) - len(shape) :], strict=False)
        return [arithmetic.fixed(0) if n == 1 != m else i for n, m, i in own]
    if isinstance(op, movement.Flip):
        pairs = enumerate(zip(shape, index, strict=True))
        return [arithmetic.reversed(i, n) if a in op.axis else i for a, (n, i) in pairs]
    if isinstance(op, movement.Slice):
        return _sliced(op, shape, index, arithmetic)
    left = iter([i for i, n in zip(index, e.output.shape, strict=True) if n != 1])
    return [arithmetic.fixed(0) if n == 1 else next(left) for n in shape]


def _sliced(
    op: movement.Slice, shape: Sequence[int], index: Sequence[T], arithmetic: Arithmetic[T]
) -> list[T]:
    own = []
    sizes, entries = iter(shape), iter(index)
    for entry in op.index:
        if entry is None:
            next(entries)
        elif isinstance(entry, int):
            next(sizes)
            own.append(arithmetic.fixed(entry))
        else:
            own.append(arithmetic.strided(next(entries), entry, next(sizes)))
    return own
