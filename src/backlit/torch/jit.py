"""`torch.jit`: functions as they stand; `torch.compile` makes native code of them."""

from __future__ import annotations

from typing import Any

from .mirror import mirrored


def script(obj: Any, *args: Any, **options: Any) -> Any:
    """The function or model itself: Python runs it, or `torch.compile` compiles it."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **options: Any) -> Any:
    """The function or model itself."""
    return func


def ignore(fn: Any) -> Any:
    """The function itself."""
    return fn


export = unused = ignore


def is_scripting() -> bool:
    """False: Python runs the function."""
    return False


is_tracing = is_scripting

__getattr__ = mirrored("torch.jit")
