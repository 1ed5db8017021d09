"""What all functions of this package do with their arguments and errors."""

from __future__ import annotations

from typing import Any

from ..tensor import STATE, Tensor, as_tensor


def given(x: Any) -> Tensor:
    """An argument as a Tensor."""
    return x if isinstance(x, Tensor) else as_tensor(x)


def where() -> str:
    """The module in which an error happened, to end its message with."""
    return f"; in {STATE.scope.path}" if STATE.scope is not None else ""
