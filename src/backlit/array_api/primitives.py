"""The functions of the op-body namespace that users reach under other names."""

from __future__ import annotations

from typing import Any

from ..dtypes import FLOATING
from ..ops import convolution as products
from ..ops import creation, decompositions, indexing, movement, pooling, ranking, special
from ..tensor import Tensor, apply
from . import elementwise
from .arguments import cached


def slice(x: Tensor, index: tuple[Any, ...]) -> Tensor:
    """x[index], basic indexing."""
    return apply(cached(movement.Slice, index), x)


def place(x: Tensor, index: tuple[Any, ...], shape: tuple[int, ...]) -> Tensor:
    """Zeros with x at the index."""
    return apply(cached(movement.Place, index, shape), x)


def gather(x: Tensor, *indices: Any, pattern: tuple[Any, ...]) -> Tensor:
    """x at index arrays."""
    return apply(cached(indexing.Gather, pattern), x, *indices)


def scatter_add(
    x: Tensor, *indices: Any, pattern: tuple[Any, ...], shape: tuple[int, ...]
) -> Tensor:
    """Zeros with x added at index arrays."""
    return apply(cached(indexing.ScatterAdd, pattern, shape), x, *indices)


def set_slice(x: Tensor, value: Any, index: tuple[Any, ...]) -> Tensor:
    """x with the value at the index."""
    return apply(cached(movement.SetSlice, index), x, value)


def set_items(x: Tensor, value: Any, *indices: Any, pattern: tuple[Any, ...]) -> Tensor:
    """x with the value at index arrays."""
    return apply(cached(indexing.SetItems, pattern), x, value, *indices)


def scatter_extreme(
    x: Tensor, source: Any, *indices: Any, pattern: tuple[Any, ...], largest: bool
) -> Tensor:
    """x with each place at least, or at most, what the source has for it."""
    return apply(cached(indexing.ScatterExtreme, pattern, largest), x, source, *indices)


def scatter_prod(x: Tensor, source: Any, *indices: Any, pattern: tuple[Any, ...]) -> Tensor:
    """x with each place multiplied by what the source has for it."""
    return apply(cached(indexing.ScatterProd, pattern), x, source, *indices)


def take_add(x: Tensor, indices: Any, axis: int, size: int) -> Tensor:
    """Zeros with the slices of x added at indices."""
    return apply(cached(indexing.TakeAdd, axis, size), x, indices)


