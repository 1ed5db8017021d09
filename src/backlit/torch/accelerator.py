"""`torch.accelerator`: there is none."""

from __future__ import annotations

from typing import Any

from ..conversion import Device, check_device
from .mirror import mirrored as _mirrored


def is_available() -> bool:
    """False: Backlit computes on the CPU."""
    return False


def current_accelerator(check_available: bool = False) -> None:
    """None: there is none."""


def device_count() -> int:
    """0."""
    return 0


def current_device_index() -> int:
    """An error: there is none."""
    check_device("cuda")
    return 0


def set_device_index(device: Any) -> None:
    """An error: there is none, whatever its number."""
    check_device(Device("cuda", device) if isinstance(device, int) else device or "cuda")


set_device_idx, current_device_idx = set_device_index, current_device_index


def synchronize(device: Any = None) -> None:
    """Nothing: what was called has been computed."""


__getattr__ = _mirrored("torch.accelerator")
