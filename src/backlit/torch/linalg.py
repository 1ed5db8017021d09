"""`torch.linalg`: Backlit's linear algebra with PyTorch's arguments."""

from __future__ import annotations

from typing import Any

from .. import array_api as ours
from ..tensor import Tensor, as_tensor
from .mirror import mirrored, names


def norm(
    A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of vectors or matrices: of all elements the 2-norm, where nothing else is said."""
    A = as_tensor(A) if dtype is None else as_tensor(A).astype(dtype)
    if ord is None:
        return ours.vector_norm(A, axis=dim, keepdims=keepdim)
    if isinstance(dim, int) or (dim is None and A.ndim == 1):
        return ours.vector_norm(A, axis=dim, keepdims=keepdim, ord=ord)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim)


def vector_norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(Σ |x|ᵖ)^(1/p) over the axes."""
    x = as_tensor(x) if dtype is None else as_tensor(x).astype(dtype)
    return ours.vector_norm(x, axis=dim, keepdims=keepdim, ord=ord)


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of the matrices in two axes."""
    A = as_tensor(A) if dtype is None else as_tensor(A).astype(dtype)
    moved = ours.moveaxis(A, tuple(dim), (-2, -1))
    y = ours.matrix_norm(moved, keepdims=keepdim, ord=ord)
    return ours.moveaxis(y, (-2, -1), tuple(dim)) if keepdim else y


__getattr__ = mirrored("torch.linalg")


def __dir__() -> list[str]:
    return names(__name__)
