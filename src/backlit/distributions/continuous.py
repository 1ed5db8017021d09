"""Distributions over real numbers and vectors."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import (
    abs,
    broadcast_shapes,
    broadcast_to,
    diagonal,
    erf,
    erfinv,
    exp,
    expm1,
    log,
    log1p,
    logical_and,
    matmul,
    matrix_transpose,
    sign,
    square,
    where,
    zeros_like,
)
from ..array_api import sum as total
from ..array_api.elementwise import nextafter
from ..errors import ArgumentError, ShapeError
from ..linalg import cholesky, inv, solve_triangular
from ..op import Shape
from ..random import exponential, normal, uniform
from ..tensor import Tensor, as_tensor
from .distribution import POSITIVE, REAL, Condition, Distribution, parameters

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
#: Euler's constant γ.
EULER = 0.57721566490153286061

NOT_NEGATIVE = Condition(lambda xp, x: x >= 0, "must not be negative", "its density is 0 there")


class LocationScale(Distribution):
    """The base of those in which z = (x - loc) / scale is the same for all loc and scale."""

    names: ClassVar = ("loc", "scale")
    has_rsample: ClassVar = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        name = type(self).__name__
        self.loc, self.scale = parameters(
            name, validate_args, loc=(loc, REAL), scale=(scale, POSITIVE)
        )
        super().__init__(self.loc.shape, (), validate_args)

    def _standard(self, value: Any) -> Tensor:
        """z of a value."""
        return (self._value(value) - self.loc) / self.scale

    @property
    def mean(self) -> Tensor:
        """`loc`."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """`loc`."""
        return self.loc


class Normal(LocationScale):
    """p(x) = e^(-z²/2) / (scale √(2π)) with z = (x - loc) / scale.

    >>> round(Normal(0.0, 1.0).log_prob(0.0).item(), 4)
    -0.9189
    """

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc` + scale ε, where ε is standard normal."""
        noise = normal(self._drawn(sample_shape), dtype=self.loc.dtype)
        return self.loc + self.scale * noise

    def log_prob(self, value: Any) -> Tensor:
        """-z²/2 - log scale - log √(2π)."""
        z = self._standard(value)
        return -0.5 * square(z) - log(self.scale) - _HALF_LOG_2PI

    def cdf(self, value: Any) -> Tensor:
        """(1 + erf(z / √2)) / 2."""
        z = self._standard(value)
        return 0.5 * (1.0 + erf(z / math.sqrt(2)))

    def icdf(self, value: Any) -> Tensor:
        """`loc` + scale √2 erf⁻¹(2 value - 1)."""
        return self.loc + self.scale * erfinv(2.0 * as_tensor(value) - 1.0) * math.sqrt(2)

    def entropy(self) -> Tensor:
        """1/2 + log √(2π) + log scale."""
        return 0.5 + _HALF_LOG_2PI + log(self.scale)

    @property
    def variance(self) -> Tensor:
        """scale²."""
        return square(self.scale)

    @property
    def stddev(self) -> Tensor:
        """`scale`."""
        return self.scale


