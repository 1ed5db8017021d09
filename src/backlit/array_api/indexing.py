"""Indexing of Tensors: slices, integers, arrays, masks, `None` and `...`; take, take_along_axis."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..dtypes import bool_, uint8, uint64
from ..errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TraceError
from ..op import Requirement, describe
from ..ops import indexing as ops
from ..ops import movement
from ..state import STATE
from ..tensor import Tensor, apply, as_tensor, wrap
from .arguments import cached, one_axis
from .dialects import SPOKEN
from .manipulation import broadcast_to

__all__ = ["take", "take_along_axis"]


class _FromMask(NamedTuple):
    """The positions that a mask selects along one axis, and the mask's size there.

    A single truth value is a mask over an axis of its own, of size 1: `new`.
    """

    indices: Tensor
    size: int
    new: bool = False


class Selection(NamedTuple):
    """A key made canonical: x in `shape`, indexed by `pattern` with `arrays`, then `squeezed`.

    `shape` is that of x with an axis of size 1 for each truth value in the key. `pattern` is the
    `index` of a Slice or, with arrays, the `pattern` of a Gather. `squeezed` is an axis of size 1
    that the result has too many, or None.
    """

    shape: tuple[int, ...]
    pattern: tuple[Any, ...]
    arrays: tuple[Tensor, ...]
    squeezed: int | None


def getitem(x: Tensor, key: Any) -> Tensor:
    """x[key] with NumPy's meaning."""
    shape, pattern, arrays, squeezed = select(x, key)
    if not arrays:
        return apply(cached(movement.Slice, pattern), x)
    if len(shape) > x.ndim:
        x = apply(cached(movement.Reshape, shape), x)
    y = apply(cached(ops.Gather, pattern), x, *arrays)
    if squeezed is None:
        return y
    kept = (*y.shape[:squeezed], *y.shape[squeezed + 1 :])
    return apply(cached(movement.Reshape, kept), y)


def select(x: Tensor, key: Any) -> Selection:
    """What a key selects from x, or the error that names the part of the key that is wrong."""
    keys = key if isinstance(key, tuple) else (key,)
    sizes = x.shape
    if len(keys) <= len(sizes) and _BASIC.issuperset(map(type, keys)):
        basic = [_basic(k, sizes[axis], axis) for axis, k in enumerate(keys)]
        rest = [(0, n, 1) for n in sizes[len(keys) :]]
        return Selection(sizes, (*basic, *rest), (), None)
    entries, gap = _expanded(x, keys)
    shape: list[int] = []
    pattern: list[Any] = []
    arrays: list[Tensor] = []
    axis = 0
    for entry in entries:
        if entry is None:
            pattern.append(None)
            continue
        if isinstance(entry, _FromMask):
            if entry.new:
                shape.append(1)
                arrays.append(entry.indices)
                pattern.append("array")
                continue
            if entry.size != x.shape[axis]:
                raise ShapeError(
                    f"indexing: a mask must have the sizes of the axes it selects from, got size "
                    f"{entry.size} for axis {axis} of {describe(x)}"
                )
            entry = entry.indices
        if isinstance(entry, Tensor):
            arrays.append(entry)
            pattern.append("array")
        else:
            pattern.append(_basic(entry, x.shape[axis], axis))
        shape.append(x.shape[axis])
        axis += 1
    squeezed = None
    if gap is not None and arrays:
        # For NumPy a `...` between index arrays parts them even where it stands for no axis.
        sides = pattern[:gap], pattern[gap:]
        if all(any(i == "array" or isinstance(i, int) for i in side) for side in sides):
            pattern.insert(gap, None)
            before = sum(i is None or isinstance(i, tuple) for i in sides[0])
            squeezed = max(a.ndim for a in arrays) + before
    return Selection(tuple(shape), tuple(pattern), tuple(arrays), squeezed)


def _expanded(x: Tensor, key: tuple[Any, ...]) -> tuple[list[Any], int | None]:
    """One entry for each axis of x, and where a `...` stood that is none of them.

    `...` is spelled out, masks become index arrays.
    """
    entries: list[Any] = []
    for entry in key:
        if isinstance(entry, _ARRAYS):
            entries.extend(_index_arrays(entry))
        else:
            entries.append(entry)
    places = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(places) > 1:
        raise ShapeError("indexing: `...` may stand only once in an index")
    new = sum(e is None or (isinstance(e, _FromMask) and e.new) for e in entries)
    used = len(entries) - len(places) - new
    if used > x.ndim:
        raise ShapeError(f"indexing: {used} indices are too many for shape {x.shape}")
    rest: list[Any] = [slice(None)] * (x.ndim - used)
    position = places[0] if places else len(entries)
    whole = entries[:position] + rest + entries[position + len(places) :]
    return whole, position if places and not rest else None


