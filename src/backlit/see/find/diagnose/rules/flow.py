"""The rules about what flows through a network: values forward, gradients back."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .....ops.activation import Relu
from ....records.parts import NodeRecord
from ....records.value import array_of, squares
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import Material, rms

#: Half of the units are off by chance for one sample; for all of so many samples none should be.
ENOUGH_SAMPLES, ENOUGH_UNITS = 16, 4
DEAD, NEARLY_ALL_DEAD = 0.6, 0.95
#: As many units are off by chance less often than this; their inputs lie so far below 0.
NO_CHANCE, FAR_OFF = 1e-3, -3.0
#: So near the end the derivative of tanh is below 2 % of its largest, that of sigmoid below 4 %.
NEAR_END = 0.01
#: The share of hidden values at the ends from which a layer hardly learns.
SATURATED = 0.5
#: The ratio of the first layer's gradient to the last one's, over so many layers at least.
VANISHES, EXPLODES, DEEP = 1e-4, 1e3, 4
#: The ratio of the whole gradient's norm to the weights', from which any step overshoots.
OVERSHOOTS = 1e3
#: A step that changes the weights by so little of their size does not overshoot, though.
SMALL_STEP = 0.1


def ignores_input(m: Material) -> Iterator[Finding]:
    """All samples get the same output."""
    spread = m.spread
    if spread is None or m.y is None:
        return
    rounding = 1e-5 if m.y.dtype.itemsize >= 4 else 4e-3
    if spread >= rounding:
        return
    if any(p.ndim >= 2 and not p.array.any() for _, p in m.parameters):
        return  # a last layer that starts at 0 does the same, on purpose
    sizes = [rms(g) for _, _, g in m.weights]
    if sizes and sizes[0] > 1e-3 * max(sizes) > 0:
        return  # the first layer learns: a code, for example, that all samples share at first
    yield Finding(
        rule="ignores its input",
        severity=ERROR,
        text="every sample gets the same output",
        evidence=f"it differs by {spread:.1g} of its size over {m.rows} samples",
        next="look for dead units, a constant, or a softmax over the wrong axis",
        explains=FIT,
    )


def dead_units(m: Material) -> Iterator[Finding]:
    """ReLU units that are off for every sample."""
    for node in m.hidden:
        y = array_of(node.value)
        if node.op_class is not Relu or y is None or y.ndim < 2 or y.shape[0] < ENOUGH_SAMPLES:
            continue
        axis = 1 if y.ndim > 3 else y.ndim - 1
        rest = tuple(a for a in range(y.ndim) if a != axis)
        off = ~np.any(y > 0, axis=rest)
        dead = float(np.mean(off))
        if dead >= DEAD and y.shape[axis] >= ENOUGH_UNITS and _beyond_chance(m, node, off, rest):
            severity = ERROR if dead > NEARLY_ALL_DEAD else WARNING
            yield Finding(
                rule="dead units",
                severity=severity,
                text=f"{dead:.0%} of the {y.shape[axis]} units of {node.label} are off for "
                f"all {y.shape[0]} samples",
                evidence="their output is 0 everywhere",
                line=m.record.place(node),
                next="lower the learning rate, look at the bias, or use leaky_relu",
                explains=(*FIT, "ignores its input", "no gradient"),
            )


def _beyond_chance(m: Material, node: NodeRecord, off: np.ndarray, rest: tuple[int, ...]) -> bool:
    """Whether so many units are off by more than the chance of their biases' signs.

    Where the inputs are small beside the biases, each unit is on or off for all samples.
    """
    n, count = off.size, int(off.sum())
    chance = sum(math.comb(n, k) for k in range(count, n + 1)) / 2**n
    before = m.parents(node)
    x = array_of(before[0].value) if before else None
    deep = x is not None and float(np.median(np.max(x, axis=rest)[off])) < FAR_OFF
    return chance < NO_CHANCE or deep


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
                explains=FIT,
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
                explains=(*FIT, "ignores its input"),
            )
            return
        if g1 > EXPLODES * g2:
            yield Finding(
                rule="exploding gradients",
                severity=WARNING,
                text=f"the gradient grows by {g1 / g2:.0e} from {last} to {first}",
                evidence=shown,
                next="scale the initial weights down, normalise, or clip the gradient",
                explains=FIT,
            )
            return
    if sizes and np.isfinite(m.loss):
        total = math.sqrt(squares(*(g for _, _, g in m.weights)))
        weights = math.sqrt(squares(*(p.array for _, p, _ in m.weights)))
        steps = list(m.updates.values())
        small = (
            bool(steps) and float(np.median(steps)) < SMALL_STEP
        )  # the rate, or Adam, sees to it
        if total > OVERSHOOTS * max(weights, 1.0) and not small:
            yield Finding(
                rule="exploding gradients",
                severity=WARNING,
                text=f"the gradient's norm is {total:.2g}, the weights' {weights:.2g}",
                evidence="one step of any ordinary learning rate overshoots",
                next="scale inputs and initial weights down, or clip the gradient",
                explains=FIT,
            )
