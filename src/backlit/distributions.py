"""Probability distributions: samples, the logarithms of densities, entropies, divergences.

Their parameters are Tensors, batches of them broadcast, and gradients go to them: through
`log_prob` always, and through `rsample` where a sample is a smooth function of the parameters
(Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014, sec. 2.4). Names and meanings are
PyTorch's.
"""

from __future__ import annotations

import math
from typing import Any

from . import random
from .array_api import (
    abs,
    arange,
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    cumulative_sum,
    exp,
    expand_dims,
    log,
    log1p,
    maximum,
    sigmoid,
    sign,
    sum,
    take_along_axis,
    where,
)
from .autograd import no_grad
from .errors import ArgumentError, ShapeError
from .nn.functional import binary_cross_entropy_with_logits, log_softmax
from .op import describe
from .promotion import floating
from .tensor import Tensor, as_tensor

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Exponential",
    "Independent",
    "Laplace",
    "Normal",
    "Uniform",
    "kl_divergence",
]


def _parameters(*values: Any) -> list[Tensor]:
    """Parameters as floating Tensors of one shape."""
    return broadcast_arrays(*(floating(as_tensor(v)) for v in values))


class Distribution:
    """The base of all distributions: a batch of them, each over values of one shape.

    A sample has the shape (*sample_shape, *batch_shape, *event_shape).
    """

    has_rsample = False

    def __init__(self, batch_shape: tuple[int, ...], event_shape: tuple[int, ...] = ()):
        self.batch_shape = batch_shape
        self.event_shape = event_shape

    def _shape(self, sample_shape: Any) -> tuple[int, ...]:
        return (*tuple(sample_shape), *self.batch_shape, *self.event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A sample through which gradients go to the parameters."""
        raise ArgumentError(
            f"rsample: a sample of {type(self).__name__} is no smooth function of its parameters; "
            "use sample() and log_prob"
        )

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A sample, through which no gradient goes."""
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density, or of the probability, at a value."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob()")

    def entropy(self) -> Tensor:
        """-E log p."""
        raise NotImplementedError(f"{type(self).__name__} must define entropy()")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_shape={self.batch_shape})"


