"""Records of linear algebra. References expand determinants, and iterate with plane rotations.

The sign of a singular vector or eigenvector is free: references take that which LAPACK took.
"""

from __future__ import annotations

import math

import numpy as np

import backlit as bl
from backlit.array_api import primitives
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import decompositions as ops

from .record import Bad, Case, Record, Special, generator

_RNG = generator("decompositions")


def x(*shape):
    return _RNG.uniform(-2, 2, shape)


def well(*shape):
    """Square matrices far from singular ones."""
    return x(*shape) + 4 * np.eye(shape[-1])


def symmetric(*shape):
    m = x(*shape)
    return m + m.mT + np.diag(3.0 * np.arange(shape[-1]))


def definite(*shape):
    m = x(*shape)
    return m @ m.mT + np.eye(shape[-1])


def each(f):
    """A function of one matrix as one of stacks; results side by side in the last axis."""

    def reference(*stacks, **more):
        lead = np.broadcast_shapes(*[s.shape[:-2] for s in stacks])
        spread = [np.broadcast_to(s, (*lead, *s.shape[-2:])) for s in stacks]
        found = [np.asarray(f(*[s[i] for s in spread], **more)) for i in np.ndindex(lead)]
        return np.array(found).reshape((*lead, *found[0].shape))

    return reference


def minor(m, i, j):
    return np.delete(np.delete(m, i, 0), j, 1)


def determinant(m):
    """Expanded along the first row."""
    if len(m) == 0:
        return 1.0
    return math.fsum((-1) ** j * m[0, j] * determinant(minor(m, 0, j)) for j in range(len(m)))


def cofactors(m):
    n = range(len(m))
    return np.array([[(-1) ** (i + j) * determinant(minor(m, i, j)) for j in n] for i in n])


def inverse(m):
    return cofactors(m).T / determinant(m)


def logarithm(m):
    value = determinant(m)
    return [math.copysign(1, value), math.log(abs(value))]


def factor(m):
    """Cholesky and Banachiewicz, row by row."""
    lower = np.zeros_like(m)
    for i in range(len(m)):
        for j in range(i + 1):
            rest = m[i, j] - math.fsum(lower[i, k] * lower[j, k] for k in range(j))
            lower[i, j] = math.sqrt(rest) if i == j else rest / lower[j, j]
    return lower


def rotated(m):
    """(w, V) of a symmetric matrix by Jacobi's rotations, ascending."""
    a, v = m.copy(), np.eye(len(m))
    for _ in range(30):
        for p in range(len(m)):
            for q in range(p + 1, len(m)):
                angle = 0.5 * math.atan2(2 * a[p, q], a[q, q] - a[p, p])
                turn = np.eye(len(m))
                turn[p, p] = turn[q, q] = math.cos(angle)
                turn[p, q], turn[q, p] = math.sin(angle), -math.sin(angle)
                a, v = turn.T @ a @ turn, v @ turn
    order = np.argsort(np.diag(a))
    return np.diag(a)[order], v[:, order]


def signed(vectors, like):
    """Columns with the signs that those of another have."""
    return vectors * np.sign((vectors * like).sum(0))


def eigen(m):
    w, v = rotated(m)
    return np.concatenate([w, signed(v, np.linalg.eigh(m)[1]).ravel()])


def singular(m):
    """(U, s, Vᵀ) by the eigenvectors of the smaller of Xᵀ X and X Xᵀ."""
    if m.shape[0] < m.shape[1]:
        u, s, v = singular(m.T)
        return v.T, s, u.T
    w, v = rotated(m.T @ m)
    s, v = np.sqrt(np.maximum(w[::-1], 0)), v[:, ::-1]
    return m @ v / s, s, v.T


def all_singular(m, full):
    if full:
        return np.concatenate([p.ravel() for p in np.linalg.svd(m)])
    u, s, v = singular(m)
    turn = np.sign((v * np.linalg.svd(m, full_matrices=False)[2]).sum(1))
    return np.concatenate([(u * turn).ravel(), s, (v.T * turn).T.ravel()])


