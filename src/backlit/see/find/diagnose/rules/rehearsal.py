"""The rules that rehearse: a few steps of training, which are undone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .....ops.loss import CrossEntropy
from ..finding import WARNING, Finding
from ..material import Material

#: Steps that the losses of a rehearsal must have, to say where they go.
ENOUGH_STEPS = 5
#: The loss grows: by such a share of the first one, and by more than noise, at the end ...
GROWN, GROWN_BY = 0.5, 0.05
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


def learning_rate(m: Material) -> Iterator[Finding]:
    """Steps so large that the loss grows, or so small that nothing happens."""
    losses, updates = m.own_losses, list(m.updates.values())
    if len(losses) < 2 or not updates or not np.isfinite(losses[0]):
        return
    first, ratio = losses[0], float(np.median(updates))
    broke = not np.isfinite(losses[-1])
    if len(losses) < ENOUGH_STEPS and not broke:
        return
    last = float(np.mean(losses[-3:]))
    way = [first, *([max(losses)] if max(losses) > max(first, losses[-1]) else []), losses[-1]]
    shown = (
        f"loss {' → '.join(f'{x:.4g}' for x in way)} in {len(losses)} steps; ‖Δw‖/‖w‖ = {ratio:.1e}"
    )
    size = abs(first)
    grew = broke or last > first + GROWN * size + GROWN_BY
    leapt = max(losses) > first + (LEAPT - 1) * size + LEAPT_BY
    grew |= ratio > LARGE_STEP and leapt
    warms_up = any(
        0 <= float(g["lr"]) < float(g.get("initial_lr", g["lr"]))
        for g in (m.optimizer.param_groups if m.optimizer is not None else ())
    )
    if grew and ratio > USUAL_STEP:
        yield Finding(
            rule="learning rate too high",
            severity=WARNING,
            text="the loss grows on this very batch"
            + (", until it is not finite" if broke else ""),
            evidence=shown,
            next="divide the learning rate by 10"
            + ("; a sum over the batch makes steps as much larger as it has samples: take the mean"
               if _sums(m) else ""),
            explains=("cannot overfit",),
        )  # fmt: skip
    elif not any(g.any() for _, _, g in m.weights):
        return  # no rate moves what has no gradient
    elif ratio < SMALL_STEP and abs(last - first) < STANDS_STILL * size and not warms_up:
        yield Finding(
            rule="learning rate too low",
            severity=WARNING,
            text="the weights hardly move",
            evidence=shown,
            next="multiply the learning rate by 10 or more",
        )


def _sums(m: Material) -> bool:
    """Whether the loss is a sum over the batch: it has a gradient of size 1 at each output."""
    op = m.loss_op
    if op is not None:
        return op.attributes.get("reduction") == "'sum'"
    return any(n.op == "sum" and n.shape == () and n.id > (m.output_id or 0)
               for n in m.record.nodes[-2:])  # fmt: skip


def overfits_one_batch(m: Material) -> Iterator[Finding]:
    """A network that cannot even learn one batch by heart."""
    size = sum(p.size for _, p in m.parameters if p.requires_grad)
    if not m.hidden or m.t is None or size < ROOM * m.t.size:
        return
    if not np.isfinite(m.loss) or m.cost > MOST_SECONDS or not _has_a_floor_of_zero(m):
        return
    for rate, steps in ((3e-3, REHEARSED), (2e-2, 2 * REHEARSED), (1e-3, 4 * REHEARSED)):
        losses = m.rehearsal(steps, lr=rate)
        if len(losses) < FINISHED or not np.isfinite(losses).all():
            return
        start = losses[0]
        if m.classes and m.loss_op is not None and m.loss_op.op_class is CrossEntropy:
            start = min(start, math.log(m.classes))
        if min(losses[-10:]) <= NOT_LEARNT * start or start <= NEAR_ZERO:
            return
    yield Finding(
        rule="cannot overfit",
        severity=WARNING,
        text=f"{len(losses)} steps do not learn one batch",
        evidence=f"loss {losses[0]:.4g} → {losses[-1]:.4g} with Adam; learning rates of 0.001 to "
        "0.02 were tried",
        next="see.why for each parameter; look at loss and labels",
    )


def _has_a_floor_of_zero(m: Material) -> bool:
    """Whether the loss is 0 where every target is met: then nothing but a fault keeps it up."""
    if m.labels is not None and m.loss_op is not None and m.loss_op.op_class is CrossEntropy:
        return (
            float(m.loss_op.attributes.get("label_smoothing", "0")) == 0 and m.classes is not None
        )
    return m.fits_targets == -1 and (m.loss_of(m.t) or 0.0) <= 1e-3 * abs(m.loss)
