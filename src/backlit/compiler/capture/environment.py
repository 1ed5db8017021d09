"""The captured environment: what a function may read of Python's state, found from its code.

Attributes are read by name, and the names stand in the code: of all that can be reached from the
function's closure, its globals, defaults and arguments, only what some code on the way names can
influence it. So an object may change as it likes where the function does not look.

The limit: names that code computes, as in `getattr(self, "layer" + kind)`, are not seen, nor is
what is read through `vars(x)` or in C. Texts beside a `getattr` or `hasattr` are taken for names.
Calls with effects (`print`, `time`) are found with Python's profile hook, so not under a profiler.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime
import dis
import enum
import functools
import io
import os
import random
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...changes import Announcing
from ...errors import TraceError
from ...tensor import Tensor
from .guards import MISSING, Change, Containers, Guards, contents_of

ATOMS = (
    type(None), bool, int, float, complex, str, bytes, range, slice, types.EllipsisType,
    type(NotImplemented), np.dtype, np.generic, Tensor, enum.Enum, types.CodeType,
    types.GenericAlias, io.IOBase,
)  # fmt: skip
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
#: Packages beside the standard library whose own attributes do not change, and whose functions
#: depend on arguments only. Where a package is installed says nothing: it may be the user's own.
_SETTLED = frozenset(
    "backlit numpy ml_dtypes llvmlite scipy pandas matplotlib torch jax jaxlib".split()
)
_LIBRARY = os.path.dirname(os.__file__) + os.sep
#: Arrays of up to this many bytes are compared at each call if something computes with them.
_SMALL = 1 << 16
_HERE = str(Path(__file__).parents[2]) + os.sep
_NOT_CALLED = frozenset({"__init__", "__new__", "__del__", "__repr__", "__str__", "__setattr__"})


class _Reads(NamedTuple):
    """The names that code reads, by what it reads them of."""

    attributes: frozenset[str]
    globals: frozenset[str]
    free: frozenset[str]  # variables of functions around it
    asked: frozenset[str]  # names that may be given to getattr and hasattr as strings


@functools.lru_cache(maxsize=4096)
def _reads(code: types.CodeType) -> _Reads:
    """The names that a function's code reads, with those of the functions inside it."""
    attributes: set[str] = set()
    global_names: set[str] = set()
    free: set[str] = set()
    asked: set[str] = set()
    for instruction in dis.get_instructions(code):
        name, kind = instruction.argval, instruction.opname
        if kind in ("LOAD_GLOBAL", "LOAD_NAME"):
            global_names.add(name)
        elif kind in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            attributes.add(name)
        elif kind.endswith("DEREF") and kind.startswith("LOAD"):
            free.add(name)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _reads(constant)
            attributes |= inner.attributes
            global_names |= inner.globals
            free |= inner.free
            asked |= inner.asked
    if global_names & {"getattr", "hasattr"}:
        asked |= {c for c in code.co_consts if isinstance(c, str) and c.isidentifier()}
    return _Reads(*map(frozenset, (attributes, global_names, free, asked)))


@functools.lru_cache(maxsize=4096)
def settled(module: Any) -> bool:
    """Whether a module belongs to Python, to Backlit or to a package listed above."""
    if not isinstance(module, str):
        return False
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return top in _SETTLED
    file = getattr(sys.modules.get(top), "__file__", None)  # a script may be called profile.py
    return file is None or (file.startswith(_LIBRARY) and "site-packages" not in file)


@functools.lru_cache(maxsize=1024)
def _own_names(cls: Any) -> frozenset[str]:
    """The attributes that Backlit's own methods of a class read of their object."""
    names: set[str] = set()
    for base in cls.__mro__:
        if issubclass(base, Announcing) and settled(base.__module__):
            if "guarded" in base.__dict__:
                names.update(base.guarded)
            else:
                for value in base.__dict__.values():
                    if isinstance(value, types.FunctionType):
                        names |= _reads(value.__code__).attributes
    return frozenset(names)


class _Holder:
    """Something with attributes - an object, a class or a module - and what is known of reading it.

    `announced` says that it tells of its changes itself: its guards are looked at only then. One
    that is not `guarded` is followed to what it holds, but is taken not to change. Of a class
    (`is_class`) functions are looked into. The attributes `always` are read whether code names them
    or not, `hidden` never. An attribute that one of its `classes` has may be set on the object,
    too: that it has none of its own is guarded. `done` are those that have been looked at.
    """

    def __init__(self, get: Callable[[str, Any], Any], names: Callable[[], Any], path: str):
        self.get = get
        self.names = names  # those that are there now
        self.path = path
        self.announced = False
        self.guarded = True
        self.is_class = False
        self.always: frozenset[str] = frozenset()
        self.hidden: frozenset[str] = frozenset()
        self.classes: tuple[type, ...] = ()
        self.done: set[str] = set()


