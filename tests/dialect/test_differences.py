"""The guide's page of differences: its tables are read off the code, and what they say is so."""

import importlib.util
from pathlib import Path

from dialect.differing import wrong

ROOT = Path(__file__).parents[2]


def test_what_the_table_says_of_the_dialect_is_so():
    found = wrong("backlit.torch", "ours")
    assert not found, "\n".join(found)


def test_the_page_has_the_tables_of_the_code():
    path = ROOT / "scripts" / "write_differences.py"
    spec = importlib.util.spec_from_file_location("write_differences", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "guide" / "differences.md").read_text("utf-8")
    assert all(text for _, text in script.parts(page))
    assert script.written(page) == page, "run scripts/write_differences.py"
