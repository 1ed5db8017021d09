"""NumPy as the namespace of eager execution, and the few functions where NumPy itself differs.

Everything not defined here is NumPy's own function under its Array API name. Of 16-bit floats the
functions see only elements to be moved, chosen or compared: see `halves`.
"""

from __future__ import annotations

import math
import platform
from typing import Any

import numpy as np
from numpy import (
    abs,
    acos,
    acosh,
    add,
    all,
    any,
    argmax,
    argmin,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    broadcast_to,
    ceil,
    concat,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    exp,
    expand_dims,
    expm1,
    flip,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    permute_dims,
    pow,
    reciprocal,
    remainder,
    reshape,
    round,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    take,
    take_along_axis,
    tan,
    tanh,
    trunc,
    where,
)

from ..dtypes import FLOATING, INTEGER, bfloat16, float32, int32, int64, uint64
from .numpy_linalg import (
    cholesky,
    cofactor,
    det,
    eigh,
    eigvalsh,
    inv,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
)
from .numpy_ranking import argkth, argrunning, argsort, argtop, searchsorted
from .numpy_special import gcd, polygamma
from .numpy_windows import (
    convolution,
    convolution_input,
    convolution_weight,
    max_pool,
    max_pool_pick,
    max_pool_route,
    window_spread,
    window_sum,
)

_slice = slice
Axis = Any  # None, an axis or a tuple of axes
Index = tuple[int | tuple[int, int, int] | None, ...]

max = np.maximum.reduce
min = np.minimum.reduce


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.matmul(a, b)


def sum(x: np.ndarray, axis: Axis = None, keepdims: Any = False) -> Any:
    return np.add.reduce(x, axis, x.dtype, keepdims=keepdims)


def prod(x: np.ndarray, axis: Axis = None, keepdims: Any = False) -> Any:
    return np.multiply.reduce(x, axis, x.dtype, keepdims=keepdims)


def cumulative_sum(x: np.ndarray, axis: int):
    return np.cumsum(x, axis, dtype=x.dtype)


def cumulative_prod(x: np.ndarray, axis: int):
    return np.cumprod(x, axis, dtype=x.dtype)


#: Whether C casts floats to integers as `astype` does. It does not say what becomes of a float that
#: an integer type does not hold: that is up to the processor.
_LIKE_C = platform.machine().lower() in ("x86_64", "amd64")


