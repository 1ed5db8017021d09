"""The rule that samples do not meet: where the result for one comes to depend on another.

One sample is changed, and the model runs again. The first op whose result changes for others, while
what it got had changed for that one alone, is where they meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .....autograd import no_grad
from .....op import Elementwise, Op, Reduction
from .....ops.contraction import Linear, Matmul
from .....ops.convolution import Product
from .....ops.elementwise import Divide, Subtract
from .....ops.indexing import (
    Gather,
    PutAlongAxisAdd,
    ScatterAdd,
    ScatterExtreme,
    Take,
    TakeAdd,
    TakeAlongAxis,
)
from .....ops.recurrence import Recurrence
from .....ops.reductions import Argsort
from ....records.from_block import Call, recording
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import FAILURES, Material, is_floating

#: Outputs that differ by more, of their size, are not equal up to rounding.
OTHER = 1e-4


@dataclass(frozen=True)
class Meeting:
    """Sample i's output depends on sample j, where that begins, and what is done with it then."""

    i: int
    j: int
    call: Call
    #: Whether what was computed of many samples is subtracted from each, or divides it.
    normalises: bool


def mixes_samples(m: Material) -> Iterator[Finding]:
    """The output of one sample depends on another."""
    found = _meeting(m)
    if found is None:
        return
    op, kind = found.call.op, found.call.op.name
    runs = isinstance(op, Recurrence) or _is_time_first(found.call)
    if not runs and (_relates(op) or (isinstance(op, Reduction) and not found.normalises)):
        return  # as in a graph, or a set: samples meet there on purpose
    if op.role == "mover":
        cure = f"{kind} moves numbers from sample to sample: keep the batch the first axis"
    elif runs:
        if not _first_is_the_batch(m):
            return
        cure = "the layer takes axis 0 for time: batch_first=True, or put time first"
    else:
        axis = getattr(op, "axis", None)
        cure = f"{kind} joins samples" + (f" (axis={axis})" if axis is not None else "")
        cure += ": use another axis than 0"
    yield Finding(
        rule="mixing across the batch",
        severity=WARNING if runs and m.t is not None and m.t.ndim > 1 else ERROR,
        text=f"the output for sample {found.i} depends on sample {found.j}, in evaluation mode too",
        evidence=f"changing that sample alone changed the other's output, first in {kind}",
        line=found.call.where,
        next=cure,
        explains=(*FIT, "ignores its input", "no log-probabilities", "sees the future",
                  "softmax over the wrong axis", "targets not matched", "context is not used",
                  "reshape in place of transpose"),
    )  # fmt: skip


def _is_time_first(call: Call) -> bool:
    """Whether an op belongs to a layer of sequences that takes axis 0 for time."""
    scope = call.scope
    while scope is not None:
        if getattr(scope.module, "batch_first", True) is False:
            return True
        scope = scope.parent
    return False


def _first_is_the_batch(m: Material) -> bool:
    """Whether axis 0 is the batch: by a target for each sample, else by a size as batches have.

    With a target for each place of each sequence both may be meant.
    """
    shape = m.arrays[0][1].shape if m.arrays else ()
    if m.t is None or m.t.ndim < 2 or len(shape) < 2 or m.t.shape[:2] != shape[:2]:
        return True
    powers = [n >= 4 and n & (n - 1) == 0 for n in shape[:2]]
    return powers[0] and not powers[1]


def _relates(op: Op) -> bool:
    relate = (
        Matmul, Linear, Product, Elementwise, Gather, Take, TakeAlongAxis, ScatterAdd, TakeAdd,
        PutAlongAxisAdd, ScatterExtreme, Argsort,
    )  # fmt: skip
    return isinstance(op, relate)


def _axis_one_is_the_batch(m: Material) -> bool:
    """Whether time comes first: the target has as many rows as axis 1 of the input."""
    shape: tuple[int, ...] = m.arrays[0][1].shape if m.arrays else ()
    if m.t is None or m.t.ndim == 0 or len(shape) < 2:
        return False
    if m.t.shape == shape and np.array_equal(m.arrays[0][2][1:], m.t[:-1]):
        return True  # the next element, along axis 0
    return m.t.shape[0] == shape[1] != shape[0]


def _meeting(m: Material) -> Meeting | None:
    y0 = m.evaluated
    if y0 is None or m.rows < 2 or y0.ndim == 0 or y0.shape[0] != m.rows:
        return None
    if _axis_one_is_the_batch(m) or not np.isfinite(y0).all():
        return None
    if any(x.shape[:1] not in ((m.rows,), ()) for _, x, _ in m.arrays):
        return None  # as the edges of a graph
    again = m.run(*m.inputs, training=False)
    if again is None or not np.array_equal(again, y0):
        return None  # the model draws numbers
    for j in (0, m.rows - 1):
        other = 1 if j == 0 else 0
        changed = list(m.inputs)
        for i, x, a in m.arrays:
            if x.shape[:1] == (m.rows,):
                array = np.array(a)
                array[j] = array[other] * (0.5 if is_floating(x) else 1)
                changed[i] = m.with_input(i, array)[i]
        y1 = m.run(*changed, training=False)
        if y1 is None or y1.shape != y0.shape:
            return None
        rest = [i for i in range(m.rows) if i != j]
        scale = float(np.max(np.abs(y0[rest]), initial=0.0)) or 1.0
        off = np.abs(y1[rest] - y0[rest]).reshape(len(rest), -1).max(1)
        if off.max() > OTHER * scale:
            where = _where(m, changed, j)
            return None if where is None else Meeting(rest[int(np.argmax(off))], j, *where)
    return None


def _where(m: Material, changed: list, j: int) -> tuple[Call, bool] | None:
    """The first op that hands on to others what only sample j had."""
    runs = []
    for inputs in (m.inputs, changed):
        with m.kept(), no_grad(), np.errstate(all="ignore"), recording() as watched:
            m.model.train(False)
            try:
                m.call(*inputs)
            except FAILURES:
                return None
        runs.append(watched.calls)
    if len(runs[0]) != len(runs[1]):
        return None
    # A weight is no sample's; it does not change either, and so stays out of this by itself.
    for a, b in zip(*runs, strict=True):
        if type(a.op) is not type(b.op) or a.array.shape != b.array.shape:
            return None
        if _apart(a.array, b.array, m.rows, j):
            continue
        given = [(x, z) for x, z in zip(a.arrays, b.arrays, strict=True)
                 if isinstance(x, np.ndarray) and isinstance(z, np.ndarray)]  # fmt: skip
        if all(x.shape == z.shape and _apart(x, z, m.rows, j) for x, z in given):
            uses = [c.op for c in runs[0] if any(x is a.y for x in c.inputs)]
            return a, any(isinstance(op, Subtract | Divide) for op in uses)
        return None
    return None


def _apart(a: np.ndarray, b: np.ndarray, rows: int, j: int) -> bool:
    """Whether two arrays differ on one axis, or part of an axis, at sample j only."""
    differs = np.asarray(a != b)
    if a.dtype.kind in "f":
        scale = float(np.max(np.abs(a), initial=0.0)) or 1.0
        with np.errstate(invalid="ignore"):
            differs &= np.abs(np.subtract(a, b, dtype=np.float64)) > 1e-6 * scale
    if not differs.any():
        return True
    for axis, size in enumerate(a.shape):
        if size % rows:
            continue
        at = np.unique(np.nonzero(differs)[axis])
        block = size // rows
        if (at // block == j).all() or (at % rows == j).all():
            return True
    return False
