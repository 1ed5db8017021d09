"""The rules about logits and probabilities: what a loss, or a layer, takes one of them for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .....autograd import no_grad
from .....op import REGISTRY
from .....ops.activation import Relu, Softmax
from .....ops.elementwise import Log
from .....ops.loss import CrossEntropy, KlDiv, NllLoss
from .....tensor import Tensor
from ....records.from_block import recording
from ....records.parts import NodeRecord
from ....records.value import array_of
from ..finding import ERROR, FIT, FLOW, HINT, WARNING, Finding
from ..material import FAILURES, Material

#: A sum of probabilities may be so far from 1: half precision keeps three digits.
OFF_ONE = 0.01
#: What is left of the loss of a guess, at least, where logits are bounded: too much.
NO_WAY_DOWN, HALF_WAY = 0.7, 0.45
#: Losses that differ by less, of their size, are equal up to rounding in float32.
SAME_LOSS = 1e-5


def total(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Σ exp x along an axis: 1 where x are the logarithms of probabilities."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(np.asarray(x, np.float64)).sum(axis))


def not_one(totals: np.ndarray) -> str:
    """The evidence that numbers are no logarithms of probabilities."""
    return f"Σ exp x is {totals.min():.3g} to {totals.max():.3g}, not 1"


def applied_twice(m: Material) -> Iterator[Finding]:
    """A loss that takes logits is given probabilities, or the other way round."""
    for node in m.record.nodes:
        takes = node.op_class.applies
        before = m.producer(node) if takes else None
        if before is None:
            continue
        if issubclass(before.op_class, REGISTRY[takes]) and not (
            issubclass(node.op_class, Softmax) and _attends(m, node)
        ):
            yield _twice(m, node, before, takes)
        elif takes == "softmax" and _is_loss(m, node):
            yield from _no_logits(m, node, before)
        elif takes == "sigmoid" and _is_loss(m, node) and _stays_in(m, node, 0.0, 1.0):
            yield _twice(m, node, before, takes, "its values stay between 0 and 1, whatever the "
                         "weights")  # fmt: skip


def _is_loss(m: Material, node: NodeRecord) -> bool:
    return node is m.loss_op


def _attends(m: Material, node: NodeRecord) -> bool:
    """Whether the softmax weighs a sum, as in attention: its operands may be anything."""
    uses = [m.record.nodes[e.target] for e in m.record.outgoing[node.id]]
    return bool(uses) and all(u.op_class.role == "switcher" for u in uses)


def _twice(
    m: Material, node: NodeRecord, before: NodeRecord, takes: str, evidence: str = ""
) -> Finding:
    return Finding(
        rule="double softmax" if takes == "softmax" else "double sigmoid",
        severity=ERROR,
        text=f"{node.op} gets the result of {takes}, and applies {takes} again",
        evidence=evidence or f"{before.label} feeds {node.label}",
        line=m.record.place(before),
        next=f"leave out the {takes}, and give the loss the logits",
        explains=(*FIT, "saturated units", "vanishing gradients"),
    )


def _no_logits(m: Material, node: NodeRecord, before: NodeRecord) -> Iterator[Finding]:
    """Probabilities made by hand, and functions with two ends, before a cross-entropy."""
    x = array_of(m.parents(node)[0].value)
    if x is not None and x.ndim >= 2 and x.shape[1] > 1 and len(x) > 1:
        total = np.asarray(x, np.float64).sum(1)
        if (x >= 0).all() and np.max(np.abs(total - 1)) < SAME_LOSS * 10:
            yield _twice(
                m, node, before, "softmax", "each row has numbers from 0 to 1, and the sum 1"
            )
            return
    if before.op_class is Relu:
        yield Finding(
            rule="clipped logits",
            severity=WARNING,
            text="a relu stands before the cross-entropy",
            evidence="no class can have a logit below 0",
            line=m.record.place(before),
            next="leave out the last relu",
            explains=("cannot overfit", "dead units"),
        )
    elif before.op_class.bounds is not None and np.isfinite(before.op_class.bounds).all():
        low, high = before.op_class.bounds
        floor = math.log(1 + (x.shape[1] - 1) * math.exp(low - high)) if x is not None else 0.0
        yield Finding(
            rule="squashed logits",
            severity=ERROR,
            text=f"{before.op} stands before the cross-entropy",
            evidence=f"logits between {low:g} and {high:g}: the loss cannot fall below {floor:.2g}",
            line=m.record.place(before),
            next=f"leave out the {before.op}",
            explains=(*FIT, "saturated units"),
        )


def _enlarged(m: Material, factor: float) -> np.ndarray | None:
    """The output with all parameters so many times as large."""
    with m.kept():
        for p in m.model.parameters():
            p.assign(p.array * np.asarray(factor, p.dtype))
        y = m.run(*m.inputs)
    return y if y is not None and np.isfinite(y).all() else None


def bounds_by_trial(m: Material) -> tuple[float, float] | None:
    """The two ends that the output comes to as the weights grow, if it comes to any."""
    found = [_enlarged(m, factor) for factor in (30, 100)]
    ends = [(float(y.min()), float(y.max())) for y in found if y is not None]
    if len(ends) < 2 or ends[1][1] - ends[1][0] < 0.1 or m.y is None:
        return None
    low, high = ends[1]
    same = np.allclose(ends[0], ends[1], atol=1e-2 * (high - low))
    inside = float(m.y.min()) >= low - 1e-6 and float(m.y.max()) <= high + 1e-6
    return (low, high) if same and inside else None


def _stays_in(m: Material, node: NodeRecord, low: float, high: float) -> bool:
    """Whether a loss gets the output, and that stays in a range however large the weights are."""
    if m.output_id is None or m.moved(m.parents(node)[0]) is not m.moved(
        m.record.nodes[m.output_id]
    ):
        return False
    y = _enlarged(m, 30)
    if y is None:
        return False
    inside = bool((y >= low).all() and (y <= high).all())
    return inside and float(np.ptp(y)) > 0.8 * (high - low)


def bounded_logits(m: Material) -> Iterator[Finding]:
    """Logits that stay small however large the weights are, as similarities that are not scaled."""
    op = m.loss_op
    if op is None or not issubclass(op.op_class, CrossEntropy):
        return
    x, t = m.parents(op)[0], m.argument(op, "target")
    labels = None if t is None else array_of(t.value)
    if len(x.shape) != 2 or x.shape[1] < 3 or labels is None:
        return
    if m.producer(op) is not None and m.producer(op).op_class.bounds is not None:  # type: ignore[union-attr]
        return
    reached = [_largest_logit(m, factor) for factor in (30, 100)]
    largest = max(reached, default=0.0)
    if not np.isfinite(largest) or largest == 0 or abs(reached[1] - reached[0]) > 0.05 * largest:
        return
    k = x.shape[1]
    floor = math.log(1 + (k - 1) * math.exp(-2 * largest)) / math.log(k)
    pairs = labels.size == k and (labels.reshape(-1) == np.arange(k)).all()
    if floor > (NO_WAY_DOWN if pairs else HALF_WAY):
        yield Finding(
            rule="squashed logits",
            severity=ERROR,
            text=f"the logits stay within ±{largest:.2g}, however large the weights are",
            evidence=f"with all parameters 30 and 100 times as large they reach {reached[0]:.3g} "
            f"and {reached[1]:.3g}: the loss cannot fall below {floor * math.log(k):.3g}, and "
            f"guessing gives {math.log(k):.3g}",
            line=m.record.place(op),
            next="divide similarities by a temperature below 1 (0.07), or multiply them by a scale",
            explains=FIT,
        )


def _largest_logit(m: Material, factor: float) -> float:
    """How far from 0 the logits of the loss are with all parameters so many times as large."""
    with m.kept(), no_grad(), np.errstate(all="ignore"), recording() as watched:
        for p in m.model.parameters():
            p.assign(p.array * np.asarray(factor, p.dtype))
        try:
            m.loss_fn(m.call(*m.inputs), m.target)
        except FAILURES:
            return float("inf")
    found = [c for c in watched.calls if isinstance(c.op, CrossEntropy)]
    return float(np.max(np.abs(found[-1].arrays[0]))) if found else float("inf")


def no_log_probabilities(m: Material) -> Iterator[Finding]:
    """A loss that takes logarithms of probabilities gets other numbers."""
    for node in m.record.nodes:
        if node.op_class not in (NllLoss, KlDiv):
            continue
        given = m.parents(node)[0]
        first = m.moved(given)
        x = array_of(given.value)
        if x is None or x.ndim < 1 or x.size < 2 or np.isnan(x).any():
            continue  # of NaN another rule tells
        axes = (1,) if node.op_class is NllLoss else tuple(range(x.ndim))
        sums = [total(x, a) for a in axes]
        if any(np.max(np.abs(one - 1)) <= OFF_ONE for one in sums):
            continue
        found = sums[-1] if node.op_class is KlDiv else sums[0]
        if node.op_class is KlDiv and not (found > 1 + OFF_ONE).any():
            continue  # a part of a distribution
        probabilities = bool((x >= 0).all()) and any(
            np.max(np.abs(np.asarray(x, np.float64).sum(a) - 1)) <= OFF_ONE for a in axes
        )
        kind = "probabilities" if probabilities else "numbers that are no log-probabilities"
        yield Finding(
            rule="no log-probabilities",
            severity=ERROR,
            text=f"{node.op} gets {kind}",
            evidence=not_one(found),
            line=m.record.place(first),
            next="take log_softmax in place of softmax" if probabilities
            else "apply log_softmax, or use cross_entropy",
            explains=(*FIT, "log of a softmax", "constant loss"),
        )  # fmt: skip


def log_of_softmax(m: Material) -> Iterator[Finding]:
    """The logarithm of a softmax, which is -∞ where the softmax is rounded to 0."""
    for node in m.record.nodes:
        before = m.producer(node) if node.op_class is Log else None
        if before is None or before.op_class is not Softmax or node.id < (m.output_id or 0):
            continue
        p = array_of(before.value)
        least = f"the least probability is {float(p.min()):.2g}" if p is not None else "not stable"
        yield Finding(
            rule="log of a softmax",
            severity=HINT,
            text="log(softmax(x)) is -∞ where a logit is 104 below the largest (in float32)",
            evidence=f"{before.label} feeds {node.label}; {least} here",
            line=m.record.place(node),
            next="use log_softmax(x), or cross_entropy of the logits",
        )
        return


def constant_loss(m: Material) -> Iterator[Finding]:
    """A softmax over one number, and a loss that does not depend on the output."""
    if m.output_id is None or not isinstance(m.output, Tensor):
        return
    ends = [m.moved(m.record.nodes[m.output_id])]
    ends += [n for n in m.record.nodes[m.output_id + 1 :] if n.op_class.applies == "softmax"]
    for node in ends:
        parents = m.parents(node)
        if node.op_class.applies != "softmax" or not parents or not parents[0].shape:
            continue
        axis = int(node.attributes.get("axis", "1"))
        if parents[0].shape[axis] == 1:
            yield Finding(
                rule="constant loss",
                severity=ERROR,
                text=f"{node.op} over an axis of size 1 gives {_of_one(node)}, whatever the model "
                "computes",
                evidence=f"its input has the shape {parents[0].shape}; axis {axis} is normalised",
                line=m.record.place(node),
                next="with one output use binary_cross_entropy_with_logits, or give the model an "
                "output for each class",
                explains=(
                    *FIT,
                    *FLOW,
                    "one class",
                    "double softmax",
                    "targets do not fit",
                    "targets not matched",
                ),
            )
            return


def _of_one(node: NodeRecord) -> str:
    return "1" if node.op_class is Softmax else "0"