class Environment:
    """All that a function may read, as guards; found anew by each walk.

    With `first` set what objects make ready at their first use is left out. `used` are objects that
    a capture has met.
    """

    def __init__(self, roots: list[Any], first: bool = False, used: Iterable[Any] = ()):
        self.guards = Guards()
        self.arrays: dict[int, tuple[np.ndarray, str]] = {}
        self.generators: dict[int, tuple[Any, str]] = {}
        self.effects: dict[int, str] = {}  # functions with effects by identity, and their names
        self.dates = False
        self._first = first
        self._seen: dict[int, Any] = {}
        self._names: set[str] = set()
        self._asked: set[str] = set()
        self._holders: list[_Holder] = []
        self._codes: set[types.CodeType] = set()
        self._classes: set[tuple[type, bool]] = set()
        self._pending: list[tuple[Any, str, bool]] = [(v, p, False) for v, p in roots][::-1]
        self._walk()
        for value in used:  # most have been found already, and have a better name
            if id(value) not in self._seen:
                self._visit(value, type(value).__name__, False)
                self._walk()
        self._drawn = {i: _state(g) for i, (g, _) in self.generators.items()}

    # -- the walk -----------------------------------------------------------------------------

    def _walk(self) -> None:
        """Visit all that can be reached, and read every holder for every name, until no more come.

        A function that is found late may name an attribute of an object that was found early.
        """
        known = -1
        while self._pending or known != len(self._names) + len(self._asked):
            while self._pending:
                self._visit(*self._pending.pop())
            known = len(self._names) + len(self._asked)
            for holder in self._holders:
                self._read_attributes(holder)

    def _visit(self, value: Any, path: str, announced: bool) -> None:
        """Take in one object, by its kind; `announced` says that what holds it tells of changes."""
        if isinstance(value, ATOMS) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, types.FunctionType):
            if not settled(value.__module__) or not self._codes:
                self._add_function(value, path)
        elif isinstance(value, types.MethodType):
            self._later(value.__self__, path.rpartition(".")[0] or path)
            self._later(value.__func__, path)
        elif isinstance(value, types.BuiltinFunctionType):
            if isinstance(value.__self__, _GENERATORS):
                self._later(value.__self__, path)
            self._note_effect(value, path)
        elif isinstance(value, functools.partial):
            for part, what in ((value.func, ""), (value.args, ""), (value.keywords, "")):
                self._later(part, path + what)
        elif isinstance(value, types.ModuleType):
            self._visit_module(value, path)
        elif isinstance(value, type):
            self._add_class(value, constructed=True)
        elif isinstance(value, np.ndarray):
            self.arrays[id(value)] = (value, path)
        elif isinstance(value, _GENERATORS):
            self.generators[id(value)] = (value, path)
        elif isinstance(value, Containers):
            self._visit_container(value, path, announced)
        elif hasattr(value, "__wrapped__") and isinstance(value, functools._lru_cache_wrapper):
            self._later(value.__wrapped__, path)
        elif hasattr(type(value), "__next__"):
            raise TraceError(
                f"compile: a captured function cannot read from an iterator, of which it would see "
                f"the elements of the first call for ever, but {path} is a "
                f"{type(value).__name__}; take from it outside and pass Tensors as arguments"
            )
        else:
            self._visit_object(value, path)

    def _later(self, value: Any, path: str, announced: bool = False) -> None:
        """Visit an object when its turn comes: nothing here recurses over the depth of a model."""
        if not isinstance(value, ATOMS):
            self._pending.append((value, path, announced))

    def _visit_container(self, value: Any, path: str, announced: bool) -> None:
        """Guard what a list, dict or set holds, and visit it; a tuple cannot change."""
        if not isinstance(value, tuple):
            announced = isinstance(value, Announcing)
            checks = self.guards.announced if announced else self.guards.open
            checks.add_contents(value, path)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, element in items:
            self._later(element, f"{path}[{key!r}]" if not isinstance(key, Tensor) else path)
        if hasattr(value, "__dict__") and not isinstance(value, Announcing):
            self._visit_object(value, path)

    def _visit_module(self, module: types.ModuleType, path: str) -> None:
        """Hold the names of a user's module; of Python's, what draws, or what tells the time."""
        if module is random:
            self._later(random.random.__self__, "random")  # type: ignore[attr-defined]
        if module.__name__ == "numpy.random":
            self._later(np.random.mtrand._rand, "numpy.random")
        self.dates |= module is datetime
        if module is time:
            for name, function in vars(module).items():
                if isinstance(function, types.BuiltinFunctionType):
                    self.effects[id(function)] = f"time.{name}"
        if not settled(module.__name__):
            own = vars(module)
            self._holders.append(_Holder(own.get, own.keys, path))

    def _visit_object(self, value: Any, path: str) -> None:
        """Hold an object's own attributes, and look into its class.

        A compiled function is what the function in it is.
        """
        cls = type(value)
        self.dates |= cls.__module__ == "datetime"
        if settled(cls.__module__) and cls.__module__.partition(".")[0] != "backlit":
            if not hasattr(value, "__dict__"):
                return
        elif getattr(cls, "_is_compiled_function", False) is True:
            path = getattr(value.function, "__qualname__", path)
            self._later(value.function, path)
            called = getattr(value.function, "__func__", value.function)
            if isinstance(called, types.FunctionType):  # also one of Backlit's own: it is a root
                self._seen[id(called)] = called
                self._add_function(called, path)
            return
        own = getattr(value, "__dict__", None)
        slots = [
            n
            for base in cls.__mro__
            for n, v in base.__dict__.items()
            if isinstance(v, types.MemberDescriptorType)
        ]
        if own is None and not slots:
            return
        get = own.get if own is not None and not slots else _attributes_of(value)
        holder = _Holder(get, lambda: {*(own or ()), *slots}, path)
        holder.announced = isinstance(value, Announcing)
        if holder.announced:
            holder.always = _own_names(cls) | {*cls.called}  # type: ignore[arg-type]
            holder.hidden = frozenset((*cls.ignored, *(cls.prepared if self._first else ())))
        holder.classes = tuple(c for c in cls.__mro__ if c is not object)
        self._holders.append(holder)
        self._add_class(cls)

    def _add_class(self, cls: type, constructed: bool = False) -> None:
        """Hold a class and those it inherits from.

        Operators may call its special methods; those in `_NOT_CALLED` only where the class itself
        is at hand, to be `constructed`.
        """
        for base in cls.__mro__:
            if base is object or (base, constructed) in self._classes:
                continue
            self._classes.add((base, constructed))
            foreign = settled(base.__module__)
            if foreign and not base.__module__.startswith("backlit."):
                continue
            holder = _Holder(base.__dict__.get, base.__dict__.keys, base.__qualname__)
            holder.guarded, holder.is_class = not foreign, True
            called = getattr(cls, "called", ()) if issubclass(cls, Announcing) else ()
            holder.always = frozenset(
                n
                for n, v in base.__dict__.items()
                if isinstance(v, types.FunctionType)
                and (n in called or (n[:2] == "__" and (constructed or n not in _NOT_CALLED)))
            )
            if foreign and issubclass(base, Announcing):
                continue  # what its methods read is known: see `_own_names`
            self._holders.append(holder)

    def _read_attributes(self, holder: _Holder) -> None:
        """Guard the attributes that some code names, and look at their values."""
        own = holder.names()
        wanted = (self._names | self._asked | holder.always) - holder.done - holder.hidden
        present = wanted & set(own)
        absent = set()
        for cls in holder.classes:
            absent |= wanted & cls.__dict__.keys()
        absent |= (self._asked - holder.done) if holder.classes else set()
        absent -= present
        if not present and not absent:
            return
        checks = self.guards.announced if holder.announced else self.guards.open
        for name in present:
            value = holder.get(name, MISSING)
            path = f"{holder.path}.{name}"
            holder.done.add(name)
            if isinstance(value, types.ModuleType) and settled(value.__name__):
                self._later(value, path)
                continue
            if holder.guarded and value is not MISSING:
                checks.add_slot(holder.get, name, value, path)
            value = _unbound(value)
            if holder.is_class and isinstance(value, types.FunctionType):
                if value.__code__ not in self._codes:
                    self._add_function(value, path)
            else:
                self._later(value, path, holder.announced)
        for name in absent:
            holder.done.add(name)
            if holder.guarded and holder.get(name, MISSING) is MISSING:
                checks.add_slot(holder.get, name, MISSING, f"{holder.path}.{name}")

    def _add_function(self, function: types.FunctionType, path: str) -> None:
        """Guard a function's code, defaults, closure and globals; add the names that it reads."""
        code = function.__code__
        reads = _reads(code)
        self._codes.add(code)
        self._names |= reads.attributes
        self._asked |= reads.asked
        where = function.__qualname__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            if name in reads.free and name != "__class__":
                value = contents_of(cell)
                self.guards.open.add_cell(cell, value, f"{name} (in {where})")
                self._later(value, name)
        self.guards.open.add_function(function, where)
        for defaults in (function.__defaults__, function.__kwdefaults__):
            self._later(defaults, f"the defaults of {where}")
        if settled(function.__module__):
            return
        own = function.__globals__
        for name in reads.globals:
            value = own.get(name, MISSING)
            if value is MISSING:
                self._note_effect(getattr(builtins, name, None), name)
                continue
            if isinstance(value, types.ModuleType):
                if value is np and "random" in reads.attributes:
                    self._later(np.random.mtrand._rand, "numpy.random")
                if settled(value.__name__):
                    self._later(value, name)
                    continue
            self.guards.open.add_slot(own.get, name, value, f"the global {name}")
            self._later(value, name)

    def _note_effect(self, function: Any, path: str) -> None:
        """Remember a function that does something outside: only the capture calls it."""
        if function in (print, input, open) or getattr(function, "__module__", None) == "time":
            self.effects[id(function)] = path

    # -- after the call -----------------------------------------------------------------------

    def has(self, value: Any) -> bool:
        """Whether an object was there before the call."""
        return id(value) in self._seen

    def knows(self, array: np.ndarray) -> bool:
        """Whether an array, or what it is a view of, was there before the call."""
        base: Any = array
        while isinstance(base, np.ndarray):
            if id(base) in self.arrays:
                return True
            base = base.base
        return False

    def guard_arrays(self, read: set[int]) -> list[str]:
        """Guard arrays that were not read as Tensors; the places of those too large for it."""
        large = []
        for key, (array, path) in self.arrays.items():
            if key in read or not array.flags.writeable:
                continue
            if array.nbytes <= _SMALL and array.dtype != object:
                self.guards.open.add_array(array, path)
            else:
                large.append(path)
        return large

    @contextlib.contextmanager
    def watch_effects(self) -> Iterator[list[str]]:
        """Collect the calls of functions whose effects a graph does not repeat.

        Python has one profile hook in a thread: under a profiler, as cProfile, the
        hook is the profiler's, nothing is collected and no warning follows.
        """
        found: dict[str, str] = {}
        if (not self.effects and not self.dates) or sys.getprofile() is not None:
            yield []
            return

        def watch(frame: types.FrameType, event: str, function: Any) -> None:
            if event != "c_call":
                return
            name = self.effects.get(id(function))
            if name is None and self.dates:
                owner = getattr(function, "__self__", None)
                if owner in (datetime.datetime, datetime.date):
                    name = f"{owner.__name__}.{function.__name__}"
            code = frame.f_code
            if name is not None and not code.co_filename.startswith(_HERE):
                place = f"{os.path.basename(code.co_filename)}:{frame.f_lineno}"
                found.setdefault(name, f"calls {name} ({place})")

        result: list[str] = []
        sys.setprofile(watch)
        try:
            yield result
        finally:
            sys.setprofile(None)
            result += found.values()

    def require_undrawn(self) -> None:
        """Raise if random numbers were drawn that are not Backlit's."""
        for key, (generator, path) in self.generators.items():
            if _state(generator) != self._drawn[key]:
                raise TraceError(
                    f"compile: a captured function cannot draw random numbers from {path}, because "
                    "every call would see those of the first; draw with backlit.random, which "
                    "gives new numbers at each call, or pass them as Tensors"
                )


def _state(generator: Any) -> Any:
    """The state of a random generator, to compare."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return _plain(generator.bit_generator.state)
    return _plain(generator.get_state(legacy=False))


def _plain(state: Any) -> Any:
    """A state with bytes in the place of arrays."""
    if isinstance(state, dict):
        return {k: _plain(v) for k, v in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _attributes_of(value: Any) -> Callable[[str, Any], Any]:
    return functools.partial(getattr, value)


def _unbound(value: Any) -> Any:
    """The function behind a descriptor of a class."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, functools.cached_property):
        return value.func
    return value


__all__ = ["Change", "Environment"]
