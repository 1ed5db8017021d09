"""Convolution and pooling of signals (N, C, L) and images (N, C, H, W)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...array_api import matmul, reshape
from ...array_api.arguments import cached, whole
from ...backend.halves import as_one_op
from ...errors import ArgumentError, DTypeError, ShapeError
from ...op import Op, describe
from ...ops import convolution as products
from ...ops import movement, pooling
from ...promotion import floating
from ...tensor import Tensor, apply, wrap
from .common import given, where

Pair = tuple[int, int]
Sizes = int | Sequence[int]


def several(name: str, what: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """One integer for all axes, or one for each, none below `least`."""
    values = value if isinstance(value, list | tuple) else (value,) * axes
    try:
        integers = tuple([whole(what, n, least) for n in values])
    except ArgumentError:
        integers = ()
    if len(integers) != axes:
        raise ArgumentError(
            f"{name}: {what} must be an integer of at least {least}, or {axes} of them, "
            f"got {value!r:.60}{where()}"
        )
    return integers


def _batched(name: str, x: Any, axes: int) -> tuple[Tensor, bool]:
    """The input with a batch axis, and whether it was added."""
    x = given(x)
    letters = "L" if axes == 1 else "H, W"
    if x.ndim == axes + 1:
        return reshape(x, (1, *x.shape)), True
    if x.ndim != axes + 2:
        raise ShapeError(
            f"{name}: x must have shape (N, C, {letters}) or (C, {letters}), got "
            f"{describe(x)}{where()}"
        )
    return x, False


def _raised(values: tuple[int, ...], first: int) -> Any:
    """Values for one axis as values for two: signals are images with one row."""
    return values if len(values) == 2 else (first, *values)


def _image(x: Tensor) -> Tensor:
    """(N, C, L) as (N, C, 1, L)."""
    return x if x.ndim == 4 else reshape(x, (*x.shape[:2], 1, x.shape[2]))


def _back(y: Tensor, axes: int, lone: bool) -> Tensor:
    """The result without the row of a signal and the batch axis of a lone input."""
    shape = y.shape[1:] if lone else y.shape
    return reshape(y, (*shape[:-2], shape[-1]) if axes == 1 else shape)


def _biased(name: str, y: Tensor, bias: Tensor | None, axes: int) -> Tensor:
    if bias is None:
        return y
    bias = given(bias)
    channels = y.shape[y.ndim - axes - 1]
    if bias.shape != (channels,):
        raise ShapeError(
            f"{name}: bias must have one element for each of {channels} output channels, got "
            f"{describe(bias)}{where()}"
        )
    return y + reshape(bias, (channels, *(1,) * axes))


@as_one_op
def _applied(
    op: Op, x: Tensor, weight: Tensor, bias: Tensor | None, name: str, axes: int, lone: bool
) -> Tensor:
    y = apply(op, _image(x), _image(weight))
    return _biased(name, _back(y, axes, lone), bias, axes)


def _kernel(name: str, x: Tensor, weight: Tensor, axes: int) -> None:
    if weight.ndim != axes + 2:
        raise ShapeError(
            f"{name}: weight must have {axes + 2} axes, got {describe(weight)}{where()}"
        )
    if x.dtype != weight.dtype:
        raise DTypeError(
            f"{name}: x and weight must have one dtype, got x: {describe(x)} and "
            f"weight: {describe(weight)}; use x.astype('{weight.dtype.name}'){where()}"
        )


def _convolution(
    name: str,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    axes: int,
) -> Tensor:
    x, lone = _batched(name, x, axes)
    weight = given(weight)
    _kernel(name, x, weight, axes)
    steps = several(name, "stride", stride, axes, 1)
    spread = several(name, "dilation", dilation, axes, 1)
    several(name, "groups", groups, 1, 1)
    channels = weight.shape[1] * groups
    if x.shape[1] != channels:
        order = (0, x.ndim - 1, *range(1, x.ndim - 1))
        last = x.shape[-1] == channels
        cure = f"; channels come before places: permute_dims(x, {order})" if last else ""
        raise ShapeError(
            f"{name}: x must have {channels} channels (weight: {describe(weight)}, "
            f"groups: {groups}), got {describe(x)}{cure}{where()}"
        )
    if padding == "same":
        if any(s != 1 for s in steps):
            raise ArgumentError(f"{name}: padding='same' needs stride 1, got {stride}{where()}")
        reach = [d * (k - 1) for d, k in zip(spread, weight.shape[2:], strict=True)]
        border = tuple((r // 2, r - r // 2) for r in reach)
    elif padding == "valid":
        border = ((0, 0),) * axes
    elif isinstance(padding, str):
        raise ArgumentError(f"{name}: padding must be 'same', 'valid' or integers, got {padding!r}")
    else:
        border = tuple((p, p) for p in several(name, "padding", padding, axes, 0))
    op = cached(
        products.Convolution,
        _raised(steps, 1),
        border if axes == 2 else ((0, 0), *border),
        _raised(spread, 1),
        groups,
    )
    return _applied(op, x, weight, bias, name, axes, lone)


def conv1d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,o,p] = b[o] + Σ_{c,i} x[n, c, p·stride + i·dilation - padding] · w[o,c,i].

        x: (N, C, L) or (C, L), weight: (O, C/groups, I), bias: (O) -> (N, O, P)

    `padding="same"` keeps the length (with stride 1), `"valid"` is 0.

    >>> from backlit import tensor
    >>> conv1d(tensor([[1.0, 2.0, 4.0]]), tensor([[[-1.0, 1.0]]]))
    Tensor([[1., 2.]], shape=(1, 2), dtype=float32)
    """
    return _convolution("conv1d", x, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,o,p,q] = b[o] + Σ_{c,i,j} x[n, c, p·s + i·d - padding, q·s + j·d - padding] · w[o,c,i,j].

        x: (N, C, H, W) or (C, H, W), weight: (O, C/groups, I, J), bias: (O) -> (N, O, P, Q)

    `padding="same"` keeps height and width (with stride 1), `"valid"` is 0.

    >>> from backlit import tensor
    >>> conv2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), tensor([[[[1.0, 1.0]]]]))
    Tensor([[[3.],
             [7.]]], shape=(1, 2, 1), dtype=float32)
    """
    return _convolution("conv2d", x, weight, bias, stride, padding, dilation, groups, 2)


def _transposed(
    name: str,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
    axes: int,
) -> Tensor:
    x, lone = _batched(name, x, axes)
    weight = given(weight)
    _kernel(name, x, weight, axes)
    steps = several(name, "stride", stride, axes, 1)
    cut = several(name, "padding", padding, axes, 0)
    extra = several(name, "output_padding", output_padding, axes, 0)
    spread = several(name, "dilation", dilation, axes, 1)
    several(name, "groups", groups, 1, 1)
    if x.shape[1] != weight.shape[0] or x.shape[1] % groups:
        raise ShapeError(
            f"{name}: x must have {weight.shape[0]} channels, a multiple of groups={groups} "
            f"(weight: {describe(weight)}), got {describe(x)}{where()}"
        )
    if any(e >= s and e >= d for e, s, d in zip(extra, steps, spread, strict=True)):
        raise ArgumentError(
            f"{name}: output_padding must be smaller than stride or dilation, got "
            f"{output_padding}, {stride} and {dilation}{where()}"
        )
    whole = tuple(
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(x.shape[2:], steps, spread, weight.shape[2:], strict=True)
    )
    size = tuple(n - 2 * p + e for n, p, e in zip(whole, cut, extra, strict=True))
    if any(n < 1 for n in size):
        raise ShapeError(
            f"{name}: padding {padding} leaves nothing of the output, whose size would be {size} "
            f"(x: {describe(x)}, weight: {describe(weight)}){where()}"
        )
    # An image with a stride more behind its last window would have more windows than x has places:
    # then the whole image is made, cut, and filled up with zeros.
    far = any(e >= s for e, s in zip(extra, steps, strict=True))
    border = tuple((0, 0) if far else (p, p) for p in cut)
    op = cached(
        products.ConvolutionInput,
        _raised(steps, 1),
        border if axes == 2 else ((0, 0), *border),
        _raised(spread, 1),
        groups,
        _raised(whole if far else size, 1),
    )

    @as_one_op
    def applied(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = apply(op, _image(x), _image(weight))
        if far:
            kept = tuple(max(0, min(n - p, m)) for n, p, m in zip(whole, cut, size, strict=True))
            index = [(p, n, 1) for p, n in zip(cut, kept, strict=True)]
            batch = [(0, n, 1) for n in y.shape[: 4 - axes]]
            y = apply(cached(movement.Slice, (*batch, *index)), y)
            shape = (*y.shape[: 4 - axes], *size)
            y = apply(cached(movement.Place, tuple((0, n, 1) for n in y.shape), shape), y)
        return _biased(name, _back(y, axes, lone), bias, axes)

    return applied(x, weight, bias)


def conv_transpose1d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Each input element times the kernel, added into the output `stride` apart.

        x: (N, I, L), weight: (I, O/groups, K) -> (N, O, (L-1)·stride - 2·padding
                                                        + dilation·(K-1) + output_padding + 1)

    The gradient of `conv1d` for its input, as a layer. `output_padding` must be smaller than the
    stride or the dilation; what no input reaches is 0.

    >>> from backlit import tensor
    >>> conv_transpose1d(tensor([[1.0, 2.0]]), tensor([[[1.0, 10.0]]]), stride=2)
    Tensor([[ 1., 10.,  2., 20.]], shape=(1, 4), dtype=float32)
    """
    return _transposed(
        "conv_transpose1d", x, weight, bias, stride, padding, output_padding, groups, dilation, 1
    )


