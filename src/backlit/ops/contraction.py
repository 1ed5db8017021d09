"""Contractions: products that sum over a shared index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import DType
from ..errors import DTypeError, ShapeError
from ..op import Op, Shape, describe, describe_inputs


class Matmul(Op):
    """Y = A B, matrices in the last two axes, the others broadcast;  GA = GY Bᵀ, GB = Aᵀ GY.

    Where one B stands for all A, as a layer's weight does, the sum of all Aᵀ GY is one product.
    """

    role = "switcher"
    symbol = "@"
    notation = "{} @ {:-}"
    adds = True
    saves = ("a", "b")
    primitive = True

    def forward(self, xp, a, b):
        return xp.matmul(a, b)

    def backward(self, xp, grad_y, a, b):
        def grad_b():
            if b.ndim > 2 or a.ndim == 2:
                return xp.matmul(a.mT, grad_y)
            count = math.prod(a.shape[:-1])
            rows = xp.reshape(a, (count, a.shape[-1]))
            return xp.matmul(rows.mT, xp.reshape(grad_y, (count, b.shape[-1])))

        return lambda: xp.matmul(grad_y, b.mT), grad_b

    def infer(self, a: Any, b: Any) -> tuple[Shape, DType]:
        """(..., M, K) and (..., K, N) give (..., M, N)."""
        if a.shape[-1] != b.shape[-2]:
            hint = "; did you mean b.mT?" if a.shape[-1] == b.shape[-1] else ""
            raise ShapeError(
                f"matmul: a.shape[-1] must equal b.shape[-2], got {a.shape[-1]} and "
                f"{b.shape[-2]} ({describe_inputs(self, (a, b))}){hint}"
            )
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"matmul: the axes before the matrices must broadcast, got {a.shape[:-2]} and "
                f"{b.shape[:-2]} ({describe_inputs(self, (a, b))})"
            ) from None
        return (*batch, a.shape[-2], b.shape[-1]), a.dtype


class Linear(Op):
    """Y = X Wᵀ + b.

    x: (..., I), weight: (O, I), bias: (O) -> y: (..., O)
    gx = gy W,  gW = gyᵀ x,  gb = Σ gy, each summed over the axes before the last.
    """

    role = "switcher"
    adds = True
    saves = ("x", "weight", "bias.shape")

    @staticmethod
    def check(x, weight, *bias):
        if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
            flat = x.ndim > 2 and math.prod(x.shape[1:]) == weight.shape[1]
            cure = "; put nn.Flatten() in front, or x.reshape((len(x), -1))" if flat else ""
            raise ShapeError(
                f"linear: x.shape[-1] must equal in_features, got "
                f"{x.shape[-1] if x.ndim else 'a scalar'} and {weight.shape[1]} "
                f"(x: {describe(x)}, weight: {describe(weight)}){cure}"
            )
        if x.dtype != weight.dtype:
            raise DTypeError(
                f"linear: x and weight must have one dtype, got x: {describe(x)} and "
                f"weight: {describe(weight)}; use x.astype('{weight.dtype.name}')"
            )

    def forward(self, xp, x, weight, *bias):
        y = xp.matmul(x, weight.mT)
        return y + bias[0] if bias else y

    def backward(self, xp, grad_y, x, weight, bias):
        def grad_weight():
            rows = xp.reshape(grad_y, (-1, weight.shape[0]))
            return xp.matmul(rows.mT, xp.reshape(x, (-1, weight.shape[1])))

        return lambda: xp.matmul(grad_y, weight), grad_weight, *[grad_y for _ in bias]
