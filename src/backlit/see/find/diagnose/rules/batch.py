"""The rules about what is in a batch: its numbers, their sizes, and its labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .....dtypes import FLOATING
from .....errors import IndexRangeError
from .....op import Elementwise
from .....ops.contraction import Linear, Matmul
from .....ops.convolution import Product
from .....ops.normalization import BatchNorm, LayerNorm
from ....records.parts import NodeRecord
from ....records.value import array_of, number
from ..finding import ERROR, FIT, FLOW, WARNING, Finding
from ..material import Material, is_floating, rms

#: Inputs, by their root mean square: standardised ones have 1, and bytes up to 255 are far above.
LARGE_INPUT, TINY_INPUT = 20, 1e-3
#: Fewer numbers or rows than this have no size that could be told.
ENOUGH_NUMBERS = 8
#: A feature whose deviation is so many times the median one drowns the others.
UNEVEN_FEATURES = 1000
#: Targets so large, of themselves and beside the outputs, take a network long to reach.
LARGE_TARGET = 100
#: The first loss of a classifier is log K; so many times that is no accident.
FAR_ABOVE = 4
#: So many labels tell which share each class has; such a share is nearly all.
ENOUGH_LABELS, NEARLY_ALL = 16, 0.95
#: Of so many rows, so few different ones are no accident.
ENOUGH_ROWS, FEW_ROWS = 8, 3
#: Pictures of zeros and a few ones may be bytes that were divided without a remainder.
FEW_ONES, MOST_CHANNELS = 0.05, 4


def raises(m: Material) -> Iterator[Finding]:
    """The model or the loss function raises."""
    if m.error is None:
        return
    text = " ".join(str(m.error).split()) or type(m.error).__name__
    failed = m.record.failed
    line = m.record.place(failed) if failed is not None and failed.file else ""
    labels, y = m.labels, m.y
    if isinstance(m.error, IndexRangeError) and m.returned is not None and labels is not None:
        classes = y.shape[1] if y is not None and y.ndim > 1 else 0
        low, high = int(labels.min()), int(labels.max())
        outside = np.unique(labels[(labels < 0) | (labels >= classes)])
        if low == 1 and high == classes:
            cure = "they count from 1: subtract 1"
        elif outside.size == 1 and (outside[0] < 0 or outside[0] > classes):
            cure = (
                f"if {outside[0]} marks what has no label, give the loss ignore_index={outside[0]}"
            )
        else:
            cure = f"give the last layer {high + 1} outputs, or look at the labels"
        yield Finding(
            rule="labels out of range",
            severity=ERROR,
            text=f"labels go from {low} to {high}, and the model has {classes} outputs",
            evidence=text,
            line=line,
            next=cure,
        )
        return
    what = "the loss" if m.returned is not None else "the model"
    yield Finding(
        rule="the step raises",
        severity=ERROR,
        text=f"{what} raises {type(m.error).__name__}",
        evidence=text,
        line=line,
        next="the message says what to change",
    )


def bad_data(m: Material) -> Iterator[Finding]:
    """NaN or infinity in what the model is given."""
    given = [(f"input {i}", a) for i, _, a in m.arrays]
    if m.t is not None:
        given.append(("the target", m.t))
    for name, a in given:
        if a.dtype.kind not in "fc" and "float" not in a.dtype.name:
            continue
        wrong = ~np.isfinite(a.astype(np.float64))
        # An additive mask has -inf where it hides; a network that learns of numbers has none.
        if name != "input 0" and name != "the target" and np.isneginf(a[wrong]).all():
            continue
        if wrong.any():
            first = tuple(int(k[0]) for k in np.nonzero(wrong))
            yield Finding(
                rule="bad data",
                severity=ERROR,
                text=f"{name} has {int(wrong.sum())} numbers that are not finite",
                evidence=f"the first is {number(float(a[first]))} at {list(first)}",
                next="look for missing values, and for a division by a deviation of 0",
                explains=(*FIT, *FLOW, "not finite"),
            )


def constant_inputs(m: Material) -> Iterator[Finding]:
    """An input in which all numbers are equal, and pictures that look rounded down."""
    if len(m.arrays) != 1:
        return
    i, x, a = m.arrays[0]
    if a.size < ENOUGH_NUMBERS or m.rows < 2 or not np.isfinite(a.astype(np.float64)).all():
        return
    low, high = float(a.min()), float(a.max())
    if low == high:
        yield Finding(
            rule="constant inputs",
            severity=ERROR,
            text=f"every number of input {i} is {number(low)}",
            evidence=f"{a.size} numbers in {m.rows} samples",
            next="look at how it is made: dividing bytes by 255 with // gives zeros",
            explains=(*FIT, *FLOW, "duplicates"),
        )
    elif (
        x.dtype in FLOATING and a.ndim in (3, 4) and (low, high) == (0.0, 1.0)
        and (a.ndim == 3 or a.shape[1] <= MOST_CHANNELS or a.shape[3] <= MOST_CHANNELS)
        and not ((a != 0) & (a != 1)).any() and float(a.mean()) < FEW_ONES
    ):  # fmt: skip
        yield Finding(
            rule="rounded inputs",
            severity=WARNING,
            text=f"input {i} has zeros, and {float(a.mean()):.1%} ones: it may be rounded down",
            evidence="bytes divided by 255 with //, or cast back to bytes, become this",
            next="x.astype('float32') / 255",
            explains=FIT,
        )


def _first_uses(m: Material, start: NodeRecord) -> Iterator[NodeRecord]:
    """Where an input meets the first weights on each of its ways: the value that they see."""
    seen, front = {start.id}, [start.id]
    learned = {id_ for _, p in m.parameters if (id_ := _number(m, p)) is not None}
    while front:
        number_ = front.pop()
        for e in m.record.outgoing[number_]:
            node = m.record.nodes[e.target]
            if e.target in seen:
                continue
            if issubclass(node.op_class, BatchNorm | LayerNorm):
                continue
            weighs = issubclass(node.op_class, Linear | Matmul | Product)
            if weighs and any(p.id in learned for p in m.parents(node)):
                if not _normalised_next(m, node):
                    yield m.record.nodes[number_]
            elif issubclass(node.op_class, Elementwise) or node.op_class.role == "mover":
                seen.add(e.target)
                front.append(e.target)


def _number(m: Material, t: Any) -> int | None:
    node = m.record.node_of(t)
    return None if node is None else node.id


def _normalised_next(m: Material, node: NodeRecord) -> bool:
    """Whether a layer's result is normalised before anything else is done with it."""
    for _ in range(4):
        uses = [m.record.nodes[e.target] for e in m.record.outgoing[node.id]]
        if any(issubclass(u.op_class, BatchNorm | LayerNorm) for u in uses):
            return True
        onward = [u for u in uses if u.op_class.role in ("mover", "distributor")]
        if len(onward) != 1:
            return False
        node = onward[0]
    return False