def conv_transpose2d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Each input element times the kernel, added into the output `stride` apart.

        x: (N, I, H, W), weight: (I, O/groups, K, L) -> (N, O, (H-1)·stride - 2·padding
                                                    + dilation·(K-1) + output_padding + 1, ...)

    The gradient of `conv2d` for its input, as a layer. `output_padding` must be smaller than the
    stride or the dilation; what no input reaches is 0.

    >>> from backlit import tensor
    >>> conv_transpose2d(tensor([[[1.0]]]), tensor([[[[1.0, 2.0]]]])).shape
    (1, 1, 2)
    """
    return _transposed(
        "conv_transpose2d", x, weight, bias, stride, padding, output_padding, groups, dilation, 2
    )


# -- pooling ------------------------------------------------------------------------------------


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
        x, self.lone = _batched(name, x, axes)
        self.x = floating(x)
        self.axes = axes
        self.kernel = several(name, "kernel_size", kernel_size, axes, 1)
        self.stride = self.kernel if stride is None else several(name, "stride", stride, axes, 1)
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

    @property
    def windows(self) -> tuple[Any, ...]:
        """The attributes of the ops."""
        one_row = self.axes == 1
        return (
            _raised(self.kernel, 1),
            _raised(self.stride, 1),
            ((0, 0), *self.border) if one_row else self.border,
            _raised(self.dilation, 1),
        )

    def run(self, op: type) -> Tensor:
        """The op over all windows."""
        y = apply(cached(op, *self.windows), _image(self.x))
        return _back(y, self.axes, self.lone)

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
        count = sizes[0] if self.axes == 1 else np.multiply.outer(*sizes)
        return total / wrap(count.astype(total.dtype))


def max_pool1d(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window; the gradient goes to it, the first of several.

        x: (N, C, L) -> (N, C, ⌊(L + 2·padding - dilation·(kernel_size-1) - 1) / stride⌋ + 1)

    `stride` is `kernel_size` if not given; `ceil_mode` rounds the number of windows up.

    >>> from backlit import tensor
    >>> max_pool1d(tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[3., 2.]], shape=(1, 2), dtype=float32)
    """
    pool = _Pool("max_pool1d", x, kernel_size, stride, padding, dilation, ceil_mode, 1)
    return pool.run(pooling.MaxPool)


