"""Write docs/check-table.md: how often `see.check` names the mistake in a mutated backward.

    python scripts/check_table.py [--source-every N] [--jobs N]

Ops are judged each on its own, in so many processes; the page is the same for any number. The
mutants and what they must be called are those of tests/see/test_check_mutations.py.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402

from backlit.see.checks import Experiment, judge  # noqa: E402
from see import test_check_mutations as mutations  # noqa: E402


@dataclass
class Row:
    """What the page says of one mutant."""

    op: str
    mistake: str
    family: str
    noticed: bool
    right: bool
    mended: bool
    kind: str
    title: str


@dataclass
class Judged:
    """One op: how many cases of it are right, and what became of its mutants."""

    checked: int = 0
    accused: int = 0
    named: list[Row] = field(default_factory=list)
    source: list[Row] = field(default_factory=list)
    mutants: int = 0  # of the source, whether they were judged or not


def judged(name: str, every: int) -> Judged:
    """Judge an op: as it is, its named mutants, and every nth one of its source."""
    found = Judged()
    for case in mutations.RECORDS[name].cases:
        arrays = [x for x in case.inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        if any(x.size for x in arrays):
            op = mutations.BUILT_IN[name](**case.attributes)
            found.checked += 1
            found.accused += judge(Experiment(op, case.inputs, points=2)).verdict == "wrong"
    found.named = [_row(m) for m in mutations.mutations_of(name, "named")]
    of_source = mutations.mutations_of(name, "source")
    found.mutants = len(of_source)
    found.source = [_row(m) for m in of_source[::every]]
    return found


def _row(mutation: mutations.Mutation) -> Row:
    v = mutations.verdict(mutation)
    m = v.mutation
    return Row(m.op_name, m.mistake, m.family, v.noticed, v.right, v.mended, v.kind, v.title)


def all_judged(every: int, jobs: int) -> list[Judged]:
    """Every op judged, in the order of the ops."""
    if jobs == 1:
        return [judged(name, every) for name in mutations.OPS]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(judged, mutations.OPS, itertools.repeat(every)))


def share(verdicts: list[Row]) -> str:
    """`1,190 of 1,200 (99.2 %)`."""
    right = sum(v.right for v in verdicts)
    return f"{right:,} of {len(verdicts):,} ({100 * right / max(len(verdicts), 1):.1f} %)"


def table(groups: dict[str, list[Row]], head: str) -> list[str]:
    """One row for each group: mutants, noticed, first-ranked cause right."""
    lines = [f"| {head} | mutants | noticed | first cause right |", "|---|---:|---:|---:|"]
    for name, verdicts in groups.items():
        right, noticed = sum(v.right for v in verdicts), sum(v.noticed for v in verdicts)
        lines.append(f"| {name} | {len(verdicts)} | {noticed} | {right} |")
    return lines


def main() -> None:
    """Judge all mutants and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source-every", type=int, default=1, help="judge every Nth source mutant")
    parser.add_argument("--jobs", type=int, default=1, help="in how many processes")
    given = parser.parse_args()
    every = given.source_every
    ops = all_judged(every, given.jobs)
    lines = page(ops, every)
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "check-table.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines[7:19]) + "\n")


def page(ops: list[Judged], every: int) -> list[str]:
    """The lines of the page."""
    checked, accused = sum(j.checked for j in ops), sum(j.accused for j in ops)
    named = [row for j in ops for row in j.named]
    source = [row for j in ops for row in j.source]
    by_mistake: dict[str, list[Row]] = defaultdict(list)
    by_op: dict[str, list[Row]] = defaultdict(list)
    for v in named:
        by_mistake[v.family].append(v)
        by_op[v.op].append(v)
    untouched = [n for n in mutations.OPS if n not in by_op]
    few = {n: len(v) for n, v in by_op.items() if len(v) < 12}
    edits = sum(v.mended for v in source)
    unnamed = sum(v.noticed and not v.kind for v in source)
    unnoticed = [v for v in source if not v.noticed]
    of_all = f"{len(source):,} of the {sum(j.mutants for j in ops):,}"
    which = f"all {len(source):,}" if every == 1 else f"{of_all}, of each op every {every}th"
    lines = [
        "# How often `see.check` names the mistake",
        "",
        "Written by `python scripts/check_table.py`; the mutants are those of",
        "`tests/see/test_check_mutations.py`. A mutant that changes no number is left out. Where",
        "two mistakes give the same numbers at every point, either name counts as right. The rules",
        "were tuned on these mutants, so that the page is a record of them and no result.",
        "",
        f"- Correct ops checked at all cases of the op table: {checked:,}; accused: {accused}.",
        f"- Named mutants (one usual mistake in one input's gradient): first cause right in "
        f"{share(named)}; noticed {sum(v.noticed for v in named):,}.",
        f"- Source mutants (one place in the text of the backward changed; judged were {which}):",
        f"  first cause right in {share(source)}. In {edits} of them the cause is one change",
        f"  of the text that makes the backward right again, which is right by construction; in "
        f"{unnamed}",
        f"  nothing fitted; {len(unnoticed)} were not noticed.",
        "",
        "## Named mutants by mistake",
        "",
        *table(dict(by_mistake), "mistake"),
        "",
        "## Named mutants by op",
        "",
        *table(dict(sorted(by_op.items())), "op"),
        "",
        "Fewer than twelve distinguishable mutants: "
        + (", ".join(f"{n} ({k})" for n, k in sorted(few.items())) or "none")
        + ".",
        "No distinguishable mutant (the gradient is 0 everywhere, or there is none): "
        + (", ".join(untouched) or "none")
        + ".",
        "",
        "## Named wrongly",
        "",
    ]
    for v in named:
        if not v.right:
            lines.append(
                f"- {v.op}, {v.mistake}: {v.title or 'nothing fits'} ({v.kind or 'no name'})"
            )
    return lines


if __name__ == "__main__":
    main()
