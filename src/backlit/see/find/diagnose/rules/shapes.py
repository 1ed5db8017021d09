"""The rules about axes: which one is which, and what a reshape does to them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..... import nn
from .....ops.activation import Softmax
from .....ops.contraction import Linear, Matmul
from .....ops.elementwise import Add, Divide, Multiply, Where
from .....ops.loss import CrossEntropy, NllLoss
from .....ops.movement import Reshape
from .....ops.normalization import BatchNorm, Dropout
from ....records.parts import NodeRecord
from ....records.value import array_of
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import Material
from ..reshape import evidence_of, moves_an_axis
from .sequence import padding_of

#: Scores so wide have a size that tells; divided by the root of their width it is so large at the
#: beginning. Then the largest weight is at least the first, and divided at most the second.
WIDE, SIZE, PICKS_ONE, LEAVES_MANY = 32, (0.2, 5.0), 0.8, 0.6
#: The share of attention's weights that is all of them.
ALL_OF_IT = 0.98
#: A factor between scores and their softmax that is the root of their width, up to rounding.
ROOT = 1e-3


def reshape_for_transpose(m: Material) -> Iterator[Finding]:
    """A reshape that puts an axis where only a transposition could."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Reshape):
            continue
        before = m.parents(node)[0]
        if not (node.requires_grad or before.id in m.of_inputs) or _of_a_layer(m, node):
            continue
        size = moves_an_axis(before.shape, node.shape)
        if size is None:
            continue
        yield Finding(
            rule="reshape in place of transpose",
            severity=ERROR,
            text=f"{before.shape} is reshaped to {node.shape}: the axis of {size} stands elsewhere "
            "and has other elements along it",
            evidence=evidence_of(before.shape, node.shape),
            line=m.record.place(node),
            next="transpose or permute the axes first, then reshape",
            explains=(*FIT, "sees the future", "targets not matched", "loss over the wrong axis"),
        )  # fmt: skip
        return


def _of_a_layer(m: Material, node: NodeRecord) -> bool:
    """Whether a built-in layer reshapes, which knows what it does."""
    if node.scope is None:
        return False
    kind = m.record.scopes[node.scope].type
    return hasattr(nn, kind) and kind not in ("Flatten", "Unflatten")


def class_axis(m: Material) -> Iterator[Finding]:
    """A loss over classes on axis 1 that is given (N, T, C), where T and C happen to be equal."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, CrossEntropy | NllLoss):
            continue
        x = m.parents(node)[0]
        if len(x.shape) != 3 or x.shape[1] != x.shape[2]:
            continue
        made = x
        for _ in range(4):
            if issubclass(made.op_class, Softmax | Dropout) or made.op == "log_softmax":
                made = m.parents(made)[0]
            elif issubclass(made.op_class, Add):
                made = next((p for p in m.parents(made) if p.kind == "op"), made)
        if not issubclass(made.op_class, Linear | Matmul) or made.shape != x.shape:
            continue
        given = m.parents(made)
        if not any(p.kind == "parameter" and len(p.shape) == 2 for p in given):
            continue
        yield Finding(
            rule="loss over the wrong axis",
            severity=ERROR,
            text=f"{node.op} takes axis 1 for the classes, and the layer's outputs are on axis 2",
            evidence=f"both have the size {x.shape[1]}, so nothing raises; the input of the shape "
            f"{x.shape} comes from {made.label} as it is",
            line=m.record.place(node),
            next="give it logits.transpose(1, 2), or flatten: logits.reshape(-1, C), target.reshape"
            "(-1)",
            explains=(*FIT, "sees the future", "targets not shifted", "no log-probabilities"),
        )
        return


# -- attention -------------------------------------------------------------------------------------


def masked_after_softmax(m: Material) -> Iterator[Finding]:
    """Attention weights that are set to 0 after the softmax: those left do not sum to 1."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Softmax) or len(node.shape) < 2 or "log" in node.op:
            continue
        axis = int(node.attributes.get("axis", "-1"))
        for e in m.record.outgoing[node.id]:
            use = m.record.nodes[e.target]
            if not issubclass(use.op_class, Multiply | Where) or use.shape != node.shape:
                continue
            masks = [p for p in m.parents(use) if p is not node and not p.requires_grad]
            weights = array_of(use.value)
            if not masks or weights is None or not _masks(masks):
                continue
            total = np.asarray(weights, np.float64).sum(axis)
            onward = [m.record.nodes[x.target] for x in m.record.outgoing[use.id]]
            summed = [u for u in onward if issubclass(u.op_class, Matmul | Dropout)]
            again = any(issubclass(u.op_class, Divide) or u.op == "sum" for u in onward)
            if summed and not again and float(total.min()) < 0.99:
                yield Finding(
                    rule="masked after softmax",
                    severity=ERROR,
                    text="attention is masked after its softmax: what is left does not sum to 1",
                    evidence=f"weights sum to {total.min():.3g} to {total.max():.3g}; what is "
                    "hidden has taken its share of them",
                    line=m.record.place(use),
                    next="put -inf where it is hidden before the softmax (masked_fill)",
                    explains=(*FIT, "padding counts", "sees the future"),
                )
                return


