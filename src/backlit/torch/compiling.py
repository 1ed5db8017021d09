"""`torch.compile`: native code for functions and models, as PyTorch's scripts ask for it."""

from __future__ import annotations

import functools
from typing import Any

from .. import compiler
from ..compiler.api import Executor, Runner
from ..compiler.capture.trace import Capture
from ..errors import TraceError
from ..nn.module import Module
from ..state import STATE
from ..tensor import Tensor
from ..tree import flatten


class _OnTape(Exception):  # noqa: N818  (it is caught here and says no error)
    """What a function returns would be on the tape."""


class _OffTape(compiler.CompiledFunction):
    """A compiled function that runs as it stands where a derivative of its result may be asked.

    No gradient goes through native code from outside.
    """

    _finds_leaves = False  # it finds Tensors around it that require a gradient

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does."""
        if STATE.grad_enabled and (self._finds_leaves or _asks_for_gradients(args, kwargs)):
            return self.function(*args, **kwargs)
        try:
            return super().__call__(*args, **kwargs)
        except _OnTape:
            self._finds_leaves = True
        return self.function(*args, **kwargs)

    def _made(self, captured: Capture, make: Executor | None = None) -> Runner:
        if captured.linked:
            for change in reversed(captured.changes):
                change.undo()
            raise _OnTape
        return super()._made(captured, make)


def _asks_for_gradients(args: Any, kwargs: Any) -> bool:
    return any(isinstance(x, Tensor) and x.requires_grad for x in flatten((args, kwargs))[0])


class _WhereItCan(_OffTape):
    """One that runs as it stands where it cannot be compiled, too, which it says once."""

    _as_it_stands = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does."""
        if not self._as_it_stands and not STATE.execution.captures:
            try:
                return super().__call__(*args, **kwargs)
            except TraceError as error:
                self._as_it_stands = True
                self._warn("as it stands", f"torch.compile: it runs as it stands: {error}")
        return self.function(*args, **kwargs)


class OptimizedModule(Module):
    """A model that runs native code where no gradient is asked for, and as it stands elsewhere.

    No gradient goes through compiled code from outside. For fast training compile the step, with
    `backward()` and `optimizer.step()` inside.
    """

    def __init__(self, model: Module):
        super().__init__()
        self._orig_mod = model
        self.__dict__["_compiled"] = _WhereItCan(model)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The model's function."""
        if STATE.grad_enabled and any(p.requires_grad for p in self._orig_mod.parameters()):
            return self._orig_mod(*inputs, **kwargs)  # without a try
        return self.__dict__["_compiled"](*inputs, **kwargs)

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
    """Native code of a function or a model where no gradient is asked for, elsewhere as it stands.

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
    return _OffTape(model) if fullgraph else _WhereItCan(model)


def _compile_in_place(self: Module, *args: Any, **kwargs: Any) -> None:
    """Let calls of this module run native code where `torch.compile` of it would."""
    vars(self).pop("forward", None)  # compiled before
    vars(self)["forward"] = compile(self.forward, *args, **kwargs)


Module.compile = _compile_in_place  # type: ignore[attr-defined]
