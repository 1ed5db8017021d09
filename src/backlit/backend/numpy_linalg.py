"""Linear algebra in NumPy, which calls LAPACK: matrices in the last two axes, any axes before them.

What has several results gives them in one array: each is laid out as a row, one after the other
along the last axis. The meaning of each function is that of the op in `ops.decompositions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError

_SINGULAR = ("must be invertible, got a singular matrix", "use linalg.pinv or linalg.lstsq")
_INDEFINITE = (
    "must be positive definite, got a matrix that is not",
    "add a small multiple of eye(n)",
)
_NONFINITE = ("must be finite, got a matrix for which LAPACK found no end", "look for NaN")


def _lapack(name: str, words: tuple[str, str], function: Callable[..., Any], *args: Any) -> Any:
    """What a function of matrices gives, or the error that says which of them is wrong.

    `name` begins it and names the argument, as "solve: a".
    """
    try:
        return function(*args)
    except np.linalg.LinAlgError:
        condition, cure = words
        where = _first_failing(function, args)
        raise ArgumentError(f"{name} {condition}{where}; {cure}") from None


def _first_failing(function: Callable[..., Any], args: tuple[np.ndarray, ...]) -> str:
    """Where in a stack the first matrix is for which LAPACK fails."""
    lead = np.broadcast_shapes(*[x.shape[:-2] for x in args])
    spread = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in args]
    for place in np.ndindex(lead):
        try:
            function(*[x[place] for x in spread])
        except np.linalg.LinAlgError:
            return f" at {list(place)}" if lead else ""
    return ""


def _packed(*parts: np.ndarray, axes: int = 2) -> np.ndarray:
    """Results side by side; the matrices are in so many last axes of the first one."""
    lead = parts[0].shape[: parts[0].ndim - axes]
    rows = [p.reshape(*lead, math.prod(p.shape[len(lead) :])) for p in parts]
    return np.concatenate(rows, axis=-1)


def inv(x: np.ndarray) -> np.ndarray:
    return _lapack("inv: x", _SINGULAR, np.linalg.inv, x)


def solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _lapack("solve: a", _SINGULAR, np.linalg.solve, a, b)


def det(x: np.ndarray) -> np.ndarray:
    return np.linalg.det(x)


def cofactor(x: np.ndarray) -> np.ndarray:
    """det(U Vᵀ) U diag(Π_{j≠i} sⱼ) Vᵀ, which needs no inverse."""
    u, s, v = _lapack("cofactor: x", _NONFINITE, np.linalg.svd, x)
    others = np.ones_like(s)
    others[..., 1:] *= np.cumprod(s, -1)[..., :-1]
    others[..., :-1] *= np.cumprod(s[..., ::-1], -1)[..., -2::-1]
    turn = np.rint(np.linalg.det(u) * np.linalg.det(v))[..., None, None]
    return (turn * (u * others[..., None, :]) @ v).astype(x.dtype, copy=False)


def slogdet(x: np.ndarray) -> np.ndarray:
    return np.stack(np.linalg.slogdet(x), axis=-1)


def _symmetric(x: np.ndarray) -> np.ndarray:
    return x / 2 + x.mT / 2


def cholesky(x: np.ndarray) -> np.ndarray:
    return _lapack("cholesky: x", _INDEFINITE, np.linalg.cholesky, _symmetric(x))


def qr(x: np.ndarray, full: bool) -> np.ndarray:
    return _packed(*np.linalg.qr(x, "complete" if full else "reduced"))


def svd(x: np.ndarray, full: bool) -> np.ndarray:
    return _packed(*_lapack("svd: x", _NONFINITE, lambda y: np.linalg.svd(y, full), x))


def svdvals(x: np.ndarray) -> np.ndarray:
    return _lapack("svdvals: x", _NONFINITE, np.linalg.svdvals, x)


def eigh(x: np.ndarray) -> np.ndarray:
    return _packed(*_lapack("eigh: x", _NONFINITE, np.linalg.eigh, _symmetric(x)), axes=1)


def eigvalsh(x: np.ndarray) -> np.ndarray:
    return _lapack("eigvalsh: x", _NONFINITE, np.linalg.eigvalsh, _symmetric(x))


def pinv(x: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    u, s, v = _lapack("pinv: x", _NONFINITE, lambda y: np.linalg.svd(y, False), x)
    large = (s > rtol * np.max(s, axis=-1, keepdims=True, initial=0)) & (s > atol)
    inverse = np.where(large, 1 / np.where(large, s, 1), 0).astype(x.dtype)
    return (v.mT * inverse[..., None, :]) @ u.mT


__all__ = [
    "cholesky",
    "cofactor",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
]
