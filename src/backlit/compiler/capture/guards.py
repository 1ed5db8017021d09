"""Guards: whether what a captured function read of Python's state is still as it was."""

from __future__ import annotations

import functools
import math
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...changes import CHANGES
from ...op import describe


class _Missing:
    """Stands for an attribute that is not there."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Any = _Missing()
_PLAIN = (int, bool, str, bytes)


def exactly(a: Any, b: Any) -> bool:
    """Whether two values are the same, or plain values of one type that nothing can tell apart.

    >>> exactly((1, "a"), (1, "a")), exactly(1, True), exactly(0.0, -0.0)
    (True, False, False)
    """
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is float:
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if kind in _PLAIN:
        return a == b
    if kind is tuple:
        return len(a) == len(b) and all(map(exactly, a, b))
    if isinstance(a, np.generic):
        return a.tobytes() == b.tobytes() and a.dtype == b.dtype
    if kind in (complex, slice, range):
        return repr(a) == repr(b)
    if kind is types.MethodType:
        return a.__func__ is b.__func__ and a.__self__ is b.__self__
    return False


class Without(NamedTuple):
    """A dict in which the values under some keys do not count."""

    container: dict[str, Any]
    keys: frozenset[str]


def snapshot(container: Any) -> list[Any]:
    """What is in a list, tuple, dict, set or deque, to be compared by `exactly`."""
    if type(container) is Without:
        own, passed = container
        return [*own, *[v for k, v in own.items() if k not in passed]]
    if isinstance(container, dict):
        # A parameter group holds Tensors, which stay the same, and shows their numbers.
        kind = OrderedDict if isinstance(container, OrderedDict) else dict
        return [*kind.keys(container), *kind.values(container)]
    if isinstance(container, set):
        return sorted(container, key=id)
    return list(container)


@dataclass
class Change:
    """One thing that is not as it was."""

    path: str
    before: Any
    after: Any
    #: Puts back what was there.
    undo: Callable[[], None]
    #: The list, dict or set that was changed in place, if it was one.
    container: Any = None

    def __str__(self) -> str:
        return f"{self.path} was {named(self.before)} and then {named(self.after)}"


def named(value: Any) -> str:
    """A value in words that fit into a line."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return describe(value)
    text = repr(value) if isinstance(value, (*_PLAIN, float, tuple, list)) else ""
    if text and len(text) < 80 and "\n" not in text:
        return text
    if value is None or value is MISSING:
        return repr(value)
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return getattr(value, "__qualname__", None) or f"another {type(value).__name__}"


class _Checks:
    """Values read from cells, from attributes and out of containers, each with where it was.

    Entries are lists, because an equal value that takes a value's place is remembered instead.
    """

    def __init__(self) -> None:
        self.functions: list[list[Any]] = []  # [function, code, defaults, path]
        self.cells: list[list[Any]] = []  # [cell, value, path]
        self.slots: list[list[Any]] = []  # [get, name, value, path]
        self.contents: list[list[Any]] = []  # [container, snapshot, path]
        self.arrays: list[list[Any]] = []  # [array, bytes, path]
        self.results: list[list[Any]] = []  # [function, value, path]

    def add_function(self, function: types.FunctionType, path: str) -> None:
        """A function has the code and the defaults that it has now."""
        self.functions.append([function, function.__code__, function.__defaults__, path])

    def add_cell(self, cell: Any, value: Any, path: str) -> None:
        """A closure's cell holds a value."""
        self.cells.append([cell, value, path])

    def add_slot(self, get: Callable[[str, Any], Any], name: str, value: Any, path: str) -> None:
        """`get(name, MISSING)` is a value: an attribute, or an entry of a dict."""
        self.slots.append([get, name, value, path])

    def add_contents(self, container: Any, path: str) -> None:
        """A list, dict, set or deque holds what it holds now."""
        self.contents.append([container, snapshot(container), path])

    def add_array(self, array: np.ndarray, path: str) -> None:
        """An array has the elements that it has now."""
        self.arrays.append([array, array.tobytes(), path])

    def add_result(self, function: Callable[[], Any], value: Any, path: str) -> None:
        """`function()` is a value."""
        self.results.append([function, value, path])

    def changes(self) -> Iterator[Change]:
        """Whatever is not as it was."""
        for function, code, defaults, path in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                yield Change(path, "one function", "another", leave)
        for entry in self.cells:
            now = contents_of(entry[0])
            if now is entry[1]:
                continue
            if exactly(now, entry[1]):
                entry[1] = now
            else:
                undo = functools.partial(setattr, entry[0], "cell_contents", entry[1])
                yield Change(entry[2], entry[1], now, undo)
        for entry in self.slots:
            now = entry[0](entry[1], MISSING)
            if now is entry[2]:
                continue
            if exactly(now, entry[2]):
                entry[2] = now
            else:
                yield Change(entry[3], entry[2], now, functools.partial(_put_back, *entry[:3]))
        for entry in self.contents:
            inside = snapshot(entry[0])
            if len(inside) == len(entry[1]) and all(map(exactly, inside, entry[1])):
                entry[1] = inside
            else:
                undo = functools.partial(_fill_again, entry[0], entry[1])
                yield Change(entry[2], entry[1], inside, undo, entry[0])
        for array, then, path in self.arrays:
            if array.tobytes() != then:
                yield Change(path, "one array", "another", leave)
        for function, value, path in self.results:
            if function() is not value:
                yield Change(path, "one", "another", leave)


