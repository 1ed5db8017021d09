"""`torch.nn.init`: Backlit's starting values, and the names that PyTorch has given up."""

from __future__ import annotations

from ...nn import init as _ours
from ...nn.init import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

normal, uniform, constant = _ours.normal_, _ours.uniform_, _ours.constant_
xavier_normal, xavier_uniform = _ours.xavier_normal_, _ours.xavier_uniform_
kaiming_normal, kaiming_uniform = _ours.kaiming_normal_, _ours.kaiming_uniform_
orthogonal = _ours.orthogonal_
# Hand-written `reset_parameters` call these, underscores and all.
_calculate_fan_in_and_fan_out, _calculate_correct_fan = _ours.fans, _ours._fan

__getattr__ = _mirrored("torch.nn.init", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
