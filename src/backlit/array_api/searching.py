"""Sorting, searching and sets: order, places, and which different values there are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..dtypes import result_type
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..ops import ranking
from ..ops import reductions as ops
from ..tensor import Tensor, apply, as_tensor, wrap
from .arguments import cached, one_axis
from .creation import zeros
from .elementwise import clip, logical_not
from .indexing import take, take_along_axis

__all__ = [
    "argsort",
    "bucketize",
    "isin",
    "nonzero",
    "searchsorted",
    "sort",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The order of the elements along an axis; always stable.

    >>> argsort(as_tensor([3, 1, 2]))
    Tensor([1, 2, 0], shape=(3,), dtype=int64)
    """
    x = as_tensor(x)
    return apply(cached(ops.Argsort, one_axis("argsort", axis, x.ndim), descending), x)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements along an axis in order; the gradient goes back to where they came from.

    >>> sort(as_tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.], shape=(3,), dtype=float32)
    """
    x = as_tensor(x)
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Tensor:
    """The positions in the sorted x1 at which to insert x2.

    x1 is one row for x2 of any shape, or it has a row for each row of x2: (..., N) and (..., M).
    `sorter` puts it in order.

    >>> searchsorted(as_tensor([1, 3, 5]), as_tensor([3, 4]))
    Tensor([1, 2], shape=(2,), dtype=int64)
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    row, values = as_tensor(x1), as_tensor(x2)
    if row.ndim != 1 and (row.ndim == 0 or row.shape[:-1] != values.shape[:-1]):
        raise ShapeError(
            "searchsorted: x1 must be a row, or have a row for each row of x2, got "
            f"{describe(row)} and {describe(values)}"
        )
    if sorter is not None:
        row = take_along_axis(row, as_tensor(sorter))
    dtype = dtypes.result_type(row, values)
    return apply(cached(ranking.Searchsorted, side), row.astype(dtype), values.astype(dtype))


# -- results whose shape depends on the values: not available inside `capture` ------------------


def _values(name: str, x: Any) -> np.ndarray:
    return as_tensor(x)._concrete(f"{name}()")


def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one Tensor an axis.

    >>> nonzero(as_tensor([0, 3, 4]))
    (Tensor([1, 2], shape=(2,), dtype=int64),)
    """
    values = _values("nonzero", x)
    if values.ndim == 0:
        raise ShapeError("nonzero: x must have at least one axis, got a Tensor of no axes")
    return tuple(wrap(i) for i in np.nonzero(values))


def _different(name: str, x: Any) -> np.ndarray:
    """The elements among which different ones are looked for: a selection without a derivative."""
    x = as_tensor(x)
    x._require_cut(name, "take them by number: x.flatten()[unique_all(x.detach()).indices]")
    return _values(name, x)


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


def unique_values(x: Any, /) -> Tensor:
    """The different values, in order.

    >>> unique_values(as_tensor([2, 1, 2]))
    Tensor([1, 2], shape=(2,), dtype=int64)
    """
    return wrap(np.unique(_different("unique_values", x), equal_nan=False))


def unique_counts(x: Any, /) -> UniqueCounts:
    """The different values and how often each occurs, as a named tuple (values, counts)."""
    return UniqueCounts(*map(wrap, np.unique_counts(_different("unique_counts", x))))


def unique_inverse(x: Any, /) -> UniqueInverse:
    """The different values, and which one each element is: (values, inverse_indices)."""
    return UniqueInverse(*map(wrap, np.unique_inverse(_different("unique_inverse", x))))


def unique_all(x: Any, /) -> UniqueAll:
    """The different values, their first places, which one each element is, and their counts."""
    return UniqueAll(*map(wrap, np.unique_all(_different("unique_all", x))))


def unique(
    x: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    """The different elements, or slices along an axis, in order (whether `sorted` or not).

    With `return_inverse` also which of them each element (slice) is, with `return_counts` how often
    each occurs. The result's shape depends on the values, so it cannot be captured.

    >>> unique(as_tensor([3, 1, 3]), return_counts=True)
    (Tensor([1, 3], shape=(2,), dtype=int64), Tensor([1, 2], shape=(2,), dtype=int64))
    """
    values = _different("unique", x)
    if axis is not None:
        axis = one_axis("unique", axis, values.ndim)
    found, inverse, counts = np.unique(
        values, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    inverse = inverse.reshape(values.shape if axis is None else -1)
    wanted = [found, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    return wrap(found) if len(wanted) == 1 else tuple(map(wrap, wanted))


def bucketize(x: Any, boundaries: Any, *, right: bool = False) -> Tensor:
    """Between which of the boundaries each element lies: how many are smaller than it.

    With `right` those that equal it are counted, too.

    >>> bucketize(as_tensor([3, 6, 9]), as_tensor([1, 3, 5, 7, 9]))
    Tensor([1, 3, 4], shape=(3,), dtype=int64)
    """
    return searchsorted(boundaries, x, side="right" if right else "left")


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is one of the test elements; with `invert`, whether it is none.

    >>> isin(as_tensor([1, 2, 3]), as_tensor([3, 1]))
    Tensor([ True, False,  True], shape=(3,), dtype=bool)
    """
    elements, tests = as_tensor(elements), as_tensor(test_elements).flatten()
    if tests.size == 0:
        found = zeros(elements.shape, dtype="bool")
    else:
        dtype = result_type(elements, tests)
        row, values = sort(tests.detach().astype(dtype)), elements.detach().astype(dtype)
        place = clip(searchsorted(row, values), 0, row.size - 1)
        found = take(row, place, axis=0) == values
    return logical_not(found) if invert else found
