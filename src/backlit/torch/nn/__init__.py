"""`torch.nn`: Backlit's layers, which have PyTorch's names, arguments and starting weights."""

from __future__ import annotations

from ... import nn as _ours
from ...nn import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names
from . import functional, init, modules, parameter, utils  # type: ignore[no-redef]

__getattr__ = _mirrored("torch.nn", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
