"""The text of a hand-written backward: read, changed in one place, and run again.

Nothing is written anywhere: the changed text is compiled in memory, in a copy of the names that the
function sees, and runs on the arrays that the function itself was run on.
"""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import itertools
import os
import textwrap
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...autograd import fit
from ...backend import numpy_backend as NUMPY
from ...gates import NO_CACHE, Gate
from ...op import Op
from .experiment import Trial

#: Helpers that a backward calls are read, too, up to so many functions in all.
FUNCTIONS = 6

_PACKAGE = str(Path(__file__).parents[2]) + os.sep


@dataclass
class Unit:
    """One function of the text: its tree, and the line of its file that stands before line 1."""

    name: str
    tree: ast.FunctionDef
    before: int
    function: types.FunctionType
    text: str

    def line(self, node: ast.AST) -> int:
        """Where a node stands in its file."""
        return self.before + int(getattr(node, "lineno", 1))

    def span(self, node: Any) -> tuple[int, int]:
        """Where a node begins and ends in the text."""
        lines = self.text.splitlines(keepends=True)
        starts = [0, *itertools.accumulate(map(len, lines))]

        def place(line: int, column: int) -> int:
            return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

        end = place(node.end_lineno, node.end_col_offset)
        return place(node.lineno, node.col_offset), end

    def segment(self, node: ast.AST) -> str:
        """A node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]


class Source:
    """The functions of a backward whose text can be read, itself first."""

    def __init__(self, op: Op, units: list[Unit]):
        self.op, self.units = op, units

    def compiled(self, trees: Sequence[ast.FunctionDef] | None = None) -> Any:
        """The backward of these trees, as a function. Raises SyntaxError and its kin."""
        trees = [u.tree for u in self.units] if trees is None else trees
        main = self.units[0].function
        place = {**main.__globals__, **closed(main)}
        for unit in self.units[1:]:
            place.update(closed(unit.function))
        module = ast.Module(list(reversed(trees)), [])
        exec(compile(module, "<changed backward>", "exec"), place)
        made = place[self.units[0].name]
        for unit in self.units:
            new, old = place[unit.name], unit.function
            new.__defaults__, new.__kwdefaults__ = old.__defaults__, old.__kwdefaults__
        return made


class Runner:
    """Runs a backward again and again at one trial, each time on fresh copies of what it is given.

    What a forward remembers for its backward is taken once.
    """

    def __init__(self, op: Op, trial: Trial):
        self.op, self.trial = op, trial
        self.cache: Any = NO_CACHE
        self.state: dict[str, Any] | None = None
        self.owner: Any = None
        if isinstance(op, Gate):
            self.cache = copied(op.remembered(trial.inputs))
            self.owner = getattr(op.slopes, "__self__", None)
            if self.owner is not None and not isinstance(self.owner, type):
                self.state = copied(getattr(self.owner, "__dict__", None))
        else:
            self.saved = op.save(trial.inputs, trial.y)

    def __call__(self, function: Any) -> list[np.ndarray | None]:
        """The gradient of every input, fitted but for a gate; whatever the function raises."""
        trial, sent = self.trial, self.trial.upstream.copy()
        if isinstance(self.op, Gate):
            owner = self.owner
            if self.state is not None:
                owner = copy.copy(owner)
                owner.__dict__.update(copied(self.state))
            start = () if owner is None else (owner,)
            if not self.op.is_pair:
                raw = function(*start, *self.op.arrived(sent))
            elif self.cache is NO_CACHE:
                raw = function(*start, sent, *[copied(x) for x in trial.inputs])
            else:
                raw = function(*start, sent, copied(self.cache))
        else:
            raw = self.op.with_backward(function).backward(NUMPY, sent, *copied(self.saved))
        raw = list(raw) if isinstance(raw, tuple | list) else [raw]
        found: list[np.ndarray | None] = []
        for x, g in zip(trial.inputs, raw, strict=False):
            g = g() if callable(g) else g
            if g is None or not isinstance(x, np.ndarray) or x.dtype.kind != "f":
                found.append(None)
            else:
                g = np.asarray(g)
                fits = g.shape == x.shape or self.op.sums_itself
                found.append(g if fits else np.asarray(fit(NUMPY, g, x)))
        return found + [None] * (len(trial.inputs) - len(found))


def copied(value: Any) -> Any:
    """Arrays inside tuples, lists and dicts copied; everything else as it is."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (tuple, list):
        return type(value)([copied(v) for v in value])
    if type(value) is dict:
        return {k: copied(v) for k, v in value.items()}
    return value


