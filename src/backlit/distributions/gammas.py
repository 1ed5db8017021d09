"""Distributions of Gamma's family: positive numbers, shares of one, and counts."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import all as every
from ..array_api import (
    argmax,
    broadcast_to,
    clip,
    digamma,
    expand_dims,
    floor,
    lgamma,
    log,
    log1p,
    one_hot,
    square,
    stack,
    take_along_axis,
    where,
    xlogy,
)
from ..array_api import sum as total
from ..autograd import no_grad
from ..dtypes import finfo
from ..errors import ArgumentError, ShapeError
from ..op import Shape
from ..random import normal, poisson, uniform
from ..tensor import Tensor
from .continuous import NOT_NEGATIVE
from .distribution import POSITIVE, UNIT, Condition, Distribution, parameters

COUNT = Condition(
    lambda xp, x: xp.logical_and(x >= 0, x == xp.floor(x)),
    "must be a whole number and not negative",
    "give what sample() gives",
)
SHARES = Condition(
    lambda xp, x: xp.logical_and(x >= 0, xp.abs(xp.sum(x, axis=-1, keepdims=True) - 1) < 1e-4),
    "must lie in [0, 1] and sum to 1 along the last axis",
    "divide by the sum",
)

#: Candidates for one draw: that none of them is taken has a probability of 0.05⁸.
_CANDIDATES = 8


@no_grad()
def standard_gamma(alpha: Tensor, shape: Shape) -> Tensor:
    """Draws of the density x^(α-1) e^(-x) / Γ(α).

    The first of some candidates that is accepted, so that a draw takes as many random numbers
    whatever they are. For α < 1 a draw of α + 1 is made smaller by u^(1/α).

    Source: Marsaglia & Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000).
    """
    alpha = broadcast_to(alpha.detach(), shape)
    small = alpha < 1.0
    d = where(small, alpha + 1.0, alpha) - 1.0 / 3.0
    x = normal((_CANDIDATES, *shape), dtype=alpha.dtype)
    v = (1.0 + x / (9.0 * d) ** 0.5) ** 3
    u = uniform((_CANDIDATES, *shape), dtype=alpha.dtype)
    bound = 0.5 * square(x) + d - d * v + d * log(where(v > 0.0, v, 1.0))
    taken = where(v > 0.0, log1p(-u) < bound, False)
    first = expand_dims(argmax(taken.astype("int32"), axis=0), axis=0)
    y = d * take_along_axis(v, first, axis=0)[0]
    lift = log1p(-uniform(shape, dtype=alpha.dtype))
    y = where(small, y * (lift / where(small, alpha, 1.0)).exp(), y)
    return clip(y, finfo(alpha.dtype).smallest_normal, None)


class _GammaBased(Distribution):
    """The base of those whose draws have a derivative that is implicit only."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Nothing: a draw depends on the parameters implicitly, through its distribution function.

        Source of what is not built: Figurnov, Mohamed & Mnih, "Implicit reparameterization
        gradients", NeurIPS 2018.
        """
        name = type(self).__name__
        raise ArgumentError(
            f"rsample: the implicit derivative of a draw of {name} is not built; use sample() with "
            "log_prob, as the score function does: loss = -log_prob(action) * reward; or LogNormal"
        )


class Gamma(_GammaBased):
    """p(x) = rate^α x^(α-1) e^(-rate x) / Γ(α) for x > 0, where α is the concentration.

    >>> round(Gamma(2.0, 1.0).log_prob(1.0).item(), 4)
    -1.0
    """

    names: ClassVar[tuple[str, ...]] = ("concentration", "rate")
    support: ClassVar = POSITIVE

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None):
        self.concentration, self.rate = parameters(
            "Gamma", validate_args, concentration=(concentration, POSITIVE), rate=(rate, POSITIVE)
        )
        super().__init__(self.rate.shape, (), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of rate 1, divided by the rate."""
        return standard_gamma(self.concentration, self._drawn(sample_shape)) / self.rate.detach()

    def log_prob(self, value: Any) -> Tensor:
        """α log rate + (α-1) log x - rate x - log Γ(α)."""
        x, a = self._value(value), self.concentration
        return xlogy(a, self.rate) + xlogy(a - 1.0, x) - self.rate * x - lgamma(a)

    def entropy(self) -> Tensor:
        """α - log rate + log Γ(α) + (1-α) ψ(α)."""
        a = self.concentration
        return a - log(self.rate) + lgamma(a) + (1.0 - a) * digamma(a)

    @property
    def mean(self) -> Tensor:
        """α / rate."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """(α-1) / rate, and 0 where α < 1."""
        return clip((self.concentration - 1.0) / self.rate, 0.0, None)

    @property
    def variance(self) -> Tensor:
        """α / rate²."""
        return self.concentration / square(self.rate)


class Chi2(Gamma):
    """The sum of the squares of df standard normal numbers: Gamma(df/2, 1/2).

    >>> Chi2(3.0).mean.item()
    3.0
    """

    names: ClassVar = ("df",)

    def __init__(self, df: Any, validate_args: bool | None = None):
        (self.df,) = parameters("Chi2", validate_args, df=(df, POSITIVE))
        super().__init__(self.df / 2.0, 0.5, validate_args)


class InverseGamma(_GammaBased):
    """1/x of a Gamma x: p(y) = rate^α y^(-α-1) e^(-rate/y) / Γ(α), the prior of a variance.

    >>> InverseGamma(3.0, 1.0).mean.item()
    0.5
    """

    names: ClassVar = ("concentration", "rate")
    support: ClassVar = POSITIVE

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None):
        self.base_dist = Gamma(concentration, rate, validate_args)
        self.concentration, self.rate = self.base_dist.concentration, self.base_dist.rate
        super().__init__(self.rate.shape, (), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """1 divided by a draw of Gamma's distribution."""
        return 1.0 / self.base_dist.sample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """That of 1/y, less 2 log y."""
        y = self._value(value)
        return self.base_dist.log_prob(1.0 / y) - 2.0 * log(y)

    def entropy(self) -> Tensor:
        """α + log rate + log Γ(α) - (1+α) ψ(α)."""
        a = self.concentration
        return a + log(self.rate) + lgamma(a) - (1.0 + a) * digamma(a)

    @property
    def mean(self) -> Tensor:
        """`rate` / (α-1), and ∞ where α ≤ 1."""
        a = self.concentration
        return where(a > 1.0, self.rate / where(a > 1.0, a - 1.0, 1.0), math.inf)

    @property
    def mode(self) -> Tensor:
        """`rate` / (α+1)."""
        return self.rate / (self.concentration + 1.0)

    @property
    def variance(self) -> Tensor:
        """rate² / ((α-1)² (α-2)), and ∞ where α ≤ 2."""
        a = where(self.concentration > 2.0, self.concentration, 3.0)
        finite = square(self.rate / (a - 1.0)) / (a - 2.0)
        return where(self.concentration > 2.0, finite, math.inf)