def orthogonal(m, full):
    """Gram and Schmidt, with the signs that LAPACK took."""
    q, r = np.linalg.qr(m, "complete" if full else "reduced")
    if not full:
        found = []
        for j in range(min(m.shape)):
            column = m[:, j].copy()
            for other in found:
                column = column - (other @ column) * other
            found.append(column / math.sqrt(column @ column))
        q = signed(np.array(found).T, q)
        r = np.triu(q.T @ m)
    return np.concatenate([q.ravel(), r.ravel()])


def pseudo_inverse(m, rtol, atol):
    if m.shape[0] >= m.shape[1]:
        return inverse(m.T @ m) @ m.T
    return m.T @ inverse(m @ m.T)


def square(name, function):
    return Bad(
        lambda: function(bl.ones((2, 3))),
        ShapeError,
        rf"{name}: x must be square matrices in its last two axes, got float32\[2,3\]",
    )


def crooked(name, function):
    return Bad(
        lambda: function(bl.tensor([[1.0, 2.0], [3.0, 4.0]])),
        ArgumentError,
        rf"{name}: x must be symmetric, x\[i, j\] = x\[j, i\], got 2.0; use \(x \+ x.mT\) / 2, or",
    )


SQUARE = [Case((m,)) for m in (well(3, 3), well(2, 2, 2), well(1, 1))]
SYMMETRIC = [Case((m,)) for m in (symmetric(3, 3), symmetric(2, 2, 2), symmetric(1, 1))]
OBLONG = [x(3, 3), x(4, 2), x(2, 3), x(2, 3, 2)]
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])

