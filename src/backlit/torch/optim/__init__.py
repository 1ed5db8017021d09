"""`torch.optim`: Backlit's optimizers and schedules, which have PyTorch's names and arguments."""

from __future__ import annotations

import importlib as _importlib

from ... import optim as _ours
from ...optim import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names
from ..mirror import same_rooms as _same_rooms

# Not `from . import`, which finds the one of the star above.
lr_scheduler = _importlib.import_module(f"{__name__}.lr_scheduler")
_same_rooms(__name__, _ours)

__getattr__ = _mirrored("torch.optim", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
