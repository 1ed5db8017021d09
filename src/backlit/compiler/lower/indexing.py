"""Index rules of the ops that move elements, or look them up: where in x each element of y is.

Each rule is written once, over an arithmetic of indices: strides in memory (`views`, which know no
lookups), symbols (`reading`) or LLVM values (`loops.elements`). Placing and concatenating have none
here: they choose among sources, by a comparison of values that symbols do not make.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from ...op import Op, Shape
from ...ops import indexing, movement
from ..capture.graph import Equation, Variable
from .passes import SetItemsTo, TakeAddTo

T = TypeVar("T")


class Arithmetic(Protocol, Generic[T]):
    """What the rules do with an index i of one axis."""

    def fixed(self, number: int) -> T:
        """A number."""

    def strided(self, i: T, entry: tuple[int, int, int], size: int) -> T:
        """start + step · i, for an entry (start, count, step) of a slice of an axis of `size`."""

    def reversed(self, i: T, size: int) -> T:
        """size - 1 - i."""


class Lookup(Arithmetic[T], Protocol):
    """An arithmetic that knows what index arrays hold."""

    def looked_up(self, indices: Variable, index: Sequence[T], size: int) -> T:
        """The index of an axis of `size` that an index array has at an index."""


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


#: The ops that read at indices. Their adjoints, and what writes at indices, have the same rules.
LOOKUPS = (indexing.Take, indexing.TakeAlongAxis, indexing.Gather)


def looked_up(
    op: Op, shape: Shape, index: Sequence[T], arrays: Sequence[Variable], arithmetic: Lookup[T]
) -> list[T]:
    """The index in an array of a shape that index arrays mean for an index of the result.

    There x is read by a lookup, and written or added to by its adjoint.
    """
    known: Any = op
    if isinstance(op, indexing.Take | indexing.TakeAdd | TakeAddTo):
        a, n = known.axis, len(arrays[0].shape)
        found = arithmetic.looked_up(arrays[0], index[a : a + n], shape[a])
        return [*index[:a], found, *index[a + n :]]
    if isinstance(op, indexing.TakeAlongAxis | indexing.PutAlongAxisAdd):
        a = known.axis
        return [*index[:a], arithmetic.looked_up(arrays[0], index, shape[a]), *index[a + 1 :]]
    return _gathered(known.pattern, shape, index, arrays, arithmetic)


def _gathered(
    pattern: Sequence[Any],
    shape: Shape,
    index: Sequence[T],
    arrays: Sequence[Variable],
    arithmetic: Lookup[T],
) -> list[T]:
    block = max(len(x.shape) for x in arrays)
    advanced = [p for p, i in enumerate(pattern) if i == "array" or isinstance(i, int)]
    adjacent = advanced == list(range(advanced[0], advanced[-1] + 1))
    # The axes of the index arrays stand where these were, or first if they were not neighbours.
    start = advanced[0] if adjacent else 0
    inner = index[start : start + block]
    basic = iter((*index[:start], *index[start + block :]))
    following = iter(arrays)
    own: list[T] = []
    for entry in pattern:
        if entry is None:
            next(basic)
        elif entry == "array":
            array = next(following)
            at = inner[block - len(array.shape) :]
            own.append(arithmetic.looked_up(array, at, shape[len(own)]))
        elif isinstance(entry, int):
            own.append(arithmetic.fixed(entry))
        else:
            own.append(arithmetic.strided(next(basic), entry, shape[len(own)]))
    return own


def index_arrays(e: Equation) -> tuple[Variable, ...]:
    """The index arrays of an op that reads, adds or writes at them."""
    return e.inputs[1:-1] if isinstance(e.op, SetItemsTo | TakeAddTo) else e.inputs[1:]
