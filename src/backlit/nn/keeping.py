"""Looking at a model without leaving a trace: what changes while it runs is put back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..random import Generator, default_generator
from ..tensor import Tensor
from .module import Module


def generators(model: Module) -> dict[str, Generator]:
    """The sources of random numbers: this thread's default one, and the model's own by path."""
    found = {"default": default_generator()}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Generator) and value not in found.values():
                found[f"{path}.{name}" if path else name] = value
    return found


def state_of(modules: Iterable[Module]) -> Callable[[], None]:
    """A function that puts back what running modules may change, except what is learned.

    That is the Tensors, numbers and None in their attributes, and the values of those Tensors.
    """
    attributes = [(m, {n: v for n, v in vars(m).items() if _is_state(v)}) for m in modules]
    tensors = {v for _, own in attributes for v in own.values() if isinstance(v, Tensor)}
    values = [(t, t.array, t.node, t._requires_grad) for t in tensors if type(t) is Tensor]

    def put_back() -> None:
        for module, before in attributes:
            for name in [n for n, v in vars(module).items() if _is_state(v) and n not in before]:
                delattr(module, name)
            for name, value in before.items():
                setattr(module, name, value)
        for t, *state in values:
            t.array, t.node, t._requires_grad = state

    return put_back


def _is_state(value: Any) -> bool:
    return value is None or isinstance(value, Tensor | bool | int | float)


@contextlib.contextmanager
def kept(model: Module) -> Iterator[None]:
    """Whatever happens inside, afterwards the model and all random numbers are as before.

    That is its parameters, buffers, gradients and modes, Tensors and numbers in its attributes, and
    the state of Backlit's, Python's and NumPy's generators.
    """
    put_back = state_of(model.modules())
    tensors = (*model.parameters(), *model.buffers())
    held = [(t, t.array, t._grad, t.node, t.requires_grad) for t in tensors]
    sources = [(g, g.key.array, g.counter.array) for g in generators(model).values()]
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        put_back()
        for t, *state in held:
            t.array, t._grad, t.node, t._requires_grad = state
        for generator, key, counter in sources:
            generator.key.array, generator.counter.array = key, counter
        random.setstate(python)
        np.random.set_state(numpy)
