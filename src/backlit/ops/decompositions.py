"""Linear algebra of the matrices in the last two axes: inverses, determinants, decompositions.

An op has one result, so what has several parts gives them one after the other along the last axis,
each laid out as a row: `parts` takes them apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import DType, int64
from ..errors import ArgumentError, ShapeError
from ..op import Op, Requirement, Shape, describe


def require_matrices(name: str, x: Any, square: bool = False, argument: str = "x") -> None:
    """Raise unless the last two axes are those of matrices, perhaps square ones."""
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        kind = "square matrices" if square else "matrices"
        raise ShapeError(
            f"{name}: {argument} must be {kind} in its last two axes, got {describe(x)}"
        )


def symmetry(xp: Any, x: Any) -> tuple[Requirement, ...]:
    """That matrices are symmetric, but for rounding."""
    if x.size == 0:
        return ()
    largest = xp.max(xp.abs(x), axis=(x.ndim - 2, x.ndim - 1), keepdims=True)
    apart = xp.abs(x - x.mT) > 1e-3 * largest
    cure = "use (x + x.mT) / 2, or tril(x) + tril(x, k=-1).mT for the lower triangle"
    return (
        Requirement(
            xp.logical_not(apart), x, ArgumentError, "x must be symmetric, x[i, j] = x[j, i]", cure
        ),
    )


def parts(xp: Any, y: Any, *shapes: Shape) -> list[Any]:
    """The parts of a packed result, each with these last axes."""
    lead = y.shape[:-1]
    found, start = [], 0
    for shape in shapes:
        count = math.prod(shape)
        index = (*((0, n, 1) for n in lead), (start, count, 1))
        found.append(xp.reshape(xp.slice(y, index=index), (*lead, *shape)))
        start += count
    return found


def _right_solved(xp, x, a):
    """X A⁻¹."""
    return xp.solve(a.mT, x.mT).mT


def _below(xp, n, offset=0):
    """Truth values of an n x n matrix: whether the column is at most the row + offset."""
    count = xp.arange(0, n, 1, dtype=int64)
    return xp.reshape(count, (1, n)) <= xp.reshape(count, (n, 1)) + offset


def _diagonal(xp, x):
    """Diagonal matrices of the numbers in the last axis."""
    n = x.shape[-1]
    on = xp.logical_and(_below(xp, n), _below(xp, n).mT)
    return xp.where(on, xp.expand_dims(x, x.ndim - 1), 0.0)


def _divided(xp, x, gaps):
    """x / gaps, but 0 / 0 is 0: where values are equal, what does not tell them apart is right."""
    nothing = xp.logical_and(gaps == 0, x == 0)
    return x / xp.where(nothing, 1.0, gaps)


def _gaps(xp, values):
    """gᵢⱼ = vⱼ - vᵢ."""
    return xp.expand_dims(values, values.ndim - 1) - xp.expand_dims(values, values.ndim)


class Inv(Op):
    """Y = X⁻¹;  GX = -Yᵀ GY Yᵀ."""

    primitive = True
    cost = 10
    saves = ("y",)

    def forward(self, xp, x):
        return xp.inv(x)

    def backward(self, xp, grad_y, y):
        return -xp.matmul(xp.matmul(y.mT, grad_y), y.mT)

    @staticmethod
    def check(x):
        """The matrices are square."""
        require_matrices("inv", x, square=True)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        return x.shape, x.dtype


class Solve(Op):
    """Y with A Y = B;  GB = A⁻ᵀ GY, GA = -GB Yᵀ."""

    primitive = True
    cost = 10
    saves = ("a", "y")

    def forward(self, xp, a, b):
        return xp.solve(a, b)

    def backward(self, xp, grad_y, a, y):
        grad_b = xp.solve(a.mT, grad_y)
        return lambda: -xp.matmul(grad_b, y.mT), grad_b

    @staticmethod
    def check(a, b):
        """A is square, and B has as many rows."""
        require_matrices("solve", a, square=True, argument="a")
        require_matrices("solve", b, argument="b")
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"solve: b must have a row for each row of a, got a: {describe(a)} and b: "
                f"{describe(b)}"
            )

    def infer(self, a: Any, b: Any) -> tuple[Shape, DType]:
        """(..., N, N) and (..., N, K) give (..., N, K)."""
        try:
            lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"solve: the axes before the matrices must broadcast, got a: {describe(a)} and b: "
                f"{describe(b)}"
            ) from None
        return (*lead, *b.shape[-2:]), a.dtype


class Det(Op):
    """y = det X;  GX = gy · the cofactors of X, also where X is singular."""

    role = "switcher"
    primitive = True
    cost = 10
    saves = ("x",)

    def forward(self, xp, x):
        return xp.det(x)

    def backward(self, xp, grad_y, x):
        spread = xp.expand_dims(grad_y, (grad_y.ndim, grad_y.ndim + 1))
        return spread * xp.cofactor(x)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices."""
        require_matrices("det", x, square=True)
        return x.shape[:-2], x.dtype


