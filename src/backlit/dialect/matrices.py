"""PyTorch's functions of matrices that are none of ours under another name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import array_api as ours
from .. import dtypes, linalg
from ..array_api.arguments import whole
from ..array_api.decompositions import LstsqResult
from ..errors import ArgumentError
from ..op import describe
from ..tensor import Tensor, as_tensor
from .pieces import atleast_1d


class CholeskyEx(NamedTuple):
    """A factor of each matrix, and up to which of its leading parts there is one."""

    L: Tensor
    info: Tensor


class InvEx(NamedTuple):
    """The inverse of each matrix, and which of its columns depends on those before."""

    inverse: Tensor
    info: Tensor


class SolveEx(NamedTuple):
    """The solution for each matrix, and which of its columns depends on those before."""

    result: Tensor
    info: Tensor


def symmetric(name: str, x: Any, UPLO: str = "L") -> Tensor:
    """The symmetric matrix of which one triangle is given; the gradient is symmetric, too."""
    if UPLO not in ("L", "U"):
        raise ArgumentError(f"{name}: UPLO must be 'L' or 'U', got {UPLO!r}")
    swap = ours.matrix_transpose
    x = as_tensor(x) if UPLO == "L" else swap(x)
    given = x.detach()
    given = ours.tril(given) + swap(ours.tril(given, k=-1))
    mean = (x + swap(x)) / 2
    return mean + (given - mean.detach())


# -- whether there is a result --------------------------------------------------------------------


def _without_failing(
    name: str, x: Any, fails: Callable[[np.ndarray], int], check_errors: bool, what: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices, unit ones where there is no result; where that is; and at which part each fails."""
    x = as_tensor(x)
    values = x.detach()._concrete(name).astype(np.float64)
    info = np.zeros(values.shape[:-2], np.int32)
    for place in np.ndindex(info.shape):
        info[place] = fails(values[place])
    if check_errors and info.any():
        at = f" at {np.argwhere(info)[0].tolist()}" if info.ndim else ""
        raise ArgumentError(f"{name}: x {what}{at}; see info with check_errors=False")
    failing = ours.expand_dims(ours.asarray(info != 0), axis=(-2, -1))
    unit = ours.eye(values.shape[-1], dtype=x.dtype)
    return ours.where(failing, unit, x), failing, ours.asarray(info)


def _first_indefinite(x: np.ndarray) -> int:
    """The size of the smallest leading part that is not positive definite; 0 if there is none."""

    def definite(n: int) -> bool:
        try:
            np.linalg.cholesky(x[:n, :n])
        except np.linalg.LinAlgError:
            return False
        return True

    return 0 if definite(len(x)) else next(n for n in range(1, len(x) + 1) if not definite(n))


def _first_dependent(x: np.ndarray) -> int:
    """The number of the first column that depends on those before; 0 if LAPACK finds none."""
    try:
        np.linalg.inv(x)
    except np.linalg.LinAlgError:
        sizes = range(1, len(x) + 1)
        return next((n for n in sizes if np.linalg.matrix_rank(x[:, :n]) < n), len(x))
    return 0


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """The Cholesky factors, NaN where there is none, and which leading part is not definite."""
    x, failing, info = _without_failing(
        "cholesky_ex", A, _first_indefinite, check_errors, "must be positive definite"
    )
    return CholeskyEx(ours.where(failing, math.nan, linalg.cholesky(x, upper=upper)), info)


def inv_ex(A: Any, *, check_errors: bool = False) -> InvEx:
    """The inverses, NaN where there is none, and which column depends on those before."""
    x, failing, info = _without_failing(
        "inv_ex", A, _first_dependent, check_errors, "must not be singular"
    )
    return InvEx(ours.where(failing, math.nan, linalg.inv(x)), info)


def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """X with A X = B, NaN where there is none, and which column of A depends on those before."""
    x, failing, info = _without_failing(
        "solve_ex", A, _first_dependent, check_errors, "must not be singular"
    )
    missing = failing[..., 0] if _is_vector(x, as_tensor(B)) else failing
    return SolveEx(ours.where(missing, math.nan, solve(x, B, left=left)), info)


# -- equations ------------------------------------------------------------------------------------


def _is_vector(a: Tensor, b: Tensor) -> bool:
    """Whether the right side is a vector for each matrix, by PyTorch's rule."""
    return b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])


