"""Where the first number that is not finite comes from, when a loss has become one.

A line for the message of a training that stops. The step's forward pass is recorded once more, and
the number followed back through it as `see.bad_numbers` does, which `failure.flight` prints when
the step is done again: both name the same place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dtypes import FLOATING
from ...see.find.births import forward_birth
from ...see.records.from_block import Recording
from ...see.records.model import Record
from ...see.records.parts import NodeRecord
from ...see.records.value import array_of
from ...state import Setting, observing
from ...tensor import Tensor
from ...tree import flatten
from ..batch import Batch
from ..training import Training


def first_non_finite(training: Training, batch: Batch, turn: tuple[str, ...]) -> str:
    """Which input, parameter or layer is the first whose numbers are not all finite.

    Runs the model and the loss once more, eagerly and without a tape, and records every op.
    """
    given = list(_given(training, batch))
    watched, loss = Recording(), None
    if not training.by_hand:
        with observing(alone=True), Setting(grad_enabled=False), watched:
            for name in turn:
                loss = training.outcome(batch, name or None).loss
                if not _finite(loss):
                    break
    found = None
    if loss is not None and any(call.y is loss for call in watched.calls):
        record = watched.of(loss)
        found = forward_birth(record)
    if found is not None and found.node.kind == "op":
        return _made(training, record, found.node)
    bad = [(t, text) for t, text in given if not _finite(t)]
    if found is not None:  # a mask of −∞ among the inputs is none
        bad.sort(key=lambda pair: pair[0].array is not array_of(found.node.value))
    if bad:
        t, text = bad[0]
        return text.format(_bad(t.array))
    return "no layer, when run again: the computation is not repeatable"


def _given(training: Training, batch: Batch) -> Iterator[tuple[Tensor, str]]:
    """What a step starts from, and what is said of it if it is not finite."""
    target = training.target_of(batch)
    of_target = {id(x) for x in flatten(target)[0]}
    for i, x in enumerate(x for x in flatten(batch)[0] if id(x) not in of_target):
        if isinstance(x, Tensor):
            yield x, f"the batch itself holds {{}} (input {i}): check the data"
    for x in flatten(target)[0]:
        if isinstance(x, Tensor):
            yield x, "the targets of the batch hold {}: check the data"
    model = training.model
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        text = f"{name} holds {{}}, since the update before: the gradient was not finite or the "
        yield t, text + "learning rate is too high"


def _made(training: Training, record: Record, node: NodeRecord) -> str:
    """What is said of the op that made the number."""
    array = array_of(node.value)
    assert array is not None
    outermost = node.scope
    while outermost is not None and record.scopes[outermost].parent is not None:
        outermost = record.scopes[outermost].parent
    path = record.scope_path(node.scope)
    if outermost is None:
        place = "the loss function"
    else:
        of_model = record.scopes[outermost].type == type(training.model).__name__
        place = path if of_model else f"the loss, {path}"
    return f"the output of {node.op} in {place} holds {_bad(array)}"


def _finite(t: Tensor) -> bool:
    return t.dtype not in FLOATING or bool(np.isfinite(t.array).all())


def _bad(array: np.ndarray) -> str:
    nan, inf = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    parts = [f"{n} {what}" for n, what in ((nan, "NaN"), (inf, "infinite")) if n]
    return f"{' and '.join(parts)} of {array.size:,} numbers"
