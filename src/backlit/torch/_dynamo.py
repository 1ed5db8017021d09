"""`torch._dynamo`: what PyTorch's tracer is told of functions; here nothing need be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def allow_in_graph(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: what it does is captured like everything else."""
    return fn


def reset() -> None:
    """Nothing: a compiled function that is no longer reachable is freed."""
