"""On which ways a value goes on to the loss, also where no gradient comes back.

A record's edges are uses by ops. A value also goes on where it was detached or assigned, and where
it was read as a number, or an array, that a later op or constant holds again: a `Crossing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ...dtypes import FLOATING
from ..records.model import Record
from ..records.parts import NodeRecord, Read
from ..records.value import array_of

#: Numbers that are equal too often to tell where one came from.
_COMMON = frozenset((0.0, 0.1, 0.5, 1.0, 2.0, 10.0, 100.0))


@dataclass(frozen=True)
class Crossing:
    """A value that goes on without its gradient: from a node to a constant, or into an op."""

    source: int
    target: int
    read: Read | None = None  # None: detached, or assigned


def crossings(record: Record) -> list[Crossing]:
    """Every place where a value is known to go on without its gradient."""
    found = []
    origins: dict[int, int] = {}
    for node in record.nodes:
        array = array_of(node.value)
        if node.kind != "constant":
            if array is not None and node.requires_grad:
                origins.setdefault(id(array), node.id)
            continue
        origin = node.detached_from
        if origin is None and array is not None:
            origin = origins.get(id(array))
        if origin is not None:
            found.append(Crossing(origin, node.id))
    for read in record.live.reads:
        if read.source >= 0:
            found += [Crossing(read.source, n.id, read) for n in holding(record, read)]
    return found


def holding(record: Record, read: Read) -> Iterator[NodeRecord]:
    """The later nodes that hold what was read: an op's number, or a constant's elements."""
    one = float(read.array.reshape(-1)[0]) if read.array.size == 1 else None
    if one is None and len(np.unique(read.array)) < 2:
        return
    if one in _COMMON or (one is not None and abs(one) in _COMMON):
        return
    for node in record.nodes[read.after + 1 :]:
        if node.kind == "op":
            numbers = [a["number"] for a in node.arguments if "number" in a]
            if one is not None and any(float(x) == one for x in numbers if x is not None):
                yield node
        elif node.kind == "constant" and node.value is not None:
            array = node.value.array
            if array is None or array.dtype.kind in "b":
                continue
            if one is not None:
                if array.size <= 1000 and np.any(array == np.asarray(one).astype(array.dtype)):
                    yield node
            elif array.size == read.array.size and np.array_equal(
                array.reshape(-1), read.array.reshape(-1).astype(array.dtype)
            ):
                yield node


class Ways:
    """What lies between a node and the loss, across edges and crossings."""

    def __init__(self, record: Record, start: int, loss: int):
        self.record = record
        self.crossings = crossings(record)
        following: list[list[int]] = [[e.target for e in edges] for edges in record.outgoing]
        before: list[list[int]] = [[e.source for e in edges] for edges in record.incoming]
        for c in self.crossings:
            following[c.source].append(c.target)
            before[c.target].append(c.source)
        self.reached = _closure([start], following)
        self.behind = _closure([loss], before)
        self.open = loss in self.reached

    @property
    def between(self) -> list[NodeRecord]:
        """The nodes on a way from the start to the loss, both included, in order."""
        return [self.record.nodes[i] for i in sorted(self.reached & self.behind)]

    @property
    def crossed(self) -> list[Crossing]:
        """The crossings on such a way."""
        return [c for c in self.crossings if c.source in self.reached and c.target in self.behind]

    @property
    def possible(self) -> list[Read]:
        """Reads of what was reached, from which something in the loss may have been computed.

        Something is a number, or a constant, that the loss depends on and that came up afterwards.
        """
        came = [
            n.id for n in map(self.record.nodes.__getitem__, self.behind)
            if n.kind == "constant" or any(a.get("number") is not None for a in n.arguments)
        ]  # fmt: skip
        last = max(came, default=-1)
        return [r for r in self.record.live.reads if r.source in self.reached and r.after < last]


def _closure(starts: Iterable[int], following: list[list[int]]) -> set[int]:
    seen = set(starts)
    stack = list(seen)
    while stack:
        for j in following[stack.pop()]:
            if j not in seen:
                seen.add(j)
                stack.append(j)
    return seen


def loss_of(record: Record) -> int | None:
    """The node that is the loss: where the record's backward pass starts, or one without a graph.

    A single number at the end that requires no gradient is the loss if there is no other, or if it
    was computed from what was read of the other; its name decides where both may be meant.
    """
    graph = record.output
    if record.live.chosen:
        return graph
    ends = [
        n for n in record.nodes
        if n.kind == "op" and n.status == "ok" and not n.requires_grad and n.dtype in FLOATING
        and np.prod(n.shape) == 1 and not record.outgoing[n.id]
        and n.id > (-1 if graph is None else graph)
    ]  # fmt: skip
    if graph is None or not ends:
        return graph if graph is not None else ends[-1].id if ends else None
    cut = ends[-1]
    if _named(record.nodes[graph]):
        return graph
    ways = Ways(record, graph, cut.id)
    if ways.crossed and any(
        record.nodes[c.source].requires_grad for c in ways.crossings if c.target in ways.behind
    ):
        return cut.id
    trained = any(record.nodes[i].requires_grad for i in ways.behind)
    return cut.id if _named(cut) and ways.possible and not trained else graph


def _named(node: NodeRecord) -> bool:
    name = (node.name or "").lower()
    return any(word in name for word in ("loss", "cost", "error", "objective"))
