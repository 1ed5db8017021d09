"""`torch.utils.checkpoint`: parts of a network whose values are computed again for the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, **options: Any
) -> Any:
    """The function's result. Its values are kept, and not computed again: it saves no memory."""
    for name in ("preserve_rng_state", "context_fn", "determinism_check", "debug", "early_stop"):
        options.pop(name, None)
    return function(*args, **options)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **options: Any
) -> Any:
    """What several modules make of a value, one after the other; see `checkpoint`."""
    modules = functions.children() if hasattr(functions, "children") else functions
    for module in modules:
        input = module(input)
    return input
