"""A recorded computation done again with one expression written otherwise: is it cured?

The ops are applied once more to the values that were recorded. Nothing of the user's code runs, no
Tensor of the user's changes, and what was drawn at random stays as it was. A rewrite is a cure if
no bad number is left in the value and in every gradient, and if what was finite stays as it was.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import BacklitError
from ...state import Setting, observing
from ...tensor import Tensor, apply, wrap
from ..records.from_block import Recording
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.revive import op_of
from ..records.value import array_of
from .births import BadNumber, forward_birth
from .gradient_births import backward_birth
from .rewrites import Rewrite, rewrites
from .stable import stable

#: At most so many are tried, and for so many seconds: what has not been run is not offered.
_TRIES, _SECONDS = 40, 20.0
#: What can go wrong in applying ops to numbers that they were not given.
_FAILURES = (BacklitError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


def cure(record: Record, found: BadNumber) -> None:
    """Give a bad number the first rewrite that cures it, if one does."""
    node = found.node
    if found.advice or node.kind != "op" or node.applied is None or node.site is None:
        return
    end = record.output if record.output is not None else _end(record, node)
    rerun = Rerun(record, end)
    until = time.monotonic() + _SECONDS
    partial: list[tuple[Rewrite, NodeRecord]] = []
    for tried, rewrite in enumerate(_to_try(record, node)):
        if tried == _TRIES or time.monotonic() > until:
            break
        left = rerun.left([rewrite])
        if left is None:
            _offer(found, rewrite)
            return
        if isinstance(left, NodeRecord):
            partial.append((rewrite, left))
    for rewrite, other in partial[:3]:  # another bad number is born elsewhere
        for second in _to_try(record, other):
            if time.monotonic() > until:
                return
            if rerun.left([rewrite, second]) is None:
                _offer(found, rewrite)
                found.more.append((second.node.line, second.replaces, second.text))
                return


def _to_try(record: Record, node: NodeRecord) -> Iterator[Rewrite]:
    """What may be written against a bad number that was born at a node, the best first."""
    yield from stable(record, node)
    yield from rewrites(record, node)


def _end(record: Record, node: NodeRecord) -> int:
    """The last value that was computed from a node."""
    last, front = node.id, [node.id]
    seen = set(front)
    while front:
        after = {e.target for number in front for e in record.outgoing[number]} - seen
        last, front = max([last, *after]), list(after)
        seen |= after
    return last


def _offer(found: BadNumber, rewrite: Rewrite) -> None:
    found.rewrite, found.replaces, found.advice = rewrite.text, rewrite.replaces, rewrite.advice
    found.rewrite_line = rewrite.node.line


@dataclass
class _Again:
    """A computation that was done again: the Tensors of its nodes, and its record."""

    values: dict[int, Tensor]
    record: Record


class Rerun:
    """One recorded computation, which is done again up to one of its nodes."""

    def __init__(self, record: Record, end: int):
        self.record = record
        self.end = end
        self.needed = self._needed()
        self.backward = record.output is not None and record.seed is not None

    def _needed(self) -> list[int]:
        """What the end was computed from, also where a value was detached on the way."""
        seen, stack = {self.end}, [self.end]
        while stack:
            number = stack.pop()
            before = [e.source for e in self.record.incoming[number]]
            origin = self.record.nodes[number].detached_from
            for i in before + ([] if origin is None else [origin]):
                if i not in seen:
                    seen.add(i)
                    stack.append(i)
        return sorted(seen)

    def left(self, changes: list[Rewrite]) -> NodeRecord | bool | None:
        """What is still wrong with rewrites in place: None if nothing is.

        True if they do not help; a node if they do, and there another bad number is born.
        """
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                again = self._run(changes)
                if again is None or not self._keeps(changes, again):
                    return True
                bad = forward_birth(again.record)
                bad = bad or backward_birth(again.record)
        except _FAILURES:
            return True
        if bad is None:
            return None
        numbers = {id(t.node or t): i for i, t in again.values.items()}
        mine = {i for c in changes for i in self._places(c)}
        for i, t in again.values.items():
            if again.record.node_of(t) is bad.node and i not in mine and numbers:
                other = self.record.nodes[i]
                return other if other.kind == "op" else True
        return True

    def _places(self, rewrite: Rewrite) -> list[int]:
        """The nodes that a line's expression has made, once each time it ran."""
        of = rewrite.node
        return [
            n.id for n in map(self.record.nodes.__getitem__, self.needed)
            if n.site == of.site and n.op == of.op
        ]  # fmt: skip

    def _run(self, changes: list[Rewrite]) -> _Again | None:
        made = {i: c for c in changes for i in self._places(c)}
        if not made:
            return None
        nodes, values, changed = self.record.nodes, dict[int, Tensor](), set[int]()

        def get(i: int) -> Tensor:
            """A value; one that is computed later, as a condition, as it was recorded."""
            array = array_of(nodes[i].value)
            if i in values or array is None:
                return values[i]
            return wrap(array)

        with observing(alone=True), Setting(grad_enabled=True), Recording() as watched:
            for i in self.needed:
                node = nodes[i]
                sources = {e.source for e in self.record.incoming[i]}
                origin = node.detached_from
                if i in made:
                    value = made[i].make(node, get)
                    if value is None or value.shape != node.shape:
                        return None
                    changed.add(i)
                elif node.kind == "op" and (node.requires_grad or sources & changed):
                    value = apply(op_of(node, "rerun"), *_inputs(self.record, node, values))
                    if sources & changed:
                        changed.add(i)
                elif origin is not None and origin in changed:
                    value = values[origin].detach()
                    changed.add(i)
                    if node.requires_grad:
                        value.requires_grad_()
                else:
                    array = array_of(node.value)
                    if array is None:
                        return None
                    value = wrap(array)
                    if node.requires_grad and node.kind != "op":
                        value.requires_grad_()
                values[i] = value
        end = values[self.end]
        seed = self.record.seed.array if self.backward and self.record.seed is not None else None
        if end.node is None and not end.requires_grad:
            seed = None
        if id(end) not in {id(c.y) for c in watched.calls}:
            return None
        return _Again(values, watched.of(end, None if seed is None else seed.astype(end.dtype)))

    def _keeps(self, changes: list[Rewrite], again: _Again) -> bool:
        """Whether what was finite is as it was: the end, or else elements of what is changed.

        An infinity of these must become a number on its side of all finite ones: a logit of 1 that
        is cured to 0 would be another function.
        """
        if _finite(array_of(self.record.nodes[self.end].value)):
            places: Iterable[int] = [self.end]
        else:
            places = [i for c in changes for i in self._places(c)]
        for i in places:
            before, now = array_of(self.record.nodes[i].value), again.values[i].array
            if before is None or before.dtype not in FLOATING:
                continue
            a, b = before.astype(np.float64), np.asarray(now).astype(np.float64)
            known = np.isfinite(a)
            room = 2e-2 if before.dtype.itemsize == 2 else 2e-3
            if not np.allclose(a[known], b[known], rtol=room, atol=room):
                return False
            if i != self.end and not _on_its_side(a, b, room):
                return False
        return True


def _on_its_side(before: np.ndarray, now: np.ndarray, room: float) -> bool:
    """Whether what was infinite is now at least as far out as what was finite."""
    for sign in (1.0, -1.0):
        was, new = sign * before, sign * now
        infinite, finite = was == np.inf, np.isfinite(was)
        if infinite.any():
            furthest = float(np.max(was, where=finite, initial=0.0))
            if not (new[infinite] >= furthest * (1 - room)).all():
                return False
            if not finite.any() and not (np.abs(new[infinite]) > 1).all():
                return False
    return True


def _finite(array: np.ndarray | None) -> bool:
    return array is not None and bool(np.isfinite(array.astype(np.float64)).all())


def _inputs(record: Record, node: NodeRecord, values: dict[int, Tensor]) -> list[Any]:
    return [
        values[record.edges[a["edge"]].source] if "edge" in a else a["number"]
        for a in node.arguments
    ]