def read(op: Op) -> Source | None:
    """The text of an op's or a gate's backward and of the functions that it calls, or None."""
    function = op.slopes if isinstance(op, Gate) else inspect.unwrap(type(op).backward)
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType) or is_of_backlit(function):
        return None
    units: list[Unit] = []
    waiting = [function]
    while waiting and len(units) < FUNCTIONS:
        function = waiting.pop(0)
        unit = _unit(function)
        if unit is None:
            if not units:
                return None
            continue
        if unit.name in {u.name for u in units}:
            continue
        units.append(unit)
        waiting += _called(function)
    return Source(op, units)


def is_of_backlit(function: Any) -> bool:
    """Whether a function stands in this package: its text is not for a user to edit."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith(_PACKAGE)


def _unit(function: types.FunctionType) -> Unit | None:
    """A function's tree, as a `def` without decorators."""
    try:
        lines, start = inspect.getsourcelines(function)
        written = textwrap.dedent("".join(lines))
        tree = ast.parse(written)
    except (OSError, TypeError, SyntaxError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            return Unit(node.name, _plain(node), start - 1, function, written)
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            code = compile(ast.Expression(node), "", "eval").co_consts[0]
            if getattr(code, "co_code", None) == function.__code__.co_code and (
                code.co_names == function.__code__.co_names
                and code.co_varnames == function.__code__.co_varnames
                and code.co_consts == function.__code__.co_consts
            ):
                return Unit("backward", _as_function(node), start - 1, function, written)
    return None


def tree_in(changed: str, unit: Unit) -> ast.FunctionDef | None:
    """The tree of a unit's function in its text after a change, or None."""
    try:
        tree = ast.parse(changed)
    except (SyntaxError, ValueError):
        return None
    place = unit.tree.lineno, unit.tree.col_offset
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        if (node.lineno, node.col_offset) == place:
            return _plain(node) if isinstance(node, ast.FunctionDef) else _as_function(node)
    return None


def _plain(node: ast.FunctionDef) -> ast.FunctionDef:
    """A `def` without decorators, annotations and the values of defaults."""
    node.decorator_list, node.returns = [], None
    for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs):
        argument.annotation = None
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [None if d is None else ast.Constant(None)
                             for d in node.args.kw_defaults]  # fmt: skip
    return ast.fix_missing_locations(node)


def _as_function(node: ast.Lambda) -> ast.FunctionDef:
    """A lambda as the `def` of a backward."""
    body = ast.copy_location(ast.Return(node.body), node.body)
    made = ast.FunctionDef("backward", node.args, [body], [])
    return ast.fix_missing_locations(ast.copy_location(made, node))


def _called(function: types.FunctionType) -> Iterator[types.FunctionType]:
    """The functions of the same file that a function calls by name."""
    known = {**function.__globals__, **closed(function)}
    for name in function.__code__.co_names + function.__code__.co_freevars:
        other = known.get(name)
        if (
            isinstance(other, types.FunctionType)
            and other.__name__ == name
            and other.__code__.co_filename == function.__code__.co_filename
        ):
            yield other


def closed(function: types.FunctionType) -> dict[str, Any]:
    """What a function has in its closure, by name."""
    names, cells = function.__code__.co_freevars, function.__closure__ or ()
    found = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def outer_names(source: Source) -> dict[str, Any]:
    """Numbers and arrays that stand outside the functions and that these, or the forward, name."""
    found: dict[str, Any] = {}
    forward = _forward_of(source.op)
    functions = [u.function for u in source.units]
    functions += [forward] if forward is not None else []
    for function in functions:
        known = {**function.__globals__, **closed(function)}
        for name in (*function.__code__.co_names, *function.__code__.co_freevars):
            value = known.get(name)
            number = isinstance(value, float | int) and not isinstance(value, bool)
            if (number or isinstance(value, np.ndarray | list)) and not hasattr(builtins, name):
                found[name] = value
    return found


def takes_a_root(op: Op) -> bool:
    """Whether the forward of an op names a square root."""
    forward = _forward_of(op)
    return forward is not None and "sqrt" in forward.__code__.co_names


def _forward_of(op: Op) -> types.FunctionType | None:
    function = inspect.unwrap(op.value if isinstance(op, Gate) else type(op).forward)
    function = getattr(function, "__func__", function)
    return function if isinstance(function, types.FunctionType) else None
