"""The rules about layers: what stands between them, and what they do to their inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .....nn.containers import Sequential
from .....nn.normalization import _BatchNorm
from .....op import Op
from .....ops.activation import Softmax
from .....ops.contraction import Linear, Matmul
from .....ops.convolution import Product
from .....ops.elementwise import Add, Astype, Divide, Multiply, Negative, Positive, Subtract
from .....ops.normalization import BatchNorm, Dropout, LayerNorm
from .....ops.pooling import MaxPool, MaxPoolPick, WindowSum
from .....ops.reductions import Mean, Sum
from ....records.from_block import recording
from ....records.parts import NodeRecord
from ...exits import crossings
from ..finding import ERROR, FIT, FLOW, WARNING, Finding
from ..material import FAILURES, Material

#: Dropout that leaves no more than this share.
LEAVES_LITTLE = 0.9
#: The share of a new batch in running statistics that leaves nothing of those before.
ALL_OF_IT = 0.9
#: A hidden state that is detached so often in one forward pass is detached at every step.
EACH_STEP = 3


_AFFINE: tuple[type[Op], ...] = (
    Negative,
    Positive,
    Astype,
    Sum,
    Mean,
    Dropout,
    BatchNorm,
    WindowSum,
)


def _carries(m: Material, node: NodeRecord) -> list[int] | None:
    """The inputs through which data reach an op that is affine in them; None if it is not."""
    data = [e.source for e in m.record.incoming[node.id] if e.source in m.of_inputs]
    op = node.op_class
    one = len(data) == 1
    if issubclass(op, Add | Subtract) or op.role == "mover":
        return data
    if issubclass(op, Linear | Matmul | Product | Multiply) and one:
        return data
    if issubclass(op, Divide) and one and m.record.incoming[node.id][0].source == data[0]:
        return data
    if issubclass(op, BatchNorm):
        return [m.record.incoming[node.id][0].source]  # its statistics are data, too, in training
    if issubclass(op, _AFFINE) and one:
        return data
    return None


def no_nonlinearity(m: Material) -> Iterator[Finding]:
    """Layers with nothing between them that is not linear: together they are one layer."""
    if m.output_id is None:
        return
    end = m.record.nodes[m.output_id]
    for _ in range(4):  # what stands after the last layer makes it no deeper
        end = m.moved(end)
        last = end.op_class
        if not (last.activation or last.applies or last.bounds is not None or last is Dropout):
            break
        before = m.parents(end)
        if not before:
            return
        end = before[0]
    learned = {n.id for _, p in m.parameters if (n := m.record.node_of(p)) is not None}
    widths: dict[int, tuple[int, ...]] = {}  # of the layers on the longest way to a node
    pooled = False
    needed, stack = {end.id}, [end.id]
    while stack:
        node = m.record.nodes[stack.pop()]
        if node.kind != "op" or node.id not in m.of_inputs:
            continue
        ways = [n for n in [e.source for e in m.record.incoming[node.id]] if n in m.of_inputs]
        if issubclass(node.op_class, MaxPool | MaxPoolPick):
            pooled, carried = True, ways[:1]
        else:
            found = _carries(m, node)
            if found is None:
                return
            carried = found
        new = [n for n in carried if n not in needed]
        needed.update(new)
        stack += new
    for number in sorted(needed):
        node = m.record.nodes[number]
        ways = [n for n in (e.source for e in m.record.incoming[number]) if n in widths]
        longest = max((widths[n] for n in ways), key=len, default=())
        weighs = issubclass(node.op_class, Linear | Matmul | Product)
        if weighs and any(p.id in learned for p in m.parents(node)):
            axis = 1 if issubclass(node.op_class, Product) else -1
            if not longest:
                longest = (m.parents(node)[0].shape[axis],)
            longest = (*longest, node.shape[axis])
        widths[number] = longest
    sizes = widths.get(end.id, ())
    if len(sizes) < 3:
        return
    if min(sizes[1:-1]) < min(sizes[0], sizes[-1]):
        return  # narrower inside than at both ends: that is a factorisation, which may be meant
    shown = " → ".join(map(str, sizes))
    but = "but for pooling there is no nonlinear function" if pooled else "all of it is linear"
    yield Finding(
        rule="no nonlinearity",
        severity=WARNING,
        text=f"{len(sizes) - 1} layers ({shown}) stand on each other with no activation between "
        "them",
        evidence=f"{but} from input to output, so the layers can do no more than "
        + ("fewer of them" if pooled else "one"),
        next="put an activation, as nn.ReLU(), after each layer but the last",
        explains=("cannot overfit", "initial loss"),
    )


def missing_activation(m: Material) -> Iterator[Finding]:
    """Two layers of a Sequential with no activation between, in a network that has some."""
    if not m.hidden:
        return
    for path, module in m.model.named_modules():
        if not isinstance(module, Sequential):
            continue
        before: tuple[str, Any] | None = None
        for name, layer in module.named_children():
            kind = type(layer).__name__
            if kind in ("Dropout", "Identity") or kind.startswith("BatchNorm"):
                continue
            wide = getattr(layer, "kernel_size", None)
            plain = kind == "Linear" or (
                kind in ("Conv1d", "Conv2d", "Conv3d") and getattr(layer, "groups", 1) == 1
                and max(wide if isinstance(wide, tuple) else (wide,)) > 1
            )  # fmt: skip
            if before is not None and plain and kind == before[1][0]:
                sizes = before[1][1], before[1][2], _sizes(layer)[1]
                if sizes[1] >= min(sizes[0], sizes[2]):
                    full = f"{path}." if path else ""
                    yield Finding(
                        rule="no nonlinearity",
                        severity=WARNING,
                        text=f"{full}{before[0]} and {full}{name} stand on each other with no "
                        "activation between them",
                        evidence=f"{sizes[0]} → {sizes[1]} → {sizes[2]}: together they are one "
                        "linear function",
                        next="put an activation between them, or leave one of them out",
                        explains=("cannot overfit",),
                    )
                    return
            before = (name, (kind, *_sizes(layer))) if plain else None


def _sizes(layer: Any) -> tuple[int, int]:
    if hasattr(layer, "in_features"):
        return int(layer.in_features), int(layer.out_features)
    return int(layer.in_channels), int(layer.out_channels)


def dropout(m: Material) -> Iterator[Finding]:
    """Dropout of the output, of nearly everything, and in evaluation."""
    end = None if m.output_id is None else m.moved(m.record.nodes[m.output_id])
    for node in m.record.nodes:
        if node.op_class is not Dropout:
            continue
        p = float(node.attributes.get("p", "0"))
        if p >= LEAVES_LITTLE:
            yield Finding(
                rule="dropout",
                severity=WARNING,
                text=f"dropout with p = {p:g} leaves {1 - p:.0%} of the values",
                evidence="p is the share that is dropped, not the one that is kept",
                line=m.record.place(node),
                next="use p = 0.1 to 0.5",
                explains=(*FIT, "ignores its input", "no gradient", "dropout on the output"),
            )
        elif node is end and p > 0 and m.t is not None:
            yield Finding(
                rule="dropout on the output",
                severity=WARNING,
                text=f"dropout is the last that is done: {p:.0%} of the outputs are 0",
                evidence=f"{node.label} is the model's output",
                line=m.record.place(node),
                next="put the dropout before the last layer",
                explains=("cannot overfit", "initial loss"),
            )


def dropout_in_evaluation(m: Material) -> Iterator[Finding]:
    """Dropout that goes on in evaluation mode."""
    if not any(n.op_class is Dropout for n in m.record.nodes):
        return
    with m.kept(), recording() as watched:
        m.model.train(False)
        try:
            m.call(*m.inputs)
        except FAILURES:
            return
    found = next((c for c in watched.calls if isinstance(c.op, Dropout)), None)
    if found is not None:
        yield Finding(
            rule="dropout in evaluation",
            severity=WARNING,
            text="values are dropped in evaluation mode, too",
            evidence="the model was called after eval()",
            line=found.where,
            next="use nn.Dropout, or functional.dropout(x, p, training=self.training)",
        )


def batch_norm(m: Material) -> Iterator[Finding]:
    """Batch normalisation whose statistics are not those of the data."""
    if not m.model.training:
        return
    for name, layer in m.model.named_modules():
        mean, var = getattr(layer, "running_mean", None), getattr(layer, "running_var", None)
        if not isinstance(layer, _BatchNorm) or not layer._mixes or mean is None or var is None:
            continue
        untouched = not mean.array.any() and (var.array == 1).all()
        trains = any(p.requires_grad for p in layer.parameters())
        if not layer.training and untouched and trains:
            text = f"{name} is in evaluation mode, and its statistics are those of a new layer"
            cure = "model.train(), or load statistics that were learned"
        elif layer.training and layer.momentum == 0:
            text = f"{name} has momentum 0: its running statistics never change"
            cure = "use momentum=0.1, the share that a new batch has in them"
        elif layer.training and layer.momentum is not None and layer.momentum >= ALL_OF_IT:
            yield Finding(
                rule="statistics of one batch",
                severity=WARNING,
                text=f"{name} has momentum {layer.momentum:g}: its running statistics are those of "
                "the last batch",
                evidence="here momentum is the share that the new batch has, not the old ones'",
                next=f"momentum={max(1 - layer.momentum, 0.01):.2g}, if other libraries' "
                f"{layer.momentum:g} was meant; 0.1 is usual",
            )
            return
        else:
            continue
        yield Finding(
            rule="frozen statistics",
            severity=WARNING,
            text=text,
            evidence=f"running mean {float(mean.array.mean()):.3g}, variance "
            f"{float(var.array.mean()):.3g} of {mean.size} channels",
            next=cure,
        )
        return


def evaluation_mode(m: Material) -> Iterator[Finding]:
    """A model in evaluation mode at training time."""
    kinds = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "BatchNorm")
    names = [type(x).__name__ for x in m.model.modules()]
    if not m.model.training and any(n.startswith(kinds) for n in names):
        yield Finding(
            rule="evaluation mode",
            severity=WARNING,
            text="the model is in evaluation mode",
            evidence="dropout and batch normalisation behave otherwise in training",
            next="model.train()",
        )


def one_number(m: Material) -> Iterator[Finding]:
    """A normalisation over one number, which leaves only its bias."""
    for node in m.record.nodes:
        count = 0
        x = m.parents(node)[0] if node.kind == "op" and m.record.incoming[node.id] else None
        if node.op_class is LayerNorm and x is not None:
            axes = int(node.attributes.get("naxes", "1"))
            count = math.prod(x.shape[len(x.shape) - axes :])
        if count == 1:
            yield Finding(
                rule="normalised over one number",
                severity=ERROR,
                text=f"{node.op} normalises groups of one number: all become its bias",
                evidence=f"its input has the shape {x.shape if x is not None else ()}",
                line=m.record.place(node),
                next="leave it out, or normalise over an axis with more numbers",
                explains=(*FIT, *FLOW),
            )
            return


def attention_axis(m: Material) -> Iterator[Finding]:
    """Attention whose weights are normalised over the queries."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Softmax) or len(node.shape) < 2:
            continue
        axis = int(node.attributes.get("axis", "-1"))
        axis = axis if axis >= 0 else axis + len(node.shape)
        weights = node
        for e in m.record.outgoing[weights.id]:
            use = m.record.nodes[e.target]
            if use.op_class is Dropout:
                weights = use
        for e in m.record.outgoing[weights.id]:
            use = m.record.nodes[e.target]
            if not issubclass(use.op_class, Matmul) or len(weights.shape) < 2:
                continue
            other = m.record.nodes[m.record.incoming[use.id][1 - e.position].source]
            summed = len(weights.shape) - (1 if e.position == 0 else 2)
            across = len(weights.shape) - (2 if e.position == 0 else 1)
            if axis == across and axis != summed and other.id in m.of_inputs:
                yield Finding(
                    rule="softmax over the wrong axis",
                    severity=ERROR,
                    text=f"the softmax normalises axis {axis}, and the product sums over axis "
                    f"{summed}",
                    evidence=f"weights of the shape {node.shape}: the weights that are summed do "
                    "not sum to 1",
                    line=m.record.place(node),
                    next=f"softmax over axis {summed - len(weights.shape)}",
                )
                return


def hidden_state(m: Material) -> Iterator[Finding]:
    """A recurrence whose state is detached at each step."""
    users: dict[tuple[int, str], list[NodeRecord]] = {}
    for c in crossings(m.record):
        source = m.record.nodes[c.source]
        if c.read is not None or source.kind != "op" or c.target > (m.output_id or 0):
            continue
        for e in m.record.onward(m.record.nodes[c.target], 3):
            before, use = m.record.nodes[e.source], m.record.nodes[e.target]
            if before.id != c.target and before.op_class.role != "mover":
                continue
            for w in m.parents(use):
                if w.kind == "parameter" and len(w.shape) > 1 and w is not before:
                    users.setdefault((w.id, source.op), []).append(use)
    for uses in users.values():
        if len(uses) >= EACH_STEP:
            yield Finding(
                rule="hidden state detached",
                severity=WARNING,
                text=f"a state is detached {len(uses)} times in one pass, before the same weights",
                evidence="each step learns from its own input alone: no gradient goes back in time",
                line=m.record.place(uses[0]),
                next="detach the state between batches, not between the steps of one",
            )
            return
