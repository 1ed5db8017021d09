"""What the source calls things: the argument that an op's input was, the variable of a result.

This is for variables of functions that have ended. Nothing is guessed: where a call could have
given an op several of its arguments, none is named.
"""

from __future__ import annotations

import ast
import functools
import inspect
from typing import Any

from ...op import Op
from ...tensor import Tensor
from .expressions import Site, expression_of, is_library, modules_of, operands, plainly, tree_of


def argument_at(site: Site, op: Op, position: int, alone: bool) -> str:
    """The variable, attribute or element that an op's input is where it was applied; "" for none.

    `alone` says that the instruction applied ops of this kind only, so that their inputs are its
    operands, if they are as many and in this order.
    """
    e = expression_of(site)
    if e is None:
        return ""
    file = site[0].co_filename
    given = operands(e, file)
    if alone and position < len(given) and (not isinstance(e, ast.Call) or _in_order(e, op, given)):
        return _plain(given[position])
    if not isinstance(e, ast.Call) or position >= len(op.parameters):
        return ""
    kind = _kind(op.parameters[position])
    found = [_plain(part) for name, part in _arguments(e, file, given) if _kind(name) == kind]
    return found[0] if len(found) == 1 else ""


def data_at(site: Site) -> str:
    """The only variable that the user's call was given: `images` of `self.conv(images)`."""
    e = expression_of(site)
    if not isinstance(e, ast.Call):
        return ""
    parts = {_plain(part) for part in operands(e, site[0].co_filename)}
    return parts.pop() if len(parts) == 1 else ""


def _in_order(e: ast.Call, op: Op, given: list[ast.expr]) -> bool:
    """Whether the arguments of a call are the inputs of the op that it applies."""
    called = e.func.attr if isinstance(e.func, ast.Attribute) else getattr(e.func, "id", "")
    if called.strip("_") == op.name or len(given) == len(op.parameters) == 1:
        return True
    return len(given) == len(op.parameters) and not op.chooses


def _kind(parameter: str) -> str:
    """What an argument is for, of the names that it has with functions and with ops."""
    if "mask" in parameter or parameter == "condition":
        return "mask"
    return "index" if parameter in ("index", "indices") else parameter


def _arguments(e: ast.Call, file: str, given: list[ast.expr]) -> list[tuple[str, ast.expr]]:
    """The arguments of a call of the library with the names of its parameters."""
    named = [(k.arg, k.value) for k in e.keywords if k.arg]
    if not isinstance(e.func, ast.Attribute):
        return named
    method = not is_library(e.func.value, file) and hasattr(Tensor, e.func.attr)
    names = _parameters(e.func.attr, method)
    return [*zip(names, given, strict=False), *named]


@functools.lru_cache(maxsize=512)
def _parameters(name: str, method: bool) -> tuple[str, ...]:
    function = _function(name, method)
    try:
        return () if function is None else tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


@functools.lru_cache(maxsize=512)
def _function(name: str, method: bool) -> Any:
    """A method of Tensors, or a function of Tensors that Backlit has."""
    from ... import array_api, nn  # what a user calls stands above what looks on

    if method:
        return getattr(Tensor, name, None)
    homes = vars(nn.functional), vars(array_api)
    return next((f for home in homes if callable(f := home.get(name))), None)


def _computes(e: ast.expr, file: str) -> bool:
    """Whether an expression is what its op computes, and not something made with ops."""
    if not isinstance(e, ast.Call):
        return True
    if isinstance(e.func, ast.Name):
        home, _, name = modules_of(file).get(e.func.id, "").rpartition(".")
        return home.startswith("backlit") and _function(name, False) is not None
    if not isinstance(e.func, ast.Attribute):
        return False
    return _function(e.func.attr, not is_library(e.func.value, file)) is not None


#: What only moves or converts the elements: the name of what it is called on stays true.
_KEEPING = frozenset("reshape view flatten astype to long int float double contiguous".split())


def _plain(e: ast.expr) -> str:
    """A variable, or a constant element or attribute of one, as text; "" for what is computed."""
    while isinstance(e, ast.Call) and isinstance(e.func, ast.Attribute) and e.func.attr in _KEEPING:
        e = e.func.value
    part = e
    while isinstance(part, ast.Attribute) or (
        isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant)
    ):
        part = part.value
    return plainly(e) if isinstance(part, ast.Name) else ""


def assigned_at(site: Site | None, of_module: bool = False) -> tuple[str, ...]:
    """The variables that get what an instruction computes; none if they get other values, too.

    That a module is called the source does not say: then `of_module` must.

    >>> import sys
    >>> assigned_at((sys._getframe().f_code, 0))
    ()
    """
    e = expression_of(site)
    if e is None or site is None or not (of_module or _computes(e, site[0].co_filename)):
        return ()
    tree = tree_of(site[0].co_filename)
    return () if tree is None else _assigned(tree).get(e, ())


@functools.lru_cache(maxsize=32)
def _assigned(tree: ast.Module) -> dict[ast.expr, tuple[str, ...]]:
    """The targets of the assigned expressions, in functions that set each of these once only."""
    found: dict[ast.expr, tuple[str, ...]] = {}
    functions: list[ast.AST] = [tree]
    for function in functions:
        targets: dict[ast.expr, tuple[str, ...]] = {}
        set_here: list[str] = [a.arg for a in ast.walk(function) if isinstance(a, ast.arg)]
        stack = list(ast.iter_child_nodes(function))
        for part in stack:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
                functions.append(part)
                continue
            stack.extend(ast.iter_child_nodes(part))
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                set_here.append(part.id)
            elif isinstance(part, ast.Assign) and len(part.targets) == 1:
                targets[part.value] = _names(part.targets[0])
            elif isinstance(part, ast.AnnAssign) and part.value is not None:
                targets[part.value] = _names(part.target)
        found.update(
            (value, names)
            for value, names in targets.items()
            if names and all(set_here.count(name) == 1 for name in names)
        )
    return found


def _names(target: ast.expr) -> tuple[str, ...]:
    parts = target.elts if isinstance(target, ast.Tuple) else [target]
    names = tuple(p.id for p in parts if isinstance(p, ast.Name) and not p.id.startswith("_"))
    return names if len(names) == len(parts) else ()