TABLE = [
    Record(
        op=ops.Inv,
        reference=each(inverse),
        cases=SQUARE,
        function=bl.linalg.inv,
        bad=[
            square("inv", bl.linalg.inv),
            Bad(lambda: bl.linalg.inv(bl.asarray(np.stack([np.eye(2), SINGULAR]))), ArgumentError,
                r"inv: x must be invertible, got a singular matrix at \[1\]; use linalg.pinv or"),
        ],
        rtol=1e-11,
        atol=1e-12,
    ),
    Record(
        op=ops.Solve,
        reference=each(lambda a, b: inverse(a) @ b),
        cases=[
            Case((well(3, 3), x(3, 2))),
            Case((well(2, 2, 2), x(2, 1))),
            Case((well(2, 2), x(3, 2, 2))),
        ],
        function=primitives.solve,
        bad=[
            Bad(lambda: bl.linalg.solve(bl.ones((2, 3)), bl.ones((2, 1))), ShapeError,
                r"solve: a must be square matrices in its last two axes, got float32\[2,3\]"),
            Bad(lambda: bl.linalg.solve(bl.eye(2), bl.ones((3, 1))), ShapeError,
                r"solve: b must have a row for each row of a, got a: float32\[2,2\] and b"),
            Bad(lambda: bl.linalg.solve(bl.ones((2, 1, 1)), bl.ones((3, 1, 1))), ShapeError,
                r"solve: the axes before the matrices must broadcast, got a: float32\[2,1,1\]"),
            Bad(lambda: bl.linalg.solve(bl.asarray(SINGULAR), bl.ones(2)), ArgumentError,
                r"solve: a must be invertible, got a singular matrix; use linalg.pinv or linal"),
        ],
        rtol=1e-11,
        atol=1e-12,
    ),
    Record(
        op=ops.Det,
        reference=each(determinant),
        cases=[*SQUARE, Case((np.zeros((0, 0)),))],
        function=bl.linalg.det,
        specials=[
            Special((SINGULAR,), 0.0, (np.array([[4.0, -2.0], [-2.0, 1.0]]),), rtol=1e-14),
            Special((np.zeros((2, 2)),), 0.0, (np.zeros((2, 2)),)),
        ],
        bad=[square("det", bl.linalg.det)],
        rtol=1e-11,
        atol=1e-12,
    ),
    Record(
        op=ops.Cofactor,
        reference=each(cofactors),
        cases=SQUARE,
        function=primitives.cofactor,
        specials=[Special((SINGULAR,), [[4.0, -2.0], [-2.0, 1.0]], rtol=1e-14)],
        rtol=1e-11,
        atol=1e-12,
    ),
    Record(
        op=ops.Slogdet,
        reference=each(logarithm),
        cases=[*SQUARE, Case((-well(3, 3),))],
        function=primitives.slogdet,
        specials=[
            Special((np.zeros((2, 2)),), [0.0, -math.inf]),
            Special((1e200 * np.eye(2),), [1.0, 400 * math.log(10)], rtol=1e-14),
        ],
        bad=[square("slogdet", bl.linalg.slogdet)],
        rtol=1e-11,
        atol=1e-12,
    ),
    Record(
        op=ops.Cholesky,
        reference=each(factor),
        cases=[Case((definite(3, 3),)), Case((definite(2, 2, 2),)), Case((definite(1, 1),))],
        function=bl.linalg.cholesky,
        bad=[
            square("cholesky", bl.linalg.cholesky),
            crooked("cholesky", bl.linalg.cholesky),
            Bad(lambda: bl.linalg.cholesky(-bl.eye(2)), ArgumentError,
                r"cholesky: x must be positive definite, got a matrix that is not; add a small"),
        ],
        rtol=1e-11,
        atol=1e-12,
        low_precision=False,
    ),
    Record(
        op=ops.Qr,
        reference=each(orthogonal),
        cases=[Case((m,), {"full": False}) for m in OBLONG],
        function=primitives.qr,
        bad=[
            Bad(lambda: bl.linalg.qr(bl.ones(2)), ShapeError,
                r"qr: x must be matrices in its last two axes, got float32\[2\]"),
            Bad(lambda: bl.linalg.qr(bl.eye(2), mode="raw"), ArgumentError,
                r"qr: mode must be 'reduced' or 'complete', got 'raw'"),
        ],
        rtol=1e-10,
        atol=1e-11,
        low_precision=False,
    ),
    Record(
        op=ops.Svd,
        reference=each(all_singular),
        cases=[Case((m,), {"full": False}) for m in OBLONG],  # `full` adds what may be any vectors
        function=primitives.svd,
        bad=[
            Bad(lambda: bl.linalg.svd(bl.full((2, 2), math.nan)), ArgumentError,
                r"svd: x must be finite, got a matrix for which LAPACK found no end; look for NaN"),
        ],
        rtol=1e-8,
        atol=1e-9,
        low_precision=False,
    ),
    Record(
        op=ops.Svdvals,
        reference=each(lambda m: singular(m)[1]),
        cases=[Case((m,)) for m in OBLONG],
        function=bl.linalg.svdvals,
        specials=[Special((2 * np.eye(2),), [2.0, 2.0], (np.eye(2),), rtol=1e-14)],
        rtol=1e-8,
        atol=1e-9,
        low_precision=False,
    ),
    Record(
        op=ops.Eigh,
        reference=each(eigen),
        cases=SYMMETRIC,
        function=primitives.eigh,
        bad=[square("eigh", bl.linalg.eigh), crooked("eigh", bl.linalg.eigh)],
        rtol=1e-10,
        atol=1e-11,
        low_precision=False,
    ),
    Record(
        op=ops.Eigvalsh,
        reference=each(lambda m: rotated(m)[0]),
        cases=SYMMETRIC,
        function=bl.linalg.eigvalsh,
        specials=[Special((2 * np.eye(2),), [2.0, 2.0], (np.eye(2),), rtol=1e-14)],
        bad=[square("eigvalsh", bl.linalg.eigvalsh), crooked("eigvalsh", bl.linalg.eigvalsh)],
        rtol=1e-10,
        atol=1e-11,
        low_precision=False,
    ),
    Record(
        op=ops.Pinv,
        reference=each(pseudo_inverse),
        cases=[Case((m,), {"rtol": 1e-15, "atol": 0.0}) for m in OBLONG],
        function=bl.linalg.pinv,
        specials=[
            Special((np.diag([2.0, 0.1]),), np.diag([0.5, 0.0]), None, {"rtol": 0.0, "atol": 0.2}),
            Special((np.diag([2.0, 0.1]),), np.diag([0.5, 0.0]), None, {"rtol": 0.1, "atol": 0.0}),
            Special((np.diag([2.0, 0.0]),), np.diag([0.5, 0.0]), None, {"rtol": 0.0, "atol": 0.0}),
        ],
        bad=[
            Bad(lambda: bl.linalg.pinv(bl.ones(2)), ShapeError,
                r"pinv: x must be matrices in its last two axes, got float32\[2\]"),
        ],
        rtol=1e-9,
        atol=1e-10,
        low_precision=False,
    ),
]  # fmt: skip