class Normal(Distribution):
    """p(x) = exp(-(x - μ)² / 2σ²) / (σ √2π).

    >>> Normal(0.0, 1.0).log_prob(0.0)
    Tensor(-0.9189, shape=(), dtype=float32)
    """

    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: Any = None):
        self.loc, self.scale = _parameters(loc, scale)
        super().__init__(self.loc.shape)

    @property
    def mean(self) -> Tensor:
        """μ."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """σ."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """σ²."""
        return self.scale * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """μ + σ ε, ε from the normal distribution of mean 0 and deviation 1."""
        drawn = random.normal(self._shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + self.scale * drawn

    def log_prob(self, value: Any) -> Tensor:
        """-((x - μ) / σ)² / 2 - log σ - log √2π."""
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - log(self.scale) - 0.5 * math.log(2 * math.pi)

    def entropy(self) -> Tensor:
        """log σ + (1 + log 2π) / 2."""
        return log(self.scale) + 0.5 * (1 + math.log(2 * math.pi))


class Uniform(Distribution):
    """The same density everywhere in [low, high), 0 elsewhere."""

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: Any = None):
        self.low, self.high = _parameters(low, high)
        super().__init__(self.low.shape)

    @property
    def mean(self) -> Tensor:
        """The middle."""
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        """(high - low)² / 12."""
        width = self.high - self.low
        return width * width / 12

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """low + (high - low) u, u from [0, 1)."""
        drawn = random.uniform(self._shape(sample_shape), dtype=self.low.dtype)
        return self.low + (self.high - self.low) * drawn

    def log_prob(self, value: Any) -> Tensor:
        """-log(high - low) inside, -∞ outside."""
        value = as_tensor(value)
        inside = (value >= self.low) & (value < self.high)
        return where(inside, -log(self.high - self.low), -math.inf)

    def entropy(self) -> Tensor:
        """log(high - low)."""
        return log(self.high - self.low)


class Exponential(Distribution):
    """p(x) = λ exp(-λ x) for x ≥ 0."""

    has_rsample = True

    def __init__(self, rate: Any, validate_args: Any = None):
        (self.rate,) = _parameters(rate)
        super().__init__(self.rate.shape)

    @property
    def mean(self) -> Tensor:
        """1 / λ."""
        return 1 / self.rate

    @property
    def variance(self) -> Tensor:
        """1 / λ²."""
        return 1 / (self.rate * self.rate)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """-log(1 - u) / λ, u from [0, 1)."""
        return -log1p(-random.uniform(self._shape(sample_shape), dtype=self.rate.dtype)) / self.rate

    def log_prob(self, value: Any) -> Tensor:
        """log λ - λ x."""
        return log(self.rate) - self.rate * value

    def entropy(self) -> Tensor:
        """1 - log λ."""
        return 1 - log(self.rate)


class Laplace(Distribution):
    """p(x) = exp(-|x - μ| / b) / 2b."""

    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: Any = None):
        self.loc, self.scale = _parameters(loc, scale)
        super().__init__(self.loc.shape)

    @property
    def mean(self) -> Tensor:
        """μ."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """2 b²."""
        return 2 * self.scale * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """μ - b sign(u) log(1 - 2 |u|), u from [-1/2, 1/2)."""
        u = random.uniform(self._shape(sample_shape), -0.5, 0.5, dtype=self.loc.dtype)
        return self.loc - self.scale * sign(u) * log1p(maximum(-2 * abs(u), -1 + 2**-24))

    def log_prob(self, value: Any) -> Tensor:
        """-|x - μ| / b - log 2b."""
        return -abs(value - self.loc) / self.scale - log(2 * self.scale)

    def entropy(self) -> Tensor:
        """1 + log 2b."""
        return 1 + log(2 * self.scale)


def _one_of(name: str, probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ArgumentError(f"{name}: either probs or logits must be given, and not both")


class Bernoulli(Distribution):
    """1 with probability p, else 0; p itself, or its logit log(p / (1 - p))."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None):
        _one_of("Bernoulli", probs, logits)
        if logits is None:
            (self.probs,) = _parameters(probs)
            self.logits = log(self.probs) - log1p(-self.probs)
        else:
            (self.logits,) = _parameters(logits)
            self.probs = sigmoid(self.logits)
        super().__init__(self.logits.shape)

    @property
    def mean(self) -> Tensor:
        """The probability p of 1."""
        return self.probs

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """0 and 1, in the dtype of the parameter."""
        with no_grad():
            drawn = random.uniform(self._shape(sample_shape)) < self.probs
            return drawn.astype(self.probs.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """Log p of 1, log(1 - p) of 0."""
        logits, value = broadcast_arrays(self.logits, floating(as_tensor(value)))
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        """-p log p - (1 - p) log(1 - p)."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Categorical(Distribution):
    """One of K classes with the probabilities on the last axis, which are normalised.

    >>> Categorical(probs=as_tensor([0.25, 0.75])).log_prob(as_tensor(1)).exp()
    Tensor(0.75, shape=(), dtype=float32)
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None):
        _one_of("Categorical", probs, logits)
        (given,) = _parameters(logits if probs is None else probs)
        if not given.ndim:
            raise ShapeError(
                f"Categorical: the classes must be on the last axis, got {describe(given)}"
            )
        if probs is None:
            self.logits = log_softmax(given, -1)
            self.probs = exp(self.logits)
        else:
            self.probs = given / sum(given, axis=-1, keepdims=True)
            self.logits = log(self.probs)
        super().__init__(given.shape[:-1])

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """The numbers of classes: how many cumulated probabilities do not exceed a draw."""
        with no_grad():
            ends = cumulative_sum(self.probs, axis=-1)
            ends = ends / ends[..., -1:]
            drawn = random.uniform(self._shape(sample_shape), dtype=ends.dtype)
            return sum(ends <= expand_dims(drawn, axis=-1), axis=-1)

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the probability of a class."""
        value = as_tensor(value).astype("int64")
        shape = broadcast_shapes(value.shape, self.batch_shape)
        places = expand_dims(broadcast_to(value, shape), axis=-1)
        logits = broadcast_to(self.logits, (*shape, self.logits.shape[-1]))
        return take_along_axis(logits, places, axis=-1)[..., 0]

    def entropy(self) -> Tensor:
        """-Σ p log p, in which a class of probability 0 counts nothing."""
        none = self.probs == 0
        return -sum(self.probs * where(none, 0.0, self.logits), axis=-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All classes, along a new first axis."""
        count = self.logits.shape[-1]
        classes = arange(count).reshape((count,) + (1,) * len(self.batch_shape))
        return broadcast_to(classes, (count, *self.batch_shape)) if expand else classes