#: What most keys hold, which need no more than a look at the sizes.
_BASIC = frozenset({int, slice})
#: What a key may hold besides integers, slices, None and `...`.
_ARRAYS = (Tensor, np.ndarray, np.bool_, bool, list, tuple, range)


def _index_arrays(entry: Any) -> list[Tensor | _FromMask]:
    array = as_tensor(entry)
    written = not isinstance(entry, Tensor | np.ndarray)
    if written and array.size == 0:
        array = wrap(np.empty(array.shape, np.int64))  # for NumPy, [] holds floats
    if is_mask(array):
        mask = array.array if written else array._concrete("indexing by a mask")
        if mask.ndim == 0:
            return [_FromMask(wrap(np.nonzero(mask[None])[0]), 1, new=True)]
        return [_FromMask(wrap(i), n) for i, n in zip(np.nonzero(mask), mask.shape, strict=True)]
    if array.dtype not in dtypes.INTEGER:
        raise DTypeError(f"indexing: index arrays must be integers or bool, got {describe(array)}")
    return [_within_int64("indexing", array)]


def is_mask(array: Any) -> bool:
    """Whether an array selects by truth: of bool, and for PyTorch of uint8, which was its bool."""
    return array.dtype == bool_ or (SPOKEN.pytorch and array.dtype == uint8)


def _within_int64(name: str, indices: Tensor) -> Tensor:
    """The indices, unless one is so large that NumPy would take it for a negative one."""
    if indices.dtype == uint64:
        STATE.execution.require(name, _below_int64, (indices,))
    return indices


def _below_int64(xp: Any, i: Any) -> tuple[Requirement, ...]:
    cure = "count from 0"
    return (Requirement(i < 2**63, i, IndexRangeError, "indices must lie below 2**63", cure),)


def _basic(entry: Any, size: int, axis: int) -> int | tuple[int, int, int]:
    if type(entry) is int and -size <= entry < size:
        return entry % size
    if isinstance(entry, slice):
        try:
            start, stop, step = entry.indices(size)
        except TraceError:
            raise
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"indexing: {error}, got {entry}") from None
        return start, len(range(start, stop, step)), step
    try:
        i = operator.index(entry)
    except TypeError:
        raise DTypeError(
            f"indexing: an index is an integer, slice, Tensor, None or ..., got {entry!r}"
        ) from None
    if not -size <= i < size:
        raise IndexRangeError(
            f"indexing: the index must lie in [-{size}, {size}) on axis {axis}, got {i}"
        )
    return i % size


def _indices(name: str, indices: Any) -> Tensor:
    indices = as_tensor(indices)
    if indices.dtype not in dtypes.INTEGER:
        raise DTypeError(f"{name}: indices must be integers, got {describe(indices)}")
    return _within_int64(name, indices)


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tensor:
    """The slices of x at `indices` along an axis; repeated ones add up in the gradient.

    x: (..., A, ...), indices: any shape I -> (..., *I, ...)

    >>> take(as_tensor([10.0, 20.0, 30.0]), as_tensor([2, 0, 2]), axis=0)
    Tensor([30., 10., 30.], shape=(3,), dtype=float32)
    """
    x = as_tensor(x)
    if axis is None:
        if x.ndim != 1:
            raise ShapeError(f"take: axis is required for a Tensor of {x.ndim} axes")
        axis = 0
    return apply(cached(ops.Take, one_axis("take", axis, x.ndim)), x, _indices("take", indices))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Tensor:
    """The elements of x at `indices` along an axis, everything else matched one to one.

    x: (..., A, ...), indices: (..., B, ...) -> (..., B, ...); the other axes broadcast.

    >>> take_along_axis(as_tensor([[1.0, 2.0], [3.0, 4.0]]), as_tensor([[1], [0]]), axis=1)
    Tensor([[2.],
            [3.]], shape=(2, 1), dtype=float32)
    """
    x, indices = as_tensor(x), _indices("take_along_axis", indices)
    axis = one_axis("take_along_axis", axis, x.ndim)
    if x.ndim == indices.ndim:
        others = [
            n if m == 1 else m
            for a, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True))
            if a != axis
        ]
        x = broadcast_to(x, (*others[:axis], x.shape[axis], *others[axis:]))
        indices = broadcast_to(indices, (*others[:axis], indices.shape[axis], *others[axis:]))
    return apply(cached(ops.TakeAlongAxis, axis), x, indices)
