"""Where are the training steps in a script? They are found, made functions, and compiled.

A training step is a run of statements in the body of a loop or function: those that compute the
loss, then `loss.backward()`, then `optimizer.step()`, also by a scaler. They become a function of
the names that they read, which returns those that they assign, and is called in their place. Where
gradients are gathered for a step behind a loop, the part to `backward()` is one; steps that follow
each other directly, and compute with the same values, are one. What prepares a batch, and what asks
for a value (`print`, `loss.item()`), stays outside. Where that is not possible the script runs as
it stands, and why is said.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
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
from ...torch.amp import autocast
from ...tree import flatten

#: The name under which a script finds what runs its steps.
RUNNER = "__backlit_step__"
#: So many versions of a step may be compiled: more say that a number changes from step to step.
VERSIONS = 8
_ASKS = {"item", "numpy", "tolist", "print", "float", "int", "bool", "input", "exec", "eval"}
_MODES = {"train", "eval"}
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
_HARMLESS = (contextlib.nullcontext, autocast)


@dataclass
class Found:
    """A training step in the source, and what became of it."""

    first: int
    last: int
    why_not: str = ""
    versions: int = 0
    #: The names that it reads; those that it assigns and another step reads; its `with` blocks.
    reads: Sequence[str] = ()
    assigns: Sequence[str] = ()
    shared: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    #: The names behind which a backward() of it goes on.
    walked: frozenset[str] = frozenset()
    #: What stands before it, and does not become a part of it.
    before: str = ""

    def __str__(self) -> str:
        one = self.first == self.last
        lines = f"line {self.first}" if one else f"lines {self.first} to {self.last}"
        stands = f"{lines} {'runs as it stands' if one else 'run as they stand'}"
        if self.why_not:
            return f"{stands}: {self.why_not}"
        if not self.versions:
            return (
                f"{stands}: {'it was' if one else 'they were'} not run again after the first time"
            )
        many = "" if self.versions == 1 else f", in {self.versions} versions"
        return f"{lines} {'is' if one else 'are'} one compiled step{many}"

    def left_alone(self, inputs: tuple[Any, ...]) -> str:
        """Why it must not even be tried: a try that fails would leave traces."""
        for name, x in zip(self.reads, inputs, strict=True):
            for path, held in [("", x), *getattr(x, "__dict__", {}).items()]:
                kind = type(held)
                if isinstance(held, Optimizer) and not kind.__module__.startswith("backlit."):
                    whole = f"{name}.{path}" if path else name
                    return (
                        f"`{whole}` of {kind.__name__} is an optimizer of the script's own; "
                        "compile it by hand"
                    )
            if name in self.blocks and not isinstance(x, _HARMLESS):
                return f"`with {name}` is a block of {type(x).__name__}, which may do anything"
            leaves = flatten(x)[0]
            odd = next((v for v in leaves if type(v).__hash__ is None and not _is_array(v)), None)
            if odd is not None:
                return (
                    f"`{name}` ({type(odd).__name__}) is no Tensor, and may be another each time; "
                    "read what the step needs of it before the loop"
                )
            linked = any(isinstance(t, Tensor) and t.node is not None for t in leaves)
            if linked and name in self.walked:
                return (
                    f"`{name}` was computed before line {self.first}, and backward() goes on "
                    f"behind it{self.before}"
                )
        return ""

    def goes_on(self, results: Any) -> str:
        """Why results of it must not come from compiled code: another step goes back there."""
        for name, x in zip(self.assigns, results, strict=True):
            linked = any(isinstance(t, Tensor) and t.node is not None for t in flatten(x)[0])
            if linked and name in self.shared:
                return f"the backward() of another step goes back through `{name}`"
        return ""


class Steps:
    """The training steps of one script: `prepare` finds them, `run` runs them.

    With `first_as_it_stands` compiled code takes over after the first turn, at which others look.
    """

    def __init__(self, *, first_as_it_stands: bool = False) -> None:
        self._first_as_it_stands = first_as_it_stands
        self._shown: set[int] = set()
        self.found: list[Found] = []
        #: The lines that call backward(), in loops and functions.
        self.walks: list[int] = []
        self._steps: dict[int, Found] = {}
        #: The loops behind which a step comes, of a loop around them.
        self._gathering: set[ast.AST] = set()
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
            if isinstance(node, ast.For | ast.While | ast.FunctionDef):
                self._search(node, node in self._gathering)
        self.found.sort(key=lambda found: found.first)
        start = sum(1 for _ in itertools.takewhile(_must_stand_first, tree.body))
        tree.body[start:start] = self._functions
        return ast.fix_missing_locations(tree)

    def run(self, number: int, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        """Run a step on what it reads, compiled if that is possible."""
        found = self._steps[number]
        if found.why_not:
            return function(*inputs)
        if number not in self._shown:
            self._shown.add(number)
            if self._first_as_it_stands or found.shared:
                results = function(*inputs)
                found.why_not = found.goes_on(results)
                return results
        step = self._compiled.get(number)
        if step is None:
            found.why_not = found.left_alone(inputs)
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

    def _search(self, block: ast.For | ast.While | ast.FunctionDef, gathers: bool = False) -> None:
        """Look for steps in the body of a loop or function, and put calls in their places.

        Where the loop `gathers` gradients, for a step behind it, each `backward` ends a part.
        """
        body = block.body
        steps = [i for i, s in enumerate(body) if _calls(s, "step")]
        walks = [i for i, s in enumerate(body) if _calls(s, "backward")]
        self.walks += [body[i].lineno for i in walks]
        if not steps and (gathers or any(map(_steps_sometimes, body))):
            steps = walks
        counters = set() if isinstance(block, ast.FunctionDef) else _counters(block)
        places: list[tuple[int, int, int]] = []
        start = 0
        for last in steps:
            behind = [w for w in walks if start <= w <= last]
            if behind:
                while last + 1 < len(body) and _calls(body[last + 1], "zero_grad"):
                    last += 1
                place = self._first(body, start, behind[-1], counters), behind[-1], last
                if places and _goes_on(body, places[-1], place):
                    place = (*places.pop()[:2], last)
                places.append(place)
                start = last + 1
        names = [_names(body[first : last + 1]) for first, _, last in places]
        for k in reversed(range(len(places))):  # a call in the place of many leaves those before
            others = {n for i, (reads, _) in enumerate(names) if i != k for n in reads}
            self._replace(body, *places[k], others)
        for inner in body:
            if isinstance(inner, ast.For | ast.While) and steps and not _has(inner, "step"):
                self._gathering.add(inner)

    def _first(self, body: list[ast.stmt], start: int, walk: int, counters: set[str]) -> int:
        """Where the statements begin that compute the loss."""
        first = walk
        while first > start and not _held(body[first - 1]):
            assigned = set(_names(body[first:walk])[1])
            if _loss_names(body[walk]) & assigned and self._prepares(body[first - 1], counters):
                break
            first -= 1
        return first

    def _replace(
        self, body: list[ast.stmt], first: int, walk: int, last: int, others: set[str]
    ) -> None:
        """Put a call in the place of a step, if it may be one."""
        part = body[first : last + 1]
        reads, assigns = _names(part)
        read = [n for n in reads if n not in self._known]
        found = Found(
            part[0].lineno,
            part[-1].end_lineno or part[-1].lineno,
            reads=read,
            assigns=assigns,
            shared=frozenset(assigns) & others,
            blocks=frozenset(_blocks(part)),
            walked=frozenset(_walked(part)),
        )
        self.found.append(found)
        barrier = _held(body[first - 1]) if first else ""
        found.before = f"; {barrier}, and stands before it" if barrier else ""
        held = next(filter(None, map(_held, body[walk : last + 1])), "")
        if held:
            found.why_not = held
        elif not _loss_names(body[walk]) & set(assigns):
            found.why_not = f"the loss is computed before line {found.first}{found.before}"
        if found.why_not:
            return
        number = len(self._steps)
        self._steps[number] = found
        name = f"_backlit_step_{number}"
        self._functions.append(_function(name, read, part, assigns))
        body[first : last + 1] = [_placed(_call(number, name, read, assigns), part[0])]

    def _prepares(self, statement: ast.stmt, counters: set[str]) -> bool:
        """Whether a statement prepares a batch: it cuts one out, or has it made by a function."""
        calls = [n.func for n in ast.walk(statement) if isinstance(n, ast.Call)]
        names = _called_names(statement)
        loops = [n.iter for n in ast.walk(statement) if isinstance(n, ast.comprehension)]
        if any("parameters" not in ast.unparse(loop) for loop in loops):
            return True
        if names:
            return names <= self._others
        models = [c for c in calls if isinstance(c, ast.Attribute) and _is_path(c.value)]
        return not models and bool(counters & set(_names([statement])[0]))


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


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


def _has(block: ast.stmt, method: str) -> bool:
    """Whether a statement is or contains `something.method(...)`."""
    return any(isinstance(s, ast.stmt) and _calls(s, method) for s in ast.walk(block))


def _steps_sometimes(statement: ast.stmt) -> bool:
    """Whether a statement takes a step in some turns: `if (i + 1) % 4 == 0: optimizer.step()`."""
    return isinstance(statement, ast.If) and any(_calls(s, "step") for s in statement.body)


def _goes_on(
    body: Sequence[ast.stmt], before: tuple[int, int, int], after: tuple[int, int, int]
) -> bool:
    """Whether a step directly follows another, and reads what that one has computed."""
    (first, _, end), (start, _, last) = before, after
    reads, assigns = _names(body[start : last + 1])[0], _names(body[first : end + 1])[1]
    together = start == end + 1 and not any(map(_held, body[first : last + 1]))
    return together and not set(assigns).isdisjoint(reads)


def _held(statement: ast.stmt) -> str:
    """Why a statement may be no part of a compiled step, where it asks for a value or branches."""
    where = f"line {statement.lineno}"
    if isinstance(statement, ast.With):
        odd = [i for i in statement.items if _block(i.context_expr) is None or i.optional_vars]
        if odd:
            return f"{where}: `with {ast.unparse(odd[0].context_expr)}` may do anything"
        return next(filter(None, map(_held, statement.body)), "")
    if not isinstance(statement, (*_SIMPLE, ast.AugAssign)):
        return f"{where} is a statement `{type(statement).__name__.lower()}`"
    for node in ast.walk(statement):
        where = f"line {getattr(node, 'lineno', statement.lineno)}"
        if type(node) in _NEVER:
            return f"{where} has {_NEVER[type(node)]}"
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in _ASKS:
                return f"{where}: {name}() asks for a value"
            if name in _MODES:
                return f"{where}: {name}() sets the mode"
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if not isinstance(target, ast.Name | ast.Tuple | ast.List):
                    return f"{where} writes into `{ast.unparse(target)}`"
    if isinstance(statement, ast.AugAssign):
        return f"line {statement.lineno} changes `{ast.unparse(statement.target)}` in place"
    return ""


def _block(context: ast.expr) -> str | None:
    """The name of what a `with` enters, "" for blocks that are known, None for any other."""
    if isinstance(context, ast.Name):
        return context.id
    if isinstance(context, ast.Call):
        called = context.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return "" if name in _BLOCKS else None
    return None


def _blocks(part: Sequence[ast.stmt]) -> set[str]:
    """The names of what is entered by `with`."""
    items = [i for s in part for n in ast.walk(s) if isinstance(n, ast.With) for i in n.items]
    return {name for i in items if (name := _block(i.context_expr))}


def _walked(part: Sequence[ast.stmt]) -> set[str]:
    """The names from which the losses come that are walked back from."""
    wanted: set[str] = set()
    for statement in reversed(part):
        reads, assigns = _names([statement])
        if _has(statement, "backward") or not wanted.isdisjoint(assigns):
            wanted |= set(reads)
    return wanted


def _loss_names(statement: ast.stmt) -> set[str]:
    """The names that `loss.backward()` starts from."""
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}


def _names(part: Sequence[ast.stmt]) -> tuple[list[str], list[str]]:
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
