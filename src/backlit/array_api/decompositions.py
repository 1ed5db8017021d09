"""Linear algebra of the matrices in the last two axes, as the extension `linalg` has it."""

from __future__ import annotations

import functools
import math
import operator
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..dtypes import LOW_PRECISION, finfo, float32, float64, result_type
from ..errors import ArgumentError, GradientError, ShapeError
from ..op import describe
from ..ops import decompositions as ops
from ..precision import in_float32
from ..promotion import floating
from ..state import STATE
from ..tensor import Tensor, apply, as_tensor
from . import primitives
from .arguments import cached, number, whole
from .creation import eye, tril, triu
from .elementwise import constant_in, where
from .manipulation import broadcast_to, expand_dims, matrix_transpose, reshape, squeeze
from .reductions import max, sum

__all__ = [
    "cholesky",
    "cholesky_solve",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matrix_exp",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
]

_XP = SimpleNamespace(slice=primitives.slice, reshape=reshape)


def _matrices(x: Any) -> Tensor:
    return floating(as_tensor(x))


@in_float32
def inv(x: Any, /) -> Tensor:
    """Y = X⁻¹;  GX = -Yᵀ GY Yᵀ. To multiply with it, `solve` is faster and more exact.

    >>> inv(as_tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]], shape=(2, 2), dtype=float32)
    """
    return apply(cached(ops.Inv), _matrices(x))


@in_float32
def solve(a: Any, b: Any, /) -> Tensor:
    """Y with A Y = B;  GB = A⁻ᵀ GY, GA = -GB Yᵀ.

        (..., N, N) and (..., N, K) -> (..., N, K);  b of one axis is one vector (N)

    >>> solve(as_tensor([[2.0, 0.0], [0.0, 4.0]]), as_tensor([2.0, 2.0]))
    Tensor([1. , 0.5], shape=(2,), dtype=float32)
    """
    a, b = _matrices(a), _matrices(b)
    dtype = result_type(a, b)
    a, b = a.astype(dtype), b.astype(dtype)
    if b.ndim != 1:
        return apply(cached(ops.Solve), a, b)
    return squeeze(apply(cached(ops.Solve), a, expand_dims(b, axis=1)), axis=-1)


@in_float32
def det(x: Any, /) -> Tensor:
    """y = det X;  GX = gy · the cofactors of X, also where X is singular.

    >>> det(as_tensor([[2.0, 1.0], [1.0, 4.0]]))
    Tensor(7., shape=(), dtype=float32)
    """
    return apply(cached(ops.Det), _matrices(x))


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


@in_float32
def slogdet(x: Any, /) -> SlogdetResult:
    """(sign det X, log |det X|), without overflow; (0, -∞) of a singular matrix.

    >>> slogdet(as_tensor([[2.0, 0.0], [0.0, -0.5]])).sign
    Tensor(-1., shape=(), dtype=float32)
    """
    y = apply(cached(ops.Slogdet), _matrices(x))
    sign, size = ops.parts(_XP, y, (), ())
    return SlogdetResult(sign.detach(), size)


@in_float32
def cholesky(x: Any, /, *, upper: bool = False) -> Tensor:
    """L, lower triangular, with X = L Lᵀ; with `upper` its transpose. X is positive definite.

    >>> cholesky(as_tensor([[4.0, 2.0], [2.0, 2.0]]))
    Tensor([[2., 0.],
            [1., 1.]], shape=(2, 2), dtype=float32)
    """
    y = apply(cached(ops.Cholesky), _matrices(x))
    return matrix_transpose(y) if upper else y


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


@in_float32
def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """(Q, R) with X = Q R, Qᵀ Q = 1, R upper triangular.

    "complete" makes Q square; that has no gradient if x has more rows than columns.

    >>> q, r = qr(as_tensor([[3.0], [4.0]]))
    >>> abs(r).item()
    5.0
    """
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"qr: mode must be 'reduced' or 'complete', got {mode!r}")
    x = _matrices(x)
    ops.require_matrices("qr", x)
    full = mode == "complete" and x.shape[-2] > x.shape[-1]
    if full and x.requires_grad and STATE.grad_enabled:
        raise GradientError(
            "qr: of more rows than columns, mode='complete' has no gradient, got "
            f"{describe(x)} that requires one; use mode='reduced', or x.detach()"
        )
    op: Any = cached(ops.Qr, full)
    return QRResult(*ops.parts(_XP, apply(op, x), *op.shapes(x)))


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


