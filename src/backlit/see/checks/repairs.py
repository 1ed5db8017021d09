"""The smallest change of a backward's text that makes it right: another name, sign, factor.

When no usual mistake predicts a wrong gradient, the text itself is searched: every place is changed
in every simple way, one at a time, and the changed backward is run against what was measured.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...op import REGISTRY, Op

#: At most this many changed texts are tried, and for at most this many seconds of the processor,
#: until so many are found that make the backward right.
LIMIT = 4000
SECONDS = 2.0
MOST = 3


@dataclass
class Edit:
    """One change: the line within the source file, the text there, and what to write instead."""

    line: int
    old: str
    new: str
    rank: float


def repairs(op: Op, right: Callable[[Op], bool]) -> Iterator[Edit]:
    """The single edits of `op`'s backward with which `right(edited op)` holds, simplest first."""
    try:
        source, start = inspect.getsourcelines(type(op).backward)
        tree = ast.parse(textwrap.dedent("".join(source)))
    except (OSError, TypeError, SyntaxError):
        return
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef):
        return
    names = [a.arg for a in function.args.args[2:]]
    names += sorted(
        {
            n.id
            for n in ast.walk(function)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        - set(names)
    )
    if function.args.vararg is not None:
        names.append(function.args.vararg.arg)
    places = [n for n in ast.walk(function) if isinstance(n, ast.expr) and _editable(n)]
    tried: set[str] = set()
    candidates = sorted(_candidates(places, names, op), key=lambda c: c[2])
    found = 0
    end = time.process_time() + SECONDS
    for place, new, rank in candidates[:LIMIT]:
        changed = _replaced(tree, place, new)
        text = ast.unparse(changed)
        if text in tried:
            continue
        tried.add(text)
        if time.process_time() > end:
            return
        edited = _compiled(op, changed)
        if edited is not None and right(edited):
            line = start + place.lineno - 1
            yield Edit(line, ast.unparse(place), ast.unparse(new), rank)
            found += 1
            if found == MOST:
                return


def _editable(node: ast.expr) -> bool:
    return isinstance(
        node, ast.BinOp | ast.UnaryOp | ast.Name | ast.Call | ast.Attribute | ast.Constant
    ) and not (isinstance(node, ast.Name) and node.id in ("xp", "self", "math"))


def _candidates(
    places: list[ast.expr], names: list[str], op: Op
) -> Iterator[tuple[ast.expr, ast.expr, float]]:
    """(place, what to put there, how far-fetched that is: from 0.1 to 0.45, added to the rank)."""
    known: list[ast.expr] = [ast.Name(n, ast.Load()) for n in names]
    attributes: list[ast.expr] = [
        ast.Attribute(ast.Name("self", ast.Load()), a, ast.Load()) for a in op.attributes
    ]
    one = ast.Constant(1)
    for e in places:
        if isinstance(e, ast.Name) and not isinstance(e.ctx, ast.Load):
            continue
        if isinstance(e, ast.Name) and e.id in names:
            for q in known:
                yield e, q, 0.1
        if isinstance(e, ast.Constant) and isinstance(e.value, int | float):
            for v in (0, 1, 2, 0.5, -1, 3):
                yield e, ast.Constant(v), 0.2
        if isinstance(e, ast.BinOp):
            for other in (ast.Add(), ast.Sub(), ast.Mult(), ast.Div()):
                yield e, ast.BinOp(e.left, other, e.right), 0.1
            yield e, ast.BinOp(e.right, e.op, e.left), 0.15
            yield e, e.left, 0.2
            yield e, e.right, 0.2
        if isinstance(e, ast.UnaryOp):
            yield e, e.operand, 0.1
        if isinstance(e, ast.Call) and len(e.args) >= 1:
            yield e, e.args[0], 0.25
        if isinstance(e, ast.Attribute) and e.attr == "mT":
            yield e, e.value, 0.2
        if not isinstance(e, ast.Constant):
            yield e, ast.UnaryOp(ast.USub(), e), 0.1
            yield e, ast.BinOp(one, ast.Sub(), e), 0.3
            yield e, ast.BinOp(one, ast.Add(), e), 0.3
            yield e, ast.BinOp(e, ast.Sub(), one), 0.3
            yield e, ast.Attribute(e, "mT", ast.Load()), 0.3
            yield e, ast.BinOp(e, ast.Mult(), e), 0.35
            for v in (2, 0.5):
                yield e, ast.BinOp(ast.Constant(v), ast.Mult(), e), 0.3
            if "axis" in op.attributes:
                yield e, _call("sum", e, attributes[op.attributes.index("axis")]), 0.3
            for q in (*known, *attributes):
                for operator in (ast.Mult(), ast.Div(), ast.Add(), ast.Sub()):
                    yield e, ast.BinOp(e, operator, q), 0.4
                yield e, ast.BinOp(q, ast.Sub(), e), 0.45


def _call(function: str, e: ast.expr, axis: ast.expr) -> ast.expr:
    return ast.Call(
        ast.Attribute(ast.Name("xp", ast.Load()), function, ast.Load()),
        [e],
        [ast.keyword("axis", axis), ast.keyword("keepdims", ast.Constant(True))],
    )


def _replaced(tree: ast.Module, place: ast.expr, new: ast.expr) -> ast.Module:
    """A copy of the tree with one expression replaced."""

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return copy.deepcopy(new) if node is place else self.generic_visit(node)

    memo: dict[int, Any] = {id(place): place}  # the place itself survives the copy
    changed = Swap().visit(copy.deepcopy(tree, memo))
    return ast.fix_missing_locations(changed)


def _compiled(op: Op, tree: ast.Module) -> Op | None:
    """An op like this one with the changed backward; it is not put in the registry."""
    cls = type(op)
    place = dict(vars(sys.modules[cls.__module__])) if cls.__module__ in sys.modules else {}
    closed = inspect.getclosurevars(cls.backward)
    place |= dict(closed.nonlocals)
    before = REGISTRY.get(cls.name)
    try:
        exec(compile(tree, "<edited backward>", "exec"), place)
        made = type(cls.__name__, (cls,), {"backward": place["backward"], "name": cls.name})
        return made(**{a: getattr(op, a) for a in op.attributes})
    except (SyntaxError, ValueError, TypeError, KeyError, NameError):
        return None
    finally:
        if before is not None:
            REGISTRY[cls.name] = before
