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


def test_what_cannot_be_says_so():
    with pytest.raises(ArgumentError, match="Bernoulli: either probs or logits must be given, and"):
        d.Bernoulli()
    with pytest.raises(
        ShapeError, match="Categorical: the classes must be on the last axis, got f"
    ):
        d.Categorical(bl.tensor(0.5))
    with pytest.raises(
        ArgumentError, match="a sample of Bernoulli is no smooth function of its par"
    ):
        d.Bernoulli(0.5).rsample()
    with pytest.raises(ArgumentError, match=r"of one kind \(Normal, Categorical, Bernoulli, Expon"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Bernoulli(0.5))
    with pytest.raises(ShapeError, match=r"reinterpreted_batch_ndims must lie in \[0, 0\], got 1"):
        d.Independent(d.Normal(0.0, 1.0), 1)
    with pytest.raises(NotImplementedError, match=r"Distribution must define log_prob\(\)"):
        d.Distribution(()).log_prob(0)
    with pytest.raises(NotImplementedError, match=r"Distribution must define entropy\(\)"):
        d.Distribution(()).entropy()
    assert repr(d.Normal(bl.zeros(2), 1.0)) == "Normal(batch_shape=(2,))"
