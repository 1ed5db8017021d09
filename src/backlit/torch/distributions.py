"""`torch.distributions`: Backlit's, which have PyTorch's names."""

from __future__ import annotations

from .. import distributions as _ours
from ..distributions import *
from ..distributions import divergence as kl
from ..distributions import transforms
from .mirror import files as _files
from .mirror import mirrored as _mirrored
from .mirror import names as _names

#: PyTorch's files in which distributions stand. Here each of them has all distributions.
_FILES = """
bernoulli beta categorical dirichlet distribution exponential gamma gumbel independent laplace
log_normal multivariate_normal normal one_hot_categorical poisson transformed_distribution uniform
"""

__path__: list[str] = []
globals().update(_files("torch.distributions", _FILES))

__getattr__ = _mirrored("torch.distributions", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
