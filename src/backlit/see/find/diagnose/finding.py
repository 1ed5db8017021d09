"""What a rule of a diagnosis has found."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, HINT = "error", "warning", "hint"

#: What is seen of many causes: signals that get lost on their way through the layers ...
FLOW = (
    "no gradient", "ignores its input", "dead units", "saturated units", "vanishing gradients",
    "exploding gradients",
)  # fmt: skip
#: ... and losses that do not do what they should.
FIT = ("initial loss", "learning rate too high", "learning rate too low", "cannot overfit")


@dataclass(kw_only=True)
class Finding:
    """One finding: its rule, how serious it is, what was seen, and what to do next.

    `explains` names rules whose findings are consequences of this one: they are not told beside it.
    """

    rule: str
    severity: str
    text: str
    evidence: str
    line: str = ""
    next: str = ""
    explains: tuple[str, ...] = ()
