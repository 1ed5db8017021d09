"""`torch.utils`: data sets and loaders."""

from __future__ import annotations

from ..mirror import mirrored
from . import checkpoint, data

__getattr__ = mirrored("torch.utils")
