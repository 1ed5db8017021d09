"""What does a statement of a script do, read off its source? Names, calls, what asks for values."""

from __future__ import annotations

import ast
from collections.abc import Sequence

_ASKS = {"item", "numpy", "tolist", "print", "float", "int", "bool", "input", "exec", "eval"}
_MODES = {"train", "eval"}
#: Methods by which an object of Python's remembers what it is given.
_REMEMBER = {"append", "extend", "insert", "update", "write", "add_scalar", "set_postfix"}
_SIMPLE = (ast.Assign, ast.AnnAssign, ast.Expr)
#: What a compiled step cannot have, in words.
_NEVER = {
    ast.Yield: "a yield",
    ast.YieldFrom: "a yield",
    ast.Await: "an await",
    ast.NamedExpr: "an assignment by :=",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "a text made of values",
}
#: Blocks that mean the same each time, by their names and by what they are.
_BLOCKS = {"autocast", "nullcontext", "no_grad", "enable_grad", "inference_mode"}


def called_names(part: ast.stmt) -> set[str]:
    """The names that are called as functions."""
    calls = [n.func for n in ast.walk(part) if isinstance(n, ast.Call)]
    return {c.id for c in calls if isinstance(c, ast.Name)}


def is_torch(module: str | None) -> bool:
    """Whether a module is PyTorch's."""
    return module is not None and module.partition(".")[0] == "torch"


def is_path(node: ast.expr) -> bool:
    """Whether an expression is a name, or an attribute of one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def must_stand_first(statement: ast.stmt) -> bool:
    """Whether a statement is the docstring or an import from `__future__`."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def counters_of(loop: ast.For | ast.While) -> set[str]:
    """The names that count the turns of a loop, and are another number in each."""
    if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Call):
        return set()
    kind, target = getattr(loop.iter.func, "id", ""), loop.target
    if kind == "enumerate" and isinstance(target, ast.Tuple):
        target = target.elts[0]
    elif kind != "range":
        return set()
    return {target.id} if isinstance(target, ast.Name) else set()


def calls(statement: ast.stmt, method: str) -> bool:
    """Whether a statement is `something.method(...)`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr == method
    )


def has(block: ast.stmt, method: str) -> bool:
    """Whether a statement is or contains `something.method(...)`."""
    return any(isinstance(s, ast.stmt) and calls(s, method) for s in ast.walk(block))


def steps_sometimes(statement: ast.stmt) -> bool:
    """Whether a statement takes a step in some turns: `if (i + 1) % 4 == 0: optimizer.step()`."""
    return isinstance(statement, ast.If) and any(calls(s, "step") for s in statement.body)


def goes_on(
    body: Sequence[ast.stmt], before: tuple[int, int, int], after: tuple[int, int, int]
) -> bool:
    """Whether a step directly follows another, and reads what that one has computed."""
    (first, _, end), (start, _, last) = before, after
    reads, assigns = names_of(body[start : last + 1])[0], names_of(body[first : end + 1])[1]
    together = start == end + 1 and not any(map(why_held, body[first : last + 1]))
    return together and not set(assigns).isdisjoint(reads)


def why_held(statement: ast.stmt) -> str:
    """Why a statement may be no part of a compiled step, where it asks for a value or branches."""
    where = f"line {statement.lineno}"
    if isinstance(statement, ast.With):
        odd = [i for i in statement.items if _block(i.context_expr) is None or i.optional_vars]
        if odd:
            return f"{where}: `with {ast.unparse(odd[0].context_expr)}` may do anything"
        return next(filter(None, map(why_held, statement.body)), "")
    if not isinstance(statement, (*_SIMPLE, ast.AugAssign)):
        return f"{where} is a statement `{type(statement).__name__.lower()}`"
    remembers = ""
    for node in ast.walk(statement):
        where = f"line {getattr(node, 'lineno', statement.lineno)}"
        if type(node) in _NEVER:
            return f"{where} has {_NEVER[type(node)]}"
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in _ASKS:
                return f"{where}: {name}() asks for a value"
            if name in _REMEMBER and not remembers:
                remembers = f"{where}: {name}() may remember a value"
            if name in _MODES:
                return f"{where}: {name}() sets the mode"
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if not isinstance(target, ast.Name | ast.Tuple | ast.List):
                    return f"{where} writes into `{ast.unparse(target)}`"
    if isinstance(statement, ast.AugAssign):
        return f"line {statement.lineno} changes `{ast.unparse(statement.target)}` in place"
    return remembers


def _block(context: ast.expr) -> str | None:
    """The name of what a `with` enters, "" for blocks that are known, None for any other."""
    if isinstance(context, ast.Name):
        return context.id
    if isinstance(context, ast.Call):
        called = context.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return "" if name in _BLOCKS else None
    return None


def blocks(part: Sequence[ast.stmt]) -> set[str]:
    """The names of what is entered by `with`."""
    items = [i for s in part for n in ast.walk(s) if isinstance(n, ast.With) for i in n.items]
    return {name for i in items if (name := _block(i.context_expr))}


def walked(part: Sequence[ast.stmt]) -> set[str]:
    """The names from which the losses come that are walked back from."""
    wanted: set[str] = set()
    for statement in reversed(part):
        reads, assigns = names_of([statement])
        if has(statement, "backward") or not wanted.isdisjoint(assigns):
            wanted |= set(reads)
    return wanted


def loss_names(statement: ast.stmt) -> set[str]:
    """The names that `loss.backward()` starts from."""
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}


def names_of(part: Sequence[ast.stmt]) -> tuple[list[str], list[str]]:
    """The names that statements read before they assign them, and those that they assign."""
    reads: dict[str, None] = {}
    assigns: dict[str, None] = {}
    pending: list[ast.AST] = list(reversed(part))
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.With):  # one after another, what it enters first
            pending += [*reversed(statement.body), *(i.context_expr for i in statement.items)]
            continue
        inner = {
            n.id
            for c in ast.walk(statement)
            if isinstance(c, ast.comprehension)
            for n in ast.walk(c.target)
            if isinstance(n, ast.Name)
        }
        names = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id not in inner]
        for n in names:
            if isinstance(n.ctx, ast.Load) and n.id not in assigns:
                reads[n.id] = None
        for n in names:
            if isinstance(n.ctx, ast.Store):
                assigns[n.id] = None
    return list(reads), list(assigns)
