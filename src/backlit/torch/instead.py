"""`import torch` that means `backlit.torch`: in a block of code, or for a whole script.

Inside the block every module `torch.…` is a door to `backlit.torch.…`, whether PyTorch is installed
or not. What has no room behind it can be imported all the same, and says what to do instead when it
is used: scripts import more than they use.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType, TracebackType
from typing import Any

from ..errors import ArgumentError, SpellingError
from .mirror import absent, is_missing

_ROOM = __name__.rpartition(".")[0]
#: PyTorch's packages, and the room that stands for each.
_ROOMS = {"torch": _ROOM, "functorch": f"{_ROOM}.func", "torchvision": f"{_ROOM}vision"}
#: What builds on PyTorch itself, and cannot run on anything else.
_BESIDE = ("torchaudio", "torchtext")
_ENTERING = threading.RLock()


class Door(ModuleType):
    """A module `torch.…`, which has what the room of that name in `backlit.torch` has."""

    def __init__(self, name: str, room: ModuleType):
        super().__init__(name, room.__doc__)
        self.__dict__["_room"] = room
        self.__dict__["__path__"] = []  # so that modules are looked for in it

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":  # for `from torch import *`
            return [n for n in dir(self._room) if not n.startswith("_")]
        try:
            value = getattr(self._room, name)
        except AttributeError:
            if name.startswith("__"):
                raise AttributeError(f"module {self.__name__!r} has no {name}") from None
            raise
        inner = _theirs(value.__name__) if isinstance(value, ModuleType) else None
        if inner is not None and (inner in sys.modules or _finder() is not None):
            return importlib.import_module(inner)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)  # as the import system does
        elif not isinstance(value, Door | Absent):
            setattr(self._room, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._room)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}: {self._room.__name__}>"


def _theirs(path: str) -> str | None:
    """PyTorch's name of a module that is in one of the rooms."""
    for package in ("torch", "torchvision"):
        room = _ROOMS[package]
        if path.startswith(f"{room}."):
            return package + path.removeprefix(room)
    return None


class Absent(ModuleType):
    """What was imported of PyTorch and is not there: whoever uses it is told what to do instead."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__dict__["__path__"] = []

    def _error(self, name: str = "") -> AttributeError:
        full = f"{self.__name__}.{name}" if name else self.__name__
        if not any(_is_below(full, package) for package in _ROOMS):
            return SpellingError(
                f"{full}: not in Backlit, which stands for torch and torchvision; read the data "
                "with NumPy or backlit.data, and write its transforms with torch's functions"
            )
        room, _, last = full.rpartition(".")
        try:
            return absent(room, last)
        except KeyError:  # there is not even such a room
            return AttributeError(f"{full}: not in Backlit")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no {name}")
        package = self._package()
        if hasattr(package, name):
            return getattr(package, name)
        raise self._error(name)

    def _package(self) -> Any:
        """The door in which this is one of PyTorch's files, which has what stands in its files.

        None where there is a cure: what we have under its names is something else.
        """
        above, _, _ = self.__name__.rpartition(".")
        if not above or is_missing(self.__name__):
            return None
        found = sys.modules.get(above)
        return found._package() if isinstance(found, Absent) else found

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(value, Absent):
            super().__setattr__(name, value)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Nothing: the error says what to do instead."""
        raise self._error()

    def __mro_entries__(self, bases: Any) -> Any:
        raise self._error()

    def __instancecheck__(self, thing: Any) -> bool:
        return False  # nothing is one of these

    def __repr__(self) -> str:
        return f"<{self.__name__}: not in Backlit>"


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `torch`, what is below and beside it, before anybody else does."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module below `torch`, or beside it."""
        if not _is_known(name):
            return None
        return importlib.machinery.ModuleSpec(name, _Loader(), is_package=True)


class _Loader(importlib.abc.Loader):
    """Makes the doors."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """A door to the room of that name, or what stands for a room that is not there."""
        package, _, path = spec.name.partition(".")
        if package not in _ROOMS:
            return Absent(spec.name)
        room = ".".join(filter(None, (_ROOMS[package], path)))
        try:
            return Door(spec.name, importlib.import_module(room))
        except ModuleNotFoundError as error:
            if error.name is None or not room.startswith(error.name):
                raise  # something else is missing
        above, _, name = room.rpartition(".")
        held = getattr(sys.modules.get(above), name, None)  # a module by another name, as cuda.amp
        return Door(spec.name, held) if isinstance(held, ModuleType) else Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run: the room behind the door is complete."""


