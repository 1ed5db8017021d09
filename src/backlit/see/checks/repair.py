"""One change of a text that makes the gradients right, and which of several is the likeliest."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any

#: What each word that a change adds or takes away puts to its rank.
WORD = 0.01
#: A name with its attributes and a number in brackets (x.shape[0]), or a sign.
_WORD = r"[\w.]+(?:\[\d+\])?|[^\w\s()]"


@dataclass
class Repair:
    """One change that mends the gradients of these inputs, and what was wrong then."""

    function: str
    line: int
    old: str
    new: str
    kind: str
    words: str
    rank: float
    positions: tuple[int, ...]
    made: Any  # the changed backward
    size: str  # the number, of elements or another, that was put in, as it is written
    equals: list[str] = field(default_factory=list)  # others that nothing tells from it

    @property
    def far_fetched(self) -> float:
        """The rank with how many names, numbers and signs the change takes away or adds."""
        old, new = (re.findall(_WORD, side) for side in (self.old, self.new))
        steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        words = sum(max(b - a, d - c) for how, a, b, c, d in steps if how != "equal")
        return self.rank + WORD * words + 0.1 * WORD * (len(new) - len(old))


def told_of_equals(found: list[Repair]) -> list[Repair]:
    """One repair for those that differ in a size alone, or in a number that is as large: no other
    sizes could tell them apart.
    """
    told: dict[tuple[int, str, str], Repair] = {}
    for r in found:
        form = "…".join(r.new.rsplit(r.size, 1)) if r.size else r.new
        first = told.setdefault((r.line, r.old, form), r)
        if first is not r:
            first.equals.append(r.size)
    return list(told.values())


def one_for_each(partly: list[Repair]) -> list[Repair]:
    """The simplest repair of each input that can be mended on its own."""
    chosen: dict[tuple[int, ...], Repair] = {}
    for repair in sorted(partly, key=lambda r: (-len(r.positions), r.rank)):
        if not any(set(repair.positions) <= set(known) for known in chosen):
            chosen[repair.positions] = repair
    return list(chosen.values())
