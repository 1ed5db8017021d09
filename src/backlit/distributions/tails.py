"""Distributions with heavy tails or one side: Cauchy's, Student's, Pareto's, Weibull's, …"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import abs, atan, digamma, exp, expm1, lgamma, log, log1p, sqrt, square, tan, where
from ..errors import ArgumentError
from ..random import exponential, normal, uniform
from ..tensor import Tensor, as_tensor
from .continuous import EULER, NOT_NEGATIVE, LocationScale, Normal
from .distribution import POSITIVE, REAL, UNIT, Distribution, parameters
from .gammas import standard_gamma


class Cauchy(LocationScale):
    """p(x) = 1 / (π scale (1 + z²)) with z = (x - loc) / scale: it has no mean.

    >>> round(Cauchy(0.0, 1.0).log_prob(0.0).exp().item(), 4)
    0.3183
    """

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc` + scale tan(π (u - 1/2)), where u is in [0, 1)."""
        u = uniform(self._drawn(sample_shape), dtype=self.loc.dtype)
        return self.loc + self.scale * tan(math.pi * (u - 0.5))

    def log_prob(self, value: Any) -> Tensor:
        """-log π - log scale - log(1 + z²)."""
        return -math.log(math.pi) - log(self.scale) - log1p(square(self._standard(value)))

    def cdf(self, value: Any) -> Tensor:
        """1/2 + atan(z) / π."""
        return 0.5 + atan(self._standard(value)) / math.pi

    def icdf(self, value: Any) -> Tensor:
        """`loc` + scale tan(π (value - 1/2))."""
        return self.loc + self.scale * tan(math.pi * (as_tensor(value) - 0.5))

    def entropy(self) -> Tensor:
        """log(4π scale)."""
        return math.log(4 * math.pi) + log(self.scale)

    @property
    def mean(self) -> Tensor:
        """NaN: the integral has no value."""
        return self.loc * math.nan

    @property
    def variance(self) -> Tensor:
        """∞."""
        return self.scale * math.inf