class Cofactor(Op):
    """C = ∂ det X / ∂X = det X · X⁻ᵀ;  GX = ⟨GC, X⁻ᵀ⟩ C - X⁻ᵀ GCᵀ C, of invertible X."""

    role = "switcher"
    primitive = True
    cost = 10
    saves = ("x", "y")

    def forward(self, xp, x):
        return xp.cofactor(x)

    def backward(self, xp, grad_y, x, y):
        inverse = xp.inv(x).mT
        along = xp.sum(grad_y * inverse, axis=(y.ndim - 2, y.ndim - 1), keepdims=True)
        return along * y - xp.matmul(xp.matmul(inverse, grad_y.mT), y)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        require_matrices("cofactor", x, square=True)
        return x.shape, x.dtype


class Slogdet(Op):
    """y = (sign det X, log |det X|);  GX = gy₁ X⁻ᵀ."""

    role = "scaler"
    primitive = True
    cost = 10
    saves = ("x",)

    def forward(self, xp, x):
        return xp.slogdet(x)

    def backward(self, xp, grad_y, x):
        _, of_log = parts(xp, grad_y, (1, 1), (1, 1))
        return of_log * xp.inv(x).mT

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices, and 2."""
        require_matrices("slogdet", x, square=True)
        return (*x.shape[:-2], 2), x.dtype


class Cholesky(Op):
    """L, lower triangular, with X = L Lᵀ;  GX = ½ (S + Sᵀ), S = L⁻ᵀ Φ(Lᵀ GL) L⁻¹.

    Φ takes the lower triangle and half of the diagonal: I. Murray, "Differentiation of the Cholesky
    decomposition" (2016), eq. 10.
    """

    primitive = True
    cost = 10
    saves = ("y",)

    def forward(self, xp, x):
        return xp.cholesky(x)

    def backward(self, xp, grad_y, y):
        n = y.shape[-1]
        product = xp.matmul(y.mT, grad_y)
        half = xp.where(_below(xp, n, -1), product, product / 2)
        inner = xp.where(_below(xp, n), half, 0.0)
        s = _right_solved(xp, xp.solve(y.mT, inner), y)
        return (s + s.mT) / 2

    def requires(self, xp, x):
        """The matrices are symmetric."""
        return symmetry(xp, x)

    @staticmethod
    def check(x):
        """The matrices are square."""
        require_matrices("cholesky", x, square=True)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        return x.shape, x.dtype


class Qr(Op):
    """Q and R, packed, with X = Q R, Qᵀ Q = 1, R upper triangular.

    Of as many rows as columns or more, GX = (GQ + Q M) R⁻ᵀ, where M is the lower triangle of
    R GRᵀ - GQᵀ Q, mirrored: M. Seeger et al., "Auto-differentiating linear algebra" (2017), sec. 3.
    Of fewer rows, that is done for the first columns, with which the others are combined.
    """

    attributes = ("full",)
    primitive = True
    cost = 20
    saves = ("x", "y")
    full: bool

    def shapes(self, x: Any) -> tuple[Shape, Shape]:
        """Those of the two matrices."""
        m, n = x.shape[-2:]
        k = m if self.full else min(m, n)
        return (m, k), (k, n)

    def forward(self, xp, x):
        return xp.qr(x, full=self.full)

    def backward(self, xp, grad_y, x, y):
        q, r = parts(xp, y, *self.shapes(x))
        grad_q, grad_r = parts(xp, grad_y, *self.shapes(x))
        m, n = x.shape[-2:]
        if m >= n:
            return self._tall(xp, q, r, grad_q, grad_r)
        lead = tuple((0, s, 1) for s in x.shape[:-1])
        first, rest = (*lead, (0, m, 1)), (*lead, (m, n - m, 1))
        grad_rest = xp.slice(grad_r, index=rest)
        grad_q = grad_q + xp.matmul(xp.slice(x, index=rest), grad_rest.mT)
        head = self._tall(xp, q, xp.slice(r, index=first), grad_q, xp.slice(grad_r, index=first))
        return xp.concat((head, xp.matmul(q, grad_rest)), axis=x.ndim - 1)

    def _tall(self, xp, q, r, grad_q, grad_r):
        product = xp.matmul(r, grad_r.mT) - xp.matmul(grad_q.mT, q)
        n = product.shape[-1]
        mirrored = xp.where(_below(xp, n), product, product.mT)
        return xp.solve(r, (grad_q + xp.matmul(q, mirrored)).mT).mT

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices, and all elements of both."""
        require_matrices("qr", x)
        return (*x.shape[:-2], sum(map(math.prod, self.shapes(x)))), x.dtype