def put_along_axis_add(x: Tensor, indices: Any, axis: int, size: int) -> Tensor:
    """Zeros with x added along an axis."""
    return apply(cached(indexing.PutAlongAxisAdd, axis, size), x, indices)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, else b; decided at once if a number, not a Tensor, was asked."""
    if isinstance(condition, bool):
        chosen, other = (a, b) if condition else (b, a)
        if (
            isinstance(chosen, Tensor)
            and chosen.dtype in FLOATING
            and not isinstance(other, Tensor)
        ):
            return chosen
    return elementwise.where(condition, a, b)


def arange(start: float, count: int, step: float, dtype: Any) -> Tensor:
    """start + i step for i < count."""
    return apply(cached(creation.Arange, start, count, step, dtype))


def argtop(x: Tensor, axis: int, k: int, largest: bool) -> Tensor:
    """The places of the k largest or smallest elements, in order."""
    return apply(cached(ranking.Argtop, axis, k, largest), x)


def argkth(x: Tensor, axis: int, k: int) -> Tensor:
    """The place of the element of rank k."""
    return apply(cached(ranking.Argkth, axis, k), x)


def argrunning(x: Tensor, axis: int, largest: bool) -> Tensor:
    """The place of the largest or smallest element so far."""
    return apply(cached(ranking.Argrunning, axis, largest), x)


def searchsorted(row: Tensor, x: Tensor, side: str) -> Tensor:
    """How many elements of a sorted row are smaller, or not larger."""
    return apply(cached(ranking.Searchsorted, side), row, x)


def polygamma(x: Tensor, n: int) -> Tensor:
    """The n-th derivative of the digamma function."""
    return apply(cached(special.Polygamma, n), x)


def random_bits(key: Tensor, counter: Tensor, shape: tuple[int, ...]) -> Tensor:
    """uint32 random bits."""
    return apply(cached(creation.RandomBits, shape), key, counter)


def random_poisson(key: Tensor, counter: Tensor, mean: Tensor) -> Tensor:
    """Poisson distributed numbers."""
    return apply(cached(creation.RandomPoisson), key, counter, mean)


def convolution(x: Tensor, weight: Tensor, *geometry: Any) -> Tensor:
    """An image times a kernel: the output."""
    return apply(cached(products.Convolution, *geometry), x, weight)


def convolution_input(y: Tensor, weight: Tensor, *geometry: Any) -> Tensor:
    """An output times a kernel: the image."""
    return apply(cached(products.ConvolutionInput, *geometry), y, weight)


def convolution_weight(y: Tensor, x: Tensor, *geometry: Any) -> Tensor:
    """An output times an image: the kernel."""
    return apply(cached(products.ConvolutionWeight, *geometry), y, x)


def max_pool(x: Tensor, *windows: Any) -> Tensor:
    """The largest element of each window."""
    return apply(cached(pooling.MaxPool, *windows), x)


def max_pool_route(y: Tensor, x: Tensor, *windows: Any) -> Tensor:
    """y added at the place of each window's largest element."""
    return apply(cached(pooling.MaxPoolRoute, *windows), y, x)


def max_pool_pick(values: Tensor, x: Tensor, *windows: Any) -> Tensor:
    """The values at the place of each window's largest element."""
    return apply(cached(pooling.MaxPoolPick, *windows), values, x)


def window_sum(x: Tensor, *windows: Any) -> Tensor:
    """The sum of each window."""
    return apply(cached(pooling.WindowSum, *windows), x)


def window_spread(y: Tensor, *windows: Any) -> Tensor:
    """y added at every place of its window."""
    return apply(cached(pooling.WindowSpread, *windows), y)


def inv(x: Tensor) -> Tensor:
    """The inverse."""
    return apply(cached(decompositions.Inv), x)


def solve(a: Tensor, b: Tensor) -> Tensor:
    """The inverse of a times b, matrices."""
    return apply(cached(decompositions.Solve), a, b)


def det(x: Tensor) -> Tensor:
    """The determinant."""
    return apply(cached(decompositions.Det), x)


def cofactor(x: Tensor) -> Tensor:
    """The derivatives of the determinant."""
    return apply(cached(decompositions.Cofactor), x)


def slogdet(x: Tensor) -> Tensor:
    """The sign and the logarithm of the determinant, packed."""
    return apply(cached(decompositions.Slogdet), x)


def cholesky(x: Tensor) -> Tensor:
    """The lower factor of Cholesky."""
    return apply(cached(decompositions.Cholesky), x)


def qr(x: Tensor, full: bool) -> Tensor:
    """Q and R, packed."""
    return apply(cached(decompositions.Qr, full), x)


def svd(x: Tensor, full: bool) -> Tensor:
    """U, s and Vᵀ, packed."""
    return apply(cached(decompositions.Svd, full), x)


def svdvals(x: Tensor) -> Tensor:
    """The singular values."""
    return apply(cached(decompositions.Svdvals), x)


def eigh(x: Tensor) -> Tensor:
    """Eigenvalues and eigenvectors, packed."""
    return apply(cached(decompositions.Eigh), x)


def eigvalsh(x: Tensor) -> Tensor:
    """The eigenvalues."""
    return apply(cached(decompositions.Eigvalsh), x)


def pinv(x: Tensor, rtol: float, atol: float) -> Tensor:
    """The pseudo-inverse."""
    return apply(cached(decompositions.Pinv, rtol, atol), x)