def max_pool2d(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window; the gradient goes to it, the first of several.

        x: (N, C, H, W) or (C, H, W) -> (N, C, P, Q)

    `stride` is `kernel_size` if not given; `ceil_mode` rounds the number of windows up.

    >>> from backlit import tensor
    >>> max_pool2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2)
    Tensor([[[4.]]], shape=(1, 1, 1), dtype=float32)
    """
    pool = _Pool("max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode, 2)
    return pool.run(pooling.MaxPool)


@as_one_op
def avg_pool1d(
    x: Any,
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
    pool = _Pool("avg_pool1d", x, kernel_size, stride, padding, 1, ceil_mode, 1)
    return pool.mean(count_include_pad, None)


@as_one_op
def avg_pool2d(
    x: Any,
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
    if divisor_override is not None and divisor_override < 1:
        raise ArgumentError(
            f"avg_pool2d: divisor_override must be positive, got {divisor_override}"
        )
    pool = _Pool("avg_pool2d", x, kernel_size, stride, padding, 1, ceil_mode, 2)
    return pool.mean(count_include_pad, divisor_override)


def _averages(size: int, windows: int, dtype: Any) -> np.ndarray:
    """The matrix (windows, size) whose row i takes the mean of window i."""
    matrix = np.zeros((windows, size), dtype)
    for i in range(windows):
        start, stop = i * size // windows, -(-(i + 1) * size // windows)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


@as_one_op
def adaptive_avg_pool2d(x: Any, output_size: Any) -> Tensor:
    """The means of `output_size` windows that share the image out evenly.

        x: (N, C, H, W) or (C, H, W) -> (N, C, *output_size)

    Window i of n goes from ⌊i·H/n⌋ to ⌈(i+1)·H/n⌉. A size of None keeps the axis.

    >>> from backlit import tensor
    >>> adaptive_avg_pool2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), 1)
    Tensor([[[2.5]]], shape=(1, 1, 1), dtype=float32)
    """
    x, lone = _batched("adaptive_avg_pool2d", x, 2)
    pair = output_size if isinstance(output_size, tuple | list) else (output_size,) * 2
    sizes = several(
        "adaptive_avg_pool2d",
        "output_size",
        tuple(n if m is None else m for m, n in zip(pair, x.shape[2:], strict=False)),
        2,
        1,
    )
    h, w = x.shape[2:]
    if h == 0 or w == 0:
        raise ShapeError(f"adaptive_avg_pool2d: the image must not be empty, got {describe(x)}")
    if h % sizes[0] == 0 and w % sizes[1] == 0:
        y = avg_pool2d(x, (h // sizes[0], w // sizes[1]))
    else:
        x = floating(x)
        rows, columns = (wrap(_averages(n, m, x.dtype)) for n, m in zip((h, w), sizes, strict=True))
        y = matmul(matmul(rows, x), columns.mT)
    return _back(y, 2, lone)
