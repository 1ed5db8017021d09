"""`torch.nn`: Backlit's layers, which have PyTorch's names, arguments and starting weights."""

from __future__ import annotations

import importlib as _importlib

from ... import nn as _ours
from ...nn import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

for _room in ("attention", "functional", "init", "modules", "parallel", "parameter", "utils"):
    _importlib.import_module(f"{__name__}.{_room}")

__getattr__ = _mirrored("torch.nn", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
