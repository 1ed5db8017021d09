"""`torch.distributions`: Backlit's, which have PyTorch's names."""

from __future__ import annotations

from .. import distributions as _ours
from ..distributions import *
from ..distributions import divergence as kl
from ..distributions import transforms
from .mirror import mirrored as _mirrored

__getattr__ = _mirrored("torch.distributions", _ours)
