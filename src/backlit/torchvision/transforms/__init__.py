"""`torchvision.transforms`: `backlit.data.transforms` under its names."""

from __future__ import annotations

import sys as _sys

from ...data import transforms as _ours
from ...torch.mirror import mirrored as _mirrored
from ...torch.mirror import names as _names
from . import functional, v2

transforms = _sys.modules[__name__]  # torchvision's file, which has what is here

__getattr__ = _mirrored("torchvision.transforms", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
