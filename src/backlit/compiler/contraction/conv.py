"""Convolutions of any rank and their gradients as contractions.

    y[b, g, o, i] = Σ_{c, t} w[g, o, c, t] · x[b, g, c, i · stride + t · dilation - padding]

Arrays are contiguous: x (N, C, *sizes), w (O, C / groups, *kernel), y (N, O, *out), as in
`nn.functional.conv2d`. Nothing is copied for a window: it is an address map (see `Window`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...dtypes import float32
from .spec import Contraction, Extents, Operand, Window


@dataclass(frozen=True)
class ConvolutionGeometry:
    """The sizes of a convolution; stride, padding and dilation have one number for each axis.

    >>> conv = ConvolutionGeometry(2, 3, 8, (5, 7), (3, 3), (2, 2), (1, 1), (1, 1))
    >>> conv.out
    (3, 4)
    """

    batch: int
    inputs: int
    outputs: int
    sizes: Extents
    kernel: Extents
    stride: Extents
    padding: Extents
    dilation: Extents
    groups: int = 1
    dtype: np.dtype = float32

    @property
    def out(self) -> Extents:
        """The spatial sizes of y: ⌊(size + 2 padding - dilation (kernel - 1) - 1) / stride⌋ + 1."""
        return tuple(
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip(
                self.sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )

    def _windows(self, m: Extents, k: Extents) -> tuple[Window, ...]:
        """The axes of the image: a step along m, or along k, moves so many places in it."""
        rank = len(self.sizes)
        return tuple(
            Window(
                self.sizes[i],
                _row_major(self.sizes)[i],
                -self.padding[i],
                m=(0, *_unit(rank, i, m[i])),
                k=(0, *_unit(rank, i, k[i])),
            )
            for i in range(rank)
        )

    def forward(self) -> Contraction:
        """y from buffers (x, w, y): m = (batch, positions), n = outputs, k = (inputs, taps)."""
        rank = len(self.sizes)
        taps, out = math.prod(self.kernel), self.out
        x, w, y = self._channels()
        windows = self._windows(self.stride, self.dilation)
        return Contraction(
            batch=(self.groups,),
            m=(self.batch, *out),
            n=(y.per_group,),
            k=(x.per_group, *self.kernel),
            a=Operand(
                self.dtype,
                x.size,
                batch=(x.per_group * x.channel,),
                m=(x.image, *(0,) * rank),
                k=(x.channel, *(0,) * rank),
                windows=windows,
            ),
            b=Operand(
                self.dtype,
                w.size,
                batch=(y.per_group * w.image,),
                n=(w.image,),
                k=(taps, *_row_major(self.kernel)),
            ),
            outputs=(
                Operand(
                    self.dtype,
                    y.size,
                    batch=(y.per_group * y.channel,),
                    m=(y.image, *_row_major(out)),
                    n=(y.channel,),
                ),
            ),
        )

    def weight_gradient(self, *, accumulate: bool = False) -> Contraction:
        """gw from buffers (x, gy, gw): m = (inputs, taps), n = outputs, k = (batch, positions)."""
        rank = len(self.sizes)
        taps, out = math.prod(self.kernel), self.out
        x, w, y = self._channels()
        windows = self._windows(self.dilation, self.stride)
        return Contraction(
            batch=(self.groups,),
            m=(x.per_group, *self.kernel),
            n=(y.per_group,),
            k=(self.batch, *out),
            a=Operand(
                self.dtype,
                x.size,
                batch=(x.per_group * x.channel,),
                m=(x.channel, *(0,) * rank),
                k=(x.image, *(0,) * rank),
                windows=windows,
            ),
            b=Operand(
                self.dtype,
                y.size,
                batch=(y.per_group * y.channel,),
                n=(y.channel,),
                k=(y.image, *_row_major(out)),
            ),
            outputs=(
                Operand(
                    self.dtype,
                    w.size,
                    batch=(y.per_group * w.image,),
                    m=(taps, *_row_major(self.kernel)),
                    n=(w.image,),
                ),
            ),
            accumulate=accumulate,
        )

    def input_gradient(self) -> Contraction:
        """gx from buffers (gy, w, gx): m = (batch, positions), n = inputs, k = (outputs, taps).

        x[i] is read by y[j] through tap t where j · stride = i + padding - t · dilation.
        """
        rank = len(self.sizes)
        taps, out = math.prod(self.kernel), self.out
        x, w, y = self._channels()
        windows = tuple(
            Window(
                out[i],
                _row_major(out)[i],
                self.padding[i],
                m=(0, *_unit(rank, i, 1)),
                k=(0, *_unit(rank, i, -self.dilation[i])),
                step=self.stride[i],
            )
            for i in range(rank)
        )
        return Contraction(
            batch=(self.groups,),
            m=(self.batch, *self.sizes),
            n=(x.per_group,),
            k=(y.per_group, *self.kernel),
            a=Operand(
                self.dtype,
                y.size,
                batch=(y.per_group * y.channel,),
                m=(y.image, *(0,) * rank),
                k=(y.channel, *(0,) * rank),
                windows=windows,
            ),
            b=Operand(
                self.dtype,
                w.size,
                batch=(y.per_group * w.image,),
                n=(taps,),
                k=(w.image, *_row_major(self.kernel)),
            ),
            outputs=(
                Operand(
                    self.dtype,
                    x.size,
                    batch=(x.per_group * x.channel,),
                    m=(x.image, *_row_major(self.sizes)),
                    n=(x.channel,),
                ),
            ),
        )

    def _channels(self) -> tuple[_Channels, _Channels, _Channels]:
        positions, out = math.prod(self.sizes), math.prod(self.out)
        inputs, outputs = self.inputs // self.groups, self.outputs // self.groups
        return (
            _Channels(inputs, positions, self.inputs * positions, self.batch),
            _Channels(inputs, 1, inputs * math.prod(self.kernel), self.outputs),
            _Channels(outputs, out, self.outputs * out, self.batch),
        )


@dataclass(frozen=True)
class _Channels:
    """Strides of an array: from channel to channel and from image to image."""

    per_group: int
    channel: int
    image: int
    images: int

    @property
    def size(self) -> int:
        return self.image * self.images


def _row_major(sizes: Extents) -> Extents:
    return tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))


def _unit(rank: int, axis: int, value: int) -> Extents:
    return tuple(value if i == axis else 0 for i in range(rank))
