"""What Python does between native calls: ops that NumPy runs; the errors that a flag stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError, IndexRangeError
from ..capture.checks import Require
from ..capture.evaluate import evaluated
from ..capture.graph import Variable
from ..capture.results import OUTSIDE
from ..loops.elements import OUTSIDE_BIT
from ..lower.kinds import Kernel
from ..lower.views import View
from .memory import Buffers


class OnHost:
    """What is called from Python, with the arrays that it reads and writes.

    It does not refer to the plan, which refers to it: a plan is freed without a garbage collector.
    """

    def __init__(self, kernel: Kernel, buffers: Buffers, arrays: list[Any], arena: np.ndarray):
        self.equation = kernel.roots[0]
        self.views = [
            buffers.lowering.view(x) if isinstance(x, Variable) else x for x in self.equation.inputs
        ]
        self.arrays = arrays
        bases = [v.base for v in self.views if isinstance(v, View)]
        self.places: dict[Variable, tuple[int, int]] = {}
        self.fixed: dict[Variable, np.ndarray] = {}  # in the arena, at the same place in every call
        for v in [*bases, *(r.output for r in kernel.roots)]:
            slot, start = buffers.entry(v)
            if slot is None:
                self.fixed[v] = arena[start : start + v.nbytes].view(v.dtype).reshape(v.shape)
            else:
                self.places[v] = slot, start
        #: Of the views that are whole buffers, these: their arrays are taken as they are.
        self.whole = [
            x.base if isinstance(x, View) and x.contiguous and x.base.shape == x.shape else None
            for x in self.views
        ]

    def inputs(self) -> list[Any]:
        """The arrays and numbers that it reads."""
        return [
            self.buffer(whole) if whole else self._array(x) if isinstance(x, View) else x
            for x, whole in zip(self.views, self.whole, strict=True)
        ]

    def buffer(self, v: Variable) -> np.ndarray:
        """The array of a value that it reads or makes."""
        fixed = self.fixed.get(v)
        if fixed is not None:
            return fixed
        slot, start = self.places[v]
        array = self.arrays[slot]
        if array.dtype == v.dtype and array.shape == v.shape:
            return array
        first = start // v.dtype.itemsize
        return array.reshape(-1)[first : first + v.size].reshape(v.shape)

    def _array(self, view: View) -> np.ndarray:
        base = self.buffer(view.base)
        if view.contiguous:
            count = math.prod(view.shape)
            return base.reshape(-1)[view.offset : view.offset + count].reshape(view.shape)
        size = base.dtype.itemsize
        flat = base.reshape(-1)[view.offset :] if view.offset else base
        return np.lib.stride_tricks.as_strided(
            flat, view.shape, tuple(s * size for s in view.strides), writeable=False
        )


class HostOp(OnHost):
    """One op that NumPy runs."""

    def __call__(self, times: int) -> None:
        """Compute it once: a plan with such an op does one turn at a time."""
        try:
            result = evaluated(self.equation.op, tuple(self.inputs()))
        except IndexError:
            raise IndexRangeError(OUTSIDE) from None
        np.copyto(self.buffer(self.equation.output), result)


def failure(checks: Sequence[Require], flag: int) -> Exception:
    """What the lowest bit of the flag stands for that native code has set."""
    number = (flag & -flag).bit_length() - 1
    if number == OUTSIDE_BIT:
        return IndexRangeError(OUTSIDE)
    found = checks[number:]
    if number == OUTSIDE_BIT - 1 and len(found) > 1:  # those that have no bit of their own
        return ArgumentError("one of these: " + " | ".join(str(c.failure()) for c in found))
    return found[0].failure()
