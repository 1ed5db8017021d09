"""What a computation would have given with other values or gradients: `see.what_if`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..records.changed import New, changed
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.value import Value, array_of, number
from ..told import Told
from .words import name_of

#: More changes than this are counted, not listed.
MAX_LISTED = 40


@dataclass(frozen=True, slots=True)
class Change:
    """A value or a gradient that is another now. None: there was none, or there is none now."""

    node: NodeRecord
    what: str  # "value" or "gradient"
    before: Value | None
    after: Value | None

    @property
    def largest(self) -> float | None:
        """The largest difference of two elements; None where one of both is missing."""
        a, b = array_of(self.before), array_of(self.after)
        if a is None or b is None or a.size == 0:
            return None
        with np.errstate(all="ignore"):
            return float(np.abs(b.astype(np.float64) - a.astype(np.float64)).max())

    @property
    def short(self) -> str:
        """`3 → 12`; of an array its norm."""
        return " → ".join(_short(v) for v in (self.before, self.after))

    @property
    def text(self) -> str:
        """The same, of an array with the largest difference of an element."""
        if self.after is None or self.after.size == 1 or self.largest is None:
            return self.short
        return f"{self.short}, largest difference {number(self.largest, 3)}"

    def __repr__(self) -> str:
        return f"Change({name_of(self.node)}, {self.what}: {self.text})"


class WhatIf(Told):
    """A computation with changes, beside the one without; `record` is that of the changed one.

    Whatever reads a record takes a WhatIf: `see.draw(w)`, `see.steps(w)`.
    """

    def __init__(self, before: Record, record: Record, notes: list[str]):
        self.before = before
        self.record = record
        #: What could not be followed.
        self.notes = notes

    @cached_property
    def changes(self) -> list[Change]:
        """All values that are others now, in the order of computation; then the gradients, in that
        of the backward pass.
        """
        pairs = list(zip(self.before.nodes, self.record.nodes, strict=True))
        values = [Change(new, "value", old.value, new.value) for old, new in pairs]
        last = len(pairs)

        def when(pair: tuple[NodeRecord, NodeRecord]) -> tuple[int, int]:
            orders = [n.backward_order for n in pair if n.backward_order is not None]
            return max(orders, default=last), -pair[0].id

        found = sorted(pairs, key=when)
        gradients = [Change(new, "gradient", old.upstream, new.upstream) for old, new in found]
        return [c for c in (*values, *gradients) if not _same(c.before, c.after)]

    @property
    def output(self) -> Change | None:
        """The output's value before and after, also where it is the same."""
        if self.record.output is None:
            return None
        old, new = (r.nodes[self.record.output] for r in (self.before, self.record))
        return Change(new, "value", old.value, new.value)

    def __getitem__(self, what: Any) -> NodeRecord:
        """A node of the changed record, by its name or number."""
        return self.record.find(what)

    def _lines(self) -> list[tuple[str, str]]:
        lines: list[tuple[str, str]] = []
        output = self.output
        if output is not None:
            same = "" if not _same(output.before, output.after) else " (as it was)"
            lines.append(("bold", f"{name_of(output.node)}: {output.text}{same}"))
        changes = self.changes
        width = max([len(name_of(c.node)) for c in changes[:MAX_LISTED]], default=0)
        for c in changes[:MAX_LISTED]:
            given = "  (set)" if c.what in c.node.given else ""
            style = "green" if c.what == "value" else "red"
            lines.append((style, f"  {name_of(c.node):<{width}}  {c.what:<8}  {c.text}{given}"))
        if len(changes) > MAX_LISTED:
            lines.append(("dim", f"  … and {len(changes) - MAX_LISTED} more, in `changes`"))
        if not changes:
            lines.append(("dim", "  nothing changes"))
        return lines + [("yellow", f"  note: {note}") for note in self.notes]


def what_if(
    source: Any,
    values: Mapping[Any, New] | None = None,
    *,
    upstream: Mapping[Any, New] | None = None,
    beyond: bool = False,
) -> WhatIf:
    """What a computation would have given with some of its values set to others.

    The source is a record, a recording or a Tensor with its graph; the program does not run again,
    and nothing of it changes. `values` are set in the forward pass: inputs, parameters, and what
    ops computed. `upstream` are the gradients that arrive at nodes in the backward pass. Each is
    given by its name (or number, or Tensor) and set to an array, to one number for all elements, or
    to what a function makes of the value that it would have. What is set may be NaN or infinite.

    All that depends on it is computed again, with the same ops and the same random draws; the rest
    is taken over. A value that is set depends on nothing any more: a gradient arrives at it, and
    goes no further. With `beyond` it goes on through the op that made the value, which is then only
    shifted, as by `h + (new - h).detach()`. Numbers that the program read out of Tensors, and what
    it did because of them, stay as they were; that is told where it was seen.

    Raises ArgumentError for a name that is not there, ShapeError and DTypeError for what does not
    fit.

    >>> from backlit import tensor
    >>> x, y, z = (tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> q = x + y
    >>> f = q * z
    >>> print(what_if(f, {"q": 10.0}))
    f: −12 → −40
      q  value     3 → 10  (set)
      f  value     −12 → −40
      z  gradient  3 → 10
      y  gradient  −4 → none
      x  gradient  −4 → none
    >>> what_if(f, upstream={"q": 1.0}).record.find("x").upstream.item()
    1.0
    """
    record = as_record(source)
    return WhatIf(record, *changed(record, values or {}, upstream or {}, beyond))


def _short(v: Value | None) -> str:
    if v is None:
        return "none"
    if v.size == 1:
        return number(v.item())
    s = v.statistics
    bad = int(s["nan"] or 0) + int(s["inf"] or 0)
    return f"‖{number(s['norm'])}‖" + (f" and {bad} not finite" if bad else "")


def _same(a: Value | None, b: Value | None) -> bool:
    if a is b:
        return True
    x, y = array_of(a), array_of(b)
    if x is None or y is None:
        return False
    return np.array_equal(x, y, equal_nan=x.dtype.kind not in "OUS")
