"""One change of a backward's text, with what was wrong if it makes the backward right."""

from __future__ import annotations

import ast
from dataclasses import dataclass

#: What stands for the changed expression itself in a text.
SELF = "_itself"


@dataclass
class Change:
    """One node of the text, what to write instead (None: nothing), and what was wrong then.

    `template` is the new expression with SELF for the old one, where there is one; `size` the
    number, of elements or another, that is put in, where one is.
    """

    node: ast.AST
    new: ast.AST | None
    kind: str
    words: str
    rank: float
    template: str = ""
    size: str = ""


def text(node: ast.AST | None) -> str:
    """A node as Python."""
    return "" if node is None else ast.unparse(ast.fix_missing_locations(node))


def parsed(source: str) -> ast.expr:
    """An expression's tree."""
    return ast.parse(source, mode="eval").body
