"""Distributions over classes and counts."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import (
    arange,
    argmax,
    broadcast_shapes,
    broadcast_to,
    clip,
    exp,
    log,
    log1p,
    logsumexp,
    one_hot,
    reshape,
    sigmoid,
    take_along_axis,
    where,
)
from ..array_api import sum as total
from ..array_api.arguments import shape_tuple
from ..dtypes import finfo, int64
from ..errors import ArgumentError
from ..nn.functional import softplus
from ..random import bernoulli, multinomial
from ..tensor import Tensor
from .distribution import UNIT, Condition, Distribution, demand, one_of

_TRUTH = Condition(
    lambda xp, x: xp.logical_or(x == 0, x == 1), "must be 0 or 1", "give what sample() gives"
)


def _inside(p: Tensor) -> Tensor:
    """Probabilities whose logarithm is finite, as PyTorch's: at least eps from 0 and from 1."""
    eps = finfo(p.dtype).eps
    return clip(p, eps, 1 - eps)


class OfProbability(Distribution):
    """The base of those of trials that succeed with a probability: probs, or its logits."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        name = type(self).__name__
        self._given = one_of(name, probs, logits)
        if not self._given.is_logits and validate_args is not False:
            demand(f"{name}: probs", UNIT, self._given.value)
        super().__init__(self._given.value.shape, (), validate_args)

    @property
    def probs(self) -> Tensor:
        """The probability of success, P(1)."""
        return sigmoid(self._given.value) if self._given.is_logits else self._given.value

    @property
    def logits(self) -> Tensor:
        """log(P(1) / P(0))."""
        if self._given.is_logits:
            return self._given.value
        p = _inside(self._given.value)
        return log(p) - log1p(-p)

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """What was given."""
        return ("logits",) if self._given.is_logits else ("probs",)

    def entropy(self) -> Tensor:
        """-Σ P log P over both outcomes of one trial."""
        logits = self.logits
        return softplus(logits) - self.probs * logits


class Bernoulli(OfProbability):
    """P(1) = probs, P(0) = 1 - probs; logits = log(probs / (1 - probs)).

    >>> Bernoulli(probs=0.25).log_prob(1.0).exp().item()
    0.25
    """

    support: ClassVar = _TRUTH

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Zeros and ones."""
        return bernoulli(broadcast_to(self.probs.detach(), self._drawn(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        """x logits - log(1 + e^logits)."""
        logits = self.logits
        return self._value(value) * logits - softplus(logits)

    @property
    def mean(self) -> Tensor:
        """P(1)."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The more probable value; NaN where both are as probable."""
        p = self.probs
        return where(p == 0.5, math.nan, where(p > 0.5, 1.0, 0.0))

    @property
    def variance(self) -> Tensor:
        """P(1) P(0)."""
        return self.probs * (1.0 - self.probs)


class Categorical(Distribution):
    """A class of K with the probabilities of the last axis of `probs`, which need not sum to 1.

    >>> from backlit import tensor
    >>> Categorical(probs=tensor([1.0, 3.0])).log_prob(1).exp().item()
    0.75
    """

    support: ClassVar = Condition(
        lambda xp, x: xp.logical_and(x >= 0, x == xp.floor(x)),
        "must be a class, 0 to K - 1",
        "give what sample() gives",
    )

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._given = one_of("Categorical", probs, logits)
        value = self._given.value
        if value.ndim < 1:
            raise ArgumentError(
                "Categorical: probs or logits need an axis of classes, got one number"
            )
        if self._given.is_logits:
            self._logits = value - logsumexp(value, axis=-1, keepdims=True)
        else:
            if validate_args is not False:
                demand("Categorical: probs", _WEIGHT, value)
            self._probs = value / total(value, axis=-1, keepdims=True)
        super().__init__(value.shape[:-1], (), validate_args)

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """What was given."""
        return ("logits",) if self._given.is_logits else ("probs",)

    @property
    def probs(self) -> Tensor:
        """The probabilities, which sum to 1."""
        return exp(self._logits) if self._given.is_logits else self._probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self._logits if self._given.is_logits else log(_inside(self._probs))

    @property
    def _events(self) -> int:
        return self._given.value.shape[-1]

    def _classes(self, sample_shape: Any) -> Tensor:
        """Classes of the shape sample_shape + batch_shape."""
        shape = (*shape_tuple("sample", sample_shape), *self.batch_shape)
        p = broadcast_to(self.probs.detach(), (*shape, self._events))
        return multinomial(p, 1, replacement=True)[..., 0]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Classes as int64."""
        return self._classes(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """The logit of the class."""
        classes = self._value(value).astype(int64)
        logits = self.logits
        shape = broadcast_shapes(classes.shape, self.batch_shape)
        wide = broadcast_to(logits, (*shape, self._events))
        return take_along_axis(wide, broadcast_to(classes, shape)[..., None], axis=-1)[..., 0]

    def entropy(self) -> Tensor:
        """-Σ P log P."""
        logits = clip(self.logits, finfo(self._given.value.dtype).min)
        return -total(self.probs * logits, axis=-1)

    @property
    def mode(self) -> Tensor:
        """The most probable class."""
        return argmax(self.probs, axis=-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All classes, along a new first axis."""
        shape = (self._events, *(1 for _ in self.batch_shape))
        classes = reshape(arange(self._events), shape)
        return broadcast_to(classes, (self._events, *self.batch_shape)) if expand else classes


_WEIGHT = Condition(
    lambda xp, x: x >= 0, "must not be negative", "give scores of any sign as logits="
)


class OneHotCategorical(Categorical):
    """A class of K as a vector that is 1 there and 0 elsewhere."""

    support: ClassVar = _TRUTH

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        super().__init__(probs, logits, validate_args)
        self.event_shape = self._given.value.shape[-1:]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Vectors of zeros with a one."""
        return one_hot(self._classes(sample_shape), self._events).astype(self._given.value.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """The logit of the class that is 1."""
        return total(self._value(value) * self.logits, axis=-1)

    @property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The most probable vector."""
        return one_hot(argmax(self.probs, axis=-1), self._events).astype(self._given.value.dtype)

    @property
    def variance(self) -> Tensor:
        """P (1 - P) of each class."""
        return self.probs * (1.0 - self.probs)


__all__ = ["Bernoulli", "Categorical", "OneHotCategorical"]
