"""Element-wise primitives as scalar code: the body inside a fused loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import DType, bool_
from ..op import Op
from . import mathematics
from .builder import Function, Value

TYPES = {"float32": "float", "float64": "double", "bool": "i1"}
for _bits in (8, 16, 32, 64):
    TYPES[f"int{_bits}"] = TYPES[f"uint{_bits}"] = f"i{_bits}"


def llvm_type(dtype: DType) -> str | None:
    """The LLVM type of one element in a register, or None if it has none yet (16-bit floats)."""
    return TYPES.get(dtype.name)


def memory_type(dtype: DType) -> str:
    """The LLVM type of one element in memory."""
    return "i8" if dtype == bool_ else TYPES[dtype.name]


def is_signed(dtype: DType) -> bool:
    """Whether integers of the dtype have a sign."""
    return dtype.kind == "i"


def convert(x: Value, source: DType, target: DType) -> Value:
    """x as another dtype, as NumPy casts."""
    if source == target:
        return x
    to = TYPES[target.name]
    if target == bool_:
        return x.compare("ne", 0)
    if x.is_float:
        if to in ("float", "double"):
            return x.cast("fpext" if to == "double" else "fptrunc", to)
        return x.cast("fptosi" if is_signed(target) else "fptoui", to)
    signed = is_signed(source)
    if to in ("float", "double"):
        return x.cast("sitofp" if signed else "uitofp", to)
    if x.type == to:
        return x
    if int(x.type[1:]) > int(to[1:]):
        return x.cast("trunc", to)
    return x.cast("sext" if signed else "zext", to)


Emit = Callable[..., Value]
_FLOAT: dict[str, Emit] = {
    "exp": mathematics.exp,
    "expm1": mathematics.expm1,
    "log": mathematics.log,
    "log1p": mathematics.log1p,
    "tanh": mathematics.tanh,
    "erf": mathematics.erf,
    "sqrt": lambda x: x.call("llvm.sqrt"),
    "reciprocal": lambda x: 1.0 / x,
    "floor": lambda x: x.call("llvm.floor"),
    "ceil": lambda x: x.call("llvm.ceil"),
    "trunc": lambda x: x.call("llvm.trunc"),
    "round": lambda x: x.call("llvm.rint"),
    "divide": lambda a, b: a / b,
    "copysign": lambda a, b: a.call("llvm.copysign", b),
    "isnan": lambda x: x.compare("ne", x),
    "isinf": lambda x: x.call("llvm.fabs").compare("eq", math.inf),
    "isfinite": lambda x: x.call("llvm.fabs").compare("lt", math.inf),
    "signbit": lambda x: _sign_bit(x),
    "logaddexp": lambda a, b: _logaddexp(a, b),
}
# Functions of the C library: one call an element, exact as NumPy's are.
_LIBRARY = {
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan",
    "sinh": "sinh", "cosh": "cosh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh",
    "log2": "log2", "log10": "log10", "atan2": "atan2", "hypot": "hypot",
}  # fmt: skip


def _sign_bit(x: Value) -> Value:
    integer = "i32" if x.type == "float" else "i64"
    return x.cast("bitcast", integer).compare("lt", 0)


def _logaddexp(a: Value, b: Value) -> Value:
    """log(eᵃ + eᵇ): the larger plus log(1 + e^-difference); equal infinities have none."""
    top = a.call("llvm.maximum", b)
    gap = a.compare("eq", b).select(a._other(0.0), (a - b).call("llvm.fabs"))
    return top + mathematics.log1p(mathematics.exp(-gap))


def _floored(a: Value, b: Value, dtype: DType) -> tuple[Value, Value]:
    """(⌊a / b⌋, a - b ⌊a / b⌋) as NumPy defines them; integers divided by 0 give 0."""
    f = a.function
    if a.is_float:
        rest = f.emit(f"frem {a.type} {a.text}, {b.text}", a.type)
        whole = (a - rest) / b
        off = rest.compare("ne", 0.0) & (rest.compare("lt", 0.0) ^ b.compare("lt", 0.0))
        whole = off.select(whole - 1.0, whole)
        rest = off.select(rest + b, rest)
        rest = rest.compare("eq", 0.0).select(rest._other(0.0).call("llvm.copysign", b), rest)
        floor = whole.call("llvm.floor")
        floor = (whole - floor).compare("gt", 0.5).select(floor + 1.0, floor)
        zero = whole._other(0.0).call("llvm.copysign", a / b)
        floor = whole.compare("eq", 0.0).select(zero, floor)
        by_zero = b.compare("eq", 0.0)
        return by_zero.select(a / b, floor), rest
    by_zero = b.compare("eq", 0)
    divisor = by_zero.select(b._other(1), b)
    if not is_signed(dtype):
        quotient = f.emit(f"udiv {a.type} {a.text}, {divisor.text}", a.type)
        rest = a - quotient * divisor
        return by_zero.select(a._other(0), quotient), by_zero.select(a._other(0), rest)
    minus = divisor.compare("eq", -1)  # the smallest integer by -1 overflows
    safe = minus.select(divisor._other(1), divisor)
    quotient = a / safe
    rest = a - quotient * safe
    off = rest.compare("ne", 0) & (rest.compare("lt", 0) ^ safe.compare("lt", 0))
    quotient = off.select(quotient - 1, quotient)
    rest = off.select(rest + safe, rest)
    quotient = minus.select(-a, quotient)
    return by_zero.select(a._other(0), quotient), by_zero.select(a._other(0), rest)


def _library(name: str, *args: Value) -> Value:
    suffix = "f" if args[0].type == "float" else ""
    return args[0].call(name + suffix, *args[1:], flags="")


def _power(a: Value, b: Any) -> Value:
    """aᵇ; small constant whole powers are products."""
    if not isinstance(b, Value) and float(b).is_integer() and 0 < abs(b) <= 8:
        y = None
        square, n = a, abs(int(b))
        while n:
            if n & 1:
                y = square if y is None else y * square
            n >>= 1
            if n:
                square = square * square
        assert y is not None
        return y if b > 0 else 1.0 / y
    if not isinstance(b, Value) and b == 0.5:
        # pow(-0, ½) is +0 and pow(-∞, ½) is ∞; the square root has neither.
        return _library("pow", a, a._other(0.5))
    return _library("pow", a, b if isinstance(b, Value) else a._other(b))


def identity(function: Function, name: str, dtype: DType) -> Value:
    """What a fold (`sum`, `max`, `any`...) of nothing gives."""
    type = TYPES[dtype.name]
    if name in ("sum", "any"):
        return function.const(type, 0)
    if name in ("prod", "all"):
        return function.const(type, 1)
    if dtype.kind == "f":
        return function.const(type, -math.inf if name == "max" else math.inf)
    if dtype.kind == "b":
        return function.const(type, 0 if name == "max" else 1)
    info = np.iinfo(dtype)
    return function.const(type, info.min if name == "max" else info.max)


def larger(a: Value, b: Value, how: str, dtype: DType) -> Value:
    """The larger ("ge") or smaller ("le") of two; NaN wins."""
    if a.is_float:
        return a.call("llvm.maximum" if how == "ge" else "llvm.minimum", b)
    return a.compare(how, b, is_signed(dtype)).select(a, b)


def _sign(x: Value, dtype: DType) -> Value:
    up = x.compare("gt", 0, is_signed(dtype)).select(x._other(1), x._other(0))
    y = x.compare("lt", 0, is_signed(dtype)).select(x._other(-1), up) if _has_sign(dtype) else up
    return x.compare("ne", x).select(x, y) if x.is_float else y


def _has_sign(dtype: DType) -> bool:
    return dtype.kind != "u"


def _abs(x: Value, dtype: DType) -> Value:
    if x.is_float:
        return x.call("llvm.fabs")
    return x.compare("lt", 0).select(-x, x) if is_signed(dtype) else x


_COMPARE = {
    "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge",
}  # fmt: skip


def supports(op: Op, dtypes: list[DType], out: DType) -> bool:
    """Whether `emit` knows the op for these operand dtypes."""
    if any(d.name not in TYPES for d in [*dtypes, out]):
        return False
    name = op.name
    kinds = {d.kind for d in dtypes}
    if name in ("astype", "convert"):
        return True
    if name == "where":
        return True
    if name in _COMPARE:
        return kinds <= {"f", "i", "u"} or (kinds == {"b"} and name in ("equal", "not_equal"))
    if name in ("logical_and", "logical_or", "logical_xor", "logical_not"):
        return True
    if name in ("add", "subtract", "multiply", "negative", "abs", "sign", "square", "maximum",
                "minimum"):  # fmt: skip
        return "b" not in kinds
    if name in ("floor_divide", "remainder"):
        return "b" not in kinds
    if name in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert"):
        return kinds <= {"i", "u", "b"}
    if name in ("bitwise_left_shift", "bitwise_right_shift"):
        return kinds <= {"i", "u"}
    return kinds <= {"f"} and (name in _FLOAT or name in _LIBRARY or name == "pow")


def emit(
    function: Function, op: Op, args: list[Any], dtypes: list[DType | None], out: DType
) -> Value:
    """The value of an element-wise op. `args` are Values and Python numbers (dtype None)."""
    name = op.name
    known = [d for d in dtypes if d is not None]
    if name == "where":
        condition = args[0]
        a, b = (x if isinstance(x, Value) else function.const(TYPES[out.name], x) for x in args[1:])
        return condition.select(a, b)
    if name in ("astype", "convert"):
        return convert(args[0], known[0], op.dtype)  # type: ignore[attr-defined]
    dtype = known[0]
    if name == "pow":
        a = args[0] if isinstance(args[0], Value) else function.const(TYPES[dtype.name], args[0])
        return _power(a, args[1])
    values = [x if isinstance(x, Value) else function.const(TYPES[dtype.name], x) for x in args]
    if name in _COMPARE:
        return values[0].compare(_COMPARE[name], values[1], is_signed(dtype))
    if name.startswith("logical_"):
        truths = [v if v.type == "i1" else v.compare("ne", 0) for v in values]
        if name == "logical_not":
            return truths[0] ^ 1
        how = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor"}[name]
        return truths[0].bits(how, truths[1])
    if name in ("floor_divide", "remainder"):
        return _floored(values[0], values[1], dtype)[name == "remainder"]
    simple: dict[str, Callable[[], Value]] = {
        "add": lambda: values[0] + values[1],
        "subtract": lambda: values[0] - values[1],
        "multiply": lambda: values[0] * values[1],
        "negative": lambda: -values[0],
        "square": lambda: values[0] * values[0],
        "abs": lambda: _abs(values[0], dtype),
        "sign": lambda: _sign(values[0], dtype),
        "maximum": lambda: larger(values[0], values[1], "ge", dtype),
        "minimum": lambda: larger(values[0], values[1], "le", dtype),
        "bitwise_and": lambda: values[0] & values[1],
        "bitwise_or": lambda: values[0] | values[1],
        "bitwise_xor": lambda: values[0] ^ values[1],
        "bitwise_invert": lambda: values[0] ^ -1,
        "bitwise_left_shift": lambda: _shift(values, "shl", dtype),
        "bitwise_right_shift": lambda: _shift(
            values, "ashr" if is_signed(dtype) else "lshr", dtype
        ),
    }
    if name in simple:
        return simple[name]()
    if name in _FLOAT:
        return _FLOAT[name](*values)
    return _library(_LIBRARY[name], *values)


def _shift(values: list[Value], how: str, dtype: DType) -> Value:
    """A shift; by the width or more it is 0 or the sign, where LLVM leaves it undefined."""
    x, n = values
    width = dtype.itemsize * 8
    far = n.compare("ge", width, signed=False)
    y = x.bits(how, far.select(n._other(width - 1), n))
    return y if how == "ashr" else far.select(x._other(0), y)
