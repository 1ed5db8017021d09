"""Products that the steps of a loop add up, done as one product of all steps.

    c ← c + aₜᵀ bₜ   for each t      c + (a₀; a₁; …)ᵀ (b₀; b₁; …)

That is what the gradient of a weight is in a recurrence. A product with a long sum is faster than
many with short ones, and the table of sums is written once.
"""

from __future__ import annotations

from ...dtypes import float32, float64
from ...ops import contraction, creation, elementwise, movement
from ..capture.body import Body, Part, Scan
from ..capture.graph import Equation, Graph, Variable

_TURN = (1, 0)


def join_products(graph: Graph) -> Graph:
    """The sums of products that loops carry, and do nothing else with, made after the loop."""
    made = {e.output: e for e in graph.equations}
    wanted = {
        (e.op.body, e.op.body.variables[e.op.part.number])
        for e in graph.equations
        if isinstance(e.op, Scan) and e.op.part.kind == "stack"
    }
    kept: list[Equation] = []
    for e in graph.equations:
        found = None
        if isinstance(e.op, Scan) and e.op.part.kind == "final":
            found = _added(e.op.body, e.op.part.number, wanted)
        if found is None:
            kept.append(e)
        else:
            kept += _joined(e, *found, made)
    return Graph(graph.inputs, kept, graph.outputs, graph.constants)


def _added(
    body: Body, number: int, wanted: set[tuple[Body, Variable]]
) -> tuple[Variable, Variable, bool] | None:
    """a and b, if a carried value is a sum of all aᵀ b; and whether of (aᵀ b)ᵀ."""
    carried, after = body.carry[number], body.following[number]
    if carried.dtype not in (float32, float64) or len(carried.shape) != 2:
        return None  # 16 bits are rounded at each step
    reads = [x for e in body.equations for x in e.inputs] + body.following
    if sum(x is carried for x in reads) != 1 or sum(x is after for x in reads) != 1:
        return None
    if (body, carried) in wanted or (body, after) in wanted:
        return None
    total = body.made.get(after)
    if total is None or not isinstance(total.op, elementwise.Add) or carried not in total.inputs:
        return None
    (term,) = (x for x in total.inputs if x is not carried)
    product = body.made.get(term)
    turned = product is not None and _turns(product)
    if product is not None and turned:
        product = body.made.get(product.inputs[0])
    if product is None or type(product.op) is not contraction.Matmul:
        return None
    left, b = product.inputs
    source = body.made.get(left)
    if source is None or not _turns(source) or len(b.shape) != 2:
        return None
    a = source.inputs[0]
    return None if a in body.fixed or b in body.fixed else (a, b, turned)


def _turns(e: Equation) -> bool:
    return isinstance(e.op, movement.PermuteDims) and e.op.axes == _TURN


def _joined(
    e: Equation, a: Variable, b: Variable, turned: bool, made: dict[Variable, Equation]
) -> list[Equation]:
    """The equations that make the carried value after the loop."""
    found: list[Equation] = []

    def write(op: object, *inputs: Variable) -> Variable:
        output = Variable(*op.infer(*inputs))  # type: ignore[attr-defined]
        found.append(Equation(op, inputs, output, e.site, e.backward))  # type: ignore[arg-type]
        return output

    def rows(v: Variable) -> Variable:
        """A value of all steps, one below the other."""
        if v in body.xs:
            stack = e.inputs[body.numbers[v]]
        else:
            stack = write(Scan(body=body, part=Part("stack", body.numbers[v])), *e.inputs)
        return write(movement.Reshape(shape=(body.length * v.shape[0], v.shape[1])), stack)

    assert isinstance(e.op, Scan)
    body = e.op.body
    left = write(movement.PermuteDims(axes=_TURN), rows(a))
    total = write(contraction.Matmul(), left, rows(b))
    if turned:
        total = write(movement.PermuteDims(axes=_TURN), total)
    first = e.inputs[len(body.constants) + e.op.part.number]
    before = made.get(first)
    if before is None or not isinstance(before.op, creation.Full) or before.op.value != 0:
        write(elementwise.Add(), first, total)
    found[-1].output = e.output
    return found
