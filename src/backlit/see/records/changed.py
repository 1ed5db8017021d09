"""A recorded computation with some of its values, or of its gradients, set to others.

The record is made anew with the same nodes under the same numbers. What depends on a value that was
set is computed again, by the ops that computed it before; all else is taken over, with what was
drawn at random. Then the backward pass runs, and where a gradient is set it goes on with that.

A value that is set is a leaf from then on: its gradient arrives at it, and goes no further, because
it no longer depends on what the op before it was given. With `beyond` the gradient goes on through
that op all the same, as if the op had only been shifted: `h + (new - h).detach()`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import ArgumentError, BacklitError, DTypeError, ShapeError
from ...op import Op
from ...state import Setting, observing
from ...tensor import Tensor, apply, wrap
from .builder import backward, derive_locals, join
from .model import Record
from .parts import Applied, Edge, NodeRecord
from .revive import op_of, revive
from .value import Value, array_of

#: What a value or a gradient is set to: an array, a number for all elements, or a function of what
#: it would be.
New = Any

_WHO = "what_if"


def changed(
    record: Record,
    values: Mapping[Any, New],
    upstream: Mapping[Any, New],
    beyond: bool = False,
) -> tuple[Record, list[str]]:
    """The record of the changed computation, and what in it could not be followed.

    >>> from backlit import tensor
    >>> from .from_tape import record
    >>> x = tensor(3.0, requires_grad=True)
    >>> new, _ = changed(record(x * x), {"x": 5.0}, {})
    >>> new.nodes[1].value.item(), new.find("x").upstream.item()
    (25.0, 10.0)
    """
    return _Changing(record, values, upstream, beyond).run()


class _Changing:
    """One computation that is done again with changes."""

    def __init__(
        self, record: Record, values: Mapping[Any, New], upstream: Mapping[Any, New], beyond: bool
    ):
        self.record = record
        self.values = _with_shared(record, _by_node(record, values, "values"))
        self.upstream = _by_node(record, upstream, "upstream")
        self.beyond = beyond
        self.notes: list[str] = []
        self.nodes: list[NodeRecord] = []
        #: The nodes whose value is another, or may be.
        self.other: set[int] = set()

    def run(self) -> tuple[Record, list[str]]:
        """Forward, then backward."""
        old = self.record
        if old.is_from_file:
            revive(old, _WHO)
        self.nodes = [_copy(n) for n in old.nodes]
        with observing(alone=True), Setting(grad_enabled=False, autocast=None):
            for node in self.nodes:
                self._forward(node)
        self._tell_what_was_not_followed()
        edges = self._edges()
        new = Record(
            self.nodes, edges, old.scopes, old.output, None, None, old.step, old._sources, old.live
        )
        if all(n.status != "failed in backward" for n in old.nodes):
            new.error = old.error
        derive_locals(new)
        self._backward(new)
        return new, self.notes

    # -- forward --------------------------------------------------------------------------------

    def _forward(self, node: NodeRecord) -> None:
        """Give a node its value: the one that is set, or computed from what has changed."""
        number, old = node.id, self.record.nodes[node.id]
        sources = {e.source for e in self.record.incoming[number]}
        origin = node.detached_from
        anew = bool(sources & self.other)
        if number in self.values and node.kind == "op" and not self.beyond:
            made = self._computed(node) if anew and callable(self.values[number]) else old
            now = array_of(made.value)
            _cut(node, old)
        elif anew and node.status != "failed":
            self._computed(node)
            now = array_of(node.value)
        elif origin is not None and origin in self.other:
            node.value = self.nodes[origin].value
            now = array_of(node.value)
        else:
            now = array_of(old.value)
            anew = False
        if anew or (origin is not None and origin in self.other):
            self.other.add(number)
        if number in self.values:
            if node.status == "failed":
                raise ArgumentError(f"{_WHO}: {node.label} raised, so there is no value to set")
            node.value = Value(_fitting(self.values[number], old, now, "the value"))
            node.given = "value"
            self.other.add(number)

    def _computed(self, node: NodeRecord) -> NodeRecord:
        """Apply a node's op to the values of now."""
        op = self._op(node)
        inputs = [self._input(node, a) for a in node.arguments]
        arrays = tuple(x.array if isinstance(x, Tensor) else x for x in inputs)
        try:
            array = np.asarray(apply(op, *inputs).array)
        except BacklitError as error:
            raise ArgumentError(f"{_WHO}: {node.label} then raises: {error}") from None
        if array.shape != node.shape:
            raise ArgumentError(
                f"{_WHO}: {node.label} then has the shape {array.shape} in the place of "
                f"{node.shape}, so the rest cannot be computed again from the record; run the "
                "program itself with the change"
            )
        node.value = Value(array)
        if op.differentiable:
            node.applied = Applied(op, arrays, array)
        return node

    def _op(self, node: NodeRecord) -> Op:
        op = self.record.live.ops.get(node.id) or op_of(node, _WHO)
        if op.closed:
            raise ArgumentError(
                f"{_WHO}: {node.label} cannot be computed again from the record: {op.closed}; "
                "run the program itself with the change"
            )
        return op

    def _input(self, node: NodeRecord, argument: dict[str, Any]) -> Any:
        if "number" in argument:
            return argument["number"]
        source = self.nodes[self.record.edges[argument["edge"]].source]
        array = array_of(source.value)
        if array is None:
            why = source.note or 'the file has no arrays; save it with arrays="complete"'
            raise ArgumentError(
                f"{_WHO}: {node.label} depends on the change and needs {source.label}, "
                f"whose value is not known: {why}"
            )
        return wrap(array)

    def _tell_what_was_not_followed(self) -> None:
        """Say where the user's program may have gone on with a changed value beside the ops."""
        record, live = self.record, self.record.live
        for r in live.reads:
            if r.source in self.other:
                label = record.nodes[r.source].label
                self.notes.append(
                    f"the value of {label} was read by {r.what} (line {r.line}); what was computed "
                    "from that number outside of Backlit is as it was"
                )
        for n in record.nodes:
            if n.earlier in self.other and n.id not in self.other:
                self.notes.append(
                    f"{n.label} got new values later ({n.kind} {n.id}), which are as they were: no "
                    "optimizer runs again"
                )
        if live.whole or not self.other:
            return
        for node in record.nodes:
            kept = node.kind == "constant" and node.dtype.kind == "b" and node.id not in self.other
            uses = {e.target for e in record.outgoing[node.id]}
            if kept and uses & self.other:
                self.notes.append(
                    f"the condition {node.label} is as it was; if it is computed from what "
                    "changes, record the code with see.recording(), which sees that"
                )

    # -- backward -------------------------------------------------------------------------------

    def _edges(self) -> list[Edge]:
        """The record's edges, without those into values that are leaves now."""
        edges: list[Edge] = []
        for e in self.record.edges:
            target = self.nodes[e.target]
            if target.kind == "op":
                new = Edge(len(edges), e.source, e.target, e.position, e.argument)
                target.arguments[e.position] = {"edge": new.id}
                edges.append(new)
        return edges

    def _backward(self, new: Record) -> None:
        old = self.record
        if old.output is None:
            if self.upstream:
                raise ArgumentError(
                    f"{_WHO}: upstream needs a backward pass, and the record has none; record a "
                    "single number, or see.record(output, gradient)"
                )
            return
        seed = array_of(old.seed)
        given = dict(self.upstream)
        if old.output in given:  # this may be where there was no seed
            seed = _fitting(given.pop(old.output), old.nodes[old.output], seed, "the gradient")
            new.nodes[old.output].given = join(new.nodes[old.output].given, "gradient")
        if seed is None:
            if given:
                raise ArgumentError(
                    f"{_WHO}: upstream needs a backward pass, and {old.nodes[old.output].label} is "
                    "no single number; set its gradient, too"
                )
            return
        new.seed = Value(seed)
        exchange = {i: self._exchange(new, i, g) for i, g in given.items()}
        backward(new, seed, exchange=exchange)
        for i in given:
            if new.nodes[i].upstream is None:
                raise ArgumentError(
                    f"{_WHO}: no gradient arrives at {new.nodes[i].label}, so there is none to "
                    f"set; {_why_none(old, new, i)}"
                )

    def _exchange(self, new: Record, i: int, g: New) -> Callable[[np.ndarray], np.ndarray]:
        def exchanged(arrived: np.ndarray) -> np.ndarray:
            node = new.nodes[i]
            node.given = join(node.given, "gradient")
            return _fitting(g, node, np.asarray(arrived), "the gradient")

        return exchanged


