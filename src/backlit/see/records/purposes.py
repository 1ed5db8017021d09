"""Names for what no running function has a name for.

Results are called by the variables that they were assigned to, constants by what they are for:
`mask_3` masks, and is no 3rd of its kind but node 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ...dtypes import INTEGER, bool_
from ...ops.elementwise import Where
from ...ops.indexing import Take
from ...ops.recurrence import Recurrence
from .calls import assigned_at
from .expressions import Site
from .parts import Edge, NodeRecord, OpClass
from .value import array_of

#: Larger arrays are not looked into to see what they are.
LARGEST = 1_000_000


def name_results(
    nodes: Sequence[NodeRecord], edges: Iterable[Edge], calls: Sequence[tuple[int | None, Site]]
) -> None:
    """Name results by the variables that they were assigned to, in functions that have ended.

    `calls` are those of modules, outer ones before inner ones, each with the number of the one
    outside: what a module gives is called as outside of it.
    """
    taken = {n.name for n in nodes if n.name}
    ops = [n for n in nodes if n.kind == "op" and n.site is not None]
    for site, result in _of_modules(ops, edges, calls):
        names = assigned_at(site, of_module=True)
        if len(names) == 1:
            _call(result, names[0], taken)
    used_here = {e.source for e in edges if _same(nodes[e.source], nodes[e.target])}
    known: dict[tuple[int, int], tuple[str, ...]] = {}  # an instruction may have run many times
    for run in _runs(ops):
        at = run[0].site
        assert at is not None
        key = id(at[0]), at[1]
        if key not in known:
            known[key] = assigned_at(at)
        names = known[key]
        ends = [n for n in run if n.id not in used_here]
        if len(names) == 1 and len({n.op for n in run}) > 1:
            ends = ends[-1:]  # of several calls one after the other it is not known where each ends
        if len(names) == 1 or len(names) == len(ends):
            for i, node in enumerate(ends):
                _call(node, names[i % len(names)], taken)


def _same(a: NodeRecord, b: NodeRecord) -> bool:
    """Whether one instruction has applied two ops."""
    return (
        a.site is not None
        and b.site is not None
        and (a.site[0] is b.site[0] and a.site[1] == b.site[1])
    )


def _call(node: NodeRecord, name: str, taken: set[str]) -> None:
    """Give a node a name, if it has none: with its number, if another has that name."""
    if not node.name:
        node.name = f"{name}_{node.id}" if name in taken else name
        taken.add(name)


def _runs(ops: Sequence[NodeRecord]) -> Iterator[list[NodeRecord]]:
    """Ops that one instruction has applied one after the other."""
    run: list[NodeRecord] = []
    for node in ops:
        if run and not _same(node, run[0]):
            yield run
            run = []
        run.append(node)
    if run:
        yield run


def _of_modules(
    ops: Sequence[NodeRecord], edges: Iterable[Edge], calls: Sequence[tuple[int | None, Site]]
) -> Iterator[tuple[Site, NodeRecord]]:
    """From where modules were called, with what they gave, where that is one value."""
    inside: list[list[NodeRecord]] = [[] for _ in calls]
    scope = {n.id: n.scope for n in ops}
    for node in ops:
        for s in _around(node.scope, calls):
            inside[s].append(node)
    inner: list[set[int]] = [set() for _ in calls]
    for e in edges:
        outside = set(_around(scope.get(e.target), calls))
        for s in _around(scope.get(e.source), calls):
            if s in outside:
                inner[s].add(e.source)
    for number, (parent, site) in enumerate(calls):
        if parent is not None and calls[parent][1] == site:
            continue  # the library called it
        ends = [n for n in inside[number] if n.id not in inner[number]]
        if len(ends) == 1:
            yield site, ends[0]


def _around(scope: int | None, calls: Sequence[tuple[int | None, Site]]) -> Iterator[int]:
    """The calls of modules around a node, the innermost first."""
    while scope is not None:
        yield scope
        scope = calls[scope][0]


def say_what_constants_are(nodes: Sequence[NodeRecord], edges: Iterable[Edge]) -> None:
    """Name constants that have no name by what they are for: `target_3`, `mask_1`, `input_0`.

    That is what the first op that does more than move them calls that input.
    """
    uses: dict[int, Edge] = {}
    for e in edges:
        uses.setdefault(e.source, e)
    for node in nodes:
        if node.kind != "constant" or node.name or node.id not in uses:
            continue
        edge = uses[node.id]
        while edge.position == 0 and edge.target in uses and _moves(nodes[edge.target].op_class):
            edge = uses[edge.target]
        word = purpose(node, edge.argument.split("[")[0], nodes[edge.target].op_class)
        if word:
            node.name = f"{word}_{node.id}"


def _moves(op: OpClass) -> bool:
    return op.role == "mover"


def purpose(node: NodeRecord, argument: str, op: OpClass) -> str:
    """What a constant is for, in a word; "" where nothing is known of it."""
    if issubclass(op, Where) and argument == "condition":
        return "causal mask" if _is_causal(array_of(node.value)) else "mask"
    if issubclass(op, Take) and argument == "indices":
        return "positions" if _counts(array_of(node.value)) else "index"
    if issubclass(op, Recurrence) and argument in ("h", "c"):
        return f"{argument}0"
    if len(argument) >= 3 and " " not in argument:  # x, a, b say nothing
        return argument
    if node.dtype == bool_:
        return "mask"
    return "input" if node.shape else ""


def _is_causal(mask: np.ndarray | None) -> bool:
    """Whether each row sees its own column and those before it."""
    if mask is None or mask.ndim < 2 or not 1 < mask.size <= LARGEST:
        return False
    lower = np.tril(np.ones(mask.shape[-2:], bool))
    return bool((mask == lower).all() or (mask == ~lower).all())


def _counts(index: np.ndarray | None) -> bool:
    """Whether it is 0, 1, 2, …"""
    if index is None or index.ndim != 1 or index.dtype not in INTEGER or index.size < 2:
        return False
    return index.size <= LARGEST and bool((index == np.arange(index.size)).all())
