"""Write the tables of `docs/guide/differences.md` that are read off the code.

python scripts/write_differences.py
"""

from collections.abc import Iterator
from pathlib import Path

from backlit.array_api.dialects import AMBIGUOUS
from backlit.torch.differences import DIFFERENCES
from backlit.torch.missing import MISSING

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "differences.md"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(text: str) -> str:
    """Text as code, on one line."""
    return f"`{text}`".replace("|", r"\|").replace("\n", "; ")


def ambiguous() -> str:
    """The calls that mean two things."""
    rows = [
        (code(call), f"{code(w.numpy)}: {w.means}", f"{code(w.pytorch)}: {w.gives}")
        for call, w in AMBIGUOUS.items()
    ]
    return table(("the call", "NumPy", "PyTorch"), rows)


def differences() -> str:
    """What the dialect does otherwise."""
    rows = [(r.about, code(r.code), code(r.theirs), code(r.ours)) for r in DIFFERENCES]
    return table(("", "the code", "PyTorch", "`backlit.torch`"), rows)


def missing() -> str:
    """What is not there: one line for each thing to do instead."""
    names: dict[str, list[str]] = {}
    for name, cure in MISSING.items():
        names.setdefault(cure, []).append(code(name.removeprefix("torch.")))
    return table(("not in `torch`", "instead"), [(", ".join(n), c) for c, n in names.items()])


TABLES = {"ambiguous": ambiguous, "differences": differences, "missing": missing}


def parts(text: str) -> Iterator[tuple[str, str]]:
    """(name, content) for each table that a page has between its marks."""
    for name in TABLES:
        start, end = f"<!-- table: {name} -->\n", f"\n<!-- end: {name} -->"
        yield name, text.partition(start)[2].partition(end)[0]


def written(text: str) -> str:
    """The page with its tables as they have to be."""
    for name, old in parts(text):
        start, end = f"<!-- table: {name} -->\n", f"\n<!-- end: {name} -->"
        text = text.replace(f"{start}{old}{end}", f"{start}{TABLES[name]()}{end}")
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
