"""Convolutions and pooling in NumPy: windows are copied into a matrix, and BLAS multiplies.

The index relations are those of `ops.convolution` and `ops.pooling`. Images are handled a few at a
time, so that the matrix of windows stays small and in the cache. Convolutions are of any number of
axes, pooling is of two.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Pair = tuple[int, int]
Sizes = tuple[int, ...]
Padding = tuple[Pair, ...]

#: How many elements of windows are copied at a time: 2 MiB of float32.
_BLOCK = 1 << 19
#: All images and channels, before an index of places.
_ALL: tuple[Any, ...] = (slice(None), slice(None))


def _padded(x: np.ndarray, padding: Padding, value: float = 0.0) -> np.ndarray:
    """x with a border of one value."""
    if not any(map(any, padding)):
        return x
    sizes = [a + n + b for n, (a, b) in zip(x.shape[2:], padding, strict=True)]
    y = np.full((*x.shape[:2], *sizes), value, x.dtype)
    inside = (slice(a, a + n) for n, (a, _) in zip(x.shape[2:], padding, strict=True))
    y[(*_ALL, *inside)] = x
    return y


def _count(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    return (size + padding[0] + padding[1] - dilation * (kernel - 1) - 1) // stride + 1


def _counts(size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes) -> Any:
    return tuple(map(_count, size, kernel, stride, padding, dilation))


def _windows(
    x: np.ndarray, kernel: Sizes, stride: Sizes, dilation: Sizes, places: Sizes
) -> np.ndarray:
    """The view (C, I, J, N, P, Q) of the padded images (N, C, H, W)."""
    n, c = x.shape[:2]
    image, channel, *inside = x.strides
    taps = (b * d for b, d in zip(inside, dilation, strict=True))
    steps = (b * s for b, s in zip(inside, stride, strict=True))
    strides = (channel, *taps, image, *steps)
    return as_strided(x, (c, *kernel, n, *places), strides, writeable=False)


def _blocks(count: int, each: int) -> list[slice]:
    """The images in groups whose windows fit into a block."""
    step = max(1, _BLOCK // max(1, each))
    return [slice(i, min(i + step, count)) for i in range(0, count, step)]


def _at(i: int, dilation: int, stride: int, count: int) -> slice:
    """The places of kernel position i in the padded image."""
    start = i * dilation
    return slice(start, start + stride * (count - 1) + 1, stride)


def _taps(
    x: np.ndarray, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, places: Sizes
) -> Iterator[tuple[Sizes, np.ndarray, tuple[slice, ...]]]:
    """For each tap (i, j) the elements of the image that it meets, and the places where it does."""

    def meets(axis: int, tap: int) -> tuple[slice, slice]:
        at = range(places[axis])
        reach = [p * stride[axis] + tap * dilation[axis] - padding[axis][0] for p in at]
        inside = [p for p in at if 0 <= reach[p] < x.shape[2 + axis]]
        if not inside:
            return slice(0, 0), slice(0, 0)
        low, high = inside[0], inside[-1]
        return slice(reach[low], reach[high] + 1, stride[axis]), slice(low, high + 1)

    for tap in np.ndindex(*kernel):
        pairs = [meets(axis, t) for axis, t in enumerate(tap)]
        image = x[(*_ALL, *(there for there, _ in pairs))]
        yield tap, image, (*_ALL, *(here for _, here in pairs))


def convolution(
    x: np.ndarray,
    weight: np.ndarray,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See `ops.convolution.Convolution`."""
    n, c = x.shape[:2]
    outputs, kernel = weight.shape[0], weight.shape[2:]
    places = _counts(x.shape[2:], kernel, stride, padding, dilation)
    whole, x = x, _padded(x, padding)
    matrix = weight.reshape(groups, outputs // groups, -1)
    y = np.empty((n, outputs, *places), x.dtype)
    for some in _blocks(n, c * math.prod(kernel) * math.prod(places)):
        windows = _windows(x[some], kernel, stride, dilation, places)
        columns = windows.reshape(groups, matrix.shape[2], -1)
        y[some] = (matrix @ columns).reshape(outputs, -1, *places).swapaxes(0, 1)
    if any(map(any, padding)) and np.isnan(y).any():
        # Where there is no image there is no term, but zeros times infinities have been added.
        y[...] = 0
        grouped = weight.reshape(groups, outputs // groups, c // groups, *kernel)
        for tap, image, place in _taps(whole, kernel, stride, padding, dilation, places):
            part = image.reshape(n, groups, c // groups, -1)
            sums = grouped[(*_ALL, slice(None), *tap)] @ part
            y[place] += sums.reshape(n, outputs, *image.shape[2:])
    return y


def convolution_input(
    y: np.ndarray,
    weight: np.ndarray,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    size: Sizes,
) -> np.ndarray:
    """See `ops.convolution.ConvolutionInput`."""
    n, outputs, *places = y.shape
    c, kernel = weight.shape[1] * groups, weight.shape[2:]
    matrix = weight.reshape(groups, outputs // groups, -1).mT
    whole = [m + sum(ends) for m, ends in zip(size, padding, strict=True)]
    inside = tuple(slice(a, a + m) for m, (a, _) in zip(size, padding, strict=True))
    x = np.empty((n, c, *size), y.dtype)
    for some in _blocks(n, c * math.prod(kernel) * math.prod(places)):
        upstream = y[some].swapaxes(0, 1).reshape(groups, outputs // groups, -1)
        parts = (matrix @ upstream).reshape(c, *kernel, -1, *places)
        total = np.zeros((c, parts.shape[1 + len(kernel)], *whole), y.dtype)
        for tap in np.ndindex(*kernel):
            at = map(_at, tap, dilation, stride, places)
            total[(*_ALL, *at)] += parts[(slice(None), *tap)]
        x[some] = total[(*_ALL, *inside)].swapaxes(0, 1)
    return x


def convolution_weight(
    y: np.ndarray,
    x: np.ndarray,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    kernel: Sizes,
) -> np.ndarray:
    """See `ops.convolution.ConvolutionWeight`."""
    n, outputs, *rest = y.shape
    places = tuple(rest)
    c = x.shape[1]
    whole, x = x, _padded(x, padding)
    total = np.zeros((groups, outputs // groups, c // groups * math.prod(kernel)), y.dtype)
    for some in _blocks(n, c * math.prod(kernel) * math.prod(places)):
        windows = _windows(x[some], kernel, stride, dilation, places)
        columns = windows.reshape(groups, total.shape[2], -1)
        upstream = y[some].swapaxes(0, 1).reshape(groups, outputs // groups, -1)
        total += upstream @ columns.mT
    weight = total.reshape(outputs, c // groups, *kernel)
    if any(map(any, padding)) and np.isnan(weight).any():  # as in `convolution`
        for tap, image, place in _taps(whole, kernel, stride, padding, dilation, places):
            part = image.reshape(n, groups, c // groups, -1)
            above = y[place].reshape(n, groups, outputs // groups, -1)
            weight[(*_ALL, *tap)] = (above @ part.mT).sum(0).reshape(outputs, -1)
    return weight


# -- pooling ------------------------------------------------------------------------------------


def _lowest(dtype: np.dtype) -> float:
    return -np.inf if dtype.kind not in "iu" else np.iinfo(dtype).min


def _pieces(x: np.ndarray, kernel: Pair, stride: Pair, dilation: Pair, places: Pair):
    """For each kernel position in row-major order, the view (N, C, P, Q) of its places."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = _at(i, dilation[0], stride[0], places[0])
            columns = _at(j, dilation[1], stride[1], places[1])
            yield x[:, :, rows, columns]


def max_pool(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> np.ndarray:
    """See `ops.pooling.MaxPool`."""
    places = _counts(x.shape[2:], kernel, stride, padding, dilation)
    pieces = _pieces(_padded(x, padding, _lowest(x.dtype)), kernel, stride, dilation, places)
    y = next(pieces).copy()
    for piece in pieces:
        np.maximum(y, piece, out=y)
    return y


def _winners(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, places: Pair
):
    """For each kernel position, where its element is the first largest of the window."""
    image = _padded(x, padding, _lowest(x.dtype))
    pieces = list(_pieces(image, kernel, stride, dilation, places))
    best = pieces[0].copy()
    for piece in pieces[1:]:
        np.maximum(best, piece, out=best)
    nans = x.dtype.kind not in "iu" and bool(np.isnan(best).any())
    allowed: Iterable[np.ndarray | None] = itertools.repeat(None)
    if any(map(any, padding)):  # -inf in the image is as large as the padding
        inside = _padded(np.ones((1, 1, *x.shape[2:]), bool), padding, False)
        allowed = _pieces(inside, kernel, stride, dilation, places)
    free = np.ones(best.shape, bool)
    for piece, within in zip(pieces, allowed, strict=False):
        hit = piece == best
        if nans:
            hit |= np.isnan(piece)
        if within is not None:
            hit &= within
        hit &= free
        free ^= hit
        yield hit


def max_pool_route(
    y: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """See `ops.pooling.MaxPoolRoute`."""
    (top, _), (left, _) = padding
    h, w = x.shape[2:]
    places = y.shape[2:]
    total = _padded(np.zeros(x.shape, y.dtype), padding)
    targets = _pieces(total, kernel, stride, dilation, places)
    winners = _winners(x, kernel, stride, padding, dilation, places)
    for hit, target in zip(winners, targets, strict=True):
        target += np.where(hit, y, 0)
    return total[:, :, top : top + h, left : left + w]


def max_pool_pick(
    values: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """See `ops.pooling.MaxPoolPick`."""
    places = _counts(x.shape[2:], kernel, stride, padding, dilation)
    sources = _pieces(_padded(values, padding), kernel, stride, dilation, places)
    y = np.zeros((*x.shape[:2], *places), values.dtype)
    winners = _winners(x, kernel, stride, padding, dilation, places)
    for hit, source in zip(winners, sources, strict=True):
        np.copyto(y, source, where=hit)
    return y


def window_sum(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> np.ndarray:
    """See `ops.pooling.WindowSum`."""
    places = _counts(x.shape[2:], kernel, stride, padding, dilation)
    pieces = _pieces(_padded(x, padding), kernel, stride, dilation, places)
    y = next(pieces).copy()
    for piece in pieces:
        y += piece
    return y


def window_spread(
    y: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, size: Pair
) -> np.ndarray:
    """See `ops.pooling.WindowSpread`."""
    (top, bottom), (left, right) = padding
    h, w = size
    total = np.zeros((*y.shape[:2], top + h + bottom, left + w + right), y.dtype)
    for target in _pieces(total, kernel, stride, dilation, y.shape[2:]):
        target += y
    return total[:, :, top : top + h, left : left + w]
