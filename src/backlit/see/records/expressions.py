"""Which expression of the user's source applied an op, and how each of its operands is written.

Python knows for every instruction from where to where its source reaches; the expression that
begins and ends there is the one that ran, also where a line has several that look alike.
"""

from __future__ import annotations

import ast
import copy
import functools
import linecache
import re
from types import CodeType

from ...tensor import Tensor

#: An instruction of the user's: its code and where in it.
Site = tuple[CodeType, int]


def tree_of(file: str) -> ast.Module | None:
    """The user's file as a tree; None where its text is not known or is no Python."""
    try:
        return _parsed("".join(linecache.getlines(file))) if file else None
    except LookupError:  # doctest's lines of an example that has been
        return None


@functools.lru_cache(maxsize=32)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text) if text else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@functools.lru_cache(maxsize=4096)
def _positions(code: CodeType) -> list[tuple[int | None, ...]]:
    return list(code.co_positions())


def expression_of(site: Site | None) -> ast.expr | None:
    """The expression that an instruction computes; None where that is not known.

    >>> import backlit as bl, sys
    >>> expression_of((sys._getframe().f_code, 0)) is None
    True
    """
    if site is None:
        return None
    code, instruction = site
    positions = _positions(code)
    place = instruction // 2
    if not 0 <= place < len(positions):
        return None
    line, end_line, column, end_column = positions[place]
    tree = tree_of(code.co_filename)
    if tree is None or None in (line, end_line, column, end_column):
        return None
    ending = [
        e for e in _expressions(tree).get((end_line, end_column), ())
        if (e.lineno, e.col_offset) <= (line, column)
    ]  # fmt: skip
    exact = [e for e in ending if (e.lineno, e.col_offset) == (line, column)]
    # A call of a method over several lines begins, for Python, at the method's name.
    calls = [e for e in ending if isinstance(e, ast.Call)]
    found = (exact or calls[-1:] or [None])[0]
    return found if found is not None and _can_be_of(code, found) else None


def _can_be_of(code: CodeType, e: ast.expr) -> bool:
    """Whether a code uses the names of an expression, as it does unless the file is another now."""
    inner = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    used = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    parts = list(ast.walk(e))
    return any(isinstance(p, inner) for p in parts) or names_in(e) <= used


@functools.lru_cache(maxsize=32)
def _expressions(tree: ast.Module) -> dict[tuple[int | None, int | None], list[ast.expr]]:
    """The expressions that an op can be, by where they end; outer ones first."""
    found: dict[tuple[int | None, int | None], list[ast.expr]] = {}
    for e in ast.walk(tree):
        if isinstance(e, ast.Call | ast.BinOp | ast.UnaryOp | ast.Compare | ast.Subscript):
            found.setdefault((e.end_lineno, e.end_col_offset), []).append(e)
    return found


def operands(e: ast.expr, file: str) -> list[ast.expr]:
    """The operands of an expression that is one op, in the order of the op's inputs."""
    if isinstance(e, ast.BinOp):
        return [e.left, e.right]
    if isinstance(e, ast.UnaryOp):
        return [e.operand]
    if isinstance(e, ast.Subscript):
        return [e.value]
    if not isinstance(e, ast.Call):
        return []
    given = list(e.args)
    f = e.func
    if isinstance(f, ast.Attribute) and hasattr(Tensor, f.attr) and not is_library(f.value, file):
        given.insert(0, f.value)
    return [] if any(isinstance(x, ast.Starred) for x in given) else given


def is_library(e: ast.expr, file: str) -> bool:
    """Whether what stands before the dot is a module (bl, nn.functional, F), and not a Tensor."""
    while isinstance(e, ast.Attribute):
        e = e.value
    return isinstance(e, ast.Name) and (e.id in _MODULES or e.id in modules_of(file))


#: What modules are called where their import is not in sight, as in another cell of a notebook.
_MODULES = frozenset("backlit bl torch np nn F functional".split())


def modules_of(file: str) -> dict[str, str]:
    """The modules that a file imports, by the names they have there."""
    tree = tree_of(file)
    return {} if tree is None else _modules(tree)


@functools.lru_cache(maxsize=32)
def _modules(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for e in ast.walk(tree):
        if isinstance(e, ast.Import):
            for a in e.names:
                found[a.asname or a.name.split(".")[0]] = (
                    a.name if a.asname else a.name.split(".")[0]
                )
        elif isinstance(e, ast.ImportFrom) and e.module and not e.level:
            found.update({a.asname or a.name: f"{e.module}.{a.name}" for a in e.names})
        elif isinstance(e, ast.Assign) and isinstance(e.targets[0], ast.Name):
            root, path = _path(e.value)
            if path and root in found:  # F = nn.functional
                found[e.targets[0].id] = f"{found[root]}.{path}"
    return found


def _path(e: ast.expr) -> tuple[str, str]:
    """`nn`, `functional` for nn.functional."""
    names: list[str] = []
    while isinstance(e, ast.Attribute):
        names.append(e.attr)
        e = e.value
    return (e.id if isinstance(e, ast.Name) else ""), ".".join(reversed(names))


def library_at(file: str, e: ast.expr) -> tuple[str, str]:
    """What Backlit, or its PyTorch, is called in a file, and the module that this is."""
    for name, module in modules_of(file).items():
        if module in ("backlit", "backlit.torch"):
            return name, module
    used = (x.id for x in ast.walk(e) if isinstance(x, ast.Name))
    name = next((n for n in used if n in ("bl", "backlit", "torch")), "bl")
    return name, "backlit.torch" if name == "torch" else "backlit"


def is_set_between(names: set[str], file: str, first: int, last: int) -> bool:
    """Whether one of the names gets another value on a line from `first` to before `last`."""
    tree = tree_of(file)
    return tree is None or any(
        isinstance(e, ast.Name)
        and isinstance(e.ctx, ast.Store)
        and e.id in names
        and first <= e.lineno < last
        for e in ast.walk(tree)
    )


def names_in(*parts: ast.expr) -> set[str]:
    """The names that expressions use."""
    return {e.id for part in parts for e in ast.walk(part) if isinstance(e, ast.Name)}


def exchanged(e: ast.expr, part: ast.expr, text: str) -> str:
    """An expression as text, with one part of it written otherwise.

    >>> e = ast.parse("f(x) ** -2", mode="eval").body
    >>> exchanged(e, e.left, "x + 1")
    '(x + 1) ** -2'
    """

    class Exchange(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return ast.Name(_HERE) if node is part else self.generic_visit(node)

    new = Exchange().visit(copy.deepcopy(e, {id(part): part}))
    plain = isinstance(e, ast.Call) and part in (*e.args, *(k.value for k in e.keywords))
    return plainly(new).replace(_HERE, text if plain else atom(text))


_HERE = "here__"


def plainly(e: ast.AST) -> str:
    """An expression as text, without the brackets that Python puts around a negative exponent."""
    return re.sub(r"\*\* \((-[\w.]+)\)", r"** \1", ast.unparse(e))


def atom(text: str) -> str:
    """An expression's text in brackets, if another sign, or a dot, next to it could split it."""
    e = ast.parse(text, mode="eval").body
    whole = isinstance(e, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
    return text if whole else f"({text})"


def negative(text: str) -> str:
    """The text of −x.

    >>> negative("x"), negative("-x"), negative("a + b")
    ('-x', 'x', '-(a + b)')
    """
    e = ast.parse(text, mode="eval").body
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
        return plainly(e.operand)
    return f"-{atom(text)}"
