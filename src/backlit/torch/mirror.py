"""A module of PyTorch's made of modules of ours: their names, and for others what to do instead."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..errors import SpellingError
from ..spelling import near_name
from .missing import MISSING
from .missing_vision import MISSING_VISION

_ABSENT = object()
_CURES = MISSING | MISSING_VISION


def mirrored(room: str, *sources: ModuleType) -> Callable[[str], Any]:
    """The `__getattr__` of a module: names of the sources, submodules, else the error.

    `room` is its name in PyTorch, as `"torch.nn"`.
    """
    path = f"backlit.{room}"

    def get(name: str) -> Any:
        if not name.startswith("__"):
            for source in sources:
                # Not getattr alone: a source says its own cure for what it has not.
                found = vars(source).get(name, _ABSENT)
                if found is not _ABSENT and not name.startswith("_"):
                    setattr(sys.modules[path], name, found)
                    return found
            if hasattr(sys.modules[path], "__path__") and _is_there(f"{path}.{name}"):
                return importlib.import_module(f"{path}.{name}")
        raise absent(room, name)

    return get


def _is_there(path: str) -> bool:
    """Whether there is such a module."""
    return path in sys.modules or importlib.util.find_spec(path) is not None


def same_rooms(room: str, source: ModuleType) -> None:
    """Put the modules of a package of ours under a path of PyTorch's, where it has none."""
    for module in pkgutil.iter_modules(source.__path__):
        if _is_there(f"{room}.{module.name}"):
            continue
        found = importlib.import_module(f"{source.__name__}.{module.name}")
        sys.modules[f"{room}.{module.name}"] = found
        setattr(sys.modules[room], module.name, found)


def files(room: str, listed: str) -> dict[str, ModuleType]:
    """Modules under the names of PyTorch's files of a room: each has all that the room has."""
    path = f"backlit.{room}"
    made = {}
    for name in listed.split():
        module = made[name] = ModuleType(f"{path}.{name}", f"`{room}.{name}`: see `{room}`.")
        module.__getattr__ = lambda wanted: getattr(sys.modules[path], wanted)  # type: ignore[method-assign]
        sys.modules[module.__name__] = module
    return made


def part(room: str, **held: Any) -> ModuleType:
    """A module under a name of PyTorch's that holds a few things, which can be set."""
    module = ModuleType(f"backlit.{room}", f"`{room}`: see the room that it is in.")
    vars(module).update(held)
    sys.modules[module.__name__] = module
    return module


def names(module: ModuleType | str, *sources: ModuleType) -> list[str]:
    """The public names of a module and of its sources: for `dir` and `from … import *`."""
    own = sys.modules[module] if isinstance(module, str) else module
    found = {n for n in vars(own) if not n.startswith("_")}
    for source in sources:
        listed = getattr(source, "__all__", None)
        found.update(listed or (n for n in vars(source) if not n.startswith("_")))
    return sorted(found)


def _cure(full: str) -> str | None:
    """What to do instead of a name of PyTorch's, if it is known to be missing."""
    full = full.replace("torch.nn.modules.", "torch.nn.")  # where nn's names stand once more
    while full not in _CURES and full.count(".") > 1:
        full = full.rpartition(".")[0]  # what is true of a room is true of what is in it
    return _CURES.get(full)


def is_missing(full: str) -> bool:
    """Whether a name of PyTorch's is known to be missing."""
    return _cure(full) is not None


def absent(room: str, name: str) -> AttributeError:
    """The error for a name that is not there, with what to do instead, or what is meant."""
    full = f"{room}.{name}"
    cure = _cure(full)
    if cure is not None:
        return SpellingError(f"{full}: not in Backlit; {cure}")
    module = sys.modules[f"backlit.{room}"]
    near = near_name(name, dir(module))
    hint = f"; did you mean {near}?" if near else ""
    return AttributeError(f"module 'backlit.{room}' has no attribute {name!r}{hint}")
