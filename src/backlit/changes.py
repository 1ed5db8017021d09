"""What tells compiled functions that modules or optimizers have changed.

A compiled function depends on much that is not a Tensor's value: a module's mode, its numbers,
which modules are inside it, which parameters an optimizer steps. To ask all of that at every call
would cost more than a small step itself. Those objects therefore announce their changes here, and a
call asks them only if anything at all was announced since the last one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, ClassVar


class Changes:
    """When anything was last announced: another object at each time."""

    mark: object = object()


CHANGES = Changes()


class Announcing:
    """The base of what announces its changes.

    The change is made first and announced then, so that who sees the new mark sees the change.
    """

    __slots__ = ()
    #: The attributes that the methods of the class itself read when it is used.
    guarded: ClassVar[tuple[str, ...]] = ()
    #: The methods that Backlit calls where a captured function uses an object of the class.
    called: ClassVar[tuple[str, ...]] = ()
    #: Attributes that nothing computed depends on.
    ignored: ClassVar[tuple[str, ...]] = ()
    #: Attributes that are made ready when they are first used, which is no change.
    prepared: ClassVar[tuple[str, ...]] = ()


def _announced(base: type, name: str) -> Any:
    change = getattr(base, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return change(self, *args, **kwargs)
        finally:
            CHANGES.mark = object()

    method.__name__, method.__doc__ = name, change.__doc__
    return method


def announce(cls: type) -> type:
    """Make every method of a dict or list that changes it announce the change."""
    names = (
        "__setitem__ __delitem__ __ior__ __iadd__ __imul__ append extend insert remove pop popitem "
        "clear update setdefault sort reverse move_to_end"
    ).split()
    for name in names:
        if hasattr(cls, name) and name not in cls.__dict__:
            setattr(cls, name, _announced(cls, name))
    return cls


@announce
class WatchedList(list, Announcing):
    """A list that announces its changes."""

    __slots__ = ()


@announce
class WatchedDict(OrderedDict, Announcing):
    """A dict that announces its changes."""
