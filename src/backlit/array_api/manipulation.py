"""Manipulation of Tensors: reshape, transpose, join, split, repeat, roll, pad."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import result_type
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..ops import creation, indexing
from ..ops import movement as ops
from ..tensor import Tensor, apply, as_tensor
from .arguments import axes, cached, integers, one_axis, sequence, shape_tuple, whole
from .elementwise import where

__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "matrix_transpose",
    "moveaxis",
    "pad",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "tile",
    "unstack",
]


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Tensor:
    """The elements in row-major order in another shape; one size may be -1.

    In its own shape that is x itself, with `copy=True` a Tensor of its own.

    >>> reshape(as_tensor([1, 2, 3, 4]), (2, -1))
    Tensor([[1, 2],
            [3, 4]], shape=(2, 2), dtype=int64)
    """
    x = as_tensor(x)
    given = integers("reshape", shape)
    if given.count(-1) == 1:
        known = -math.prod(given)
        missing = x.size // known if known else 0
        if known and missing * known == x.size:
            given = tuple(missing if n == -1 else n for n in given)
    if any(n < 0 for n in given):
        raise ShapeError(f"reshape: {x.shape} ({x.size} elements) does not fit {given}")
    if given == x.shape and not copy:
        return x
    return apply(cached(ops.Reshape, given), x)


def permute_dims(x: Any, /, axes: Any) -> Tensor:
    """The axes in another order.

    >>> permute_dims(as_tensor([[1, 2, 3]]), (1, 0)).shape
    (3, 1)
    """
    x = as_tensor(x)
    order = tuple(
        [one_axis("permute_dims", a, x.ndim) for a in sequence("permute_dims: axes", axes)]
    )
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(
            f"permute_dims: axes must name each of {x.ndim} axes once, got {tuple(axes)}"
        )
    return apply(cached(ops.PermuteDims, order), x)


def matrix_transpose(x: Any, /) -> Tensor:
    """The last two axes exchanged."""
    x = as_tensor(x)
    n = x.ndim
    if n < 2:
        raise ShapeError(f"mT: the Tensor must have at least 2 axes, got {describe(x)}")
    return apply(cached(ops.PermuteDims, (*range(n - 2), n - 1, n - 2)), x)


def moveaxis(x: Any, source: Any, destination: Any, /) -> Tensor:
    """Axes moved to other places; the others keep their order.

    >>> moveaxis(as_tensor([[[1, 2, 3]]]), 2, 0).shape
    (3, 1, 1)
    """
    x = as_tensor(x)
    sources = source if isinstance(source, tuple | list) else (source,)
    targets = destination if isinstance(destination, tuple | list) else (destination,)
    if len(sources) != len(targets):
        raise ArgumentError(
            f"moveaxis: source and destination must be as many, got {source} and {destination}"
        )
    moved = [one_axis("moveaxis", a, x.ndim) for a in sources]
    places = [one_axis("moveaxis", t, x.ndim) for t in targets]
    if len(set(moved)) != len(moved) or len(set(places)) != len(places):
        raise ShapeError(f"moveaxis: axes must differ, got {source} and {destination}")
    order = [a for a in range(x.ndim) if a not in moved]
    for target, a in sorted(zip(places, moved, strict=True)):
        order.insert(target, a)
    return permute_dims(x, tuple(order))


def expand_dims(x: Any, /, axis: Any = 0) -> Tensor:
    """A new axis of size 1 at each position in `axis`, counted in the result.

    >>> expand_dims(as_tensor([1, 2]), axis=1).shape
    (2, 1)
    """
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, tuple | list) else 1
    new = axes("expand_dims", axis, x.ndim + count)
    old = iter(x.shape)
    return reshape(x, tuple(1 if a in new else next(old) for a in range(x.ndim + count)))


def squeeze(x: Any, /, axis: Any) -> Tensor:
    """Without the axes in `axis`, which must have size 1.

    >>> squeeze(as_tensor([[1], [2]]), axis=1).shape
    (2,)
    """
    x = as_tensor(x)
    gone = axes("squeeze", axis, x.ndim)
    if any(x.shape[a] != 1 for a in gone):
        raise ShapeError(f"squeeze: the axes {gone} must have size 1, got shape {x.shape}")
    return reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in gone))


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x repeated along new leading axes and axes of size 1, without copying;  gx = Σ gy over them.

    >>> broadcast_to(as_tensor([1, 2]), (3, 2)).shape
    (3, 2)
    """
    x = as_tensor(x)
    target = shape_tuple("broadcast_to", shape)
    return x if target == x.shape else apply(cached(ops.BroadcastTo, target), x)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that Tensors of these shapes broadcast to.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    try:
        return np.broadcast_shapes(*(shape_tuple("broadcast_shapes", s) for s in shapes))
    except ValueError as error:
        if isinstance(error, ShapeError):
            raise
        raise ShapeError(
            f"broadcast_shapes: shapes must broadcast (equal or 1 on each axis, from the last), "
            f"got {' and '.join(map(str, shapes))}"
        ) from None


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All Tensors in their common broadcast shape."""
    tensors = [as_tensor(x) for x in arrays]
    shapes = [t.shape for t in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"broadcast_arrays: shapes must broadcast, got {shapes}") from None
    return [broadcast_to(t, shape) for t in tensors]


def _common_type(name: str, arrays: Any) -> list[Tensor]:
    tensors = [as_tensor(x) for x in sequence(f"{name}: the Tensors", arrays)]
    if not tensors:
        raise ArgumentError(f"{name}: at least one Tensor is required")
    dtype = result_type(*(t.dtype for t in tensors))
    return [t.astype(dtype) for t in tensors]


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """The Tensors one after the other along an axis; None flattens them first.

    >>> concat((as_tensor([1, 2]), as_tensor([3])))
    Tensor([1, 2, 3], shape=(3,), dtype=int64)
    """
    tensors = _common_type("concat", arrays)
    if axis is None:
        tensors, axis = [t.flatten() for t in tensors], 0
    return apply(cached(ops.Concat, one_axis("concat", axis, tensors[0].ndim)), *tensors)


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """The Tensors, all of one shape, along a new axis.

    >>> stack((as_tensor([1, 2]), as_tensor([3, 4]))).shape
    (2, 2)
    """
    tensors = _common_type("stack", arrays)
    if len({t.shape for t in tensors}) != 1:
        raise ShapeError(f"stack: shapes must be equal, got {[t.shape for t in tensors]}")
    position = one_axis("stack", axis, tensors[0].ndim + 1)
    return concat([expand_dims(t, axis=position) for t in tensors], axis=position)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without that axis."""
    x = as_tensor(x)
    axis = one_axis("unstack", axis, x.ndim)
    before = (slice(None),) * axis
    return tuple(x[(*before, i)] for i in range(x.shape[axis]))


