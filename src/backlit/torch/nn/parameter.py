"""`torch.nn.parameter`: the Tensors that a module learns."""

from __future__ import annotations

from ... import nn as _ours
from ..mirror import mirrored as _mirrored

__getattr__ = _mirrored("torch.nn.parameter", _ours)