def unscaled_inputs(m: Material) -> Iterator[Finding]:
    """Inputs far from zero mean and unit size, as the first weights see them."""
    for i, x, a in m.arrays:
        start = m.record.node_of(x)
        if x.dtype not in FLOATING or x.size < ENOUGH_NUMBERS or start is None:
            continue
        for used in _first_uses(m, start):
            found = _scale(m, i, a, array_of(used.value))
            if found is not None:
                yield found
                break


def _scale(m: Material, i: int, given: np.ndarray, seen: np.ndarray | None) -> Finding | None:
    if seen is None or seen.size < ENOUGH_NUMBERS or seen.dtype.kind in "iub":
        return None
    values = np.asarray(seen, np.float64)
    size = rms(values)
    explains = (*FIT, *FLOW, "unscaled targets", "cannot overfit")

    def finding(text: str, evidence: str, cure: str) -> Finding:
        return Finding(
            rule="unscaled inputs", severity=WARNING, text=text, evidence=evidence, next=cure,
            explains=explains,
        )  # fmt: skip

    extent = f"from {values.min():.3g} to {values.max():.3g} where the first weights see it"
    if not np.isfinite(size):
        return None
    if size > LARGE_INPUT:
        return finding(
            f"input {i} has the size {size:.3g} (root mean square)", extent,
            "subtract the mean and divide by the deviation of each feature",
        )  # fmt: skip
    if 0 < size < TINY_INPUT:
        return finding(f"input {i} is tiny: {size:.3g}", extent, "was it scaled twice?")
    if values.ndim == 2 and values.shape[0] >= ENOUGH_NUMBERS:
        scales = values.std(0)
        scales = scales[scales > 0]
        if scales.size > 1 and scales.max() > UNEVEN_FEATURES * np.median(scales):
            return finding(
                f"the features of input {i} differ in scale",
                f"deviations from {scales.min():.3g} to {scales.max():.3g}",
                "divide each feature by its deviation",
            )
    return None


