"""Values and gradients that are set one after the other: typed in a terminal, or on a page."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..records.changed import New
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.value import array_of
from .what_if import WhatIf, what_if

#: `[0, 2] = 5` sets one element; `[:, 0] = 5` a column.
_ELEMENT = re.compile(r"\s*\[(.+?)\]\s*=(?!=)\s*(.+)", re.DOTALL)

#: How a new value is typed, also where expressions are read.
EXAMPLE = "7   [[1, 2], [3, 4]]   [0, 1] = 5"
EXPRESSION = f"{EXAMPLE}   value * 2"


class Edits:
    """What is set in a record, and the record that comes of it.

    A text that is typed is a number, a list of numbers, or an element and what it becomes:
    `[0, 1] = 5`. With `names` it may be any expression of Python's, of them and of `np`, `value`,
    `gradient`: only for those who may run Python here anyway.

    >>> from backlit import tensor
    >>> from ..records.from_tape import record
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> edits = Edits(record((x * x).sum()))
    >>> edits.set("x", "value", "[1] = -3").output.text
    '5 → 10'
    >>> edits.undo(), edits.now
    ('the value of x', None)
    """

    def __init__(self, record: Record, names: Mapping[str, Any] | None = None):
        self.before = record
        self.names = names
        self.now: WhatIf | None = None
        #: (the node's number, "value" or "upstream", what it is set to), in order.
        self._made: list[tuple[int, str, New]] = []

    @property
    def record(self) -> Record:
        """The record as it is with all that is set."""
        return self.before if self.now is None else self.now.record

    def __len__(self) -> int:
        return len(self._made)

    def set(self, node: Any, what: str, new: New) -> WhatIf:
        """Set a node's "value", or the "upstream" gradient at it; tells what that changes.

        Raises one of Backlit's errors for what does not fit, and then nothing is set.
        """
        if what not in ("value", "upstream"):
            raise ArgumentError(f"set: what must be 'value' or 'upstream', got {what!r}")
        found = self.record.find(node)
        if isinstance(new, str):
            new = self._read(found, what, new)
        made = [m for m in self._made if m[:2] != (found.id, what)]
        return self._take([*made, (found.id, what, new)])

    def undo(self) -> str:
        """Take the last setting back; says of what, or nothing if there was none."""
        if not self._made:
            return ""
        number, what, _ = self._made[-1]
        self._take(self._made[:-1])
        return f"the {what} of {self.before.nodes[number].label}"

    def _take(self, made: list[tuple[int, str, New]]) -> WhatIf:
        found = what_if(
            self.before,
            {n: new for n, what, new in made if what == "value"},
            upstream={n: new for n, what, new in made if what == "upstream"},
        )
        self._made = made
        self.now = found if made else None
        return found

    def _read(self, node: NodeRecord, what: str, typed: str) -> Any:
        """The array that a text stands for."""
        old = array_of(node.value if what == "value" else node.upstream)
        element = _ELEMENT.fullmatch(typed)
        try:
            if element is None:
                return _shaped(self._evaluated(node, typed), old)
            if old is None:
                raise ArgumentError(f"set: {node.label} has no {what} whose element could be set")
            new = old.copy()
            place = ast.parse(f"x[{element[1]}]", mode="eval").body
            assert isinstance(place, ast.Subscript)
            new[_index(place.slice)] = self._evaluated(node, element[2])
            return new
        except ArgumentError:
            raise
        except Exception as error:  # whatever a typed text raises is told
            example = EXAMPLE if self.names is None else EXPRESSION
            raise ArgumentError(
                f"set: {typed.strip()!r:.60} is no value: {type(error).__name__}: {error}; as in "
                f"{example}"
            ) from None

    def _evaluated(self, node: NodeRecord, typed: str) -> Any:
        text = typed.strip().replace("−", "-")
        if self.names is None:
            return _literal(ast.parse(text, mode="eval").body)
        given = {
            "np": np,
            "value": array_of(node.value),
            "upstream": array_of(node.upstream),
            "gradient": array_of(node.upstream),
            "nan": math.nan,
            "inf": math.inf,
        }
        return eval(text, {**self.names, **given})


def _literal(e: ast.expr) -> Any:
    """A number, or a list of them; nothing that is typed is run."""
    if isinstance(e, ast.Constant) and isinstance(e.value, int | float):
        return e.value
    if isinstance(e, ast.Name) and e.id in ("nan", "inf"):
        return float(e.id)
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub | ast.UAdd):
        x = _literal(e.operand)
        return -x if isinstance(e.op, ast.USub) else x
    if isinstance(e, ast.List | ast.Tuple):
        return [_literal(x) for x in e.elts]
    raise ValueError("it must be a number, or a list of numbers")


def _index(e: ast.expr) -> Any:
    """What stands between the brackets, of whole numbers, slices and dots."""
    if isinstance(e, ast.Tuple):
        return tuple(_index(x) for x in e.elts)
    if isinstance(e, ast.Slice):
        return slice(*(None if x is None else _index(x) for x in (e.lower, e.upper, e.step)))
    if isinstance(e, ast.Constant) and e.value is ...:
        return ...
    return _literal(e)


def _shaped(new: Any, old: np.ndarray | None) -> Any:
    """What was typed; a list of numbers for an array of floats is one of them."""
    if isinstance(new, list | tuple) and old is not None and old.dtype.kind == "f":
        return np.asarray(new, dtype=np.float64)
    return new