class Svd(Op):
    """U, s and Vᵀ, packed, with X = U diag(s) Vᵀ, the s not negative and in descending order.

        GX = U (A(Uᵀ GU) diag(s) + diag(s) A(Vᵀ GV) + diag(gs)) Vᵀ
        A(M)ᵢⱼ = (Mᵢⱼ - Mⱼᵢ) / (sⱼ² - sᵢ²)

    and what of GU and GV lies outside of the span of U and V, over s. Where two s are equal it is
    finite only if nothing that follows tells their vectors apart. The vectors that `full` adds may
    be any, and their gradients are left out, as in PyTorch.
    Source: J. Townsend, "Differentiating the singular value decomposition" (2016).
    """

    attributes = ("full",)
    primitive = True
    cost = 100
    saves = ("x.shape", "y")
    full: bool

    def shapes(self, shape: Shape) -> tuple[Shape, Shape, Shape]:
        """Those of the two matrices and, between them, of the vector."""
        m, n = shape[-2:]
        k = min(m, n)
        return (m, m if self.full else k), (k,), (n if self.full else k, n)

    def forward(self, xp, x):
        return xp.svd(x, full=self.full)

    def backward(self, xp, grad_y, shape, y):
        (m, n), k = shape[-2:], min(shape[-2:])
        u, s, v = self._reduced(xp, shape, y)
        grad_u, grad_s, grad_v = self._reduced(xp, shape, grad_y)
        gaps = _gaps(xp, s * s)
        row = xp.expand_dims(s, s.ndim - 1)
        left, right = xp.matmul(u.mT, grad_u), xp.matmul(v, grad_v.mT)
        inner = _divided(xp, left - left.mT, gaps) * row
        inner = inner + row.mT * _divided(xp, right - right.mT, gaps) + _diagonal(xp, grad_s)
        grad_x = xp.matmul(u, inner)
        if m > k:
            grad_x = grad_x + (grad_u - xp.matmul(u, left)) / row
        grad_x = xp.matmul(grad_x, v)
        if n > k:
            outside = grad_v - xp.matmul(right.mT, v)
            grad_x = grad_x + xp.matmul(u, outside / row.mT)
        return grad_x

    def _reduced(self, xp, shape, y):
        """U, s and Vᵀ, without the vectors that are added."""
        u, s, v = parts(xp, y, *self.shapes(shape))
        if not self.full:
            return u, s, v
        lead, (m, n), k = tuple((0, i, 1) for i in shape[:-2]), shape[-2:], min(shape[-2:])
        u = xp.slice(u, index=(*lead, (0, m, 1), (0, k, 1)))
        return u, s, xp.slice(v, index=(*lead, (0, k, 1), (0, n, 1)))

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices, and all elements of the three."""
        require_matrices("svd", x)
        return (*x.shape[:-2], sum(map(math.prod, self.shapes(x.shape)))), x.dtype


class Svdvals(Op):
    """s, the singular values, in descending order;  GX = U diag(gs) Vᵀ."""

    primitive = True
    cost = 50
    saves = ("x",)

    def forward(self, xp, x):
        return xp.svdvals(x)

    def backward(self, xp, grad_y, x):
        m, n = x.shape[-2:]
        k = min(m, n)
        u, _, v = parts(xp, xp.svd(x, full=False), (m, k), (k,), (k, n))
        return xp.matmul(u * xp.expand_dims(grad_y, grad_y.ndim - 1), v)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices, and as many as the smaller side."""
        require_matrices("svdvals", x)
        return (*x.shape[:-2], min(x.shape[-2:])), x.dtype


