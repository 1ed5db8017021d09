"""Passes: graph in, smaller graph with the same meaning out.

Each is a function from Graph to Graph that leaves inputs and outputs in place, so that any of them
can be left out and the graph can be checked between them.
"""

from __future__ import annotations

from typing import Any

from ..op import Op
from ..ops import creation, elementwise, movement
from .graph import Equation, Graph, Variable


def optimise(graph: Graph) -> Graph:
    """All passes in order."""
    for step in PASSES:
        graph = step(graph)
    return graph


def remove_dead(graph: Graph) -> Graph:
    """Without the equations that no output needs."""
    needed = set(graph.outputs)
    kept: list[Equation] = []
    for e in reversed(graph.equations):
        if e.output in needed:
            kept.append(e)
            needed.update(x for x in e.inputs if isinstance(x, Variable))
    return Graph(graph.inputs, kept[::-1], graph.outputs, graph.constants)


def share_common(graph: Graph) -> Graph:
    """Equal ops of equal inputs computed once. Random bits with equal counters are equal too."""
    known: dict[Any, Variable] = {}
    same: dict[Variable, Variable] = {}
    kept: list[Equation] = []
    for e in graph.equations:
        inputs = tuple([same.get(x, x) if isinstance(x, Variable) else x for x in e.inputs])
        key = (e.op, *((type(x), x) for x in inputs))
        first = known.setdefault(key, e.output)
        if first is e.output:
            kept.append(Equation(e.op, inputs, e.output, e.site, e.backward))
        else:
            same[e.output] = first
    return Graph(graph.inputs, kept, [same.get(v, v) for v in graph.outputs], graph.constants)


def simplify(graph: Graph) -> Graph:
    """Algebra: x + 0, x · 1, x / 1, double negation, movement that moves nothing."""
    same: dict[Variable, Variable] = {}
    made: dict[Variable, Equation] = {}
    kept: list[Equation] = []
    for e in graph.equations:
        inputs = tuple([same.get(x, x) if isinstance(x, Variable) else x for x in e.inputs])
        now = Equation(e.op, inputs, e.output, e.site, e.backward)
        plain = _identity(now, made)
        if plain is not None and (plain.shape, plain.dtype) == (e.output.shape, e.output.dtype):
            same[e.output] = plain
        else:
            kept.append(now)
            made[e.output] = now
    return Graph(graph.inputs, kept, [same.get(v, v) for v in graph.outputs], graph.constants)


def _identity(e: Equation, made: dict[Variable, Equation]) -> Variable | None:
    """The input that the equation only repeats, if there is one."""
    op = e.op
    if isinstance(op, movement.Reshape | movement.BroadcastTo | elementwise.Astype):
        return e.inputs[0]
    if isinstance(op, movement.PermuteDims):
        return e.inputs[0] if op.axes == tuple(range(len(op.axes))) else None
    if isinstance(op, elementwise.Negative):
        inner = made.get(e.inputs[0])
        return inner.inputs[0] if inner and isinstance(inner.op, elementwise.Negative) else None
    if isinstance(op, elementwise.Multiply):
        for x, y in (e.inputs, e.inputs[::-1]):
            if isinstance(x, Variable) and _is(y, 1, made):
                return x
    if isinstance(op, elementwise.Divide | elementwise.Pow) and isinstance(e.inputs[0], Variable):
        return e.inputs[0] if _is(e.inputs[1], 1, made) else None
    return None


def _is(x: Any, value: float, made: dict[Variable, Equation]) -> bool:
    """Whether x is that number, or a Tensor filled with it."""
    if not isinstance(x, Variable):
        return not isinstance(x, Variable) and x == value
    e = made.get(x)
    while e is not None and isinstance(e.op, movement.Reshape | movement.BroadcastTo):
        e = made.get(e.inputs[0])
    return e is not None and isinstance(e.op, creation.Full) and e.op.value == value


#: Algebra first: it makes equal what `share_common` then finds.
PASSES = (simplify, share_common, remove_dead)


def producers(graph: Graph) -> dict[Variable, Equation]:
    """The equation that defines each variable."""
    return {e.output: e for e in graph.equations}


def is_movement(op: Op) -> bool:
    """Whether the op only moves elements, so that it can become index arithmetic."""
    return isinstance(
        op, movement.PermuteDims | movement.BroadcastTo | movement.Slice | movement.Flip
    )
