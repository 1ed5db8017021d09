"""`torch.compiler`: what scripts say to PyTorch's compiler, and ask it."""

from __future__ import annotations

from typing import Any

from ..state import STATE
from ._dynamo import allow_in_graph, reset
from .compiling import compile
from .mirror import mirrored
from .settings import no_effect


def is_compiling() -> bool:
    """Whether a function is being captured."""
    return bool(STATE.execution.captures)


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself. Where it cannot be captured, what calls it runs as it stands."""
    return disable if fn is None else fn


is_dynamo_compiling, cudagraph_mark_step_begin = is_compiling, no_effect

__getattr__ = mirrored("torch.compiler")
