"""Building a record: nodes, edges and scopes one after the other, then the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count
from types import CodeType
from typing import Any

import numpy as np

from ...autograd import walk_back
from ...errors import ArgumentError, BacklitError
from ...nn.module import Module, Parameter
from ...op import Op, describe
from ...tape import INTERNAL, Scope, is_open
from ...tensor import Tensor, as_tensor
from .expressions import Site
from .local import local_gradient
from .model import Live, Record
from .parts import Edge, NodeRecord, Read, ScopeRecord
from .purposes import name_results, say_what_constants_are
from .value import Value

#: What arrived at a gate in a backward pass, and what it sent to which input.
Walked = tuple[np.ndarray, list[tuple[int, Any]]]


class Builder:
    """Adds nodes, edges and scopes one after the other, then runs the backward pass."""

    def __init__(
        self, names: dict[int, str], step: int | None, called: dict[int, str] | None = None
    ):
        self.nodes: list[NodeRecord] = []
        self.edges: list[Edge] = []
        self.scopes: list[ScopeRecord] = []
        self.names = names
        #: What leaves are called where they are used: one name may be that of several.
        self.called = {} if called is None else called
        self._taken: dict[str, int] = {}
        self.step = step
        self.alive: list[Any] = []
        self.tensors: dict[int, int] = {}
        #: What the user's own backward pass sent, by the number of the node: see `backward`.
        self.walked: dict[int, Walked] = {}
        #: Values that were handed out as numbers, and ops that were computed under no_grad.
        self.reads: list[Read] = []
        self.off: set[int] = set()
        self.ops: dict[int, Op] = {}
        self._scope_ids: dict[int, int] = {}
        self._calls: list[tuple[int | None, Site]] = []  # of modules: that outside, and from where
        self._children: dict[int, dict[int, str]] = {}
        self._parameters: dict[int, str] = {}
        self._roots: dict[str, list[Module]] = {}  # outermost modules by their kind
        self._leaves: dict[int, int] = {}  # a leaf's node -> the id of its Tensor
        self._arrays: dict[int, int] = {}  # id of an array -> the op node that made it

    def scope(self, scope: Scope | None) -> int | None:
        """The number of a module call; its outer calls are added first."""
        chain: list[Scope] = []
        inner = scope
        while inner is not None and id(inner) not in self._scope_ids:
            chain.append(inner)
            inner = inner.parent
        for s in reversed(chain):
            parent = None if s.parent is None else self._scope_ids[id(s.parent)]
            number = len(self.scopes)
            kind = type(s.module).__name__
            name = kind if s.parent is None else self._name_within(s.parent.module, s.module)
            if s.parent is None:
                self.learn(s.module)
            file, line = _line(s.code, s.instruction)
            detail = f"{kind}({s.module.extra_repr()})"
            self.scopes.append(ScopeRecord(number, parent, name, kind, file, line, detail))
            self._scope_ids[id(s)] = number
            self._calls.append((parent, (s.code, s.instruction)))
            self.alive.append(s)
        return None if scope is None else self._scope_ids[id(scope)]

    def _name_within(self, outer: Module, inner: Module) -> str:
        known = self._children.get(id(outer))
        if known is None:
            known = {id(m): n for n, m in outer.named_modules() if n}
            self._children[id(outer)] = known
            self.alive.append(outer)
        return known.get(id(inner)) or type(inner).__name__

    def learn(self, module: Module) -> None:
        """Take down the names of the parameters and buffers of an outermost module."""
        prefix = type(module).__name__
        roots = self._roots.setdefault(prefix, [])
        if all(module is not m for m in roots):
            roots.append(module)
        for name, t in (*module.named_parameters(), *module.named_buffers()):
            self._parameters.setdefault(id(t), f"{prefix}.{name}")

    def leaf(self, t: Tensor, value: np.ndarray | None, requires_grad: bool | None = None) -> int:
        """Add a leaf. `requires_grad` is what it was when it was used, if that may have changed."""
        number = len(self.nodes)
        asked = is_open(t) if requires_grad is None else requires_grad
        kind = "parameter" if isinstance(t, Parameter) else "leaf" if asked else "constant"
        node = NodeRecord(number, kind, kind, t.shape, t.dtype)
        node.name = t.name or self._parameters.get(id(t)) or self.names.get(id(t))
        if not node.name and self.called.get(id(t)):
            called = self.called[id(t)]
            free = self._taken.setdefault(called, id(t)) == id(t)
            node.name = called if free else f"{called}_{number}"
        if node.name:
            self._taken.setdefault(node.name, id(t))
        node.requires_grad = asked
        node.value = None if value is None else Value(value)
        source = self._arrays.get(id(value))
        if source is not None:
            node.detached_from = source
        if t._hooks:
            node.note = HOOKS
        self.nodes.append(node)
        self.alive.append(t)
        self._leaves[number] = id(t)
        node.earlier = self.tensors.get(id(t))
        self.tensors[id(t)] = number
        return number

    def op(
        self,
        op: Op,
        inputs: Iterable[Any],
        sources: list[int | None],
        result: Any,
        scope: Scope | None,
        site: tuple[CodeType, int] | None,
    ) -> NodeRecord:
        """Add an op's result. `sources` has each input's node, None for a number."""
        number = len(self.nodes)
        node = NodeRecord(number, "op", op.name, result.shape, result.dtype)
        node.attributes = {a: repr(getattr(op, a)) for a in op.attributes}
        node.saves = op.saves
        node.scope = self.scope(scope)
        if site is not None:
            node.file, node.line = _line(*site)
            node.site = site if node.file else None
        for position, (x, source) in enumerate(zip(inputs, sources, strict=True)):
            if source is None:
                node.arguments.append({"number": x})
                continue
            edge = Edge(
                len(self.edges), source, number, position, _argument(op, position, len(sources))
            )
            node.arguments.append({"edge": edge.id})
            self.edges.append(edge)
        self.nodes.append(node)
        return node

    def made(self, node: NodeRecord, array: np.ndarray) -> None:
        """An op node's value: what shares this array later was detached from it."""
        node.value = Value(array)
        self._arrays.setdefault(id(array), node.id)
        self.alive.append(array)

    def read(self, t: Tensor, array: np.ndarray, what: str, site: tuple[CodeType, int]) -> None:
        """Take down that a value was handed out as numbers."""
        source = self._arrays.get(id(array), -1)
        self.reads.append(Read(source, len(self.nodes) - 1, what, array, *_line(*site)))
        self.alive.append(t)

    def _with_leaves(self, reads: list[Read]) -> list[Read]:
        """The reads of what is in the record; a leaf may have been read before its first use."""
        leaves = {
            id(n.value.array): n.id for n in self.nodes if n.kind != "op" and n.value is not None
        }
        return [
            replace(r, source=leaves.get(id(r.array), -1)) if r.source < 0 else r for r in reads
        ]

    def finish(
        self,
        output: int | None,
        seed: np.ndarray | None,
        error: str | None,
        chosen: bool = True,
        whole: bool = False,
    ) -> Record:
        """Run the backward pass from a node, if there is a seed, and close the record.

        `chosen` says that the output is known to be the loss, `whole` that every op was seen.
        """
        value = None if seed is None else Value(seed)
        name_results(self.nodes, self.edges, self._calls)
        say_what_constants_are(self.nodes, self.edges)
        self._tell_modules_apart()
        reads = self._with_leaves(self.reads)
        live = Live(self.tensors, self.alive, reads, self.off, self.ops, chosen, whole=whole)
        result = Record(
            self.nodes, self.edges, self.scopes, output, value, error, self.step, live=live
        )
        derive_locals(result)
        if output is not None and seed is not None:
            backward(result, seed, self.walked)
        return result

    def _tell_modules_apart(self) -> None:
        """Where several outermost modules are of one kind, name their parameters by the variables.

        `Linear.weight` of two becomes `first.weight` and `second.weight`, or `Linear_1.weight` and
        `Linear_2.weight` where no variable is known.
        """
        for kind, modules in self._roots.items():
            if len(modules) == 1:
                continue
            whole: dict[int, str] = {}
            for n, module in enumerate(modules, 1):
                prefix = self.names.get(id(module)) or f"{kind}_{n}"
                for name, t in (*module.named_parameters(), *module.named_buffers()):
                    if self._parameters.get(id(t)) == f"{kind}.{name}":
                        whole.setdefault(id(t), f"{prefix}.{name}")
            for number, key in self._leaves.items():
                node = self.nodes[number]
                if key in whole and node.name == self._parameters[key]:
                    node.name = whole[key]