def solve(A: Any, B: Any, *, left: bool = True) -> Tensor:
    """X with A X = B, or with X A = B; B may be a vector for each matrix."""
    a, b = as_tensor(A), as_tensor(B)
    swap = ours.matrix_transpose
    if _is_vector(a, b):
        return linalg.solve(a if left else swap(a), b[..., None])[..., 0]
    return linalg.solve(a, b) if left else swap(linalg.solve(swap(a), swap(b)))


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> LstsqResult:
    """X with the smallest ‖A X - B‖, and what PyTorch's driver would say of it, else nothing."""
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise ArgumentError(f"lstsq: driver must be one of {', '.join(_DRIVERS)}, got {driver!r}")
    a, b = as_tensor(A), as_tensor(B)
    vector = _is_vector(a, b)
    y, residuals, rank, sizes = linalg.lstsq(a, b[..., None] if vector else b, rcond=rcond)
    rows, columns = a.shape[-2:]
    none = ours.zeros(0, dtype=y.dtype)
    if rows <= columns or driver == "gelsy" or (driver != "gels" and bool((rank < columns).any())):
        residuals = none
    return LstsqResult(
        y[..., 0] if vector else y,
        residuals,
        none.astype(dtypes.int64) if driver == "gels" else rank,
        sizes if driver in ("gelsd", "gelss") else none,
    )


def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """(L Lᵀ)⁻¹ of the factor L that `cholesky` gives."""
    x = as_tensor(x)
    return linalg.cholesky_solve(ours.eye(x.shape[-1], dtype=x.dtype), x, upper=upper)


# -- others ---------------------------------------------------------------------------------------


def matrix_rank(
    A: Any, tol: Any = None, *, atol: Any = None, rtol: Any = None, hermitian: bool = False
) -> Tensor:
    """How many singular values are not 0: see `pinv`; tolerances may be one for each matrix."""
    x = as_tensor(A).detach()
    values = linalg.eigvalsh(symmetric("matrix_rank", x)) if hermitian else linalg.svdvals(x)
    sizes = abs(values)
    if not sizes.shape[-1]:
        return ours.sum(sizes, axis=-1).astype(dtypes.int64)
    atol = tol if atol is None else atol
    least = as_tensor(0.0 if atol is None else atol).detach()
    if rtol is None:
        part = ours.where(least > 0, 0.0, max(x.shape[-2:]) * dtypes.finfo(sizes.dtype).eps)
    else:
        part = as_tensor(rtol).detach()
    limit = ours.maximum(least[..., None], part[..., None] * sizes.max(dim=-1, keepdim=True).values)
    return ours.sum(sizes > limit, axis=-1)


def pinv(A: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """The pseudoinverse; of symmetric matrices the lower triangle is read.

    Where only one tolerance is given, the other is 0.
    """
    x = symmetric("pinv", A) if hermitian else as_tensor(A)
    if atol is None:
        return linalg.pinv(x, rtol=rtol)
    return linalg.pinv(x, atol=atol, rtol=0.0 if rtol is None else rtol)


def svd_lowrank(
    A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, s, V) of the q largest singular values of A - M; exactly, so `niter` has no effect."""
    x = as_tensor(A) if M is None else as_tensor(A) - M
    count = whole("svd_lowrank: q", 6 if q is None else q, 0)
    if count > min(x.shape[-2:]):
        raise ArgumentError(
            f"svd_lowrank: q must be at most the smaller side of {describe(x)}, got {count}"
        )
    u, s, vh = linalg.svd(x, full_matrices=False)
    return u[..., :count], s[..., :count], ours.matrix_transpose(vh)[..., :count]


def pca_lowrank(
    A: Any, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """The q principal components of the rows of A, at most 6 if q is None: see `svd_lowrank`."""
    x = as_tensor(A)
    count = min(6, *x.shape[-2:]) if q is None else q
    return svd_lowrank(x, count, niter, ours.mean(x, axis=-2, keepdims=True) if center else None)


def powers(x: Any, *, N: int | None = None) -> Tensor:
    """PyTorch's `linalg.vander`: the powers of all elements, from 0 upwards, as a new last axis."""
    x = atleast_1d(x)
    count = x.shape[-1] if N is None else whole("vander: N", N)
    return x[..., None] ** ours.arange(count)
