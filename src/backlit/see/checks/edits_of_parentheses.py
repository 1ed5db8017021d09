"""Changes of which terms and factors belong together: parentheses missing, too many, elsewhere."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Any

from .edit import Change, parsed, text

_LEVEL = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2, ast.MatMult: 2, ast.Pow: 3}
_SIGN: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.MatMult: "@",
    ast.Pow: "**",
}
#: Of more operands than these not every group is tried.
_LONGEST = 7


def parentheses(e: ast.BinOp) -> Iterator[Change]:
    """The other ways to put parentheses into a chain of operators: around another part of it, none
    where there are some, or those around a part of what was in them and what was not.
    """
    if type(e.op) not in _LEVEL:
        return
    chain = _chain(e)
    operands, signs = chain[::2], chain[1::2]
    said = f"the parentheses in `{text(e)}` are wrong"
    if 3 <= len(operands) <= _LONGEST:
        for new in _grouped(operands, signs):
            yield Change(e, new, "parentheses", said, 0.1)
    for place, operand in enumerate(operands):
        if not isinstance(operand, ast.BinOp) or type(operand.op) not in _LEVEL:
            continue
        inner = _chain(operand)
        flat = [*chain[: 2 * place], *inner, *chain[2 * place + 1 :]]
        yield Change(e, _joined(flat[::2], flat[1::2]), "parentheses", said, 0.1)
        if len(flat[::2]) <= _LONGEST:
            for new in _grouped(flat[::2], flat[1::2]):
                yield Change(e, new, "parentheses", said, 0.14)


def _chain(e: ast.expr) -> list[Any]:
    """Operands and signs in the order in which they are written without parentheses."""
    if not isinstance(e, ast.BinOp) or type(e.op) not in _LEVEL:
        return [e]
    level, power = _LEVEL[type(e.op)], isinstance(e.op, ast.Pow)
    left: list[Any] = [e.left]
    right: list[Any] = [e.right]
    if isinstance(e.left, ast.BinOp) and not power and _LEVEL.get(type(e.left.op), 0) >= level:
        left = _chain(e.left)
    if isinstance(e.right, ast.BinOp) and _LEVEL.get(type(e.right.op), 0) > level:
        right = _chain(e.right)
    return [*left, type(e.op), *right]


def _grouped(operands: list[ast.expr], signs: list[type]) -> Iterator[ast.expr]:
    """The chain with parentheses around each of its parts."""
    for low, high in itertools.combinations(range(len(operands) + 1), 2):
        if 2 <= high - low < len(operands):
            inside = _joined(operands[low:high], signs[low : high - 1])
            yield _joined(
                [*operands[:low], inside, *operands[high:]],
                [*signs[:low], *signs[high - 1 :]],
            )


def _joined(operands: list[ast.expr], signs: list[type]) -> ast.expr:
    """What a chain that is written so means."""
    names = [f"_{i}_" for i in range(len(operands))]
    written = names[0] + "".join(
        f" {_SIGN[sign]} {name}" for sign, name in zip(signs, names[1:], strict=True)
    )
    known = dict(zip(names, operands, strict=True))

    class Filled(ast.NodeTransformer):
        """Puts the operands in the places of their names."""

        def visit_Name(self, node: ast.Name) -> ast.AST:
            return known[node.id]

    filled: ast.expr = Filled().visit(parsed(written))
    return filled
