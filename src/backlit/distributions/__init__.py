"""Probability distributions: draws, log-probabilities, entropies and divergences, all on the tape.

The names are PyTorch's. A loss of a policy or of a variational autoencoder is written with them:

>>> from backlit import tensor
>>> policy = Categorical(logits=tensor([0.0, 1.0], requires_grad=True))
>>> loss = -policy.log_prob(1) * 2.0
>>> round(loss.item(), 4)
0.6265

`distribution` is what all have, `continuous`, `discrete` and `gammas` are the kinds, `transforms`
makes others of them by invertible functions, `divergence` has a formula for each pair of kinds. A
new kind is a subclass of `Distribution` with `names` (its parameters), `support`, `log_prob`, and
`rsample` (with `has_rsample`) or `sample`; its divergences go into the table of `divergence`.
"""

from ..calls import explain as _explain
from .continuous import (
    Exponential,
    Gumbel,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    Uniform,
)
from .discrete import Bernoulli, Categorical, OneHotCategorical
from .distribution import Distribution, Independent
from .divergence import kl_divergence
from .gammas import Beta, Dirichlet, Gamma, Poisson
from .transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    SigmoidTransform,
    TanhTransform,
    Transform,
    TransformedDistribution,
)

__all__ = [
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Categorical",
    "ComposeTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "Gamma",
    "Gumbel",
    "Independent",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "SigmoidTransform",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "kl_divergence",
]

_explain(__name__, __all__)
