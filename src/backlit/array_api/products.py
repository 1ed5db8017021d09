"""Products under PyTorch's names, added to something or not; distances."""

from __future__ import annotations

from typing import Any

from ..backend.halves import as_one_op
from ..dtypes import FLOATING, result_type
from ..errors import ArgumentError, DTypeError, ShapeError
from ..op import describe
from ..precision import as_given, in_16_bits, in_float32
from ..promotion import floating
from ..tensor import Tensor, as_tensor
from .arguments import number, one_axis
from .elementwise import sqrt, where
from .linear_algebra import matmul, vector_norm
from .manipulation import broadcast_to, expand_dims
from .reductions import mean, sum

__all__ = [
    "addbmm",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "cdist",
    "dot",
    "mm",
    "mv",
    "renorm",
]

_WORDS = {1: "a vector", 2: "a matrix", 3: "a stack of matrices"}


def _of_axes(name: str, a: Any, b: Any, axes_a: int, axes_b: int) -> tuple[Tensor, Tensor]:
    """Two Tensors with so many axes each."""
    a, b = as_tensor(a), as_tensor(b)
    if (a.ndim, b.ndim) != (axes_a, axes_b):
        raise ShapeError(
            f"{name}: x1 must be {_WORDS[axes_a]} and x2 {_WORDS[axes_b]}, got x1: {describe(a)} "
            f"and x2: {describe(b)}; matmul takes any"
        )
    return a, b


def mm(x1: Any, x2: Any) -> Tensor:
    """The product of two matrices;  see `matmul`.

    >>> mm(as_tensor([[1.0, 2.0]]), as_tensor([[3.0], [4.0]]))
    Tensor([[11.]], shape=(1, 1), dtype=float32)
    """
    return matmul(*_of_axes("mm", x1, x2, 2, 2))


def bmm(x1: Any, x2: Any) -> Tensor:
    """The products of two stacks of as many matrices: (B, M, K) and (B, K, N) give (B, M, N).

    >>> bmm(as_tensor([[[1.0, 2.0]]]), as_tensor([[[3.0], [4.0]]])).shape
    (1, 1, 1)
    """
    a, b = _of_axes("bmm", x1, x2, 3, 3)
    if a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"bmm: both stacks must have as many matrices, got x1: {describe(a)} and "
            f"x2: {describe(b)}; matmul broadcasts"
        )
    return matmul(a, b)


@as_given
def mv(x1: Any, x2: Any) -> Tensor:
    """The product of a matrix and a vector;  see `matmul`.

    >>> mv(as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]))
    Tensor([11.], shape=(1,), dtype=float32)
    """
    return matmul(*_of_axes("mv", x1, x2, 2, 1))


@as_given
def dot(x1: Any, x2: Any) -> Tensor:
    """y = Σ x1ᵢ x2ᵢ of two vectors.

    >>> dot(as_tensor([1.0, 2.0]), as_tensor([3.0, 4.0]))
    Tensor(11., shape=(), dtype=float32)
    """
    return matmul(*_of_axes("dot", x1, x2, 1, 1))


