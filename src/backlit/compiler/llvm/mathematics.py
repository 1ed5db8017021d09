"""Elementary functions as straight-line code without branches, so that loops of them vectorise.

Each is accurate to 2 ulp, `erfc` to 6 (see the tests) over its whole domain and has NumPy's special
values. Polynomials are Chebyshev interpolants computed in 50 digits; the argument reductions are
the usual ones: Muller, "Elementary Functions", 3rd ed. (2016), ch. 5 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...backend.numpy_backend import ERFC
from .builder import Value

_LOG2E = 1 / math.log(2)
# log 2 in two parts; the first has enough trailing zeros for its product with n to be exact.
_LN2_HIGH = {"float": 0.693359375, "double": 0.6931471803691238}
_LN2_LOW = {"float": -2.1219444005469057e-4, "double": 1.9082149292705877e-10}

# exp r = 1 + r + r² P(r) for |r| ≤ log 2 / 2
_EXP = {
    "float": (0.5000000014286223, 0.16666666682534356, 0.04166645680967788, 0.008333310024225292,
              0.0013934541928270264, 0.0001989198131397769),
    "double": (0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333325544,
               0.0013888888888883327, 0.00019841269876864356, 2.4801587332707187e-05,
               2.755725283351691e-06, 2.75572718102198e-07, 2.5106274733573296e-08,
               2.0915442297780116e-09),
}  # fmt: skip

# log m = 2 s + s³ Q(s²), s = (m - 1) / (m + 1), for m in [√½, √2]
_LOG = {
    "float": (0.6666666654512713, 0.4000012942695626, 0.2854996859130847, 0.23353427603651186),
    "double": (0.6666666666666666, 0.40000000000001007, 0.2857142857072325, 0.22222222409750114,
               0.18181793732111753, 0.15386342449645143, 0.13266048812203002, 0.131148348695975),
}  # fmt: skip

_BITS = {"float": ("i32", 23, 127), "double": ("i64", 52, 1023)}


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Σ cₖ xᵏ, lowest first, by Horner's rule."""
    y = x.function.const(x.type, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = y.call("llvm.fma", x, y.like(c))
    return y


def _two_to(n: Value, like: str) -> Value:
    """2ⁿ for an integer n in the range of normal exponents."""
    _, shift, bias = _BITS[like]
    return ((n + bias) << shift).cast("bitcast", like)


def _reduced(x: Value) -> tuple[Value, Value]:
    """(n, r) with x = n log 2 + r and |r| ≤ log 2 / 2."""
    n = (x * _LOG2E).call("llvm.rint")
    r = n.call("llvm.fma", n.like(-_LN2_HIGH[x.type]), x)
    return n, n.call("llvm.fma", n.like(-_LN2_LOW[x.type]), r)


def _clamped(x: Value, low: float, high: float) -> Value:
    """x limited to a range; NaN stays NaN."""
    x = x.compare("lt", low).select(low, x)
    return x.compare("gt", high).select(high, x)


def exp(x: Value, power: int = 0) -> Value:
    """eˣ 2ᵖ for a small whole p, without overflow on the way."""
    low, high = (-104.0, 90.0) if x.type == "float" else (-746.0, 711.0)
    integer, _, _ = _BITS[x.type]
    n, r = _reduced(_clamped(x, low, high))
    p = polynomial(r, _EXP[x.type])
    y = (r * r).call("llvm.fma", p, r) + 1.0
    # 2ⁿ in two factors: n alone may leave the range of normal exponents.
    whole = n.call("llvm.trunc").cast("fptosi", integer) + power
    half = whole.op("ashr", 1)
    y = y * _two_to(half, x.type) * _two_to(whole - half, x.type)
    return x.compare("ne", x).select(x, y)


def expm1(x: Value) -> Value:
    """eˣ - 1, exact near 0."""
    low, high = (-20.0, 89.0) if x.type == "float" else (-40.0, 710.0)
    integer, _, _ = _BITS[x.type]
    n, r = _reduced(_clamped(x, low, high))
    p = polynomial(r, _EXP[x.type])
    small = (r * r).call("llvm.fma", p, r)  # e^r - 1
    whole = n.cast("fptosi", integer)
    half = whole.op("ashr", 1)
    a, b = _two_to(half, x.type), _two_to(whole - half, x.type)
    # 2ⁿ (e^r - 1) + (2ⁿ - 1), with the last factor of 2ⁿ outside where n is large
    y = (a * small + (a - 1.0 / b)) * b
    y = n.compare("eq", 0.0).select(small, y)
    y = x.compare("eq", 0.0).select(x, y)
    return x.compare("ne", x).select(x, y)


def log(x: Value) -> Value:
    """Natural logarithm."""
    integer, shift, _ = _BITS[x.type]
    # Subnormal numbers are scaled into the normal range first.
    tiny = 1.1754943508222875e-38 if x.type == "float" else 2.2250738585072014e-308
    up = shift + 2
    small = x.compare("lt", tiny)
    scaled = small.select(x * 2.0**up, x)
    bits = scaled.cast("bitcast", integer)
    root = 0x3F3504F3 if x.type == "float" else 0x3FE6A09E667F3BCD  # √½
    e = (bits - root).op("ashr", shift)
    m = (bits - (e << shift)).cast("bitcast", x.type)
    exponent = e.cast("sitofp", x.type) - small.select(float(up), x.like(0.0))
    f = m - 1.0
    s = f / (m + 1.0)
    t = s * s
    q = polynomial(t, _LOG[x.type])
    # log m = f - s (f - s² Q): Tang's form keeps the leading term exact.
    y = f - s * (f - t * q)
    y = exponent.call("llvm.fma", exponent.like(_LN2_LOW[x.type]), y)
    y = exponent.call("llvm.fma", exponent.like(_LN2_HIGH[x.type]), y)
    y = x.compare("eq", math.inf).select(math.inf, y)
    y = x.compare("eq", 0.0).select(-math.inf, y)
    bad = x.compare("ge", 0.0)
    return bad.select(y, math.nan)


def log1p(x: Value) -> Value:
    """log(1 + x), exact near 0: the rounding of 1 + x is made good."""
    u = x + 1.0
    rest = (u - 1.0) - x
    y = log(u) - rest / u
    y = u.compare("eq", 1.0).select(x, y)
    y = x.compare("eq", math.inf).select(math.inf, y)
    return x.compare("eq", -1.0).select(-math.inf, y)


# tanh x = x + x³ P(x²) below 5/8; in float64 P is a quotient. Source: S. L. Moshier, Cephes
# Mathematical Library (1989), tanh.c and tanhf.c.
_TANH = (-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2,
         -5.70498872745e-3)  # fmt: skip
_TANH_P = (-1.61468768441708447952e3, -9.92877231001918586564e1, -9.64399179425052238628e-1)
_TANH_Q = (4.84406305325125486048e3, 2.23548839060100448583e3, 1.12811678491632931402e2, 1.0)


def tanh(x: Value) -> Value:
    """Hyperbolic tangent: a polynomial near 0, else 1 - 2 / (e^2|x| + 1)."""
    size = x.call("llvm.fabs")
    square = size * size
    if x.type == "float":
        p = polynomial(square, _TANH)
    else:
        p = polynomial(square, _TANH_P) / polynomial(square, _TANH_Q)
    near = (size * square).call("llvm.fma", p, size)
    far = 1.0 - 2.0 / (exp(size * 2.0) + 1.0)
    y = size.compare("lt", 0.625).select(near, far).call("llvm.copysign", x)
    return x.compare("ne", x).select(x, y)


# erf x = x + x P(x²)/Q(x²) below 27/32: Sun Microsystems, fdlibm 5.3 (1993), s_erf.c. Above it
# 1 - e^(-x²) R(x)/S(x): W. J. Cody, Math. Comp. 23 (1969); see backend.numpy_backend.erf.
_ERF_P = (1.28379167095512558561e-1, -3.25042107247001499370e-1, -2.84817495755985104766e-2,
          -5.77027029648944159157e-3, -2.37630166566501626084e-5)  # fmt: skip
_ERF_Q = (1.0, 3.97917223959155352819e-1, 6.50222499887672944485e-2, 5.08130628187576562776e-3,
          1.32494738004321644526e-4, -3.96022827877536812320e-6)  # fmt: skip
_ERF_R = (1.23033935479799725e3, 2.05107837782607147e3, 1.71204761263407058e3,
          8.81952221241769090e2, 2.98635138197400131e2, 6.61191906371416295e1,
          8.88314979438837594e0, 5.64188496988670089e-1, 2.15311535474403846e-8)  # fmt: skip
_ERF_S = (1.23033935480374942e3, 3.43936767414372164e3, 4.36261909014324716e3,
          3.29079923573345963e3, 1.62138957456669019e3, 5.37181101862009858e2,
          1.17693950891312499e2, 1.57449261107098347e1, 1.0)  # fmt: skip


def erf(x: Value) -> Value:
    """Error function."""
    size = _clamped(x.call("llvm.fabs"), -1.0, 6.0)
    square = size * size
    near = size.call("llvm.fma", polynomial(square, _ERF_P) / polynomial(square, _ERF_Q), size)
    tail = exp(-square) * polynomial(size, _ERF_R) / polynomial(size, _ERF_S)
    y = size.compare("lt", 0.84375).select(near, 1.0 - tail).call("llvm.copysign", x)
    return x.compare("ne", x).select(x, y)


def erfc(x: Value) -> Value:
    """Complementary error function; see backend.numpy_backend.erfc."""
    size = _clamped(x.call("llvm.fabs"), -1.0, 11.0 if x.type == "float" else 28.0)
    square = size * size
    rest = size.call("llvm.fma", size, -square)  # what rounding took from the square
    power = exp(-square)
    power = power.call("llvm.fma", -rest, power)
    name = {"float": "float32", "double": "float64"}[x.type]
    scaled = polynomial((size - 3.0) / (size + 3.0), ERFC[name])
    tail = power * (scaled / (size * 2.0 + 1.0))
    y = x.compare("lt", 0.0).select(2.0 - tail, tail)
    return x.compare("ne", x).select(x, y)


def sinh(x: Value) -> Value:
    """Hyperbolic sine, with e = e^|x| - 1: (e + e / (e + 1)) / 2, for large |x| e^|x| / 2."""
    size = x.call("llvm.fabs")
    e = expm1(size)
    near = (e + e / (e + 1.0)) * 0.5
    y = size.compare("lt", 10.0 if x.type == "float" else 20.0).select(near, exp(size, -1))
    return x.compare("ne", x).select(x, y.call("llvm.copysign", x))


def cosh(x: Value) -> Value:
    """Hyperbolic cosine: h + 1 / 4h, h = e^|x| / 2."""
    half = exp(x.call("llvm.fabs"), -1)
    return half + 0.25 / half


def atanh(x: Value) -> Value:
    """Inverse hyperbolic tangent: ½ log(1 + 2|x| / (1 - |x|))."""
    size = x.call("llvm.fabs")
    y = log1p(size * 2.0 / (1.0 - size)) * 0.5
    return x.compare("eq", 0.0).select(x, y.call("llvm.copysign", x))


# atan t = t P(t²) for |t| ≤ √2 - 1: a Chebyshev interpolant for results in float32.
_ATAN = (0.9999999999992442, -0.3333333327688608, 0.19999993049762435,
         -0.1428538640718612, 0.11103454236491274, -0.08992528079362637,
         0.06974084047595203, -0.03765307369056794)  # fmt: skip
_HALF_PI, _QUARTER_PI = math.pi / 2, math.pi / 4


def _angle(y: Value, x: Value) -> Value:
    """The angle of (x, y) for x, y ≥ 0, in float64 for results in float32."""
    low, high = y.call("llvm.minnum", x), y.call("llvm.maxnum", x)
    t = low / high
    t = high.compare("eq", 0.0).select(0.0, t)
    t = low.compare("eq", math.inf).select(1.0, t)
    far = t.compare("gt", math.sqrt(2) - 1)
    t = far.select((t - 1.0) / (t + 1.0), t)
    angle = t * polynomial(t * t, _ATAN)
    angle = far.select(angle + _QUARTER_PI, angle)
    return y.compare("gt", x).select(_HALF_PI - angle, angle)


def _double(x: Value) -> Value:
    return x.cast("fpext", "double")


def atan2(y: Value, x: Value) -> Value:
    """The angle of (x, y), of float32."""
    integer = x.cast("bitcast", "i32")
    angle = _angle(_double(y.call("llvm.fabs")), _double(x.call("llvm.fabs")))
    angle = integer.compare("lt", 0).select(math.pi - angle, angle)
    result = angle.cast("fptrunc", "float").call("llvm.copysign", y)
    return (y.compare("ne", y) | x.compare("ne", x)).select(x + y, result)


def atan(x: Value) -> Value:
    """Inverse tangent, of float32."""
    size = _double(x.call("llvm.fabs"))
    y = _angle(size, size.like(1.0)).cast("fptrunc", "float").call("llvm.copysign", x)
    return x.compare("ne", x).select(x, y)


def _cosine(x: Value) -> Value:
    """√(1 - x²)."""
    return ((1.0 - x) * (1.0 + x)).call("llvm.sqrt")


def asin(x: Value) -> Value:
    """Inverse sine, of float32: the angle of (√(1 - x²), x)."""
    size = _double(x.call("llvm.fabs"))
    y = _angle(size, _cosine(size)).cast("fptrunc", "float").call("llvm.copysign", x)
    return (size.compare("le", 1.0)).select(y, x.like(math.nan))


def acos(x: Value) -> Value:
    """Inverse cosine, of float32: the angle of (x, √(1 - x²))."""
    size = _double(x.call("llvm.fabs"))
    angle = _angle(_cosine(size), size)
    y = x.compare("lt", 0.0).select(math.pi - angle, angle).cast("fptrunc", "float")
    return (size.compare("le", 1.0)).select(y, x.like(math.nan))


def log2(x: Value) -> Value:
    """Binary logarithm, of float32."""
    return (log(_double(x)) * _LOG2E).cast("fptrunc", "float")


def hypot(x: Value, y: Value) -> Value:
    """√(x² + y²), of float32: float64 holds the squares."""
    a, b = _double(x), _double(y)
    root = (a * a + b * b).call("llvm.sqrt").cast("fptrunc", "float")
    largest = x.call("llvm.fabs").call("llvm.maxnum", y.call("llvm.fabs"))
    return largest.compare("eq", math.inf).select(largest, root)


def log10(x: Value) -> Value:
    """Decimal logarithm, of float32."""
    return (log(_double(x)) * (1 / math.log(10))).cast("fptrunc", "float")
