"""How is a change written in the user's own text, so that whoever puts it there gets what ran?

A change is a node of a tree and another in its place. Here it becomes two pieces of one line of the
file: one that stands there once, and what to write for it. The tree that is run to see whether the
change is right is read from the text with these pieces exchanged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .edit import text
from .source import Unit, tree_in

#: What stands for a piece of the user's text while the new text is put together.
_PIECE = "_piece_{}_"
_ATOMIC = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant)


@dataclass(frozen=True)
class Spelling:
    """A change as text: in `line` of the unit `new` for `old`; `tree` is the function then."""

    line: int
    old: str
    new: str
    tree: ast.FunctionDef


def spellings(
    unit: Unit, node: ast.AST, new: ast.AST | None, parents: dict[int, Any]
) -> Iterator[Spelling]:
    """The ways to write `new` for a node of a unit, that with the fewest parentheses first."""
    start, stop = unit.span(node)
    seen = set()
    for written in _written(unit, node, new):
        if written in seen:
            continue
        seen.add(written)
        changed = unit.text[:start] + written + unit.text[stop:]
        tree = tree_in(changed, unit)
        if tree is not None:
            yield Spelling(*_shown(unit, node, written, parents), tree)


def _written(unit: Unit, node: ast.AST, new: ast.AST | None) -> Iterator[str]:
    """The new text, its unchanged parts as they are written."""
    if new is None or isinstance(new, ast.Pass):
        yield "pass"
        return
    originals = {id(n): n for n in ast.walk(unit.tree) if isinstance(n, ast.expr)}
    pieces: list[ast.expr] = []
    form = text(_rebuilt(new, originals, pieces))

    def filled(parenthesised: bool) -> str:
        def piece(found: re.Match[str]) -> str:
            part = pieces[int(found[1])]
            raw = unit.segment(part)
            bare = not parenthesised or isinstance(part, _ATOMIC)
            return raw if bare else f"({raw})"

        return re.sub(_PIECE.format(r"(\d+)"), piece, form)

    listed = [filled(False), text(new), filled(True)]
    yield from listed
    if isinstance(node, ast.expr):
        yield from (f"({one})" for one in listed)


def _rebuilt(node: Any, originals: dict[int, Any], pieces: list[ast.expr]) -> Any:
    """A copy of a tree in which names stand for the nodes of the user's text."""
    if isinstance(node, list):
        return [_rebuilt(n, originals, pieces) for n in node]
    if not isinstance(node, ast.AST):
        return node
    if id(node) in originals and not isinstance(node, ast.Starred | ast.Slice):
        pieces.append(originals[id(node)])
        return ast.Name(_PIECE.format(len(pieces) - 1), ast.Load())
    return type(node)(
        **{name: _rebuilt(value, originals, pieces) for name, value in ast.iter_fields(node)}
    )


def _bare(node: Any, parents: dict[int, Any]) -> bool:
    """Whether a reader would not know what it is said of: `True`, of `keepdims=True`."""
    above = parents[id(node)][0] if id(node) in parents else None
    return isinstance(node, ast.keyword) or isinstance(above, ast.keyword)


def _shown(
    unit: Unit, node: ast.AST, written: str, parents: dict[int, Any]
) -> tuple[int, str, str]:
    """The line, the smallest expression around the node that stands in it once, and that changed;
    else the line itself, or where the node goes over several the whole statement.
    """
    start, stop = unit.span(node)
    first = unit.text.rfind("\n", 0, start) + 1
    last = unit.text.find("\n", stop)
    last = len(unit.text) if last < 0 else last
    line = unit.text[first:last]
    if "\n" in line:
        at: Any = node
        while not isinstance(at, ast.stmt):
            at = parents[id(at)][0]
        low, high = unit.span(at)
        whole = unit.text[low:start] + written + unit.text[stop:high]
        return unit.line(at), " ".join(unit.segment(at).split()), " ".join(whole.split())
    at = node
    while True:
        low, high = unit.span(at)
        if low < first or high > last:
            break
        old = unit.text[low:high]
        if line.count(old) == 1 and not _bare(at, parents):
            return unit.line(node), old, unit.text[low:start] + written + unit.text[stop:high]
        if isinstance(at, ast.stmt) or id(at) not in parents:
            break
        at = parents[id(at)][0]
        while not hasattr(at, "end_col_offset"):
            at = parents[id(at)][0]
    return (
        unit.line(node),
        line.strip(),
        (unit.text[first:start] + written + unit.text[stop:last]).strip(),
    )