def flip(x: Any, /, *, axis: Any = None) -> Tensor:
    """The elements in reverse order along an axis, several, or all (None).

    >>> flip(as_tensor([1, 2, 3]))
    Tensor([3, 2, 1], shape=(3,), dtype=int64)
    """
    x = as_tensor(x)
    return apply(cached(ops.Flip, axes("flip", axis, x.ndim)), x)


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Tensor:
    """The elements moved along an axis by `shift` places; those that fall off come in in front.

    >>> roll(as_tensor([1, 2, 3]), 1)
    Tensor([3, 1, 2], shape=(3,), dtype=int64)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(x.flatten(), shift, axis=0), x.shape)
    shifts = shift if isinstance(shift, tuple | list) else (shift,)
    along = axis if isinstance(axis, tuple | list) else (axis,)
    if len(shifts) == 1:
        shifts = tuple(shifts) * len(along)
    if len(shifts) != len(along):
        raise ArgumentError(
            f"roll: shift and axis must be as many, got {len(shifts)} and {len(along)}"
        )
    for s, a in zip(shifts, along, strict=True):
        position = one_axis("roll", a, x.ndim)
        n = x.shape[position]
        cut = -whole("roll: shift", s, -math.inf) % n if n else 0
        if cut:
            before = (slice(None),) * position
            tail, head = x[(*before, slice(cut, None))], x[(*before, slice(None, cut))]
            x = concat((tail, head), axis=position)
    return x


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """x laid out `repetitions` times along each axis.

    >>> tile(as_tensor([1, 2]), (2,))
    Tensor([1, 2, 1, 2], shape=(4,), dtype=int64)
    """
    x = as_tensor(x)
    times = shape_tuple("tile", repetitions)
    ndim = x.ndim if x.ndim > len(times) else len(times)
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - x.ndim) + x.shape
    interleaved = tuple(n for size in shape for n in (1, size))
    repeated = tuple(n for pair in zip(times, shape, strict=True) for n in pair)
    y = broadcast_to(reshape(x, interleaved), repeated)
    return reshape(y, tuple(t * n for t, n in zip(times, shape, strict=True)))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each element `repeats` times in place: a number, or a Tensor with one for each slice.

    >>> repeat(as_tensor([1, 2]), 2)
    Tensor([1, 1, 2, 2], shape=(4,), dtype=int64)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = x.flatten(), 0
    axis = one_axis("repeat", axis, x.ndim)
    counts = np.array(repeats) if isinstance(repeats, int) else _concrete_counts(repeats)
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ArgumentError(f"repeat: repeats must be non-negative integers, got {repeats}")
    if counts.shape not in ((), (1,), (x.shape[axis],)):
        raise ShapeError(
            f"repeat: repeats must be one number or one for each of {x.shape[axis]} slices, got "
            f"shape {counts.shape}"
        )
    order = np.repeat(np.arange(x.shape[axis]), counts.astype(np.int64))
    return apply(cached(indexing.Take, axis), x, as_tensor(order))


def _concrete_counts(repeats: Any) -> np.ndarray:
    return as_tensor(repeats)._concrete("repeat()")


def pad(x: Any, widths: Any, /, *, value: float = 0.0) -> Tensor:
    """x with a border of `value`: `widths` is (before, after) for each axis, or one pair for all.

    A negative width cuts off.

    >>> pad(as_tensor([1.0, 2.0]), (1, 0))
    Tensor([0., 1., 2.], shape=(3,), dtype=float32)
    """
    x = as_tensor(x)
    pairs = list(widths) if isinstance(widths, tuple | list) else []
    if pairs and not isinstance(pairs[0], tuple | list):
        pairs = [tuple(pairs)] * x.ndim
    if len(pairs) != x.ndim or any(not isinstance(p, tuple | list) or len(p) != 2 for p in pairs):
        raise ShapeError(f"pad: widths must be one pair for each of {x.ndim} axes, got {widths}")
    pairs = [tuple([whole("pad: a width", n, -math.inf) for n in p]) for p in pairs]
    cut = tuple(
        slice(-low if low < 0 else 0, n + high if high < 0 else n)
        for n, (low, high) in zip(x.shape, pairs, strict=True)
    )
    if any(low < 0 or high < 0 for low, high in pairs):
        x = x[cut]
    grown = [(low if low > 0 else 0, high if high > 0 else 0) for low, high in pairs]
    shape = tuple(low + n + high for n, (low, high) in zip(x.shape, grown, strict=True))
    index = tuple((low, n, 1) for n, (low, _) in zip(x.shape, grown, strict=True))
    y = apply(cached(ops.Place, index, shape), x)
    if value == 0:
        return y
    ones = apply(creation.Full(shape=x.shape, value=1, dtype=x.dtype))
    inside = apply(cached(ops.Place, index, shape), ones)
    return where(inside != 0, y, value)
