"""The rules of a diagnosis: each looks at the material and speaks only when it is sure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ....dtypes import FLOATING
from ....op import REGISTRY, Elementwise
from ....ops.activation import Relu
from ....ops.loss import CrossEntropy, NllLoss
from ...records.value import array_of, number, squares
from ..bad_numbers import bad_numbers
from ..why import why
from .finding import ERROR, WARNING, Finding
from .material import Material, rms
from .state import RULES as STATE_RULES

Rule = Callable[[Material], Iterator[Finding]]

# Where a rule begins to speak. Each bound lies well beyond what sound models show, so that a rule
# that speaks is right: `tests/see/test_diagnose.py` has models with the bug and without, for each.

#: A sum of probabilities may be so far from 1: half precision keeps three digits.
OFF_ONE = 0.01
#: Outputs that differ by less, of their size, are equal up to rounding in float32.
SAME_OUTPUT = 1e-5
#: Inputs, by their root mean square: standardised ones have 1, and bytes up to 255 are far above.
LARGE_INPUT, TINY_INPUT = 10, 1e-3
#: Fewer numbers or rows than this have no size that could be told.
ENOUGH_NUMBERS = 8
#: A feature whose deviation is so many times the median one drowns the others.
UNEVEN_FEATURES = 1000
#: Half of the units are off by chance for one sample; for all of so many samples none should be.
ENOUGH_SAMPLES, ENOUGH_UNITS = 16, 4
DEAD, NEARLY_ALL_DEAD = 0.6, 0.95
#: So near the end the derivative of tanh is below 2 % of its largest, that of sigmoid below 4 %.
NEAR_END = 0.01
#: The share of hidden values at the ends from which a layer hardly learns.
SATURATED = 0.5
#: The ratio of the first layer's gradient to the last one's, over so many layers at least.
VANISHES, EXPLODES, DEEP = 1e-4, 1e3, 4
#: The ratio of the whole gradient's norm to the weights', from which any step overshoots.
OVERSHOOTS = 1e3
#: Gradients of units that differ by less, of the largest, are equal up to rounding in float32.
SAME_GRADIENT = 1e-5
#: Steps that the losses of a rehearsal must have, to say where they go.
ENOUGH_STEPS = 5
#: The loss grows: to so many times the first one, and by more than noise, at the end ...
GROWN, GROWN_BY = 1.5, 0.05
#: ... or on the way, with steps of such a share of the weights.
LEAPT, LEAPT_BY, LARGE_STEP = 5, 1, 0.3
#: ‖Δw‖/‖w‖ of a step: 1e-3 is usual. Above the first it may be to blame for a loss that grows.
USUAL_STEP, SMALL_STEP = 1e-3, 3e-5
#: The loss stands still if it has changed by no more than this share.
STANDS_STILL = 1e-3
#: A batch is learnt by heart in so many steps, if so many parameters are there for each target ...
REHEARSED, FINISHED, ROOM = 150, 100, 4
#: ... and a step takes no longer than this many seconds. Less than a tenth learnt is nothing.
MOST_SECONDS, NOT_LEARNT, NEAR_ZERO = 0.1, 0.9, 1e-3


def not_finite(m: Material) -> Iterator[Finding]:
    """NaN or infinity in the loss or in a gradient."""
    found = bad_numbers(m.record) if m.has_graph else None
    bad = (found.forward or found.backward) if found is not None else None
    if bad is not None:
        text = f"the {bad.where} pass gives {number(bad.value)}: {bad.rule}"
        yield Finding(
            rule="not finite",
            severity=ERROR,
            text=text,
            evidence=f"first in {bad.node.label}",
            line=bad.line,
            next=bad.rewrite or "see.bad_numbers(loss)",
        )
    elif not math.isfinite(m.loss):
        yield Finding(
            rule="not finite",
            severity=ERROR,
            text=f"the loss is {m.loss}",
            evidence="computed on this batch",
            next="see.bad_numbers(loss)",
        )


def no_gradient(m: Material) -> Iterator[Finding]:
    """Parameters that this loss cannot train."""
    if not m.has_graph:
        yield Finding(
            rule="no gradient",
            severity=ERROR,
            text="the loss does not depend on any parameter",
            evidence="it carries no graph",
            next="see.why(parameter, recording)",
        )
        return
    cut, flat = [], []
    for name, p in m.parameters:
        if not p.requires_grad:
            continue
        g = m.gradient(p)
        if g is None:
            cut.append((name, p))
        elif not g.any() and p.array.any():
            flat.append((name, p))
    if cut:
        reason = why(cut[0][1], m.record).reasons
        evidence = f"{reason[0].kind}: {reason[0].text}" if reason else "no path to the loss"
        names = ", ".join(n for n, _ in cut[:4]) + (" …" if len(cut) > 4 else "")
        yield Finding(
            rule="no gradient",
            severity=ERROR,
            text=f"{len(cut)} parameters get no gradient: {names}",
            evidence=evidence,
            line=reason[0].line if reason else "",
            next="see.why(parameter, recording)",
        )
    weights = [n for n, p in flat if p.ndim >= 2]
    live = [n for n, _, g in m.weights if g.any()]
    if weights and live:
        reason = why(dict(m.parameters)[weights[0]], m.record).reasons
        # A factor of zeros may be a last layer that starts at 0 on purpose; a mask is not.
        masked = bool(reason) and reason[0].kind == "masked" and "a mask" in reason[0].text
        if masked or (reason and reason[0].kind in ("dead units", "flat", "not chosen")):
            yield Finding(
                rule="no gradient",
                severity=ERROR,
                text=f"the gradient of {weights[0]} is all zeros",
                evidence=f"{reason[0].kind}: {reason[0].text}",
                line=reason[0].line,
                next="see.why(parameter, recording)",
            )


def optimizer_parameters(m: Material) -> Iterator[Finding]:
    """The optimizer and the model do not have the same parameters."""
    if m.optimizer is None:
        return
    held = {id(p) for group in m.optimizer.param_groups for p in group["params"]}
    own = {id(p) for _, p in m.parameters}
    missing = [n for n, p in m.parameters if p.requires_grad and id(p) not in held]
    foreign = len(held - own)
    if missing:
        text = f"{len(missing)} trainable parameters are not in the optimizer: {missing[0]}"
        yield Finding(
            rule="optimizer",
            severity=ERROR,
            text=text + (" …" if len(missing) > 1 else ""),
            evidence=f"the optimizer holds {len(held)} parameters, "
            f"{foreign} of them not the model's",
            next="make the optimizer after the model is complete",
        )


def double_softmax(m: Material) -> Iterator[Finding]:
    """A loss that takes logits is given probabilities, or the other way round."""
    for node in m.record.nodes:
        takes = node.op_class.applies
        before = m.producer(node) if takes else None
        if before is not None and issubclass(before.op_class, REGISTRY[takes]):
            yield Finding(
                rule="double softmax" if takes == "softmax" else "double sigmoid",
                severity=ERROR,
                text=f"{node.op} gets the result of {takes}, and applies {takes} again",
                evidence=f"{before.label} feeds {node.label}",
                line=m.record.place(before),
                next=f"leave out the {takes}, and give the loss the logits",
            )
        elif node.op_class is CrossEntropy and before is not None and before.op_class is Relu:
            yield Finding(
                rule="clipped logits",
                severity=WARNING,
                text="a relu stands before the cross-entropy",
                evidence="no class can have a logit below 0",
                line=m.record.place(before),
                next="leave out the last relu",
            )
        if node.op_class is NllLoss:
            first = m.producer(node)
            x = None if first is None else array_of(first.value)
            if first is not None and x is not None and x.ndim >= 2:
                total = np.exp(np.asarray(x, np.float64)).sum(1)
                if np.max(np.abs(total - 1)) > OFF_ONE:
                    yield Finding(
                        rule="no log-probabilities",
                        severity=ERROR,
                        text="nll_loss gets numbers that are no log-probabilities",
                        evidence=f"Σ exp x is {total.min():.3g} to {total.max():.3g}, not 1",
                        line=m.record.place(first),
                        next="apply log_softmax, or use cross_entropy",
                    )


def broadcast_in_loss(m: Material) -> Iterator[Finding]:
    """(N, 1) meets (N,) and becomes (N, N)."""
    n = m.rows
    if n < 2:
        return
    for node in m.record.nodes:
        if not (issubclass(node.op_class, Elementwise) and node.op_class.differentiable):
            continue
        shapes = [m.record.nodes[e.source].shape for e in m.record.incoming[node.id]]
        if set(shapes) == {(n, 1), (n,)} and node.shape == (n, n):
            yield Finding(
                rule="silent broadcasting",
                severity=ERROR,
                text=f"({n}, 1) and ({n},) broadcast to ({n}, {n}) in {node.op}",
                evidence="every prediction is compared with every target",
                line=m.record.place(node),
                next="squeeze the prediction, or reshape the target",
            )
            return


def mixes_samples(m: Material) -> Iterator[Finding]:
    """The output of one sample depends on another."""
    found = m.mixing
    if found is not None:
        i, j = found
        yield Finding(
            rule="mixing across the batch",
            severity=ERROR,
            text=f"the output for sample {i} depends on sample {j}, in evaluation mode too",
            evidence="changing that sample alone changed the other's output",
            next="look for a reshape, softmax, mean or sum over axis 0",
        )


def ignores_input(m: Material) -> Iterator[Finding]:
    """All samples get the same output."""
    spread = m.spread
    if spread is not None and spread < SAME_OUTPUT:
        if any(p.ndim >= 2 and not p.array.any() for _, p in m.parameters):
            return  # a last layer that starts at 0 does the same, on purpose
        yield Finding(
            rule="ignores its input",
            severity=ERROR,
            text="every sample gets the same output",
            evidence=f"it differs by {spread:.1g} of its size over {m.rows} samples",
            next="look for dead units, a constant, or a softmax over the wrong axis",
        )


def unscaled_inputs(m: Material) -> Iterator[Finding]:
    """Inputs far from zero mean and unit size."""
    for i, x in enumerate(m.inputs):
        if x.dtype not in FLOATING or x.size < ENOUGH_NUMBERS:
            continue
        values = np.asarray(x.array, np.float64)
        size = rms(values)
        if not np.isfinite(size):
            continue
        if size > LARGE_INPUT:
            yield Finding(
                rule="unscaled inputs",
                severity=WARNING,
                text=f"input {i} has the size {size:.3g} (root mean square)",
                evidence=f"from {values.min():.3g} to {values.max():.3g}",
                next="subtract the mean and divide by the deviation of each feature",
            )
        elif 0 < size < TINY_INPUT:
            yield Finding(
                rule="unscaled inputs",
                severity=WARNING,
                text=f"input {i} is tiny: {size:.3g}",
                evidence=f"from {values.min():.3g} to {values.max():.3g}",
                next="was it scaled twice?",
            )
        elif values.ndim == 2 and values.shape[0] >= ENOUGH_NUMBERS:
            scales = values.std(0)
            scales = scales[scales > 0]
            if scales.size > 1 and scales.max() > UNEVEN_FEATURES * np.median(scales):
                yield Finding(
                    rule="unscaled inputs",
                    severity=WARNING,
                    text=f"the features of input {i} differ in scale",
                    evidence=f"deviations from {scales.min():.3g} to {scales.max():.3g}",
                    next="divide each feature by its deviation",
                )


def dead_units(m: Material) -> Iterator[Finding]:
    """ReLU units that are off for every sample."""
    for node in m.hidden:
        y = array_of(node.value)
        if node.op_class is not Relu or y is None or y.ndim < 2 or y.shape[0] < ENOUGH_SAMPLES:
            continue
        axis = 1 if y.ndim > 3 else y.ndim - 1
        rest = tuple(a for a in range(y.ndim) if a != axis)
        dead = float(np.mean(~np.any(y > 0, axis=rest)))
        if dead >= DEAD and y.shape[axis] >= ENOUGH_UNITS:
            severity = ERROR if dead > NEARLY_ALL_DEAD else WARNING
            yield Finding(
                rule="dead units",
                severity=severity,
                text=f"{dead:.0%} of the {y.shape[axis]} units of {node.label} are off for "
                f"all {y.shape[0]} samples",
                evidence="their output is 0 everywhere",
                line=m.record.place(node),
                next="lower the learning rate, look at the bias, or use leaky_relu",
            )


def saturated_units(m: Material) -> Iterator[Finding]:
    """Hidden units at the flat ends of tanh or sigmoid."""
    for node in m.hidden:
        y = array_of(node.value)
        ends = node.op_class.saturates
        if y is None or y.size < ENOUGH_SAMPLES or len(ends) < 2:
            continue
        flat = (y < ends[0] + NEAR_END) | (y > ends[1] - NEAR_END)
        share = float(flat.mean())
        if share > SATURATED:
            yield Finding(
                rule="saturated units",
                severity=WARNING,
                text=f"{share:.0%} of the values of {node.label} are at the ends of {node.op}",
                evidence="the derivative there is below 4 % of its largest",
                line=m.record.place(node),
                next="scale the inputs, or the initial weights, down",
            )


def gradient_scale(m: Material) -> Iterator[Finding]:
    """Gradients that vanish or explode on their way back through the layers."""
    sizes = [(n, rms(g), rms(p.array)) for n, p, g in m.weights]
    sizes = [s for s in sizes if s[1] > 0 and s[2] > 0 and np.isfinite(s[1])]
    if len(sizes) >= DEEP:
        (first, g1, _), (last, g2, _) = sizes[0], sizes[-1]
        shown = f"{first}: {g1:.2g}, {last}: {g2:.2g} (root mean square)"
        if g1 < VANISHES * g2:
            yield Finding(
                rule="vanishing gradients",
                severity=WARNING,
                text=f"the gradient falls by {g2 / g1:.0e} from {last} to {first}",
                evidence=shown,
                next="use relu with he initialisation, normalisation or skip connections",
            )
            return
        if g1 > EXPLODES * g2:
            yield Finding(
                rule="exploding gradients",
                severity=WARNING,
                text=f"the gradient grows by {g1 / g2:.0e} from {last} to {first}",
                evidence=shown,
                next="scale the initial weights down, normalise, or clip the gradient",
            )
            return
    if sizes and np.isfinite(m.loss):
        total = math.sqrt(squares(*(g for _, _, g in m.weights)))
        weights = math.sqrt(squares(*(p.array for _, p, _ in m.weights)))
        if total > OVERSHOOTS * max(weights, 1.0):
            yield Finding(
                rule="exploding gradients",
                severity=WARNING,
                text=f"the gradient's norm is {total:.2g}, the weights' {weights:.2g}",
                evidence="one step of any ordinary learning rate overshoots",
                next="scale inputs and initial weights down, or clip the gradient",
            )


def initial_loss(m: Material) -> Iterator[Finding]:
    """A classifier whose first loss is far above log K."""
    k, op = m.classes, m.loss_op
    if k is None or k < 2 or op is None or op.op_class not in (CrossEntropy, NllLoss):
        return
    if op.shape != () or op.attributes.get("reduction") != "'mean'":
        return
    expected = math.log(k)
    if np.isfinite(m.loss) and m.loss > 2 * expected + 1:
        logits = np.asarray(m.output.numpy(), np.float64)
        yield Finding(
            rule="initial loss",
            severity=WARNING,
            text=f"the loss is {m.loss:.3g}; guessing would give log {k} = {expected:.3g}",
            evidence=f"the outputs have a deviation of {logits.std():.3g}: sure, and wrong",
            next="make the last layer's initial weights smaller, or scale the inputs",
        )


def symmetric(m: Material) -> Iterator[Finding]:
    """Units that start equal and stay equal."""
    for name, p, g in m.weights:
        w = np.asarray(p.array, np.float64).reshape(p.shape[0], -1)
        d = np.asarray(g, np.float64).reshape(p.shape[0], -1)
        if len(w) < 2 or (w != w[:1]).any():
            continue
        if np.max(np.abs(d - d[:1])) <= SAME_GRADIENT * np.max(np.abs(d), initial=0.0):
            kind = "0" if not w.any() else "equal"
            yield Finding(
                rule="symmetric initialisation",
                severity=ERROR,
                text=f"the {len(w)} units of {name} start {kind} and get equal gradients",
                evidence="they can never become different",
                next="initialise with random numbers (nn.init)",
            )
            return


def evaluation_mode(m: Material) -> Iterator[Finding]:
    """A model in evaluation mode at training time."""
    kinds = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "BatchNorm")
    names = (type(x).__name__ for x in m.model.modules())
    if not m.model.training and any(n.startswith(kinds) for n in names):
        yield Finding(
            rule="evaluation mode",
            severity=WARNING,
            text="the model is in evaluation mode",
            evidence="dropout and batch normalisation behave otherwise in training",
            next="model.train()",
        )


def learning_rate(m: Material) -> Iterator[Finding]:
    """Steps so large that the loss grows, or so small that nothing happens."""
    losses, updates = m.own_losses, list(m.updates.values())
    if len(losses) < ENOUGH_STEPS or not updates or not np.isfinite(losses[0]):
        return
    ratio = float(np.median(updates))
    last = float(np.mean(losses[-3:]))
    shown = (
        f"loss {losses[0]:.4g} → {losses[-1]:.4g} in {len(losses)} steps; ‖Δw‖/‖w‖ = {ratio:.1e}"
    )
    grew = not np.isfinite(last) or last > GROWN * losses[0] + GROWN_BY
    grew |= ratio > LARGE_STEP and max(losses) > LEAPT * losses[0] + LEAPT_BY
    if grew and ratio > USUAL_STEP:
        yield Finding(
            rule="learning rate too high",
            severity=WARNING,
            text="the loss grows on this very batch",
            evidence=shown,
            next="divide the learning rate by 10",
        )
    elif ratio < SMALL_STEP and abs(last - losses[0]) < STANDS_STILL * abs(losses[0]):
        yield Finding(
            rule="learning rate too low",
            severity=WARNING,
            text="the weights hardly move",
            evidence=shown,
            next="multiply the learning rate by 10 or more",
        )


def labels(m: Material) -> Iterator[Finding]:
    """A batch whose targets are all the same."""
    t = m.target
    labelled = t.dtype.kind in "iu" and t.size >= ENOUGH_SAMPLES and m.classes
    if labelled and len(np.unique(t.array)) == 1:
        yield Finding(
            rule="one class",
            severity=WARNING,
            text="all labels of the batch are the same",
            evidence=f"{t.size} times {int(t.array.flat[0])}",
            next="shuffle the data (DataLoader(shuffle=True)), and look at the labels",
        )


def overfits_one_batch(m: Material) -> Iterator[Finding]:
    """A network that cannot even learn one batch by heart."""
    size = sum(p.size for _, p in m.parameters if p.requires_grad)
    if not m.hidden or size < ROOM * m.target.size:
        return
    if not np.isfinite(m.loss) or m.cost > MOST_SECONDS:
        return
    losses = m.rehearsal(REHEARSED)
    if len(losses) < FINISHED or not np.isfinite(losses).all():
        return
    start = losses[0]
    if m.classes and m.loss_op is not None and m.loss_op.op_class is CrossEntropy:
        start = min(start, math.log(m.classes))
    best = min(losses[-10:])
    if best > NOT_LEARNT * start and start > NEAR_ZERO:
        yield Finding(
            rule="cannot overfit",
            severity=WARNING,
            text=f"{len(losses)} steps do not learn one batch",
            evidence=f"loss {losses[0]:.4g} → {losses[-1]:.4g} with Adam, learning rate 0.003",
            next="see.why for each parameter; look at loss and labels",
        )


#: In the order in which they are asked. Those below the line rehearse training.
RULES: tuple[Rule, ...] = (
    not_finite,
    no_gradient,
    optimizer_parameters,
    *STATE_RULES,
    double_softmax,
    broadcast_in_loss,
    mixes_samples,
    ignores_input,
    symmetric,
    unscaled_inputs,
    dead_units,
    saturated_units,
    gradient_scale,
    initial_loss,
    evaluation_mode,
    labels,
)
REHEARSING: tuple[Rule, ...] = (learning_rate, overfits_one_batch)