def _finder() -> _Finder | None:
    """The finder, if a block is entered."""
    return next((f for f in sys.meta_path if isinstance(f, _Finder)), None)


def _is_below(name: str, root: str) -> bool:
    """Whether a module is another, or in it."""
    return name == root or name.startswith(f"{root}.")


def _is_known(name: str) -> bool:
    """Whether a name is PyTorch's, or of what builds on it."""
    return any(_is_below(name, root) for root in (*_ROOMS, *_BESIDE))


def _doors() -> dict[str, ModuleType]:
    """All modules of these names that are loaded."""
    return {name: sys.modules[name] for name in list(sys.modules) if _is_known(name)}


@contextlib.contextmanager
def instead_of_torch() -> Iterator[None]:
    """A block in which `import torch` means `backlit.torch`, also in modules that it imports.

    PyTorch itself, if it was imported before, is put aside and back again: who holds it keeps it,
    and what was imported for the first time inside the block keeps Backlit. The block is the whole
    process's, other threads included.

    >>> with instead_of_torch():
    ...     import torch
    ...     from torch import nn
    >>> type(torch.ones(2)).__module__, nn.Linear.__module__
    ('backlit.tensor', 'backlit.nn.linear')
    """
    with _ENTERING:
        before = _doors()
        for name in before:
            del sys.modules[name]
        finder = _Finder()
        sys.meta_path.insert(0, finder)
        importlib.invalidate_caches()
    try:
        yield
    finally:
        with _ENTERING:
            sys.meta_path.remove(finder)
            for name in _doors():
                del sys.modules[name]
            sys.modules.update(before)


Prepare = Callable[[ast.Module], ast.Module]


def run(
    path: str,
    arguments: Sequence[str] = (),
    prepare: Prepare | None = None,
    names: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a script as `python path arguments…` would, with Backlit for PyTorch; its variables.

    `prepare` may change what its source says; `names` are there when it starts. What the script
    raises is passed on, SystemExit included.
    """
    if not os.path.isfile(path):
        raise ArgumentError(f"run: {path}: there is no such file")
    file = os.path.abspath(path)
    script = ModuleType("__main__")
    script.__file__ = file
    vars(script).update(names or {})
    script.__loader__ = loader = importlib.machinery.SourceFileLoader("__main__", file)
    argv, folders, main = sys.argv, sys.path[:], sys.modules["__main__"]
    sys.argv = [path, *arguments]
    sys.path[:1] = [os.path.dirname(file)]
    sys.modules["__main__"] = script
    try:
        with instead_of_torch():
            source: Any = loader.get_data(file)
            if prepare is not None:
                source = prepare(ast.parse(source, file))
            exec(compile(source, file, "exec", dont_inherit=True), vars(script))
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = argv, folders, main
    return vars(script)


def run_as_python_would(
    path: str,
    arguments: Sequence[str] = (),
    prepare: Prepare | None = None,
    names: Mapping[str, Any] | None = None,
) -> None:
    """Run a script; what it raises is shown as Python shows it, and ends the process with 1."""
    try:
        run(path, arguments, prepare, names)
    except (SystemExit, ArgumentError, BrokenPipeError) as error:
        if isinstance(error, ArgumentError) and _from_script(error.__traceback__, path):
            _show(error, path)
            raise SystemExit(1) from None
        raise
    except KeyboardInterrupt as error:
        _show(error, path)
        raise SystemExit(130) from None
    except BaseException as error:  # whatever a script may raise
        _show(error, path)
        raise SystemExit(1) from None


def _from_script(trace: TracebackType | None, path: str) -> TracebackType | None:
    """The part of a traceback that begins in the script."""
    file = os.path.abspath(path)
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    return trace


def _show(error: BaseException, path: str) -> None:
    """Show an error without the frames by which the script was started."""
    trace = _from_script(error.__traceback__, path)
    error.__traceback__ = trace
    sys.excepthook(type(error), error, trace)
