"""`torch.nn.utils`: clipping, vectors of parameters, packed sequences, parametrisations."""

from __future__ import annotations

from ...nn import utils as _ours
from ...nn.utils import *
from .. import func as stateless
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names
from ..mirror import same_rooms as _same_rooms

clip_grad_norm, clip_grad_value = _ours.clip_grad_norm_, _ours.clip_grad_value_

__path__: list[str] = []
_same_rooms(__name__, _ours)

__getattr__ = _mirrored("torch.nn.utils", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
