"""Linear algebra: the extension of the Array API standard, and what PyTorch has beside it.

Matrices are in the last two axes; all axes before them are axes of stacks. Integers become float32
first. LAPACK does the work, through NumPy, also in compiled functions; what can be differentiated
has gradients of any order. A matrix for which there is no result raises an error that says which.

This module is the namespace. `array_api.linear_algebra` has products and norms,
`array_api.decompositions` what users call of inverses and decompositions: it checks, converts and
takes results apart. `ops.decompositions` has the ops with their derivatives, which
`backend.numpy_linalg` computes with LAPACK. `torch.linalg` is all that with PyTorch's arguments;
`dialect.matrices` has what PyTorch calls outside its own `linalg`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import array_api
from .array_api import (
    cross,
    matmul,
    matrix_norm,
    matrix_transpose,
    outer,
    tensordot,
    vecdot,
    vector_norm,
)
from .array_api.arguments import one_axis, sequence
from .array_api.decompositions import (
    cholesky,
    cholesky_solve,
    det,
    eigh,
    eigvalsh,
    inv,
    lstsq,
    matrix_exp,
    matrix_power,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svd,
    svdvals,
)
from .calls import explain
from .errors import ArgumentError, ShapeError
from .op import describe
from .spelling import decomposition
from .tensor import Tensor, as_tensor

__all__ = [
    "cholesky",
    "cholesky_solve",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


def diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """A diagonal of the matrices in the last two axes, as the last axis: (..., M, N) -> (..., K).

    >>> diagonal(as_tensor([[[1, 2], [3, 4]]]))
    Tensor([[1, 4]], shape=(1, 2), dtype=int64)
    """
    return array_api.diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sum of a diagonal of the matrices in the last two axes: (..., M, N) -> (...).

    >>> trace(as_tensor([[[1, 2], [3, 4]]]))
    Tensor([5], shape=(1,), dtype=int64)
    """
    return array_api.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def norm(x: Any, /, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors along one axis, of matrices in two, or of all elements.

    Without `axis`, and with an `ord`, x itself is the vector or the matrix. Without `ord` it is
    √Σ x². See `vector_norm` and `matrix_norm` for what it may be.

    >>> norm(as_tensor([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    Tensor([ 5., 10.], shape=(2,), dtype=float32)
    """
    x = as_tensor(x)
    if axis is None:
        if ord is None:
            return vector_norm(x, keepdims=keepdims)
        if x.ndim not in (1, 2):
            raise ShapeError(
                "norm: with ord and without axis, x must be a vector or a matrix, got "
                f"{describe(x)}"
            )
        axis = tuple(range(x.ndim))
    along = axis if isinstance(axis, tuple | list) else (axis,)
    if len(along) == 1:
        return vector_norm(x, axis=along[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(along) != 2:
        raise ArgumentError(f"norm: axis must be one axis or two, got {axis}")
    rows, columns = (one_axis("norm", a, x.ndim) for a in along)
    if rows == columns:
        raise ShapeError(f"norm: axes must differ, got {axis}")
    y = matrix_norm(
        array_api.moveaxis(x, (rows, columns), (-2, -1)), ord="fro" if ord is None else ord
    )
    return array_api.expand_dims(y, axis=(rows, columns)) if keepdims else y


def multi_dot(tensors: Any, /) -> Tensor:
    """The product of several matrices, in the order that takes the fewest multiplications.

    The first and the last one may be vectors, a row and a column.

    Source: T. Cormen et al., "Introduction to Algorithms", sec. 15.2.

    >>> multi_dot([as_tensor([[1.0, 2.0]]), as_tensor([[3.0], [4.0]]), as_tensor([2.0])])
    Tensor([22.], shape=(1,), dtype=float32)
    """
    given = [as_tensor(x) for x in sequence("multi_dot: the Tensors", tensors)]
    if len(given) < 2:
        raise ArgumentError(f"multi_dot: at least two Tensors are required, got {len(given)}")
    for i, x in enumerate(given):
        inside = 0 < i < len(given) - 1
        if x.ndim != 2 and (inside or x.ndim != 1):
            raise ShapeError(
                "multi_dot: all Tensors must be matrices, the first and the last one perhaps "
                f"vectors, got {describe(x)} for number {i}"
            )
    whole = list(given)
    if given[0].ndim == 1:
        whole[0] = array_api.expand_dims(given[0], axis=0)
    if given[-1].ndim == 1:
        whole[-1] = array_api.expand_dims(given[-1], axis=1)
    y = _product(whole, _cuts([x.shape[0] for x in whole] + [whole[-1].shape[1]]))
    gone = ((0,) if given[0].ndim == 1 else ()) + ((1,) if given[-1].ndim == 1 else ())
    return array_api.squeeze(y, axis=gone)


def _cuts(sizes: list[int]) -> np.ndarray:
    """Where to cut the product of the matrices i to j, so that it takes least."""
    n = len(sizes) - 1
    least, cuts = np.zeros((n, n)), np.zeros((n, n), int)
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            each = [
                least[i, k] + least[k + 1, j] + math.prod((sizes[i], sizes[k + 1], sizes[j + 1]))
                for k in range(i, j)
            ]
            least[i, j] = min(each)
            cuts[i, j] = i + int(np.argmin(each))
    return cuts


def _product(matrices: list[Tensor], cuts: np.ndarray) -> Tensor:
    """The product of all, cut where that is cheapest: innermost pairs first."""
    order = [(0, len(matrices) - 1)]
    made: dict[tuple[int, int], Tensor] = {}
    for i, j in order:  # it grows: each pair before those that it is made of
        if i < j:
            cut = int(cuts[i, j])
            order += [(i, cut), (cut + 1, j)]
    for i, j in reversed(order):
        cut = int(cuts[i, j])
        made[i, j] = matrices[i] if i == j else made[i, cut] @ made[cut + 1, j]
    return made[0, len(matrices) - 1]


if not TYPE_CHECKING:
    __getattr__ = decomposition

explain(__name__, __all__)
