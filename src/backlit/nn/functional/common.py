"""What all functions of this package do with their arguments and errors."""

from __future__ import annotations

from typing import Any

from ...errors import DTypeError
from ...foreign import words
from ...state import where_called
from ...tensor import Tensor, as_tensor


def given(x: Any) -> Tensor:
    """An argument as a Tensor."""
    return x if isinstance(x, Tensor) else as_tensor(x)


def in_place(x: Any, y: Tensor) -> Tensor:
    """x with the value and the derivative of y, for functions with `inplace=True`."""
    if not isinstance(x, Tensor):
        raise DTypeError(
            f"inplace: x must be a Tensor, got {words(x)[0]}{where_called()}; leave it out"
        )
    return x.become("inplace", y)