def _by_node(record: Record, news: Mapping[Any, New], what: str) -> dict[int, New]:
    """What is set, by the node's number."""
    if not isinstance(news, Mapping):
        raise ArgumentError(
            f"{_WHO}: {what} must be a dictionary of names with what they are set to, got "
            f"{type(news).__name__}"
        )
    found: dict[int, New] = {}
    for key, new in news.items():
        number = record.find(key).id
        if number in found:
            raise ArgumentError(f"{_WHO}: {record.nodes[number].label} is set twice")
        found[number] = new
    return found


def _with_shared(record: Record, news: dict[int, New]) -> dict[int, New]:
    """What is set, with the leaves that share an array with one that is: `x.detach()` of a leaf."""
    leaves = record.leaves
    arrays = {id(array_of(record.nodes[i].value)): new for i, new in news.items()
              if record.nodes[i].kind != "op" and record.nodes[i].value is not None}  # fmt: skip
    shared = {n.id: arrays[id(n.value.array)] for n in leaves
              if arrays and n.value is not None and id(n.value.array) in arrays}  # fmt: skip
    return {**shared, **news}


def _copy(node: NodeRecord) -> NodeRecord:
    """A node as it was before the backward pass."""
    _ = node.value  # one that is computed when it is asked for
    new = copy.copy(node)
    new.fill = None
    new.upstream = new.backward_order = None
    new.arguments = list(node.arguments)
    new.given = ""
    if node.status == "failed in backward":
        new.status, new.error = "ok", None
    return new


