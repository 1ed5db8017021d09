"""Distributions: densities against SciPy's, samples against moments, divergences against both."""

import math

import numpy as np
import pytest
from scipy import stats

import backlit as bl
from backlit import distributions as d
from backlit.errors import ArgumentError, ShapeError

X = np.array([-1.2, 0.3, 2.5])
KINDS = {
    "Normal": (d.Normal(0.5, 2.0), stats.norm(0.5, 2.0), X),
    "Uniform": (d.Uniform(-2.0, 3.0), stats.uniform(-2.0, 5.0), X),
    "Exponential": (d.Exponential(0.7), stats.expon(scale=1 / 0.7), np.abs(X)),
    "Laplace": (d.Laplace(0.5, 2.0), stats.laplace(0.5, 2.0), X),
    "Gumbel": (d.Gumbel(0.5, 2.0), stats.gumbel_r(0.5, 2.0), X),
    "Gamma": (d.Gamma(2.5, 0.5), stats.gamma(2.5, scale=2.0), np.abs(X)),
    "Gamma below 1": (d.Gamma(0.4, 3.0), stats.gamma(0.4, scale=1 / 3), np.abs(X)),
    "Beta": (d.Beta(0.7, 2.5), stats.beta(0.7, 2.5), np.array([0.1, 0.5, 0.97])),
    "LogNormal": (d.LogNormal(0.1, 0.5), stats.lognorm(0.5, scale=math.exp(0.1)), np.abs(X)),
}


