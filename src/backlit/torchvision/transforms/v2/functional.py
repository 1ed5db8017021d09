"""`torchvision.transforms.v2.functional`: the same functions, and the second version's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....array_api import astype, concat
from ....data.transforms import functional as _ours
from ....data.transforms.functional import *
from ....data.transforms.functional import is_picture
from ....dtypes import as_dtype
from ....errors import DTypeError
from ....tensor import Tensor, wrap
from ....torch.mirror import mirrored as _mirrored

horizontal_flip, vertical_flip = _ours.hflip, _ours.vflip
get_num_channels = _ours.get_image_num_channels


def get_size(inpt: Any) -> list[int]:
    """[height, width]."""
    return _ours.get_dimensions(inpt)[1:]


def to_image(inpt: Any) -> Tensor:
    """A picture of Pillow's or an array (H, W, C) as Tensor (C, H, W), its values as they are."""
    if isinstance(inpt, Tensor):
        return inpt
    if is_picture(inpt):
        return _ours.pil_to_tensor(inpt)
    if not isinstance(inpt, np.ndarray):
        raise DTypeError(f"to_image: an image is needed, got {type(inpt).__name__}")
    planes = np.atleast_3d(inpt)  # (H, W) is one channel
    return wrap(np.ascontiguousarray(planes.transpose(2, 0, 1)))


def to_dtype(inpt: Tensor, dtype: Any = "float32", scale: bool = False) -> Tensor:
    """Another dtype; with `scale` also its range, as `convert_image_dtype`."""
    if scale:
        return _ours.convert_image_dtype(inpt, dtype)
    return astype(inpt, as_dtype(dtype))


def grayscale_to_rgb(inpt: Any) -> Any:
    """Three equal channels of one; an image of three is returned as it is."""
    if is_picture(inpt):
        return inpt if inpt.mode == "RGB" else inpt.convert("RGB")
    return concat([inpt] * 3, axis=-3) if inpt.shape[-3] == 1 else inpt


__getattr__ = _mirrored("torchvision.transforms.v2.functional")
