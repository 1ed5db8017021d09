"""Pooling: the largest, the mean, the norm of each window of a signal, an image or a volume.

Windows are boxes, so the largest of a volume is found along height and width first and then along
the depth, and sums are added up in the same order; of several largest elements the first in
row-major order wins, as in PyTorch.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from ...array_api import abs, arange, broadcast_to, reshape, sign
from ...array_api.arguments import cached, number
from ...backend.halves import as_one_op
from ...dtypes import int64
from ...errors import ArgumentError
from ...ops import pooling
from ...ops.convolution import window_count
from ...precision import in_float32
from ...promotion import floating
from ...state import where_called
from ...tensor import Tensor, apply, wrap
from .activation import relu
from .common import given
from .places import Pair, Sizes, back, batched, image, raised, several


class _Pool:
    """The windows of one pooling, checked and completed."""

    def __init__(
        self,
        name: str,
        x: Any,
        kernel_size: Sizes,
        stride: Sizes | None,
        padding: Sizes,
        dilation: Sizes,
        ceil_mode: bool,
        axes: int,
    ):
        x, self.lone = batched(name, x, axes)
        self.x = floating(x)
        self.axes = axes
        self.kernel = several(name, "kernel_size", kernel_size, axes, 1)
        self.stride = (
            self.kernel if stride in (None, (), []) else several(name, "stride", stride, axes, 1)
        )
        self.cut = several(name, "padding", padding, axes, 0)
        self.dilation = several(name, "dilation", dilation, axes, 1)
        if any(2 * p > k for p, k in zip(self.cut, self.kernel, strict=True)):
            raise ArgumentError(
                f"{name}: padding must be at most half of kernel_size, got {padding} and "
                f"{kernel_size}"
            )
        self.border: tuple[Pair, ...] = tuple(
            (p, p + self._beyond(a) if ceil_mode else p) for a, p in enumerate(self.cut)
        )

    def _beyond(self, a: int) -> int:
        """How far the last window reaches over the edge if the number of windows is rounded up."""
        n, p, s = self.x.shape[2 + a], self.cut[a], self.stride[a]
        reach = self.dilation[a] * (self.kernel[a] - 1) + 1
        count = -(-(n + 2 * p - reach) // s) + 1
        if (count - 1) * s >= n + p:
            count -= 1  # a window must start inside, or in the left border
        return max(0, (count - 1) * s + reach - n - 2 * p)

    def _windows(self, axes: slice) -> tuple[Any, ...]:
        """The attributes of the ops, for one or two of the axes."""
        border = self.border[axes]
        return (
            raised(self.kernel[axes], 1),
            raised(self.stride[axes], 1),
            border if len(border) == 2 else ((0, 0), *border),
            raised(self.dilation[axes], 1),
        )

    def _stages(self) -> list[tuple[Any, Any]]:
        """One after the other: what makes four axes of a Tensor, and the windows there.

        A signal is an image with one row. A volume is pooled as images, one for each depth, and
        then along the depth, where all places of an image are the columns.
        """
        if self.axes < 3:
            return [(image, self._windows(slice(0, 2)))]
        kernel, stride, border, dilation = (w[::-1] for w in self._windows(slice(0, 1)))
        depth = (kernel, stride, border, dilation)
        return [
            (_depths_as_channels, self._windows(slice(1, 3))),
            (lambda y: _depths_as_rows(y, self.x.shape[2]), depth),
        ]

    def _finished(self, y: Tensor) -> Tensor:
        """The result of the last stage with the axes of x."""
        if self.axes < 3:
            return back(y, self.axes, self.lone)
        n, c, depth, _ = y.shape
        along = zip(
            self.x.shape[3:], self.kernel[1:], self.stride[1:], self.border[1:], self.dilation[1:],
            strict=True,
        )  # fmt: skip
        places = [window_count(*each) for each in along]
        return reshape(y, (c, depth, *places) if self.lone else (n, c, depth, *places))

    def run(self, op: type) -> Tensor:
        """The op over all windows."""
        y = self.x
        for prepared, windows in self._stages():
            y = apply(cached(op, *windows), prepared(y))
        return self._finished(y)

    def largest(self, return_indices: bool) -> Any:
        """The largest element of each window, and with `return_indices` where it stands."""
        if not return_indices:
            return self.run(pooling.MaxPool)
        y, indices = self.x, positions(self.x)
        for prepared, windows in self._stages():
            y, indices = prepared(y), prepared(indices)
            indices = apply(cached(pooling.MaxPoolPick, *windows), indices, y.detach())
            y = apply(cached(pooling.MaxPool, *windows), y)
        return self._finished(y), self._finished(indices)

    def sizes(self, count_include_pad: bool) -> list[np.ndarray]:
        """How many elements each window has along each axis."""
        result = []
        for a, (before, after) in enumerate(self.border):
            n, p = self.x.shape[2 + a], self.cut[a]
            places = (n + before + after - self.kernel[a]) // self.stride[a] + 1
            start = np.arange(places) * self.stride[a] - p
            low, high = (-p, n + p) if count_include_pad else (0, n)
            stop = np.minimum(start + self.kernel[a], high)
            result.append(stop - np.maximum(start, low))
        return result

    def mean(self, count_include_pad: bool, divisor: int | None) -> Tensor:
        """The sums divided by the number of elements of each window, or by a given number."""
        total = self.run(pooling.WindowSum)
        if divisor is not None:
            return total / divisor
        sizes = self.sizes(count_include_pad)
        if all((n == k).all() for n, k in zip(sizes, self.kernel, strict=True)):
            return total / math.prod(self.kernel)
        return total / wrap(reduce(np.multiply.outer, sizes).astype(total.dtype))


def _depths_as_channels(x: Tensor) -> Tensor:
    """(N, C, D, H, W) as images (N, C·D, H, W)."""
    n, c, d, h, w = x.shape
    return reshape(x, (n, c * d, h, w))


def _depths_as_rows(y: Tensor, depth: int) -> Tensor:
    """Pooled images (N, C·D, P, Q) as (N, C, D, P·Q)."""
    n, c, p, q = y.shape
    return reshape(y, (n, c // depth, depth, p * q))


def positions(x: Tensor) -> Tensor:
    """For each place of (N, C, *places) its number in row-major order."""
    places = x.shape[2:]
    numbers = reshape(arange(math.prod(places), dtype=int64), (1, 1, *places))
    return broadcast_to(numbers, x.shape)


def max_pool1d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window; the gradient goes to it, the first of several.

        x: (N, C, L) -> (N, C, ⌊(L + 2·padding - dilation·(kernel_size-1) - 1) / stride⌋ + 1)

    `stride` is `kernel_size` if not given; `ceil_mode` rounds the number of windows up. With
    `return_indices` there are two results: also where each largest element stands, counted over
    all places of its channel in row-major order, as `max_unpool1d` takes it.

    >>> from backlit import tensor
    >>> max_pool1d(tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[3., 2.]], shape=(1, 2), dtype=float32)
    """
    pool = _Pool("max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, 1)
    return pool.largest(return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window; the gradient goes to it, the first of several.

        x: (N, C, H, W) or (C, H, W) -> (N, C, P, Q)

    `stride` is `kernel_size` if not given; `ceil_mode` rounds the number of windows up. With
    `return_indices` there are two results: also where each largest element stands, counted over
    all places of its channel in row-major order, as `max_unpool2d` takes it.

    >>> from backlit import tensor
    >>> max_pool2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2)
    Tensor([[[4.]]], shape=(1, 1, 1), dtype=float32)
    """
    pool = _Pool("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, 2)
    return pool.largest(return_indices)


@in_float32
def max_pool3d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of a volume; the gradient goes to it.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, C, P, Q, R)

    As `max_pool2d`; of several largest elements the first in row-major order wins.

    >>> from backlit import tensor
    >>> max_pool3d(tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]]), (2, 1, 2)).tolist()
    [[[[3.0]]]]
    """
    pool = _Pool("max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode, 3)
    return pool.largest(return_indices)


def _divisor(name: str, divisor: int | None) -> int | None:
    if divisor == 0:
        raise ArgumentError(f"{name}: divisor_override must not be 0{where_called()}")
    return divisor


@as_one_op
def avg_pool1d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window; the zeros of the border count unless `count_include_pad` is False.

    >>> from backlit import tensor
    >>> avg_pool1d(tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[2., 1.]], shape=(1, 2), dtype=float32)
    """
    pool = _Pool("avg_pool1d", input, kernel_size, stride, padding, 1, ceil_mode, 1)
    return pool.mean(count_include_pad, None)


@as_one_op
def avg_pool2d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window; the zeros of the border count unless `count_include_pad` is False.

    With `divisor_override` the sums are divided by it instead.

    >>> from backlit import tensor
    >>> avg_pool2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2)
    Tensor([[[2.5]]], shape=(1, 1, 1), dtype=float32)
    """
    divisor = _divisor("avg_pool2d", divisor_override)
    pool = _Pool("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode, 2)
    return pool.mean(count_include_pad, divisor)


@in_float32
@as_one_op
def avg_pool3d(
    input: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of a volume, with the settings of `avg_pool2d`.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, C, P, Q, R)

    >>> from backlit import tensor
    >>> avg_pool3d(tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), (2, 1, 2)).tolist()
    [[[[2.5]]]]
    """
    divisor = _divisor("avg_pool3d", divisor_override)
    pool = _Pool("avg_pool3d", input, kernel_size, stride, padding, 1, ceil_mode, 3)
    return pool.mean(count_include_pad, divisor)


@as_one_op
def _norm_pool(
    name: str,
    x: Any,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None,
    ceil_mode: bool,
    axes: int,
) -> Tensor:
    p = number(f"{name}: norm_type", norm_type)
    pool = _Pool(name, floating(given(x)) ** p, kernel_size, stride, 0, 1, ceil_mode, axes)
    total = pool.mean(True, None)
    return (sign(total) * relu(abs(total)) * math.prod(pool.kernel)) ** (1 / p)


def lp_pool1d(
    input: Any,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window: the sum for p = 1, near the maximum for large p.

        x: (N, C, L) or (C, L) -> (N, C, P)

    Where the sum is 0 there is no gradient but NaN, as in PyTorch.

    >>> from backlit import tensor
    >>> lp_pool1d(tensor([[3.0, 4.0]]), 2, 2).tolist()
    [[5.0]]
    """
    return _norm_pool("lp_pool1d", input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(
    input: Any,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of an image: see `lp_pool1d`.

        x: (N, C, H, W) or (C, H, W) -> (N, C, P, Q)

    >>> from backlit import tensor
    >>> lp_pool2d(tensor([[[3.0, 4.0]]]), 2, (1, 2)).tolist()
    [[[5.0]]]
    """
    return _norm_pool("lp_pool2d", input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(
    input: Any,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of a volume: see `lp_pool1d`.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, C, P, Q, R)

    >>> from backlit import tensor
    >>> lp_pool3d(tensor([[[[3.0, 4.0]]]]), 2, (1, 1, 2)).tolist()
    [[[[5.0]]]]
    """
    return _norm_pool("lp_pool3d", input, norm_type, kernel_size, stride, ceil_mode, 3)
