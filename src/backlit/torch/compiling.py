"""`torch.compile`: native code for functions and models, as PyTorch's scripts ask for it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .. import compiler
from ..errors import TraceError
from ..nn.module import Module
from ..state import STATE


def _where_it_can(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function in native code, or as it stands where that cannot be, which it says once."""
    compiled = compiler.compile(function)
    as_it_stands = False

    @functools.wraps(function, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal as_it_stands
        if as_it_stands or STATE.execution.captures:
            return function(*args, **kwargs)
        try:
            return compiled(*args, **kwargs)
        except TraceError as error:
            as_it_stands = True
            warnings.warn(f"torch.compile: it runs as it stands: {error}", stacklevel=2)
        return function(*args, **kwargs)

    return run


class OptimizedModule(Module):
    """A model that runs native code where no gradient is asked for, and as it stands elsewhere.

    No gradient goes through compiled code from outside. For fast training compile the step, with
    `backward()` and `optimizer.step()` inside.
    """

    def __init__(self, model: Module):
        super().__init__()
        self._orig_mod = model
        self.__dict__["_compiled"] = _where_it_can(model)

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

    What cannot be captured, as it asks for values, runs as it stands, with a warning that says why;
    with `fullgraph` that is an error, as in PyTorch. What else PyTorch takes chooses among its
    compilers and has no meaning here, but `disable`.
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, disable=disable)
    if disable:
        return model
    if isinstance(model, Module):
        return OptimizedModule(model)
    return compiler.compile(model) if fullgraph else _where_it_can(model)
