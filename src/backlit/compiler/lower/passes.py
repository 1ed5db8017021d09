"""Passes: graph in, smaller graph with the same meaning out.

Each is a function from Graph to Graph that leaves inputs and outputs in place, so that any of them
can be left out and the graph can be checked between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...dtypes import DType
from ...op import Op, Shape
from ...ops import creation, elementwise, indexing, movement
from ..capture.body import Part, Scan, is_check
from ..capture.graph import Equation, Graph, Variable
from .sums import join_products


def optimise(graph: Graph, replaces: Mapping[Variable, Variable] | None = None) -> Graph:
    """All passes in order. `replaces` maps new values of parameters to those they replace."""
    for step in PASSES:
        graph = step(graph)
    return checks_first(remove_dead(update_rows(graph, replaces or {})))


def remove_dead(graph: Graph) -> Graph:
    """Dead code elimination (DCE): no equations that no output needs; checks are needed."""
    needed = set(graph.outputs)
    kept: list[Equation] = []
    for e in reversed(graph.equations):
        if e.output in needed or is_check(e.op):
            kept.append(e)
            needed.update(x for x in e.inputs if isinstance(x, Variable))
    return Graph(graph.inputs, kept[::-1], graph.outputs, graph.constants)


def narrow_loops(graph: Graph) -> Graph:
    """Loops do, and are given, only what the results that somebody needs are made of.

    So a gradient that nobody asks for is not added up, and what only it reads of the forward steps
    is not stacked.
    """
    needed = set(graph.outputs)
    kept: list[Equation] = []
    parts: dict[tuple[Any, ...], list[Part]] = {}
    for e in reversed(graph.equations):
        if e.output not in needed and not is_check(e.op):
            continue
        kept.append(e)
        read = e.inputs
        if isinstance(e.op, Scan):
            parts.setdefault((e.op.body, e.inputs), []).append(e.op.part)
            body = e.op.body
            chosen = body.chosen(body.needed([e.op.part]), e.inputs)
            read = tuple([x for several in chosen for x in several])
        needed.update(x for x in read if isinstance(x, Variable))
    narrowed = {}
    for (body, inputs), wanted in parts.items():
        every = body.needed(wanted)
        chosen = tuple(x for several in body.chosen(every, inputs) for x in several)
        narrowed[body, inputs] = body.narrowed(every), chosen
    equations = []
    for e in reversed(kept):
        if isinstance(e.op, Scan):
            body, inputs = narrowed[e.op.body, e.inputs]
            op = Scan(body=body, part=body.renumbered(e.op.part, e.op.body))
            e = Equation(op, inputs, e.output, e.site, e.backward)
        equations.append(e)
    return Graph(graph.inputs, equations, graph.outputs, graph.constants)


def checks_first(graph: Graph) -> Graph:
    """Checks, and what they need, before all else: what they find wrong has changed nothing yet."""
    needed: set[Variable] = set()
    early = set()
    for e in reversed(graph.equations):
        if e.output in needed or is_check(e.op):
            early.add(e.output)
            needed.update(x for x in e.inputs if isinstance(x, Variable))
    ordered = sorted(graph.equations, key=lambda e: e.output not in early)
    return Graph(graph.inputs, ordered, graph.outputs, graph.constants)


def share_common(graph: Graph) -> Graph:
    """Common subexpression elimination (CSE): equal ops of equal inputs are computed once.

    Random bits with equal counters are equal too.
    """
    known: dict[Any, Variable] = {}
    same: dict[Variable, Variable] = {}
    kept: list[Equation] = []
    for e in graph.equations:
        inputs = tuple([same.get(x, x) if isinstance(x, Variable) else x for x in e.inputs])
        # 0.0 equals -0.0, but not as a divisor.
        key = (e.op, *((type(x), x if x else repr(x)) for x in inputs))
        first = known.setdefault(key, e.output)
        if first is e.output:
            kept.append(Equation(e.op, inputs, e.output, e.site, e.backward))
        else:
            same[e.output] = first
    return Graph(graph.inputs, kept, [same.get(v, v) for v in graph.outputs], graph.constants)


def simplify(graph: Graph) -> Graph:
    """Algebraic simplification: x · 1, x / 1, x¹, − − x, movement that moves nothing."""
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


def take_apart(graph: Graph) -> Graph:
    """Pieces of what was put together of pieces: they themselves.

    The upstream gradients of a loop's results are placed end to end, each in zeros, and added: of
    the sum, which is taken apart again, nothing need be made.
    """
    made = producers(graph)
    same: dict[Variable, Variable] = {}
    kept: list[Equation] = []
    for e in graph.equations:
        inputs = tuple([same.get(x, x) if isinstance(x, Variable) else x for x in e.inputs])
        found = _pieces(e, made)
        if found is None:
            kept.append(Equation(e.op, inputs, e.output, e.site, e.backward))
        elif found:
            same[e.output] = same.get(found[0], found[0])
        else:
            zeros = creation.Full(shape=e.output.shape, value=0, dtype=e.output.dtype)
            kept.append(Equation(zeros, (), e.output, e.site, e.backward))
    return Graph(graph.inputs, kept, [same.get(v, v) for v in graph.outputs], graph.constants)


def _pieces(e: Equation, made: dict[Variable, Equation]) -> list[Variable] | None:
    """The row that was placed where a slice takes one, or none; None if it takes anything else."""
    if not isinstance(e.op, movement.Slice) or len(e.inputs[0].shape) != 1:
        return None
    pending, found = [e.inputs[0]], []
    while pending:
        inner = made.get(pending.pop())
        if inner is not None and isinstance(inner.op, elementwise.Add):
            pending += inner.inputs
            continue
        if inner is None or not isinstance(inner.op, movement.Place):
            return None
        placed = inner.op.index
        if placed == e.op.index:
            found.append(inner.inputs[0])
        elif len(placed) != 1 or len(e.op.index) != 1 or _overlap(placed[0], e.op.index[0]):
            return None
    return found if len(found) < 2 else None


def _overlap(a: Any, b: Any) -> bool:
    """Whether two runs of neighbouring elements may have one in common."""
    if isinstance(a, int) or isinstance(b, int) or not a or not b or a[2] != 1 or b[2] != 1:
        return True
    return max(a[0], b[0]) < min(a[0] + a[1], b[0] + b[1])


def _is(x: Any, value: float, made: dict[Variable, Equation]) -> bool:
    """Whether x is that number, or a Tensor filled with it."""
    if not isinstance(x, Variable):
        return x == value
    e = made.get(x)
    while e is not None and isinstance(e.op, movement.Reshape | movement.BroadcastTo):
        e = made.get(e.inputs[0])
    return e is not None and isinstance(e.op, creation.Full) and e.op.value == value


#: Algebra first: it makes equal what `share_common` then finds.
PASSES = (take_apart, join_products, narrow_loops, simplify, share_common, remove_dead)


class TakeAddTo(Op):
    """y = base + TakeAdd(x, indices): what many updates of an embedding are."""

    attributes = ("axis", "size")
    primitive = True
    axis: int
    size: int

    def forward(self, xp: Any, x: Any, indices: Any, base: Any) -> Any:
        """Definition."""
        return base + xp.take_add(x, indices, axis=self.axis, size=self.size)

    def infer(self, x: Any, indices: Any, base: Any) -> tuple[Shape, DType]:
        """As base."""
        return base.shape, base.dtype


class SetItemsTo(Op):
    """y = SetItems(base, x, *indices), with x of the selected shape."""

    attributes = ("pattern",)
    primitive = True
    exact = True
    pattern: tuple

    def forward(self, xp: Any, x: Any, *indices_and_base: Any) -> Any:
        """Definition."""
        *indices, base = indices_and_base
        return xp.set_items(base, x, *indices, pattern=self.pattern)

    def infer(self, x: Any, *indices_and_base: Any) -> tuple[Shape, DType]:
        """As base."""
        base = indices_and_base[-1]
        return base.shape, base.dtype


def update_rows(graph: Graph, replaces: Mapping[Variable, Variable]) -> Graph:
    """Updates that touch few rows of a parameter leave the others alone.

    w - r · take_add(x, i), where it replaces w, becomes take_add_to(-(r · x), i, w): the table of
    zeros that the gradient of an embedding is need not be made. Repeated rows are subtracted one
    after the other, not summed first.
    """
    made = producers(graph)
    uses = Counter(x for e in graph.equations for x in e.inputs if isinstance(x, Variable))
    uses.update(graph.outputs)
    kept: list[Equation] = []
    for e in graph.equations:
        found = None
        if e.output in replaces and isinstance(e.op, elementwise.Add | elementwise.Subtract):
            found = _rows_of(e, replaces[e.output], made, uses)
        if found is None:
            kept.append(e)
            continue
        scatter, factor = found
        value: Any = scatter.inputs[0]
        steps: list[tuple[Op, tuple[Any, ...]]] = []
        if factor is not None:
            steps.append((elementwise.Multiply(), (factor,)))
        if isinstance(e.op, elementwise.Subtract):
            steps.append((elementwise.Negative(), ()))
        for op, before in steps:
            output = Variable(value.shape, value.dtype)
            kept.append(Equation(op, (*before, value), output, e.site, e.backward))
            value = output
        inner: Any = scatter.op
        axis = 0 if isinstance(inner, indexing.ScatterAdd) else inner.axis
        op = TakeAddTo(axis=axis, size=e.output.shape[axis])
        inputs = (value, scatter.inputs[1], replaces[e.output])
        kept.append(Equation(op, inputs, e.output, e.site, e.backward))
    return Graph(graph.inputs, kept, graph.outputs, graph.constants)


def _rows_of(
    e: Equation, old: Variable, made: dict[Variable, Equation], uses: Mapping[Variable, int]
) -> tuple[Equation, Any] | None:
    """The scatter that is added to or subtracted from the old value, and what it is multiplied by.

    None unless nobody else wants it.
    """
    first, second = e.inputs
    if first is not old and (second is not old or isinstance(e.op, elementwise.Subtract)):
        return None
    term, factor = second if first is old else first, None
    inner = made.get(term)
    if inner is not None and uses[term] == 1 and isinstance(inner.op, elementwise.Multiply):
        for a, b in (inner.inputs, inner.inputs[::-1]):
            source = made.get(b) if isinstance(b, Variable) else None
            single = not isinstance(a, Variable) or not a.shape
            if single and source is not None and _adds_rows(source):
                term, factor, inner = b, a, source
                break
    if inner is None or uses[term] != 1 or not _adds_rows(inner):
        return None
    if inner.inputs[0].dtype != old.dtype or (factor is not None and old.dtype.kind != "f"):
        return None
    if isinstance(factor, Variable) and factor.dtype != old.dtype:
        return None
    return inner, factor


def _adds_rows(e: Equation) -> bool:
    """Whether an op adds slices into zeros along one axis: TakeAdd, or the adjoint of x[rows]."""
    if isinstance(e.op, indexing.TakeAdd):
        return True
    if not isinstance(e.op, indexing.ScatterAdd) or len(e.inputs) != 2:
        return False
    whole = tuple((0, n, 1) for n in e.op.shape[1:])
    return e.op.pattern == ("array", *whole)


def producers(graph: Graph) -> dict[Variable, Equation]:
    """The equation that defines each variable."""
    return {e.output: e for e in graph.equations}


def is_movement(op: Op) -> bool:
    """Whether the op only moves elements, so that it can become index arithmetic."""
    return isinstance(
        op, movement.PermuteDims | movement.BroadcastTo | movement.Slice | movement.Flip
    )
