"""What a rule of a diagnosis has found."""

from __future__ import annotations

from dataclasses import dataclass

from ...told import Told

ERROR, WARNING, HINT = "error", "warning", "hint"

#: What is seen of many causes: signals that get lost on their way through the layers ...
FLOW = (
    "no gradient", "ignores its input", "dead units", "saturated units", "vanishing gradients",
    "exploding gradients",
)  # fmt: skip
#: ... and losses that do not do what they should.
FIT = ("initial loss", "learning rate too high", "learning rate too low", "cannot overfit")


_STYLES = {ERROR: "bold red", WARNING: "bold yellow", HINT: "bold"}


@dataclass(kw_only=True, repr=False)
class Finding(Told):
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

    def _lines(self) -> list[tuple[str, str]]:
        lines = [(_STYLES[self.severity], f"{self.severity}, {self.rule}: {self.text}")]
        lines.append(("", f"  evidence: {self.evidence}"))
        if self.line:
            place = self.line if self.line.startswith("in ") else f"at {self.line}"
            lines.append(("cyan", f"  {place}"))
        if self.next:
            lines.append(("green", f"  next: {self.next}"))
        return lines
