"""Pooling to a given number of windows: shared out evenly, or at random; and the way back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...array_api import argmax, floor, reshape, take, take_along_axis, zeros
from ...array_api.arguments import cached, number
from ...array_api.primitives import set_items
from ...backend.halves import as_one_op
from ...dtypes import INTEGER, int64
from ...errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ...op import Requirement, describe
from ...ops import pooling
from ...precision import in_float32
from ...promotion import floating
from ...random import Generator, given_generator
from ...state import STATE, where_called
from ...tensor import Tensor, apply, wrap
from .common import given
from .places import Sizes, batched, several
from .pooling import avg_pool1d, avg_pool2d, avg_pool3d, positions
from .taps import weighted_taps

_AVERAGES = (avg_pool1d, avg_pool2d, avg_pool3d)


def _prepared(name: str, x: Any, output_size: Any, axes: int) -> tuple[Tensor, bool, list[int]]:
    """x with a batch axis, whether that is new, and the number of windows along each axis."""
    x, lone = batched(name, x, axes)
    x = floating(x)
    given_sizes = output_size if isinstance(output_size, tuple | list) else (output_size,) * axes
    filled = [n if m is None else m for m, n in zip(given_sizes, x.shape[2:], strict=False)]
    sizes = several(name, "output_size", tuple(filled), axes, 1)
    if 0 in x.shape[2:]:
        raise ShapeError(f"{name}: x must have places, got {describe(x)}{where_called()}")
    return x, lone, list(sizes)


def _shares(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The places that m windows share out, as (longest window, m), and the windows' lengths.

    Window i goes from ⌊i n/m⌋ to ⌈(i+1) n/m⌉; shorter ones repeat their last place.
    """
    start = np.arange(m) * n // m
    stop = -(-(np.arange(m) + 1) * n // m)
    offsets = np.arange(int((stop - start).max()))[:, None]
    return np.minimum(start + offsets, stop - 1), stop - start


def _averaged(name: str, x: Any, output_size: Any, axes: int) -> Tensor:
    x, lone, sizes = _prepared(name, x, output_size, axes)
    places = x.shape[2:]
    if all(n % m == 0 for n, m in zip(places, sizes, strict=True)):
        kernel = tuple(n // m for n, m in zip(places, sizes, strict=True))
        y = _AVERAGES[axes - 1](x, kernel)
    else:
        y = x
        for axis, (n, m) in enumerate(zip(places, sizes, strict=True), 2):
            shares, lengths = _shares(n, m)
            counts = np.arange(len(shares))[:, None] < lengths
            y = weighted_taps(y, axis, shares, counts / lengths) if n != m else y
    return y[0] if lone else y


@as_one_op
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """The means of `output_size` windows that share a signal out evenly.

        x: (N, C, L) or (C, L) -> (N, C, output_size)

    Window i of n goes from ⌊i·L/n⌋ to ⌈(i+1)·L/n⌉.

    >>> from backlit import tensor
    >>> adaptive_avg_pool1d(tensor([[1.0, 2.0, 4.0]]), 2).tolist()
    [[1.5, 3.0]]
    """
    return _averaged("adaptive_avg_pool1d", input, output_size, 1)


@as_one_op
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """The means of `output_size` windows that share the image out evenly.

        x: (N, C, H, W) or (C, H, W) -> (N, C, *output_size)

    Window i of n goes from ⌊i·H/n⌋ to ⌈(i+1)·H/n⌉. A size of None keeps the axis.

    >>> from backlit import tensor
    >>> adaptive_avg_pool2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), 1)
    Tensor([[[2.5]]], shape=(1, 1, 1), dtype=float32)
    """
    return _averaged("adaptive_avg_pool2d", input, output_size, 2)


@in_float32
@as_one_op
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """The means of `output_size` windows that share a volume out evenly: see the one of images.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, C, *output_size)

    >>> from backlit import tensor
    >>> adaptive_avg_pool3d(tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), (1, None, 1)).tolist()
    [[[[2.5]]]]
    """
    return _averaged("adaptive_avg_pool3d", input, output_size, 3)


def _largest(name: str, x: Any, output_size: Any, axes: int, return_indices: bool) -> Any:
    """The largest of each window, along one axis after the other, from the last one on."""
    y, lone, sizes = _prepared(name, x, output_size, axes)
    indices = positions(y)
    for axis, m in reversed(list(enumerate(sizes, 2))):
        n = y.shape[axis]
        if n == m:
            continue
        longest = n // m
        if n % m:
            shares, _ = _shares(n, m)
            longest = len(shares)
            order = wrap(np.ascontiguousarray(shares.T).ravel())
            y = take(y, order, axis=axis)
            indices = take(indices, order, axis=axis) if return_indices else indices
        before, after = y.shape[:axis], y.shape[axis + 1 :]
        rows = (1, math.prod(before), m * longest, math.prod(after))
        windows = ((longest, 1), (longest, 1), ((0, 0), (0, 0)), (1, 1))
        y = reshape(y, rows)
        if return_indices:
            pick = cached(pooling.MaxPoolPick, *windows)
            picked = apply(pick, reshape(indices, rows), y.detach())
            indices = reshape(picked, (*before, m, *after))
        y = reshape(apply(cached(pooling.MaxPool, *windows), y), (*before, m, *after))
    if lone:
        y, indices = y[0], indices[0]
    return (y, indices) if return_indices else y


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of each of `output_size` windows that share a signal out evenly.

        x: (N, C, L) or (C, L) -> (N, C, output_size)

    Windows as in `adaptive_avg_pool1d`, indices as in `max_pool1d`.

    >>> from backlit import tensor
    >>> adaptive_max_pool1d(tensor([[1.0, 5.0, 4.0]]), 2).tolist()
    [[5.0, 5.0]]
    """
    return _largest("adaptive_max_pool1d", input, output_size, 1, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of each of `output_size` windows that share an image out evenly.

        x: (N, C, H, W) or (C, H, W) -> (N, C, *output_size)

    Windows as in `adaptive_avg_pool2d`, indices as in `max_pool2d`.

    >>> from backlit import tensor
    >>> adaptive_max_pool2d(tensor([[[1.0, 5.0, 4.0]]]), (1, 2)).tolist()
    [[[5.0, 5.0]]]
    """
    return _largest("adaptive_max_pool2d", input, output_size, 2, return_indices)


@in_float32
def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of each of `output_size` windows that share a volume out evenly.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, C, *output_size)

    Windows as in `adaptive_avg_pool3d`, indices as in `max_pool3d`.

    >>> from backlit import tensor
    >>> adaptive_max_pool3d(tensor([[[[1.0, 5.0, 4.0]]]]), (1, 1, 2)).tolist()
    [[[[5.0, 5.0]]]]
    """
    return _largest("adaptive_max_pool3d", input, output_size, 3, return_indices)


# -- windows at random --------------------------------------------------------------------------


def _random_starts(samples: Tensor, n: int, m: int, kernel: int) -> Tensor:
    """Where m windows of a kernel's length start among n places, for samples in [0, 1): (N, C, m).

    Steps of ⌊α⌋ and ⌈α⌉, α = (n - kernel) / (m - 1); the last window ends with the last place.
    """
    last = np.full((1, 1, 1), n - kernel)
    if m == 1:
        return wrap(last) + (samples * 0).astype(int64)[..., None]
    alpha = (n - kernel) / (m - 1)
    u = samples[..., None]
    i = wrap(np.arange(m, dtype=samples.dtype))
    starts = floor((i + u) * alpha) - floor(u * alpha)
    final = wrap(np.arange(m) == m - 1)
    return starts.astype(int64) * (1 - final.astype(int64)) + wrap(last) * final.astype(int64)


def _fractional(
    name: str,
    x: Any,
    kernel_size: Sizes,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Any,
    generator: Generator | None,
    axes: int,
) -> Any:
    x, lone = batched(name, x, axes)
    x = floating(x)
    kernel = several(name, "kernel_size", kernel_size, axes, 1)
    if (output_size is None) == (output_ratio is None):
        raise ArgumentError(
            f"{name}: give output_size or output_ratio, and not both, got {output_size} and "
            f"{output_ratio}{where_called()}"
        )
    if output_ratio is not None:
        ratios = output_ratio if isinstance(output_ratio, tuple | list) else (output_ratio,) * axes
        values = [number(f"{name}: output_ratio", r) for r in ratios]
        if len(values) != axes or not all(0 < r < 1 for r in values):
            raise ArgumentError(
                f"{name}: output_ratio must lie between 0 and 1, one or {axes}, got "
                f"{output_ratio}{where_called()}"
            )
        output_size = tuple(int(n * r) for n, r in zip(x.shape[2:], values, strict=True))
    sizes = several(name, "output_size", output_size, axes, 1)
    if any(m + k - 1 > n for m, k, n in zip(sizes, kernel, x.shape[2:], strict=True)):
        raise ShapeError(
            f"{name}: {sizes} windows of {kernel} must fit into {describe(x)}, each a place "
            f"further{where_called()}"
        )
    rows, channels = x.shape[:2]
    if samples is None:
        source = given_generator(generator)
        samples = source.uniform((rows, channels, axes), dtype=x.dtype)
    samples = given(samples)
    if samples.ndim != 3 or samples.shape[0] < rows or samples.shape[1:] != (channels, axes):
        raise ShapeError(
            f"{name}: _random_samples must have shape ({rows}, {channels}, {axes}) for "
            f"{describe(x)}, or more rows, got {describe(samples)}{where_called()}"
        )
    samples = samples[:rows]
    # PyTorch's samples of images belong to the width first, those of volumes to the depth.
    order = (1, 0) if axes == 2 else range(axes)
    linear = None
    for axis, (k, column) in enumerate(zip(kernel, order, strict=True)):
        n, m = x.shape[2 + axis], sizes[axis]
        starts = _random_starts(samples[..., column], n, m, k)
        inside = starts[..., None] + wrap(np.arange(k))
        shape = [rows, channels] + [1] * (2 * axes)
        shape[2 + axis], shape[2 + axes + axis] = m, k
        own = reshape(inside, tuple(shape))
        linear = own if linear is None else linear * n + own
    assert linear is not None
    count, each = math.prod(sizes), math.prod(kernel)
    windows = reshape(linear, (rows, channels, count * each))
    flat = reshape(x, (rows, channels, math.prod(x.shape[2:])))
    seen = reshape(take_along_axis(flat, windows), (rows, channels, count, each))
    winner = argmax(seen.detach(), axis=-1, keepdims=True)
    shape_y = (rows, channels, *sizes)
    y = reshape(take_along_axis(seen, winner), shape_y)
    numbers = reshape(windows, (rows, channels, count, each))
    indices = reshape(take_along_axis(numbers, winner), shape_y)
    if lone:
        y, indices = y[0], indices[0]
    return (y, indices) if return_indices else y


def fractional_max_pool2d(
    input: Any,
    kernel_size: Sizes,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    generator: Generator | None = None,
) -> Any:
    """The largest of each of `output_size` windows, which lie at random distances.

        x: (N, C, H, W) or (C, H, W) -> (N, C, *output_size)

    `output_ratio` gives the size as a part of x's. The distances have one random number for each
    axis of each channel, from `generator` or this thread's default one; or give them as
    `_random_samples`: (N, C, 2) in [0, 1). Indices as in `max_pool2d`.
    Source: Graham, "Fractional max-pooling", arXiv:1412.6071, sec. 2.

    >>> from backlit import arange
    >>> x = arange(9.0).reshape(1, 3, 3)
    >>> fractional_max_pool2d(x, 2, output_size=2).tolist()
    [[[4.0, 5.0], [7.0, 8.0]]]
    """
    return _fractional(
        "fractional_max_pool2d", input, kernel_size, output_size, output_ratio, return_indices,
        _random_samples, generator, 2,
    )  # fmt: skip


def fractional_max_pool3d(
    input: Any,
    kernel_size: Sizes,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    generator: Generator | None = None,
) -> Any:
    """The largest of each of `output_size` windows of a volume, which lie at random distances.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, C, *output_size)

    See `fractional_max_pool2d`; `_random_samples`: (N, C, 3).

    >>> from backlit import ones
    >>> fractional_max_pool3d(ones((1, 1, 4, 4, 4)), 2, output_ratio=0.5).shape
    (1, 1, 2, 2, 2)
    """
    return _fractional(
        "fractional_max_pool3d", input, kernel_size, output_size, output_ratio, return_indices,
        _random_samples, generator, 3,
    )  # fmt: skip


# -- the way back -------------------------------------------------------------------------------


def _unpooled(
    name: str,
    x: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: Any,
    axes: int,
) -> Tensor:
    x, lone = batched(name, x, axes)
    indices, _ = batched(name, indices, axes)
    if indices.dtype not in INTEGER:
        raise DTypeError(
            f"{name}: indices must be integers, got {describe(indices)}{where_called()}"
        )
    if indices.shape != x.shape:
        raise ShapeError(
            f"{name}: x and indices must have one shape, got {describe(x)} and "
            f"{describe(indices)}{where_called()}"
        )
    kernel = several(name, "kernel_size", kernel_size, axes, 1)
    steps = kernel if stride is None else several(name, "stride", stride, axes, 1)
    cut = several(name, "padding", padding, axes, 0)
    usual = tuple(
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(x.shape[2:], steps, kernel, cut, strict=True)
    )
    sizes = usual
    if output_size is not None:
        sizes = several(name, "output_size", tuple(output_size)[-axes:], axes, 1)
        if not all(u - s < m < u + s for u, s, m in zip(usual, steps, sizes, strict=True)):
            raise ShapeError(
                f"{name}: output_size must differ from {usual} by less than the stride {steps}, "
                f"got {output_size}{where_called()}"
            )
    count = math.prod(sizes)

    def known(xp: Any, i: Any) -> tuple[Requirement, ...]:
        inside = xp.logical_and(i >= 0, i < count)
        cure = "give the size that was pooled as output_size"
        condition = f"indices must lie in [0, {count}), the places of an output {sizes}"
        return (Requirement(inside, i, IndexRangeError, condition, cure),)

    STATE.execution.require(name, known, (indices,))
    rows = math.prod(x.shape[:2])
    flat = (rows, math.prod(x.shape[2:]))
    start = zeros((rows, count), dtype=x.dtype)
    lines = wrap(np.arange(rows)[:, None])
    y = set_items(
        start, reshape(x, flat), lines, reshape(indices, flat), pattern=("array", "array")
    )
    return reshape(y, (*x.shape[1 if lone else 0 : 2], *sizes))


def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Zeros with each element of x where `max_pool1d` with `return_indices` found it.

        x, indices: (N, C, P) or (C, P) -> (N, C, (P - 1)·stride + kernel_size - 2·padding)

    `output_size` takes one of the sizes that give as many windows. Where indices repeat, one
    element stays, and only it gets a gradient.

    >>> from backlit import tensor
    >>> max_unpool1d(tensor([[3.0, 2.0]]), tensor([[1, 2]]), 2).tolist()
    [[0.0, 3.0, 2.0, 0.0]]
    """
    return _unpooled("max_unpool1d", input, indices, kernel_size, stride, padding, output_size, 1)


@in_float32
def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Zeros with each element of x where `max_pool2d` with `return_indices` found it.

        x, indices: (N, C, P, Q) or (C, P, Q) -> (N, C, H, W)

    See `max_unpool1d`. Source: Zeiler & Fergus, ECCV 2014, sec. 2.1.

    >>> from backlit import tensor
    >>> max_unpool2d(tensor([[[4.0]]]), tensor([[[2]]]), 2).tolist()
    [[[0.0, 0.0], [4.0, 0.0]]]
    """
    return _unpooled("max_unpool2d", input, indices, kernel_size, stride, padding, output_size, 2)


@in_float32
def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Zeros with each element of x where `max_pool3d` with `return_indices` found it.

        x, indices: (N, C, P, Q, R) or (C, P, Q, R) -> (N, C, D, H, W)

    See `max_unpool1d`.

    >>> from backlit import tensor
    >>> max_unpool3d(tensor([[[[4.0]]]]), tensor([[[[2]]]]), (1, 2, 2)).tolist()
    [[[[0.0, 0.0], [4.0, 0.0]]]]
    """
    return _unpooled("max_unpool3d", input, indices, kernel_size, stride, padding, output_size, 3)
