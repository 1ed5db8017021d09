"""Classes whose draws have a derivative: relaxed ones, and ones that pass gradients straight on.

Source: Maddison, Mnih & Teh, "The concrete distribution", ICLR 2017; Jang, Gu & Poole, "Categorical
reparameterization with Gumbel-softmax", ICLR 2017.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..array_api import lgamma, log, log1p, logsumexp, sigmoid
from ..array_api import sum as total
from ..dtypes import finfo
from ..nn.functional import softmax, softplus
from ..random import exponential, uniform
from ..tensor import Tensor
from .discrete import OfProbability, OneHotCategorical
from .distribution import POSITIVE, UNIT, Distribution, parameters
from .gammas import SHARES


class Relaxed(Distribution):
    """What relaxed distributions have beside the probabilities or logits of their kind."""

    has_rsample: ClassVar = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        (self.temperature,) = parameters(
            type(self).__name__, validate_args, temperature=(temperature, POSITIVE)
        )
        super().__init__(probs, logits, validate_args)


class RelaxedBernoulli(Relaxed, OfProbability):
    """sigmoid((logits + logistic noise) / temperature): near 0 or 1 where the temperature is low.

    >>> RelaxedBernoulli(0.5, probs=0.5).rsample((2,)).shape
    (2,)
    """

    support: ClassVar = UNIT

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw in (0, 1) through which gradients reach the parameters."""
        kind = self._given.value.dtype
        u = uniform(self._drawn(sample_shape), finfo(kind).eps, 1.0, dtype=kind)
        return sigmoid((log(u) - log1p(-u) + self.logits) / self.temperature)

    def log_prob(self, value: Any) -> Tensor:
        """log T + d - 2 log(1 + e^d) - log x - log(1-x), where d = logits - T log(x / (1-x))."""
        x = self._value(value)
        y = log(x) - log1p(-x)
        d = self.logits - self.temperature * y
        return log(self.temperature) + d - 2.0 * softplus(d) + softplus(-y) + softplus(y)

    def expand(self, batch_shape: Any) -> RelaxedBernoulli:
        """The same distribution for a larger batch."""
        wide = self._widened(self.logits, tuple(batch_shape))
        return RelaxedBernoulli(self.temperature, logits=wide)


class RelaxedOneHotCategorical(Relaxed, OneHotCategorical):
    """softmax((logits + Gumbel's noise) / temperature): shares, near a corner where T is low.

    >>> from backlit import tensor
    >>> shares = RelaxedOneHotCategorical(0.5, probs=tensor([0.2, 0.8])).rsample()
    >>> round(shares.sum().item(), 4)
    1.0
    """

    support: ClassVar = SHARES

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Shares through which gradients reach the parameters."""
        noise = -log(exponential(self._drawn(sample_shape), dtype=self._given.value.dtype))
        return softmax((self.logits + noise) / self.temperature, -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Shares, cut off from the tape."""
        return self.rsample(sample_shape).detach()

    def log_prob(self, value: Any) -> Tensor:
        """log (K-1)! + (K-1) log T + Σ (s - logsumexp s) - Σ log x, where s = logits - T log x."""
        logs = log(self._value(value))
        s = self.logits - self.temperature * logs
        rows = s - logsumexp(s, axis=-1, keepdims=True) - logs
        count = float(self._events)
        return (
            total(rows, axis=-1)
            + (count - 1.0) * log(self.temperature)
            + lgamma(self.temperature * 0.0 + count)
        )

    def expand(self, batch_shape: Any) -> RelaxedOneHotCategorical:
        """The same distribution for a larger batch."""
        wide = self._widened(self.logits, tuple(batch_shape))
        return RelaxedOneHotCategorical(self.temperature, logits=wide)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """A class as a vector of 0 and 1 whose gradient is taken for that of the probabilities.

    >>> from backlit import tensor
    >>> OneHotCategoricalStraightThrough(probs=tensor([0.0, 1.0])).rsample().tolist()
    [0.0, 1.0]

    Source: Bengio, Léonard & Courville, "Estimating or propagating gradients through stochastic
    neurons", arXiv:1308.3432.
    """

    has_rsample: ClassVar = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """The vector of a class, whose derivative is that of `probs`."""
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


__all__ = ["OneHotCategoricalStraightThrough", "RelaxedBernoulli", "RelaxedOneHotCategorical"]
