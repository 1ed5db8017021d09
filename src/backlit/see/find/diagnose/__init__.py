"""What is wrong with this model, this batch and this loss? Findings with evidence, or silence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ....errors import ArgumentError
from ....nn.module import Module
from ....optim import Optimizer
from ....tensor import Tensor
from ...told import Told
from .finding import ERROR, HINT, WARNING, Finding
from .material import Material
from .rules import FIRST, OF_A_LOSS, REHEARSING, RULES

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
        count = f"{len(self.findings)} finding{'' if len(self.findings) == 1 else 's'}"
        lines = [("bold", f"{self.subject}: {count}")]
        for f in self.findings:
            lines += [(style, f"  {text}") for style, text in f._lines()]
        return lines


def diagnose(
    model: Module,
    batch: Sequence[Any],
    loss_fn: Callable[..., Tensor],
    optimizer: Optimizer | None = None,
    *,
    data: Any = None,
    validation: Any = None,
    schedule: Any = None,
    step: Callable[..., Any] | None = None,
    evaluate: Callable[..., Any] | None = None,
    clip_norm: float | None = None,
    rehearse: bool = True,
    seconds: float = 20.0,
) -> Diagnosis:
    """Look for the usual reasons why training fails, on one batch.

    `batch` is what a DataLoader gives: the model's inputs, then the target. The more is given, the
    more is looked at:

    - `optimizer`: its parameters, settings and state, and what its steps do to the loss.
    - `data`, `validation`: loaders, data sets or tuples of arrays, inputs and then targets. Are
      they shuffled, are rows in both, do targets belong to their inputs?
    - `step`: your training step, a function of the batch's entries, of the batch, or of nothing.
      It is called six times: does it call what it must, in order, and let go of its graphs?
    - `schedule`: the learning-rate schedule that it steps.
    - `clip_norm`: the limit that the training sets to the norm of the gradients.
    - `evaluate`: your evaluation, called once, as `step` is: is the model in evaluation mode?

    `rehearse` trains on the batch for a moment, and calls `step` and `evaluate`; afterwards model,
    optimizer, schedule and random numbers are as before. What `step` writes elsewhere (into a list,
    a file) stays.

    >>> from backlit import nn, tensor
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1))
    >>> x = tensor([[0.5, -1.0], [1.0, 0.3], [-0.2, 0.7]])
    >>> found = diagnose(net, (x, tensor([0, 1, 1])), nn.CrossEntropyLoss(), rehearse=False)
    >>> found.findings[0].rule
    'double softmax'
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"diagnose: needs a Module, got {type(model).__name__}")
    for name, function in (("step", step), ("evaluate", evaluate)):
        if function is not None and not callable(function):
            raise ArgumentError(
                f"diagnose: {name} must be a function, got {type(function).__name__}"
            )
    material = Material(
        model, batch, loss_fn, optimizer, seconds, data=data, validation=validation,
        schedule=schedule, step=step, evaluate=evaluate,
        clip_norm=clip_norm,
    )  # fmt: skip
    return judged(material, rehearse=rehearse)


def judged(material: Material, *, rehearse: bool = True) -> Diagnosis:
    """What the rules find in a material: `diagnose`, for a model that is called in another way."""
    findings: list[Finding] = []
    asked = 0

    def ask(rules: Sequence[Callable[..., Any]]) -> None:
        nonlocal asked
        asked += len(rules)
        for rule in rules:
            findings.extend(rule(material))

    def diagnosis() -> Diagnosis:
        found = [replace(f, line=_placed(f.line, material)) for f in told(findings)]
        return Diagnosis(type(material.model).__name__, found, asked)

    if material.several:
        ask(OF_A_LOSS)
        return diagnosis()
    ask(FIRST)
    stops = {"the step raises", "labels out of range", "not finite", "bad data"}
    if material.error is None and not any(f.rule in stops for f in findings):
        ask(RULES)
        if rehearse:
            ask(REHEARSING)
    return diagnosis()


def _placed(line: str, material: Material) -> str:
    """A place, without the line that asks for the diagnosis: of a layer stays which one it is."""
    here = material.here
    if not here or not (line == here or line.startswith((f"{here},", f"{here}:"))):
        return line
    rest = line.removeprefix(here)
    layer = rest.removeprefix(", ").split(": ")[0] if rest.startswith(", in ") else ""
    return ", ".join(filter(None, (material.called_at, layer)))


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for those that say the same of several ops or layers."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for f in findings:
        same = re.sub(r"\b[a-z]\w*_\d+\b|[\d.e+-]+%?", "…", f.text)
        groups.setdefault((f.rule, f.severity, same, f.next), []).append(f)
    found = []
    for first, *others in groups.values():
        names = [re.findall(r"\b[a-z]\w*_\d+\b", f.text) for f in others]
        where = [n[0] if n else f.line.partition(", in ")[2].split(":")[0]
                 for n, f in zip(names, others, strict=True)]  # fmt: skip
        more = ""
        if others:
            told = ", ".join(dict.fromkeys(filter(None, where[:6]))) or f"{len(others)} more"
            more = f"; the same of {told}" + (" …" if len(others) > 6 else "")
        found.append(replace(first, evidence=first.evidence + more))
    return found


def told(findings: Sequence[Finding]) -> list[Finding]:
    """The findings to tell: causes, without what they explain, the most serious first."""
    explained = {rule for f in findings for rule in f.explains if rule != f.rule}
    causes = {f.rule for f in findings} - explained
    # Two that explain each other: the first that was asked stays.
    kept = [
        f for i, f in enumerate(findings)
        if f.rule in causes or not any(
            f.rule in g.explains and (g.rule in causes or j < i)
            for j, g in enumerate(findings) if g is not f
        )
    ]  # fmt: skip
    order = {ERROR: 0, WARNING: 1, HINT: 2}
    return sorted(_once(kept), key=lambda f: order[f.severity])
