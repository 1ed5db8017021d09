"""Looking at a model without leaving a trace: what changes while it runs is put back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

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


@contextlib.contextmanager
def kept(model: Module) -> Iterator[None]:
    """Whatever happens inside, afterwards the model and all random numbers are as before.

    That is its parameters, buffers, gradients and modes, and the state of Backlit's, Python's and
    NumPy's generators.
    """
    tensors = (*model.parameters(), *model.buffers())
    held = [(t, t.array, t._grad, t.node, t.requires_grad) for t in tensors]
    attributes = [
        (m, {n: v for n, v in vars(m).items() if v is None or isinstance(v, Tensor)})
        for m in model.modules()
    ]
    modes = [(m, m.training) for m in model.modules()]
    sources = [(g, g.key.array, g.counter.array) for g in generators(model).values()]
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for t, *state in held:
            t.array, t._grad, t.node, t._requires_grad = state
        for module, before in attributes:
            for name, value in before.items():
                setattr(module, name, value)
        for module, training in modes:
            module.training = training
        for generator, key, counter in sources:
            generator.key.array, generator.counter.array = key, counter
        random.setstate(python)
        np.random.set_state(numpy)
