"""`torchvision.transforms.v2`: the same transforms, and the second version's names, of one image.

An image goes in and an image comes out; boxes, masks and labels beside it are not transformed.
`CutMix` and `MixUp` take a batch and its labels.
"""

from __future__ import annotations

from typing import Any

from ....data import transforms as _ours
from ....data.transforms import Transform
from ....dtypes import as_dtype
from ....errors import ArgumentError
from ....torch.mirror import mirrored as _mirrored
from ....torch.mirror import names as _names
from . import functional
from .functional import get_dimensions as query_chw
from .functional import get_size as query_size


class Identity(Transform):
    """The image as it is."""

    def forward(self, image: Any) -> Any:
        """The image."""
        return image


class ToImage(Transform):
    """A picture of Pillow's or an array (H, W, C) as Tensor (C, H, W), its values as they are."""

    def forward(self, image: Any) -> Any:
        """The Tensor."""
        return functional.to_image(image)


class ToPureTensor(Identity):
    """The image as it is: Tensors are of one class."""


class ToDtype(Transform):
    """Another dtype; with `scale` also its range: floats [0, 1], integers [0, largest]."""

    def __init__(self, dtype: Any, scale: bool = False):
        if isinstance(dtype, dict):
            raise ArgumentError(
                "ToDtype: dtype must be one dtype, as there are no classes of Tensors to tell "
                f"apart, got {dtype!r:.60}"
            )
        self.dtype = as_dtype(dtype)
        self.scale = scale

    def forward(self, image: Any) -> Any:
        """The converted Tensor; a picture of Pillow's is returned as it is."""
        if functional.is_picture(image):
            return image
        return functional.to_dtype(image, self.dtype, self.scale)


class RGB(Transform):
    """Three equal channels of a grey image."""

    def forward(self, image: Any) -> Any:
        """The image with three channels."""
        return functional.grayscale_to_rgb(image)


__getattr__ = _mirrored("torchvision.transforms.v2", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