def unscaled_targets(m: Material) -> Iterator[Finding]:
    """Numbers to be predicted that are far larger than what a network puts out."""
    t, y = m.t, m.y
    if t is None or y is None or not is_floating(m.target) or t.size < ENOUGH_NUMBERS:
        return
    size, own = rms(t), rms(y)
    if size > LARGE_TARGET * max(1.0, own) and m.fits_targets == -1:
        yield Finding(
            rule="unscaled targets",
            severity=WARNING,
            text=f"the targets have the size {size:.3g}, the outputs {own:.3g}",
            evidence=f"targets from {t.min():.5g} to {t.max():.5g}",
            next="subtract the targets' mean and divide by their deviation; undo that to predict",
            explains=(*FIT, "exploding gradients", "unscaled inputs"),
        )


def duplicates(m: Material) -> Iterator[Finding]:
    """A batch of few different samples."""
    n = m.rows
    parts = [a.reshape(n, -1) for _, x, a in m.arrays if x.shape[:1] == (n,)]
    if n < ENOUGH_ROWS or not parts or not is_floating(m.inputs[0]):
        return
    if parts[0].shape[1] < 2 or len(np.unique(parts[0][0])) < min(3, parts[0].shape[1]):
        return  # one-hot rows and the like occur again
    different = len({b"".join(p[i].tobytes() for p in parts) for i in range(n)})
    if different * FEW_ROWS <= n:
        verb = "is" if different == 1 else "are"
        yield Finding(
            rule="duplicates",
            severity=ERROR if different == 1 else WARNING,
            text=f"of the {n} samples of the batch {different} {verb} different",
            evidence="rows that are equal to the last bit",
            next="look at what the data set's __getitem__ does with its index",
            explains=("ignores its input", "cannot overfit"),
        )


def labels(m: Material) -> Iterator[Finding]:
    """A batch whose targets are all, or nearly all, the same."""
    t = m.labels
    if t is None or t.size < ENOUGH_LABELS or not m.classes or m.classes < 2:
        return
    values, counts = np.unique(t, return_counts=True)
    share = float(counts.max()) / t.size
    most = int(values[int(np.argmax(counts))])
    if len(values) == 1:
        yield Finding(
            rule="one class",
            severity=WARNING,
            text="all labels of the batch are the same",
            evidence=f"{t.size} times {most}",
            next="shuffle the data (DataLoader(shuffle=True)), and look at the labels",
        )
    elif share >= NEARLY_ALL and t.ndim == 1 and t.size >= 2 * ENOUGH_LABELS:
        op, y = m.loss_op, m.y
        weighted = op is None or m.argument(op, "weight") is not None
        if not weighted and y is not None and (np.argmax(y, 1) == most).all():
            yield Finding(
                rule="one class",
                severity=WARNING,
                text=f"{share:.0%} of the labels are {most}, and the model says it of every sample",
                evidence=f"{int(counts.max())} of {t.size} labels; saying it always is "
                f"{share:.0%} right",
                next="weight the classes in the loss, or draw the rare ones more often",
            )


def initial_loss(m: Material) -> Iterator[Finding]:
    """A classifier whose first loss is far above log K."""
    k, op = m.classes, m.loss_op
    if k is None or k < 2 or op is None or op.op not in ("cross_entropy", "nll_loss"):
        return
    if op.shape != () or op.attributes.get("reduction") != "'mean'":
        return
    expected = math.log(k)
    if np.isfinite(m.loss) and m.loss > FAR_ABOVE * expected + 1:
        logits = np.asarray(m.output.numpy(), np.float64)
        yield Finding(
            rule="initial loss",
            severity=WARNING,
            text=f"the loss is {m.loss:.3g}; guessing would give log {k} = {expected:.3g}",
            evidence=f"the outputs have a deviation of {logits.std():.3g}: sure, and wrong",
            next="make the last layer's initial weights smaller, or scale the inputs",
            explains=("exploding gradients",),
        )
