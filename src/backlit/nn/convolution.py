"""Convolution layers for signals (N, C, L), images (N, C, H, W) and volumes (N, C, D, H, W)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import zeros
from ..array_api.arguments import integers
from ..errors import ArgumentError, ShapeError
from ..random import Generator
from ..state import where_called
from ..tensor import Tensor, as_tensor
from . import functional, init
from .functional.places import Sizes, several
from .linear import positive
from .module import Module, Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """Base of the convolutions, which differ in the number of axes and the direction."""

    axes: ClassVar[int] = 2
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        name = type(self).__name__
        positive(self, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: in_channels and out_channels must be multiples of groups={groups}, got "
                f"{in_channels} and {out_channels}"
            )
        if isinstance(padding, str) and (self.transposed or padding not in ("same", "valid")):
            raise ArgumentError(
                f"{name}: padding must be integers"
                f"{'' if self.transposed else ', same or valid'}, got {padding!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = several(name, "kernel_size", kernel_size, self.axes, 1)
        self.stride = several(name, "stride", stride, self.axes, 1)
        self.padding = (
            padding if isinstance(padding, str) else several(name, "padding", padding, self.axes, 0)
        )
        self.dilation = several(name, "dilation", dilation, self.axes, 1)
        self.groups = groups
        modes = ("zeros",) if self.transposed else PADDING_MODES
        if padding_mode not in modes:
            raise ArgumentError(
                f"{name}: padding_mode must be one of {', '.join(map(repr, modes))}, got "
                f"{padding_mode!r}"
            )
        self.padding_mode = padding_mode
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ArgumentError(f"{name}: padding='same' needs stride 1, got {stride}")
        first, second = (
            (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        )
        shape = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(zeros(shape, dtype=dtype, device=device))
        self.bias: Parameter | None
        if bias:
            self.bias = Parameter(zeros((out_channels,), dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values, uniform in ±1/√(fan in)."""
        bound = 1 / math.sqrt(init.fans(self.weight)[0])
        init.uniform_(self.weight, -bound, bound, generator)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def extra_repr(self) -> str:
        """Channels, kernel, and what is not usual."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        for name, usual in (
            ("stride", (1,) * self.axes),
            ("padding", (0,) * self.axes),
            ("output_padding", (0,) * self.axes),
            ("dilation", (1,) * self.axes),
            ("groups", 1),
            ("padding_mode", "zeros"),
        ):
            value = getattr(self, name, usual)
            if value != usual:
                text += f", {name}={value!r}"
        return text if self.bias is not None else f"{text}, bias=False"


class _Direct(_Convolution):
    """Base of the convolutions that are not transposed: they pad in one of several ways."""

    function: ClassVar[str]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *places) -> (N, O, *places)."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x = functional.pad(x, self._widths(), self.padding_mode)
            padding = 0
        convolution = getattr(functional, self.function)
        return convolution(
            x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _widths(self) -> list[int]:
        """The padding as `functional.pad` takes it, from the last axis on."""
        if self.padding == "valid":
            return [0] * (2 * self.axes)
        widths: list[int] = []
        for axis in reversed(range(self.axes)):
            if isinstance(self.padding, str):
                reach = self.dilation[axis] * (self.kernel_size[axis] - 1)
                widths += [reach // 2, reach - reach // 2]
            else:
                widths += [self.padding[axis]] * 2
        return widths


class Conv1d(_Direct):
    """y = b + x ⋆ W, a learned kernel slid along a signal: see `functional.conv1d`.

        x: (N, C, L) or (C, L) -> (N, O, P),  weight: (O, C/groups, I), bias: (O)

    >>> Conv1d(3, 8, 5, padding="same")(zeros((2, 3, 20))).shape
    (2, 8, 20)

    `padding_mode` is "zeros", "reflect", "replicate" or "circular", see `functional.pad`.
    """

    axes = 1
    function = "conv1d"


class Conv2d(_Direct):
    """y = b + x ⋆ W, a learned kernel slid over an image: see `functional.conv2d`.

        x: (N, C, H, W) or (C, H, W) -> (N, O, P, Q),  weight: (O, C/groups, I, J), bias: (O)

    >>> Conv2d(3, 8, 3, stride=2, padding=1)(zeros((2, 3, 32, 32))).shape
    (2, 8, 16, 16)
    """

    function = "conv2d"


class Conv3d(_Direct):
    """y = b + x ⋆ W, a learned kernel slid through a volume: see `functional.conv3d`.

        x: (N, C, D, H, W) or (C, D, H, W) -> (N, O, P, Q, R),  weight: (O, C/groups, I, J, K)

    >>> Conv3d(3, 8, 3, stride=2, padding=1)(zeros((2, 3, 8, 8, 8))).shape
    (2, 8, 4, 4, 4)
    """

    axes = 3
    function = "conv3d"


class _Transposed(_Convolution):
    """Base of the transposed convolutions."""

    transposed = True
    function: ClassVar[str]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            generator=generator,
        )
        self.output_padding = several(
            type(self).__name__, "output_padding", output_padding, self.axes, 0
        )

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        """(N, I, *places) -> (N, O, *places), of `output_size` if the stride leaves a choice."""
        convolution = getattr(functional, self.function)
        extra = self.output_padding if output_size is None else self._extra(x, output_size)
        return convolution(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, x: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives an output of the wanted size."""
        sizes = integers(f"{type(self).__name__}: output_size", output_size)[-self.axes :]
        padding: Any = self.padding
        least = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                as_tensor(x).shape[-self.axes :], self.stride, padding, self.dilation,
                self.kernel_size, strict=True,
            )
        )  # fmt: skip
        extra = tuple(m - n for m, n in zip(sizes, least, strict=False))
        if len(sizes) != self.axes or not all(
            0 <= e < s for e, s in zip(extra, self.stride, strict=True)
        ):
            most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
            raise ShapeError(
                f"{type(self).__name__}: output_size must lie between {least} and {most}, got "
                f"{output_size}{where_called()}"
            )
        return extra


class ConvTranspose1d(_Transposed):
    """Each input element times a learned kernel, added up: see `functional.conv_transpose1d`.

        x: (N, I, L),  weight: (I, O/groups, K), bias: (O)

    >>> ConvTranspose1d(8, 3, 4, stride=2, padding=1)(zeros((2, 8, 10))).shape
    (2, 3, 20)
    """

    axes = 1

    function = "conv_transpose1d"


class ConvTranspose2d(_Transposed):
    """Each input element times a learned kernel, added up: see `functional.conv_transpose2d`.

        x: (N, I, H, W),  weight: (I, O/groups, K, L), bias: (O)

    >>> ConvTranspose2d(8, 3, 2, stride=2)(zeros((2, 8, 4, 5))).shape
    (2, 3, 8, 10)
    """

    function = "conv_transpose2d"


class ConvTranspose3d(_Transposed):
    """Each input element times a learned kernel, added up: see `functional.conv_transpose3d`.

        x: (N, I, D, H, W),  weight: (I, O/groups, K, L, M), bias: (O)

    >>> ConvTranspose3d(8, 3, 2, stride=2)(zeros((2, 8, 3, 4, 5))).shape
    (2, 3, 6, 8, 10)
    """

    axes = 3
    function = "conv_transpose3d"
