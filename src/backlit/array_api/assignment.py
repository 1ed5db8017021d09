"""Item assignment: x with a value in the place of the elements that a key selects."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from .. import dtypes
from ..backend import numpy_backend
from ..errors import ArgumentError, DTypeError, ShapeError
from ..execution import AT_ONCE
from ..op import describe
from ..ops import indexing, movement
from ..state import STATE
from ..tensor import Tensor, apply, as_tensor, wrap
from .arguments import cached
from .elementwise import where
from .indexing import is_mask, select


def setitem(x: Tensor, key: Any, value: Any, *, spent: bool = False) -> Tensor:
    """x with `value` where x[key] stands, with NumPy's meaning; x itself stays as it is.

    The value is cast to x's dtype and broadcast; where indices repeat, the last one's stays.
    Gradients go to x where nothing was written, and to the elements of the value that stayed.

    `spent` says that the result takes x's place: then it is written into x's own memory where
    nobody could tell, so that filling a table one by one does not copy it each time.
    """
    value = _fitting(x, value)
    if isinstance(key, tuple) and len(key) == 1:
        (key,) = key
    if _is_mask(key):
        own = _without_extra(value, x.ndim - key.ndim)
        if own.ndim <= x.ndim - key.ndim:
            return _masked(x, key, own)
    shape, pattern, arrays, squeezed = select(x, key)
    if not arrays:
        value = _without_extra(value, len(movement.sliced_shape(pattern)))
        if spent and _unseen(x, value):
            try:
                x.array[numpy_backend.key(pattern)] = value.array
            except ValueError:
                pass  # nothing was written, and the op says why
            else:
                return wrap(x.array)
        return apply(cached(movement.SetSlice, pattern), x, value)
    block = indexing.gathered_shape(pattern, arrays)
    if squeezed is not None:  # the axis that is not the user's is one of the value's, too
        after = len(block) - 1 - squeezed
        if value.ndim > after:
            value = value.reshape((*value.shape[: value.ndim - after], 1, *_last(value, after)))
    value = _without_extra(value, len(block))
    whole = x if shape == x.shape else x.reshape(shape)
    y = apply(cached(indexing.SetItems, pattern), whole, value, *arrays)
    return y if shape == x.shape else y.reshape(x.shape)


def _references(x: Tensor) -> int:
    """How many hold a Tensor's array, counted as Python counts them here."""
    return sys.getrefcount(x.array)


#: What is counted of an array that only its Tensor holds.
_ALONE = _references(wrap(np.zeros(1)))


def _unseen(x: Tensor, value: Tensor) -> bool:
    """Whether x's array may be overwritten: nobody else holds it, or a view of it, or looks on.

    Whoever has used the array holds it: a tape, another Tensor, a captured program, `x.numpy()`.
    So does a part of x, which knows by this that x is as it was; that of one element may be written
    into x all the same, as in `x[i, j] += 1`, for then x is there as the part is.
    """
    part = value._part if value.ndim == 0 else None
    own = part is not None and part.array is x.array
    return (
        STATE.execution is AT_ONCE
        and STATE.observer is None
        and type(x) is Tensor
        and type(x.array) is type(value.array) is np.ndarray
        and x._part is None
        and not x._requires_grad
        and not value._requires_grad
        and x.array.flags.owndata
        and x.array.flags.writeable
        and _references(x) == _ALONE + own
    )


def _last(value: Tensor, count: int) -> tuple[int, ...]:
    return value.shape[value.ndim - count :]


def _fitting(x: Tensor, value: Any) -> Tensor:
    """The value as a Tensor of x's dtype. Floats are cut to whole numbers, as everywhere."""
    if isinstance(value, bool | int | float):
        return wrap(_number(x, value))
    value = as_tensor(value)
    if value.requires_grad and STATE.grad_enabled and x.dtype not in dtypes.FLOATING:
        raise DTypeError(
            f"item assignment: a {describe(x)} has no gradient to hand on, but the value requires "
            "one; assign value.detach(), or make x floating with astype"
        )
    return value.astype(x.dtype)


def _number(x: Tensor, value: Any) -> np.ndarray:
    """A Python number as an array of x's dtype, or an error if it has no such number."""
    if x.dtype in dtypes.INTEGER:
        info = np.iinfo(x.dtype)
        if not math.isfinite(value) or not info.min <= int(value) <= info.max:
            raise ArgumentError(
                f"item assignment: {x.dtype} holds {info.min} to {info.max}, got {value} "
                f"(x: {describe(x)})"
            )
        value = int(value)
    return np.asarray(value, x.dtype)


def _without_extra(value: Tensor, ndim: int) -> Tensor:
    """The value without axes of size 1 in front that the selection does not have."""
    extra = value.ndim - ndim
    if extra > 0 and all(n == 1 for n in value.shape[:extra]):
        return value.reshape(value.shape[extra:])
    return value


def _is_mask(key: Any) -> bool:
    """Whether a key is one array of truth values, as in `x[x < 0] = 0`."""
    return isinstance(key, Tensor | np.ndarray) and key.ndim > 0 and is_mask(key)


def _masked(x: Tensor, mask: Any, value: Tensor) -> Tensor:
    """x with one value at all places of a mask, which need not be known."""
    if tuple(mask.shape) != x.shape[: mask.ndim]:
        raise ShapeError(
            f"item assignment: a mask must have the sizes of the axes it selects from, got "
            f"{describe(as_tensor(mask))} for {describe(x)}"
        )
    rest = (1,) * (x.ndim - mask.ndim)
    movement.require_fitting(x.shape[mask.ndim :], x, value)
    chosen = as_tensor(mask).astype(dtypes.bool_).reshape((*mask.shape, *rest))
    return where(chosen, value, x)
