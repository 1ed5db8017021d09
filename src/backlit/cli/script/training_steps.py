"""Where is the training step in a script? It is found, made a function, and compiled.

A training step is a run of statements in the body of a loop: those that compute the loss, then
`loss.backward()`, then `optimizer.step()`. They become a function of the names that they read,
which returns those that they assign, and is called in their place. What prepares a batch, and what
asks for a value (`print`, `loss.item()`), stays outside. Where that is not possible the script
runs as it stands, and why is said.
"""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compiler import compile as compile_function
from ...errors import BacklitError
from ...optim import Optimizer
from ...random import default_generator
from ...tensor import Tensor
from ...tree import flatten

#: The name under which a script finds what runs its steps.
RUNNER = "__backlit_step__"
#: So many versions of a step may be compiled: more say that a number changes from step to step.
VERSIONS = 8
_ASKS = {"item", "numpy", "tolist", "print", "float", "int", "bool", "input", "exec", "eval"}
_SIMPLE = (ast.Assign, ast.AnnAssign, ast.Expr)
_NEVER = (ast.Yield, ast.YieldFrom, ast.Await, ast.NamedExpr, ast.Lambda, ast.JoinedStr)


@dataclass
class Found:
    """A training step in the source, and what became of it."""

    first: int
    last: int
    why_not: str = ""
    versions: int = 0

    def __str__(self) -> str:
        lines = f"lines {self.first} to {self.last}"
        if self.why_not:
            return f"{lines} run as they stand: {self.why_not}"
        many = "" if self.versions == 1 else f", in {self.versions} versions"
        return f"{lines} are one compiled step{many}"


class Steps:
    """The training steps of one script: `prepare` finds them, `run` runs them.

    With `first_as_it_stands` compiled code takes over after the first turn, at which others look.
    """

    def __init__(self, *, first_as_it_stands: bool = False) -> None:
        self._shown = not first_as_it_stands
        self.found: list[Found] = []
        self._compiled: dict[int, Any] = {}
        self._functions: list[ast.FunctionDef] = []
        self._known: set[str] = set(dir(builtins))
        #: Functions of the script that call no model, or of modules that are not PyTorch's.
        self._others: set[str] = set()

    def prepare(self, tree: ast.Module) -> ast.Module:
        """The script with calls in the place of its training steps."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {(a.asname or a.name).partition(".")[0] for a in node.names}
                self._known |= names
                if isinstance(node, ast.ImportFrom) and not _is_torch(node.module):
                    self._others |= names
        own = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        self._known |= {n.name for n in own}
        self._others |= {n.name for n in own if _called_names(n) <= self._known}
        for node in ast.walk(tree):
            if isinstance(node, ast.For | ast.While):
                self._search(node)
        start = sum(1 for _ in itertools.takewhile(_must_stand_first, tree.body))
        tree.body[start:start] = self._functions
        return ast.fix_missing_locations(tree)

    def run(self, number: int, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        """Run a step on what it reads, compiled if that is possible."""
        found = self.found[number]
        if found.why_not or not self._shown:
            self._shown = True
            return function(*inputs)
        step = self._compiled.get(number)
        if step is None:
            found.why_not = _left_alone(inputs)
            if found.why_not:
                return function(*inputs)
            step = self._compiled[number] = compile_function(function)
        put_back = None if found.versions else _random_state(function)
        try:
            results = step(*inputs)
        except (BacklitError, TypeError) as error:
            found.why_not = " ".join(str(error).split())
            if put_back is not None:
                put_back()
            return function(*inputs)
        found.versions = step.cache_info().misses
        if found.versions > VERSIONS:
            found.why_not = (
                f"{found.versions} versions were compiled, because what they read changes its "
                "shape or is another number each time"
            )
        return results

    # -- looking --------------------------------------------------------------------------------

    def _search(self, loop: ast.For | ast.While) -> None:
        """Look for a step in the body of a loop, and put a call in its place."""
        body = loop.body
        steps = [i for i, s in enumerate(body) if _calls(s, "step")]
        walks = [i for i, s in enumerate(body) if _calls(s, "backward")]
        pair = next(((b, s) for b in reversed(walks) for s in steps if b < s), None)
        if pair is None:
            return
        walk, last = pair
        first, counters = walk, _counters(loop)
        while first > 0 and _may_move(body[first - 1]):
            assigned = set(_names(body[first:walk])[1])
            if _loss_names(body[walk]) & assigned and self._prepares(body[first - 1], counters):
                break
            first -= 1
        while last + 1 < len(body) and _calls(body[last + 1], "zero_grad"):
            last += 1
        found = Found(body[first].lineno, body[last].end_lineno or body[last].lineno)
        self.found.append(found)
        held = next((s for s in body[walk : last + 1] if not _may_move(s)), None)
        part = body[first : last + 1]
        reads, assigns = _names(part)
        if held is not None:
            found.why_not = f"line {held.lineno} asks for a value, or is no mere call"
        elif not _loss_names(body[walk]) & set(assigns):
            found.why_not = f"the loss is computed before line {found.first}"
        if found.why_not:
            return
        number = len(self.found) - 1
        name = f"_backlit_step_{number}"
        read = [n for n in reads if n not in self._known]
        self._functions.append(_function(name, read, part, assigns))
        body[first : last + 1] = [_placed(_call(number, name, read, assigns), part[0])]

    def _prepares(self, statement: ast.stmt, counters: set[str]) -> bool:
        """Whether a statement prepares a batch: it cuts one out, or has it made by a function."""
        calls = [n.func for n in ast.walk(statement) if isinstance(n, ast.Call)]
        names = _called_names(statement)
        if any(isinstance(n, ast.comprehension) for n in ast.walk(statement)):
            return True
        if names:
            return names <= self._others
        models = [c for c in calls if isinstance(c, ast.Attribute) and _is_path(c.value)]
        return not models and bool(counters & set(_names([statement])[0]))


def _left_alone(inputs: tuple[Any, ...]) -> str:
    """Why a step must not even be tried, because a try that fails would leave traces."""
    held = [*inputs, *(v for x in inputs for v in getattr(x, "__dict__", {}).values())]
    for x in held:
        if isinstance(x, Optimizer) and not type(x).__module__.startswith("backlit."):
            return f"{type(x).__name__} is an optimizer of the script's own; compile it by hand"
    if any(isinstance(x, Tensor) and x.node is not None for x in flatten(inputs)[0]):
        return "it goes back through what was computed before it"
    return ""


def _random_state(function: Callable[..., Any]) -> Callable[[], None]:
    """Puts the generators back that a function may draw from: Python's, NumPy's and ours."""
    ours = default_generator()
    known = [*function.__globals__.values()]
    known += [v for f in known for v in getattr(f, "__globals__", {}).values()]
    kept: list[Callable[[], None]] = [
        functools.partial(random.setstate, random.getstate()),
        functools.partial(np.random.set_state, np.random.get_state()),
        functools.partial(ours.load_state_dict, ours.state_dict()),
    ]
    for generator in known:
        if isinstance(generator, np.random.RandomState):
            kept.append(functools.partial(generator.set_state, generator.get_state()))
        elif isinstance(generator, np.random.Generator):
            bits = generator.bit_generator
            kept.append(functools.partial(setattr, bits, "state", bits.state))

    def put_back() -> None:
        for restore in kept:
            restore()

    return put_back


def _called_names(part: ast.stmt) -> set[str]:
    """The names that are called as functions."""
    calls = [n.func for n in ast.walk(part) if isinstance(n, ast.Call)]
    return {c.id for c in calls if isinstance(c, ast.Name)}


def _is_torch(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == "torch"


def _is_path(node: ast.expr) -> bool:
    """Whether an expression is a name, or an attribute of one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _must_stand_first(statement: ast.stmt) -> bool:
    """Whether a statement is the docstring or an import from `__future__`."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _counters(loop: ast.For | ast.While) -> set[str]:
    """The names that count the turns of a loop, and are another number in each."""
    if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Call):
        return set()
    kind, target = getattr(loop.iter.func, "id", ""), loop.target
    if kind == "enumerate" and isinstance(target, ast.Tuple):
        target = target.elts[0]
    elif kind != "range":
        return set()
    return {target.id} if isinstance(target, ast.Name) else set()


def _calls(statement: ast.stmt, method: str) -> bool:
    """Whether a statement is `something.method(...)`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr == method
    )


