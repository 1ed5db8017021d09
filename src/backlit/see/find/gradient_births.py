"""Where the first NaN or infinity of a backward pass is born, and which rule broke there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd import step_back
from ...backend import numpy_backend as NUMPY
from ...dtypes import finfo
from ...location import location
from ...op import Op
from ...ops.elementwise import Multiply, Where
from ..checks.experiment import as_float64
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.value import array_of, number
from .births import (
    BadNumber,
    Index,
    bad_elements,
    border_of,
    described,
    elements,
    filled,
    first_index,
    is_mask,
    sample,
    sources,
    way_back,
)


def backward_birth(record: Record) -> BadNumber | None:
    """The first bad number of the backward pass that reaches a leaf."""
    leaves = [n for n in record.nodes if n.kind != "op" and n.requires_grad]
    grads = [n.upstream.array for n in leaves if n.upstream is not None]
    if all(bad_elements(g) is None for g in grads):
        return None
    for node in record.backward_nodes():
        upstream = array_of(node.upstream)
        if bad_elements(upstream) is not None:
            before = [e for e in record.outgoing[node.id] if _edge_bad(e) is not None]
            if before:
                continue  # it came along an edge that is seen at the op above
            assert upstream is not None
            index = first_index(bad_elements(upstream))  # type: ignore[arg-type]
            found = BadNumber("backward", node, float(upstream[index]), index, "")
            if node.id == record.output:
                found.rule = "the gradient that backward starts with is not finite"
            else:
                found.rule = f"the sum of its gradients leaves {upstream.dtype.name}"
            found.line = record.place(node)
            return found
        for edge in record.incoming[node.id]:
            mask = _edge_bad(edge)
            if mask is not None:
                return _broken_edge(record, node, edge, mask, upstream)
    return None


def _edge_bad(edge: Edge) -> np.ndarray | None:
    return bad_elements(array_of(edge.gradient))


def _broken_edge(
    record: Record, node: NodeRecord, edge: Edge, mask: np.ndarray, upstream: np.ndarray | None
) -> BadNumber:
    assert edge.gradient is not None
    gradient = edge.gradient.array
    assert gradient is not None
    nan = np.isnan(gradient.astype(np.float64))
    index = first_index(nan if nan.any() else mask)
    source = record.nodes[edge.source]
    found = BadNumber("backward", node, float(gradient[index]), index, "")
    found.argument = source.name or edge.argument
    found.sample = sample(record, source.shape, index)
    found.line = record.place(node)
    found.chain = _carriers(record, edge)
    at = index if source.shape == node.shape else None
    if at is None:
        extra = len(node.shape) - len(source.shape)
        if extra >= 0:
            at = tuple([0] * extra + list(index))
    applied = node.applied
    if applied is None or upstream is None:
        found.rule = f"the derivative of {node.op}"
        return found
    values = elements(applied.inputs, at, node.shape) if at is not None else []
    u = float(upstream[at]) if at is not None and len(at) == upstream.ndim else math.nan
    y_value = float(applied.y[at]) if at is not None and len(at) == applied.y.ndim else math.nan
    found.rule, found.values = _backward_rule(
        record, node, edge, values, u, y_value, gradient.dtype, index
    )
    if found.rule.endswith(_OF_VALUES):
        return _born_forward(record, node, at, found)
    return found


#: How the rule ends where the derivative is well and what it is taken of is not.
_OF_VALUES = "uses a value that is not finite"


def _born_forward(
    record: Record, node: NodeRecord, at: Index | None, found: BadNumber
) -> BadNumber:
    """Where the value was born that has spoilt a derivative, though it spoilt no result."""
    bad = {n.id: m for n in record.nodes if (m := bad_elements(array_of(n.value))) is not None}
    starts = [node, *map(record.nodes.__getitem__, sources(record, node))]
    start = next((n for n in starts if n.id in bad), None)
    if start is None:
        return found
    mask = bad[start.id]
    index = at if at is not None and len(at) == mask.ndim and mask[at] else first_index(mask)
    way = way_back(record, start, index, bad)
    born, index = way[-1]
    if is_mask(born) or born.kind == "constant" or born.applied is None:
        return found
    made = described(record, born, index, [])
    made.where, made.chain = "backward", [n.label for n, _ in reversed(way)] + found.chain[1:]
    made.rule += f"; {found.rule}"
    return made


def _backward_rule(
    record: Record,
    node: NodeRecord,
    edge: Edge,
    x: list[float],
    u: float,
    y: float,
    dtype: Any,
    index: Index,
) -> tuple[str, str]:
    name = node.op
    assert node.applied is not None
    shown = ", ".join(number(v) for v in x[:3])
    values = f"x = {shown}; upstream {number(u)}"
    local = _local_rule(node.applied.op, x, edge.position, y)
    if local:
        if u == 0:
            mask = _masks_after(record, node)
            under = f" under the mask of {mask}" if mask else ""
            return f"0 · ∞{under}: {local}", values
        return local, values
    if _finite_in_float64(node, edge, index):
        rule = "float16 range" if dtype.name == "float16" else "overflow"
        limit = f": the gradient leaves {dtype.name}, which ends at {finfo(dtype).max:.5g}"
        return rule + limit, values
    if any(not math.isfinite(v) for v in (*x, y)):
        if u == 0:
            mask = _masks_after(record, node)
            under = f" under the mask of {mask}" if mask else ""
            return f"0 · ∞{under}: {name} had a value that is not finite", values
        return f"the derivative of {name} {_OF_VALUES}", values
    return f"the derivative of {name} is not finite here", values


def _local_rule(op: Op, x: list[float], position: int, y: float) -> str:
    """The op's derivative at a point where it does not exist, or ""."""
    border = border_of(op, x, op.parameters[position]) if position < len(op.parameters) else None
    if border is not None:
        return filled(border.rule, x)
    if op.overflows and math.isinf(y):
        of = "its value, ∞" if "y" in op.saves else "infinite too"
        return f"{op.name} overflow: its derivative is {of}"
    return ""


