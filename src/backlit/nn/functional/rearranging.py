"""Elements in other places: pixels and channels, and images as the patches under a window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...array_api import pad, permute_dims, reshape, take
from ...array_api.arguments import whole
from ...array_api.primitives import take_add
from ...errors import ShapeError
from ...op import describe
from ...ops.convolution import window_count
from ...state import where_called
from ...tensor import Tensor, wrap
from .common import given
from .places import Pair, Sizes, batched, several


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Channels as places: y[…, c, h·r + i, w·r + j] = x[…, c·r² + i·r + j, h, w].

        x: (..., C·r², H, W) -> (..., C, H·r, W·r) for upscale_factor r

    Source: Shi et al., "Real-time single image and video super-resolution", CVPR 2016, eq. 4.

    >>> from backlit import tensor
    >>> pixel_shuffle(tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    x, r = given(input), whole("pixel_shuffle: upscale_factor", upscale_factor)
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ShapeError(
            f"pixel_shuffle: x must have shape (..., C, H, W) with C a multiple of {r}² = {r * r}, "
            f"got {describe(x)}{where_called()}"
        )
    *before, c, h, w = x.shape
    n = len(before)
    y = reshape(x, (*before, c // (r * r), r, r, h, w))
    y = permute_dims(y, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(y, (*before, c // (r * r), h * r, w * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Places as channels, the way back from `pixel_shuffle`.

        x: (..., C, H·r, W·r) -> (..., C·r², H, W) for downscale_factor r

    >>> from backlit import tensor
    >>> pixel_unshuffle(tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).tolist()
    [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]
    """
    x, r = given(input), whole("pixel_unshuffle: downscale_factor", downscale_factor)
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(
            f"pixel_unshuffle: x must have shape (..., C, H, W) with H and W multiples of {r}, got "
            f"{describe(x)}{where_called()}"
        )
    *before, c, h, w = x.shape
    n = len(before)
    y = reshape(x, (*before, c, h // r, r, w // r, r))
    y = permute_dims(y, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(y, (*before, c * r * r, h // r, w // r))


def channel_shuffle(input: Any, groups: int) -> Tensor:
    """The channels of several groups in turn: the first of each group, then the second of each.

        x: (N, C, ...) with C a multiple of groups

    Source: Zhang et al., "ShuffleNet", CVPR 2018, sec. 3.1.

    >>> from backlit import tensor
    >>> channel_shuffle(tensor([[[1.0], [2.0], [3.0], [4.0]]]), 2).tolist()
    [[[1.0], [3.0], [2.0], [4.0]]]
    """
    x, g = given(input), whole("channel_shuffle: groups", groups)
    if x.ndim < 3 or x.shape[1] % g:
        raise ShapeError(
            f"channel_shuffle: x must have shape (N, C, L, ...) with C a multiple of groups={g}, "
            f"got {describe(x)}{where_called()}"
        )
    n, c, *places = x.shape
    y = reshape(x, (n, g, c // g, math.prod(places)))
    return reshape(permute_dims(y, (0, 2, 1, 3)), x.shape)


class _Patches:
    """The patches under a window of an image, and where they lie in the padded image."""

    def __init__(
        self, name: str, size: Pair, kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes
    ):
        self.kernel = several(name, "kernel_size", kernel, 2, 1)
        self.border = several(name, "padding", padding, 2, 0)
        spread = several(name, "dilation", dilation, 2, 1)
        steps = several(name, "stride", stride, 2, 1)
        self.padded = tuple(n + 2 * p for n, p in zip(size, self.border, strict=True))
        along = zip(self.padded, self.kernel, steps, spread, strict=True)
        self.counts = tuple(window_count(n, k, s, (0, 0), d) for n, k, s, d in along)
        if min(self.counts) < 1:
            raise ShapeError(
                f"{name}: the window {self.kernel} with dilation {spread} must fit into the image "
                f"{size} with padding {self.border}{where_called()}"
            )
        rows, columns = (
            (np.arange(k) * d)[:, None] + np.arange(m) * s
            for k, d, m, s in zip(self.kernel, spread, self.counts, steps, strict=True)
        )
        flat = rows[:, None, :, None] * self.padded[1] + columns[None, :, None, :]
        #: For each element of the window and each patch its place in row-major order.
        self.places = wrap(flat.ravel())

    @property
    def shape(self) -> Pair:
        """(elements of the window, patches)."""
        return math.prod(self.kernel), math.prod(self.counts)


def unfold(
    input: Any,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The patches under a sliding window, each as a column: im2col.

        x: (N, C, H, W) or (C, H, W) -> (N, C·I·J, patches) for a window (I, J)

    A convolution is the product of its kernel as a matrix with this.

    >>> from backlit import tensor
    >>> unfold(tensor([[[1.0, 2.0, 4.0]]]), (1, 2)).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    x, lone = batched("unfold", input, 2)
    n, c, h, w = x.shape
    patches = _Patches("unfold", (h, w), kernel_size, dilation, padding, stride)
    top, left = patches.border
    if top or left:
        x = pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    elements, count = patches.shape
    y = take(reshape(x, (n, c, math.prod(patches.padded))), patches.places, axis=2)
    y = reshape(y, (n, c * elements, count))
    return y[0] if lone else y


def fold(
    input: Any,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Patches added up where they lie in an image: the adjoint of `unfold`, col2im.

        x: (N, C·I·J, patches) or (C·I·J, patches) -> (N, C, *output_size)

    What several patches share is their sum, so `fold(unfold(x))` is x times their number.

    >>> from backlit import tensor
    >>> fold(tensor([[1.0, 2.0], [2.0, 4.0]]), (1, 3), (1, 2)).tolist()
    [[[1.0, 4.0, 4.0]]]
    """
    x = given(input)
    size = several("fold", "output_size", output_size, 2, 1)
    patches = _Patches("fold", (size[0], size[1]), kernel_size, dilation, padding, stride)
    elements, count = patches.shape
    lone = x.ndim == 2
    x = x[None] if lone else x
    if x.ndim != 3 or x.shape[1] % elements or x.shape[2] != count:
        raise ShapeError(
            f"fold: x must have shape (N, C·{elements}, {count}) for the window {patches.kernel} "
            f"and an image {size}, got {describe(given(input))}{where_called()}"
        )
    n, c = x.shape[0], x.shape[1] // elements
    columns = reshape(x, (n, c, elements * count))
    y = take_add(columns, patches.places, 2, math.prod(patches.padded))
    y = reshape(y, (n, c, *patches.padded))
    top, left = patches.border
    y = y[:, :, top : top + size[0], left : left + size[1]]
    return y[0] if lone else y
