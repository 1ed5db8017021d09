"""What all functions of this package do with their arguments and errors."""

from __future__ import annotations

from typing import Any

from ..errors import DTypeError, GradientError
from ..op import describe
from ..tensor import STATE, Tensor, as_tensor, where_called

#: The module in which an error happened, to end its message with.
where = where_called


def given(x: Any) -> Tensor:
    """An argument as a Tensor."""
    return x if isinstance(x, Tensor) else as_tensor(x)


def in_place(x: Any, y: Tensor) -> Tensor:
    """x with the value and the derivative of y, for functions with `inplace=True`.

    The Tensor's value is replaced; what was saved or viewed of the old one stays.
    """
    if not isinstance(x, Tensor) or x.dtype != y.dtype:
        raise DTypeError(
            f"inplace: x must be a Tensor of dtype {y.dtype}, got "
            f"{describe(x) if isinstance(x, Tensor) else type(x).__name__}{where()}; "
            "leave inplace out"
        )
    if x.node is None and x.requires_grad and STATE.grad_enabled:
        raise GradientError(
            f"inplace: a leaf that requires a gradient keeps its value, got {describe(x)}{where()};"
            " leave inplace out"
        )
    if x.node is None:
        return x.assign(y)
    if STATE.trace is None:
        x.array = y.array
    else:
        STATE.trace.assign(x, y)
    x.node = y.node
    x._requires_grad = y._requires_grad
    return x
