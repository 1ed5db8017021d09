"""Write docs/check-table.md: how often `see.check` names the mistake in a mutated backward.

    python scripts/check_table.py [--source-every N]

The mutants and what they must be called are those of tests/see/test_check_mutations.py.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402

from backlit.see.checks import Experiment, judge  # noqa: E402
from see import test_check_mutations as mutations  # noqa: E402


def accusations() -> tuple[int, int]:
    """How many correct (op, case) pairs were checked, and how many were called wrong."""
    checked = accused = 0
    for name in mutations.OPS:
        for case in mutations.RECORDS[name].cases:
            arrays = [x for x in case.inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
            if any(x.size for x in arrays):
                op = mutations.BUILT_IN[name](**case.attributes)
                checked += 1
                accused += judge(Experiment(op, case.inputs, points=2)).verdict == "wrong"
    return checked, accused


def share(verdicts: list) -> str:
    """`1,190 of 1,200 (99.2 %)`."""
    right = sum(v.right for v in verdicts)
    return f"{right:,} of {len(verdicts):,} ({100 * right / max(len(verdicts), 1):.1f} %)"


def table(groups: dict[str, list], head: str) -> list[str]:
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
    every = parser.parse_args().source_every
    checked, accused = accusations()
    sys.stderr.write(f"correct ops: {checked} checked, {accused} accused\n")
    named = mutations.run(mutations.OPS, "named")
    sys.stderr.write(f"named mutants: {share(named)}\n")
    source = mutations.run(mutations.OPS, "source", every=every)
    by_mistake: dict[str, list] = defaultdict(list)
    by_op: dict[str, list] = defaultdict(list)
    for v in named:
        by_mistake[v.mutation.family].append(v)
        by_op[v.mutation.op_name].append(v)
    untouched = [n for n in mutations.OPS if n not in by_op]
    few = {n: len(v) for n, v in by_op.items() if len(v) < 12}
    edits = sum(v.mended for v in source)
    unnamed = sum(v.noticed and not v.named for v in source)
    unnoticed = [v for v in source if not v.noticed]
    which = "every one" if every == 1 else f"every {every}th one"
    lines = [
        "# How often `see.check` names the mistake",
        "",
        "Written by `python scripts/check_table.py`; the mutants are those of",
        "`tests/see/test_check_mutations.py`. A mutant that changes no number is left out. Where",
        "two mistakes give the same numbers at every point, either name counts as right.",
        "",
        f"- Correct ops checked at all cases of the op table: {checked:,}; accused: {accused}.",
        f"- Named mutants (one usual mistake in one input's gradient): first cause right in "
        f"{share(named)}; noticed {sum(v.noticed for v in named):,}.",
        f"- Source mutants (one place in the text of the backward changed; {which} was judged):",
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
                f"- {v.mutation.op_name}, {v.mutation.mistake}: "
                f"{v.title or 'nothing fits'} ({v.kind or 'no name'})"
            )
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "check-table.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines[10:18]) + "\n")


if __name__ == "__main__":
    main()
