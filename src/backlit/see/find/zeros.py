"""Why a gradient that comes is zero: which op on its way has made it so.

An op may stop it alone: a mask of zeros, a ReLU that is off, a step function. Or no op does, and
what is computed does not depend on the Tensor: then `shifted` says where a change of it is lost.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from ...ops.activation import Hardtanh, LogSoftmax, Softmax
from ...ops.elementwise import Clip, Divide, Where
from ...ops.loss import CrossEntropy, Labelled, SoftCrossEntropy
from ..records import expressions
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.value import array_of, number
from .exits import Ways
from .reason import Reason
from .shifted import lost_at


def zeros_of(record: Record, node: NodeRecord, loss: int) -> list[Reason]:
    """Where a gradient became zeros; where no op did that alone, where a change is lost."""
    reasons = zeros(record, node)
    if not reasons or reasons[0].text.startswith("the derivative of"):
        rest = cancels(record, node, loss)
        if rest is not None:
            return [rest]
    return reasons


#: What is smaller than this, beside the gradients on the way, may be what rounding leaves of 0.
_TINY = 1e-4


def is_tiny(record: Record, node: NodeRecord, gradient: np.ndarray) -> bool:
    """Whether a gradient is so small beside those it was summed up from that it may be rounding."""
    size = float(np.max(np.abs(gradient), initial=0.0))
    for i in Ways(record, node.id, node.id).reached:
        arriving = array_of(record.nodes[i].upstream)
        if arriving is not None and size < _TINY * float(np.max(np.abs(arriving), initial=0.0)):
            return True
    return False


def cancels(
    record: Record, start: NodeRecord, loss: int, gradient: np.ndarray | None = None
) -> Reason | None:
    """That an op takes a change of the Tensor out again, where one does."""
    op = lost_at(record, start, loss)
    if op is None:
        return None
    known = _by_its_labels(record, op)
    if known is not None:
        return known
    if op.op_class.chooses or op.op_class.role == "router":
        fix = (
            "check the condition, the index or the labels; nothing, if others are chosen elsewhere"
        )
        return Reason("not chosen", f"{op.op} never chooses it", record.place(op), fix)
    text = f"the result of {op.op} does not change with it, so its gradient is 0 by mathematics"
    if gradient is not None:
        text += f"; the {float(np.max(np.abs(gradient))):.1e} that it has is rounding"
    fix = f"leave it out, or use it where {op.op} does not take it out again"
    return Reason("cancels", text, record.place(op), fix)


def zeros(record: Record, start: NodeRecord, part: bool = False) -> list[Reason]:
    """The ops on the way from the loss where a gradient that is not 0 becomes 0."""
    behind = Ways(record, start.id, start.id).reached
    reasons: list[Reason] = []
    for node in record.backward_nodes():
        upstream = array_of(node.upstream)
        if node.id not in behind or upstream is None or not upstream.any():
            continue
        for edge in record.incoming[node.id]:
            g = array_of(edge.gradient)
            if edge.source not in behind or g is None or not g.size:
                continue
            if not g.any():
                reasons.append(_stopped(record, node, edge))
            elif part and dead_part(g):
                found = _stopped_part(record, node, edge)
                if found is not None:
                    reasons.append(found)
    return reasons[:3]


def _stopped(record: Record, node: NodeRecord, edge: Edge) -> Reason:
    """What an op did to turn a gradient into zeros."""
    op, known, at = node.op, node.op_class, record.place(node)
    others = [record.nodes[e.source] for e in record.incoming[node.id] if e.id != edge.id]
    labels = _by_its_labels(record, node)
    if labels is not None:
        return labels
    if known.role == "blocker":
        fix = "use a smooth function, or pass the gradient straight through in an op of your own"
        return Reason("flat", f"{op} has the derivative 0 everywhere", at, fix)
    if known.role == "switcher" or issubclass(known, Divide):
        zero = [o for o in others if o.value is not None and _all_zero(o)]
        if zero:
            what = zero[0]
            kind = "a mask" if what.kind == "constant" or what.dtype.kind == "b" else what.label
            fix = (
                "let the mask keep something" if kind == "a mask"
                else "initialise it with random numbers, not zeros"
            )  # fmt: skip
            return Reason("masked", f"{op} multiplies its gradient by {kind} of zeros", at, fix)
        if any(a.get("number") == 0 for a in node.arguments):
            fix = "check that factor: with 0 nothing behind it is trained"
            return Reason("masked", f"{op} multiplies its gradient by the number 0", at, fix)
    if known.rectifies or _limits(node):
        share = _off(record, edge)
        limits = _limits(node)
        if limits:
            text = f"every element{share} lies outside the limits of {op}, {limits}"
            return Reason("dead units", text, at, f"start it inside, or widen the limits of {op}")
        fix = "lower the learning rate, initialise the bias at 0 or above, or use leaky_relu"
        if record.nodes[edge.source].kind != "op":
            fix = "start it above 0, or use leaky_relu"
        return Reason("dead units", f"every unit{share} is off at this {op}", at, fix)
    if known.chooses or known.role == "router":
        padding = _padding(record, node) if known is Where else ""
        if padding:
            text = f"every index that was looked up is {padding}, whose row gets no gradient"
            return Reason("not chosen", text, at, "look up other rows, or give no padding_idx")
        text = "its mask never chooses it" if known is Where else f"{op} never chooses it"
        return Reason("not chosen", text, at, "check the condition, the index or the labels")
    if known.saturates:
        fix = "scale its input down, or use the loss that takes logits"
        return Reason("flat", f"{op} is saturated: its derivative is 0 to rounding", at, fix)
    return Reason("flat", f"the derivative of {op} is 0 here", at)


def _stopped_part(record: Record, node: NodeRecord, edge: Edge) -> Reason | None:
    """What an op did to turn a part of a gradient into zeros, where that is known."""
    op, known, at = node.op, node.op_class, record.place(node)
    limits = _limits(node)
    if limits:
        text = f"elements{_off(record, edge)} lie outside the limits of {op}, {limits}"
        return Reason("dead units", text, at, f"start them inside, or widen the limits of {op}")
    if known.rectifies:
        fix = (
            "nothing, if it is so in this batch only; else lower the learning rate, initialise the "
            "bias at 0 or above, or use leaky_relu"
        )
        return Reason("dead units", f"units{_off(record, edge)} are off at this {op}", at, fix)
    if known.chooses:
        fix = "nothing, if others are chosen in other batches; else check the index or condition"
        return Reason("not chosen", f"{op} chooses only a part of it", at, fix)
    if known.role == "switcher":
        for e in record.incoming[node.id]:
            other = record.nodes[e.source]
            array = array_of(other.value)
            if e.id != edge.id and array is not None and dead_part(array):
                text = f"{op} multiplies it by {other.label}, of which a part is 0 in this batch"
                return Reason("masked", text, at, "nothing, if these are features or a mask")
    return None


def _limits(node: NodeRecord) -> str:
    """The limits outside of which an op gives no gradient, if it has any of the user's."""
    op = None if node.applied is None else node.applied.op
    if not isinstance(op, Clip | Hardtanh):
        return ""
    low, high = [None if x is None else number(x) for x in (op.low, op.high)]
    if low is not None and high is not None:
        return f"[{low}, {high}]"
    return f"{low} and above" if high is None else f"{high} and below"


