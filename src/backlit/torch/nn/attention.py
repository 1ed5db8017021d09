"""`torch.nn.attention`: which code computes attention, of which there is one here."""

from __future__ import annotations

import contextlib
import enum
from typing import Any

from ..mirror import mirrored as _mirrored


class SDPBackend(enum.IntEnum):
    """PyTorch's ways to compute `scaled_dot_product_attention`."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


def sdpa_kernel(backends: Any, set_priority: bool = False) -> Any:
    """A block for which PyTorch chooses among its ways; here there is one, and nothing changes."""
    return contextlib.nullcontext()


__getattr__ = _mirrored("torch.nn.attention")
