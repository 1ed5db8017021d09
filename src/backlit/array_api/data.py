"""`x.data`: the value of a Tensor as a Tensor that is not on the tape, and writes through.

What changes it in place changes x, without a word to the tape, which keeps the values that it has
used: `w.data -= 0.1 * w.grad.data`, `w.data[0] = 0.0`, `w.data[0].zero_()`. To keep x's numbers as
they are now, `x.clone()` has them in a Tensor of its own.

What x.data is *set* to takes the place of the value. The old one stays with whoever has taken it,
so that `old = w.data; w.data = average; w.data = old` gives w its value back.
"""

from __future__ import annotations

import weakref
from typing import Any

from ..changes import CHANGES
from ..errors import ArgumentError, DTypeError
from ..execution import AT_ONCE
from ..foreign import words
from ..op import describe
from ..state import STATE, Setting
from ..tensor import Tensor, wrap
from .assignment import setitem
from .indexing import getitem

_new = object.__new__


class Data(Tensor):
    """The value of another Tensor, or what a basic key selects of it: never a copy.

    It holds no array: it reads its owner's, and hands on to it what is assigned.
    """

    __slots__ = ("_key", "_left_in", "_owner")

    #: What has the value; it is Data itself, if this is a part, or not the first that was taken.
    _owner: Tensor
    _key: Any
    #: The execution in which its owner was given another value; None: it has not.
    _left_in: Any

    @property
    def array(self) -> Any:
        """The elements."""
        return self.now().array

    @array.setter
    def array(self, array: Any) -> None:
        self.store(wrap(array))

    def now(self) -> Tensor:
        """A Tensor with the value of now: the owner, or a part of it."""
        if self._key is None:
            return self._owner
        with Setting(grad_enabled=False):
            return getitem(self._owner, self._key)

    def store(self, value: Tensor) -> None:
        """Give the owner a value, of the same shape and dtype."""
        if self._key is None:
            STATE.execution.assign(self._owner, value)
        else:
            self._owner.become("data", setitem(self._owner, self._key, value))

    def become(self, what: str, new: Tensor, *, reshaped: bool = False) -> Tensor:
        """Take over a Tensor's value; the tape does not hear of it."""
        new = wrap(STATE.execution.read(new))
        return super().become(what, new, reshaped=reshaped and self._key is None)

    def __getitem__(self, key: Any) -> Tensor:
        keys = key if isinstance(key, tuple) else (key,)
        basic = all(
            k is None or k is Ellipsis or isinstance(k, slice) or type(k) is int for k in keys
        )
        return _of(self, key) if basic else getitem(self, key)

    def _twin(self, array: Any) -> Tensor:
        return wrap(array)


class _Firsts(dict[Any, weakref.ref[Data]]):
    """What was first taken of a Tensor as data, as long as somebody holds it.

    A capture has its own, because each call of what it captures must do the same.
    """

    room = 1000

    def at(self, place: Any) -> Data | None:
        """Whoever has the value of a Tensor as data."""
        known = self.get(place)
        return known() if known is not None else None

    def add(self, place: Any, data: Data) -> None:
        """Note what was taken."""
        if len(self) >= self.room:
            for key in [key for key, known in list(self.items()) if known() is None]:
                self.pop(key, None)
            self.room = max(1000, 2 * len(self))
        self[place] = weakref.ref(data)


_FIRSTS = _Firsts()


def _place(tensor: Tensor) -> Any:
    execution = STATE.execution
    return id(tensor) if execution is AT_ONCE else (id(tensor), id(execution))


def _leave(tensor: Tensor) -> None:
    """Part a Tensor from its value, which is about to be replaced: it goes on in one of its own."""
    place = _place(tensor)
    first = _FIRSTS.at(place)
    if first is not None:
        del _FIRSTS[place]
        first._owner, first._left_in = wrap(STATE.execution.read(tensor)), STATE.execution


def _take(tensor: Tensor, value: Data) -> None:
    """Let a value that no Tensor has go on in the one that was set to it."""
    place = _place(tensor)
    if value._left_in is STATE.execution and _FIRSTS.at(place) is None:
        value._owner, value._left_in = tensor, None
        _FIRSTS.add(place, value)


def _whole(value: Tensor) -> Data | None:
    """The first that was taken as data of the Tensor of which this is the whole value, too."""
    while isinstance(value, Data) and value._key is None:
        if not isinstance(value._owner, Data):
            return value
        value = value._owner
    return None


def _of(owner: Tensor, key: Any) -> Data:
    y = _new(Data)
    y._owner, y._key = owner, key
    y._left_in = y.node = y._grad = y._hooks = y.name = y._part = None
    y._requires_grad = False
    return y


def _get(self: Tensor) -> Tensor:
    """The value as a Tensor that is not on the tape, and writes through: its changes are x's.

    >>> from backlit import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> x.data *= 10
    >>> x
    Tensor([10., 20.], shape=(2,), dtype=float32, requires_grad=True)
    """
    if isinstance(self, Data):
        return self
    place = _place(self)
    first = _FIRSTS.at(place)
    if first is not None:
        return _of(first, None)
    y = _of(self, None)
    _FIRSTS.add(place, y)
    return y


def _set(self: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise DTypeError(
            f"data: the value must be a Tensor, got {words(value)[0]}; use backlit.tensor(value)"
        )
    taken = _whole(value)
    if value is self or (taken is not None and taken._owner is self):
        return  # the end of `x.data += y`
    if isinstance(self, Data):
        raise ArgumentError(
            f"data: this ({describe(self)}) is the data of another Tensor and cannot be set to "
            "something else; set that of the Tensor, or use x.data.copy_(value)"
        )
    _leave(self)
    if value.shape == self.shape and value.dtype == self.dtype:
        STATE.execution.assign(self, value.detach())
    else:
        STATE.execution.forbid(
            "data: a captured function cannot give a Tensor another shape or dtype; do it outside"
        )
        self.array = value.detach().array
        CHANGES.mark = object()
    if taken is not None:
        _take(self, taken)


data = property(_get, _set)
