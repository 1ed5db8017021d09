"""`torch.nn.functional`: Backlit's, and those functions of `torch` that PyTorch has here, too."""

from __future__ import annotations

from ...dialect.methods import FUNCTIONS as _FUNCTIONS
from ...nn import functional as _ours
from ...nn.functional import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

one_hot = _FUNCTIONS["one_hot"]

__getattr__ = _mirrored("torch.nn.functional", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
