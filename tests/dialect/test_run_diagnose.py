"""`backlit run --diagnose` on whole scripts: those of loops/wrong name the mistake that is in them.

The first line of each says by which rules it may be named. Those of loops/right have none.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from backlit.cli import main
from sampling import one_in

LOOPS = Path(__file__).parent / "loops"


def diagnosed(path: Path) -> tuple[list[str], str]:
    """The rules that speak, and all that is said."""
    result = CliRunner().invoke(main, ["run", "--diagnose", str(path)])
    assert result.exit_code == 0, result.output
    return re.findall(r"^  (?:error|warning|hint), (.*?): ", result.stderr, re.M), result.stderr


def scripts(folder: str) -> list[Path]:
    return sorted((LOOPS / folder).glob("*.py"))


@pytest.mark.parametrize("path", one_in(14, scripts("wrong")), ids=lambda p: p.stem)
def test_a_mistake_in_a_loop_is_named(path):
    expected = path.read_text().split("\n")[0].removeprefix("# ").split(" | ")
    rules, told = diagnosed(path)
    assert set(rules) & set(expected), told


@pytest.mark.parametrize("path", one_in(18, scripts("right")), ids=lambda p: p.stem)
def test_a_right_loop_is_left_in_peace(path):
    rules, told = diagnosed(path)
    assert not rules, told
