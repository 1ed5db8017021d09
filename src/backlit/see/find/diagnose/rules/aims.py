"""The rules about what a loss asks for: where it falls, and whether that is what was meant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .....ops.elementwise import Add, Divide, Multiply, Negative, Square, Subtract
from .....ops.indexing import Gather, TakeAlongAxis
from .....ops.loss import (
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    Classification,
    CrossEntropy,
    Loss,
    NllLoss,
    Pairwise,
    SoftCrossEntropy,
)
from .....ops.reductions import Extreme, Mean, Sum
from .....optim import Adam
from .....tensor import Tensor
from ....records.parts import NodeRecord
from ....records.value import array_of
from ..finding import ERROR, FIT, FLOW, Finding
from ..material import Material
from .logits import not_one, total

#: Outputs go down a slope for so many steps, and as many again. A sum falls twice as far then, and
#: a square four times; of models that take longer than this it is not asked.
STEPS, FASTER, MOST_SECONDS = 40, 3.0, 0.05
#: What is left of a loss that has escaped from its targets.
ESCAPED = 1e-3
#: Gradients, and differences of losses, that are 0 up to rounding.
NOTHING = 1e-4
#: Noise beside outputs that are all alike; so many times it must not make the loss smaller.
NOISE, DRAWS = 0.05, 6

#: What puts single losses together.
_SUMS = (Mean, Sum, Negative, Divide, Multiply)


def without_bound(m: Material) -> Iterator[Finding]:
    """A loss that falls ever faster as the outputs grow: there is nothing for it to arrive at."""
    heads = m.heads
    if not heads or not np.isfinite(m.loss) or _weighs_against(m):
        return
    grads = m.slopes(heads)
    if not any(g is not None and np.isfinite(g).all() and g.any() for g in grads):
        return

    first, *further = _descended(m, heads)
    if len(further) < 2 or not first > further[0] > further[1] or not further[1] < 0:
        return
    near, far = further
    if first - far > FASTER * (first - near):
        yield Finding(
            rule="loss without bound",
            severity=ERROR,
            text="the loss falls without end, ever faster, as the outputs grow",
            evidence=f"{first:.4g} here; {near:.3g} and {far:.3g} after the outputs themselves "
            f"went down its gradient for {STEPS} and {2 * STEPS} steps",
            next="look at the signs of its terms: an error, a divergence or a distance that is to "
            "become small has a plus",
            explains=(*FIT, *FLOW, "learning rate too high"),
        )


def _weighs_against(m: Material) -> bool:
    """Whether samples are weighed, some of them negatively: so are actions that brought in little.

    What they are to become is less likely, and a likelihood has no lower bound.
    """
    for node in m.record.nodes:
        if not issubclass(node.op_class, Multiply) or not node.requires_grad:
            continue
        for p in m.parents(node):
            w = array_of(p.value)
            if p.requires_grad or w is None or p.id in m.of_inputs:
                continue
            one_each = node.shape and w.size == node.shape[0] > 1
            if one_each and (w < 0).any():
                return True
    return False


def _descended(m: Material, heads: list[np.ndarray]) -> list[float]:
    """The losses before, midway and at the end of steps that move the outputs themselves.

    Each goes at a speed of its own (Adam): a loss that falls as a sum does falls twice as far in
    twice the steps, one that falls as a square does four times as far.
    """
    if m.cost > MOST_SECONDS:
        return [m.loss]
    at = [Tensor(a.astype(np.float64), requires_grad=True) for a in heads]
    rates = [0.5 * (1 + float(np.sqrt(np.mean(a.array * a.array)))) for a in at]
    groups = [{"params": [a], "lr": rate} for a, rate in zip(at, rates, strict=True)]
    walk = Adam(groups, betas=(0.9, 0.99), eps=1e-12)
    losses: list[float] = []
    for step in range(1, 2 * STEPS + 2):
        given = [a.array.astype(h.dtype) for a, h in zip(at, heads, strict=True)]
        if step in (1, STEPS + 1, 2 * STEPS + 1):
            loss = m.loss_at(given)
            if loss is None or np.isnan(loss):
                return losses
            losses.append(loss)
            if loss == -np.inf:
                return [*losses, -np.inf]
        for a, g in zip(at, m.slopes(given), strict=True):
            finite = g is not None and np.isfinite(g).all()
            a.grad = Tensor(g.astype(np.float64)) if finite and g is not None else None
        walk.step()
    return losses


def escapes(m: Material) -> Iterator[Finding]:
    """A loss that one output alone can make 0, whatever the targets: nothing weighs against it."""
    heads = m.heads
    first = m.loss_at(heads) if heads else None
    if first is None or not first > 0 or m.rows < 2 or m.labels is not None:
        return
    if any(issubclass(n.op_class, Classification) for n in m.record.nodes):
        return  # of one class, say it always
    columns: list[tuple[int, int | None]] = (
        [(k, None) for k in range(len(heads))] if len(heads) > 1 else []
    )
    if len(heads) == 1 and heads[0].ndim == 2 and 2 <= heads[0].shape[1] <= 4:
        columns = [(0, c) for c in range(heads[0].shape[1])]
    others = [np.roll(a, 1, axis=0) if a.ndim else a for a in heads]
    for k, c in columns:
        for end in (40.0, -40.0):
            losses = [m.loss_at(_set(given, k, c, end)) for given in (heads, others)]
            if any(x is None or not 0 <= x < ESCAPED * first for x in losses):
                continue
            g = m.slopes(_set(heads, k, c, end / 8))[k]
            g = g if g is None or c is None else g[:, c]
            if g is None or not (np.sign(g) == -np.sign(end)).all():
                continue
            name = f"output {k}" if c is None else f"column {c} of the output"
            yield Finding(
                rule="loss escapes its targets",
                severity=ERROR,
                text=f"the loss becomes 0 as {name} grows towards {end / 40:+.0f} · ∞, whatever the"
                " targets",
                evidence=f"{first:.4g} here; {losses[0]:.2g} with {name} at {end:g}, and "
                f"{losses[1]:.2g} with the other outputs given to other samples",
                next="something must grow with it, as log σ in a normal likelihood does",
                explains=FIT,
            )
            return


def _set(heads: list[np.ndarray], k: int, column: int | None, value: float) -> list[np.ndarray]:
    made = [np.array(a) for a in heads]
    made[k][... if column is None else (slice(None), column)] = value
    return made


def collapses(m: Material) -> Iterator[Finding]:
    """Outputs that are compared with outputs alone: they may all become one."""
    heads = m.heads
    grads = m.slopes(heads) if len(heads) > 1 else []
    trained = m.trained_heads
    if len(trained) != len(heads):
        return
    free = [i for i, g in enumerate(grads) if g is not None and g.any() and trained[i]]
    if len(free) < 2 or len({heads[i].shape for i in free}) > 1:
        return
    shape, kind = heads[free[0]].shape, heads[free[0]].dtype
    if len(shape) < 2 or shape[0] < 4 or shape[1] < 2:
        return
    random = np.random.default_rng(0)

    def at(make: object) -> list[np.ndarray]:
        made = list(heads)
        for i in free:
            made[i] = np.asarray(make() if callable(make) else make).astype(kind)
        return made

    size = float(np.sqrt(np.mean(np.square(heads[free[0]], dtype=np.float64)))) or 1.0
    one = np.broadcast_to(size * random.normal(size=shape[1:]), shape)
    alike, first = m.loss_at(at(one)), m.loss_at(heads)
    if alike is None or first is None or not alike < first - NOTHING * abs(first):
        return
    slopes = m.slopes(at(one))
    steep = max(float(np.abs(grads[i]).max()) for i in free)  # type: ignore[arg-type]
    flat = max(float(np.abs(slopes[i]).max()) if slopes[i] is not None else 0.0 for i in free)  # type: ignore[arg-type]
    if not flat <= 1e-2 * steep:
        return
    tiny = NOTHING * (first - alike)
    apart = [m.loss_at(at(lambda: one + NOISE * size * random.normal(size=shape)))
             for _ in range(DRAWS)]  # fmt: skip
    spread = m.loss_at(at(size * random.normal(size=shape)))
    if spread is None or any(x is None or not x > alike + tiny / 100 for x in apart):
        return
    if spread < alike - tiny:
        return  # something is won where the samples differ
    yield Finding(
        rule="collapses",
        severity=ERROR,
        text="the loss is at its lowest where every sample gets the same output",
        evidence=f"{first:.4g} here, {alike:.4g} with one output for all, and never less around "
        "it: nothing holds different samples apart",
        next="add negative pairs (a margin, InfoNCE) or a term for the variance; or detach() one "
        "side, with a predictor before the other",
        explains=FIT,
    )


def exchanged(m: Material) -> Iterator[Finding]:
    """A loss whose target is the model's output, and whose input is the data."""
    kinds = (BinaryCrossEntropy, BinaryCrossEntropyWithLogits, SoftCrossEntropy, NllLoss)
    for node in m.record.nodes:
        if not issubclass(node.op_class, kinds):
            continue
        parents = m.parents(node)
        given = m.argument(node, "target")
        if given is None or not given.requires_grad or parents[0].requires_grad:
            continue
        yield Finding(
            rule="arguments exchanged",
            severity=ERROR,
            text=f"{node.op} gets the model's output as its target, and the data as its input",
            evidence="the gradient goes back through `target`; the input requires none",
            line=m.record.place(node),
            next="the prediction comes first: loss(output, target)",
            explains=(*FIT, *FLOW, "targets do not fit", "no log-probabilities", "wrong sign",
                      "not finite", "loss escapes its targets", "loss without bound"),
        )  # fmt: skip
        return


