"""Matrices with orthonormal columns (or rows, if those are fewer), as functions of free numbers."""

from __future__ import annotations

import math

import numpy as np

from ...array_api import asarray, concat, eye, matmul, tril, zeros
from ...array_api import sum as total
from ...autograd import no_grad
from ...errors import ArgumentError, ShapeError
from ...linalg import solve
from ...op import describe
from ...random import default_generator
from ...tensor import Tensor
from ..module import Module

MAPS = ("matrix_exp", "cayley", "householder")
#: The exponential is that of A / 2^6, by its series, squared six times.
_SQUARINGS, _TERMS = 6, 12


def exponential(a: Tensor) -> Tensor:
    """exp A of square matrices whose norm is below 2^6, which those of rotations are.

    Source: Golub & Van Loan, Matrix Computations, 4th ed. (2013), sec. 9.3.
    """
    scaled = a / 2.0**_SQUARINGS
    identity = eye(a.shape[-1], dtype=a.dtype)
    result = identity + scaled / _TERMS
    for k in range(_TERMS - 1, 0, -1):
        result = identity + matmul(scaled, result) / k
    for _ in range(_SQUARINGS):
        result = matmul(result, result)
    return result


def cayley(a: Tensor) -> Tensor:
    """(I - A/2)⁻¹ (I + A/2)."""
    identity = eye(a.shape[-1], dtype=a.dtype)
    return solve(identity - a / 2, identity + a / 2)


def reflections(x: Tensor) -> Tensor:
    """The first columns of the product of reflections I - τ v vᵀ, v the columns below 1s."""
    rows, columns = x.shape[-2:]
    below = tril(x, k=-1)
    tau = 2 / (1 + total(below * below, axis=-2))
    v = below + eye(rows, columns, dtype=x.dtype)
    q = eye(rows, columns, dtype=x.dtype)
    for i in reversed(range(columns)):
        column = v[..., :, i : i + 1]
        q = q - matmul(column * tau[..., None, i : i + 1], matmul(column.mT, q))
    return q


def orthonormal(a: np.ndarray) -> np.ndarray:
    """The Q of A = Q R whose R has no number below 0 on its diagonal."""
    q, r = np.linalg.qr(a)
    sign = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    return q * np.where(sign == 0, 1, sign)[..., None, :]


class Orthogonal(Module):
    """The parametrization: base times the map of a free matrix."""

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True):
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        """The matrix."""
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        rows, columns = x.shape[-2:]
        if self.orthogonal_map == "householder":
            q = reflections(x)
            diagonal = total(x.detach() * eye(rows, columns, dtype=x.dtype), axis=-2, keepdims=True)
            q = q * diagonal.astype("int64").astype(x.dtype)
        else:
            x = tril(x)
            if rows != columns:
                empty = zeros((*x.shape[:-1], rows - columns), dtype=x.dtype)
                x = concat((x, empty), axis=-1)
            skew = x - x.mT
            q = exponential(skew) if self.orthogonal_map == "matrix_exp" else cayley(skew)
            q = q[..., :columns]
        if self.use_trivialization:
            q = matmul(self.base, q)
        return q.mT if wide else q

    @no_grad()
    def right_inverse(self, value: Tensor) -> Tensor:
        """The free matrix for which the result is a given one, made orthonormal."""
        if value.shape != self.shape:
            raise ShapeError(
                f"orthogonal: the value must have shape {self.shape}, got {describe(value)}"
            )
        wide = value.shape[-2] < value.shape[-1]
        q = np.array((value.mT if wide else value).numpy())
        rows, columns = q.shape[-2:]
        if not self.use_trivialization:
            return self._reflected(q, wide)
        if rows != columns:
            draw = default_generator().normal((*q.shape[:-1], rows - columns), dtype=q.dtype)
            q = np.concatenate([q, draw.numpy()], axis=-1)
        identity = np.eye(rows, dtype=q.dtype)
        near = math.sqrt(np.finfo(q.dtype).eps) / 10
        if not np.allclose(np.swapaxes(q, -1, -2) @ q, identity, atol=near):
            q = orthonormal(q)
        self.register_buffer("base", asarray(q))
        start = -np.broadcast_to(np.eye(*self.shape[-2:], dtype=q.dtype), self.shape)
        return asarray(start.copy())

    def _reflected(self, q: np.ndarray, wide: bool) -> Tensor:
        """Reflections whose product is Q of a matrix."""
        if self.orthogonal_map != "householder":
            raise ArgumentError(
                f"orthogonal: {self.orthogonal_map} cannot be set with use_trivialization=False; "
                "use the map householder"
            )
        raw, tau = np.linalg.qr(q, mode="raw")
        x = np.swapaxes(raw, -1, -2).copy()
        i = np.arange(q.shape[-1])
        x[..., i, i] = np.where(tau == 0, -1, 1) * np.sign(x[..., i, i])
        return asarray(np.swapaxes(x, -1, -2).copy() if wide else x)


__all__ = ["Orthogonal"]