def _masks_after(record: Record, node: NodeRecord) -> str:
    """The first `where` (or product with zeros) through which the value goes on, if any."""
    for e in record.onward(node, 6):
        target = record.nodes[e.target]
        if issubclass(target.op_class, Where) and e.position > 0:
            return f"where ({location(target.file, target.line)})"
        if issubclass(target.op_class, Multiply):
            others = (o.source for o in record.incoming[target.id] if o.source != e.source)
            values = (array_of(record.nodes[i].value) for i in others)
            if any(v is not None and (v == 0).any() for v in values):
                return f"multiply ({location(target.file, target.line)})"
    return ""


def _finite_in_float64(node: NodeRecord, edge: Edge, index: Index) -> bool:
    """Whether the same derivative of the same numbers is finite in float64."""
    applied, upstream = node.applied, node.upstream
    if applied is None or upstream is None or upstream.array is None:
        return False
    if any(x is None for x in applied.inputs) or upstream.array.dtype == np.float64:
        return False
    inputs = tuple(as_float64(x) for x in applied.inputs)
    with np.errstate(all="ignore"):
        y = np.asarray(applied.op.forward(NUMPY, *inputs))
        saved = applied.op.save(inputs, y)
        alone = [x if i == edge.position else None for i, x in enumerate(inputs)]
        wide = upstream.array.astype(np.float64)
        g = step_back(applied.op, wide, saved, alone, xp=NUMPY)[edge.position]
    return g is not None and bad_elements(np.asarray(g)) is None


def _carriers(record: Record, edge: Edge) -> list[str]:
    """The nodes that carried a bad gradient on, from the op that broke to a leaf."""
    node = record.nodes[edge.source]
    chain = [record.nodes[edge.target].label, node.label]
    for _ in range(200):
        following = [e for e in record.incoming[node.id] if _edge_bad(e) is not None]
        if not following:
            break
        node = record.nodes[following[0].source]
        chain.append(node.label)
    return chain
