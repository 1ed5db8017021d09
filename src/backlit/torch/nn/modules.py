"""`torch.nn.modules`: the layers once more, under the paths of PyTorch's files."""

from __future__ import annotations

import sys
from types import ModuleType

from ... import nn as _ours
from ...nn import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

#: PyTorch's files in which layers stand. Here each of them has all layers.
_FILES = """
activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold
instancenorm lazy linear loss module normalization padding pixelshuffle pooling rnn sparse
transformer upsampling utils
""".split()

__getattr__ = _mirrored("torch.nn.modules", _ours)
__path__: list[str] = []


def _file(name: str) -> ModuleType:
    """A module with all layers under the name of one of PyTorch's files."""
    full = f"{__name__}.{name}"
    module = ModuleType(full, f"`torch.nn.modules.{name}`: see `torch.nn`.")
    module.__getattr__ = lambda wanted: getattr(sys.modules[__name__], wanted)  # type: ignore[method-assign]
    sys.modules[full] = module
    return module


globals().update({name: _file(name) for name in _FILES})


def __dir__() -> list[str]:
    return _names(__name__, _ours)