def _added(name: str, x: Any, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta x + alpha product; with beta = 0, x is not looked at."""
    x = as_tensor(x)
    dtype = result_type(x, product)
    if dtype not in FLOATING and not isinstance(beta + alpha, int):
        raise DTypeError(
            f"{name}: beta and alpha must be integers for {dtype.name}, got {beta} and {alpha}; "
            "use x.astype('float32')"
        )
    if alpha != 1:
        product = product * alpha
    # x fits if it broadcasts to the product.
    x = broadcast_to(x, product.shape)
    if beta == 0:
        return product.astype(dtype)
    return (x if beta == 1 else x * beta) + product


@in_16_bits
@as_one_op
def addmm(x: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """y = beta x + alpha mat1 mat2, of matrices.

    >>> addmm(as_tensor([1.0]), as_tensor([[1.0, 2.0]]), as_tensor([[3.0], [4.0]]))
    Tensor([[12.]], shape=(1, 1), dtype=float32)
    """
    return _added("addmm", x, matmul(*_of_axes("addmm", mat1, mat2, 2, 2)), beta, alpha)


@as_given
@as_one_op
def addmv(x: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """y = beta x + alpha mat vec, of a matrix and a vector."""
    return _added("addmv", x, matmul(*_of_axes("addmv", mat, vec, 2, 1)), beta, alpha)


@as_one_op
def addr(x: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """y = beta x + alpha vec1 vec2ᵀ, of two vectors."""
    a, b = _of_axes("addr", vec1, vec2, 1, 1)
    return _added("addr", x, expand_dims(a, axis=1) * b, beta, alpha)


@in_16_bits
@as_one_op
def baddbmm(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """y = beta x + alpha batch1 batch2, of stacks of as many matrices."""
    _of_axes("baddbmm", batch1, batch2, 3, 3)
    return _added("baddbmm", x, bmm(batch1, batch2), beta, alpha)


@in_16_bits
@as_one_op
def addbmm(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """y = beta x + alpha Σ batch1ᵢ batch2ᵢ, over two stacks of as many matrices."""
    _of_axes("addbmm", batch1, batch2, 3, 3)
    product = bmm(batch1, batch2)
    return _added("addbmm", x, sum(product, axis=0, dtype=product.dtype), beta, alpha)


@as_one_op
def addcmul(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """y = x + value tensor1 tensor2, broadcast together.

    >>> addcmul(as_tensor([1.0]), as_tensor([2.0]), as_tensor([3.0]), value=10)
    Tensor([61.], shape=(1,), dtype=float32)
    """
    product = as_tensor(tensor1) * as_tensor(tensor2)
    return as_tensor(x) + (product if value == 1 else product * value)


@as_one_op
def addcdiv(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """y = x + value tensor1 / tensor2, broadcast together.

    >>> addcdiv(as_tensor([1.0]), as_tensor([6.0]), as_tensor([3.0]), value=10)
    Tensor([21.], shape=(1,), dtype=float32)
    """
    quotient = as_tensor(tensor1) / as_tensor(tensor2)
    return as_tensor(x) + (quotient if value == 1 else quotient * value)


@in_float32
@as_one_op
def cdist(x1: Any, x2: Any, p: float = 2.0) -> Tensor:
    """yᵢⱼ = ‖x1ᵢ - x2ⱼ‖ₚ for each row of x1 and each of x2, (..., P, R) for P and R rows.

    The differences are formed one by one, so that near points cost no digits; but from 25 rows on,
    for p = 2, as √(‖a‖² + ‖b‖² - 2 a · b), as in PyTorch: of points that are much nearer to each
    other than to the middle of x2 only some digits are right. The gradient of distance 0 is 0.

    >>> cdist(as_tensor([[0.0, 0.0]]), as_tensor([[3.0, 4.0], [0.0, 1.0]]))
    Tensor([[5., 1.]], shape=(1, 2), dtype=float32)
    """
    x1, x2 = floating(as_tensor(x1)), floating(as_tensor(x2))
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"cdist: both must be rows of as many numbers, got x1: {describe(x1)} and "
            f"x2: {describe(x2)}"
        )
    if number("cdist: p", p) < 0:
        raise ArgumentError(f"cdist: p must not be negative, got {p}")
    if p == 2 and (x1.shape[-2] > 25 or x2.shape[-2] > 25) and x1.size and x2.size:
        return _euclidean(x1, x2)
    apart = expand_dims(x1, axis=-2) - expand_dims(x2, axis=-3)
    return vector_norm(apart, axis=-1, ord=p)


def _euclidean(x1: Tensor, x2: Tensor) -> Tensor:
    """The same for p = 2 by a matrix product."""
    middle = mean(x2.detach(), axis=-2, keepdims=True)
    a, b = x1 - middle, x2 - middle
    squares = sum(a * a, axis=-1, keepdims=True) + sum(b * b, axis=-1, keepdims=True).mT
    squares = squares - 2 * matmul(a, b.mT)
    apart = squares > 0
    return where(apart, sqrt(where(apart, squares, 1.0)), 0.0)


@as_one_op
def renorm(x: Any, p: float, axis: int, maxnorm: float) -> Tensor:
    """Each slice along an axis scaled down to a p-norm of `maxnorm`, where it is larger.

    >>> renorm(as_tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    Tensor([[0.6, 0.8],
            [0.3, 0.4]], shape=(2, 2), dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype not in FLOATING:
        raise DTypeError(f"renorm: x must be floating, got {describe(x)}; use astype('float32')")
    if x.ndim < 2:
        raise ShapeError(f"renorm: x must have at least 2 axes, got {describe(x)}")
    if number("renorm: p", p) <= 0 or number("renorm: maxnorm", maxnorm) < 0:
        raise ArgumentError(
            f"renorm: p must be positive and maxnorm not negative, got {p} and {maxnorm}"
        )
    own = one_axis("renorm", axis, x.ndim)
    others = tuple(a for a in range(x.ndim) if a != own)
    size = vector_norm(x, axis=others, keepdims=True, ord=p)
    large = size > maxnorm
    return x * where(large, maxnorm / (where(large, size, 1.0) + 1e-7), 1.0)
