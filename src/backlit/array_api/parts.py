"""What becomes of a Tensor when a part of it, `x[0]`, is changed in place: in PyTorch, x changes.

So it does where PyTorch is spoken: `x[0][1] = 5.0`, `x[0].fill_(2.0)`, `row = x[0]; row += 1` and
`x.view(-1)[0] = 5.0` write into x, by an item assignment that the tape records. What is written
to `x.detach()` reaches x, too, off the tape. A part has its own value: it does not see what
becomes of x later, and cannot be written into x once that value is out of date.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import EllipsisType, NoneType
from typing import Any, NamedTuple

import numpy as np

from ..errors import GradientError
from ..op import describe
from ..state import STATE, Setting, where_called
from ..tensor import Parts, Tensor, constant, wrap
from .assignment import setitem
from .data import Data
from .dialects import SPOKEN
from .indexing import getitem
from .manipulation import reshape


class Keyed(NamedTuple):
    """The part that a key selects."""

    key: Any

    def of(self, array: np.ndarray) -> np.ndarray:
        """The part of an array."""
        return array[self.key]

    def put(self, whole: Tensor, part: Tensor) -> Tensor:
        """The whole with another part."""
        return setitem(whole, self.key, part, spent=True)


class Reshaped(NamedTuple):
    """All elements in another shape."""

    shape: tuple[int, ...]

    def of(self, array: np.ndarray) -> np.ndarray:
        """The part of an array."""
        return array.reshape(self.shape)

    def put(self, whole: Tensor, part: Tensor) -> Tensor:
        """The whole with another part."""
        return reshape(part, whole.shape)


class Moved(NamedTuple):
    """Elements at other places, as a function says that only moves them."""

    function: Callable[[Tensor], Tensor]

    def of(self, array: np.ndarray) -> np.ndarray:
        """The part of an array."""
        return self.function(wrap(array)).array

    def put(self, whole: Tensor, part: Tensor) -> Tensor:
        """The whole with another part."""
        places = self.function(constant(np.arange(whole.size).reshape(whole.shape)))
        return reshape(setitem(reshape(whole, -1), places, part), whole.shape)


class Detached(NamedTuple):
    """All elements, off the tape: what is written is not on the whole's tape, either."""

    def of(self, array: np.ndarray) -> np.ndarray:
        """The part of an array."""
        return array

    def put(self, whole: Tensor, part: Tensor) -> Tensor:
        """The whole with another part."""
        return wrap(STATE.execution.read(part))


_DETACHED = Detached()


class Part(NamedTuple):
    """Of which Tensor a Tensor is a part, and how, and the array that the whole had then."""

    whole: Callable[[], Tensor | None]
    way: Keyed | Reshaped | Moved | Detached
    array: Any

    def write(self, what: str, part: Tensor, before: Any) -> None:
        """Write the part, which was `before` until now, into the whole, if that still exists."""
        whole = self.whole()
        if whole is None:
            return
        if whole.array is not self.array and not self._holds(whole, before):
            raise GradientError(
                f"{what}: the Tensor ({describe(part)}) is a part of one ({describe(whole)}) that "
                f"has changed since{where_called()}; take it again, as x[0] or x.detach(), and "
                "change that"
            )
        if type(self.way) is Detached:
            with Setting(grad_enabled=False):
                whole.become(what, self.way.put(whole, part))
        else:
            whole.become(what, self.way.put(whole, part))
        part._part = Part(self.whole, self.way, whole.array)

    def _holds(self, whole: Tensor, before: Any) -> bool:
        """Whether the whole still has the value of the part: others were changed."""
        if type(whole.array) is not np.ndarray or type(before) is not np.ndarray:
            return False
        return np.array_equal(self.way.of(whole.array), before)


def part_of(whole: Any, part: Any, way: Keyed | Reshaped | Moved | Detached) -> None:
    """Let a Tensor write through to the one that it was made of, where PyTorch is spoken."""
    if SPOKEN.pytorch and part is not whole and isinstance(whole, Tensor):
        # What writes through itself is kept for its part: nobody else may hold it. But what is
        # off the tape does not keep the tape.
        inner = isinstance(whole, Data) or whole._part is not None
        inner = inner and (whole.node is None or type(way) is not Detached)
        part._part = Part((lambda: whole) if inner else weakref.ref(whole), way, whole.array)
        Parts.made = True


def item(self: Tensor, key: Any) -> Tensor:
    """x[key] with NumPy's meaning."""
    y = getitem(self, key)
    if SPOKEN.pytorch and _is_basic(key):
        part_of(self, y, Keyed(key))
    return y


def detach(self: Tensor) -> Tensor:
    """The same values, cut off from the tape."""
    y = wrap(STATE.execution.read(self))
    part_of(self, y, _DETACHED)
    return y


def speak_pytorch() -> None:
    """From now on what means two things is PyTorch's, and parts write through."""
    SPOKEN.pytorch = True
    Tensor.__getitem__ = item  # type: ignore[method-assign]
    Tensor.detach = detach  # type: ignore[method-assign]


_BASIC = frozenset({int, slice, NoneType, EllipsisType})


def _is_basic(key: Any) -> bool:
    """Whether a key selects a part, and no copies: numbers, slices, None and `...`."""
    keys = key if type(key) is tuple else (key,)
    return _BASIC.issuperset(map(type, keys))


__all__ = ["Moved", "Part", "Reshaped", "item", "part_of", "speak_pytorch"]