class Eigh(Op):
    """w, ascending, and V, packed, with X = V diag(w) Vᵀ, X symmetric.

        GX = V (diag(gw) + A(Vᵀ GV)) Vᵀ, A(M)ᵢⱼ = ½ (Mᵢⱼ - Mⱼᵢ) / (wⱼ - wᵢ)

    Where two w are equal it is finite only if nothing that follows tells their vectors apart.
    Source: M. Giles, "An extended collection of matrix derivative results" (2008), sec. 3.1.
    """

    primitive = True
    cost = 100
    saves = ("y",)

    def forward(self, xp, x):
        return xp.eigh(x)

    def backward(self, xp, grad_y, y):
        n = _side(y.shape[-1])
        w, v = parts(xp, y, (n,), (n, n))
        grad_w, grad_v = parts(xp, grad_y, (n,), (n, n))
        turn = xp.matmul(v.mT, grad_v)
        inner = _divided(xp, (turn - turn.mT) / 2, _gaps(xp, w)) + _diagonal(xp, grad_w)
        return xp.matmul(xp.matmul(v, inner), v.mT)

    def requires(self, xp, x):
        """The matrices are symmetric."""
        return symmetry(xp, x)

    @staticmethod
    def check(x):
        """The matrices are square."""
        require_matrices("eigh", x, square=True)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices, and n + n²."""
        n = x.shape[-1]
        return (*x.shape[:-2], n + n * n), x.dtype


def _side(count: int) -> int:
    """n for n + n²."""
    return (math.isqrt(1 + 4 * count) - 1) // 2


class Eigvalsh(Op):
    """w, the eigenvalues of symmetric X, ascending;  GX = V diag(gw) Vᵀ."""

    primitive = True
    cost = 50
    saves = ("x",)

    def forward(self, xp, x):
        return xp.eigvalsh(x)

    def backward(self, xp, grad_y, x):
        n = x.shape[-1]
        _, v = parts(xp, xp.eigh(x), (n,), (n, n))
        return xp.matmul(v * xp.expand_dims(grad_y, grad_y.ndim - 1), v.mT)

    def requires(self, xp, x):
        """The matrices are symmetric."""
        return symmetry(xp, x)

    @staticmethod
    def check(x):
        """The matrices are square."""
        require_matrices("eigvalsh", x, square=True)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The axes before the matrices, and n."""
        return x.shape[:-1], x.dtype


class Pinv(Op):
    """P, the pseudo-inverse. Singular values up to `rtol` times the largest, or `atol`, are 0.

        GX = -Pᵀ GP Pᵀ + (1 - X P) GPᵀ P Pᵀ + Pᵀ P GPᵀ (1 - P X)

    Source: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973), eq. 4.12; the rank must not change.
    """

    attributes = ("rtol", "atol")
    primitive = True
    cost = 100
    saves = ("x", "y")
    rtol: float
    atol: float

    def forward(self, xp, x):
        return xp.pinv(x, rtol=self.rtol, atol=self.atol)

    def backward(self, xp, grad_y, x, y):
        left = xp.matmul(xp.matmul(grad_y.mT, y), y.mT)
        right = xp.matmul(y.mT, xp.matmul(y, grad_y.mT))
        return (
            left
            + right
            - xp.matmul(y.mT, xp.matmul(grad_y, y.mT))
            - xp.matmul(x, xp.matmul(y, left))
            - xp.matmul(xp.matmul(right, y), x)
        )

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The shape of the transposed matrices."""
        require_matrices("pinv", x)
        return (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype
