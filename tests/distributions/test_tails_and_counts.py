"""Heavy tails, counts, mixtures and relaxed classes: against SciPy's, sums and integrals."""

import math

import numpy as np
import pytest
from scipy import stats

import backlit as bl
from backlit import distributions as d
from backlit.errors import ArgumentError


def t(*values, **options):
    return bl.tensor(np.array(values, np.float64), **options)


POSITIVE = np.array([0.2, 0.9, 2.4])
KINDS = {
    "Cauchy": (d.Cauchy(0.5, 2.0), stats.cauchy(0.5, 2.0), np.array([-1.2, 0.3, 2.5])),
    "HalfCauchy": (d.HalfCauchy(2.0), stats.halfcauchy(0, 2.0), POSITIVE),
    "HalfNormal": (d.HalfNormal(2.0), stats.halfnorm(0, 2.0), POSITIVE),
    "StudentT": (d.StudentT(3.5, 0.5, 2.0), stats.t(3.5, 0.5, 2.0), np.array([-1.2, 0.3, 2.5])),
    "Pareto": (d.Pareto(0.8, 3.0), stats.pareto(3.0, scale=0.8), POSITIVE + 0.8),
    "Weibull": (d.Weibull(2.0, 1.5), stats.weibull_min(1.5, scale=2.0), POSITIVE),
    "Chi2": (d.Chi2(3.0), stats.chi2(3.0), POSITIVE),
    "InverseGamma": (d.InverseGamma(3.0, 2.0), stats.invgamma(3.0, scale=2.0), POSITIVE),
}
COUNTS = {
    "Geometric": (d.Geometric(probs=0.3), stats.geom(0.3, loc=-1)),
    "Binomial": (d.Binomial(5, probs=0.3), stats.binom(5, 0.3)),
    "NegativeBinomial": (d.NegativeBinomial(2.5, probs=0.3), stats.nbinom(2.5, 0.7)),
}


@pytest.mark.parametrize("name", KINDS)
def test_densities_and_draws_are_scipys(name):
    ours, theirs, x = KINDS[name]
    np.testing.assert_allclose(ours.log_prob(bl.tensor(x)).numpy(), theirs.logpdf(x), rtol=2e-5)
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy(), rtol=1e-4)
    if "Cauchy" not in name:
        np.testing.assert_allclose(ours.mean.item(), theirs.mean(), rtol=1e-5)
        np.testing.assert_allclose(ours.variance.item(), theirs.var(), rtol=1e-4)
    if name not in ("StudentT", "Chi2", "InverseGamma"):
        share = ours.cdf(bl.tensor(x))
        np.testing.assert_allclose(share.numpy(), theirs.cdf(x), rtol=1e-5)
        np.testing.assert_allclose(ours.icdf(share).numpy(), x, rtol=1e-4)
    bl.manual_seed(0)
    drawn = ours.sample((4000,)).numpy()
    assert stats.kstest(drawn, theirs.cdf).pvalue > 1e-3
    assert ours.expand((2, 3)).sample((4,)).shape == (4, 2, 3)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_scipys(name):
    ours, theirs = COUNTS[name]
    n = np.arange(6.0)
    np.testing.assert_allclose(ours.log_prob(bl.tensor(n)).numpy(), theirs.logpmf(n), rtol=1e-4)
    np.testing.assert_allclose(ours.mean.item(), theirs.mean(), rtol=1e-5)
    np.testing.assert_allclose(ours.variance.item(), theirs.var(), rtol=1e-5)
    if name != "NegativeBinomial":
        np.testing.assert_allclose(ours.entropy().item(), theirs.entropy(), rtol=1e-4)
    assert ours.mode.item() == n[np.argmax(theirs.pmf(n))]
    bl.manual_seed(1)
    drawn = ours.sample((4000,)).numpy()
    often = np.array([(drawn == k).mean() for k in n])
    np.testing.assert_allclose(often, theirs.pmf(n), atol=0.03)
    assert ours.expand((2, 3)).sample((4,)).shape == (4, 2, 3)


