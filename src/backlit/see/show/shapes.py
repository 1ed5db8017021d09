"""Why a gradient has its shape: which product, which sum undoes which broadcast."""

from __future__ import annotations

from ...ops.contraction import Linear, Matmul
from ...ops.indexing import Gather, Take, TakeAlongAxis
from ...ops.movement import Concat, PermuteDims, Reshape, Slice
from ...ops.reductions import Mean, Sum
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from .words import name_of


def shape_sentence(record: Record, edge: Edge) -> str:
    """The shape algebra of one use of a value, or nothing where shapes just stay.

    `dW = xᵀ·dy: y_ij = Σ_k x_ik W_kj, so …`; `this sum undoes that broadcast`.
    """
    source, target = record.nodes[edge.source], record.nodes[edge.target]
    x, y = name_of(source), name_of(target)
    sx, sy = _shape(source), _shape(target)
    op = target.op_class
    if op is Matmul:
        return _matmul(record, edge, source, target)
    if op is Linear:
        return _linear(record, edge, source, target)
    if op in (Sum, Mean) and source.shape != target.shape:
        what = "added" if op is Sum else "averaged"
        share = "" if op is Sum else ", divided by their number"
        return (
            f"d{x}: {y} {what} the {sx} elements of {x} into {sy}; this copy undoes that sum: each "
            f"gets the gradient of its total{share}."
        )
    if op is PermuteDims:
        return f"d{x}: the axes of d{y} ({sy}) are put back in order, which gives {sx}."
    if op is Reshape:
        return f"d{x}: d{y} ({sy}) is read as {sx} again."
    if op in (Slice, Take, Gather, TakeAlongAxis):
        return (
            f"d{x}: zeros of shape {sx}, with d{y} ({sy}) added where the elements were taken from."
        )
    if op is Concat:
        return f"d{x}: the piece of d{y} ({sy}) where {x} ({sx}) was put."
    if edge.local is not None and source.shape != target.shape and len(target.shape) > 0:
        return _broadcast(source, target)
    return ""


def _shape(n: NodeRecord) -> str:
    return "×".join(map(str, n.shape)) or "one number"


def _other(record: Record, edge: Edge, position: int) -> NodeRecord | None:
    for e in record.incoming[edge.target]:
        if e.position == position:
            return record.nodes[e.source]
    return None


def _matmul(record: Record, edge: Edge, source: NodeRecord, target: NodeRecord) -> str:
    other = _other(record, edge, 1 - edge.position)
    if other is None:
        return ""
    x, y, w = name_of(source), name_of(target), name_of(other)
    if edge.position == 0:
        because = f"{y}_ij = Σ_k {x}_ik·{w}_kj, so {x}_ik meets d{y}_ij with the factor {w}_kj"
        product = f"d{x} = d{y}·{w}ᵀ: ({_shape(target)})·({_shape(other)})ᵀ gives {_shape(source)}"
    else:
        because = f"{y}_ij = Σ_k {w}_ik·{x}_kj, so {x}_kj meets d{y}_ij with the factor {w}_ik"
        product = f"d{x} = {w}ᵀ·d{y}: ({_shape(other)})ᵀ·({_shape(target)}) gives {_shape(source)}"
    summed = ""
    if len(source.shape) < len(target.shape):
        summed = "; summed over the axes before the matrices, along which it was repeated"
    return f"{product}, because {because}{summed}."


def _linear(record: Record, edge: Edge, source: NodeRecord, target: NodeRecord) -> str:
    x, y = name_of(source), name_of(target)
    if edge.position == 2:
        return _broadcast(source, target)
    other = _other(record, edge, 1 - edge.position)
    if other is None:
        return ""
    o = name_of(other)
    if edge.position == 0:
        return (
            f"d{x} = d{y}·{o}: ({_shape(target)})·({_shape(other)}) gives {_shape(source)}, "
            f"because {y}_io = Σ_k {x}_ik·{o}_ok, so {x}_ik meets d{y}_io with the factor {o}_ok."
        )
    return (
        f"d{x} = d{y}ᵀ·{o}: ({_shape(target)})ᵀ·({_shape(other)}) gives {_shape(source)}, because "
        f"{y}_io = Σ_k {o}_ik·{x}_ok, so {x}_ok meets every row i's d{y}_io with the factor {o}_ik."
    )


def _broadcast(source: NodeRecord, target: NodeRecord) -> str:
    extra = len(target.shape) - len(source.shape)
    if extra < 0:
        return ""
    axes = [
        a
        for a, n in enumerate(target.shape)
        if a < extra or (source.shape[a - extra] == 1 and n != 1)
    ]
    if not axes:
        return ""
    times = " × ".join(str(target.shape[a]) for a in axes)
    which = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
    x = name_of(source)
    return (
        f"d{x}: {x} ({_shape(source)}) was repeated {times} times along {which} to "
        f"{_shape(target)}; this sum over {which} undoes that broadcast."
    )
