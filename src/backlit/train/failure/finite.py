"""Where the first number that is not finite comes from, when a loss has become one.

A line for the message of a training that stops, at the cost of one forward pass: it asks the batch,
the targets and the parameters, too, and keeps no value. `see.bad_numbers` is the account: it reads
a record, tells a number that matters from a mask of −∞, explains it, and goes through the backward
pass. `failure.flight` prints it when the step is done again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...nn import Module
from ...op import Op
from ...state import STATE, Setting, observing
from ...tape import Scope
from ...tensor import Tensor
from ...tree import flatten
from ..batch import Batch
from ..training import Training


def first_non_finite(training: Training, batch: Batch, turn: tuple[str, ...]) -> str:
    """Which input, parameter or layer is the first whose numbers are not all finite.

    Runs the model and the loss once more, eagerly and without a tape, and watches every op.
    """
    model, target = training.model, training.target_of(batch)
    of_target = {id(x) for x in flatten(target)[0]}
    for i, x in enumerate(x for x in flatten(batch)[0] if id(x) not in of_target):
        if not _finite(x):
            return f"the batch itself holds {_bad(x)} (input {i}): check the data"
    for x in flatten(target)[0]:
        if isinstance(x, Tensor) and not _finite(x):
            return f"the targets of the batch hold {_bad(x)}: check the data"
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        if not _finite(t):
            return (
                f"{name} holds {_bad(t)}, since the update before: "
                "the gradient was not finite or the learning rate is too high"
            )
    found: list[tuple[Op, Scope | None, Tensor]] = []

    def watch(op: Op, arguments: tuple[Any, ...], output: Tensor) -> None:
        if not found and not _finite(output):
            found.append((op, STATE.scope, output))

    with observing(watch, alone=True), Setting(grad_enabled=False):
        if not training.by_hand:
            for name in turn:
                training.outcome(batch, name or None)
    if not found:
        return "no layer, when run again: the computation is not repeatable"
    op, scope, output = found[0]
    return f"the output of {op.name} in {_place(scope, model)} holds {_bad(output)}"


def _place(scope: Scope | None, model: Module) -> str:
    if scope is None:
        return "the loss function"
    outermost = scope
    while outermost.parent is not None:
        outermost = outermost.parent
    return scope.path if outermost.module is model else f"the loss, {scope.path}"


def _finite(t: Tensor) -> bool:
    return t.dtype not in FLOATING or bool(np.isfinite(t.array).all())


def _bad(t: Tensor) -> str:
    nan, inf = int(np.isnan(t.array).sum()), int(np.isinf(t.array).sum())
    parts = [f"{n} {what}" for n, what in ((nan, "NaN"), (inf, "infinite")) if n]
    return f"{' and '.join(parts)} of {t.size:,} numbers"