# -- what is learned from rewards ------------------------------------------------------------------


def bootstrapped(m: Material) -> Iterator[Finding]:
    """A target made of a reward and the same networks' own value, through which gradients go."""
    for node in m.record.nodes:
        if issubclass(node.op_class, Pairwise) or (
            issubclass(node.op_class, Subtract) and _squared(m, node)
        ):
            sides = m.parents(node)[:2]
        else:
            continue
        if len(sides) < 2 or not all(s.requires_grad for s in sides):
            continue
        for target in sides:
            if _of_a_reward(m, m.moved(target)):
                yield Finding(
                    rule="target is trained",
                    severity=ERROR,
                    text=f"the gradient of {node.op} goes back through its target, too",
                    evidence="the target is data, as rewards, and a share of what a network says; "
                    "both sides of the difference are moved towards each other",
                    line=m.record.place(m.moved(target)),
                    next="compute the target under no_grad(), or detach() it",
                    explains=FIT,
                )
                return


def _squared(m: Material, node: NodeRecord) -> bool:
    uses = [m.record.nodes[e.target] for e in m.record.outgoing[node.id]]
    return any(issubclass(u.op_class, Square) or u.op == "pow" for u in uses)


def _of_a_reward(m: Material, node: NodeRecord) -> bool:
    """Whether this is data plus a scaled share of values that carry a gradient."""
    if not issubclass(node.op_class, Add):
        return False
    sides = [m.moved(p) for p in m.parents(node)]
    if len(sides) != 2 or sides[0].requires_grad == sides[1].requires_grad:
        return False
    data, value = sorted(sides, key=lambda n: n.requires_grad)
    a = array_of(data.value)
    if a is None or a.size < 2 or data.kind == "parameter" or np.ptp(a) == 0:
        return False
    scaled = False
    for _ in range(6):
        if issubclass(value.op_class, Extreme):
            return True
        if not issubclass(value.op_class, Multiply):
            break
        scaled = True
        onward = [m.moved(p) for p in m.parents(value) if p.requires_grad]
        if len(onward) != 1:
            return False
        value = onward[0]
    return scaled


