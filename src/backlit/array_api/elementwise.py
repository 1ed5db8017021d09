"""Element-wise functions of Tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..conversion import check_device
from ..errors import DTypeError
from ..op import Op, describe
from ..ops import activation
from ..ops import elementwise as ops
from ..ops.movement import Reshape
from ..promotion import binary, binary_float, floating, operand, promoted
from ..tensor import Tensor, apply, as_tensor
from .arguments import cached

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "reciprocal",
    "remainder",
    "round",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "where",
]

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]


def _documented(function: Any, op: Op) -> Any:
    """The function with the name and the words of its op."""
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = type(op).__doc__
    return function


def _unary(cls: type[Op]) -> Unary:
    """The function of one Tensor of any type."""
    op = cls()

    def function(x: Any, /) -> Tensor:
        return apply(op, x if isinstance(x, Tensor) else as_tensor(x))

    return _documented(function, op)


def unary_float(cls: type[Op]) -> Unary:
    """The function of one floating Tensor; integers become float32 first."""
    op = cls()

    def function(x: Any, /) -> Tensor:
        if not isinstance(x, Tensor):
            x = as_tensor(x)
        return apply(op, x if x.array.dtype in dtypes.FLOATING else floating(x))

    return _documented(function, op)


def _unary_rounding(cls: type[Op]) -> Unary:
    """The function of one floating Tensor; integers are their own result."""
    op = cls()

    def function(x: Any, /) -> Tensor:
        x = as_tensor(x)
        return apply(op, x) if x.dtype in dtypes.FLOATING else x

    return _documented(function, op)


def _binary(cls: type[Op]) -> Binary:
    op = cls()

    def function(a: Any, b: Any, /) -> Tensor:
        return binary(op, a, b)

    return _documented(function, op)


def _binary_float(cls: type[Op]) -> Binary:
    op = cls()

    def function(a: Any, b: Any, /) -> Tensor:
        return binary_float(op, a, b)

    return _documented(function, op)


def _binary_truth(cls: type[Op]) -> Binary:
    """The function of two truth values; of a number, whether it is not 0."""
    op = cls()

    def function(a: Any, b: Any, /) -> Tensor:
        a, b = (bool(x) if isinstance(x, int | float) else x for x in (a, b))
        return binary(op, a, b)

    return _documented(function, op)


def _binary_bits(cls: type[Op]) -> Binary:
    op = cls()

    def function(a: Any, b: Any, /) -> Tensor:
        for name, x in (("a", a), ("b", b)):
            if isinstance(x, float) or getattr(x, "dtype", None) in dtypes.FLOATING:
                raise DTypeError(
                    f"{op.name}: {name} must be integers or truth values, got {describe(x)}"
                )
        return binary(op, a, b)

    return _documented(function, op)


negative = _unary(ops.Negative)
abs = _unary(ops.Abs)
square = _unary(ops.Square)
sign = _unary(ops.Sign)
floor = _unary_rounding(ops.Floor)
ceil = _unary_rounding(ops.Ceil)
trunc = _unary_rounding(ops.Trunc)
round = _unary_rounding(ops.Round)
isnan = _unary(ops.Isnan)
isinf = _unary(ops.Isinf)
isfinite = _unary(ops.Isfinite)
signbit = _unary(ops.Signbit)
logical_not = _unary(ops.LogicalNot)
bitwise_invert = _unary(ops.BitwiseInvert)

sqrt = unary_float(ops.Sqrt)
reciprocal = unary_float(ops.Reciprocal)
exp = unary_float(ops.Exp)
expm1 = unary_float(ops.Expm1)
log = unary_float(ops.Log)
log1p = unary_float(ops.Log1p)
log2 = unary_float(ops.Log2)
log10 = unary_float(ops.Log10)
sin = unary_float(ops.Sin)
cos = unary_float(ops.Cos)
tan = unary_float(ops.Tan)
asin = unary_float(ops.Asin)
acos = unary_float(ops.Acos)
atan = unary_float(ops.Atan)
sinh = unary_float(ops.Sinh)
cosh = unary_float(ops.Cosh)
tanh = unary_float(ops.Tanh)
asinh = unary_float(ops.Asinh)
acosh = unary_float(ops.Acosh)
atanh = unary_float(ops.Atanh)
erf = unary_float(ops.Erf)
erfc = unary_float(ops.Erfc)
sigmoid = unary_float(activation.Sigmoid)

add = _binary(ops.Add)
subtract = _binary(ops.Subtract)
multiply = _binary(ops.Multiply)
floor_divide = _binary(ops.FloorDivide)
remainder = _binary(ops.Remainder)
pow = _binary(ops.Pow)
maximum = _binary(ops.Maximum)
minimum = _binary(ops.Minimum)
equal = _binary(ops.Equal)
not_equal = _binary(ops.NotEqual)
less = _binary(ops.Less)
less_equal = _binary(ops.LessEqual)
greater = _binary(ops.Greater)
greater_equal = _binary(ops.GreaterEqual)
logical_and = _binary_truth(ops.LogicalAnd)
logical_or = _binary_truth(ops.LogicalOr)
logical_xor = _binary_truth(ops.LogicalXor)
bitwise_and = _binary_bits(ops.BitwiseAnd)
bitwise_or = _binary_bits(ops.BitwiseOr)
bitwise_xor = _binary_bits(ops.BitwiseXor)
bitwise_left_shift = _binary_bits(ops.BitwiseLeftShift)
bitwise_right_shift = _binary_bits(ops.BitwiseRightShift)
divide = _binary_float(ops.Divide)
atan2 = _binary_float(ops.Atan2)
hypot = _binary_float(ops.Hypot)
logaddexp = _binary_float(ops.Logaddexp)
copysign = _binary_float(ops.Copysign)
nextafter = _binary_float(ops.Nextafter)


def positive(x: Any, /) -> Tensor:
    """y = x, as a node of its own."""
    return apply(cached(ops.Positive), as_tensor(x))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """Limit x to [min, max];  gx = gy inside and at the limits, 0 outside.

    Limits are numbers, Tensors or None for no limit. With Tensors the limits get gradients too and
    a tie is shared, as in `maximum` and `minimum`.

    >>> clip(as_tensor([-2.0, 0.5, 2.0]), -1, 1)
    Tensor([-1. ,  0.5,  1. ], shape=(3,), dtype=float32)
    """
    x = as_tensor(x)
    if isinstance(min, int | float | None) and isinstance(max, int | float | None):
        if x.dtype not in dtypes.FLOATING and isinstance(min, float) | isinstance(max, float):
            x = floating(x)
        if x.dtype in dtypes.FLOATING:
            min, max = (b if b is None else floating(b) for b in (min, max))
        # The cache takes 0.0 and -0.0 for the same.
        bounds = (min, max)
        return apply(ops.Clip(low=min, high=max) if 0.0 in bounds else cached(ops.Clip, *bounds), x)
    y = x if min is None else maximum(x, min)
    return y if max is None else minimum(y, max)


def where(condition: Any, a: Any, b: Any, /) -> Tensor:
    """a where the condition holds, else b; the gradient goes to the chosen one.

    Neither branch is skipped: a NaN in the derivative of the branch that was not chosen stays
    out of the result, but choose safe inputs *inside* the branch, as `where(x > 0, x, 1)`.

    >>> where(as_tensor([True, False]), 1.0, as_tensor([5.0, 6.0]))
    Tensor([1., 6.], shape=(2,), dtype=float32)
    """
    condition = as_tensor(condition)
    a, b = promoted(operand(a), operand(b))
    if condition.dtype != dtypes.bool_:
        condition = not_equal(condition, 0)
    return apply(cached(ops.Where), condition, a, b)


def constant_in(x: Tensor, value: Any) -> Tensor:
    """A value that does not change with x, as a function of x: its gradient there is 0, not none.

    x broadcasts to the value.
    """
    return where(True, value, x)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """x with its elements cast to another dtype; with `copy` always a Tensor of its own.

    >>> astype(as_tensor([1.5]), "int64")
    Tensor([1], shape=(1,), dtype=int64)
    """
    check_device(device)
    x = as_tensor(x)
    y = x.astype(dtype)
    return apply(cached(Reshape, x.shape), x) if copy and y is x else y
