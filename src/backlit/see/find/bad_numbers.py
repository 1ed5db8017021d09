"""Where the first NaN or infinity came from, which rule broke there, and what to write instead.

Where it is born says `births`. What may be written instead says `rewrites`; each of these is run in
the recorded computation (`rerun`), and only one with which no bad number is left is offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ops.activation import MaskedSoftmax
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.value import array_of
from ..told import Told
from .births import BadNumber, first_index, forward_birth
from .gradient_births import backward_birth
from .rerun import cure


@dataclass(repr=False)
class BadNumbers(Told):
    """The first bad number in the forward pass and in the backward pass; None: all are finite.

    `unseen` names the first row of attention that its mask leaves nothing, and that would be NaN
    with an ordinary softmax: its weights are 0, which is well unless it is meant to see something.
    """

    forward: BadNumber | None = None
    backward: BadNumber | None = None
    unseen: str = ""

    def __bool__(self) -> bool:
        return self.forward is not None or self.backward is not None

    def _lines(self) -> list[tuple[str, str]]:
        found = [b for b in (self.forward, self.backward) if b is not None]
        if found:
            return [line for b in found for line in b._lines()]
        well = "no NaN and no infinity reaches the output or a gradient"
        return [("green", f"{well}; {self.unseen}" if self.unseen else well)]


def bad_numbers(source: Any) -> BadNumbers:
    """Find the first NaN or infinity of a record, a recording, or a Tensor's graph.

    >>> import backlit as bl
    >>> x = bl.tensor([1.0, 0.0], requires_grad=True)
    >>> found = bad_numbers(bl.sqrt(x).sum())
    >>> found.forward is None, found.backward.index, found.backward.rule
    (True, (1,), 'the derivative of √x at 0 is infinite')
    """
    record = as_record(source)
    forward, backward = forward_birth(record), backward_birth(record)
    for found in (forward, backward):
        if found is not None:
            cure(record, found)
    return BadNumbers(forward, backward, _unseen(record))


def _unseen(record: Record) -> str:
    """The first row of a masked softmax in which all weights are 0."""
    for node in record.nodes:
        array = array_of(node.value)
        if not issubclass(node.op_class, MaskedSoftmax) or array is None:
            continue
        empty = np.asarray(~array.any(axis=-1))
        if empty.any():
            row = ", ".join(map(str, first_index(empty)))
            return f"the mask leaves nothing to {node.label}[{row}], whose weights are all 0"
    return ""
