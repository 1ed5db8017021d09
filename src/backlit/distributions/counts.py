"""Distributions of how often: trials until the first success, successes, and failures."""

from __future__ import annotations

from typing import Any, ClassVar

from ..array_api import (
    arange,
    broadcast_arrays,
    clip,
    exp,
    floor,
    lgamma,
    one_hot,
    reshape,
    sigmoid,
    where,
    xlogy,
)
from ..array_api import sum as total
from ..array_api.arguments import whole
from ..nn.functional import softplus
from ..random import exponential, poisson, uniform
from ..tensor import Tensor, as_tensor
from .discrete import Categorical, OfProbability
from .distribution import Condition, Distribution, one_of, parameters
from .gammas import COUNT, standard_gamma

_ABOVE = Condition(lambda xp, x: x > 0, "must be positive", "one that never comes has no mean")


class Geometric(OfProbability):
    """P(n) = p (1-p)^n: n failures come before the first success.

    >>> Geometric(probs=0.25).log_prob(1.0).exp().item()
    0.1875
    """

    support: ClassVar = COUNT

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        super().__init__(probs, logits, validate_args)
        if not self._given.is_logits:
            parameters("Geometric", validate_args, probs=(self._given.value, _ABOVE))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Whole numbers, as floating ones: ⌊y / -log(1-p)⌋, where y is exponential."""
        logits = self.logits.detach()
        return floor(exponential(self._drawn(sample_shape), dtype=logits.dtype) / softplus(logits))

    def log_prob(self, value: Any) -> Tensor:
        """log p + n log(1-p)."""
        logits = self.logits
        return -softplus(-logits) - self._value(value) * softplus(logits)

    def entropy(self) -> Tensor:
        """That of one trial, divided by p."""
        return super().entropy() / self.probs

    @property
    def mean(self) -> Tensor:
        """1/p - 1."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.probs * 0.0

    @property
    def variance(self) -> Tensor:
        """(1/p - 1) / p."""
        return (1.0 / self.probs - 1.0) / self.probs


