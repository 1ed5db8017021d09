"""`torch.utils.data`: Backlit's data sets and loaders."""

from __future__ import annotations

from .... import data as _ours
from ....data import *
from ....data import loader as _loader
from ...mirror import mirrored as _mirrored
from ...mirror import names as _names

default_collate = _ours.collate


__getattr__ = _mirrored("torch.utils.data", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
