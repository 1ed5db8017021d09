"""The step at which a training failed, as the Trainer knows it: what `failure.account` tells of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..batch import Batch


class Origin(NamedTuple):
    """A step before the failed one whose gradients were not finite, and what made them so."""

    step: int
    lines: list[tuple[str, str]]
    write: str = ""

    @property
    def text(self) -> str:
        """The lines, with a heading."""
        head = f"step {self.step} already had gradients that were not finite:"
        return "\n".join([head, *(f"  {line}" for _, line in self.lines)])


@dataclass
class Failed:
    """A step that failed, as the Trainer knows it: its batch, and the steps before."""

    batch: Batch
    #: What the loss was; None if the step raised.
    loss: float | None
    past: list[dict[str, Any]] = field(default_factory=list)
    #: Which input, parameter or layer was the first that was not finite.
    first: str = ""
    #: Of the steps before the first whose gradients were not all finite: its number and why.
    origin: Origin | None = None