class LogNormal(Distribution):
    """e^x of a normal x: p(y) = Normal(log y) / y."""

    names: ClassVar = ("loc", "scale")
    has_rsample: ClassVar = True
    support: ClassVar = POSITIVE

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.base_dist = Normal(loc, scale, validate_args)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        super().__init__(self.loc.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """e to a draw of the normal distribution."""
        return exp(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        """That of log y, less log y."""
        x = log(self._value(value))
        return self.base_dist.log_prob(x) - x

    def cdf(self, value: Any) -> Tensor:
        """That of log y."""
        return self.base_dist.cdf(log(self._value(value)))

    def icdf(self, value: Any) -> Tensor:
        """e to that of the normal distribution."""
        return exp(self.base_dist.icdf(value))

    def entropy(self) -> Tensor:
        """That of the normal distribution and loc."""
        return self.base_dist.entropy() + self.loc

    @property
    def mean(self) -> Tensor:
        """e^(loc + scale²/2)."""
        return exp(self.loc + square(self.scale) / 2)

    @property
    def mode(self) -> Tensor:
        """e^(loc - scale²)."""
        return exp(self.loc - square(self.scale))

    @property
    def variance(self) -> Tensor:
        """(e^scale² - 1) e^(2 loc + scale²)."""
        s2 = square(self.scale)
        return expm1(s2) * exp(2 * self.loc + s2)


class Uniform(Distribution):
    """p(x) = 1 / (high - low) for low ≤ x < high."""

    names: ClassVar = ("low", "high")
    has_rsample: ClassVar = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None):
        self.low, self.high = parameters(
            "Uniform", validate_args, low=(low, REAL), high=(high, REAL)
        )
        parameters("Uniform", validate_args, **{"high - low": (self.high - self.low, POSITIVE)})
        super().__init__(self.low.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`low` + (high - low) u, where u is in [0, 1)."""
        u = uniform(self._drawn(sample_shape), dtype=self.low.dtype)
        return self.low + (self.high - self.low) * u

    def log_prob(self, value: Any) -> Tensor:
        """-log(high - low) inside, -∞ outside."""
        x = self._value(value)
        inside = logical_and(x >= self.low, x < self.high)
        return where(inside, -log(self.high - self.low), -math.inf)

    def cdf(self, value: Any) -> Tensor:
        """(x - low) / (high - low), in [0, 1]."""
        share = (self._value(value) - self.low) / (self.high - self.low)
        return where(share < 0.0, 0.0, where(share > 1.0, 1.0, share))

    def icdf(self, value: Any) -> Tensor:
        """`low` + (high - low) value."""
        return self.low + (self.high - self.low) * as_tensor(value)

    def entropy(self) -> Tensor:
        """log(high - low)."""
        return log(self.high - self.low)

    @property
    def mean(self) -> Tensor:
        """(low + high) / 2."""
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        """(high - low)² / 12."""
        return square(self.high - self.low) / 12


class Exponential(Distribution):
    """p(x) = rate e^(-rate x) for x ≥ 0."""

    names: ClassVar = ("rate",)
    has_rsample: ClassVar = True
    support: ClassVar = NOT_NEGATIVE

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = parameters("Exponential", validate_args, rate=(rate, POSITIVE))
        super().__init__(self.rate.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of rate 1, divided by the rate."""
        return exponential(self._drawn(sample_shape), dtype=self.rate.dtype) / self.rate

    def log_prob(self, value: Any) -> Tensor:
        """log(rate) - rate x."""
        return log(self.rate) - self.rate * self._value(value)

    def cdf(self, value: Any) -> Tensor:
        """1 - e^(-rate x)."""
        return -expm1(-self.rate * self._value(value))

    def icdf(self, value: Any) -> Tensor:
        """-log(1 - value) / rate."""
        return -log1p(-as_tensor(value)) / self.rate

    def entropy(self) -> Tensor:
        """1 - log rate."""
        return 1.0 - log(self.rate)

    @property
    def mean(self) -> Tensor:
        """1 / rate."""
        return 1.0 / self.rate

    @property
    def mode(self) -> Tensor:
        """0."""
        return zeros_like(self.rate)

    @property
    def variance(self) -> Tensor:
        """1 / rate²."""
        return 1.0 / square(self.rate)


class Laplace(LocationScale):
    """p(x) = e^(-|x - loc| / scale) / (2 scale)."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc` - scale sign(u) log(1 - 2|u|), where u is in [-1/2, 1/2)."""
        low = nextafter(as_tensor(-0.5).astype(self.loc.dtype), 0.0).item()
        u = uniform(self._drawn(sample_shape), low, 0.5, dtype=self.loc.dtype)
        return self.loc - self.scale * sign(u) * log1p(-2.0 * abs(u))

    def log_prob(self, value: Any) -> Tensor:
        """-|x - loc| / scale - log(2 scale)."""
        return -abs(self._value(value) - self.loc) / self.scale - log(2.0 * self.scale)

    def cdf(self, value: Any) -> Tensor:
        """1/2 - sign(z) (e^(-|z|) - 1) / 2."""
        z = self._standard(value)
        return 0.5 - 0.5 * sign(z) * expm1(-abs(z))

    def icdf(self, value: Any) -> Tensor:
        """The inverse of `cdf`."""
        away = as_tensor(value) - 0.5
        return self.loc - self.scale * sign(away) * log1p(-2.0 * abs(away))

    def entropy(self) -> Tensor:
        """1 + log(2 scale)."""
        return 1.0 + log(2.0 * self.scale)

    @property
    def variance(self) -> Tensor:
        """2 scale²."""
        return 2.0 * square(self.scale)


class Gumbel(LocationScale):
    """p(x) = e^(-z - e^(-z)) / scale with z = (x - loc) / scale: the maximum of many draws."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc` - scale log e, where e is exponentially distributed."""
        rings = exponential(self._drawn(sample_shape), dtype=self.loc.dtype)
        return self.loc - self.scale * log(rings)

    def log_prob(self, value: Any) -> Tensor:
        """-z - e^(-z) - log scale."""
        z = self._standard(value)
        return -z - exp(-z) - log(self.scale)

    def cdf(self, value: Any) -> Tensor:
        """e^(-e^(-z))."""
        return exp(-exp((self.loc - self._value(value)) / self.scale))

    def icdf(self, value: Any) -> Tensor:
        """`loc` - scale log(-log value)."""
        return self.loc - self.scale * log(-log(as_tensor(value)))

    def entropy(self) -> Tensor:
        """log(scale) + γ + 1, where γ is Euler's constant."""
        return log(self.scale) + (1.0 + EULER)

    @property
    def mean(self) -> Tensor:
        """`loc` + γ scale."""
        return self.loc + EULER * self.scale

    @property
    def variance(self) -> Tensor:
        """π² scale² / 6."""
        return math.pi**2 / 6 * square(self.scale)


class MultivariateNormal(Distribution):
    """p(x) = e^(-‖L⁻¹(x - loc)‖²/2) / ((2π)^(n/2) |L|) with the covariance L Lᵀ.

    Of `covariance_matrix`, `precision_matrix` (its inverse) and the lower triangle `scale_tril` one
    is given.

    >>> from backlit import eye, zeros
    >>> round(MultivariateNormal(zeros(2), eye(2)).log_prob(zeros(2)).item(), 4)
    -1.8379
    """

    names: ClassVar = ("loc", "scale_tril")
    has_rsample: ClassVar = True

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ):
        given = [x for x in (covariance_matrix, precision_matrix, scale_tril) if x is not None]
        if len(given) != 1:
            raise ArgumentError(
                "MultivariateNormal: give one of covariance_matrix, precision_matrix and "
                f"scale_tril, got {len(given)}"
            )
        loc, matrix = as_tensor(loc), as_tensor(given[0])
        if loc.ndim < 1 or matrix.shape[-2:] != loc.shape[-1:] * 2:
            raise ShapeError(
                "MultivariateNormal: a vector of n elements needs a matrix of n × n, got loc "
                f"{loc.shape} and the matrix {matrix.shape}"
            )
        if covariance_matrix is not None:
            matrix = cholesky(matrix)
        elif precision_matrix is not None:
            matrix = cholesky(inv(matrix))
        batch = broadcast_shapes(loc.shape[:-1], matrix.shape[:-2])
        self.loc = broadcast_to(loc, (*batch, *loc.shape[-1:]))
        self.scale_tril = broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
        super().__init__(batch, loc.shape[-1:], validate_args)

    def expand(self, batch_shape: Any) -> MultivariateNormal:
        """The same distribution for a larger batch."""
        shape: Shape = tuple(batch_shape)
        return MultivariateNormal(
            self._widened(self.loc, shape), scale_tril=self._widened(self.scale_tril, shape)
        )

    @property
    def covariance_matrix(self) -> Tensor:
        """L Lᵀ."""
        return matmul(self.scale_tril, matrix_transpose(self.scale_tril))

    @property
    def precision_matrix(self) -> Tensor:
        """(L Lᵀ)⁻¹."""
        return inv(self.covariance_matrix)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc` + L ε, where ε is standard normal."""
        noise = normal(self._drawn(sample_shape), dtype=self.loc.dtype)
        return self.loc + matmul(self.scale_tril, noise[..., None])[..., 0]

    def _log_determinant(self) -> Tensor:
        return total(log(diagonal(self.scale_tril, 0, -2, -1)), axis=-1)

    def log_prob(self, value: Any) -> Tensor:
        """-‖L⁻¹(x - loc)‖²/2 - log |L| - n log √(2π)."""
        away = (self._value(value) - self.loc)[..., None]
        shape = broadcast_shapes(away.shape[:-2], self.batch_shape)
        matrix = broadcast_to(self.scale_tril, (*shape, *self.scale_tril.shape[-2:]))
        z = solve_triangular(matrix, broadcast_to(away, (*shape, *away.shape[-2:])), upper=False)
        norm = total(square(z[..., 0]), axis=-1)
        return -0.5 * norm - self._log_determinant() - self.event_shape[0] * _HALF_LOG_2PI

    def entropy(self) -> Tensor:
        """log |L| + n (1/2 + log √(2π))."""
        return self._log_determinant() + self.event_shape[0] * (0.5 + _HALF_LOG_2PI)

    @property
    def mean(self) -> Tensor:
        """`loc`."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """`loc`."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance."""
        return total(square(self.scale_tril), axis=-1)


__all__ = [
    "Exponential",
    "Gumbel",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "Uniform",
]
