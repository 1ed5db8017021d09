"""`torch.utils`: data sets and loaders."""

from __future__ import annotations

from ..mirror import mirrored
from . import benchmark, checkpoint, data

__getattr__ = mirrored("torch.utils")
