"""One reason for what a gradient is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Reason:
    """One reason: its kind, the sentence, the user's line, and what to do."""

    kind: str
    text: str
    line: str = ""
    fix: str = ""
