"""`torch.nn.modules`: the layers once more, under the paths of PyTorch's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ... import nn as _ours
from ...nn import *
from ...nn.convolution import _Convolution as _ConvNd
from ...nn.loss import Loss as _Loss
from ...nn.normalization import _BatchNorm, _InstanceNorm
from ..mirror import files as _files
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

#: PyTorch's files in which layers stand. Here each of them has all layers.
_FILES = """
activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold
instancenorm lazy linear loss module normalization padding pixelshuffle pooling rnn sparse
transformer upsampling utils
"""


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """The function that repeats a number n times, and leaves what is several."""
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * n


_single, _pair, _triple, _quadruple = (_ntuple(n) for n in (1, 2, 3, 4))


class _WeightedLoss(_Loss):
    """Base of losses that weight their classes."""

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


__getattr__ = _mirrored("torch.nn.modules", _ours)
__path__: list[str] = []


globals().update(_files("torch.nn.modules", _FILES))


def __dir__() -> list[str]:
    return _names(__name__, _ours)