def _masks(masks: list[NodeRecord]) -> bool:
    """Whether one of them is zeros and ones, and has both."""
    for mask in masks:
        a = array_of(mask.value)
        if a is not None and a.size > 1 and set(np.unique(a)[:3].tolist()) == {0, 1}:
            return True
    return False


def scores_scaled_up(m: Material) -> Iterator[Finding]:
    """Attention scores multiplied by the root of the width that should divide them."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Softmax) or len(node.shape) < 3:
            continue
        scaled = m.parents(node)[0]
        for _ in range(3):  # a mask may stand between
            if issubclass(scaled.op_class, Where | Add) or scaled.op == "masked_fill":
                scaled = next((p for p in m.parents(scaled) if p.requires_grad), scaled)
        if not issubclass(scaled.op_class, Multiply | Divide):
            continue
        product = next((p for p in m.parents(scaled) if issubclass(p.op_class, Matmul)), None)
        if product is None:
            continue
        width = m.parents(product)[0].shape[-1]
        before, after = array_of(product.value), array_of(scaled.value)
        if before is None or after is None or before.shape != after.shape or not before.any():
            continue
        k = int(np.argmax(np.abs(before)))
        factor = float(after.reshape(-1)[k]) / float(before.reshape(-1)[k])
        if width > 1 and abs(factor / math.sqrt(width) - 1) < ROOT:
            yield Finding(
                rule="attention scores",
                severity=ERROR,
                text=f"the scores are multiplied by {factor:.3g}, the root of their width {width}",
                evidence=f"their deviation is {float(np.std(after)):.3g} before the softmax; "
                f"divided it would be {float(np.std(before)) / factor:.3g}",
                line=m.record.place(scaled),
                next="divide by it: scores / math.sqrt(d)",
                explains=(*FIT, "saturated units", "vanishing gradients"),
            )
            return


def scores_not_scaled(m: Material) -> Iterator[Finding]:
    """Attention scores whose size grows with their width, and whose softmax picks one of them."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Softmax) or len(node.shape) < 3 or node.shape[-1] < 4:
            continue
        if "log" in node.op or not _weighs(m, node):
            continue
        product = m.parents(node)[0]
        for _ in range(3):  # a mask may stand between
            if issubclass(product.op_class, Where | Add) or product.op == "masked_fill":
                product = next((p for p in m.parents(product) if p.requires_grad), product)
        if not issubclass(product.op_class, Matmul):
            continue
        scores = array_of(product.value)
        width = m.parents(product)[0].shape[-1]
        if scores is None or width < WIDE or not all(p.requires_grad for p in m.parents(product)):
            continue
        root = math.sqrt(width)
        now, divided = (_largest(np.asarray(scores, np.float64) / by) for by in (1.0, root))
        spread = float(np.std(scores))
        if now < PICKS_ONE or divided > LEAVES_MANY or not SIZE[0] < spread / root < SIZE[1]:
            continue
        yield Finding(
            rule="attention scores",
            severity=WARNING,
            text=f"the scores are not divided by the root of their width {width}: the softmax "
            "picks one place and has next to no gradient",
            evidence=f"their deviation is {spread:.3g}; the largest weight is {now:.2f} on average,"
            f" and {divided:.2f} with scores / {root:.3g}",
            line=m.record.place(node),
            next="scores / math.sqrt(d), or F.scaled_dot_product_attention",
            explains=("vanishing gradients", "cannot overfit"),
        )
        return