@in_float32
def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """(U, s, Vᵀ) with X = U diag(s) Vᵀ, the s not negative, in descending order.

    (..., M, N) -> (..., M, M), (..., min(M, N)), (..., N, N), or without `full_matrices`
    (..., M, min(M, N)) and (..., min(M, N), N). The vectors that are added may be any; gradients of
    them are left out. Where two s are equal, only what does not tell their vectors apart has one.

    >>> svd(as_tensor([[3.0, 0.0], [0.0, 4.0]])).S
    Tensor([4., 3.], shape=(2,), dtype=float32)
    """
    x = _matrices(x)
    ops.require_matrices("svd", x)
    op: Any = cached(ops.Svd, full_matrices and x.shape[-1] != x.shape[-2])
    return SVDResult(*ops.parts(_XP, apply(op, x), *op.shapes(x.shape)))


@in_float32
def svdvals(x: Any, /) -> Tensor:
    """s, the singular values, in descending order;  GX = U diag(gs) Vᵀ, also where some are equal.

    >>> svdvals(as_tensor([[3.0, 0.0], [0.0, 4.0]]))
    Tensor([4., 3.], shape=(2,), dtype=float32)
    """
    return apply(cached(ops.Svdvals), _matrices(x))


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


@in_float32
def eigh(x: Any, /) -> EighResult:
    """(w, V) with X = V diag(w) Vᵀ, w ascending, of a symmetric X.

    Where two w are equal, only what does not tell their vectors apart has a gradient.

    >>> eigh(as_tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    Tensor([1., 3.], shape=(2,), dtype=float32)
    """
    x = _matrices(x)
    y = apply(cached(ops.Eigh), x)
    n = x.shape[-1]
    return EighResult(*ops.parts(_XP, y, (n,), (n, n)))


@in_float32
def eigvalsh(x: Any, /) -> Tensor:
    """w, the eigenvalues of a symmetric X, ascending;  GX = V diag(gw) Vᵀ.

    >>> eigvalsh(as_tensor([[2.0, 1.0], [1.0, 2.0]]))
    Tensor([1., 3.], shape=(2,), dtype=float32)
    """
    return apply(cached(ops.Eigvalsh), _matrices(x))


def _tolerances(name: str, x: Tensor, rtol: Any, atol: Any) -> tuple[float, float]:
    """Up to which part of the largest singular value one counts as 0, and up to which number."""
    least = number(f"{name}: atol", atol)
    if rtol is not None or least:
        return number(f"{name}: rtol", rtol or 0.0), least
    exact = float32 if x.dtype in LOW_PRECISION else x.dtype
    sides = x.shape[-2:]
    return float((sides[0] if sides[0] > sides[1] else sides[1]) * finfo(exact).eps), least


def pinv(x: Any, /, *, rtol: float | None = None, atol: float = 0.0) -> Tensor:
    """The pseudo-inverse (Moore and Penrose), (..., M, N) -> (..., N, M).

    Singular values up to `rtol` times the largest, or up to `atol`, count as 0. Where neither is
    given, `rtol` is max(M, N) ε.

    >>> pinv(as_tensor([[2.0, 0.0], [0.0, 0.0]]))
    Tensor([[0.5, 0. ],
            [0. , 0. ]], shape=(2, 2), dtype=float32)
    """
    x = _matrices(x)
    ops.require_matrices("pinv", x)
    return apply(cached(ops.Pinv, *_tolerances("pinv", x, rtol, atol)), x)


@in_float32
def matrix_rank(x: Any, /, *, rtol: float | None = None, atol: float = 0.0) -> Tensor:
    """How many singular values do not count as 0, int64: see `pinv`.

    >>> matrix_rank(as_tensor([[1.0, 2.0], [2.0, 4.0]]))
    Tensor(1, shape=(), dtype=int64)
    """
    x = _matrices(x).detach()
    ops.require_matrices("matrix_rank", x)
    s = svdvals(x)
    if s.shape[-1] == 0:
        return sum(s, axis=-1).astype("int64")
    part, least = _tolerances("matrix_rank", x, rtol, atol)
    return sum((s > part * max(s, axis=-1, keepdims=True)) & (s > least), axis=-1)


def matrix_power(x: Any, n: int, /) -> Tensor:
    """Xⁿ, by repeated squaring; the inverse's power for a negative n, the unit matrix for 0.

    >>> matrix_power(as_tensor([[2.0, 0.0], [0.0, 3.0]]), 3)
    Tensor([[ 8.,  0.],
            [ 0., 27.]], shape=(2, 2), dtype=float32)
    """
    x = as_tensor(x)
    ops.require_matrices("matrix_power", x, square=True)
    power = whole("matrix_power: n", n, -float("inf"))
    if power < 0:
        x, power = inv(x), -power
    if power == 0:
        return constant_in(x, broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape))
    y: Tensor | None = None
    while True:
        if power & 1:
            y = x if y is None else y @ x
        power >>= 1
        if not power:
            assert y is not None
            return y
        x = x @ x