def _cut(node: NodeRecord, old: NodeRecord) -> None:
    """Make a leaf of an op's result."""
    node.name = old.label
    node.kind = node.op = "leaf" if old.requires_grad else "constant"
    node.arguments, node.attributes, node.saves = [], {}, ()
    node.applied = node.scope = None
    node.note = f"set; {old.op} computes it no longer, and no gradient goes on to what that was of"


def _fitting(new: New, node: NodeRecord, now: np.ndarray | None, what: str) -> np.ndarray:
    """What a node's value or gradient is set to, as an array of the node's shape and type."""
    where = f"{what} of {node.label}"
    if callable(new) and not isinstance(new, Tensor | np.ndarray):
        if now is None:
            raise ArgumentError(f"{_WHO}: {where} is not known, so nothing can be made of it")
        new = new(now.copy())
    given = new.array if isinstance(new, Tensor) else new
    typed = isinstance(given, np.ndarray | np.generic)
    try:
        array = np.asarray(given)
    except ValueError:
        raise ShapeError(f"{_WHO}: {where} must be numbers of one shape, got {new!r:.80}") from None
    _check_dtype(array, typed, node, where)
    if array.shape == () and not isinstance(given, np.ndarray):
        array = np.broadcast_to(array, node.shape)
    if array.shape != node.shape:
        raise ShapeError(
            f"{_WHO}: {where} must have the shape {node.shape}, got {array.shape}; a single number "
            "is taken for all elements"
        )
    with np.errstate(all="ignore"):
        return np.array(array, node.dtype)


def _check_dtype(array: np.ndarray, typed: bool, node: NodeRecord, where: str) -> None:
    """Raise unless a dtype can stand for the node's: floats for floats, integers for both."""
    if array.dtype.kind in "OSUMm":
        raise DTypeError(f"{_WHO}: {where} must be numbers, got {array.reshape(-1)[:1].tolist()}")
    want, got = node.dtype, array.dtype
    floating = want in FLOATING
    if floating and got in FLOATING:
        return
    good = got.kind in ("iub" if floating and not typed else "iu") if want.kind != "b" else False
    good = good or (want.kind == got.kind == "b")
    if want.kind == "i" and not typed and got.kind == "f":
        good = bool(np.all(array == np.round(array)))  # [1.0, 2.0] for labels
    if not good:
        raise DTypeError(
            f"{_WHO}: {where} must be {want.name}, got {got.name}; convert it with "
            f".astype({want.name!r})"
        )


def _why_none(old: Record, new: Record, number: int) -> str:
    node = new.nodes[number]
    if not node.requires_grad:
        return "it requires none"
    if old.nodes[number].upstream is not None:
        return "it now leads only to values that are set"
    assert old.output is not None
    return f"{old.nodes[old.output].label} does not depend on it"