class Dirichlet(_GammaBased):
    """p(x) = Γ(Σα) Π x_i^(α_i - 1) / Γ(α_i) over shares x: (..., K) that sum to 1.

    >>> from backlit import tensor
    >>> Dirichlet(tensor([1.0, 1.0, 1.0])).log_prob(tensor([0.2, 0.5, 0.3])).exp().item()
    2.0
    """

    names: ClassVar = ("concentration",)
    support: ClassVar = SHARES

    def __init__(self, concentration: Any, validate_args: bool | None = None):
        (self.concentration,) = parameters(
            "Dirichlet", validate_args, concentration=(concentration, POSITIVE)
        )
        shape = self.concentration.shape
        if not shape:
            raise ShapeError(
                "Dirichlet: concentration must have an axis of shares, got shape (); give several"
            )
        super().__init__(shape[:-1], shape[-1:], validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws of Gamma, divided by their sum."""
        y = standard_gamma(self.concentration, self._drawn(sample_shape))
        return y / total(y, axis=-1, keepdims=True)

    def log_prob(self, value: Any) -> Tensor:
        """Σ (α-1) log x + log Γ(Σα) - Σ log Γ(α)."""
        x, a = self._value(value), self.concentration
        return total(xlogy(a - 1.0, x), axis=-1) + _log_beta(a, -1.0)

    def entropy(self) -> Tensor:
        """log B(α) - (K - Σα) ψ(Σα) - Σ (α-1) ψ(α)."""
        a = self.concentration
        whole = total(a, axis=-1)
        terms = total((a - 1.0) * digamma(a), axis=-1)
        return _log_beta(a, 1.0) - (a.shape[-1] - whole) * digamma(whole) - terms

    @property
    def mean(self) -> Tensor:
        """α / Σα."""
        return self.concentration / total(self.concentration, axis=-1, keepdims=True)

    @property
    def mode(self) -> Tensor:
        """(α-1) / Σ(α-1), of what is above 0; where all α < 1, the corner of the largest."""
        a = self.concentration
        above = clip(a - 1.0, 0.0, None)
        corner = one_hot(argmax(a, axis=-1), a.shape[-1]).astype(a.dtype)
        in_corner = every(a < 1.0, axis=-1, keepdims=True)
        return where(in_corner, corner, above / total(above, axis=-1, keepdims=True))

    @property
    def variance(self) -> Tensor:
        """m (1-m) / (1 + Σα), where m is the mean."""
        whole = total(self.concentration, axis=-1, keepdims=True)
        return self.mean * (1.0 - self.mean) / (1.0 + whole)


def _log_beta(a: Tensor, sign: float) -> Tensor:
    """± log B(α), where log B(α) = Σ log Γ(α) - log Γ(Σα) over the last axis."""
    return sign * (total(lgamma(a), axis=-1) - lgamma(total(a, axis=-1)))


class Beta(_GammaBased):
    """p(x) = x^(a-1) (1-x)^(b-1) / B(a, b) on [0, 1]: a = concentration1, b = concentration0.

    >>> round(Beta(2.0, 2.0).log_prob(0.5).exp().item(), 4)
    1.5
    """

    names: ClassVar = ("concentration1", "concentration0")
    support: ClassVar = UNIT

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = parameters(
            "Beta", validate_args,
            concentration1=(concentration1, POSITIVE), concentration0=(concentration0, POSITIVE),
        )  # fmt: skip
        self._both = Dirichlet(
            stack([self.concentration1, self.concentration0], axis=-1), validate_args=False
        )
        super().__init__(self.concentration1.shape, (), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """The first share of a draw of Dirichlet's distribution over two."""
        return self._both.sample(sample_shape)[..., 0]

    def log_prob(self, value: Any) -> Tensor:
        """(a-1) log x + (b-1) log(1-x) - log B(a, b)."""
        x = self._value(value)
        return self._both.log_prob(stack([x, 1.0 - x], axis=-1))

    def entropy(self) -> Tensor:
        """That of Dirichlet's distribution over two."""
        return self._both.entropy()

    @property
    def mean(self) -> Tensor:
        """a / (a + b)."""
        return self._both.mean[..., 0]

    @property
    def mode(self) -> Tensor:
        """(a-1) / (a+b-2), or an end: see that of Dirichlet."""
        return self._both.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        """m (1-m) / (1 + a + b), where m is the mean."""
        return self._both.variance[..., 0]


class Poisson(Distribution):
    """P(n) = rate^n e^(-rate) / n! of counts n.

    >>> round(Poisson(2.0).log_prob(0.0).item(), 4)
    -2.0
    """

    names: ClassVar = ("rate",)
    support: ClassVar = COUNT

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = parameters("Poisson", validate_args, rate=(rate, NOT_NEGATIVE))
        super().__init__(self.rate.shape, (), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floating numbers."""
        return poisson(broadcast_to(self.rate.detach(), self._drawn(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        """n log rate - rate - log n!."""
        n = self._value(value)
        return xlogy(n, self.rate) - self.rate - lgamma(n + 1.0)

    @property
    def mean(self) -> Tensor:
        """`rate`."""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """The whole part of the rate."""
        return floor(self.rate)

    @property
    def variance(self) -> Tensor:
        """`rate`."""
        return self.rate


__all__ = ["Beta", "Chi2", "Dirichlet", "Gamma", "InverseGamma", "Poisson"]