#: The Padé approximant of degree 13 is exact to rounding up to this norm: Higham, table 2.3.
_PADE_DEGREE, _PADE_REACH = 13, 5.37


def matrix_exp(x: Any, /) -> Tensor:
    """e^X = 1 + X + X²/2! + X³/3! + …, by scaling, a quotient of polynomials, and squaring.

    How often it is squared depends on the values, so it cannot be captured.
    Source: N. Higham, SIAM J. Matrix Anal. Appl. 26 (2005), sec. 2.

    >>> matrix_exp(as_tensor([[0.0, 1.0], [0.0, 0.0]]))
    Tensor([[1., 1.],
            [0., 1.]], shape=(2, 2), dtype=float32)
    """
    x = _matrices(x)
    ops.require_matrices("matrix_exp", x, square=True)
    if x.dtype != float64:  # squaring takes digits
        return matrix_exp(x.astype(float64)).astype(x.dtype)
    if x.size == 0:
        return x
    size = float(max(sum(abs(x.detach()), axis=-2))._concrete("matrix_exp"))
    beyond = size / _PADE_REACH
    halvings = math.ceil(math.log2(beyond)) if 1 < beyond < math.inf else 0
    x = x / 2**halvings
    powers = [broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape), x @ x]  # of X², from 0 on
    weights = [1.0]
    for k in range(1, _PADE_DEGREE + 1):
        weights.append(weights[-1] * (_PADE_DEGREE + 1 - k) / ((2 * _PADE_DEGREE + 1 - k) * k))
        if k > 3 and k % 2:
            powers.append(powers[-1] @ powers[1])
    terms = [w * powers[k // 2] for k, w in enumerate(weights)]
    even, odd = (functools.reduce(operator.add, terms[start::2]) for start in (0, 1))
    odd = x @ odd
    y = solve(even - odd, even + odd)
    for _ in range(halvings):
        y = y @ y
    return y


@in_float32
def solve_triangular(
    a: Any, b: Any, /, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """Y with A Y = B, or Y A = B if not `left`, of the triangle of A alone.

    With `unitriangular` its diagonal is taken to be 1.

    >>> a, b = as_tensor([[2.0, 9.0], [1.0, 1.0]]), as_tensor([[2.0], [3.0]])
    >>> solve_triangular(a, b, upper=False).tolist()
    [[1.0], [2.0]]
    """
    a, b = _matrices(a), _matrices(b)
    ops.require_matrices("solve_triangular", a, square=True, argument="a")
    ops.require_matrices("solve_triangular", b, argument="b")
    a = triu(a) if upper else tril(a)
    if unitriangular:
        a = where(eye(a.shape[-1], dtype="bool"), 1.0, a)
    return solve(a, b) if left else solve(a.mT, b.mT).mT


@in_float32
def cholesky_solve(b: Any, factor: Any, /, *, upper: bool = False) -> Tensor:
    """Y with L Lᵀ Y = B for the factor L of `cholesky`; with `upper` the factor is Lᵀ.

    >>> cholesky_solve(as_tensor([[8.0]]), as_tensor([[2.0]]))
    Tensor([[2.]], shape=(1, 1), dtype=float32)
    """
    factor = _matrices(factor)
    ops.require_matrices("cholesky_solve", factor, square=True, argument="factor")
    factor = factor.mT if upper else factor
    inner = solve_triangular(factor, b, upper=False)
    return solve_triangular(factor.mT, inner, upper=True)


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


@in_float32
def lstsq(a: Any, b: Any, /, *, rcond: float | None = None) -> LstsqResult:
    """The Y of smallest norm that makes ‖A Y - B‖ smallest: pinv(A) B, column by column.

        (..., M, N) and (..., M, K) -> (..., N, K);  b of one axis is one vector (M)

    The residuals are ‖A Y - B‖² of each column where M > N, else there are none. `rcond` is `rtol`
    of `pinv`.

    >>> lstsq(as_tensor([[1.0], [1.0]]), as_tensor([1.0, 3.0])).solution
    Tensor([2.], shape=(1,), dtype=float32)
    """
    a, b = _matrices(a), _matrices(b)
    ops.require_matrices("lstsq", a, argument="a")
    single = b.ndim == 1
    columns = expand_dims(b, axis=1) if single else b
    if columns.ndim < 2 or columns.shape[-2] != a.shape[-2]:
        raise ShapeError(
            f"lstsq: b must have a row for each row of a, got a: {describe(a)}, b: {describe(b)}"
        )
    y = pinv(a, rtol=rcond) @ columns
    missed = sum((a @ y - columns) ** 2, axis=-2)
    if a.shape[-2] <= a.shape[-1]:
        missed = missed[..., :0]
    y = squeeze(y, axis=-1) if single else y
    return LstsqResult(y, missed, matrix_rank(a, rtol=rcond), svdvals(a.detach()))
