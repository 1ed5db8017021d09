"""`torch.nn.utils`: clipping, vectors of parameters, packed sequences, parametrisations."""

from __future__ import annotations

from ....nn import functional as _functional
from ....optim import clip as _clip
from ....optim.clip import clip_grad_norm_, clip_grad_value_
from ...mirror import mirrored as _mirrored
from ...mirror import names as _names
from .sources import SOURCES as _SOURCES

clip_grad_norm = clip_grad_norm_
clip_grad_value = clip_grad_value_

__getattr__ = _mirrored("torch.nn.utils", *_SOURCES)


def __dir__() -> list[str]:
    return _names(__name__, *_SOURCES)
