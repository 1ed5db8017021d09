"""`torch.optim`: Backlit's optimizers and schedules, which have PyTorch's names and arguments."""

from __future__ import annotations

from ... import optim as _ours
from ...optim import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names
from ..mirror import same_rooms as _same_rooms
from . import lr_scheduler  # type: ignore[no-redef]

_same_rooms(__name__, _ours)

__getattr__ = _mirrored("torch.optim", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
