"""What is wrong with this model, this batch and this loss? Findings with evidence, or silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ....errors import ArgumentError
from ....nn.module import Module
from ....optim import Optimizer
from ....tensor import Tensor
from ...told import Told
from .finding import ERROR, HINT, WARNING, Finding
from .material import Material
from .rules import REHEARSING, RULES

__all__ = ["ERROR", "HINT", "WARNING", "Diagnosis", "Finding", "diagnose"]


@dataclass(repr=False)
class Diagnosis(Told):
    """The findings, the most serious first. No finding means that no rule was sure of one."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    asked: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __iter__(self) -> Any:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return bool(self.findings)

    def _lines(self) -> list[tuple[str, str]]:
        if not self.findings:
            return [("green", f"{self.subject}: {self.asked} rules found nothing")]
        styles = {ERROR: "bold red", WARNING: "bold yellow", HINT: "bold"}
        count = f"{len(self.findings)} finding{'' if len(self.findings) == 1 else 's'}"
        lines = [("bold", f"{self.subject}: {count}")]
        for f in self.findings:
            lines.append((styles[f.severity], f"  {f.severity}, {f.rule}: {f.text}"))
            lines.append(("", f"    evidence: {f.evidence}"))
            if f.line:
                lines.append(("cyan", f"    at {f.line}"))
            if f.next:
                lines.append(("green", f"    next: {f.next}"))
        return lines


def diagnose(
    model: Module,
    batch: Sequence[Any],
    loss_fn: Callable[..., Tensor],
    optimizer: Optimizer | None = None,
    *,
    rehearse: bool = True,
    seconds: float = 20.0,
) -> Diagnosis:
    """Look for the usual reasons why training fails, on one batch.

    `batch` is what a DataLoader gives: the model's inputs, then the target. With the optimizer its
    parameters and its learning rate are looked at too. `rehearse` trains on the batch for a moment;
    afterwards model, optimizer and random numbers are as before.

    >>> from backlit import nn, tensor
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1))
    >>> x = tensor([[0.5, -1.0], [1.0, 0.3], [-0.2, 0.7]])
    >>> found = diagnose(net, (x, tensor([0, 1, 1])), nn.CrossEntropyLoss(), rehearse=False)
    >>> found.findings[0].rule
    'double softmax'
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"diagnose: needs a Module, got {type(model).__name__}")
    return judged(Material(model, batch, loss_fn, optimizer, seconds), rehearse=rehearse)


def judged(material: Material, *, rehearse: bool = True) -> Diagnosis:
    """What the rules find in a material: `diagnose`, for a model that is called in another way."""
    findings: list[Finding] = []
    rules = RULES
    for rule in rules:
        findings += rule(material)
        if findings and findings[-1].rule == "not finite":
            break  # everything after it is a consequence
    serious = any(f.severity == ERROR for f in findings)
    if rehearse and not serious:
        rules = RULES + REHEARSING
        for rule in REHEARSING:
            findings += rule(material)
    order = {ERROR: 0, WARNING: 1, HINT: 2}
    findings.sort(key=lambda f: order[f.severity])
    return Diagnosis(type(material.model).__name__, findings, len(rules))
