"""`torch.nn.parallel`: a model for several devices, of which there is one."""

from __future__ import annotations

from ... import nn as _ours
from ...nn.parallel import DataParallel
from ..mirror import mirrored as _mirrored

__getattr__ = _mirrored("torch.nn.parallel", _ours)
