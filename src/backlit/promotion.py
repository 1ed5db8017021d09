"""The dtype in which two operands meet, and the op applied to them there."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .dtypes import DType
from .op import Op, holds
from .state import STATE
from .tensor import Tensor, apply, as_tensor

# A tuple: `a | b` would make a union at each call.
_AS_THEY_ARE = (Tensor, int)


def differ(a: Tensor, b: Tensor) -> bool:
    """Whether two Tensors that must have one dtype have not; where all floats are widened to one,
    those of two widths have.
    """
    if a.dtype == b.dtype:
        return False
    floats = a.dtype in dtypes.FLOATING and b.dtype in dtypes.FLOATING
    return not (floats and STATE.execution.widens)


def operand(x: Any) -> Any:
    """Tensors and Python numbers as they are; arrays and nested lists as Tensors."""
    if isinstance(x, _AS_THEY_ARE):
        return x
    if isinstance(x, float):
        return float(x)  # np.float64 is one, too, and no reason to go to float64
    return as_tensor(x)


def promoted(a: Any, b: Any) -> tuple[Any, Any]:
    """The operands with a common dtype where NumPy's rules and the standard's differ."""
    if not (isinstance(a, Tensor) or isinstance(b, Tensor)):
        a = as_tensor(a)
    dtype = dtypes.result_type(*(x.dtype if isinstance(x, Tensor) else x for x in (a, b)))
    if isinstance(a, Tensor) and a.dtype != dtype:
        a = a.astype(dtype)
    if isinstance(b, Tensor) and b.dtype != dtype:
        b = b.astype(dtype)
    return a, b


def _is_weak(x: Any, dtype: DType) -> bool:
    """Whether a Python number takes on the dtype of the array it meets."""
    kind = type(x)
    return (kind is float and dtype in dtypes.FLOATING) or (
        kind is int and dtype is not dtypes.bool_
    )


def binary(op: Op, a: Any, b: Any) -> Tensor:
    """Apply an element-wise op of two operands, at least one of them a Tensor."""
    if not isinstance(b, Tensor):
        if not (isinstance(a, Tensor) and _is_weak(b, a.array.dtype)):
            a, b = promoted(operand(a), operand(b))
    elif not isinstance(a, Tensor):
        if not _is_weak(a, b.array.dtype):
            a, b = promoted(operand(a), b)
    elif a.array.dtype is not b.array.dtype:
        a, b = promoted(a, b)
    return apply(op, a, b)


def binary_float(op: Op, a: Any, b: Any) -> Tensor:
    """The same for an op defined on floating numbers: integers become float32."""
    return binary(op, floating(operand(a)), floating(operand(b)))


def floating(x: Any) -> Any:
    """Integer and bool Tensors and numbers as float32; floating ones as they are."""
    if isinstance(x, Tensor):
        return x if x.array.dtype in dtypes.FLOATING else x.astype(dtypes.DEFAULT_FLOAT)
    return float(x) if holds(dtypes.DEFAULT_FLOAT, x) else x  # the op says what is wrong with it
