"""The eager step of a parameter group, in NumPy: small parameters are joined and updated together.

A `GroupStep` has the `Bundle`s of one group. `Optimizer.step` makes it and keeps it while it fits.
The optimizer is asked for its rule: `coefficients` once a step, `update` for each bundle.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..backend import numpy_backend
from ..changes import CHANGES
from ..dtypes import LOW_PRECISION, DType, float32
from ..tensor import Tensor
from .group import Group

#: Parameters of up to this many elements are updated joined together; see `Bundle`.
JOINED_SIZE = 4096
#: The name of the step counter in the state.
STEP = "step"


def update_dtype(dtype: DType) -> DType:
    """The type in which a parameter is updated."""
    return float32 if dtype in LOW_PRECISION else dtype


class Bundle:
    """Parameters of one dtype and step counter that are updated together, as one array.

    On small arrays the time goes into the calls, not the numbers, so the small parameters are
    joined end to end. An element-wise update gives the same bits either way. The Tensors are views
    of the joined arrays. Nothing is written in place: the tape may still need the old values.
    """

    def __init__(self, params: list[Tensor], states: list[list[Tensor]]):
        self.params = params
        self.dtype = update_dtype(params[0].dtype)
        self.cast = self.dtype != params[0].dtype
        self.known: dict[float, np.ndarray] = {}
        self.joined = len(params) > 1
        #: The parameters, then for each state name its Tensors.
        self.members = [params, *states]
        ends = np.cumsum([p.size for p in params]).tolist()
        self.places = [
            (slice(end - p.size, end), p.shape) for p, end in zip(params, ends, strict=True)
        ]
        self.arrays = [_joined(tensors) for tensors in self.members]
        #: The Tensors, and the arrays that they were given.
        self.seen: list[tuple[Tensor, np.ndarray]] = []
        self._write(self.arrays)

    def fits(self) -> bool:
        """Whether nobody else has replaced the arrays."""
        return all([t.array is array for t, array in self.seen])  # noqa: C419, faster than lazily

    def _write(self, arrays: list[np.ndarray]) -> None:
        """Take over the values of parameters and state, and hand them out to their Tensors."""
        self.arrays = arrays
        seen: list[tuple[Tensor, np.ndarray]] = []
        self.seen = seen
        for tensors, array in zip(self.members, arrays, strict=True):
            if self.joined:
                for t, (place, shape) in zip(tensors, self.places, strict=True):
                    t.array = piece = array[place].reshape(shape)
                    seen.append((t, piece))
            else:
                tensors[0].array = array
                seen.append((tensors[0], array))

    def number(self, x: Any) -> Any:
        """A coefficient as an array of no axes, which NumPy reads faster than a Python number."""
        if type(x) is not float:
            return x if x is None else np.array(x, self.dtype)
        array = self.known.get(x)
        if array is None:
            if len(self.known) > 64:
                self.known.clear()
            array = self.known[x] = np.array(x, self.dtype)
        return array

    def run(self, optimizer: Any, settings: dict[str, Any], numbers: tuple) -> None:
        """One update."""
        value, *state = self.arrays
        if self.joined:
            grad = np.concatenate([p._grad.array for p in self.params], axis=None)  # type: ignore[union-attr]
        else:
            grad = self.params[0]._grad.array  # type: ignore[union-attr]
        if self.cast:
            value, grad = value.astype(self.dtype), grad.astype(self.dtype)
        if settings.get("maximize"):
            grad = -grad
        numbers = tuple([self.number(x) for x in numbers])
        new = optimizer.update(numpy_backend, settings, numbers, value, grad, *state)
        arrays = [np.asarray(array) for array in new]
        if self.cast:
            arrays[0] = arrays[0].astype(self.params[0].dtype)
        self._write(arrays)


def _joined(tensors: list[Tensor]) -> np.ndarray:
    if len(tensors) == 1:
        return tensors[0].array
    return np.concatenate([t.array for t in tensors], axis=None)


class GroupStep:
    """How one group is stepped: its bundles by step counter, for the parameters with gradients.

    It is kept from step to step, as long as `fits`.
    """

    def __init__(self, optimizer: Any, group: Group):
        self.params: list[Tensor] = list(group["params"])
        self.active: list[bool] = [p._grad is not None for p in self.params]
        self.parts: list[tuple[Tensor, list[Bundle]]] = []
        bundles: dict[tuple[Tensor, DType, Any], list[tuple[Tensor, dict[str, Tensor]]]] = {}
        for p, state in optimizer._active(group):
            small = optimizer.elementwise and p.size <= JOINED_SIZE
            key = (state[STEP], p.dtype, None if small else p)
            bundles.setdefault(key, []).append((p, state))
        parts: dict[Tensor, list[Bundle]] = {}
        for (counter, _, _), members in bundles.items():
            names = [n for n in members[0][1] if n != STEP]
            states = [[s[n] for _, s in members] for n in names]
            parts.setdefault(counter, []).append(Bundle([p for p, _ in members], states))
        self.parts = list(parts.items())
        self.states = self._states(optimizer)
        self.kept = {*optimizer.initial_state(group.floats())}
        self.mark = CHANGES.mark

    def _states(self, optimizer: Any) -> list[list[Tensor]]:
        """The Tensors of state of each parameter."""
        return [list(optimizer.state.get(p, {}).values()) for p in self.params]

    def fits(self, optimizer: Any, group: Group) -> bool:
        """Whether the same parameters have gradients and the state is as this step left it."""
        params = group["params"]
        mark = CHANGES.mark
        if mark is not self.mark:  # something may have been put in or taken out
            if len(params) != len(self.params) or not all(map(operator.is_, params, self.params)):
                return False
            for now, then in zip(self._states(optimizer), self.states, strict=True):
                if len(now) != len(then) or not all(map(operator.is_, now, then)):
                    return False
            if self.kept != {*optimizer.initial_state(group.floats())}:
                return False
            self.mark = mark
        for p, active in zip(params, self.active, strict=True):
            if (p._grad is not None) is not active:
                return False
        return all([b.fits() for _, bundles in self.parts for b in bundles])  # noqa: C419

    def run(self, optimizer: Any, settings: dict[str, Any]) -> None:
        """One step of the group."""
        for counter, bundles in self.parts:
            step = counter.array + 1.0
            counter.array = np.asarray(step)
            numbers = optimizer.coefficients(numpy_backend, settings, step)
            for bundle in bundles:
                bundle.run(optimizer, settings, numbers)


__all__ = ["JOINED_SIZE", "STEP", "Bundle", "GroupStep", "update_dtype"]