def _padding(record: Record, node: NodeRecord) -> str:
    """`padding_idx=…` if a `where` is the one that keeps the gradient from the row of padding."""
    scope = None if node.scope is None else record.scopes[node.scope]
    found = None if scope is None else _PADDING.search(scope.detail)
    if found is not None:
        return found[0]
    e = expressions.expression_of(node.site)
    if isinstance(e, ast.Call):
        given = next((k.value for k in e.keywords if k.arg == "padding_idx"), None)
        return "" if given is None else f"padding_idx={expressions.plainly(given)}"
    return ""


_PADDING = re.compile(r"padding_idx=-?\d+")


def _by_its_labels(record: Record, node: NodeRecord) -> Reason | None:
    """That no label counts, or that there is one class only to choose from."""
    if node.applied is None or node.kind != "op":
        return None
    op, at = node.applied.op, record.place(node)
    inputs = {e.argument: record.nodes[e.source] for e in record.incoming[node.id]}
    target, x = array_of(inputs["target"].value) if "target" in inputs else None, inputs.get("x")
    if isinstance(op, Labelled) and target is not None and (target == op.ignore_index).all():
        text = f"every label is ignore_index={op.ignore_index}: none of them counts in {node.op}"
        return Reason("not chosen", text, at, "check the labels, or what sets them to be ignored")
    if x is None or not x.shape:
        return None
    axis: Any = getattr(op, "axis", None)
    if isinstance(op, CrossEntropy | SoftCrossEntropy):
        axis = min(1, len(x.shape) - 1)
    elif not isinstance(op, Softmax | LogSoftmax):
        return None
    if type(axis) is int and x.shape[axis] == 1:
        text = f"{node.op} has one class to choose from, whose probability is always 1"
        fix = (
            "give the last layer an output for each class, or of one output take "
            "binary_cross_entropy_with_logits"
        )
        return Reason("cancels", text, at, fix)
    return None


def _all_zero(node: NodeRecord) -> bool:
    array = array_of(node.value)
    return array is not None and not array.any()


def _off(record: Record, edge: Edge) -> str:
    source = record.nodes[edge.source]
    array = array_of(source.value)
    if array is None or array.size == 0:
        return ""
    return f" of {array.size} (inputs {float(array.min()):.3g} to {float(array.max()):.3g})"


def dead_part(gradient: np.ndarray) -> str:
    """Rows or columns of a matrix that get nothing at all."""
    if gradient.ndim == 0 or gradient.size < 2:
        return ""
    for axis, word in ((0, "rows"), (gradient.ndim - 1, "columns")):
        rest = tuple(a for a in range(gradient.ndim) if a != axis)
        idle = ~np.any(gradient != 0, axis=rest) if rest else gradient == 0
        count = int(np.sum(idle))
        if count:
            word = word if gradient.ndim > 1 else "elements"
            return f"{count} of {idle.size} {word} of its gradient are 0"
    return ""
