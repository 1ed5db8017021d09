"""What becomes of a Tensor when a part of it, `x[0]`, is changed in place: in PyTorch, x changes.

So it does where PyTorch is spoken: `x[0][1] = 5.0`, `x[0].fill_(2.0)` and `row = x[0]; row += 1`
write into x, by an item assignment that the tape records. A part still has its own value: it does
not see what becomes of x later, and cannot be written into x once that value is out of date.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from ..errors import GradientError
from ..op import describe
from ..state import where_called
from ..tensor import Parts, Tensor
from .assignment import setitem
from .dialects import SPOKEN
from .indexing import getitem


class Part(NamedTuple):
    """Of which Tensor a Tensor is a part, by which key, and the array that the whole had then."""

    whole: weakref.ref[Tensor]
    key: Any
    array: Any

    def write(self, what: str, part: Tensor, before: Any) -> None:
        """Write the part, which was `before` until now, into the whole, if that still exists."""
        whole = self.whole()
        if whole is None:
            return
        if whole.array is not self.array and not self._holds(whole, before):
            raise GradientError(
                f"{what}: the Tensor ({describe(part)}) is a part of one ({describe(whole)}) that "
                f"has changed since{where_called()}; take the part again, as x[0], and change that"
            )
        whole.become(what, setitem(whole, self.key, part))
        part._part = Part(self.whole, self.key, whole.array)

    def _holds(self, whole: Tensor, before: Any) -> bool:
        """Whether the whole still has the value of the part: others were changed."""
        if type(whole.array) is not np.ndarray or type(before) is not np.ndarray:
            return False
        return np.array_equal(whole.array[self.key], before)


def item(self: Tensor, key: Any) -> Tensor:
    """x[key] with NumPy's meaning."""
    y = getitem(self, key)
    if SPOKEN.pytorch and _is_basic(key):
        y._part = Part(weakref.ref(self), key, self.array)
        Parts.made = True
    return y


def _is_basic(key: Any) -> bool:
    """Whether a key selects a part, and no copies: numbers, slices, None and `...`."""
    keys = key if type(key) is tuple else (key,)
    return all(k is None or k is Ellipsis or type(k) in (int, slice) for k in keys)


__all__ = ["Part", "item"]
