"""`torchvision.transforms.functional`: `backlit.data.transforms.functional` under its names."""

from __future__ import annotations

from ...data.transforms.functional import *
from ...torch.mirror import mirrored as _mirrored

__getattr__ = _mirrored("torchvision.transforms.functional")
