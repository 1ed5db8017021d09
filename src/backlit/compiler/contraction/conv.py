"""Convolutions of any rank and their gradients as contractions.

    y[b, g, o, i] = Σ_{c, t} w[g, o, c, t] · x[b, g, c, i · stride + t · dilation - padding]

Arrays are contiguous: x (N, C, *sizes), w (O, C / groups, *kernel), y (N, O, *out), as in
`nn.functional.conv2d`. Nothing is copied for a window: it is an address map (see `Window`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

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

    def forward(self) -> Contraction:
        """y from buffers (x, w, y): m = (batch, positions), n = outputs, k = (inputs, taps)."""
        x, w, y = self._arrays()
        none = (0,) * len(self.sizes)
        return Contraction(
            batch=(self.groups,),
            m=(self.batch, *self.out),
            n=(self.outputs // self.groups,),
            k=(self.inputs // self.groups, *self.kernel),
            a=x.operand(
                m=(x.image, *none),
                k=(x.channel, *none),
                windows=self._windows(m=self.stride, k=self.dilation),
            ),
            b=w.operand(n=(w.image,), k=(w.channel, *w.places)),
            outputs=(y.operand(m=(y.image, *y.places), n=(y.channel,)),),
        )

    def weight_gradient(self) -> Contraction:
        """gw from buffers (x, gy, gw): m = (inputs, taps), n = outputs, k = (batch, positions)."""
        x, w, y = self._arrays()
        none = (0,) * len(self.sizes)
        return Contraction(
            batch=(self.groups,),
            m=(self.inputs // self.groups, *self.kernel),
            n=(self.outputs // self.groups,),
            k=(self.batch, *self.out),
            a=x.operand(
                m=(x.channel, *none),
                k=(x.image, *none),
                windows=self._windows(m=self.dilation, k=self.stride),
            ),
            b=y.operand(n=(y.channel,), k=(y.image, *y.places)),
            outputs=(w.operand(m=(w.channel, *w.places), n=(w.image,)),),
        )

    def input_gradient(self) -> Contraction:
        """gx from buffers (gy, w, gx): m = (batch, positions), n = inputs, k = (outputs, taps).

        x[i] is read by y[j] through tap t where j · stride = i + padding - t · dilation.
        """
        x, w, y = self._arrays()
        none = (0,) * len(self.sizes)
        windows = tuple(
            Window(n, place, p, m=_step(i, 1, none), k=_step(i, -d, none), step=s)
            for i, (n, place, p, d, s) in enumerate(
                zip(self.out, y.places, self.padding, self.dilation, self.stride, strict=True)
            )
        )
        return Contraction(
            batch=(self.groups,),
            m=(self.batch, *self.sizes),
            n=(self.inputs // self.groups,),
            k=(self.outputs // self.groups, *self.kernel),
            a=y.operand(m=(y.image, *none), k=(y.channel, *none), windows=windows),
            b=w.operand(n=(w.channel,), k=(w.image, *w.places)),
            outputs=(x.operand(m=(x.image, *x.places), n=(x.channel,)),),
        )

    def _windows(self, m: Extents, k: Extents) -> tuple[Window, ...]:
        """The axes of the image: a step along m, or along k, moves so many places in it."""
        none = (0,) * len(self.sizes)
        axes = zip(self.sizes, _row_major(self.sizes), self.padding, m, k, strict=True)
        return tuple(
            Window(size, place, -p, m=_step(i, along_m, none), k=_step(i, along_k, none))
            for i, (size, place, p, along_m, along_k) in enumerate(axes)
        )

    def _arrays(self) -> tuple[_Array, _Array, _Array]:
        """x, w and y."""
        inputs, outputs = self.inputs // self.groups, self.outputs // self.groups
        positions, taps, out = map(math.prod, (self.sizes, self.kernel, self.out))
        batch, dtype = self.batch, self.dtype
        return (
            _Array(
                dtype, batch, self.inputs * positions, positions, inputs * positions, self.sizes
            ),
            _Array(dtype, self.outputs, inputs * taps, taps, outputs * inputs * taps, self.kernel),
            _Array(dtype, batch, self.outputs * out, out, outputs * out, self.out),
        )


@dataclass(frozen=True)
class _Array:
    """Strides of an array of images: from image to image, from channel to channel, of groups."""

    dtype: np.dtype
    images: int
    image: int
    channel: int
    group: int
    sizes: Extents

    @property
    def places(self) -> Extents:
        """Strides inside a channel."""
        return _row_major(self.sizes)

    def operand(self, **strides: Any) -> Operand:
        """The array as an operand of a contraction whose batch are the groups."""
        return Operand(self.dtype, self.images * self.image, batch=(self.group,), **strides)


def _row_major(sizes: Extents) -> Extents:
    return tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))


def _step(axis: int, step: int, none: Extents) -> Extents:
    """Coefficients of an outer index, which moves no window, and of the axes, of which one does."""
    return (0, *none[:axis], step, *none[axis + 1 :])
