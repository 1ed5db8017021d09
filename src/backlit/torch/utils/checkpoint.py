"""`torch.utils.checkpoint`: parts of a network whose values are computed again for the gradient."""

from __future__ import annotations

from ...nn.utils import checkpoint as _ours
from ...nn.utils.checkpoint import checkpoint, checkpoint_sequential
from ..mirror import mirrored as _mirrored

__getattr__ = _mirrored("torch.utils.checkpoint", _ours)
