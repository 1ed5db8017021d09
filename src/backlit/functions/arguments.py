"""Arguments made canonical: axes as tuples, shapes as tuples, ops as shared instances."""

from __future__ import annotations

import functools
import operator
from typing import Any

from ..errors import ArgumentError, ShapeError
from ..op import Op
from ..tensor import Tensor


@functools.lru_cache(maxsize=8192, typed=True)
def cached(cls: type[Op], *values: Any) -> Op:
    """The op of a class with the attribute values in their declared order, made once."""
    return cls(**dict(zip(cls.attributes, values, strict=True)))


def number(name: str, x: Any) -> float:
    """A setting as a Python number. No gradient goes to a setting, so none may be wanted."""
    if isinstance(x, Tensor):
        x._require_cut(name, "write the formula with Tensors, or pass item() if none is wanted")
    return float(x)


def one_axis(name: str, axis: Any, ndim: int) -> int:
    """An axis counted from the front, or an error if it lies outside."""
    try:
        a = operator.index(axis)
    except TypeError:
        raise ArgumentError(f"{name}: axis must be an integer, got {axis!r}") from None
    if ndim == 0:
        raise ShapeError(f"{name}: a Tensor of no axes has no axis {a}")
    if not -ndim <= a < ndim:
        raise ShapeError(f"{name}: axis must lie in [-{ndim}, {ndim}) for {ndim} axes, got {a}")
    return a % ndim


def axes(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis, several, or None for all, as a sorted tuple without repetition."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    result = tuple(sorted(one_axis(name, a, ndim) for a in given))
    if len(set(result)) != len(result):
        raise ShapeError(f"{name}: axes must differ, got {axis}")
    return result


def shape_tuple(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as an integer or a sequence, as a tuple of sizes that are not negative."""
    given = shape if isinstance(shape, tuple | list) else (shape,)
    try:
        result = tuple(operator.index(n) for n in given)
    except TypeError:
        raise ArgumentError(f"{name}: a shape is integers, got {shape!r}") from None
    if any(n < 0 for n in result):
        raise ShapeError(f"{name}: sizes must not be negative, got {result}")
    return result
