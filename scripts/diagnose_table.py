"""Write docs/diagnose-table.md: what `see.diagnose` says of seeded bugs and of healthy runs.

    python scripts/diagnose_table.py

The runs are those of tests/see/test_diagnose.py and of the tables beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from see import ailing, sound  # noqa: E402
from see import test_diagnose as suite  # noqa: E402
from see.test_diagnose_kinds import diagnosed  # noqa: E402


def main() -> None:
    """Diagnose every run and write the page."""
    bugs = {n: (rules, suite.findings("bug", n)) for n, (rules, _) in suite.BUGS.items()}
    bugs |= {n: (rules, diagnosed(make())) for n, (rules, make) in ailing.BUGS.items()}
    healthy = [suite.findings("healthy", n) for n in suite.HEALTHY]
    healthy += [diagnosed(make()) for make in sound.HEALTHY.values()]
    named = [n for n, (rules, found) in bugs.items() if {f.rule for f in found} & set(rules)]
    missed = ", ".join(n for n in bugs if n not in named) or "none"
    first = sum(next(iter(found)).rule in rules for rules, found in bugs.values() if found)
    said = sum(len(found) for _, found in bugs.values())
    lines = [
        "# What `see.diagnose` finds",
        "",
        "Written by `python scripts/diagnose_table.py`; the runs are those of",
        "`tests/see/test_diagnose.py`, `ailing.py` and `sound.py`. The bugs were seeded, and the",
        "rules written, by the same authors: these are not rates on unseen code.",
        "",
        f"- {len(bugs)} seeded bugs: the cause is named in {len(named)}, first in {first}; "
        f"missed: {missed}.",
        f"- {said} findings are told of them: the cause, and what it does not explain.",
        f"- {len(healthy)} healthy runs: {sum(map(len, healthy))} findings.",
        "",
        "| seeded bug | what was said |",
        "|---|---|",
    ]
    for name, (_, found) in bugs.items():
        told = "; ".join(f"{f.rule} ({f.severity})" for f in found)
        lines.append(f"| {name.replace('_', ' ')} | {told or 'nothing'} |")
    (ROOT / "docs" / "diagnose-table.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines[6:9]) + "\n")


if __name__ == "__main__":
    main()
