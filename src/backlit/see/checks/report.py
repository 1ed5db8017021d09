"""The result of a check: a verdict, the causes with their evidence, and what was compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..told import Told
from .case import Cause
from .compare import Finding

CORRECT, WRONG, UNDECIDED = "correct", "wrong", "undecided"


@dataclass(repr=False)
class CheckResult(Told):
    """What `check` found.

    `verdict` is "correct", "wrong" or "undecided" (randomness, or nothing that could be compared),
    `causes` the explanations that fit, the first-ranked first, `line` where the wrong op was
    applied or defined, `notes` what was noticed and not blamed on the code, `nodes` the results
    for the single nodes of a model, `known` what is true of a wrong gradient that nothing explains.
    """

    subject: str
    verdict: str = CORRECT
    causes: list[Cause] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    line: str = ""
    compared: int = 0
    nodes: list[CheckResult] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the gradients were compared and found right."""
        return self.verdict == CORRECT

    @property
    def wrong(self) -> list[CheckResult]:
        """The nodes of a model that are wrong, in the order of the forward pass."""
        return [n for n in self.nodes if n.verdict == WRONG]

    @property
    def unjudged(self) -> list[CheckResult]:
        """The nodes of a model that could not be compared, in the order of the forward pass."""
        return [n for n in self.nodes if n.verdict == UNDECIDED]

    def __bool__(self) -> bool:
        return self.ok

    def _lines(self) -> list[tuple[str, str]]:
        """(style, text) for each line."""
        mark = {CORRECT: ("green", "✓"), WRONG: ("red", "✗"), UNDECIDED: ("yellow", "?")}
        style, sign = mark[self.verdict]
        lines = [(f"bold {style}", f"{sign} {self.subject}: {self._headline()}")]
        if self.line:
            lines.append(("cyan", f"  at {self.line}"))
        wrong = [f for f in self.findings if f.wrong]
        for f in wrong:
            lines.append(("", f"  {f.wrong} of {f.compared} elements wrong; {f.worst}"))
        for place, cause in enumerate(self.causes, 1):
            lines.append(("bold", f"  {place}. {cause.title}"))
            if cause.evidence:
                lines.append(("dim", f"     evidence: {cause.evidence}"))
            if cause.fix:
                lines.append(("", f"     fix: {cause.fix}"))
        if self.verdict == WRONG and not self.causes:
            lines.append(
                ("bold", "  no usual mistake fits: read the derivation again, term by term")
            )
            lines += [("", f"  known: {sentence}") for sentence in self.known]
        lines += [("yellow", f"  note: {n}") for n in self.notes]
        return lines

    def _headline(self) -> str:
        if self.verdict == UNDECIDED:
            return "cannot be judged"
        if self.nodes:
            return self._of_nodes()
        if self.verdict == CORRECT:
            return f"the gradient is right in {self.compared} elements"
        names = [f.name for f in self.findings if f.wrong]
        return f"the gradient of {', '.join(names)} is wrong" if names else "the backward is wrong"

    def _of_nodes(self) -> str:
        """How many nodes are right, and which were not compared: those are not called right."""
        total, bad, left = len(self.nodes), len(self.wrong), self.unjudged
        whole = ", yet the whole is wrong" if self.verdict == WRONG else ""
        if bad:
            return f"{bad} of {total} nodes are wrong"
        if left:
            right = total - len(left)
            some = f"{right} of {total} nodes are right{whole}"
            if not right and not whole:
                some = "the gradients of the whole are right"
            return f"{some}; {_listed(left)}"
        if whole:
            return f"all {total} nodes are right{whole}"
        return f"the gradients of all {total} nodes are right"


def _listed(nodes: Sequence[CheckResult]) -> str:
    """The first of these nodes by name, why nothing was compared there, and how many follow."""
    first = nodes[0]
    more = f" (and {len(nodes) - 1} more)" if len(nodes) > 1 else ""
    why = f": {first.notes[-1]}" if first.notes else ""
    return f"{first.subject}{more} could not be compared{why}"


def merge(causes: Sequence[list[Cause]]) -> list[Cause]:
    """The causes of several inputs in one ranking; the same mistake in several inputs is one cause,
    and stands before those that explain fewer of them.
    """
    alike: list[list[Cause]] = []
    for cause in sorted((c for group in causes for c in group), key=lambda c: c.rank):
        same = next((group for group in alike if _same(group[0], cause)), None)
        if same is None:
            alike.append([cause])
        elif cause.input and cause.input not in [c.input for c in same]:
            same.append(cause)
    for group in alike:
        first, names = group[0], [c.input for c in group]
        if len(group) > 1:
            first.title += f" (and {', '.join(names[1:])})"
            first.input = ", ".join(names)
    alike.sort(key=lambda group: (-len(group), group[0].rank))
    return [group[0] for group in alike]


def unnamed(title: str, name: str) -> str:
    """A title without the name of the input whose gradient it speaks of."""
    return title.replace(f"gradient of {name}", "gradient").replace(
        f"{name}'s gradient", "gradient"
    )


def _same(one: Cause, two: Cause) -> bool:
    """Whether two causes are one mistake, in the gradients of two inputs."""
    titles = [(c.title, c.input) for c in (one, two)]
    spoken = {unnamed(*t) for t in titles}
    anywhere = {re.sub(rf"(?<!\w){re.escape(n)}(?!\w)", "", t) if n else t for t, n in titles}
    return one.kind == two.kind and 1 in (len(spoken), len(anywhere))
