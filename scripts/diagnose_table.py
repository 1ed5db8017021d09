"""Write docs/diagnose-table.md: what `see.diagnose` says of seeded bugs and of healthy runs.

    python scripts/diagnose_table.py

The runs are those of tests/see/test_diagnose.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from see import test_diagnose as suite  # noqa: E402


def main() -> None:
    """Diagnose every run and write the page."""
    recall, precision, missed, wrong = suite.measured()
    false = sum(n in suite.HEALTHY for n, _ in wrong)
    lines = [
        "# What `see.diagnose` finds",
        "",
        "Written by `python scripts/diagnose_table.py`; the runs are those of",
        "`tests/see/test_diagnose.py`. The bugs were seeded, and the thresholds set, by the same",
        "authors: these are not rates on unseen code.",
        "",
        f"- {len(suite.BUGS)} seeded bugs: recall {recall:.2f}; missed: "
        + (", ".join(n for n, _ in missed) or "none")
        + ".",
        f"- {len(suite.HEALTHY)} healthy runs: {false} findings.",
        f"- Precision over all findings: {precision:.2f}. A finding is true if it is the seeded",
        "  bug, or a consequence of it that is listed in the suite.",
        "",
        "| seeded bug | what was said |",
        "|---|---|",
    ]
    for name in suite.BUGS:
        said = "; ".join(f"{f.rule} ({f.severity})" for f in suite.findings("bug", name))
        lines.append(f"| {name.replace('_', ' ')} | {said or 'nothing'} |")
    (ROOT / "docs" / "diagnose-table.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines[10:15]) + "\n")


if __name__ == "__main__":
    main()
