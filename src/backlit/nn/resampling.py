"""Layers that change the number of places: upsampling, pixels from channels, patches."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional
from .functional.places import Sizes
from .module import Module


class Upsample(Module):
    """A signal, image or volume with another number of places: see `functional.interpolate`.

        x: (N, C, L), (N, C, H, W) or (N, C, D, H, W)

    Give `size` or `scale_factor`. `mode` is "nearest", "linear", "bilinear", "bicubic" or
    "trilinear".

    >>> from backlit import zeros
    >>> Upsample(scale_factor=2)(zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):
        super().__init__()
        self.size = size
        if isinstance(scale_factor, tuple | list):
            scale_factor = tuple(float(s) for s in scale_factor)
        self.scale_factor = float(scale_factor) if isinstance(scale_factor, int) else scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *places) -> (N, C, *size)."""
        return functional.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Size or factor, and the mode."""
        what = "size" if self.scale_factor is None else "scale_factor"
        return f"{what}={getattr(self, what)}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """An image whose pixels are repeated: `Upsample` with mode="nearest".

    >>> from backlit import zeros
    >>> UpsamplingNearest2d(scale_factor=2)(zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """An image with values between its pixels, whose corners stay: bilinear, align_corners=True.

    >>> from backlit import zeros
    >>> UpsamplingBilinear2d(scale_factor=2)(zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """Channels as pixels, (..., C·r², H, W) -> (..., C, H·r, W·r): see `functional.pixel_shuffle`.

    Source: Shi et al., CVPR 2016, eq. 4.

    >>> from backlit import zeros
    >>> PixelShuffle(2)(zeros((1, 12, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        """(..., C·r², H, W) -> (..., C, H·r, W·r)."""
        return functional.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        """r."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels as channels, (..., C, H·r, W·r) -> (..., C·r², H, W).

    >>> from backlit import zeros
    >>> PixelUnshuffle(2)(zeros((1, 3, 8, 10))).shape
    (1, 12, 4, 5)
    """

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, x: Tensor) -> Tensor:
        """(..., C, H·r, W·r) -> (..., C·r², H, W)."""
        return functional.pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self) -> str:
        """r."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of several groups in turn: see `functional.channel_shuffle`.

    >>> from backlit import zeros
    >>> ChannelShuffle(2)(zeros((1, 4, 5, 5))).shape
    (1, 4, 5, 5)
    """

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) with its channels in another order."""
        return functional.channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """The number of groups."""
        return f"groups={self.groups}"


class Unfold(Module):
    """The patches under a window, each as a column: see `functional.unfold`.

    >>> from backlit import zeros
    >>> Unfold((2, 3))(zeros((1, 4, 5, 6))).shape
    (1, 24, 16)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C·I·J, patches)."""
        return functional.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The window."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Unfold):
    """Patches added up where they lie in an image: see `functional.fold`.

    >>> from backlit import zeros
    >>> Fold((5, 6), (2, 3))(zeros((1, 24, 16))).shape
    (1, 4, 5, 6)
    """

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ):
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C·I·J, patches) -> (N, C, H, W)."""
        return functional.fold(
            x, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        """The image and the window."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
