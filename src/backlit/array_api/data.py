"""`x.data`: the value of a Tensor as a Tensor that is not on the tape, and writes through.

What changes it in place changes x, without a word to the tape, which keeps the values that it has
used: `w.data -= 0.1 * w.grad.data`, `w.data[0] = 0.0`, `w.data[0].zero_()`. To read x's numbers as
they are now, `x.detach()` is a Tensor of its own.
"""

from __future__ import annotations

from typing import Any

from ..changes import CHANGES
from ..errors import DTypeError
from ..foreign import words
from ..state import STATE, Setting
from ..tensor import Tensor, wrap
from .assignment import setitem
from .indexing import getitem

_new = object.__new__


class Data(Tensor):
    """The value of another Tensor, or what a basic key selects of it: never a copy.

    It holds no array: it reads its owner's, and hands on to it what is assigned.
    """

    __slots__ = ("_key", "_owner")

    _owner: Tensor
    _key: Any

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
        return super().become(what, new.detach(), reshaped=reshaped and self._key is None)

    def __getitem__(self, key: Any) -> Tensor:
        keys = key if isinstance(key, tuple) else (key,)
        basic = all(
            k is None or k is Ellipsis or isinstance(k, slice) or type(k) is int for k in keys
        )
        return _of(self, key) if basic else getitem(self, key)

    def _twin(self, array: Any) -> Tensor:
        return wrap(array)


def _of(owner: Tensor, key: Any) -> Data:
    y = _new(Data)
    y._owner, y._key = owner, key
    y.node = y._grad = y._hooks = y.name = y._part = None
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
    return self if isinstance(self, Data) else _of(self, None)


def _set(self: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise DTypeError(
            f"data: the value must be a Tensor, got {words(value)[0]}; use backlit.tensor(value)"
        )
    if isinstance(value, Data) and value._key is None and value._owner is self:
        return  # the end of `x.data += y`
    if value.shape == self.shape and value.dtype == self.dtype:
        STATE.execution.assign(self, value.detach())
        return
    STATE.execution.forbid(
        "data: a captured function cannot give a Tensor another shape or dtype; do it outside"
    )
    self.array = value.detach().array
    CHANGES.mark = object()


data = property(_get, _set)
