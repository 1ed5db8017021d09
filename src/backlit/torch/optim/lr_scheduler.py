"""`torch.optim.lr_scheduler`: Backlit's schedules."""

from __future__ import annotations

from ...optim import lr_scheduler as _ours
from ...optim.lr_scheduler import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

_LRScheduler = _ours.LRScheduler

__getattr__ = _mirrored("torch.optim.lr_scheduler", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
