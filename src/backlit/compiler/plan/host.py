"""Ops that NumPy runs, between native calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import IndexRangeError
from ..capture.graph import Variable
from ..capture.interpreter import evaluated
from ..capture.results import OUTSIDE
from ..lower.kinds import Kernel
from ..lower.views import View
from .memory import Buffers


class HostOp:
    """One op.

    It does not refer to the plan, which refers to it: a plan is freed without a garbage collector.
    """

    def __init__(self, kernel: Kernel, buffers: Buffers, arrays: list[Any], arena: np.ndarray):
        self.equation = kernel.roots[0]
        self.views = [
            buffers.lowering.view(x) if isinstance(x, Variable) else x for x in self.equation.inputs
        ]
        self.arrays, self.arena = arrays, arena
        bases = [v.base for v in self.views if isinstance(v, View)]
        self.places = {v: buffers.entry(v) for v in [*bases, self.equation.output]}

    def __call__(self, times: int) -> None:
        """Compute it once: a plan with such an op does one turn at a time."""
        args = [self._array(v) if isinstance(v, View) else v for v in self.views]
        try:
            result = evaluated(self.equation.op, tuple(args))
        except IndexError:
            raise IndexRangeError(OUTSIDE) from None
        target = self._buffer(self.equation.output)
        np.copyto(target, result)

    def _buffer(self, v: Variable) -> np.ndarray:
        slot, start = self.places[v]
        if slot is None:
            return self.arena[start : start + v.nbytes].view(v.dtype).reshape(v.shape)
        array = self.arrays[slot]
        if array.dtype == v.dtype and array.shape == v.shape:
            return array
        first = start // v.dtype.itemsize
        return array.reshape(-1)[first : first + v.size].reshape(v.shape)

    def _array(self, view: View) -> np.ndarray:
        base = self._buffer(view.base)
        if view.base.shape == view.shape and view.contiguous and view.offset == 0:
            return base
        size = base.dtype.itemsize
        flat = base.reshape(-1)[view.offset :] if view.offset else base
        return np.lib.stride_tricks.as_strided(
            flat, view.shape, tuple(s * size for s in view.strides), writeable=False
        )
