"""Lengths, distances and angles of vectors along one axis, and products of two vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array_api import broadcast_to, clip, einsum, maximum, sum, vector_norm
from ...array_api.arguments import along, number, one_axis
from ...backend.halves import as_one_op
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...precision import as_given, in_float32
from ...promotion import floating, promoted
from ...state import where_called
from ...tensor import Tensor
from .common import given


def at_least(x: Tensor, least: float) -> Tensor:
    """x where it is larger than `least`, else that; the derivative is 1 everywhere."""
    return x + (maximum(x, least) - x).detach()


def _alike(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """Both with one floating dtype, and the shape to which they broadcast."""
    a, b = promoted(floating(given(x1)), floating(given(x2)))
    try:
        return a, b, np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(
            f"{name}: x1 and x2 must broadcast, got {describe(a)} and {describe(b)}{where_called()}"
        ) from None


@as_one_op
def normalize(
    input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None
) -> Tensor:
    """Vectors along an axis divided by their length: y = x / max(‖x‖_p, ε).

    >>> from backlit import tensor
    >>> normalize(tensor([[0.0, 4.0]])).tolist()
    [[0.0, 1.0]]
    """
    if out is not None:
        raise ArgumentError("normalize: out must be None, because results are new Tensors")
    axis, lone, x = along("normalize", dim, floating(given(input)))
    length = vector_norm(x, axis=axis, keepdims=True, ord=number("normalize: p", p))
    y = x / clip(length, number("normalize: eps", eps))
    return y.reshape(()) if lone else y


@as_one_op
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors: x₁·x₂ / (max(‖x₁‖, ε) max(‖x₂‖, ε)).

        x1, x2: (..., D, ...) that broadcast, D on the axis `dim` -> (..., ...)

    >>> from backlit import tensor
    >>> cosine_similarity(tensor([[1.0, 0.0]]), tensor([[2.0, 2.0]]))
    Tensor([0.7071], shape=(1,), dtype=float32)
    """
    a, b, shape = _alike("cosine_similarity", x1, x2)
    if not shape:
        a, b, shape = a.reshape((1,)), b.reshape((1,)), (1,)
    axis = one_axis("cosine_similarity", dim, len(shape))
    least = number("cosine_similarity: eps", eps)

    def unit(x: Tensor) -> Tensor:
        """Vectors of length 1, with as many elements as those of the other one."""
        own = (1,) * (len(shape) - x.ndim) + x.shape
        x = broadcast_to(x, (*own[:axis], shape[axis], *own[axis + 1 :]))
        return x / at_least(vector_norm(x, axis=axis, keepdims=True), least)

    return sum(unit(a) * unit(b), axis=axis)


@as_one_op
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """‖x₁ - x₂ + ε‖_p along the last axis; ε keeps the derivative finite where they are equal.

        x1, x2: (N, D) or (D) that broadcast -> (N) or ()

    >>> from backlit import tensor
    >>> pairwise_distance(tensor([[0.0, 0.0]]), tensor([[3.0, 4.0]]))
    Tensor([5.], shape=(1,), dtype=float32)
    """
    a, b, shape = _alike("pairwise_distance", x1, x2)
    if not shape:
        raise ShapeError(
            f"pairwise_distance: x1 and x2 must have an axis, got {describe(a)} and {describe(b)}"
            f"{where_called()}"
        )
    difference = a - b + number("pairwise_distance: eps", eps)
    order = number("pairwise_distance: p", p)
    return vector_norm(difference, axis=-1, keepdims=keepdim, ord=order)


@in_float32
@as_one_op
def pdist(input: Any, p: float = 2.0) -> Tensor:
    """The distances ‖x_i - x_j‖_p of all pairs of rows i < j, row after row.

        x: (N, D) -> (N (N - 1) / 2)

    >>> from backlit import tensor
    >>> pdist(tensor([[0.0], [1.0], [3.0]])).tolist()
    [1.0, 3.0, 2.0]
    """
    x = floating(given(input))
    order = number("pdist: p", p)
    if x.ndim != 2 or not order >= 0:
        raise ArgumentError(
            f"pdist: x must have shape (N, D) and p must not be negative, got {describe(x)} and "
            f"{p}{where_called()}"
        )
    first, second = np.triu_indices(x.shape[0], 1)
    return vector_norm(x[first] - x[second], axis=-1, ord=order)


@as_given
@as_one_op
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """y_o = x₁ᵀ W_o x₂ + b_o.

        x1: (..., I), x2: (..., J), weight: (O, I, J), bias: (O) -> (..., O)

    >>> from backlit import tensor
    >>> bilinear(tensor([1.0, 2.0]), tensor([3.0]), tensor([[[1.0], [10.0]]])).tolist()
    [63.0]
    """
    a, b, w = given(input1), given(input2), given(weight)
    fits = a.ndim > 0 and b.ndim > 0 and a.shape[:-1] == b.shape[:-1]
    if not fits or w.ndim != 3 or w.shape[1:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(
            f"bilinear: x1 must have shape (..., I), x2 (..., J) and weight (O, I, J), got "
            f"{describe(a)}, {describe(b)} and {describe(w)}{where_called()}"
        )
    rows = a.shape[:-1]
    y = einsum("ni,oij,nj->no", a.reshape((-1, a.shape[-1])), w, b.reshape((-1, b.shape[-1])))
    y = y.reshape((*rows, w.shape[0]))
    return y if bias is None else y + given(bias)
