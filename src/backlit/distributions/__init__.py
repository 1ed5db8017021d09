"""Probability distributions: draws, log-probabilities, entropies and divergences, all on the tape.

The names are PyTorch's. A loss of a policy or of a variational autoencoder is written with them:

>>> from backlit import tensor
>>> policy = Categorical(logits=tensor([0.0, 1.0], requires_grad=True))
>>> loss = -policy.log_prob(1) * 2.0
>>> round(loss.item(), 4)
0.6265

`distribution` is what all have; `continuous`, `tails`, `gammas`, `discrete`, `counts` and `relaxed`
are the kinds; `transforms` makes others of them by invertible functions, `mixtures` by weights;
`divergence` has a formula for each pair of kinds. A
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
from .counts import Binomial, Geometric, Multinomial, NegativeBinomial
from .discrete import Bernoulli, Categorical, OneHotCategorical
from .distribution import Distribution, Independent
from .divergence import kl_divergence, register_kl
from .gammas import Beta, Chi2, Dirichlet, Gamma, InverseGamma, Poisson
from .mixtures import MixtureSameFamily
from .relaxed import OneHotCategoricalStraightThrough, RelaxedBernoulli, RelaxedOneHotCategorical
from .tails import Cauchy, HalfCauchy, HalfNormal, Kumaraswamy, Pareto, StudentT, Weibull
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
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ComposeTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "Gamma",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "InverseGamma",
    "Kumaraswamy",
    "Laplace",
    "LogNormal",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Pareto",
    "Poisson",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "SigmoidTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "Weibull",
    "kl_divergence",
    "register_kl",
]

_explain(__name__, __all__)
