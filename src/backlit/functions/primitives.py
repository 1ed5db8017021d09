"""The functions of the op-body namespace that users reach under other names."""

from __future__ import annotations

from typing import Any

from ..dtypes import FLOATING
from ..ops import creation, indexing, movement
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


def random_bits(key: Tensor, counter: Tensor, shape: tuple[int, ...]) -> Tensor:
    """uint32 random bits."""
    return apply(cached(creation.RandomBits, shape), key, counter)
