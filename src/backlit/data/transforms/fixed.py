"""Transforms that do the same to every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...dtypes import as_dtype
from ...errors import ArgumentError
from . import functional as F
from .base import Transform
from .functional import InterpolationMode


class ToTensor(Transform):
    """A PIL image or an array (H, W, C) as Tensor (C, H, W): bytes as float32 in [0, 1]."""

    def forward(self, image: Any) -> Any:
        """The Tensor."""
        return F.to_tensor(image)


class PILToTensor(Transform):
    """The values of a PIL image as Tensor (C, H, W), as they are."""

    def forward(self, image: Any) -> Any:
        """The Tensor."""
        return F.pil_to_tensor(image)


class ToPILImage(Transform):
    """A Tensor (C, H, W) or an array (H, W, C) as a PIL image: floats in [0, 1] as bytes."""

    def __init__(self, mode: str | None = None):
        self.mode = mode

    def forward(self, image: Any) -> Any:
        """The PIL image."""
        return F.to_pil_image(image, self.mode)


class ConvertImageDtype(Transform):
    """Another dtype, and its range: floats [0, 1], integers [0, largest]."""

    def __init__(self, dtype: Any):
        self.dtype = as_dtype(dtype)

    def forward(self, image: Any) -> Any:
        """The converted Tensor."""
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Transform):
    """(x - mean) / std, for each channel of a Tensor.

    >>> from backlit import tensor
    >>> Normalize([0.5], [0.5])(tensor([[[0.0, 1.0]]])).tolist()
    [[[-1.0, 1.0]]]
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False):
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, image: Any) -> Any:
        """The normalised Tensor."""
        return F.normalize(image, self.mean, self.std, self.inplace)


class Resize(Transform):
    """Another size, (height, width); one number is the new length of the shorter side.

    A `max_size` is the most that the longer side may have then. Pillow always takes care of
    aliasing; for Tensors `antialias=False` leaves that out.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ):
        F.pair("Resize: size", size)
        self.size = size
        self.interpolation = F.interpolation_mode("Resize", interpolation)
        self.max_size = max_size
        self.antialias = antialias

    def forward(self, image: Any) -> Any:
        """The resized image."""
        return F.resize(image, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Transform):
    """The part in the middle; an image that is too small gets 0 around."""

    def __init__(self, size: int | Sequence[int]):
        self.size = F.pair("CenterCrop: size", size)

    def forward(self, image: Any) -> Any:
        """The part."""
        return F.center_crop(image, self.size)


class Pad(Transform):
    """More pixels around, as `functional.pad`."""

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant"):
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ArgumentError(
                "Pad: padding_mode must be constant, edge, reflect or symmetric, got "
                f"{padding_mode!r:.60}"
            )
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, image: Any) -> Any:
        """The larger image."""
        return F.pad(image, self.padding, self.fill, self.padding_mode)


class FiveCrop(Transform):
    """The parts in the four corners and the middle, as a tuple of five images."""

    def __init__(self, size: int | Sequence[int]):
        self.size = F.pair("FiveCrop: size", size)

    def forward(self, image: Any) -> Any:
        """The five parts."""
        return F.five_crop(image, self.size)


class TenCrop(Transform):
    """The five parts of the image, and of the mirrored image."""

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False):
        self.size = F.pair("TenCrop: size", size)
        self.vertical_flip = vertical_flip

    def forward(self, image: Any) -> Any:
        """The ten parts."""
        return F.ten_crop(image, self.size, self.vertical_flip)


class Grayscale(Transform):
    """Grey, in 1 or 3 equal channels."""

    def __init__(self, num_output_channels: int = 1):
        self.num_output_channels = num_output_channels

    def forward(self, image: Any) -> Any:
        """The grey image."""
        return F.rgb_to_grayscale(image, self.num_output_channels)


__all__ = [
    "CenterCrop",
    "ConvertImageDtype",
    "FiveCrop",
    "Grayscale",
    "Normalize",
    "PILToTensor",
    "Pad",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
]
