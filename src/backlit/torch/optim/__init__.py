"""`torch.optim`: Backlit's optimizers and schedules, which have PyTorch's names and arguments."""

from __future__ import annotations

from ... import optim as _ours
from ...optim import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names
from . import lr_scheduler  # type: ignore[no-redef]

__getattr__ = _mirrored("torch.optim", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
