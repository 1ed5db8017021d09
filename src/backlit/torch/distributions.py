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
bernoulli beta binomial categorical cauchy chi2 dirichlet distribution exponential gamma geometric
gumbel half_cauchy half_normal independent inverse_gamma kumaraswamy laplace log_normal
mixture_same_family multinomial multivariate_normal negative_binomial normal one_hot_categorical
pareto poisson relaxed_bernoulli relaxed_categorical studentT transformed_distribution uniform
weibull
"""

__path__: list[str] = []
globals().update(_files("torch.distributions", _FILES))

__getattr__ = _mirrored("torch.distributions", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