def test_kumaraswamys_density_is_the_slope_of_its_cdf():
    p = d.Kumaraswamy(t(2.0, 0.7), t(1.5, 3.0))
    x = t(0.3, 0.6, requires_grad=True)
    share = p.cdf(x)
    np.testing.assert_allclose(bl.grad(share.sum(), x).numpy(), p.log_prob(x).exp().tolist(), 1e-9)
    np.testing.assert_allclose(p.icdf(share).tolist(), x.tolist(), 1e-9)
    grid = (np.arange(20000) + 0.5) / 20000
    logs = d.Kumaraswamy(t(2.0), t(1.5)).log_prob(bl.tensor(grid)[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(p.mean.numpy()[0], (np.exp(logs) * grid).mean(), rtol=1e-4)
    second = (np.exp(logs) * grid**2).mean()
    np.testing.assert_allclose(p.variance.numpy()[0], second - p.mean.numpy()[0] ** 2, rtol=1e-3)
    np.testing.assert_allclose(p.entropy().numpy()[0], -(np.exp(logs) * logs).mean(), rtol=1e-3)
    assert p.mode.numpy()[0] == pytest.approx(grid[np.argmax(logs)], abs=1e-3)
    assert math.isnan(p.mode.numpy()[1])
    bl.manual_seed(2)
    np.testing.assert_allclose(p.sample((4000,)).mean(axis=0).numpy(), p.mean.numpy(), atol=0.02)


def test_how_often_each_class_comes():
    p, x = np.array([0.2, 0.5, 0.3]), np.array([1.0, 3.0, 0.0])
    ours = d.Multinomial(4, bl.tensor(p))
    np.testing.assert_allclose(
        ours.log_prob(bl.tensor(x)).item(), stats.multinomial(4, p).logpmf(x)
    )
    np.testing.assert_allclose(ours.mean.numpy(), 4 * p)
    np.testing.assert_allclose(ours.variance.numpy(), 4 * p * (1 - p))
    bl.manual_seed(3)
    drawn = ours.expand((2,)).sample((2000,)).numpy()
    assert drawn.shape == (2000, 2, 3)
    assert (drawn.sum(-1) == 4).all()
    np.testing.assert_allclose(drawn.mean((0, 1)), 4 * p, atol=0.06)
    assert d.Multinomial(1, t(0.0, 1.0)).log_prob(t(0.0, 1.0)).item() == 0.0
    with pytest.raises(ArgumentError, match=r"a value: must sum to total_count, 4, along the"):
        ours.log_prob(t(1.0, 1.0, 1.0))


def test_a_mixture_has_the_weighted_density_moments_and_draws():
    weights = d.Categorical(t(0.25, 0.75))
    mixed = d.MixtureSameFamily(weights, d.Normal(t(-2.0, 1.0), t(0.5, 1.0)))
    x = np.array([-2.5, 0.0, 1.5])
    parts = [stats.norm(-2, 0.5), stats.norm(1, 1)]
    share = 0.25 * parts[0].pdf(x) + 0.75 * parts[1].pdf(x)
    np.testing.assert_allclose(mixed.log_prob(bl.tensor(x)).numpy(), np.log(share))
    both = 0.25 * parts[0].cdf(x) + 0.75 * parts[1].cdf(x)
    np.testing.assert_allclose(mixed.cdf(bl.tensor(x)).numpy(), both)
    bl.manual_seed(4)
    drawn = mixed.sample((8000,)).numpy()
    assert drawn.mean() == pytest.approx(mixed.mean.item(), abs=0.07)
    assert drawn.var() == pytest.approx(mixed.variance.item(), rel=0.06)
    normal = d.Normal(bl.zeros((3, 4, 2)), bl.ones((3, 4, 2)))
    vectors = d.MixtureSameFamily(d.Categorical(bl.ones((3, 4))), d.Independent(normal, 1))
    assert (vectors.batch_shape, vectors.event_shape) == ((3,), (2,))
    value = vectors.sample((5,))
    assert value.shape == (5, 3, 2)
    assert vectors.log_prob(value).shape == (5, 3)
    assert vectors.mean.shape == vectors.variance.shape == (3, 2)
    shared = d.MixtureSameFamily(d.Categorical(bl.ones(4)), d.Independent(normal, 1))
    assert shared.sample((5,)).shape == (5, 3, 2)
    with pytest.raises(ArgumentError, match=r"must be the 4 classes, got \(3, 4, 2\); a vector as"):
        d.MixtureSameFamily(d.Categorical(bl.ones(4)), normal)
    with pytest.raises(ArgumentError, match="mixture_distribution must be a Categorical, got Norm"):
        d.MixtureSameFamily(normal, normal)


def test_relaxed_classes_are_densities_whose_draws_have_gradients():
    grid = (np.arange(40000) + 0.5) / 40000
    relaxed = d.RelaxedBernoulli(t(0.7), logits=t(0.4))
    mass = relaxed.log_prob(bl.tensor(grid)).exp().numpy()
    assert mass.mean() == pytest.approx(1.0, abs=1e-3)
    bl.manual_seed(5)
    drawn = relaxed.sample((4000,)).numpy()
    assert drawn.mean() == pytest.approx((mass * grid).mean(), abs=0.02)
    pair = d.RelaxedOneHotCategorical(t(0.7), logits=t(0.4, 0.0))
    two = np.stack([grid, 1 - grid], 1)
    np.testing.assert_allclose(pair.log_prob(bl.tensor(two)).exp().numpy(), mass, rtol=1e-6)
    bl.manual_seed(6)
    assert pair.sample((4000,)).numpy()[:, 0].mean() == pytest.approx(drawn.mean(), abs=0.02)
    logits = t(0.1, 0.2, 0.3, requires_grad=True)
    for kind in (d.RelaxedBernoulli, d.RelaxedOneHotCategorical):
        z = kind(t(0.5), logits=logits).rsample((2,))
        assert float(bl.abs(bl.grad((z * t(1.0, 2.0, 3.0)).sum(), logits)).sum()) > 0
        assert kind(0.5, logits=logits).expand((4, 3)).rsample().requires_grad
        assert not kind(0.5, logits=logits).sample().requires_grad
    straight = d.OneHotCategoricalStraightThrough(logits=logits)
    z = straight.rsample()
    assert sorted(np.round(z.tolist(), 9)) == [0, 0, 1]
    soft = np.exp(logits.tolist()) / np.exp(logits.tolist()).sum()
    slope = soft * (np.arange(3) == 0) - soft * soft[0]
    np.testing.assert_allclose(bl.grad(z[0], logits).numpy(), slope, rtol=1e-6)


def test_gradients_of_log_prob_and_draws_are_right():
    x, a, b = t(0.3, 0.6), t(1.2, 2.5), t(0.8, 1.7)
    for name in ("Cauchy", "Pareto", "Weibull", "Kumaraswamy", "InverseGamma"):
        kind = getattr(d, name)
        value = x if name != "Pareto" else x + 2.0
        assert bl.gradcheck(
            lambda v, p, q, kind=kind: kind(p, q).log_prob(v),
            [v.detach().requires_grad_() for v in (value, a, b)],
        )
    assert bl.gradcheck(
        lambda v, p, q: d.StudentT(p, 0.1, q).log_prob(v),
        [v.detach().requires_grad_() for v in (x, a, b)],
    )
    scale = t(0.5, 1.5, requires_grad=True)
    for make in (
        lambda s: d.StudentT(3.0, 0.0, s),
        d.HalfCauchy,
        d.HalfNormal,
        lambda s: d.Weibull(s, 2.0),
        lambda s: d.Pareto(s, 2.0),
        lambda s: d.Cauchy(0.0, s),
    ):
        z = make(scale).rsample((3,))
        slope = bl.grad(z.sum(), scale)
        np.testing.assert_allclose(slope.numpy(), (z / scale).sum(axis=0).tolist())
    for count in (d.Binomial, d.NegativeBinomial):
        logits = t(0.3, -0.2, requires_grad=True)
        assert bl.gradcheck(
            lambda v, count=count: count(3.0, logits=v).log_prob(t(1.0, 2.0)), [logits]
        )


def test_edges_and_errors():
    assert d.StudentT(t(0.5, 1.5, 3.0)).variance.tolist()[1:] == [math.inf, 3.0]
    assert math.isnan(d.StudentT(0.5).mean.item())
    assert math.isnan(d.Cauchy(0.0, 1.0).mean.item())
    assert d.Pareto(1.0, 0.5).mean.item() == d.InverseGamma(1.0, 1.0).mean.item() == math.inf
    assert d.Pareto(1.0, 2.0).log_prob(0.5).item() == -math.inf
    assert d.Binomial(2, probs=0.5).log_prob(3.0).item() == -math.inf
    counts = d.Binomial(t(1.0, 4.0), probs=0.5)
    np.testing.assert_allclose(counts.entropy().tolist()[0], math.log(2.0), rtol=1e-6)
    assert counts.sample((50,)).max(axis=0).tolist()[0] == 1.0
    df = t(3.0, requires_grad=True)
    with pytest.raises(ArgumentError, match=r"respect to df is not built; give df\.detach\(\), or"):
        d.StudentT(df).rsample()
    assert not d.StudentT(df).sample().requires_grad
    with pytest.raises(ArgumentError, match="Geometric: probs: must be positive"):
        d.Geometric(probs=0.0)
    with pytest.raises(
        ArgumentError, match="Binomial: total_count: must be a whole number and not"
    ):
        d.Binomial(2.5, probs=0.1)
    with pytest.raises(ArgumentError, match="NegativeBinomial: total_count: must be positive"):
        d.NegativeBinomial(0.0, probs=0.1)
    with pytest.raises(ArgumentError, match="Binomial: give probs or logits, got neither"):
        d.Binomial(2)
    with pytest.raises(ArgumentError, match=r"p\.total_count must not be less than q\.total_count"):
        d.kl_divergence(d.Binomial(1, probs=0.5), d.Binomial(2, probs=0.5))


def test_divergences_are_means_of_log_ratios():
    bl.manual_seed(7)
    for p, q in [
        (d.HalfNormal(0.8), d.HalfNormal(1.0)),
        (d.Cauchy(0.3, 0.8), d.Cauchy(0.0, 1.0)),
        (d.Geometric(0.4), d.Geometric(0.6)),
        (d.Binomial(4, 0.4), d.Binomial(4, 0.6)),
        (d.Pareto(1.0, 3.0), d.Pareto(0.8, 2.5)),
        (d.Chi2(3.0), d.Chi2(4.0)),
    ]:
        x = p.sample((40000,))
        mean = (p.log_prob(x) - q.log_prob(x)).mean().item()
        assert d.kl_divergence(p, q).item() == pytest.approx(mean, abs=0.03), p
        assert abs(d.kl_divergence(p, p).item()) < 1e-5
    assert d.kl_divergence(d.Pareto(0.5, 1.0), d.Pareto(0.8, 1.0)).item() == math.inf


def test_a_divergence_of_one_s_own_kind_is_registered():
    class Mine(d.Normal):
        pass

    @d.register_kl(Mine, d.Normal)
    def mine(p, q):
        return p.loc * 0.0 + 7.0

    assert d.kl_divergence(Mine(0.0, 1.0), d.Normal(0.0, 1.0)).item() == 7.0