class Independent(Distribution):
    """The last axes of a batch taken as one value: their densities are multiplied."""

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: Any = None,
    ):
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.has_rsample = base_distribution.has_rsample
        batch = base_distribution.batch_shape
        if not 0 <= reinterpreted_batch_ndims <= len(batch):
            raise ShapeError(
                f"Independent: reinterpreted_batch_ndims must lie in [0, {len(batch)}], got "
                f"{reinterpreted_batch_ndims}"
            )
        cut = len(batch) - reinterpreted_batch_ndims
        super().__init__(batch[:cut], batch[cut:] + base_distribution.event_shape)

    @property
    def mean(self) -> Any:
        """The mean of the base."""
        return self.base_dist.mean  # type: ignore[attr-defined]

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A sample of the base."""
        return self.base_dist.rsample(sample_shape)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A sample of the base, through which no gradient goes."""
        return self.base_dist.sample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """The sum over the last axes."""
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The sum over the last axes."""
        return self._summed(self.base_dist.entropy())

    def _summed(self, x: Tensor) -> Tensor:
        last = tuple(range(-self.reinterpreted_batch_ndims, 0))
        return sum(x, axis=last) if last else x


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """E log(p / q), the mean taken over p.

    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    Tensor(0.5, shape=(), dtype=float32)
    """
    if isinstance(p, Independent) and isinstance(q, Independent):
        return p._summed(kl_divergence(p.base_dist, q.base_dist))
    rule = _DIVERGENCES.get(type(p)) if type(p) is type(q) else None
    if rule is None:
        known = ", ".join(kind.__name__ for kind in _DIVERGENCES)
        raise ArgumentError(
            f"kl_divergence: it is known of two of one kind ({known}), got {type(p).__name__} and "
            f"{type(q).__name__}; use the mean of p.log_prob(x) - q.log_prob(x) over samples x of p"
        )
    return rule(p, q)


def _of_normals(p: Normal, q: Normal) -> Tensor:
    ratio = p.variance / q.variance
    shift = (p.loc - q.loc) / q.scale
    return 0.5 * (ratio + shift * shift - 1 - log(ratio))


def _of_categories(p: Categorical, q: Categorical) -> Tensor:
    none = p.probs == 0
    return sum(p.probs * where(none, 0.0, p.logits - q.logits), axis=-1)


def _of_coins(p: Bernoulli, q: Bernoulli) -> Tensor:
    return binary_cross_entropy_with_logits(q.logits, p.probs, reduction="none") - p.entropy()


def _of_waiting_times(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - log(ratio)


_DIVERGENCES: dict[type, Any] = {
    Normal: _of_normals,
    Categorical: _of_categories,
    Bernoulli: _of_coins,
    Exponential: _of_waiting_times,
}
