"""What is inside an op: its `forward` as the gates that it is composed of, to be opened in place.

An op's body is written with primitives. Run on Tensors it leaves a tape (`checks.unfold`), and that
makes a record like any other: with the values of the inner gates, and with the gradients that the
op's upstream gradient becomes when it is led back through them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from ....dtypes import FLOATING
from ....errors import ArgumentError
from ...checks.unfold import STEPS, Tape, unfold
from ...records.builder import Builder
from ...records.model import Record
from ...records.parts import Applied, Edge, NodeRecord
from ...records.value import Value, array_of

#: A page has at most so many gates of bodies nobody asked for.
GATES = 600
#: Bodies on larger arrays are opened if they are asked for.
ELEMENTS = 200_000
#: In a larger graph nobody looks into a body by chance.
NODES = 3000
#: A body of more gates than these is not opened.
LONGEST = 40_000


def body_of(node: NodeRecord, sources: list[NodeRecord], longest: int = STEPS) -> Record | None:
    """An op's body as a record; None if it is a single gate, too long, or cannot be run again.

    The first nodes are the op's array inputs, in their order; the output is its result.
    """
    applied, inputs = node.applied, () if node.applied is None else node.applied.inputs
    if applied is None or not can_have_body(node) or any(x is None for x in inputs):
        return None
    tape = unfold(applied.op, inputs, applied.op.parameters, longest)
    if tape is None or tape.end is None or len(tape.steps) < 2:
        return None
    return _record_of(tape, node, sources)


def can_have_body(node: NodeRecord) -> bool:
    """Whether an op is made of others: executors know only its parts, and it is written down."""
    op = node.op_class
    return node.kind == "op" and node.status == "ok" and not op.primitive and not op.closed


def _record_of(tape: Tape, node: NodeRecord, sources: list[NodeRecord]) -> Record:
    add, made = Builder({}, None), dict[tuple[str, Any], int]()
    arrays = [k for k, x in enumerate(tape.inputs) if isinstance(x, np.ndarray)]
    for k, source in zip(arrays, sources, strict=True):
        leaf = NodeRecord(len(add.nodes), "leaf", "leaf", source.shape, source.dtype)
        leaf.value, leaf.requires_grad = source.value, source.requires_grad
        made["input", k] = leaf.id
        add.nodes.append(leaf)
    names = _names(tape)
    for j, step in enumerate(tape.steps):
        ids = [_source(add, made, s) for s in step.sources]
        inner = add.op(step.op, step.shapes, ids, step.value, None, None)
        asked = any(i is not None and add.nodes[i].requires_grad for i in ids)
        inner.requires_grad = asked and step.op.differentiable and step.value.dtype in FLOATING
        inner.name, inner.value = names.get(j), Value(step.value)
        if step.op.differentiable:
            inner.applied = Applied(step.op, step.shapes, step.value, step.saved)
        made["step", j] = inner.id
    seed = array_of(node.upstream)
    assert tape.end is not None
    return add.finish(made[tape.end], seed, None)


def _source(add: Builder, made: dict[tuple[str, Any], int], source: tuple[str, Any]) -> int | None:
    """The node that a step reads; None for a number. An array of the body's own is a constant."""
    kind, what = source
    if kind != "constant":
        return made[source]
    if not isinstance(what, np.ndarray):
        return None
    constant = NodeRecord(len(add.nodes), "constant", "constant", what.shape, what.dtype)
    constant.value = Value(what)
    add.nodes.append(constant)
    return constant.id


def _names(tape: Tape) -> dict[int, str]:
    """What the body calls its values: the same in each turn of a loop."""
    at: dict[Any, str] = {}
    for (_, j), name in tape.own.items():
        if not name.startswith("_"):
            at.setdefault(tape.place(j), name)
    return {j: at[tape.place(j)] for j in range(len(tape.steps)) if tape.place(j) in at}


