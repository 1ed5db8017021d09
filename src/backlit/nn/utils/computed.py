"""An attribute of a module that is computed from others each time it is read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from ...changes import CHANGES
from ...errors import ArgumentError
from ..module import Module


class Computed(NamedTuple):
    """How a module's attribute is computed, and what setting it does (None: it cannot be set)."""

    get: Callable[[Any], Any]
    set: Callable[[Any, Any], None] | None = None


def compute(module: Module, name: str, computed: Computed, prefix: str = "") -> None:
    """Make an attribute a computed one; what stood there is taken out of the module.

    The module stays an instance of its class, of which it gets a subclass, whose name begins with
    `prefix`.
    """
    if name in module.__dict__:
        delattr(module, name)
    known = {**computed_of(module), name: computed}
    _turn(module, plain_class(module), known, prefix)


def restore(module: Module, name: str, value: Any) -> None:
    """Make it an ordinary attribute again, with a value."""
    known = {n: c for n, c in computed_of(module).items() if n != name}
    cls = type(module)
    prefix = cls.__name__.removesuffix(plain_class(module).__name__)
    _turn(module, plain_class(module), known, prefix if known else "")
    setattr(module, name, value)


def computed_of(module: Module) -> dict[str, Computed]:
    """The computed attributes of a module."""
    return module.__dict__.get("_computed", {})


def plain_class(module: Module) -> type[Module]:
    """The class of a module without computed attributes."""
    cls = type(module)
    return cls.plain if issubclass(cls, _Computing) else cls


def _turn(module: Module, cls: Any, known: dict[str, Computed], prefix: str) -> None:
    if known:
        module.__dict__["_computed"] = known
        cls = _class_of(cls, tuple(known), prefix)
    else:
        module.__dict__.pop("_computed", None)
    object.__setattr__(module, "__class__", cls)
    CHANGES.mark = object()


class _Computing(Module):
    """The base of classes with computed attributes."""

    plain: Any = Module
    names: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.names:
            super().__setattr__(name, value)
            return
        change = computed_of(self)[name].set
        if change is None:
            raise ArgumentError(
                f"{self.plain.__name__}.{name}: it is computed from other parameters and cannot be "
                "set; change those, or remove what computes it first"
            )
        change(self, value)


@functools.cache
def _class_of(cls: type[Module], names: tuple[str, ...], prefix: str) -> type[Module]:
    def reader(name: str) -> property:
        return property(lambda self: computed_of(self)[name].get(self))

    inside: dict[str, Any] = {name: reader(name) for name in names}
    inside |= {"plain": cls, "names": names, "__module__": cls.__module__, "__doc__": cls.__doc__}
    return type(prefix + cls.__name__, (_Computing, cls), inside)


__all__ = ["Computed", "compute", "computed_of", "restore"]
