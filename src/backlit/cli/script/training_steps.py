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
from .statements import (
    blocks,
    called_names,
    calls,
    counters_of,
    goes_on,
    has,
    is_path,
    is_torch,
    loss_names,
    must_stand_first,
    names_of,
    steps_sometimes,
    walked,
    why_held,
)

#: The name under which a script finds what runs its steps.
RUNNER = "__backlit_step__"
#: So many versions of a step may be compiled: more say that a number changes from step to step.
VERSIONS = 8
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
                if isinstance(node, ast.ImportFrom) and not is_torch(node.module):
                    self._others |= names
        own = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        self._known |= {n.name for n in own}
        self._others |= {n.name for n in own if called_names(n) <= self._known}
        for node in ast.walk(tree):
            if isinstance(node, ast.For | ast.While | ast.FunctionDef):
                self._search(node, node in self._gathering)
        self.found.sort(key=lambda found: found.first)
        start = sum(1 for _ in itertools.takewhile(must_stand_first, tree.body))
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
        steps = [i for i, s in enumerate(body) if calls(s, "step")]
        walks = [i for i, s in enumerate(body) if calls(s, "backward")]
        self.walks += [body[i].lineno for i in walks]
        if not steps and (gathers or any(map(steps_sometimes, body))):
            steps = walks
        counters = set() if isinstance(block, ast.FunctionDef) else counters_of(block)
        places: list[tuple[int, int, int]] = []
        start = 0
        for last in steps:
            behind = [w for w in walks if start <= w <= last]
            if behind:
                while last + 1 < len(body) and calls(body[last + 1], "zero_grad"):
                    last += 1
                place = self._first(body, start, behind[-1], counters), behind[-1], last
                if places and goes_on(body, places[-1], place):
                    place = (*places.pop()[:2], last)
                places.append(place)
                start = last + 1
        names = [names_of(body[first : last + 1]) for first, _, last in places]
        for k in reversed(range(len(places))):  # a call in the place of many leaves those before
            others = {n for i, (reads, _) in enumerate(names) if i != k for n in reads}
            self._replace(body, *places[k], others)
        for inner in body:
            if isinstance(inner, ast.For | ast.While) and steps and not has(inner, "step"):
                self._gathering.add(inner)

    def _first(self, body: list[ast.stmt], start: int, walk: int, counters: set[str]) -> int:
        """Where the statements begin that compute the loss."""
        first = walk
        while first > start and not why_held(body[first - 1]):
            if calls(body[first - 1], "step"):
                break  # of a schedule, which counts in Python
            assigned = set(names_of(body[first:walk])[1])
            if loss_names(body[walk]) & assigned and self._prepares(body[first - 1], counters):
                break
            first -= 1
        return first

    def _replace(
        self, body: list[ast.stmt], first: int, walk: int, last: int, others: set[str]
    ) -> None:
        """Put a call in the place of a step, if it may be one."""
        part = body[first : last + 1]
        reads, assigns = names_of(part)
        read = [n for n in reads if n not in self._known]
        found = Found(
            part[0].lineno,
            part[-1].end_lineno or part[-1].lineno,
            reads=read,
            assigns=assigns,
            shared=frozenset(assigns) & others,
            blocks=frozenset(blocks(part)),
            walked=frozenset(walked(part)),
        )
        self.found.append(found)
        barrier = why_held(body[first - 1]) if first else ""
        found.before = f"; {barrier}, and stands before it" if barrier else ""
        held = next(filter(None, map(why_held, body[walk : last + 1])), "")
        if held:
            found.why_not = held
        elif not loss_names(body[walk]) & set(assigns):
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
        names = called_names(statement)
        loops = [n.iter for n in ast.walk(statement) if isinstance(n, ast.comprehension)]
        if any("parameters" not in ast.unparse(loop) for loop in loops):
            return True
        if names:
            return names <= self._others
        models = [c for c in calls if isinstance(c, ast.Attribute) and is_path(c.value)]
        return not models and bool(counters & set(names_of([statement])[0]))


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
