"""Convolutions of any rank and their gradients as contractions.

    y[b, g, o, i] = Σ_{c, t} w[g, o, c, t] · x[b, g, c, i · stride + t · dilation - padding]

Arrays are contiguous: x (N, C, *sizes), w (O, C / groups, *kernel), y (N, O, *out), as in
`nn.functional.conv2d`. Nothing is copied for a window: it is an address map (see `Window`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ...dtypes import float32
from .spec import Contraction, Extents, Operand, Window


@dataclass(frozen=True)
class Convolution:
    """The sizes of a convolution; stride, padding and dilation have one number for each axis.

    >>> conv = Convolution(2, 3, 8, (5, 7), (3, 3), (2, 2), (1, 1), (1, 1))
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
        rank = len(self.sizes)
        taps, out = math.prod(self.kernel), self.out
        x, w, y = self._channels()
        windows = tuple(
            Window(
                self.sizes[i],
                _row_major(self.sizes)[i],
                -self.padding[i],
                m=(0, *_unit(rank, i, self.stride[i])),
                k=(0, *_unit(rank, i, self.dilation[i])),
            )
            for i in range(rank)
        )
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
        windows = tuple(
            Window(
                self.sizes[i],
                _row_major(self.sizes)[i],
                -self.padding[i],
                m=(0, *_unit(rank, i, self.dilation[i])),
                k=(0, *_unit(rank, i, self.stride[i])),
            )
            for i in range(rank)
        )
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

    def input_gradient(self) -> tuple[Contraction, ...]:
        """gx from buffers (gy, w, gx), one contraction for each residue of a position mod stride.

        x[i] is read by y[j] through tap t where j · stride + t · dilation - padding = i. For
        positions i = r + stride · i' the taps that can are an arithmetic progression, and j is i'
        plus a multiple of the tap's number: a convolution of stride 1. Residues that no tap reaches
        are zero: one empty sum over all of gx comes first, so the contractions run in order.
        """
        each = [
            [_Residue.of(r, size, k, s, p, d) for r in range(min(s, size))]
            for size, k, s, p, d in zip(
                self.sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        ]
        every = list(itertools.product(*each))
        reached = [r for r in every if all(one.taps for one in r)]
        found = [self._residue(r) for r in reached]
        if len(reached) < len(every):
            found.insert(0, self._zeros())
        return tuple(found)

    def _zeros(self) -> Contraction:
        x, w, y = self._channels()
        lines = Operand(self.dtype, x.size, m=(math.prod(self.sizes),), n=(1,))
        return Contraction(
            m=(x.size // max(1, math.prod(self.sizes)),),
            n=(math.prod(self.sizes),),
            k=(0,),
            a=Operand(self.dtype, y.size),
            b=Operand(self.dtype, w.size),
            outputs=(lines,),
        )

    def _residue(self, residues: tuple[_Residue, ...]) -> Contraction:
        rank = len(self.sizes)
        taps, out = math.prod(self.kernel), self.out
        x, w, y = self._channels()
        lines = _row_major(self.sizes)
        steps = _row_major(self.kernel)
        windows = tuple(
            Window(
                out[i],
                _row_major(out)[i],
                r.start,
                m=(0, *_unit(rank, i, 1)),
                k=(0, *_unit(rank, i, -r.back)),
            )
            for i, r in enumerate(residues)
        )
        return Contraction(
            batch=(self.groups,),
            m=(self.batch, *(r.positions for r in residues)),
            n=(x.per_group,),
            k=(y.per_group, *(r.taps for r in residues)),
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
                k=(w.image, *(r.step * s for r, s in zip(residues, steps, strict=True))),
                offset=sum(r.first * s for r, s in zip(residues, steps, strict=True)),
            ),
            outputs=(
                Operand(
                    self.dtype,
                    x.size,
                    batch=(x.per_group * x.channel,),
                    m=(x.image, *(s * n for s, n in zip(self.stride, lines, strict=True))),
                    n=(x.channel,),
                    offset=sum(r.number * n for r, n in zip(residues, lines, strict=True)),
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


@dataclass(frozen=True)
class _Residue:
    """The positions number + stride · i' of one axis and the taps that reach them.

    Tap first + step · t reads y at start + i' - back · t.
    """

    number: int
    positions: int
    first: int
    step: int
    taps: int
    start: int
    back: int

    @staticmethod
    def of(r: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> _Residue:
        reach = [t for t in range(kernel) if (r + padding - t * dilation) % stride == 0]
        positions = len(range(r, size, stride))
        if not reach:
            return _Residue(r, positions, 0, 1, 0, 0, 0)
        step = stride // math.gcd(stride, dilation)
        start = (r + padding - reach[0] * dilation) // stride
        return _Residue(r, positions, reach[0], step, len(reach), start, step * dilation // stride)


def _row_major(sizes: Extents) -> Extents:
    return tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))


def _unit(rank: int, axis: int, value: int) -> Extents:
    return tuple(value if i == axis else 0 for i in range(rank))
