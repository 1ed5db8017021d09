"""The rules about the loss: what it is given, what it compares, and which way it points."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .....op import Elementwise
from .....ops.elementwise import Where
from .....ops.loss import (
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    KlDiv,
    Labelled,
    SoftCrossEntropy,
)
from ....records.value import array_of
from ...why import why
from ..finding import ERROR, FIT, FLOW, WARNING, Finding
from ..material import Material, is_floating
from .dataset import ROWS, rows_of
from .logits import OFF_ONE, SAME_LOSS, bounds_by_trial

#: The share of targets outside an output's range, and how far of that range, that is no noise.
SHARE_OUTSIDE, FAR_OUTSIDE = 0.02, 0.05
#: So many labels tell how frequent each class is; of such uneven ones weights are made, and they
#: are the frequencies if their logarithms follow them as nearly as this.
ENOUGH_LABELS, UNEVEN, LIKE_FREQUENCY = 48, 3, 0.35
#: So many samples are needed to say that a loss does not tell which target is whose.
ENOUGH_SAMPLES = 4


def no_tensor(m: Material) -> Iterator[Finding]:
    """A loss that was made a plain number, and can train nothing."""
    if m.error is not None or m.has_graph:
        return
    reads = [r for r in m.record.live.reads if r.source >= 0]
    reads = [r for r in reads if m.record.nodes[r.source].requires_grad]
    if not m.no_tensor and not reads:
        return
    if m.no_tensor:
        text = f"the loss is a {m.no_tensor}, no Tensor: nothing can be trained by it"
    else:
        text = "the loss was computed from a number that was read: it has lost its graph"
    line, evidence = "", "backward() has nothing to walk back through"
    if reads:
        last = reads[-1]
        source = m.record.source_line(last.file, last.line).strip()
        line = f"{last.file}:{last.line}: {source}"
        evidence = f"{last.what} read {m.record.nodes[last.source].label} as a number"
    yield Finding(
        rule="loss is no Tensor",
        severity=ERROR,
        text=text,
        evidence=evidence,
        line=line,
        next="return the Tensor; read it with item() where it is printed",
        explains=(*FIT, *FLOW, "constant loss"),
    )


def targets(m: Material) -> Iterator[Finding]:
    """Targets that this loss, or this output, cannot mean."""
    op = m.loss_op
    given = m.argument(op, "target") if op is not None else None
    t = array_of(given.value) if given is not None else None
    if op is not None and t is not None and t.size and np.isfinite(t.astype(np.float64)).all():
        low, high = float(t.min()), float(t.max())
        text = cure = ""
        if issubclass(op.op_class, BinaryCrossEntropy | BinaryCrossEntropyWithLogits):
            if low < -OFF_ONE or high > 1 + OFF_ONE:
                text = f"{op.op} takes targets from 0 to 1, and gets {low:.4g} to {high:.4g}"
                cure = (
                    "use (t + 1) / 2" if (low, high) == (-1.0, 1.0)
                    else f"divide the targets by {high:g}"
                )  # fmt: skip
        elif op.op_class is SoftCrossEntropy or (
            op.op_class is KlDiv and op.attributes.get("log_target") == "False"
        ):
            wide = t.astype(np.float64)
            axes = (1,) if op.op_class is SoftCrossEntropy else tuple(range(t.ndim))
            off = min(float(np.max(np.abs(wide.sum(a) - 1))) for a in axes)
            total = wide.sum(axes[-1])
            if low < 0:
                text = f"{op.op} takes probabilities as targets, and gets {low:.3g} to {high:.3g}"
                cure = "give exp(target), or log_target=True" if op.op_class is KlDiv else (
                    "give labels, or rows of probabilities")  # fmt: skip
            elif off > OFF_ONE and (op.op_class is SoftCrossEntropy or len(axes) <= 2):
                text = f"{op.op} takes rows of probabilities, and the targets' sums are "
                text += f"{total.min():.3g} to {total.max():.3g}"
                cure = (
                    "for several labels a sample use binary_cross_entropy_with_logits"
                    if set(np.unique(t)) <= {0, 1} else "divide each row by its sum"
                )  # fmt: skip
        if text:
            yield Finding(
                rule="targets do not fit",
                severity=ERROR,
                text=text,
                evidence=f"{t.size} targets, the first {t.reshape(-1)[:4].tolist()}",
                next=cure,
                explains=(*FIT, "not finite", "wrong sign", "unscaled targets"),
            )
            return
    yield from _outside_the_output(m)


def _outside_the_output(m: Material) -> Iterator[Finding]:
    """Targets of a regression that the last function of the model cannot reach."""
    t = m.t
    if m.output_id is None or t is None or not is_floating(m.target) or m.fits_targets != -1:
        return
    last = m.moved(m.record.nodes[m.output_id])
    bounds = last.op_class.bounds or bounds_by_trial(m)
    if bounds is None:
        return
    low, high = bounds
    reach = (high - low) if math.isfinite(high) else max(1.0, float(np.std(t)))
    outside = (t < low - FAR_OUTSIDE * reach) | (t > high + FAR_OUTSIDE * reach)
    share = float(outside.mean())
    if share > SHARE_OUTSIDE:
        extent = f"between {low:g} and {high:g}" if math.isfinite(high) else f"above {low:g}"
        yield Finding(
            rule="targets do not fit",
            severity=ERROR,
            text=f"{share:.0%} of the targets lie outside what {last.op} can give",
            evidence=f"outputs are {extent}, targets from {t.min():.4g} to {t.max():.4g}",
            line=m.record.place(last),
            next=f"leave out what bounds the output ({last.op}), or scale the targets",
            explains=(*FIT, *FLOW, "unscaled targets"),
        )


def weights_of_zero(m: Material) -> Iterator[Finding]:
    """Classes that count for nothing in the loss."""
    op, t = m.loss_op, m.t
    if op is None or t is None:
        return
    for name in ("weight", "pos_weight", "pos_weight[0]", "weight[0]"):
        given = m.argument(op, name)
        w = None if given is None else array_of(given.value)
        if w is None or not (w <= 0).any():
            continue
        if issubclass(op.op_class, Labelled):
            off = [int(c) for c in np.nonzero(w.reshape(-1) <= 0)[0]]
            count = int(np.isin(t, off).sum())
            text = f"class {', '.join(map(str, off[:4]))} has the weight {w.reshape(-1)[off[0]]:g}"
            evidence = f"{count} of {t.size} labels of the batch count for nothing"
            if not count:
                continue
        else:
            text, count = f"pos_weight is {float(w.min()):g}", int((t > 0).sum())
            evidence = f"the {count} positive targets of the batch count for nothing"
        yield Finding(
            rule="class weights",
            severity=WARNING,
            text=text,
            evidence=evidence,
            next="give each class a weight above 0; where a label is to be ignored, ignore_index",
            explains=("cannot overfit",),
        )
        return


def weights_of_frequency(m: Material) -> Iterator[Finding]:
    """Weights of classes that are larger the more frequent a class is."""
    op = m.loss_op
    found = rows_of(m.data, 20 * ROWS) if m.data is not None else None
    t = found[1] if found is not None else m.t
    if op is None or t is None or t.size < ENOUGH_LABELS:
        return
    name = "weight" if issubclass(op.op_class, Labelled) else "pos_weight"
    given = m.argument(op, name) or m.argument(op, f"{name}[0]")
    w = None if given is None else array_of(given.value)
    if w is None or not (w > 0).all():
        return
    if name == "weight" and t.dtype.kind in "iu" and w.size > 1:
        weights = w.reshape(-1).astype(np.float64)
        counts = np.bincount(t[(t >= 0) & (t < w.size)], minlength=w.size)
    elif name == "pos_weight" and w.size == 1 and set(np.unique(t).tolist()) == {0, 1}:
        weights = np.array([1.0, float(w.reshape(-1)[0])])
        counts = np.bincount(t.reshape(-1).astype(int), minlength=2)
    else:
        return
    if counts.min() == 0 or counts.max() < UNEVEN * counts.min():
        return
    x, y = np.log(counts) - np.log(counts).mean(), np.log(weights) - np.log(weights).mean()
    slope = float((x * y).sum() / (x * x).sum())
    if abs(slope - 1) > LIKE_FREQUENCY or np.abs(y - slope * x).max() > LIKE_FREQUENCY:
        return
    rare, often = int(counts.argmin()), int(counts.argmax())
    yield Finding(
        rule="class weights",
        severity=WARNING,
        text=f"the weights rise with the classes' frequencies: class {rare}, the rarest, has "
        f"{weights[rare]:.3g}, class {often}, the most frequent, {weights[often]:.3g}",
        evidence=f"of {counts.sum()} labels {counts[rare]} are {rare} and {counts[often]} are "
        f"{often}: what is rare counts even less",
        line=m.record.place(op),
        next="turn them round: " + ("weight = 1 / frequency" if name == "weight"
                                    else "pos_weight = negatives / positives"),
        explains=("cannot overfit",),
    )  # fmt: skip


def blank_among_labels(m: Material) -> Iterator[Finding]:
    """A CTC loss whose blank is one of the labels that are to be written."""
    nodes = m.record.nodes
    if not any(n.op == "logaddexp" for n in nodes):
        return
    for node in nodes:
        # the labels, with blanks where a row has no more of them
        if not issubclass(node.op_class, Where) or len(node.shape) != 2:
            continue
        used, wanted = m.argument(node, "condition"), m.argument(node, "a")
        size = (node.shape[0], 2 * node.shape[1] + 1)
        blanks = next((n for n in nodes if n.op == "full" and n.shape == size), None)
        if used is None or wanted is None or blanks is None:
            continue
        mask, t, b = array_of(used.value), array_of(wanted.value), array_of(blanks.value)
        if mask is None or t is None or b is None or t.dtype.kind not in "iu" or not b.size:
            continue
        blank = int(b.reshape(-1)[0])
        count = int((np.broadcast_to(t, node.shape)[mask] == blank).sum())
        if not count:
            return
        free = sorted(set(range(m.y.shape[-1])) - set(np.unique(t).tolist())) if (
            m.y is not None and m.y.ndim == 3) else []  # fmt: skip
        yield Finding(
            rule="blank among the labels",
            severity=ERROR,
            text=f"the labels have the class {blank}, which is ctc_loss's blank",
            evidence=f"{count} of {int(mask.sum())} labels are {blank}; a blank is written as "
            "nothing, so the model cannot learn to say that class",
            line=m.record.place(node),
            next="give the loss a blank that is no label"
            + (f": blank={free[-1]}" if free else ", and the model one output more"),
            explains=(*FIT, "not finite"),
        )
        return


def ignored_labels(m: Material) -> Iterator[Finding]:
    """A class among those that the loss ignores."""
    op, t = m.loss_op, m.labels
    if op is None or t is None or not issubclass(op.op_class, Labelled):
        return
    given = m.argument(op, "target")
    t = t if given is None or (a := array_of(given.value)) is None else a
    ignored = int(op.attributes.get("ignore_index", "-100"))
    count = int((t == ignored).sum())
    one_each = t.ndim == 1 and t.shape == (m.rows,)
    if count == t.size and t.size:
        text = "every label is one that the loss ignores"
    elif ignored >= 0 and count and one_each:
        text = f"the loss ignores label {ignored}, which is a class"
    else:
        return
    yield Finding(
        rule="ignored labels",
        severity=WARNING,
        text=text,
        evidence=f"{count} of {t.size} labels are {ignored}: they count for nothing",
        line=m.record.place(op),
        next="leave ignore_index out, or give it a number that is no class",
        explains=("cannot overfit", "not finite"),
    )


def broadcast_in_loss(m: Material) -> Iterator[Finding]:
    """(N, 1) meets (N,) and becomes (N, N)."""
    for node in m.record.nodes:
        if not (issubclass(node.op_class, Elementwise) and node.op_class.differentiable):
            continue
        parents = m.parents(node)
        if len(parents) != 2 or any(math.prod(p.shape) >= math.prod(node.shape) for p in parents):
            continue
        a, b = (p.shape for p in parents)
        few, many = sorted((a, b), key=len)
        if len(many) != len(few) + 1 or many[-1] != 1 or many[:-1] != few or few[-1] < 2:
            continue
        if any(p.op == "reshape" and m.moved(p).shape != p.shape and p.shape == many
               and p.requires_grad is False for p in parents):  # fmt: skip
            continue  # somebody put the axis there
        yield Finding(
            rule="silent broadcasting",
            severity=ERROR,
            text=f"{a} and {b} broadcast to {node.shape} in {node.op}",
            evidence="every prediction is compared with every target",
            line=m.record.place(node),
            next="squeeze the prediction, or reshape the target",
            explains=(*FIT, "targets not matched", "wrong sign"),
        )
        return


def targets_not_matched(m: Material) -> Iterator[Finding]:
    """A loss that does not change when the targets change places."""
    y, t = m.y, m.t
    if y is None or t is None or not m.steady or y.ndim == 0 or t.ndim == 0:
        return
    n, probe = t.shape[0], _probe(m)
    if any(x.shape[:2] == (n, n) for x in m.record.nodes[(m.output_id or 0) + 1 :]):
        return  # each is compared with each, as distributions are
    if probe is None or n < ENOUGH_SAMPLES or y.shape[0] != n or (t == t[:1]).all():
        return
    own = m.loss_of(probe)
    random = np.random.default_rng(0)
    orders = [np.roll(np.arange(n), 1), random.permutation(n), random.permutation(n)]
    moved = [m.loss_of(probe, t[order]) for order in orders if (t[order] != t).any()]
    other = t.copy()
    other[:] = t[int(np.argmax(np.abs(t.astype(np.float64)).reshape(n, -1).sum(1)))]
    others = m.loss_of(probe, other)
    alike = [x for x in moved if x is not None]
    if own is None or not moved or len(alike) < len(moved) or others is None:
        return
    near = SAME_LOSS * max(abs(own), abs(others), 1e-30)
    if all(abs(x - own) <= near for x in alike) and abs(others - own) > 100 * near:
        yield Finding(
            rule="targets not matched",
            severity=WARNING,
            text="the loss is the same whichever sample a target belongs to",
            evidence=f"{own:.6g}; with the targets in other orders "
            f"{', '.join(f'{x:.6g}' for x in alike)}",
            next="compare each prediction with its own target first, then take the mean; unless "
            "it is distributions that are compared",
            explains=("cannot overfit",),
        )


def _probe(m: Material) -> np.ndarray | None:
    """An output that meets the targets: a loss that compares with them changes if they move."""
    y, t = m.y, m.t
    if y is None or t is None:
        return None
    if t.dtype.kind == "f" and y.size == t.size:
        return np.asarray(t, np.float64).reshape(y.shape)
    if m.classes and m.labels is not None and t.min() >= 0 and t.max() < m.classes:
        return 3 * np.moveaxis(np.eye(m.classes)[t], -1, 1)
    return None


def wrong_sign(m: Material) -> Iterator[Finding]:
    """A loss that falls as the output moves away from the target."""
    way = _way(m)
    if way == 0:
        return
    climbs = [g for g in (m.optimizer.param_groups if m.optimizer is not None else ())
              if g.get("maximize")]  # fmt: skip
    if (way > 0) == bool(climbs):
        return
    if climbs:
        text = "the optimizer makes the loss larger: maximize=True"
        cure = "leave maximize out"
    else:
        text = "the loss grows as the output comes nearer to the target"
        cure = "turn the sign of the loss"
    yield Finding(
        rule="wrong sign",
        severity=ERROR,
        text=text,
        evidence=_seen(m),
        next=cure,
        explains=(*FIT, *FLOW, "not finite", "targets do not fit", "loss without bound"),
    )


def _seen(m: Material) -> str:
    if m.labels is not None:
        return "the gradient pushes the output of every sample's own class down"
    return f"the loss is {m.loss:.4g}; outputs nearer to the targets were tried"


def _way(m: Material) -> int:
    """-1: the loss falls towards the target; 1: it grows; 0: not known."""
    y, t, g = m.y, m.t, m.slope
    if y is None or t is None or g is None or not m.steady:
        return 0
    if m.labels is not None:
        return _of_labels(g, m.labels, np.asarray(y, np.float64))
    values = np.unique(t)
    if y.shape == t.shape and t.dtype.kind == "f" and set(values.tolist()) == {0.0, 1.0}:
        ends = [(5.0, -5.0), (0.95, 0.05)]
        for high, low in ends:
            right = m.loss_of(np.where(t > 0.5, high, low))
            wrong = m.loss_of(np.where(t > 0.5, low, high))
            if right is not None and wrong is not None and np.isfinite([right, wrong]).all():
                if right < wrong:
                    return -1
                return 1 if wrong < right <= 0 else 0  # a distance may be small where t is 1
        return 0
    return m.fits_targets


def _of_labels(g: np.ndarray, t: np.ndarray, y: np.ndarray) -> int:
    """By the gradient at each sample's own class, if it is that of a cross-entropy.

    Then each sample of a class weighs the same; those of actions weigh what they brought in.
    """
    if g.ndim != t.ndim + 1:
        return 0
    axis = next((a for a in (1, g.ndim - 1) if np.delete(g.shape, a).tolist() == list(t.shape)), -1)
    if axis < 0 or t.size < ENOUGH_SAMPLES:
        return 0
    g = np.moveaxis(g, axis, -1).reshape(t.size, -1)
    y = np.moveaxis(y, axis, -1).reshape(t.size, -1)
    labels = t.reshape(-1)
    if labels.min() < 0 or labels.max() >= g.shape[1] or g.shape[1] < 2:
        return 0
    own = g[np.arange(t.size), labels]
    total = np.abs(g).sum(1)
    shares = total > 1e-3 * total.max(initial=0.0)
    if total.max(initial=0.0) == 0 or shares.mean() < 0.5:
        return 0
    own, total, labels, y = own[shares], total[shares], labels[shares], y[shares]
    weights = np.abs(own)
    if np.allclose(weights, total / 2, rtol=0.02):
        # Half of a softmax's gradient, p - 1, is at the label, half at all the other classes.
        e = np.exp(y - y.max(1, keepdims=True))
        rest = 1 - e[np.arange(len(e)), labels] / e.sum(1)
        known = rest > 0.01
        weights, own, labels = weights[known] / rest[known], own[known], labels[known]
    elif not np.allclose(weights, total, rtol=0.02):
        return 0
    for label in np.unique(labels):
        if np.ptp(weights[labels == label]) > 0.05 * weights.max():
            return 0
    if not own.size:
        return 0
    if (own < 0).all():
        return -1
    return 1 if (own > 0).all() else 0


def reasons(m: Material) -> str:
    """Why the first parameter has no gradient, in a sentence."""
    if not m.parameters:
        return "the model has no parameters"
    found = why(m.parameters[0][1], m.record).reasons
    return f"{found[0].kind}: {found[0].text}" if found else "it carries no graph"
