"""`torch.linalg`: Backlit's linear algebra with PyTorch's arguments."""

from __future__ import annotations

from typing import Any

from .. import array_api as _array_api
from .. import linalg as _ours
from ..calls import explain as _explain
from ..dialect.matrices import (
    cholesky_ex,
    inv_ex,
    lstsq,
    matrix_rank,
    pinv,
    solve,
    solve_ex,
)
from ..dialect.matrices import powers as vander
from ..dialect.matrices import symmetric as _symmetric
from ..dialect.table import LINALG as _LINALG
from ..dialect.translate import listed as _listed
from ..dialect.translate import translated as _translated
from ..precision import in_16_bits
from ..tensor import Tensor, as_tensor
from .mirror import mirrored as _mirrored
from .mirror import names as _names

globals().update(
    {line.name: _translated(line, getattr(_ours, line.target)) for line in _listed(_LINALG)}
)
for _line in _listed(_LINALG):
    # Where pickle finds it: several of these are not the functions of their names in `torch`.
    _made = globals()[_line.name]
    _made.__module__, _made.__qualname__ = __package__, f"linalg.{_line.name}"


def _cast(x: Any, dtype: Any) -> Tensor:
    return as_tensor(x) if dtype is None else as_tensor(x).astype(dtype)


def norm(
    A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of vectors or matrices: of all elements the 2-norm, where nothing else is said."""
    return _ours.norm(_cast(A, dtype), ord, dim, keepdim)


def vector_norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(Σ |x|ᵖ)^(1/p) over the axes."""
    x = _cast(x, dtype)
    single = not x.ndim and dim in (0, -1, (0,), (-1,), [0], [-1])  # an axis that it has not
    axis = None if single or dim == () else tuple(dim) if isinstance(dim, list) else dim
    return _ours.vector_norm(x, axis=axis, keepdims=keepdim, ord=ord)


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of the matrices in two axes."""
    x = _array_api.moveaxis(_cast(A, dtype), tuple(dim), (-2, -1))
    y = _ours.matrix_norm(x, keepdims=keepdim, ord=ord)
    return _array_api.moveaxis(y, (-2, -1), tuple(dim)) if keepdim else y


def eigh(A: Any, UPLO: str = "L") -> Any:
    """The eigenvalues and eigenvectors of symmetric matrices."""
    return _ours.eigh(_symmetric("eigh", A, UPLO))


def eigvalsh(A: Any, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices."""
    return _ours.eigvalsh(_symmetric("eigvalsh", A, UPLO))


@in_16_bits
def vecdot(x: Any, y: Any, *, dim: int = -1) -> Tensor:
    """Σ x y along an axis, the others broadcast."""
    return _array_api.sum(_array_api.multiply(x, y), axis=dim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices in two axes."""
    return _array_api.diagonal(A, offset, dim1, dim2)


def cond(A: Any) -> Tensor:
    """The largest singular value over the smallest."""
    values = _ours.svdvals(A)
    return values[..., 0] / values[..., -1]


__getattr__ = _mirrored("torch.linalg")


def __dir__() -> list[str]:
    return _names(__name__)


_explain(__name__, _names(__name__))
