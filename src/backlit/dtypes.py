"""The element types of Tensors, and which type results when two of them meet.

Types are NumPy dtype objects, so they compare, hash and print as NumPy users expect. Promotion is
that of the Array API standard. Where the standard leaves a mix undefined (an integer array with a
floating one) the floating type wins, as in PyTorch and JAX; NumPy's silent step to float64 would
undo a whole network's float32.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from .errors import ArgumentError, DTypeError
from .spelling import COMPLEX

DType = np.dtype

bool_ = np.dtype("bool")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
uint16 = np.dtype("uint16")
uint32 = np.dtype("uint32")
uint64 = np.dtype("uint64")
float16 = np.dtype("float16")
bfloat16: DType = np.dtype(ml_dtypes.bfloat16)
float32 = np.dtype("float32")
float64 = np.dtype("float64")

FLOATING: frozenset[DType] = frozenset({float16, bfloat16, float32, float64})
LOW_PRECISION: frozenset[DType] = frozenset({float16, bfloat16})
SIGNED: frozenset[DType] = frozenset({int8, int16, int32, int64})
UNSIGNED: frozenset[DType] = frozenset({uint8, uint16, uint32, uint64})
INTEGER: frozenset[DType] = SIGNED | UNSIGNED
SUPPORTED: frozenset[DType] = FLOATING | INTEGER | {bool_}

#: The type of what is made of Python's floats. It is read where it is needed, as PyTorch's scripts
#: may set another.
DEFAULT_FLOAT = float32
DEFAULT_INT = int64

_BY_NAME = {d.name: d for d in SUPPORTED}
#: Each supported type is one object, which the fast paths compare by identity.
_ONE = {d: d for d in SUPPORTED}


def set_default_float(dtype: DType) -> None:
    """Let Python's floats become another floating type than float32, in all threads."""
    global DEFAULT_FLOAT
    DEFAULT_FLOAT = dtype


def as_dtype(dtype: Any) -> DType:
    """Return the Backlit dtype for a dtype, a NumPy scalar type, a Python type or a name.

    Python's `float` and "float" mean float32, the default floating type; `int` means int64.

    >>> as_dtype("bfloat16"), as_dtype(float), as_dtype("float")
    (dtype(bfloat16), dtype('float32'), dtype('float32'))
    """
    if isinstance(dtype, np.dtype) and dtype in _ONE:
        return _ONE[dtype]  # the one object, because ops ask first whether types are it
    if dtype is float or (isinstance(dtype, str) and dtype == "float"):
        return DEFAULT_FLOAT
    if dtype is int or (isinstance(dtype, str) and dtype == "int"):
        return DEFAULT_INT
    if isinstance(dtype, str) and dtype in _BY_NAME:
        return _BY_NAME[dtype]
    kind = ""
    try:
        given = np.dtype(dtype)
        kind = given.kind
        result = None if dtype is None else _ONE.get(given.newbyteorder("="))
    except (TypeError, ValueError):
        result = None
    if result is None:
        cure = COMPLEX if kind == "c" else f"use one of {', '.join(sorted(_BY_NAME))}"
        raise DTypeError(f"dtype: {dtype!r:.60} is not supported; {cure}")
    return result


@functools.cache
def promote(a: DType, b: DType) -> DType:
    """The dtype of an element-wise result of arrays of dtypes `a` and `b`.

    >>> promote(int32, float32), promote(float16, bfloat16), promote(uint8, int8)
    (dtype('float32'), dtype('float32'), dtype('int16'))
    """
    if a == b:
        return a
    if a in FLOATING and b in FLOATING:
        return float32 if {a, b} == LOW_PRECISION else max(a, b, key=lambda d: d.itemsize)
    if a in FLOATING or b in FLOATING:
        return a if a in FLOATING else b
    if uint64 in (a, b) and (a in SIGNED or b in SIGNED):
        raise DTypeError(f"promotion: no integer type holds both {a} and {b}; cast one with astype")
    return np.promote_types(a, b)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype that results from combining arrays and dtypes; Python scalars are weak.

    >>> result_type(float32, int64)
    dtype('float32')
    """
    result: DType | None = None
    weak_float = weak_int = False
    for x in arrays_and_dtypes:
        if isinstance(x, bool | int | float):
            weak_float = weak_float or isinstance(x, float)
            weak_int = weak_int or type(x) is int
            continue
        dtype = as_dtype(getattr(x, "dtype", x))
        result = dtype if result is None else promote(result, dtype)
    if result is None:
        raise DTypeError("result_type: at least one array or dtype is required")
    if weak_float and result not in FLOATING:
        return DEFAULT_FLOAT
    if weak_int and result == bool_:
        return DEFAULT_INT
    return result


def can_cast(from_: Any, to: Any) -> bool:
    """Whether promotion leads from one dtype to the other.

    >>> can_cast(float32, float64), can_cast(float64, float32)
    (True, False)
    """
    source, target = as_dtype(getattr(from_, "dtype", from_)), as_dtype(to)
    try:
        return promote(source, target) == target
    except DTypeError:
        return False


def same_kind(from_: DType, to: DType) -> bool:
    """Whether what is computed in one dtype may be kept in the other, at most with less precision.

    >>> same_kind(float64, float32), same_kind(float32, int64), same_kind(int64, uint8)
    (True, False, False)
    """
    if from_ in FLOATING or to in FLOATING:
        return from_ in FLOATING and to in FLOATING
    return bool(np.can_cast(from_, to, "same_kind"))


_KINDS: dict[str, frozenset[DType]] = {
    "bool": frozenset({bool_}),
    "signed integer": SIGNED,
    "unsigned integer": UNSIGNED,
    "integral": INTEGER,
    "real floating": FLOATING,
    "complex floating": frozenset(),
    "numeric": INTEGER | FLOATING,
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, a kind's name, or a tuple of these.

    >>> isdtype(float32, "real floating"), isdtype(int8, ("bool", "integral"))
    (True, True)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return as_dtype(dtype) in _KINDS[kind]
    if isinstance(kind, str) and kind not in _BY_NAME:
        raise ArgumentError(
            f"isdtype: kind must be a dtype or one of {', '.join(_KINDS)}, got {kind!r}"
        )
    return as_dtype(dtype) == as_dtype(kind)


@dataclass(frozen=True)
class FloatInfo:
    """Limits of a floating type: bits, machine epsilon, extremes, smallest normal number.

    `tiny` is another name for the last.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return self.smallest_normal


@dataclass(frozen=True)
class IntInfo:
    """Limits of an integer type: bits, largest and smallest value."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(dtype: Any) -> FloatInfo:
    """The limits of a floating type.

    >>> finfo(float32).eps
    1.1920928955078125e-07
    """
    dtype = as_dtype(getattr(dtype, "dtype", dtype))
    if dtype not in FLOATING:
        raise DTypeError(f"finfo: dtype must be floating, got {dtype}; use iinfo for integers")
    info = ml_dtypes.finfo(dtype)
    return FloatInfo(
        bits=info.bits,
        eps=float(info.eps),
        max=float(info.max),
        min=float(info.min),
        smallest_normal=float(info.smallest_normal),
        dtype=dtype,
    )


def iinfo(dtype: Any) -> IntInfo:
    """The limits of an integer type.

    >>> iinfo(int8).max
    127
    """
    dtype = as_dtype(getattr(dtype, "dtype", dtype))
    if dtype not in INTEGER:
        raise DTypeError(f"iinfo: dtype must be an integer type, got {dtype}; use finfo for floats")
    info = np.iinfo(dtype)
    return IntInfo(info.bits, int(info.max), int(info.min), dtype)