class _OfTrials(OfProbability):
    """The base of those with a number beside the probability, for each element of the batch."""

    total_count: Tensor

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        given = one_of(type(self).__name__, probs, logits)
        count = as_tensor(total_count).astype(given.value.dtype)
        self.total_count, value = broadcast_arrays(count, given.value)
        words = {"logits" if given.is_logits else "probs": value}
        super().__init__(**words, validate_args=validate_args)
        self._check(self.total_count, validate_args)

    def _check(self, count: Tensor, validate: bool | None) -> None:
        """Raise unless the number may be one."""

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The number, and what was given of the probability."""
        return ("total_count", *super().names)


class Binomial(_OfTrials):
    """P(k) = (n over k) p^k (1-p)^(n-k): k of n trials succeed, where n is `total_count`.

    >>> Binomial(2, probs=0.5).log_prob(1.0).exp().item()
    0.5
    """

    support: ClassVar = COUNT

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        super().__init__(total_count, probs, logits, validate_args)

    def _check(self, count: Tensor, validate: bool | None) -> None:
        parameters("Binomial", validate, total_count=(count, COUNT))

    def _up_to_most(self, first: int, axes: int) -> Tensor:
        """first, …, max n, along an axis before `axes` others."""
        most = int(self.total_count.max().item()) if self.total_count.size else 0
        return reshape(arange(first, most + 1).astype(self.total_count.dtype), (-1, *(1,) * axes))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """How many of n trials succeed, as a floating number."""
        shape = self._drawn(sample_shape)
        trial = self._up_to_most(1, len(shape))
        u = uniform((trial.shape[0], *shape), dtype=self.total_count.dtype)
        won = (u < self.probs.detach()) & (trial <= self.total_count.detach())
        return total(won.astype(u.dtype), axis=0)

    def log_prob(self, value: Any) -> Tensor:
        """log (n over k) + k log p + (n-k) log(1-p), and -∞ where k > n."""
        k, n, logits = self._value(value), self.total_count, self.logits
        inside = k <= n
        left = where(inside, n - k, 0.0)
        ways = lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(left + 1.0)
        return where(inside, ways + k * logits - n * softplus(logits), -float("inf"))

    def entropy(self) -> Tensor:
        """-Σ P(k) log P(k)."""
        logs = self.log_prob(self._up_to_most(0, len(self.batch_shape)))
        return -total(where(logs > -float("inf"), exp(logs) * logs, 0.0), axis=0)

    @property
    def mean(self) -> Tensor:
        """n p."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """⌊(n+1) p⌋, at most n."""
        n = self.total_count
        return where(self.probs >= 1.0, n, floor((n + 1.0) * self.probs))

    @property
    def variance(self) -> Tensor:
        """n p (1-p)."""
        return self.total_count * self.probs * (1.0 - self.probs)


class NegativeBinomial(_OfTrials):
    """P(k) = Γ(r+k) / (k! Γ(r)) p^k (1-p)^r: k successes before r failures; r is `total_count`.

    A count whose variance is larger than its mean, which Poisson's is not.

    >>> NegativeBinomial(3.0, probs=0.5).mean.item()
    3.0
    """

    support: ClassVar = COUNT

    def _check(self, count: Tensor, validate: bool | None) -> None:
        parameters("NegativeBinomial", validate, total_count=(count, _ABOVE))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of Poisson's distribution, whose rate is a draw of Gamma's."""
        r = self.total_count
        rate = standard_gamma(r, self._drawn(sample_shape)) * exp(self.logits.detach())
        return poisson(rate)

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the probability above."""
        k, r, logits = self._value(value), self.total_count, self.logits
        ways = lgamma(r + k) - lgamma(1.0 + k) - lgamma(r)
        return ways - r * softplus(logits) - k * softplus(-logits)

    @property
    def mean(self) -> Tensor:
        """r p / (1-p)."""
        return self.total_count * exp(self.logits)

    @property
    def mode(self) -> Tensor:
        """⌊(r-1) p / (1-p)⌋, and 0 where r < 1."""
        return clip(floor((self.total_count - 1.0) * exp(self.logits)), 0.0, None)

    @property
    def variance(self) -> Tensor:
        """r p / (1-p)²."""
        return self.mean / sigmoid(-self.logits)


class Multinomial(Distribution):
    """How often each of K classes comes in n draws: n! Π p_i^(x_i) / x_i!.

    >>> from backlit import tensor
    >>> Multinomial(2, tensor([0.5, 0.5])).log_prob(tensor([1.0, 1.0])).exp().item()
    0.5
    """

    support: ClassVar = COUNT

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        self.total_count = whole("Multinomial: total_count", total_count, 0)
        self._classes = Categorical(probs, logits, validate_args)
        super().__init__(self._classes.batch_shape, self._classes.probs.shape[-1:], validate_args)

    @property
    def probs(self) -> Tensor:
        """The probabilities of the classes, which sum to 1."""
        return self._classes.probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self._classes.logits

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floating numbers that sum to n along the last axis."""
        shape = self._drawn(sample_shape)[:-1]
        extra = shape[: len(shape) - len(self.batch_shape)]
        drawn = self._classes.sample((self.total_count, *extra))
        return total(one_hot(drawn, self.event_shape[0]).astype(self.probs.dtype), axis=0)

    def log_prob(self, value: Any) -> Tensor:
        """log n! - Σ log x_i! + Σ x_i log p_i, of counts that sum to n."""
        x = self._value(value)
        if self.validates:
            parameters("Multinomial", None, **{"a value": (total(x, axis=-1), self._of_n())})
        ways = lgamma(total(x, axis=-1) + 1.0) - total(lgamma(x + 1.0), axis=-1)
        return ways + total(xlogy(x, self.probs), axis=-1)

    def _of_n(self) -> Condition:
        n = self.total_count
        words = f"must sum to total_count, {n}, along the last axis"
        return Condition(lambda xp, x: x == n, words, "give what sample() gives")

    @property
    def mean(self) -> Tensor:
        """n p."""
        return self.total_count * self.probs

    @property
    def variance(self) -> Tensor:
        """n p (1-p) of each class."""
        return self.total_count * self.probs * (1.0 - self.probs)

    def expand(self, batch_shape: Any) -> Multinomial:
        """The same distribution for a larger batch."""
        return Multinomial(self.total_count, logits=self._classes.expand(batch_shape).logits)

    def __repr__(self) -> str:
        return f"Multinomial(total_count: {self.total_count}, probs: {self.probs.shape})"


__all__ = ["Binomial", "Geometric", "Multinomial", "NegativeBinomial"]
