"""`torch.mps`: Apple's GPUs, of which none is used."""

from __future__ import annotations

from .cuda import device_count, is_available
from .mirror import mirrored

__getattr__ = mirrored("torch.mps")
