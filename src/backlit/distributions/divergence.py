"""The Kullback-Leibler divergence between two distributions, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..array_api import (
    abs,
    broadcast_to,
    diagonal,
    digamma,
    exp,
    lgamma,
    log,
    logical_and,
    square,
    where,
    xlogy,
)
from ..array_api import sum as total
from ..errors import ArgumentError
from ..linalg import solve_triangular
from ..nn.functional import softplus
from ..tensor import Tensor
from .continuous import (
    EULER,
    Exponential,
    Gumbel,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    Uniform,
)
from .counts import Binomial, Geometric
from .discrete import Bernoulli, Categorical, OneHotCategorical
from .distribution import Distribution, Independent
from .gammas import Beta, Chi2, Dirichlet, Gamma, Poisson
from .tails import Cauchy, HalfNormal, Pareto

#: A formula for the divergence of p from q.
Rule = Callable[[Any, Any], Tensor]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p ‖ q) = E_p[log p(x) - log q(x)] ≥ 0, in nats, for each element of the batch.

    Source: Kullback & Leibler, "On information and sufficiency", 1951.

    >>> from backlit.distributions import Normal
    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0)).item()
    0.5
    """
    rule = _RULES.get((type(p), type(q)))
    if rule is None:
        raise ArgumentError(
            f"kl_divergence: {type(p).__name__} to {type(q).__name__} is not known in closed "
            "form; estimate it: (p.log_prob(x) - q.log_prob(x)).mean() with x = p.rsample((n,))"
        )
    return rule(p, q)


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """The decorator of a function that is the divergence of two kinds: `f(p, q)`.

    >>> from backlit.distributions import Cauchy
    >>> @register_kl(Cauchy, Normal)
    ... def infinite(p, q):
    ...     return p.scale * math.inf
    >>> kl_divergence(Cauchy(0.0, 1.0), Normal(0.0, 1.0)).item()
    inf
    """

    def register(rule: Rule) -> Rule:
        _RULES[type_p, type_q] = rule
        return rule

    return register


def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = square(p.scale / q.scale)
    return 0.5 * (ratio + square((p.loc - q.loc) / q.scale) - 1.0 - log(ratio))


def _log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    a, b = p.logits, q.logits
    return p.probs * (a - b) + softplus(b) - softplus(a)


def _categorical(p: Categorical, q: Categorical) -> Tensor:
    share = p.probs
    terms = where(share > 0, share * (p.logits - q.logits), 0.0)
    return total(where(logical_and(q.probs <= 0, share > 0), math.inf, terms), axis=-1)


def _uniform(p: Uniform, q: Uniform) -> Tensor:
    inside = logical_and(q.low <= p.low, p.high <= q.high)
    return where(inside, log((q.high - q.low) / (p.high - p.low)), math.inf)


def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1.0 - log(ratio)


def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, away = p.scale / q.scale, abs(p.loc - q.loc)
    return -log(ratio) + away / q.scale + ratio * exp(-away / p.scale) - 1.0


def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio = p.scale / q.scale
    shift = (q.loc - p.loc) / q.scale
    grown = exp(shift + lgamma(ratio + 1.0))
    return -log(ratio) - shift + ratio * EULER + grown - (1.0 + EULER)


def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    grown = b * log(p.rate / q.rate) + lgamma(b) - lgamma(a)
    return grown + (a - b) * digamma(a) + (q.rate - p.rate) * a / p.rate


def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    whole = total(a, axis=-1, keepdims=True)
    logs = total(lgamma(b) - lgamma(a), axis=-1) + lgamma(whole[..., 0])
    terms = total((a - b) * (digamma(a) - digamma(whole)), axis=-1)
    return logs - lgamma(total(b, axis=-1)) + terms


def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._both, q._both)


def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return xlogy(p.rate, p.rate) - xlogy(p.rate, q.rate) - p.rate + q.rate


def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    size = p.event_shape[0]
    away = (q.loc - p.loc)[..., None]
    batch = away.shape[:-2]
    lower = broadcast_to(q.scale_tril, (*batch, size, size))
    mixed = solve_triangular(lower, broadcast_to(p.scale_tril, (*batch, size, size)), upper=False)
    shift = solve_triangular(lower, away, upper=False)
    grown = total(square(mixed), axis=(-2, -1)) + total(square(shift), axis=(-2, -1))
    logs = log(diagonal(q.scale_tril, 0, -2, -1)) - log(diagonal(p.scale_tril, 0, -2, -1))
    return total(logs, axis=-1) + 0.5 * (grown - size)


def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    both = square(p.scale + q.scale) + square(p.loc - q.loc)
    return log(both) - log(4.0 * p.scale * q.scale)


def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() + softplus(-q.logits) + p.mean * softplus(q.logits)


def _binomial(p: Binomial, q: Binomial) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise ArgumentError(
            "kl_divergence: of Binomials, p.total_count must not be less than q.total_count; "
            "estimate it: (p.log_prob(x) - q.log_prob(x)).mean() with x = p.sample((n,))"
        )
    more = p.total_count > q.total_count
    one = p.probs * (p.logits - q.logits) + softplus(q.logits) - softplus(p.logits)
    return where(more, math.inf, p.total_count * one)


def _pareto(p: Pareto, q: Pareto) -> Tensor:
    inside, ratio = q.scale <= p.scale, q.alpha / p.alpha
    logs = q.alpha * log(p.scale / q.scale) - log(ratio) + ratio - 1.0
    return where(inside, logs, math.inf)


def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise ArgumentError(
            "kl_divergence: both must be Independent over as many axes, got "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return p._sum(kl_divergence(p.base_dist, q.base_dist))


_RULES: dict[tuple[type, type], Rule] = {
    (Normal, Normal): _normal,
    (LogNormal, LogNormal): _log_normal,
    (Bernoulli, Bernoulli): _bernoulli,
    (Categorical, Categorical): _categorical,
    (OneHotCategorical, OneHotCategorical): _categorical,
    (Uniform, Uniform): _uniform,
    (Exponential, Exponential): _exponential,
    (Laplace, Laplace): _laplace,
    (Gumbel, Gumbel): _gumbel,
    (Gamma, Gamma): _gamma,
    (Dirichlet, Dirichlet): _dirichlet,
    (Beta, Beta): _beta,
    (Poisson, Poisson): _poisson,
    (MultivariateNormal, MultivariateNormal): _multivariate_normal,
    (Independent, Independent): _independent,
    (Chi2, Chi2): _gamma,
    (HalfNormal, HalfNormal): _half_normal,
    (Cauchy, Cauchy): _cauchy,
    (Geometric, Geometric): _geometric,
    (Binomial, Binomial): _binomial,
    (Pareto, Pareto): _pareto,
}

__all__ = ["kl_divergence", "register_kl"]