def _largest(scores: np.ndarray) -> float:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return float((e.max(-1) / e.sum(-1)).mean())


def _weighs(m: Material, weights: NodeRecord) -> bool:
    """Whether a softmax's results are weights of a sum of what was computed."""
    for _ in range(2):
        uses = [m.record.nodes[e.target] for e in m.record.outgoing[weights.id]]
        if any(issubclass(u.op_class, Matmul) for u in uses):
            return True
        weights = next((u for u in uses if u.op_class is Dropout), weights)
    return False


def mask_inverted(m: Material) -> Iterator[Finding]:
    """Attention that looks at the padding, and at nothing else."""
    pads = [(i, *found) for i, _, a in m.arrays if (found := padding_of(a)) is not None]
    for node in m.record.nodes:
        w = array_of(node.value)
        if not issubclass(node.op_class, Softmax) or w is None or w.ndim < 3:
            continue
        for i, pad, tail in pads:
            if w.shape[0] != tail.shape[0] or w.shape[-1] != tail.shape[1] or not _weighs(m, node):
                continue
            rows = tail.any(1) & ~tail.all(1)
            mass = np.asarray(w, np.float64).reshape(len(w), -1, w.shape[-1]).mean(1)[rows]
            there = tail[rows]
            share = float((mass * there).sum() / max(mass.sum(), 1e-12))
            if not rows.any() or share < ALL_OF_IT or there.mean() > 1 - (1 - ALL_OF_IT) * 4:
                continue
            yield Finding(
                rule="mask inverted",
                severity=ERROR,
                text=f"attention looks at the padding alone: its mask hides what is no {pad}",
                evidence=f"{share:.0%} of the weights are at the {pad}s that input {i} ends in, "
                f"{there.mean():.0%} of these rows",
                line=m.record.place(node),
                next="turn the mask round: in key_padding_mask True is what is hidden, tokens == "
                f"{pad}; in masked_fill, too",
                explains=(*FIT, "ignores its input", "padding counts", "mixing across the batch"),
            )
            return


# -- layers ----------------------------------------------------------------------------------------


def repeated(m: Material) -> Iterator[Finding]:
    """One layer that stands several times in a list of layers, as `[layer] * 4` makes it."""
    for path, module in m.model.named_modules():
        children = [c for c in module._modules.values() if c is not None]
        for i, child in enumerate(children):
            times = sum(c is child for c in children)
            if times < 2 or any(c is child for c in children[:i]):
                continue
            count = sum(p.size for p in child.parameters())
            if not count:
                continue
            kind = type(child).__name__
            yield Finding(
                rule="same layer repeated",
                severity=WARNING,
                text=f"{path or type(module).__name__} holds one and the same {kind} {times} times",
                evidence=f"they share {count} parameters: `[layer] * {times}` repeats the object, "
                "it makes no new ones",
                next=f"[make_layer() for _ in range({times})]; where sharing is meant, call one "
                "layer in a loop",
                explains=("cannot overfit",),
            )
            return


def one_sample(m: Material) -> Iterator[Finding]:
    """Batch normalisation over a batch of one."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, BatchNorm) or not m.record.incoming[node.id]:
            continue
        x = m.parents(node)[0]
        if len(x.shape) > 2 and x.shape[0] == 1 == m.rows and m.model.training:
            yield Finding(
                rule="batch of one sample",
                severity=WARNING,
                text="batch normalisation takes its statistics from a single sample",
                evidence=f"{node.label} of the shape {x.shape}: in evaluation it will use others",
                line=m.record.place(node),
                next="use larger batches, or nn.GroupNorm",
            )
            return
