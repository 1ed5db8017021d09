"""The table of everyday expressions is right about PyTorch."""

import numpy as np
import pytest
import torch

import backlit.torch
from dialect import differing
from dialect.asking import wrong

pytestmark = pytest.mark.parity


def test_the_table_of_expressions_is_right_about_pytorch():
    found = wrong("torch")
    assert not found, "\n".join(found)


def test_the_table_of_differences_is_right_about_pytorch():
    default = torch.get_default_dtype()
    try:
        found = differing.wrong("torch", "theirs")
    finally:
        torch.set_default_dtype(default)
    unstable = ("torch.sort", "torch.topk")
    assert [row for row in found if not row.startswith(unstable)] == []


def test_distributions_have_pytorchs_densities_and_divergences():
    x, p = np.linspace(-1.5, 2.0, 6), np.array([[0.2, 0.3, 0.5], [0.1, 0.0, 0.9]])

    def results(torch):
        d, t = torch.distributions, torch.tensor
        normal, other = d.Normal(t(0.5), t(2.0)), d.Normal(t(-1.0), t(0.7))
        coin, weighted = d.Bernoulli(logits=t(0.3)), d.Bernoulli(t(0.9))
        classes = d.Categorical(t(p))
        return [
            normal.log_prob(t(x)),
            d.Laplace(t(0.5), t(2.0)).log_prob(t(x)),
            d.Exponential(t(0.4)).log_prob(t(np.abs(x))),
            coin.log_prob(t([0.0, 1.0])),
            coin.entropy(),
            classes.entropy(),
            classes.log_prob(t([2, 0])),
            d.kl_divergence(normal, other),
            d.kl_divergence(coin, weighted),
            d.kl_divergence(classes, d.Categorical(t([[0.4, 0.3, 0.3], [0.2, 0.2, 0.6]]).double())),
            d.Independent(d.Normal(t(x), t(1.0)), 1).log_prob(t(x)),
            d.Categorical(t([0.0, 1.0])).log_prob(t(0)),
            d.Bernoulli(t(1.0)).log_prob(t(0.0)),
            d.OneHotCategorical(logits=t(p)).entropy(),
            d.Gumbel(t(0.5), t(2.0)).cdf(t(x)),
            d.LogNormal(t(0.5), t(2.0)).icdf(t([0.1, 0.6])),
            d.kl_divergence(d.Gumbel(t(0.5), t(2.0)), d.Gumbel(t(0.1), t(1.0))),
            d.kl_divergence(d.Laplace(t(0.5), t(2.0)), d.Laplace(t(0.1), t(1.0))),
            d.kl_divergence(
                d.MultivariateNormal(t([0.5, 1.0]), torch.eye(2)),
                d.MultivariateNormal(torch.zeros(2), t([[2.0, 0.5], [0.5, 1.0]])),
            ),
        ]

    for ours, theirs in zip(results(backlit.torch), results(torch), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_tails_counts_and_mixtures_are_pytorchs():
    x, n = np.array([0.2, 0.7, 0.9]), np.array([0.0, 2.0, 3.0])

    def results(torch):
        d, t = torch.distributions, torch.tensor
        three = t([0.2, 0.3, 0.5], dtype=torch.float64)
        a, b = t(1.3, dtype=torch.float64), t(2.4, dtype=torch.float64)
        wide = [
            d.Cauchy(a, b), d.HalfCauchy(a), d.HalfNormal(a), d.StudentT(b, a, b), d.Chi2(b),
            d.Weibull(a, b), d.Kumaraswamy(a, b), d.InverseGamma(b, a), d.Pareto(a / 10, b),
            d.RelaxedBernoulli(a, probs=three), d.RelaxedBernoulli(a, logits=b),
        ]  # fmt: skip
        whole = [
            d.Geometric(three), d.Geometric(logits=b), d.Binomial(3, three),
            d.Binomial(3, logits=-b), d.NegativeBinomial(b, three),
            d.NegativeBinomial(3, logits=-b),
        ]  # fmt: skip
        found = [p.log_prob(t(x)) for p in wide] + [p.log_prob(t(n)) for p in whole]
        for p in (*wide[:9], *whole):
            found += [p.mean, p.variance]
            if type(p).__name__ != "Kumaraswamy":  # NaN in PyTorch where both are above 1
                found.append(p.mode)
            if type(p).__name__ != "NegativeBinomial":
                found.append(p.entropy())
        mixed = d.MixtureSameFamily(d.Categorical(three), d.Normal(t(n), t(x)))
        found += [mixed.log_prob(t(x)), mixed.mean, mixed.variance, mixed.cdf(t(x))]
        shares, counts = t([0.1, 0.3, 0.6], dtype=torch.float64), t([1.0, 0.0, 2.0])
        found.append(d.RelaxedOneHotCategorical(a, probs=three).log_prob(shares))
        found.append(d.Multinomial(3, three).log_prob(counts.to(torch.float64)))
        for p, q in [
            (d.HalfNormal(a), d.HalfNormal(b)), (d.Cauchy(a, b), d.Cauchy(b, a)),
            (d.Geometric(three), d.Geometric(logits=b)), (d.Chi2(a), d.Chi2(b)),
            (d.Binomial(3, three), d.Binomial(3, logits=b)), (d.Pareto(b, a), d.Pareto(a, b)),
        ]:  # fmt: skip
            found.append(d.kl_divergence(p, q))
        return found

    pairs = zip(results(backlit.torch), results(torch), strict=True)
    for i, (ours, theirs) in enumerate(pairs):
        np.testing.assert_allclose(
            ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6, err_msg=str(i)
        )


def test_transformed_distributions_have_pytorchs_densities():
    def results(torch):
        d, t = torch.distributions, torch.tensor
        normal, y = d.Normal(torch.zeros(2), torch.ones(2)), t([0.5, 0.3])
        affine = d.AffineTransform(t([0.1, 0.2]), t([2.0, -3.0]))
        squashed = d.TransformedDistribution(normal, [affine, d.TanhTransform()])
        vector = d.TransformedDistribution(d.Independent(normal, 1), [affine, d.SigmoidTransform()])
        grown = d.TransformedDistribution(d.Normal(t(0.0), t(1.0)), affine)
        one = d.ComposeTransform([affine, d.ExpTransform()])
        logs = [p.log_prob(y) for p in (squashed, vector, grown)]
        return [*logs, one.inv(y.abs()), one.log_abs_det_jacobian(y, one(y)), affine.inv.inv(y)]

    for ours, theirs in zip(results(backlit.torch), results(torch), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)
