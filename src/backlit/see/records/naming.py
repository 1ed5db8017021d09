"""What Tensors and modules are called by the user's functions that are running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any

from ...nn.module import Module
from ...tape import INTERNAL
from ...tensor import Tensor

#: The elements of longer lists are not named.
MAX_NAMED = 1000


def user_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames outside Backlit, innermost first; only the first few can name a Tensor."""
    found = 0
    while frame is not None and found < 3:
        if not INTERNAL[frame.f_code.co_filename]:
            found += 1
            yield frame
        frame = frame.f_back


def names_of(frames: Iterable[FrameType]) -> dict[int, str]:
    """The names of variables that hold Tensors or modules, by the id of these, or of its node."""
    names: dict[int, str] = {}
    for frame in frames:
        for variables in (frame.f_locals, frame.f_globals):
            for name, x in list(variables.items()):
                if not name.startswith(("_", "@")):  # of the user's own
                    for m, text in _modules_in(name, x):
                        names.setdefault(id(m), text)
                    for t, text in _tensors_in(name, x):
                        names.setdefault(id(t), text)
                        if t.node is not None:
                            names.setdefault(id(t.node), text)
    return names


def name_at(frame: FrameType | None, t: Tensor) -> str:
    """What a Tensor is called by the user's functions that are running; "" if none has a name."""
    for f in user_frames(frame):
        for name, x in list(f.f_locals.items()):
            if not name.startswith(("_", "@")):
                for found, text in _held(name, x):
                    if found is t:
                        return text
    return ""


def _held(name: str, x: Any) -> Iterator[tuple[Tensor, str]]:
    """The Tensors of a variable, in its list or dictionary, or among its attributes."""
    yield from _tensors_in(name, x)
    for n in getattr(type(x), "_fields", ()) if isinstance(x, tuple) else ():
        yield from _tensors_in(f"{name}.{n}", getattr(x, n))
    if not isinstance(x, Tensor | type | ModuleType):
        for n, part in list(getattr(x, "__dict__", {}).items()):
            if not n.startswith("_"):
                yield from _tensors_in(f"{name}.{n}", part)


def _tensors_in(name: str, x: Any) -> Iterator[tuple[Tensor, str]]:
    """A variable's Tensor, or those in its list or dictionary, with their names: `xs[0]`."""
    yield from _of_kind(Tensor, name, x)


def _modules_in(name: str, x: Any) -> Iterator[tuple[Module, str]]:
    """A variable's module, or those in its list or dictionary, with their names."""
    yield from _of_kind(Module, name, x)


def _of_kind(kind: type, name: str, x: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(x, kind):
        yield x, name
    elif isinstance(x, list | tuple) and len(x) <= MAX_NAMED:
        yield from ((t, f"{name}[{i}]") for i, t in enumerate(x) if isinstance(t, kind))
    elif type(x) is dict and len(x) <= MAX_NAMED:
        yield from ((t, f"{name}[{key!r}]") for key, t in x.items() if isinstance(t, kind))
