"""`torch.distributed`: there is one process, as whoever asks is told."""

from __future__ import annotations

from typing import Any

from .mirror import mirrored


def is_available() -> bool:
    """False: Backlit computes in one process."""
    return False


def is_initialized() -> bool:
    """False: no other process was asked to join."""
    return False


def _false(*args: Any, **options: Any) -> bool:
    """False: it is not there."""
    return False


is_nccl_available = is_gloo_available = is_mpi_available = is_torchelastic_launched = _false

__getattr__ = mirrored("torch.distributed")
