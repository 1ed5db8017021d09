"""`torch.compile`: native code for functions and models, as PyTorch's scripts ask for it."""

from __future__ import annotations

import functools
from typing import Any

from .. import compiler
from ..nn.module import Module
from ..state import STATE


class OptimizedModule(Module):
    """A model that runs native code where no gradient is asked for, and as it stands elsewhere.

    No gradient goes through compiled code from outside. For fast training compile the step, with
    `backward()` and `optimizer.step()` inside.
    """

    def __init__(self, model: Module):
        super().__init__()
        self._orig_mod = model
        self.__dict__["_compiled"] = compiler.compile(model)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The model's function."""
        if STATE.grad_enabled and any(p.requires_grad for p in self._orig_mod.parameters()):
            return self._orig_mod(*inputs, **options)
        return self.__dict__["_compiled"](*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_orig_mod" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__dict__["_orig_mod"], name)


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: Any = None,
    disable: bool = False,
) -> Any:
    """Native code of a function, or of a model where no gradient is asked for.

    What else PyTorch takes chooses among its compilers and has no meaning here, but `disable`.
    """
    if model is None:
        return functools.partial(compile, disable=disable)
    if disable:
        return model
    return OptimizedModule(model) if isinstance(model, Module) else compiler.compile(model)
