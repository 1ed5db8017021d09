"""Element-wise primitives as scalar code: the body inside a fused loop."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...backend import numpy_backend as NUMPY
from ...dtypes import INTEGER, LOW_PRECISION, DType, bool_, float16, float32, int32, uint64
from ...op import Op, holds
from ...ops import elementwise as ops
from ...ops import reductions
from . import machine, mathematics
from .builder import Function, Value
from .types import element_of

#: 16-bit floats are storage: their bits are moved, and converted to compute. See `lower.legalize`.
TYPES = {"float32": "float", "float64": "double", "bool": "i1", "float16": "i16", "bfloat16": "i16"}
for _bits in (8, 16, 32, 64):
    TYPES[f"int{_bits}"] = TYPES[f"uint{_bits}"] = f"i{_bits}"


@functools.cache
def llvm_type(dtype: DType) -> str | None:
    """The LLVM type of one element in a register, or None if it has none."""
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
    if source in LOW_PRECISION:
        wide = _half_to_float(x) if source == float16 else _high_half(x)
        return convert(wide, float32, target)
    if target in LOW_PRECISION:
        if source == bool_ or source.kind in "iu":
            x = convert(x, source, float32)
        return _float_to_half(_to_odd(x)) if target == float16 else _to_high_half(_to_single(x))
    to = TYPES[target.name]
    if target == bool_:
        return x.compare("ne", 0)
    if x.is_float:
        if to in ("float", "double"):
            return x.cast("fpext" if to == "double" else "fptrunc", to)
        return _whole(x, target)
    signed = is_signed(source)
    if to in ("float", "double"):
        return x.cast("sitofp" if signed else "uitofp", to)
    if x.type == to:
        return x
    if int(x.type[1:]) > int(to[1:]):
        return x.cast("trunc", to)
    return x.cast("sext" if signed else "zext", to)


def _whole(x: Value, target: DType) -> Value:
    """A float as an integer: see `numpy_backend.astype`."""
    if target == uint64:
        high = _within(x - 2.0**63, 64) ^ -(2**63)
        return x.compare("ge", 2.0**63).select(high, _within(x, 64))
    bits = 32 if target.itemsize <= 2 or target == int32 else 64
    y = _within(x, bits)
    to = TYPES[target.name]
    return y if y.type == to else y.cast("trunc", to)


def _within(x: Value, bits: int) -> Value:
    """x as a signed integer; the lowest one for NaN and for what is too large for it."""
    whole = x.cast("fptosi", f"i{bits}")  # undefined where it is not chosen
    limit = 2.0 ** (bits - 1)
    return x.call("llvm.fabs").compare("lt", limit).select(whole, -int(limit))


def _shifted(x: Value, right: int) -> Value:
    return x.op("lshr", right)


def _to_single(x: Value) -> Value:
    return x.cast("fptrunc", "float") if element_of(x.type) == "double" else x


def _to_odd(x: Value) -> Value:
    """x as float32; if inexact then with an odd last bit, so that it can be rounded once more.

    Source: Boldo & Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms
    using rounding to odd", IEEE Trans. Computers 57 (2008), sec. 3.
    """
    if element_of(x.type) != "double":
        return x
    y = x.cast("fptrunc", "float")
    back = y.cast("fpext", "double")
    bits = y.cast("bitcast", "i32")
    beyond = back.call("llvm.fabs").compare("gt", x.call("llvm.fabs"))
    odd = beyond.select(bits - 1, bits) | 1
    return back.compare("ne", x).select(odd, bits).cast("bitcast", "float")


def _high_half(x: Value) -> Value:
    """The float32 whose upper half a bfloat16 is."""
    return (x.cast("zext", "i32") << 16).cast("bitcast", "float")


def _to_high_half(x: Value) -> Value:
    """A float32 as bfloat16: to nearest, ties to even."""
    bits = x.cast("bitcast", "i32")
    rounded = _shifted(bits + (_shifted(bits, 16) & 1) + 0x7FFF, 16)
    quiet = _shifted(bits, 16) | 0x40
    return x.compare("ne", x).select(quiet, rounded).cast("trunc", "i16")


def has_half() -> bool:
    """Whether the processor converts between float16 and float32."""
    e = machine.engine()
    return e.triple.startswith(("aarch64", "arm64")) or "+f16c" in e.features.split(",")


def _half_to_float(x: Value) -> Value:
    """A float16 as float32, which holds all of them."""
    if has_half():
        return x.cast("bitcast", "half").cast("fpext", "float")
    bits = x.cast("zext", "i32")
    size = (bits & 0x7FFF) << 13
    exponent = size & (0x7C00 << 13)
    normal = size + ((127 - 15) << 23)
    special = normal + ((128 - 16) << 23)
    tiny = (normal + (1 << 23)).cast("bitcast", "float") - 2.0**-14
    plain = exponent.compare("eq", 0x7C00 << 13).select(special, normal)
    y = exponent.compare("eq", 0).select(tiny.cast("bitcast", "i32"), plain)
    return (y | ((bits & 0x8000) << 16)).cast("bitcast", "float")


def _float_to_half(x: Value) -> Value:
    """A float32 as float16: to nearest, ties to even."""
    if has_half():
        return x.cast("fptrunc", "half").cast("bitcast", "i16")
    bits = x.cast("bitcast", "i32")
    size = bits & 0x7FFFFFFF
    # Adding ½ leaves in the last bits what a subnormal has; the addition rounds.
    tiny = (size.cast("bitcast", "float") + 0.5).cast("bitcast", "i32") - 0x3F000000
    normal = _shifted(size + (_shifted(size, 13) & 1) + (0xFFF - ((127 - 15) << 23)), 13)
    y = size.compare("lt", (127 - 14) << 23).select(tiny, normal)
    special = size.compare("gt", 0x7F800000).select(size.like(0x7E00), size.like(0x7C00))
    y = size.compare("lt", (127 + 16) << 23).select(y, special)
    return (y | _shifted(bits & -0x80000000, 16)).cast("trunc", "i16")


def number(function: Function, dtype: DType, value: float) -> Value:
    """A number as an element of that dtype in a register."""
    if dtype in LOW_PRECISION:
        with np.errstate(over="ignore"):
            bits = np.array(float(value), dtype).view(np.int16)
        return function.const("i16", int(bits))
    if dtype == bool_:
        value = bool(value)
    elif dtype in INTEGER:
        value = int(NUMPY.full((), value, dtype))
    return function.const(TYPES[dtype.name], value)


def _next_after(a: Value, b: Value, dtype: DType) -> Value:
    """The neighbour of a on the way to b: numbers of one sign are ordered as their bits are."""
    integer = f"i{dtype.itemsize * 8}"
    if dtype in LOW_PRECISION:
        x, y, bits, last = convert(a, dtype, float32), convert(b, dtype, float32), a, b
    else:
        x, y, bits, last = a, b, a.cast("bitcast", integer), b.cast("bitcast", integer)
    away = x.compare("lt", y) ^ x.compare("lt", 0.0)
    stepped = away.select(bits + 1, bits - 1)
    least = (last & (-1 << (dtype.itemsize * 8 - 1))) | 1
    stepped = x.compare("eq", 0.0).select(least, stepped)
    stepped = x.compare("eq", y).select(last, stepped)
    stepped = y.compare("ne", y).select(last, stepped)
    stepped = x.compare("ne", x).select(bits, stepped)
    return stepped if dtype in LOW_PRECISION else stepped.cast("bitcast", a.type)


def _whole_power(a: Value, b: Any, dtype: DType) -> Value:
    """aᵇ of integers, b at least 0, by repeated squaring; it wraps around as products do."""
    result, square = a.like(1), a
    if not isinstance(b, Value):
        n = int(b)
        while n:
            if n & 1:
                result = result * square
            n >>= 1
            if n:
                square = square * square
        return result
    for place in range(dtype.itemsize * 8):
        bit = _shifted(b, place) & 1
        result = bit.compare("ne", 0).select(result * square, result)
        square = square * square
    return result


Emit = Callable[..., Value]
EmitTyped = Callable[[list[Value], DType], Value]
#: Functions of floating numbers.
_FLOAT: dict[type[Op], Emit] = {
    ops.Exp: mathematics.exp,
    ops.Expm1: mathematics.expm1,
    ops.Log: mathematics.log,
    ops.Log1p: mathematics.log1p,
    ops.Tanh: mathematics.tanh,
    ops.Erf: mathematics.erf,
    ops.Erfc: mathematics.erfc,
    ops.Sqrt: lambda x: x.call("llvm.sqrt"),
    ops.Reciprocal: lambda x: 1.0 / x,
    ops.Floor: lambda x: x.call("llvm.floor"),
    ops.Ceil: lambda x: x.call("llvm.ceil"),
    ops.Trunc: lambda x: x.call("llvm.trunc"),
    ops.Round: lambda x: x.call("llvm.rint"),
    ops.Divide: lambda a, b: a / b,
    ops.Copysign: lambda a, b: a.call("llvm.copysign", b),
    ops.Isnan: lambda x: x.compare("ne", x),
    ops.Isinf: lambda x: x.call("llvm.fabs").compare("eq", math.inf),
    ops.Isfinite: lambda x: x.call("llvm.fabs").compare("lt", math.inf),
    ops.Signbit: lambda x: _sign_bit(x),
    ops.Logaddexp: lambda a, b: _logaddexp(a, b),
}
#: Those of float32 only; of float64 they are the library's.
_SINGLE: dict[type[Op], Emit] = {
    ops.Sinh: mathematics.sinh,
    ops.Cosh: mathematics.cosh,
    ops.Atanh: mathematics.atanh,
    ops.Atan: mathematics.atan,
    ops.Atan2: mathematics.atan2,
    ops.Asin: mathematics.asin,
    ops.Acos: mathematics.acos,
    ops.Log2: mathematics.log2,
    ops.Log10: mathematics.log10,
    ops.Hypot: mathematics.hypot,
}
#: Functions of the C library, by the names of the ops: one call an element, exact as NumPy's are.
_LIBRARY = (
    ops.Sin, ops.Cos, ops.Tan, ops.Asin, ops.Acos, ops.Atan, ops.Sinh, ops.Cosh, ops.Asinh,
    ops.Acosh, ops.Atanh, ops.Log2, ops.Log10, ops.Atan2, ops.Hypot,
)  # fmt: skip


def _sign_bit(x: Value) -> Value:
    integer = "i32" if x.type == "float" else "i64"
    return x.cast("bitcast", integer).compare("lt", 0)


def _logaddexp(a: Value, b: Value) -> Value:
    """log(eᵃ + eᵇ): the larger plus log(1 + e^-difference); equal infinities have none."""
    top = a.call("llvm.maximum", b)
    gap = a.compare("eq", b).select(a.like(0.0), (a - b).call("llvm.fabs"))
    return top + mathematics.log1p(mathematics.exp(-gap))


def _floored(a: Value, b: Value, dtype: DType) -> tuple[Value, Value]:
    """(⌊a / b⌋, a - b ⌊a / b⌋) as NumPy defines them; integers divided by 0 give 0."""
    if a.is_float:
        rest = a.op("frem", b)
        whole = (a - rest) / b
        off = rest.compare("ne", 0.0) & (rest.compare("lt", 0.0) ^ b.compare("lt", 0.0))
        whole = off.select(whole - 1.0, whole)
        rest = off.select(rest + b, rest)
        rest = rest.compare("eq", 0.0).select(rest.like(0.0).call("llvm.copysign", b), rest)
        floor = whole.call("llvm.floor")
        floor = (whole - floor).compare("gt", 0.5).select(floor + 1.0, floor)
        zero = whole.like(0.0).call("llvm.copysign", a / b)
        floor = whole.compare("eq", 0.0).select(zero, floor)
        by_zero = b.compare("eq", 0.0)
        return by_zero.select(a / b, floor), rest
    by_zero = b.compare("eq", 0)
    divisor = by_zero.select(b.like(1), b)
    if not is_signed(dtype):
        quotient = a // divisor
        rest = a - quotient * divisor
        return by_zero.select(a.like(0), quotient), by_zero.select(a.like(0), rest)
    minus = divisor.compare("eq", -1)  # the smallest integer by -1 overflows
    safe = minus.select(divisor.like(1), divisor)
    quotient = a / safe
    rest = a - quotient * safe
    off = rest.compare("ne", 0) & (rest.compare("lt", 0) ^ safe.compare("lt", 0))
    quotient = off.select(quotient - 1, quotient)
    rest = off.select(rest + safe, rest)
    quotient = minus.select(-a, quotient)
    return by_zero.select(a.like(0), quotient), by_zero.select(a.like(0), rest)


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
        return _library("pow", a, a.like(0.5))
    return _library("pow", a, b if isinstance(b, Value) else a.like(b))


def identity(function: Function, fold: type[Op], dtype: DType) -> Value:
    """What a fold (`Sum`, `Max`, `Any`...) of nothing gives."""
    type = TYPES[dtype.name]
    if fold in (reductions.Sum, reductions.Any):
        return function.const(type, 0)
    if fold in (reductions.Prod, reductions.All):
        return function.const(type, 1)
    is_max = fold is reductions.Max
    if dtype.kind == "f":
        return function.const(type, -math.inf if is_max else math.inf)
    if dtype.kind == "b":
        return function.const(type, 0 if is_max else 1)
    info = np.iinfo(dtype)
    return function.const(type, info.min if is_max else info.max)


def larger(a: Value, b: Value, how: str, dtype: DType) -> Value:
    """The larger ("ge") or smaller ("le") of two; NaN wins."""
    if a.is_float:
        return a.call("llvm.maximum" if how == "ge" else "llvm.minimum", b)
    return a.compare(how, b, is_signed(dtype)).select(a, b)


def _chosen(a: Value, b: Value, how: str, dtype: DType) -> Value:
    """The larger ("gt") or smaller ("lt") of two as NumPy chooses: NaN wins, else b in a tie."""
    y = a.compare(how, b, is_signed(dtype)).select(a, b)
    return a.compare("ne", a).select(a, y) if a.is_float else y


def _sign(x: Value, dtype: DType) -> Value:
    up = x.compare("gt", 0, is_signed(dtype)).select(x.like(1), x.like(0))
    y = x.compare("lt", 0, is_signed(dtype)).select(x.like(-1), up) if _has_sign(dtype) else up
    return x.compare("ne", x).select(x, y) if x.is_float else y


def _has_sign(dtype: DType) -> bool:
    return dtype.kind != "u"


def _abs(x: Value, dtype: DType) -> Value:
    if x.is_float:
        return x.call("llvm.fabs")
    return x.compare("lt", 0).select(-x, x) if is_signed(dtype) else x


#: Arithmetic of truth values, as NumPy defines it.
_OF_TRUTHS: dict[type[Op], str] = {
    ops.Add: "or",
    ops.Multiply: "and",
    ops.Maximum: "or",
    ops.Minimum: "and",
    ops.Square: "and",
}
_COMPARE: dict[type[Op], str] = {
    ops.Equal: "eq",
    ops.NotEqual: "ne",
    ops.Less: "lt",
    ops.LessEqual: "le",
    ops.Greater: "gt",
    ops.GreaterEqual: "ge",
}
_LOGICAL: dict[type[Op], str] = {
    ops.LogicalAnd: "and",
    ops.LogicalOr: "or",
    ops.LogicalXor: "xor",
}
#: Arithmetic of numbers of any type, given the operands and their type.
_ARITHMETIC: dict[type[Op], EmitTyped] = {
    ops.Add: lambda x, dtype: x[0] + x[1],
    ops.Subtract: lambda x, dtype: x[0] - x[1],
    ops.Multiply: lambda x, dtype: x[0] * x[1],
    ops.Negative: lambda x, dtype: -x[0],
    ops.Square: lambda x, dtype: x[0] * x[0],
    ops.Abs: lambda x, dtype: _abs(x[0], dtype),
    ops.Sign: lambda x, dtype: _sign(x[0], dtype),
    ops.Maximum: lambda x, dtype: _chosen(x[0], x[1], "gt", dtype),
    ops.Minimum: lambda x, dtype: _chosen(x[0], x[1], "lt", dtype),
    ops.FloorDivide: lambda x, dtype: _floored(x[0], x[1], dtype)[0],
    ops.Remainder: lambda x, dtype: _floored(x[0], x[1], dtype)[1],
}
_BITWISE: dict[type[Op], EmitTyped] = {
    ops.BitwiseAnd: lambda x, dtype: x[0] & x[1],
    ops.BitwiseOr: lambda x, dtype: x[0] | x[1],
    ops.BitwiseXor: lambda x, dtype: x[0] ^ x[1],
    ops.BitwiseInvert: lambda x, dtype: x[0] ^ -1,
}
_SHIFTS: dict[type[Op], EmitTyped] = {
    ops.BitwiseLeftShift: lambda x, dtype: _shift(x, "shl", dtype),
    ops.BitwiseRightShift: lambda x, dtype: _shift(
        x, "ashr" if is_signed(dtype) else "lshr", dtype
    ),
}
_OF_ANY = {**_ARITHMETIC, **_BITWISE, **_SHIFTS}


def supports(op: Op, inputs: Sequence[Any], out: DType) -> bool:
    """Whether `emit` knows the op for these operands: numbers, and what has a dtype."""
    dtypes = [x.dtype for x in inputs if hasattr(x, "dtype")]
    if any(d.name not in TYPES for d in [*dtypes, out]):
        return False
    cls = type(op)
    kinds = {d.kind for d in dtypes}
    if cls in (ops.Astype, ops.Convert, ops.Where, ops.Nextafter):
        return True
    if not LOW_PRECISION.isdisjoint(dtypes):
        return False
    if cls is ops.Pow and kinds <= {"i", "u"}:
        return True
    if cls in _COMPARE:
        return kinds <= {"f", "i", "u"} or (kinds == {"b"} and cls in (ops.Equal, ops.NotEqual))
    if cls in _LOGICAL or cls is ops.LogicalNot:
        return True
    if cls in _ARITHMETIC:
        return "b" not in kinds or (kinds == {"b"} and cls in _OF_TRUTHS)
    if cls in _SHIFTS:
        return kinds <= {"i", "u"}
    if cls in _BITWISE:
        return kinds <= {"i", "u", "b"}
    return kinds <= {"f"} and (cls in _FLOAT or cls in _LIBRARY or cls is ops.Pow)


def emit(
    function: Function, op: Op, args: list[Any], dtypes: list[DType | None], out: DType
) -> Value:
    """The value of an element-wise op. `args` are Values and Python numbers (dtype None)."""
    cls = type(op)
    known = [d for d in dtypes if d is not None]
    if cls is ops.Where:
        condition = args[0]
        a, b = (x if isinstance(x, Value) else number(function, out, x) for x in args[1:])
        return condition.select(a, b)
    if cls in (ops.Astype, ops.Convert):
        return convert(args[0], known[0], op.dtype)  # type: ignore[attr-defined]
    dtype = known[0]
    if cls is ops.Pow:
        a = args[0] if isinstance(args[0], Value) else function.const(TYPES[dtype.name], args[0])
        return _power(a, args[1]) if a.is_float else _whole_power(a, args[1], dtype)
    if cls is ops.Nextafter:
        a, b = (x if isinstance(x, Value) else number(function, dtype, x) for x in args)
        return _next_after(a, b, dtype)
    if dtype == bool_ and cls in _OF_TRUTHS:
        a, b = args * 2 if cls is ops.Square else args
        known_a, known_b = (x if isinstance(x, Value) else function.const("i1", x) for x in (a, b))
        return known_a.op(_OF_TRUTHS[cls], known_b)
    if cls in _COMPARE:
        return _compared(function, _COMPARE[cls], args, dtype)
    values = [x if isinstance(x, Value) else function.const(TYPES[dtype.name], x) for x in args]
    if cls in _LOGICAL or cls is ops.LogicalNot:
        truths = [v if v.type == "i1" else v.compare("ne", 0) for v in values]
        if cls is ops.LogicalNot:
            return truths[0] ^ 1
        return truths[0].op(_LOGICAL[cls], truths[1])
    if cls in _OF_ANY:
        return _OF_ANY[cls](values, dtype)
    if cls in _FLOAT:
        return _FLOAT[cls](*values)
    if cls in _SINGLE and values[0].type == "float":
        return _SINGLE[cls](*values)
    return _library(op.name, *values)


def _compared(function: Function, how: str, args: list[Any], dtype: DType) -> Value:
    """Whether two operands stand in an order; integers are compared with any number exactly."""
    if dtype in INTEGER:
        for x in args:
            if not isinstance(x, Value) and not holds(dtype, x):
                # All elements are on one side of it, as 0 is.
                sides = [0 if isinstance(y, Value) else y for y in args]
                return function.const("i1", getattr(operator, how)(*sides))
    a, b = (x if isinstance(x, Value) else function.const(TYPES[dtype.name], x) for x in args)
    return a.compare(how, b, is_signed(dtype))


def _shift(values: list[Value], how: str, dtype: DType) -> Value:
    """A shift; by the width or more it is 0 or the sign, where LLVM leaves it undefined."""
    x, n = values
    width = dtype.itemsize * 8
    far = n.compare("ge", width, signed=False)
    y = x.op(how, far.select(n.like(width - 1), n))
    return y if how == "ashr" else far.select(x.like(0), y)