class _Folded(Distribution):
    """The base of those of |x|, where x has a distribution that is symmetric around 0."""

    names: ClassVar = ("scale",)
    has_rsample: ClassVar = True
    support: ClassVar = NOT_NEGATIVE
    _of: ClassVar[type[Normal] | type[Cauchy]]

    def __init__(self, scale: Any, validate_args: bool | None = None):
        (self.scale,) = parameters(type(self).__name__, validate_args, scale=(scale, POSITIVE))
        self.base_dist: Any = self._of(0.0, self.scale, validate_args)
        super().__init__(self.scale.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """The absolute value of a draw."""
        return abs(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        """That of both signs: twice the density."""
        return self.base_dist.log_prob(self._value(value)) + math.log(2.0)

    def cdf(self, value: Any) -> Tensor:
        """2 cdf(x) - 1 of both signs."""
        return 2.0 * self.base_dist.cdf(self._value(value)) - 1.0

    def icdf(self, value: Any) -> Tensor:
        """That of both signs, at (1 + value) / 2."""
        return self.base_dist.icdf((as_tensor(value) + 1.0) / 2.0)

    def entropy(self) -> Tensor:
        """That of both signs, less log 2."""
        return self.base_dist.entropy() - math.log(2.0)

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.scale * 0.0


class HalfNormal(_Folded):
    """|x| of a normal x around 0: p(x) = √(2/π) e^(-(x/scale)²/2) / scale for x ≥ 0.

    >>> round(HalfNormal(1.0).mean.item(), 4)
    0.7979
    """

    _of: ClassVar = Normal

    @property
    def mean(self) -> Tensor:
        """`scale` √(2/π)."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        """scale² (1 - 2/π)."""
        return square(self.scale) * (1 - 2 / math.pi)


class HalfCauchy(_Folded):
    """|x| of a Cauchy x around 0: a prior of scales whose tail is heavy.

    >>> round(HalfCauchy(1.0).cdf(1.0).item(), 4)
    0.5

    Source: Gelman, "Prior distributions for variance parameters", Bayesian Analysis 1 (2006).
    """

    _of: ClassVar = Cauchy

    @property
    def mean(self) -> Tensor:
        """∞."""
        return self.scale * math.inf

    @property
    def variance(self) -> Tensor:
        """∞."""
        return self.scale * math.inf


class StudentT(Distribution):
    """p(x) = Γ((ν+1)/2) / (Γ(ν/2) √(πν) scale) (1 + z²/ν)^(-(ν+1)/2), where ν is `df`.

    >>> round(StudentT(1.0).log_prob(0.0).exp().item(), 4)  # ν = 1 is Cauchy's
    0.3183

    Source: "Student", "The probable error of a mean", Biometrika 6 (1908).
    """

    names: ClassVar = ("df", "loc", "scale")
    has_rsample: ClassVar = True

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ):
        self.df, self.loc, self.scale = parameters(
            "StudentT", validate_args,
            df=(df, POSITIVE), loc=(loc, REAL), scale=(scale, POSITIVE),
        )  # fmt: skip
        super().__init__(self.df.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc` + scale ε √(ν / χ²): a derivative for loc and scale, not for df."""
        if self.df.requires_grad:
            raise ArgumentError(
                "rsample: the implicit derivative of a draw of StudentT with respect to df is not "
                "built; give df.detach(), or use sample() with log_prob"
            )
        shape = self._drawn(sample_shape)
        half = self.df / 2.0
        noise = normal(shape, dtype=self.loc.dtype) * sqrt(half / standard_gamma(half, shape))
        return self.loc + self.scale * noise

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw that is cut off from the tape."""
        df, loc, scale = (x.detach() for x in (self.df, self.loc, self.scale))
        return StudentT(df, loc, scale, validate_args=False).rsample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density above."""
        v, z = self.df, (self._value(value) - self.loc) / self.scale
        whole = log(self.scale) + 0.5 * log(math.pi * v) + lgamma(v / 2.0) - lgamma((v + 1.0) / 2.0)
        return -0.5 * (v + 1.0) * log1p(square(z) / v) - whole

    def entropy(self) -> Tensor:
        """log scale + (ν+1)/2 (ψ((ν+1)/2) - ψ(ν/2)) + log(√ν B(ν/2, 1/2))."""
        low, high = self.df / 2.0, (self.df + 1.0) / 2.0
        beta = lgamma(low) + 0.5 * math.log(math.pi) - lgamma(high)
        return log(self.scale) + high * (digamma(high) - digamma(low)) + 0.5 * log(self.df) + beta

    @property
    def mean(self) -> Tensor:
        """`loc`, and NaN where df ≤ 1."""
        return where(self.df > 1.0, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        """`loc`."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale² ν / (ν - 2); ∞ where 1 < ν ≤ 2, and NaN where ν ≤ 1."""
        v = self.df
        finite = square(self.scale) * v / where(v > 2.0, v - 2.0, 1.0)
        return where(v > 2.0, finite, where(v > 1.0, math.inf, math.nan))


class Pareto(Distribution):
    """p(x) = α scale^α / x^(α+1) for x ≥ scale.

    >>> Pareto(1.0, 3.0).mean.item()
    1.5
    """

    names: ClassVar = ("scale", "alpha")
    has_rsample: ClassVar = True

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None):
        self.scale, self.alpha = parameters(
            "Pareto", validate_args, scale=(scale, POSITIVE), alpha=(alpha, POSITIVE)
        )
        super().__init__(self.scale.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`scale` e^(y/α), where y is exponentially distributed."""
        y = exponential(self._drawn(sample_shape), dtype=self.scale.dtype)
        return self.scale * exp(y / self.alpha)

    def log_prob(self, value: Any) -> Tensor:
        """log α + α log scale - (α+1) log x, and -∞ below scale."""
        x, a = self._value(value), self.alpha
        inside = x >= self.scale
        logs = log(a) + a * log(self.scale) - (a + 1.0) * log(where(inside, x, 1.0))
        return where(inside, logs, -math.inf)

    def cdf(self, value: Any) -> Tensor:
        """1 - (scale/x)^α, and 0 below scale."""
        x = self._value(value)
        inside = x >= self.scale
        return where(inside, 1.0 - (self.scale / where(inside, x, 1.0)) ** self.alpha, 0.0)

    def icdf(self, value: Any) -> Tensor:
        """`scale` (1 - value)^(-1/α)."""
        return self.scale * exp(-log1p(-as_tensor(value)) / self.alpha)

    def entropy(self) -> Tensor:
        """log(scale/α) + 1 + 1/α."""
        return log(self.scale / self.alpha) + 1.0 + 1.0 / self.alpha

    @property
    def mean(self) -> Tensor:
        """α scale / (α - 1), and ∞ where α ≤ 1."""
        a = self.alpha
        return where(a > 1.0, a * self.scale / where(a > 1.0, a - 1.0, 1.0), math.inf)

    @property
    def mode(self) -> Tensor:
        """`scale`."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """scale² α / ((α-1)² (α-2)), and ∞ where α ≤ 2."""
        a = where(self.alpha > 2.0, self.alpha, 3.0)
        finite = square(self.scale / (a - 1.0)) * a / (a - 2.0)
        return where(self.alpha > 2.0, finite, math.inf)


class Weibull(Distribution):
    """p(x) = (k/λ) (x/λ)^(k-1) e^(-(x/λ)^k) for x > 0: λ is `scale`, k is `concentration`.

    >>> round(Weibull(2.0, 1.0).log_prob(2.0).item(), 4)  # k = 1 is exponential
    -1.6931

    Source: Weibull, "A statistical distribution function of wide applicability", J. Appl. Mech.
    18 (1951).
    """

    names: ClassVar = ("scale", "concentration")
    has_rsample: ClassVar = True
    support: ClassVar = POSITIVE

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.scale, self.concentration = parameters(
            "Weibull", validate_args,
            scale=(scale, POSITIVE), concentration=(concentration, POSITIVE),
        )  # fmt: skip
        super().__init__(self.scale.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """λ y^(1/k), where y is exponentially distributed."""
        y = exponential(self._drawn(sample_shape), dtype=self.scale.dtype)
        return self.scale * y ** (1.0 / self.concentration)

    def log_prob(self, value: Any) -> Tensor:
        """log(k/λ) + (k-1) log(x/λ) - (x/λ)^k."""
        k, logs = self.concentration, log(self._value(value) / self.scale)
        return log(k / self.scale) + (k - 1.0) * logs - exp(k * logs)

    def cdf(self, value: Any) -> Tensor:
        """1 - e^(-(x/λ)^k)."""
        return -expm1(-((self._value(value) / self.scale) ** self.concentration))

    def icdf(self, value: Any) -> Tensor:
        """λ (-log(1 - value))^(1/k)."""
        return self.scale * (-log1p(-as_tensor(value))) ** (1.0 / self.concentration)

    def entropy(self) -> Tensor:
        """γ (1 - 1/k) + log(λ/k) + 1, where γ is Euler's constant."""
        k = self.concentration
        return EULER * (1.0 - 1.0 / k) + log(self.scale / k) + 1.0

    def _moment(self, n: float) -> Tensor:
        return exp(lgamma(1.0 + n / self.concentration))

    @property
    def mean(self) -> Tensor:
        """λ Γ(1 + 1/k)."""
        return self.scale * self._moment(1.0)

    @property
    def mode(self) -> Tensor:
        """λ ((k-1)/k)^(1/k), and 0 where k ≤ 1."""
        k = where(self.concentration > 1.0, self.concentration, 2.0)
        return where(self.concentration > 1.0, self.scale * ((k - 1.0) / k) ** (1.0 / k), 0.0)

    @property
    def variance(self) -> Tensor:
        """λ² (Γ(1 + 2/k) - Γ(1 + 1/k)²)."""
        return square(self.scale) * (self._moment(2.0) - square(self._moment(1.0)))


class Kumaraswamy(Distribution):
    """p(x) = a b x^(a-1) (1 - x^a)^(b-1) on [0, 1]: like Beta's, with draws that have a derivative.

    >>> Kumaraswamy(2.0, 1.0).log_prob(0.5).exp().item()
    1.0

    Source: Kumaraswamy, "A generalized probability density function for double-bounded random
    processes", J. Hydrol. 46 (1980).
    """

    names: ClassVar = ("concentration1", "concentration0")
    has_rsample: ClassVar = True
    support: ClassVar = UNIT

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = parameters(
            "Kumaraswamy", validate_args,
            concentration1=(concentration1, POSITIVE), concentration0=(concentration0, POSITIVE),
        )  # fmt: skip
        super().__init__(self.concentration1.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """(1 - e^(-y/b))^(1/a), where y is exponentially distributed."""
        y = exponential(self._drawn(sample_shape), dtype=self.concentration1.dtype)
        return (-expm1(-y / self.concentration0)) ** (1.0 / self.concentration1)

    def log_prob(self, value: Any) -> Tensor:
        """log(a b) + (a-1) log x + (b-1) log(1 - x^a)."""
        a, b, logs = self.concentration1, self.concentration0, log(self._value(value))
        return log(a * b) + (a - 1.0) * logs + (b - 1.0) * log1p(-exp(a * logs))

    def cdf(self, value: Any) -> Tensor:
        """1 - (1 - x^a)^b."""
        return 1.0 - (1.0 - self._value(value) ** self.concentration1) ** self.concentration0

    def icdf(self, value: Any) -> Tensor:
        """(1 - (1 - value)^(1/b))^(1/a)."""
        inner = -expm1(log1p(-as_tensor(value)) / self.concentration0)
        return inner ** (1.0 / self.concentration1)

    def entropy(self) -> Tensor:
        """1 - 1/b + (1 - 1/a) (ψ(b+1) + γ) - log(a b), where γ is Euler's constant."""
        a, b = self.concentration1, self.concentration0
        return 1.0 - 1.0 / b + (1.0 - 1.0 / a) * (digamma(b + 1.0) + EULER) - log(a * b)

    def _moment(self, n: float) -> Tensor:
        b, shift = self.concentration0, n / self.concentration1
        return b * exp(lgamma(1.0 + shift) + lgamma(b) - lgamma(1.0 + shift + b))

    @property
    def mean(self) -> Tensor:
        """b B(1 + 1/a, b)."""
        return self._moment(1.0)

    @property
    def mode(self) -> Tensor:
        """((a-1) / (ab-1))^(1/a), and NaN unless a, b ≥ 1 and one of them > 1."""
        a, b = self.concentration1, self.concentration0
        inside = (a >= 1.0) & (b >= 1.0) & (a * b > 1.0)
        ratio = where(inside, a - 1.0, 1.0) / where(inside, a * b - 1.0, 1.0)
        return where(inside, ratio ** (1.0 / a), math.nan)

    @property
    def variance(self) -> Tensor:
        """b B(1 + 2/a, b) - mean²."""
        return self._moment(2.0) - square(self._moment(1.0))


__all__ = [
    "Cauchy",
    "HalfCauchy",
    "HalfNormal",
    "Kumaraswamy",
    "Pareto",
    "StudentT",
    "Weibull",
]