def _may_move(statement: ast.stmt) -> bool:
    """Whether a statement may be a part of a compiled step: it assigns or calls, asks nothing."""
    if not isinstance(statement, _SIMPLE):
        return False
    for node in ast.walk(statement):
        if isinstance(node, _NEVER):
            return False
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in _ASKS:
                return False
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and not all(
            isinstance(n, ast.Name | ast.Tuple | ast.List) for n in targets
        ):
            return False  # it writes into something
    return True


def _loss_names(statement: ast.stmt) -> set[str]:
    """The names that `loss.backward()` starts from."""
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}


def _names(part: Sequence[ast.stmt]) -> tuple[list[str], list[str]]:
    """The names that statements read before they assign them, and those that they assign."""
    reads: dict[str, None] = {}
    assigns: dict[str, None] = {}
    for statement in part:
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


def _function(
    name: str, reads: Sequence[str], part: list[ast.stmt], assigns: Sequence[str]
) -> ast.FunctionDef:
    """The statements as a function; they keep their lines, for messages and tracebacks."""
    made = ast.parse(f"def {name}({', '.join(reads)}):\n    return ({_listed(assigns)})").body[0]
    assert isinstance(made, ast.FunctionDef)
    _placed(made, part[-1])
    made.body[:0] = part
    return made


def _placed(made: ast.stmt, place: ast.stmt) -> ast.stmt:
    """A statement that was made, at the lines of one that was there."""
    for node in ast.walk(made):
        if hasattr(node, "lineno"):
            ast.copy_location(node, place)
    return made


def _call(number: int, name: str, reads: Sequence[str], assigns: Sequence[str]) -> ast.stmt:
    """The statement that runs a step in the place of its statements."""
    call = f"{RUNNER}({number}, {name}, ({_listed(reads)}))"
    return ast.parse(f"({_listed(assigns)}) = {call}" if assigns else call).body[0]


def _listed(names: Sequence[str]) -> str:
    return "".join(f"{n}, " for n in names)
