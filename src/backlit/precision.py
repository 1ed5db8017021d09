"""In which precision a function computes where there is more than one.

Inside such a block (`backlit.torch.autocast`) the state's `autocast` is a 16-bit dtype. Products
then take their operands in it, losses and what loses digits take 16-bit floats as float32, and all
else computes in the dtype of its operands. float64 stays as it is everywhere. A conversion is an op
on the tape, so a parameter's gradient has the parameter's dtype. What a function is made of, and
the derivative, is computed as if there were no block.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from .dtypes import FLOATING, LOW_PRECISION, DType, float32, float64
from .state import STATE, Setting
from .tensor import Tensor, as_tensor

#: The floats that a block converts.
_CONVERTED = FLOATING - {float64}


def converted(x: Any, dtype: DType, kinds: frozenset[DType] = _CONVERTED) -> Any:
    """Tensors and arrays of some dtypes as another, also inside tuples and lists."""
    if type(x) in (tuple, list):
        return type(x)([converted(part, dtype, kinds) for part in x])
    if isinstance(x, Tensor | np.ndarray) and x.dtype in kinds:
        return as_tensor(x).astype(dtype)
    return x


def narrowed(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """The function of its floats in the block's dtype."""
    dtype = STATE.autocast
    assert dtype is not None
    with Setting(autocast=None):
        named = {name: converted(x, dtype) for name, x in named.items()}
        return function(*converted(args, dtype), **named)


def in_16_bits(function: Callable[..., Any]) -> Callable[..., Any]:
    """A product, which a block of mixed precision computes in its dtype."""

    @wraps(function)
    def product(*args: Any, **named: Any) -> Any:
        if STATE.autocast is None:
            return function(*args, **named)
        return narrowed(function, *args, **named)

    return product


def in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that a block of mixed precision computes in no less than float32."""

    @wraps(function)
    def exact(*args: Any, **named: Any) -> Any:
        if STATE.autocast is None:
            return function(*args, **named)
        with Setting(autocast=None):
            named = {name: converted(x, float32, LOW_PRECISION) for name, x in named.items()}
            return function(*converted(args, float32, LOW_PRECISION), **named)

    return exact


def as_given(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that a block of mixed precision computes as if it were not there."""

    @wraps(function)
    def unchanged(*args: Any, **named: Any) -> Any:
        if STATE.autocast is None:
            return function(*args, **named)
        with Setting(autocast=None):
            return function(*args, **named)

    return unchanged


def beside_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of x that takes 16 bits also where a parameter is float32: rounded once, to x's.

    That holds inside and outside blocks, as in PyTorch.
    """

    @wraps(function)
    def mixed(x: Any, *args: Any, **named: Any) -> Any:
        dtype = getattr(x, "dtype", None)
        if dtype not in LOW_PRECISION or not _has_float32((*args, *named.values())):
            return function(x, *args, **named)
        rest = converted(args, float32, LOW_PRECISION)
        named = {name: converted(value, float32, LOW_PRECISION) for name, value in named.items()}
        return function(as_tensor(x).astype(float32), *rest, **named).astype(dtype)

    return mixed


def _has_float32(values: tuple[Any, ...]) -> bool:
    return any(isinstance(x, Tensor) and x.dtype == float32 for x in values)
