"""What the Tensor gets of PyTorch's: methods of the table, those written out, those in place."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from .. import array_api as ours
from .. import linalg, random
from ..array_api.dialects import SPOKEN
from ..array_api.parts import Moved, Reshaped, part_of
from ..calls import explain_methods, origin
from ..nn import functional
from ..tensor import Tensor
from . import functions, matrices, pieces, samples, table, writing
from .in_place import IN_PLACE, SHAPING, in_place, in_shape
from .methods import WRITTEN_OUT
from .translate import Function, Line, lines, translated

#: Namespaces of ours; where two have a name, that of the later one is meant.
_OURS = (functional, random, linalg, ours)
#: The names that two of them have for functions of their own.
_IN_TWO = "pad sigmoid tanh diagonal trace"
#: Functions made for PyTorch: they come before ours of the same name. No two share a name.
_MADE = (matrices, samples, writing, pieces, functions)


def targets() -> dict[str, Function]:
    """Our functions by name: those made for PyTorch first."""
    # PyTorch's eq is our equal, and its equal is one of those made for it.
    return _named(_OURS, _IN_TWO) | _named(_MADE, "") | {"equal_elements": ours.equal}


def _named(modules: Iterable[ModuleType], in_two: str) -> dict[str, Function]:
    """The public functions of modules by name; several of one name only where that is said."""
    found: dict[str, Function] = {}
    for module in modules:
        for name in _public(module):
            value = origin(getattr(module, name))
            if found.get(name, value) is not value and name not in in_two.split():
                raise RuntimeError(
                    f"dialect: two functions are called {name}, of {found[name].__module__} and "
                    f"{module.__name__}; rename one of them, or say here which is meant"
                )
            found[name] = value
    return found


def _public(module: ModuleType) -> list[str]:
    """The functions that a module lists, or else that are written in it."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [n for n in listed if callable(getattr(module, n))]
    own = module.__name__
    return [
        n
        for n, value in vars(module).items()
        if callable(value) and not n.startswith("_") and value.__module__ == own
    ]


def available() -> dict[str, tuple[Line, Function]]:
    """The lines of the table with the function that each one calls, by PyTorch's name."""
    known = targets()
    return {line.name: (line, known[line.target]) for line in lines()}


def names() -> set[str]:
    """The names of all methods that the Tensor has from here, or will have."""
    found = {line.name for line in lines() if line.is_method} | {*WRITTEN_OUT, *IN_PLACE}
    return found | {f"{n}_" for n in (*table.IN_PLACE.split(), *SHAPING.split())}


#: What shows the elements of a Tensor in another shape, or at other places.
RESHAPING = "view view_as reshape_as ravel reshape flatten unsqueeze squeeze unflatten"
MOVING = """
t transpose permute swapaxes swapdims movedim moveaxis diagonal unfold narrow select split chunk
unbind tensor_split split_with_sizes hsplit vsplit dsplit
"""


def _through(name: str, function: Function) -> Function:
    """A function of which PyTorch's result writes through to its Tensor: see `parts`."""
    if name not in RESHAPING.split() and name not in MOVING.split():
        return function
    moving = name in MOVING.split()

    def way(y: Tensor, args: Any, kwargs: Any, number: int | None) -> Moved | Reshaped:
        if not moving:
            return Reshaped(y.shape)
        if number is None:
            return Moved(lambda x: function(x, *args, **kwargs))
        return Moved(lambda x: function(x, *args, **kwargs)[number])

    @functools.wraps(function)
    def through(self: Any, *args: Any, **kwargs: Any) -> Any:
        y = function(self, *args, **kwargs)
        if SPOKEN.pytorch:
            pieces = enumerate(y) if isinstance(y, tuple) else [(None, y)]
            for number, piece in pieces:
                part_of(self, piece, way(piece, args, kwargs, number))
        return y

    return through


def attach() -> dict[str, Function]:
    """Give the Tensor its methods; returns the functions of the table."""
    made = {
        name: _through(name, translated(line, target)) for name, (line, target) in FOUND.items()
    }
    methods = {n: f for n, f in made.items() if FOUND[n][0].is_method and not hasattr(Tensor, n)}
    methods.update((name, _through(name, written)) for name, written in WRITTEN_OUT.items())
    methods.update(IN_PLACE)
    for name in table.IN_PLACE.split():
        if name in methods:
            methods[f"{name}_"] = in_place(f"{name}_", methods[name])
    methods.update({f"{n}_": in_shape(f"{n}_", methods[n]) for n in SHAPING.split()})
    for name, method in methods.items():
        if name.endswith("_"):  # a method alone, which pickle finds by its class
            method.__module__, method.__qualname__ = Tensor.__module__, f"Tensor.{name}"
        setattr(Tensor, name, method)
    explain_methods(Tensor)
    return made


FOUND = available()
FUNCTIONS = attach()

__all__ = ["FUNCTIONS", "names"]
