"""The same random numbers in every call of a function that draws some, so that it can be compared.

What a function draws from is looked for where it can have it from: NumPy's and Python's own
generators, those in its globals, its closure and its object, and what it makes without a seed.
Each is as it was before the first call whenever a call begins, and after all as it was found.
"""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...gates import Gate
from .source import closed

REPEATED = "randomness: the forward draws random numbers; the same ones were drawn in every call"
_SEED = 20


class Repeated:
    """A function that draws the same random numbers in every call."""

    def __init__(self, function: Callable[..., Any]):
        self.__wrapped__ = function
        self.function = function
        self.generators = list(_generators(function))
        self.start = [_state(g) for g in self.generators]
        self.known = getattr(inspect.unwrap(function), "__globals__", {})

    def __call__(self, *inputs: Any) -> Any:
        """What the function gives with these random numbers."""
        with self.drawing():
            return self.function(*inputs)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """All generators at their start, and afterwards as they were."""
        found = [_state(g) for g in self.generators]
        made = np.random.default_rng

        def seeded(seed: Any = None) -> np.random.Generator:
            return made(_SEED if seed is None else seed)

        places = [(vars(np.random), "default_rng")]
        places += [(self.known, name) for name, value in self.known.items() if value is made]
        try:
            for generator, state in zip(self.generators, self.start, strict=True):
                _set(generator, state)
            for place, name in places:
                place[name] = seeded
            yield
        finally:
            for place, name in places:
                place[name] = made
            for generator, state in zip(self.generators, found, strict=True):
                _set(generator, state)


def repeated(op: Gate) -> Gate:
    """A gate whose forward draws the same random numbers in every call."""
    made = copy.copy(op)
    made.__dict__["value"] = Repeated(op.value)
    return made


def _generators(function: Any) -> Iterator[Any]:
    """The generators that a function can draw from: the two modules stand for their own."""
    yield from (np.random, random)
    plain = getattr(inspect.unwrap(function), "__func__", inspect.unwrap(function))
    held = dict(getattr(getattr(function, "__self__", None), "__dict__", {}))
    if inspect.isfunction(plain):
        names = (*plain.__code__.co_names, *plain.__code__.co_freevars)
        held |= {n: v for n, v in {**plain.__globals__, **closed(plain)}.items() if n in names}
    seen: set[int] = set()
    for value in held.values():
        kinds = (np.random.Generator, np.random.RandomState, random.Random)
        if isinstance(value, kinds) and id(value) not in seen:
            seen.add(id(value))
            yield value


def _state(generator: Any) -> Any:
    """The state of a generator, for `_set`."""
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return generator.getstate() if hasattr(generator, "getstate") else generator.get_state()


def _set(generator: Any, state: Any) -> None:
    """Put a generator back to a state."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif hasattr(generator, "setstate"):
        generator.setstate(state)
    else:
        generator.set_state(state)
