"""What a rule of a diagnosis has found."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, HINT = "error", "warning", "hint"


@dataclass(kw_only=True)
class Finding:
    """One finding: its rule, how serious it is, what was seen, and what to do next."""

    rule: str
    severity: str
    text: str
    evidence: str
    line: str = ""
    next: str = ""