def astype(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """x in another type.

    A float becomes an integer by leaving out its fraction. One that the type does not hold becomes
    what NumPy and PyTorch make of it on x86-64, wherever it stands and on every processor: int8,
    uint8, int16, uint16 and int32 have the low bits of the int32, uint32 and int64 those of the
    int64; and NaN, like a float too large for that, is its lowest number. A uint64 has the bits of
    the int64, from 2⁶³ on those of x - 2⁶³ with the highest one turned. What becomes a bfloat16 is
    rounded to a float32 first, as in PyTorch: the casts of ml_dtypes differ between its versions.
    """
    if dtype != x.dtype and bfloat16 in (dtype, x.dtype):
        x = x.astype(float32)
    if dtype in INTEGER and x.dtype in FLOATING:
        return _whole(x, dtype)
    return x.astype(dtype, copy=False)


def _whole(x: Any, dtype: np.dtype) -> Any:
    small = dtype.itemsize <= 2 or dtype == int32
    if _LIKE_C and (small or dtype in (int64, uint64)):
        return x.astype(dtype)  # NumPy's vectors cast to uint32 otherwise than its scalars
    if _LIKE_C:
        return x.astype(int64).astype(dtype)
    x = x.astype(np.float64)
    if dtype == uint64:
        high = _whole(x - 2.0**63, int64) ^ np.int64(-(2**63))
        return where(x >= 2.0**63, high, _whole(x, int64)).astype(uint64)
    wide, limit = (int32, 2.0**31) if small else (int64, 2.0**63)
    return where(abs(x) < limit, x, -limit).astype(wide).astype(dtype)


def full(shape: tuple[int, ...], value: float, dtype: np.dtype) -> np.ndarray:
    if dtype in INTEGER and isinstance(value, float | np.floating):
        value = _whole(np.asarray(value), dtype)
    elif dtype == bfloat16:
        value = float(np.float32(value))  # as `astype` does
    if value == 0 and not np.signbit(value):
        return np.zeros(shape, dtype)  # whose memory the system gives when it is first written to
    result = np.empty(shape, dtype)
    result[...] = value
    return result


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.zeros(shape, dtype)


def zeros_like(x: np.ndarray) -> np.ndarray:
    return np.zeros(x.shape, x.dtype)


def ones_like(x: np.ndarray) -> np.ndarray:
    return np.ones(x.shape, x.dtype)


def arange(start: float, count: int, step: float, dtype: np.dtype) -> np.ndarray:
    return astype(start + step * np.arange(count), dtype)


def key(index: Index) -> tuple[int | _slice | None, ...]:
    """NumPy's key for the `index` of a Slice."""
    return tuple([_as_slice(*i) if isinstance(i, tuple) else i for i in index])


def _as_slice(start: int, count: int, step: int) -> _slice:
    if count == 0:
        return _slice(0, 0)
    stop = start + count * step
    return _slice(start, stop if stop >= 0 else None, step)


def slice(x: np.ndarray, index: Index) -> np.ndarray:
    return x[key(index)]


def place(x: np.ndarray, index: Index, shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(shape, x.dtype)
    result[key(index)] = x
    return result


def set_slice(x: np.ndarray, value: Any, index: Index) -> np.ndarray:
    result = np.array(x)
    result[key(index)] = value
    return result


def _pattern_key(pattern: tuple, indices: tuple[np.ndarray, ...]) -> tuple:
    arrays = iter(indices)
    return tuple([next(arrays) if i == "array" else key((i,))[0] for i in pattern])


def gather(x: np.ndarray, *indices: np.ndarray, pattern: tuple) -> np.ndarray:
    return x[_pattern_key(pattern, indices)]


def set_items(x: np.ndarray, value: Any, *indices: np.ndarray, pattern: tuple) -> np.ndarray:
    result = np.array(x)
    # NumPy writes in the order in which the operands lie in memory; here the last in C order wins.
    ordered = tuple([np.asarray(i, order="C") for i in np.broadcast_arrays(*indices)])
    result[_pattern_key(pattern, ordered)] = np.asarray(value, order="C")
    return result


def scatter_add(
    x: np.ndarray, *indices: np.ndarray, pattern: tuple, shape: tuple[int, ...]
) -> np.ndarray:
    result = np.zeros(shape, x.dtype)
    np.add.at(result, _pattern_key(pattern, indices), x)
    return result


def scatter_extreme(
    x: np.ndarray, source: np.ndarray, *indices: np.ndarray, pattern: tuple, largest: bool
) -> np.ndarray:
    result = np.array(x)
    (np.maximum if largest else np.minimum).at(result, _pattern_key(pattern, indices), source)
    return result


def scatter_prod(
    x: np.ndarray, source: np.ndarray, *indices: np.ndarray, pattern: tuple
) -> np.ndarray:
    result = np.array(x)
    np.multiply.at(result, _pattern_key(pattern, indices), source)
    return result


def put_along_axis_add(x: np.ndarray, indices: np.ndarray, axis: int, size: int) -> np.ndarray:
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    grid: list[Any] = list(np.indices(indices.shape, sparse=True))
    grid[axis] = indices
    return scatter_add(x, *grid, pattern=("array",) * x.ndim, shape=shape)


def take_add(x: np.ndarray, indices: np.ndarray, axis: int, size: int) -> np.ndarray:
    shape = (*x.shape[:axis], size, *x.shape[axis + indices.ndim :])
    whole = tuple((0, n, 1) for n in shape[:axis])
    return scatter_add(x, indices, pattern=(*whole, "array"), shape=shape)


def random_bits(key: np.ndarray, counter: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """uint32 words of Philox 4x64-10, two from each 64-bit word, low half first.

    `key` is the seed, `counter` the number of 256-bit blocks drawn before; both uint64.
    Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    size = math.prod(shape)
    state = np.random.Philox(key=int(key), counter=int(counter))
    words = state.random_raw(-(-size // 2)) if size else np.empty(0, np.uint64)
    return words.astype("<u8", copy=False).view("<u4")[:size].reshape(shape)


def random_poisson(key: np.ndarray, counter: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Poisson distributed numbers, as NumPy draws them, from a stream that no other draw reads.

    Its key has a 1 above the seed's 64 bits, and it begins at block `counter` · 2⁶⁴.
    """
    stream = np.random.Philox(key=int(key) | 1 << 64, counter=int(counter) << 64)
    return np.asarray(np.random.Generator(stream).poisson(mean)).astype(mean.dtype)


# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969)
# 631-637; highest power first. Up to 15/32 erf x = x P(x²)/Q(x²), above it
# erf x = 1 - exp(-x²) R(x)/S(x), which is 1 in float64 from 6 on.
_ERF_P = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2,
          3.77485237685302021e2, 3.20937758913846947e3)  # fmt: skip
_ERF_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
          2.84423683343917062e3)  # fmt: skip
_ERF_R = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
          6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
          1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3)  # fmt: skip
