"""What a search finds in a record: modules, parameters, ops, and lines of the user's code."""

from __future__ import annotations

from dataclasses import dataclass

from ...see.records.model import Record
from ...see.show.words import formula_of, name_of

#: So many are listed.
MOST = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """One node that was found, with what it was found by and how that reads."""

    node: int
    kind: str  # "module", "parameter", "op", "line", …
    text: str


def search(record: Record, text: str) -> list[Hit]:
    """All that has the text in it, without regard to case: what is called exactly so comes first.

    A number finds the node of that number, `file.py:12` a line.
    """
    wanted = text.strip().lower()
    if not wanted:
        return []
    found: list[tuple[int, Hit]] = []
    for n in record.nodes:
        names = {n.label.lower(), name_of(n).lower(), f"{n.op}_{n.id}".lower(), str(n.id)}
        tail = n.label.lower().rpartition(".")[2]
        if wanted in names or any(wanted in name for name in names if not name.isdecimal()):
            rank = 0 if wanted in names else 1 if wanted == tail else 3
            shown = name_of(n) if n.kind != "op" else f"{name_of(n)} = {formula_of(record, n)}"
            found.append((rank, Hit(n.id, n.kind, shown)))
    found += _modules(record, wanted)
    found += _lines(record, wanted)
    return [hit for _, hit in sorted(found, key=lambda f: f[0])][:MOST]


def _modules(record: Record, wanted: str) -> list[tuple[int, Hit]]:
    """The calls of modules: each is its first node."""
    first: dict[int, int] = {}
    for n in record.nodes:
        scope = n.scope
        while scope is not None and scope not in first:
            first[scope] = n.id
            scope = record.scopes[scope].parent
    found = []
    for s in record.scopes:
        path = record.scope_path(s.id)
        inner = path.partition(".")[2] or path
        detail = s.detail or s.type
        if s.id in first and wanted in f"{path} {detail}".lower():
            exact = wanted in (path.lower(), inner.lower(), s.type.lower())
            text = path if s.parent is None and not s.detail else f"{inner}: {detail}"
            rank = 0 if exact else 2 if wanted in path.lower() else 5
            found.append((rank, Hit(first[s.id], "module", text)))
    return found


def _lines(record: Record, wanted: str) -> list[tuple[int, Hit]]:
    """The lines that made nodes: each is its first."""
    found: dict[tuple[str, int], tuple[int, Hit]] = {}
    for n in record.nodes:
        if n.file and (n.file, n.line) not in found:
            short = n.file.replace("\\", "/").rpartition("/")[2]
            text = f"{short}:{n.line}: {record.source(n)}"
            if wanted in text.lower():
                found[n.file, n.line] = 4, Hit(n.id, "line", text)
    return list(found.values())