class Opened(Record):
    """A record with the bodies of some of its ops behind its own nodes.

    What a body reads is an edge from outside to the inner gate, beside the one to the op itself.
    """

    def __init__(self, record: Record, bodies: dict[int, Record]):
        super().__init__(
            list(record.nodes), list(record.edges), record.scopes, record.output, record.seed,
            record.error, record.step, record._sources, record.live,
        )  # fmt: skip
        self.closed = record
        #: Of each op that can be opened: the node that stands for its result inside.
        self.results: dict[int, int] = {}
        #: Ops that may have a body that was left out for its size.
        self.unopened: list[int] = []
        #: Those of these ops that were asked for.
        self.wanted: list[int] = []
        #: Of each node the op in whose body it is; -1 for the record's own.
        self.owner = [-1] * len(record.nodes)
        for number, body in bodies.items():
            self._add(record.nodes[number], body)

    def _add(self, node: NodeRecord, body: Record) -> None:
        outside = [e.source for e in self.closed.incoming[node.id]]
        at, first = dict(enumerate(outside)), len(self.edges)
        for inner in body.nodes[len(outside) :]:
            at[inner.id] = inner.id = len(self.nodes)
            inner.scope, inner.file, inner.line = node.scope, node.file, node.line
            inner.arguments = [
                {"edge": a["edge"] + first} if "edge" in a else a for a in inner.arguments
            ]
            self.nodes.append(inner)
            self.owner.append(node.id)
        for e in body.edges:
            e.id, e.source, e.target = e.id + first, at[e.source], at[e.target]
            self.edges.append(e)
        assert body.output is not None
        result = self.results[node.id] = at[body.output]
        self.nodes[result].name = node.name

    @cached_property
    def outgoing(self) -> list[list[Edge]]:
        """For each node the edges to its uses by ops beside it: not those inside of other ops."""
        found: list[list[Edge]] = [[] for _ in self.nodes]
        for e in self.edges:
            if self.owner[e.source] == self.owner[e.target]:
                found[e.source].append(e)
        return found


def opened(record: Record, wanted: bool | str | int | Iterable[Any] = False) -> Opened:
    """The record with the bodies that are wanted, and with as many others as a page can bear.

    `wanted` names nodes, or ops by their kind (`layer_norm`); True means every op that has a body.
    """
    bodies: dict[int, Record] = {}
    asked: list[int] = []
    for number in _wanted(record, wanted):
        body = _body(record, number, LONGEST)
        if body is not None:
            bodies[number] = body
            asked.append(number)
        elif wanted is not True:
            raise ArgumentError(_refusal(record.nodes[number]))
    left, tried = GATES, set(bodies)
    for node in _by_chance(record) if len(record.nodes) <= NODES else ():
        if node.id not in tried and left > 1:
            tried.add(node.id)
            body = _body(record, node.id, left)
            if body is not None:
                bodies[node.id] = body
                left -= len(body.nodes)
    result = Opened(record, bodies)
    result.wanted = asked
    result.unopened = [n.id for n in record.nodes if can_have_body(n) and n.id not in tried]
    return result


def _body(record: Record, number: int, longest: int) -> Record | None:
    sources = [record.nodes[e.source] for e in record.incoming[number]]
    return body_of(record.nodes[number], sources, longest)


def _wanted(record: Record, wanted: bool | str | int | Iterable[Any]) -> list[int]:
    """The numbers of the ops that are asked for."""
    if isinstance(wanted, bool):
        return [n.id for n in record.nodes if wanted and can_have_body(n)]
    each = [wanted] if isinstance(wanted, str | int) or not isinstance(wanted, Iterable) else wanted
    found: list[int] = []
    for what in each:
        kind = [n.id for n in record.nodes if n.kind == "op" and n.op == what]
        found += kind or [record.find(what).id]
    return list(dict.fromkeys(found))


def _refusal(node: NodeRecord) -> str:
    """Why a node cannot be opened."""
    if node.kind != "op":
        why, cure = f"a {node.kind}", "give ops by name, number or kind"
    elif node.applied is None:
        why, cure = f"{node.op} of a record from a file", "draw the computation itself"
    elif node.op_class.primitive:
        why, cure = f"the primitive {node.op}", "it is a single gate: leave it out of unfold"
    else:
        why, cure = f"{node.op}, whose body is a single gate or cannot run again", "leave it out"
    return f"draw: unfold must name ops that are made of others, got {node.label} ({why}); {cure}"


def _by_chance(record: Record) -> list[NodeRecord]:
    """Ops with bodies on small arrays, the last first; and before all others one of each kind."""
    able = [n for n in reversed(record.nodes) if can_have_body(n) and _size(record, n) <= ELEMENTS]
    first: dict[str, NodeRecord] = {}
    for n in able:
        first.setdefault(n.op, n)
    return [*first.values(), *(n for n in able if first[n.op] is not n)]


def _size(record: Record, node: NodeRecord) -> int:
    """How many elements an op reads and makes."""
    shapes = [record.nodes[e.source].shape for e in record.incoming[node.id]]
    return sum(math.prod(shape) for shape in [node.shape, *shapes])
