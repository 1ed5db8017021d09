"""At which op a change of a Tensor is lost on its way to the loss, found by changing it.

A bias before a batch normalisation, a shift of all logits, the sum of a softmax: no derivative on
the way is 0, and yet the gradient is, up to rounding. The recorded computation is done again in
float64, as it was and with another value of the Tensor; the last op whose inputs change and whose
result does not is where the change is lost.
"""

from __future__ import annotations

import numpy as np

from ...dtypes import FLOATING
from ...errors import BacklitError
from ...op import Elementwise
from ...ops.elementwise import Add, Subtract
from ...ops.reductions import Mean, Sum
from ...state import Setting, observing
from ...tensor import Tensor, apply, wrap
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.revive import op_of
from ..records.value import array_of
from .exits import Ways

_FAILURES = (BacklitError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
_Values = dict[int, Tensor]
#: By how much the Tensor is changed, which part of a number must change to be felt at an op, and
#: which is rounding.
_SHIFT, _FELT, _ROUNDING = 1e-3, 1e-6, 1e-11


def lost_at(record: Record, start: NodeRecord, loss: int) -> NodeRecord | None:
    """The op at which changes of `start` are lost; None if the loss changes, or it is not known.

    >>> import backlit as bl
    >>> from backlit.see import record
    >>> w = bl.tensor([1.0, 2.0], requires_grad=True)
    >>> r = record(bl.nn.functional.softmax(w, dim=0).sum())
    >>> lost_at(r, r.find("w"), r.output).op
    'sum'
    """
    between = Ways(record, start.id, loss).between
    on_the_way = [n for n in between if n.kind == "op"]
    value = array_of(start.value)
    if value is None or not on_the_way or on_the_way[-1].id != loss:
        return None
    rng = np.random.default_rng(0)
    wide = value.astype(np.float64)
    shifts = [_SHIFT * rng.standard_normal(wide.shape) * (1 + np.abs(wide)) for _ in range(2)]
    try:
        with observing(alone=True), Setting(grad_enabled=False), np.errstate(all="ignore"):
            before = _values(record, start, on_the_way, wide)
            after = [_values(record, start, on_the_way, wide + s) for s in shifts]
    except _FAILURES:
        return None
    changed = {start.id}
    lost = None
    for node in on_the_way:
        moved = any(_differ(record, node, before, a) for a in after)
        if moved:
            changed.add(node.id)
        elif _takes_out(record, node, changed) and _is_felt(record, node, before, after[0]):
            lost = node
    return None if loss in changed else lost


def _takes_out(record: Record, node: NodeRecord, changed: set[int]) -> bool:
    """Whether an op could take a change out by mathematics, as no function of one number does."""
    uses = [e for e in record.incoming[node.id] if e.source in changed]
    return len(uses) > (1 if issubclass(node.op_class, Elementwise) else 0)


def _is_felt(record: Record, node: NodeRecord, before: _Values, after: _Values) -> bool:
    """Whether the change that arrives at an op is far from rounding, and has not just faded."""
    for source in {e.source for e in record.incoming[node.id]} & before.keys():
        x, y = (np.asarray(v[source].array, np.float64) for v in (before, after))
        if float(np.max(np.abs(x - y), initial=0.0)) > _FELT * _largest(x):
            return True
    return False


def _differ(record: Record, node: NodeRecord, a: _Values, b: _Values) -> bool:
    """Whether a result is another, by more than rounding: that of a sum is that of its terms."""
    x, y = np.asarray(a[node.id].array, np.float64), np.asarray(b[node.id].array, np.float64)
    size = _largest(x)
    if issubclass(node.op_class, Add | Subtract | Sum | Mean):
        terms = (a[e.source].array for e in record.incoming[node.id])
        size = max([size, *(_largest(np.asarray(t, np.float64)) for t in terms)])
    return bool(np.any(np.abs(x - y) > _ROUNDING * size))


def _largest(x: np.ndarray) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _values(record: Record, start: NodeRecord, ops: list[NodeRecord], value: np.ndarray) -> _Values:
    """What the ops compute in float64 from a value of the Tensor."""
    values = {start.id: wrap(value)}
    for node in ops:
        inputs = []
        for a in node.arguments:
            if "number" in a:
                inputs.append(a["number"])
                continue
            source = record.edges[a["edge"]].source
            if source not in values:
                array = array_of(record.nodes[source].value)
                if array is None:
                    raise ValueError("a value is not known")
                values[source] = wrap(
                    array.astype(np.float64) if array.dtype in FLOATING else array
                )
            inputs.append(values[source])
        values[node.id] = apply(op_of(node, "why"), *inputs)
    return values