def test_densities_entropies_and_moments_are_scipys():
    for name, (ours, theirs, x) in KINDS.items():
        got = ours.log_prob(bl.tensor(x)).numpy()
        np.testing.assert_allclose(got, theirs.logpdf(x), rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(ours.entropy().item(), theirs.entropy(), rtol=1e-5)
        np.testing.assert_allclose(ours.mean.item(), theirs.mean(), rtol=1e-5)
        np.testing.assert_allclose(ours.variance.item(), theirs.var(), rtol=1e-5)
    p = np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(d.Categorical(bl.tensor(p)).entropy().item(), stats.entropy(p))
    coin = d.Bernoulli(0.3)
    np.testing.assert_allclose(coin.entropy().item(), stats.bernoulli(0.3).entropy(), rtol=1e-5)
    np.testing.assert_allclose(
        coin.log_prob(bl.tensor([0.0, 1.0])).numpy(), np.log([0.7, 0.3]), rtol=1e-5
    )
    np.testing.assert_allclose(d.Bernoulli(logits=0.0).variance.item(), 0.25)
    outside = d.Uniform(0.0, 1.0).log_prob(bl.tensor([-1.0, 1.0]))
    assert outside.tolist() == [-math.inf, -math.inf]


def test_samples_have_the_moments():
    bl.manual_seed(0)
    for name, (ours, theirs, _) in KINDS.items():
        x = ours.sample((20000,)).numpy()
        assert abs(x.mean() - theirs.mean()) < 4 * theirs.std() / 141, name
        assert abs(x.std() / theirs.std() - 1) < 0.05, name
    p = bl.tensor([[0.1, 0.6, 0.3], [0.0, 0.0, 1.0]])
    drawn = d.Categorical(p).sample((20000,))
    assert drawn.shape == (20000, 2)
    often = np.stack([(drawn.numpy() == k).mean(0) for k in range(3)], 1)
    np.testing.assert_allclose(often, p.numpy(), atol=0.015)
    assert d.Bernoulli(0.25).sample((20000,)).numpy().mean() == pytest.approx(0.25, abs=0.015)


def test_gradients_go_through_reparameterised_samples_and_log_prob():
    mean = bl.tensor([1.0, -1.0], requires_grad=True)
    log_scale = bl.tensor([0.0, 0.5], requires_grad=True)
    p = d.Normal(mean, bl.exp(log_scale))
    bl.manual_seed(1)
    z = p.rsample((3,))
    z.sum().backward()
    assert mean.grad.tolist() == [3, 3]
    np.testing.assert_allclose(
        log_scale.grad.numpy(), (z - mean).sum(axis=0).detach().numpy(), rtol=1e-5
    )
    assert not p.sample().requires_grad
    logits = bl.tensor([0.2, -0.3, 0.1], requires_grad=True)
    chosen = d.Categorical(logits=logits).log_prob(bl.tensor(1))
    soft = np.exp(logits.detach().numpy()) / np.exp(logits.detach().numpy()).sum()
    np.testing.assert_allclose(bl.grad(chosen, logits).numpy(), np.eye(3)[1] - soft, rtol=1e-5)


def test_divergences_are_means_of_log_ratios():
    bl.manual_seed(2)
    pairs = [
        (d.Normal(0.3, 0.8), d.Normal(0.0, 1.0)),
        (d.Exponential(2.0), d.Exponential(0.5)),
        (d.Bernoulli(0.2), d.Bernoulli(0.6)),
        (d.LogNormal(0.3, 0.8), d.LogNormal(0.0, 1.0)),
        (d.Laplace(0.3, 0.8), d.Laplace(0.0, 1.0)),
        (d.Gumbel(0.3, 0.8), d.Gumbel(0.0, 1.0)),
        (d.Uniform(0.0, 0.5), d.Uniform(-1.0, 1.0)),
        (d.Categorical(bl.tensor([0.2, 0.8])), d.Categorical(bl.tensor([0.5, 0.5]))),
    ]
    for p, q in pairs:
        x = p.sample((40000,))
        mean = (p.log_prob(x) - q.log_prob(x)).mean().item()
        assert d.kl_divergence(p, q).item() == pytest.approx(mean, abs=0.02)
        assert abs(d.kl_divergence(p, p).item()) < 1e-6
    p = d.Independent(d.Normal(bl.zeros((2, 3)), 1.0), 1)
    assert (p.batch_shape, p.event_shape) == ((2,), (3,))
    assert p.log_prob(p.sample((5,))).shape == (5, 2)
    assert p.rsample().shape == p.mean.shape == (2, 3)
    np.testing.assert_allclose(p.entropy().numpy(), 3 * d.Normal(0.0, 1.0).entropy().item(), 1e-6)
    assert d.kl_divergence(p, p).tolist() == [0, 0]
    assert d.Categorical(bl.ones((2, 3))).enumerate_support().tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_density_is_the_derivative_of_the_cumulated_one_and_icdf_its_inverse():
    x = bl.tensor(np.array([0.2, 0.9, 1.4]), requires_grad=True)
    for p in (
        d.Normal(0.5, 2.0),
        d.LogNormal(0.1, 0.7),
        d.Uniform(-1.0, 2.0),
        d.Exponential(0.7),
        d.Laplace(0.5, 2.0),
        d.Gumbel(0.5, 2.0),
    ):
        share = p.cdf(x)
        slope = bl.grad(share.sum(), x)
        np.testing.assert_allclose(slope.numpy(), p.log_prob(x).exp().detach().numpy(), 1e-6)
        np.testing.assert_allclose(p.icdf(share).detach().numpy(), x.detach().numpy(), 1e-6)


def test_vectors_of_correlated_numbers():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    covariance, mean, x = root @ root.T + np.eye(3), rng.normal(size=3), rng.normal(size=(5, 3))
    theirs = stats.multivariate_normal(mean, covariance)
    for given in (
        {"covariance_matrix": bl.tensor(covariance)},
        {"precision_matrix": bl.tensor(np.linalg.inv(covariance))},
        {"scale_tril": bl.tensor(np.linalg.cholesky(covariance))},
    ):
        p = d.MultivariateNormal(bl.tensor(mean), **given)
        np.testing.assert_allclose(p.log_prob(bl.tensor(x)).numpy(), theirs.logpdf(x), 1e-9)
        np.testing.assert_allclose(p.entropy().item(), theirs.entropy(), 1e-9)
        np.testing.assert_allclose(p.covariance_matrix.numpy(), covariance, 1e-9)
        np.testing.assert_allclose(p.variance.numpy(), np.diag(covariance), 1e-9)
    bl.manual_seed(3)
    drawn = p.expand((2,)).sample((20000,)).numpy()
    assert drawn.shape == (20000, 2, 3)
    np.testing.assert_allclose(np.cov(drawn[:, 1].T), covariance, atol=0.25)
    q = d.MultivariateNormal(bl.zeros(3, dtype="float64"), bl.eye(3, dtype="float64"))
    x = p.sample((40000,))
    mean = (p.log_prob(x) - q.log_prob(x)).mean().item()
    assert d.kl_divergence(p, q).item() == pytest.approx(mean, rel=0.03)


def test_policies_compile_and_draw_anew():
    weight = bl.tensor([[0.3, -0.2], [0.1, 0.4]], requires_grad=True)

    @bl.compile
    def act(x):
        policy = d.Categorical(logits=x @ weight)
        action = policy.sample()
        return action, policy.log_prob(action)

    bl.manual_seed(0)
    found = [act(bl.ones((20, 2))) for _ in range(2)]
    assert found[0][0].tolist() != found[1][0].tolist()
    share = np.log(np.exp([0.4, 0.2]) / np.exp([0.4, 0.2]).sum())
    for action, log_prob in found:
        np.testing.assert_allclose(log_prob.detach().numpy(), share[action.numpy()], rtol=1e-5)


def test_one_hot_classes():
    p = d.OneHotCategorical(probs=bl.tensor([[0.2, 0.8], [1.0, 3.0]]))
    assert (p.batch_shape, p.event_shape) == ((2,), (2,))
    drawn = p.sample((7,))
    assert drawn.shape == (7, 2, 2)
    assert drawn.sum(axis=-1).tolist() == [[1.0, 1.0]] * 7
    np.testing.assert_allclose(
        p.log_prob(bl.tensor([1.0, 0.0])).exp().numpy(), [0.2, 0.25], rtol=1e-6
    )
    assert p.mode.tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_what_cannot_be_says_so():
    for make, message in (
        (lambda: d.Bernoulli(), "Bernoulli: give probs or logits, got neither"),
        (lambda: d.Bernoulli(0.1, 0.2), "Bernoulli: give probs or logits, got both"),
        (lambda: d.Categorical(bl.tensor(0.5)), "need an axis of classes, got one number"),
        (lambda: d.Normal(0.0, -1.0), "Normal: scale: must be positive, got -1.0; use softplus"),
        (lambda: d.Normal(math.nan, 1.0), "Normal: loc: must be finite, got nan"),
        (lambda: d.Bernoulli(1.5), r"Bernoulli: probs: must lie in \[0, 1\], got 1.5"),
        (lambda: d.Categorical(bl.tensor([-1.0, 2.0])), "probs: must not be negative, got -1.0"),
        (lambda: d.Uniform(2.0, 1.0), "Uniform: high - low: must be positive, got -1.0"),
        (lambda: d.Exponential(1.0).log_prob(-1.0), "a value: must not be negative, got -1.0"),
        (lambda: d.Bernoulli(0.5).log_prob(2.0), "Bernoulli: a value: must be 0 or 1, got 2.0"),
        (lambda: d.Categorical(bl.ones(2)).log_prob(0.5), "must be a class, 0 to K - 1, got 0.5"),
        (lambda: d.Categorical(bl.ones(2)).log_prob(2), r"must lie in \[-2, 2\) on axis 0, got 2"),
        (lambda: d.Bernoulli(0.5).rsample(), "a draw of Bernoulli has no derivative; use sample"),
        (lambda: d.Gumbel(0.0, 1.0).entropy() and d.Bernoulli(0.5).cdf(0), "Bernoulli has none in"),
        (
            lambda: d.kl_divergence(d.Normal(0.0, 1.0), d.Bernoulli(0.5)),
            "Normal to Bernoulli is not known in closed form; estimate it",
        ),
        (lambda: d.Independent(d.Normal(0.0, 1.0), 1), r"the batch \(\) has no 1 axes"),
        (
            lambda: d.MultivariateNormal(bl.zeros(2), bl.eye(3)),
            r"a vector of n elements needs a matrix of n × n, got loc \(2,\)",
        ),
        (lambda: d.MultivariateNormal(bl.zeros(2)), "give one of covariance_matrix, precision_m"),
    ):
        with pytest.raises((ArgumentError, ShapeError, IndexError), match=message):
            make()
    assert d.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    assert repr(d.Normal(bl.zeros(2), 1.0)) == "Normal(loc: (2,), scale: (2,))"


def test_an_expanded_distribution_checks_its_values_as_before():
    with pytest.raises(ArgumentError, match="Exponential: a value: must not be negative, got -1"):
        d.Exponential(1.0).expand((2,)).log_prob(-1.0)
    assert d.Exponential(1.0, validate_args=False).expand((2,)).log_prob(-1.0).tolist() == [1, 1]


def test_transformed_distributions_are_scipys_and_draws_have_their_densities():
    x = np.array([0.2, 0.4, 0.9])
    logit = d.TransformedDistribution(d.Normal(0.3, 1.5), d.SigmoidTransform())
    theirs = stats.norm(0.3, 1.5).logpdf(np.log(x / (1 - x))) - np.log(x * (1 - x))
    np.testing.assert_allclose(logit.log_prob(bl.tensor(x)).numpy(), theirs, rtol=1e-5)
    log_normal = d.TransformedDistribution(
        d.Normal(bl.zeros(3), bl.ones(3)),
        [d.AffineTransform(0.1, -0.5), d.ExpTransform()],
    )
    theirs = stats.lognorm(0.5, scale=math.exp(0.1)).logpdf(x)
    np.testing.assert_allclose(log_normal.log_prob(bl.tensor(x)).numpy(), theirs, rtol=1e-5)
    both = d.ComposeTransform([d.AffineTransform(0.1, -0.5), d.ExpTransform()])
    same = d.TransformedDistribution(d.Normal(bl.zeros(3), bl.ones(3)), both)
    np.testing.assert_allclose(same.log_prob(bl.tensor(x)).numpy(), theirs, rtol=1e-5)
    np.testing.assert_allclose(both.inv(both(bl.tensor(x))).numpy(), x, rtol=1e-5)
    grown = d.TransformedDistribution(d.Normal(0.0, 1.0), d.AffineTransform(bl.zeros(3), 2.0))
    assert grown.batch_shape == (3,)
    assert grown.sample((2,)).shape == (2, 3)
    assert grown.expand((4, 3)).sample().shape == (4, 3)
    vector = d.TransformedDistribution(
        d.MultivariateNormal(bl.zeros(2), bl.eye(2)), d.AffineTransform(1.0, bl.tensor([2.0, 4.0]))
    )
    whole = stats.multivariate_normal([1.0, 1.0], np.diag([4.0, 16.0]))
    got = vector.log_prob(bl.tensor([0.5, 3.0])).item()
    np.testing.assert_allclose(got, whole.logpdf([0.5, 3.0]), rtol=1e-5)
    bl.manual_seed(0)
    assert abs(np.log(log_normal.sample((4000,)).numpy()).std() - 0.5) < 0.02


def test_a_squashed_draw_keeps_its_density_and_its_gradient():
    mean = bl.tensor([20.0], requires_grad=True)
    squash = d.TanhTransform(cache_size=1)
    policy = d.TransformedDistribution(d.Normal(mean, bl.tensor([0.1])), squash)
    bl.manual_seed(0)
    action = policy.rsample()
    assert action.item() == 1
    density = policy.log_prob(action)
    x = squash.inv(action)
    by_hand = stats.norm(20.0, 0.1).logpdf(x.item()) - 2 * (math.log(2) - x.item())
    np.testing.assert_allclose(density.item(), by_hand, rtol=1e-4)
    density.sum().backward()
    np.testing.assert_allclose(mean.grad.numpy(), [2.0], rtol=1e-3)  # of 2x; the noise has none
    assert not policy.sample().requires_grad
    with pytest.raises(ArgumentError, match="cache_size must be 0 or 1, got 2"):
        d.TanhTransform(cache_size=2)
    with pytest.raises(ArgumentError, match=r"scale: must not be 0, got 0\.0"):
        d.AffineTransform(1.0, 0.0)
    with pytest.raises(ArgumentError, match="must be a Transform or a list of them, got 'exp'"):
        d.TransformedDistribution(d.Normal(0.0, 1.0), ["exp"])


def test_draws_of_gammas_family_have_the_distribution():
    bl.manual_seed(3)
    for ours, theirs in (
        (d.Gamma(0.3, 2.0), stats.gamma(0.3, scale=0.5)),
        (d.Gamma(1.0, 1.0), stats.gamma(1.0)),
        (d.Gamma(30.0, 1.0), stats.gamma(30.0)),
        (d.Beta(0.5, 3.0), stats.beta(0.5, 3.0)),
    ):
        x = ours.sample((20000,))
        assert not x.requires_grad
        assert stats.kstest(x.numpy(), theirs.cdf).pvalue > 1e-3, repr(ours)
    rate = bl.tensor([0.0, 0.5, 40.0])
    counts = d.Poisson(rate).sample((20000,)).numpy()
    np.testing.assert_allclose(counts.mean(0), rate.numpy(), rtol=0.02)
    np.testing.assert_allclose(counts.var(0), rate.numpy(), rtol=0.05)
    alpha = np.array([0.2, 1.0, 3.5])
    shares = d.Dirichlet(bl.tensor(alpha)).sample((20000,)).numpy()
    np.testing.assert_allclose(shares.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(shares.mean(0), alpha / alpha.sum(), atol=0.01)
    np.testing.assert_allclose(shares.var(0), stats.dirichlet(alpha).var(), atol=0.005)
    bl.manual_seed(3)
    assert bl.compile(lambda: d.Gamma(0.3, 2.0).sample((5,)))().shape == (5,)


def test_densities_of_shares_and_counts_are_scipys():
    alpha, beta = np.array([0.5, 2.0, 3.5]), np.array([1.5, 1.0, 0.7])
    ours, x = d.Dirichlet(bl.tensor(alpha)), np.array([0.2, 0.5, 0.3])
    theirs = stats.dirichlet(alpha)
    np.testing.assert_allclose(ours.log_prob(bl.tensor(x)).item(), theirs.logpdf(x), rtol=1e-6)
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy(), rtol=1e-6)
    np.testing.assert_allclose(ours.mean.numpy(), theirs.mean(), rtol=1e-6)
    np.testing.assert_allclose(ours.variance.numpy(), theirs.var(), rtol=1e-6)
    np.testing.assert_allclose(ours.mode.numpy(), [0.0, 1 / 3.5, 2.5 / 3.5], rtol=1e-6)
    assert d.Dirichlet(bl.tensor([0.2, 0.9])).mode.tolist() == [0, 1]
    np.testing.assert_allclose([d.Beta(3.0, 2.0).mode.item(), d.Gamma(3.0, 2.0).mode.item()],
                               [2 / 3, 1.0], rtol=1e-6)  # fmt: skip
    n = np.array([0.0, 3.0, 11.0])
    counts = d.Poisson(2.5)
    np.testing.assert_allclose(
        counts.log_prob(bl.tensor(n)).numpy(), stats.poisson(2.5).logpmf(n), rtol=1e-5
    )
    assert (counts.mean.item(), counts.variance.item(), counts.mode.item()) == (2.5, 2.5, 2)
    other = d.Dirichlet(bl.tensor(beta))
    x = theirs.rvs(40000, random_state=0)
    ratio = (theirs.logpdf(x.T) - stats.dirichlet(beta).logpdf(x.T)).mean()
    np.testing.assert_allclose(d.kl_divergence(ours, other).item(), ratio, rtol=0.05)
    for p, q, one in (
        (d.Gamma(2.0, 1.5), d.Gamma(3.0, 0.5), stats.gamma(2.0, scale=1 / 1.5).rvs),
        (d.Beta(2.0, 1.5), d.Beta(1.0, 3.0), stats.beta(2.0, 1.5).rvs),
        (d.Poisson(4.0), d.Poisson(2.0), stats.poisson(4.0).rvs),
    ):
        x = bl.tensor(one(40000, random_state=0).astype(float))
        ratio = (p.log_prob(x) - q.log_prob(x)).mean().item()
        np.testing.assert_allclose(d.kl_divergence(p, q).item(), ratio, rtol=0.05)


def test_gammas_family_says_what_it_cannot_take():
    with pytest.raises(ArgumentError, match="rsample: the implicit derivative of a draw of Beta"):
        d.Beta(1.0, 2.0).rsample()
    with pytest.raises(ArgumentError, match="Gamma: concentration: must be positive, got -1"):
        d.Gamma(-1.0, 2.0)
    with pytest.raises(ShapeError, match=r"Dirichlet: concentration must have an axis of shares"):
        d.Dirichlet(2.0)
    with pytest.raises(ArgumentError, match="Poisson: a value: must be a whole number and not neg"):
        d.Poisson(2.0).log_prob(1.5)
    with pytest.raises(ArgumentError, match=r"Dirichlet: a value: must .* sum to 1 along the l"):
        d.Dirichlet(bl.ones(3)).log_prob(bl.tensor([0.5, 0.5, 0.5]))