HOOKS = "it has hooks, which the record does not call: the user's own gradient may differ"


def derive_locals(record: Record) -> None:
    """Let every edge know how its local gradient is computed, when that is asked for."""
    for e in record.edges:
        applied, source = record.nodes[e.target].applied, record.nodes[e.source]
        if applied is not None:
            e._derive = functools.partial(local_gradient, applied, e.position, source)


def backward(
    record: Record,
    seed: np.ndarray,
    walked: dict[int, Walked] | None = None,
    exchange: Mapping[int, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> None:
    """Fill in upstream and downstream gradients, starting with `seed` at the output.

    The walk is the engine's, so the gradients are the same to the last bit. Where a gate in
    `walked` was given the same upstream gradient, what it sent is taken over. Where `exchange` has
    a node's number, the walk goes on with what that makes of the gradient that has arrived. An op
    whose backward raises is marked, and what lies behind it stays not computed.
    """
    assert record.output is not None
    order = count()

    def send(number: int, gradient: Any) -> Iterable[tuple[int, Any]]:
        node = record.nodes[number]
        if exchange is not None and number in exchange:
            gradient = exchange[number](gradient)
        node.upstream = _arrived(record, number, gradient)
        node.backward_order = next(order)
        edges = {e.position: e for e in record.incoming[number]}
        try:
            sent = _send(record, node, (walked or {}).get(number))
        except Exception as error:
            node.status = "failed in backward"
            node.error = one_line(error)
            record.error = record.error or node.error
            return ()
        for position, downstream in sent.items():
            edges[position].gradient = Value(downstream)
        return [(edges[position].source, downstream) for position, downstream in sent.items()]

    walk_back(range(record.output, -1, -1), {record.output: seed}, send)
    _say_where_it_ended(record)


def _say_where_it_ended(record: Record) -> None:
    """Note at what got no gradient that an op's backward raised on the way to it."""
    behind: dict[int, str] = {}
    for node in reversed(record.nodes):  # every use of a node comes after it
        ops = [record.nodes[e.target] for e in record.outgoing[node.id]]
        failed = next((o.op for o in ops if o.status == "failed in backward"), None)
        failed = failed or next((behind[o.id] for o in ops if o.id in behind), None)
        if failed is None or not node.requires_grad:
            continue
        behind[node.id] = failed
        if node.upstream is None:
            what = f"no gradient came: the backward of {failed} raised"
        else:
            what = f"its gradient lacks what the backward of {failed}, which raised, would send"
        node.note = join(node.note, what)


def _arrived(record: Record, number: int, gradient: Any) -> Value:
    """An upstream gradient; if one edge has brought all of it, the value on that edge."""
    for e in record.outgoing[number]:
        if e.gradient is not None and e.gradient.array is gradient:
            return e.gradient
    return Value(np.asarray(gradient))


def _send(record: Record, node: NodeRecord, known: Walked | None) -> dict[int, np.ndarray]:
    """What a gate sends to each of its inputs, by position."""
    if node.applied is None:
        return {}
    assert node.upstream is not None
    upstream = node.upstream.array
    assert upstream is not None
    targets = {e.position: record.nodes[e.source] for e in record.incoming[node.id]}
    targets = {i: source for i, source in targets.items() if source.requires_grad}
    sent = None if known is None else _sent(known, upstream, targets)
    return node.applied.vjp(upstream, targets) if sent is None else sent


def _sent(
    known: Walked, upstream: np.ndarray, targets: Mapping[int, Any]
) -> dict[int, np.ndarray] | None:
    """What a gate sent in the user's pass, if it was given the same and sent all that is wanted."""
    arrived, sent = known
    if arrived is not upstream and not np.array_equal(arrived, upstream, equal_nan=True):
        return None
    found = dict(sent)
    return {i: np.asarray(found[i]) for i in targets} if found.keys() >= targets.keys() else None


def _argument(op: Op, position: int, count: int) -> str:
    names = op.parameters
    last = len(names) - 1
    if op.variadic and position >= last and count > len(names):  # one alone needs no number
        return f"{names[last]}[{position - last}]"
    return names[position] if position < len(names) else f"input {position}"


def seed_of(output: Tensor, gradient: Any) -> np.ndarray | None:
    """The gradient to start from: 1 for a single number, else the given one, None if none is."""
    if gradient is None:
        return np.ones(output.shape, output.dtype) if output.size == 1 else None
    seed = as_tensor(gradient).array
    if seed.shape != output.shape:
        raise ArgumentError(
            f"record: the gradient must have the output's shape, got {describe(seed)} for "
            f"{describe(output)}"
        )
    return seed.astype(output.dtype, copy=False)


# -- lines --------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _line_table(code: CodeType) -> list[int]:
    """The line of each instruction of a code object."""
    table: list[int] = []
    for start, stop, line in code.co_lines():
        table.extend([line or code.co_firstlineno] * (stop // 2 - start // 2))
    return table


def _line(code: CodeType, instruction: int) -> tuple[str, int]:
    if INTERNAL[code.co_filename]:
        return "", 0  # a command called it, no line of the user's
    table = _line_table(code)
    place = instruction // 2
    return code.co_filename, table[place] if place < len(table) else code.co_firstlineno


def one_line(error: BaseException) -> str:
    """An exception as one line; Backlit's own need no type."""
    kind = "" if isinstance(error, BacklitError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def join(first: str | None, second: str) -> str:
    """Two notes as one; what was noted already is not said again."""
    if first and second in first:
        return first
    return f"{first}; {second}" if first else second