_ERF_S = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
          1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
          3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip


# x P/Q as x + x (P-Q)/Q: the quotient is small there, and so is its rounding error.
_ERF_P_MINUS_Q = tuple(p - q for p, q in zip(_ERF_P, _ERF_Q, strict=True))


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    result = np.full(x.shape, coefficients[0])
    for c in coefficients[1:]:
        result = result * x + c
    return result


# (1 + 2x) e^(x²) erfc x as a polynomial in (x - 3) / (x + 3) for x ≥ 0, lowest power first:
# Chebyshev interpolants computed in 60 digits, for float32 and float64. Source of the form:
# Shepherd & Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞",
# Math. Comp. 36 (1981) 249-253.
ERFC = {
    "float32": (1.2530080563514496, -0.13562110005839803, -0.047562156146354076,
                0.1296447209153884, -0.11927528136881009, 0.06831319671956372,
                -0.023763559702172088, 0.0025067786718598333, 0.001875060245867973,
                -0.0007340820503933423, -9.25376912641456e-05, 8.007454974776248e-05),
    "float64": (1.2530080582697296, -0.1356211061245812, -0.04756229435341897,
                0.12964515870276264, -0.11927366341681594, 0.06830802734392144,
                -0.023770514890662273, 0.002529391816799663, 0.0018886900908332905,
                -0.0007798322772742547, -0.00010515828085467254, 0.00012509937435915822,
                4.944031214882928e-06, -2.0100627664406107e-05, -7.186149396303622e-07,
                3.472520280065519e-06, 3.3649033965298255e-07, -6.167709493550964e-07,
                -1.2038713923616526e-07, 1.0195717375790894e-07, 2.7779061599708634e-08,
                -1.3361953304404018e-08, -3.169592039553522e-09, 9.948820947537195e-10),
}  # fmt: skip


def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf x, to 6 units in the last place also where it is small."""
    wide = np.asarray(x, np.float64)
    size = np.minimum(np.abs(wide), 28.0)
    scaled = _polynomial(ERFC[x.dtype.name][::-1], (size - 3.0) / (size + 3.0))
    # e^(-x²) in two factors, the square of the first of which is exact.
    near = np.rint(size * 16.0) * 0.0625
    tail = np.exp(-near * near) * np.exp((near - size) * (near + size))
    tail = tail * (scaled / (1.0 + 2.0 * size))
    return np.where(wide < 0.0, 2.0 - tail, tail).astype(x.dtype, copy=False)


def erf(x: np.ndarray) -> np.ndarray:
    """Error function, to 2 units in the last place of float64."""
    wide = np.asarray(x, np.float64)
    size = np.minimum(np.abs(wide), 6.0)
    squared = size * size
    near = wide + wide * (_polynomial(_ERF_P_MINUS_Q, squared) / _polynomial(_ERF_Q, squared))
    tail = np.exp(-squared) * _polynomial(_ERF_R, size) / _polynomial(_ERF_S, size)
    far = np.copysign(1.0 - tail, wide)
    return np.where(size <= 0.46875, near, far).astype(x.dtype, copy=False)