def leave() -> None:
    """What holds no values is not put back."""


def _put_back(get: Callable[[str, Any], Any], name: str, value: Any) -> None:
    """Set what `get` reads under a name: an entry of a dict, or an attribute of an object."""
    own = getattr(get, "__self__", None)
    if isinstance(own, dict):
        own.pop(name, None)
        if value is not MISSING:
            own[name] = value
    elif isinstance(get, functools.partial) and value is not MISSING:
        setattr(get.args[0], name, value)


def _fill_again(container: Any, inside: list[Any]) -> None:
    """Put a snapshot back into its container."""
    if isinstance(container, dict):
        half = len(inside) // 2
        container.clear()
        container.update(zip(inside[:half], inside[half:], strict=True))
    elif isinstance(container, list | set | deque):
        container.clear()
        (container.update if isinstance(container, set) else container.extend)(inside)


def contents_of(cell: Any) -> Any:
    """What a closure's cell holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


class Guards:
    """All that a capture depends on but for the values of Tensors.

    What announces its changes is asked only after an announcement.
    """

    def __init__(self) -> None:
        self.announced = _Checks()
        self.open = _Checks()
        self.mark = CHANGES.mark

    def hold(self) -> bool:
        """Whether everything is as it was. Asked at every call: identity first."""
        mark = CHANGES.mark
        if mark is not self.mark:
            for _ in self.announced.changes():
                return False
            self.mark = mark
        open = self.open
        for function, code, defaults, _ in open.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
        try:
            for cell, value, _ in open.cells:
                if cell.cell_contents is not value:
                    return self._compare()
        except ValueError:
            return self._compare()
        for get, name, value, _ in open.slots:
            if get(name, MISSING) is not value:
                return self._compare()
        if open.contents or open.arrays or open.results:
            return self._compare()
        return True

    def _compare(self) -> bool:
        for _ in self.open.changes():
            return False
        return True

    def changes(self) -> list[Change]:
        """Everything that is not as it was."""
        return [*self.announced.changes(), *self.open.changes()]

    def know(self, value: Any) -> bool:
        """Whether a value stands in one of the places that are guarded."""
        return any(
            any(e[1] is value for e in checks.cells)
            or any(e[2] is value for e in checks.slots)
            or any(v is value for e in checks.contents for v in e[1])
            for checks in (self.announced, self.open)
        )

    def pass_over(self, module: Any, name: str) -> None:
        """Do not ask which Tensor an attribute of a module holds."""
        own = vars(module)
        for checks in (self.announced, self.open):
            checks.slots = [
                e
                for e in checks.slots
                if e[1] != name or getattr(e[0], "__self__", None) is not own
            ]
            for entry in checks.contents:
                inner = entry[0].container if type(entry[0]) is Without else entry[0]
                if inner is module._buffers and name in inner:
                    keys = entry[0].keys if type(entry[0]) is Without else frozenset()
                    entry[0] = Without(inner, keys | {name})
                    entry[1] = snapshot(entry[0])

    def forget(self, paths: set[str]) -> None:
        """Guard some places no more."""
        for checks in (self.announced, self.open):
            checks.cells = [e for e in checks.cells if e[2] not in paths]
            checks.slots = [e for e in checks.slots if e[3] not in paths]
            checks.contents = [e for e in checks.contents if e[2] not in paths]


Containers = (list, tuple, dict, set, deque)