def _picked(m: Material) -> Iterator[tuple[NodeRecord, float]]:
    """Log-probabilities of actions that were taken, and the sign that they have there."""
    for node in m.record.nodes:
        if not node.requires_grad:
            continue
        if issubclass(node.op_class, TakeAlongAxis | Gather):
            x = m.parents(node)[0]
            a = array_of(x.value)
            if a is None or a.ndim < 2 or a.shape[-1] < 2 or not x.requires_grad:
                continue
            if np.abs(total(a) - 1).max() < 1e-3:
                yield node, 1.0
        elif issubclass(node.op_class, CrossEntropy | NllLoss) and node.shape != ():
            yield node, -1.0


def _weighed(m: Material, node: NodeRecord) -> tuple[NodeRecord, float] | None:
    """What each log-probability is multiplied by, and the sign with which."""
    sign = 1.0
    for _ in range(8):
        uses = [m.record.nodes[e.target] for e in m.record.outgoing[node.id]]
        uses = [u for u in uses if u.requires_grad]
        if len(uses) != 1:
            return None
        use = uses[0]
        if issubclass(use.op_class, Negative):
            sign = -sign
        elif issubclass(use.op_class, Multiply):
            others = [p for p in m.parents(use) if p is not node]
            if len(others) != 1 or len(others[0].shape) == 0:
                return None
            return others[0], sign
        elif use.op_class.role != "mover":
            return None
        node = use
    return None


