"""Mixtures: a class is drawn, then a value of the distribution of that class."""

from __future__ import annotations

from typing import Any

from ..array_api import broadcast_to, expand_dims, logsumexp, reshape, square, take_along_axis
from ..array_api import sum as total
from ..array_api.arguments import shape_tuple
from ..errors import ArgumentError
from ..tensor import Tensor, as_tensor
from .discrete import Categorical
from .distribution import Distribution


class MixtureSameFamily(Distribution):
    """p(x) = Σ_k p_k p(x | k): K distributions along the last axis of a batch, weighted.

    >>> from backlit import tensor
    >>> from backlit.distributions import Categorical, Normal
    >>> two = Normal(tensor([-1.0, 1.0]), 1.0)
    >>> MixtureSameFamily(Categorical(tensor([0.25, 0.75])), two).mean.item()
    0.5
    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ):
        weights, parts = mixture_distribution, component_distribution
        if not isinstance(weights, Categorical):
            raise ArgumentError(
                "MixtureSameFamily: mixture_distribution must be a Categorical, got "
                f"{type(weights).__name__}; write Categorical(weights)"
            )
        count = weights.probs.shape[-1]
        if parts.batch_shape[-1:] != (count,):
            raise ArgumentError(
                f"MixtureSameFamily: the last axis of the components' batch must be the {count} "
                f"classes, got {parts.batch_shape}; a vector as one event is Independent(..., 1)"
            )
        self.mixture_distribution, self.component_distribution = weights, parts
        self._inner = len(parts.event_shape)
        super().__init__(parts.batch_shape[:-1], parts.event_shape, validate_args)

    def _spread(self, x: Tensor) -> Tensor:
        """With an axis of classes before those of an event."""
        return expand_dims(x, axis=-1 - self._inner)

    def _weighted(self, x: Tensor) -> Tensor:
        """Σ p_k x_k."""
        p = self.mixture_distribution.probs
        return total(reshape(p, (*p.shape, *(1,) * self._inner)) * x, axis=-1 - self._inner)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A value of the distribution of a class that is drawn first."""
        lead = shape_tuple("sample", sample_shape)
        weights = self.mixture_distribution
        if weights.batch_shape != self.batch_shape:  # so that each has a class of its own
            weights = weights.expand(self.batch_shape)
        drawn = weights.sample(lead)
        values = self.component_distribution.sample(lead)
        wide = reshape(drawn, (*drawn.shape, 1, *(1,) * self._inner))
        places = broadcast_to(wide, (*drawn.shape, 1, *self.event_shape))
        axis = values.ndim - 1 - self._inner
        return take_along_axis(values, places, axis=axis)[(..., 0, *(slice(None),) * self._inner)]

    def log_prob(self, value: Any) -> Tensor:
        """log Σ p_k p(x | k)."""
        x = self._spread(self._value(value))
        logs = self.component_distribution.log_prob(x) + self.mixture_distribution.logits
        return logsumexp(logs, axis=-1)

    def cdf(self, value: Any) -> Tensor:
        """Σ p_k cdf_k(x)."""
        parts = self.component_distribution.cdf(self._spread(as_tensor(value)))
        return total(self.mixture_distribution.probs * parts, axis=-1)

    @property
    def mean(self) -> Tensor:
        """Σ p_k m_k."""
        return self._weighted(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """Σ p_k (v_k + (m_k - mean)²)."""
        parts = self.component_distribution
        away = parts.mean - self._spread(self.mean)
        return self._weighted(parts.variance + square(away))

    def expand(self, batch_shape: Any) -> MixtureSameFamily:
        """The same distribution for a larger batch."""
        shape = shape_tuple("expand", batch_shape)
        count = self.mixture_distribution.probs.shape[-1]
        return MixtureSameFamily(
            self.mixture_distribution.expand(shape),
            self.component_distribution.expand((*shape, count)),
        )

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self.mixture_distribution!r}, {self.component_distribution!r})"


__all__ = ["MixtureSameFamily"]
