"""Values and gradients that are set while one steps: what was typed, and what it makes others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...see.records.model import Record
from ...see.records.parts import NodeRecord
from ...see.records.value import array_of
from ...see.show.what_if import WhatIf, what_if

#: `[0, 2] = 5` sets one element; `[:, 0] = 5` a column.
_ELEMENT = re.compile(r"\s*\[(.+?)\]\s*=(?!=)\s*(.+)", re.DOTALL)

#: How a new value is typed.
EXAMPLE = "7   [[1, 2], [3, 4]]   value * 2   [0, 1] = 5"


class Changes:
    """What is set in a record, and the record that comes of it."""

    def __init__(self, record: Record, variables: Mapping[str, Any] | None = None):
        self.before = record
        #: The script's, for what is typed.
        self.variables = {**record.live.variables, **(variables or {})}
        self.now: WhatIf | None = None
        #: (the node's number, "value" or "upstream", what it is set to), in order.
        self._made: list[tuple[int, str, np.ndarray]] = []

    @property
    def record(self) -> Record:
        """The record as it is with all that is set."""
        return self.before if self.now is None else self.now.record

    def set(self, number: int, what: str, typed: str) -> WhatIf:
        """Set a node's "value" or "upstream" gradient to what was typed; tells what that changes.

        Raises ArgumentError (or another of Backlit's errors), and then nothing is set.
        """
        new = self._read(self.record.nodes[number], what, typed)
        made = [m for m in self._made if m[:2] != (number, what)]
        return self._take([*made, (number, what, new)])

    def undo(self) -> str:
        """Take the last setting back; says of what, or nothing if there was none."""
        if not self._made:
            return ""
        number, what, _ = self._made[-1]
        self._take(self._made[:-1])
        return f"the {what} of {self.before.nodes[number].label}"

    def _take(self, made: list[tuple[int, str, np.ndarray]]) -> WhatIf:
        found = what_if(
            self.before,
            {n: new for n, what, new in made if what == "value"},
            upstream={n: new for n, what, new in made if what == "upstream"},
        )
        self._made = made
        self.now = found if made else None
        return found

    def _read(self, node: NodeRecord, what: str, typed: str) -> Any:
        old = array_of(node.value if what == "value" else node.upstream)
        names = {
            **self.variables,
            "np": np,
            "value": array_of(node.value),
            "upstream": array_of(node.upstream),
            "gradient": array_of(node.upstream),
            "nan": np.nan,
            "inf": np.inf,
        }
        element = _ELEMENT.fullmatch(typed)
        try:
            if element is None:
                return _shaped(eval(typed.strip().replace("−", "-"), names), old)
            if old is None:
                raise ArgumentError(f"set: {node.label} has no {what} whose element could be set")
            new = old.copy()
            new[eval(f"np.s_[{element[1]}]", names)] = eval(element[2].replace("−", "-"), names)
            return new
        except ArgumentError:
            raise
        except Exception as error:  # whatever a typed expression raises is told
            raise ArgumentError(
                f"set: {typed.strip()!r:.60} is no value: {type(error).__name__}: {error}; as in "
                f"{EXAMPLE}"
            ) from None


def _shaped(new: Any, old: np.ndarray | None) -> Any:
    """What was typed; a list of numbers for an array of floats is one of them."""
    if isinstance(new, list | tuple) and old is not None and old.dtype.kind == "f":
        return np.asarray(new, dtype=np.float64)
    return new