def policy_gradients(m: Material) -> Iterator[Finding]:
    """Log-probabilities of actions, weighed by what they brought in: sign, and gradient."""
    for node, own in _picked(m):
        found = _weighed(m, node)
        g = array_of(node.upstream)
        if found is None or g is None:
            continue
        weight, _ = found
        if weight.requires_grad:
            if own < 0 or not issubclass(m.moved(weight).op_class, Subtract):
                continue  # weights of samples may be learned
            yield Finding(
                rule="target is trained",
                severity=ERROR,
                text="what the log-probabilities are weighed by carries a gradient",
                evidence=f"{weight.label} depends on parameters: the loss of the actions trains "
                "what judges them, too",
                line=m.record.place(weight),
                next="detach() the advantage in the loss of the actions",
                explains=FIT,
            )
            return
        w = array_of(weight.value)
        base = m.moved(weight)
        turned = issubclass(base.op_class, Negative)
        if turned:
            w = array_of(m.parents(base)[0].value)
        if w is None or w.size != g.size or not (w > 0).any() or np.ptp(w) == 0:
            continue
        along = float(np.sum(np.asarray(g, np.float64).reshape(-1) * np.asarray(w).reshape(-1)))
        if along * own > 0:
            yield Finding(
                rule="wrong sign",
                severity=ERROR,
                text="the loss makes actions that brought in more less likely",
                evidence="its gradient at each log-probability has the sign of what that action "
                f"is weighed by, from {float(w.min()):.3g} to {float(w.max()):.3g}",
                line=m.record.place(node),
                next="turn the sign: loss = -(log_prob * advantage).mean()",
                explains=(*FIT, *FLOW),
            )
            return


def own_scores(m: Material) -> Iterator[Finding]:
    """A likelihood that is the score of the right class itself, and not a log-probability."""
    if m.output_id is None or m.several or not isinstance(m.loss, float):
        return
    if any(issubclass(n.op_class, Loss) for n in m.record.nodes):
        return
    for node in m.record.nodes:
        if not issubclass(node.op_class, TakeAlongAxis | Gather) or not node.requires_grad:
            continue
        x = m.parents(node)[0]
        if m.moved(x) is not m.moved(m.record.nodes[m.output_id]):
            continue
        a, g = array_of(x.value), array_of(node.upstream)
        if a is None or g is None or a.ndim != 2 or a.shape[1] < 2 or not (g < 0).all():
            continue
        totals = total(a)
        probabilities = (a >= 0).all() and np.abs(a.sum(-1) - 1).max() < 1e-3
        if np.abs(totals - 1).max() < 1e-2 or probabilities or np.ptp(g) > 1e-6 * abs(g).max():
            continue
        after = [n for n in m.record.nodes[node.id + 1 :] if n.requires_grad]
        if all(issubclass(n.op_class, _SUMS) or n.op_class.role == "mover" for n in after):
            yield Finding(
                rule="no log-probabilities",
                severity=ERROR,
                text="the loss is minus the score of each sample's own class: it has no end",
                evidence=not_one(totals),
                line=m.record.place(node),
                next="take log_softmax of the scores first, or cross_entropy",
                explains=(*FIT, "wrong sign"),
            )
            return
