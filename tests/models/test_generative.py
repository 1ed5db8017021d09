"""Networks that make images: shapes, the loss of a VAE by hand, and a step of two opponents."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import models, optim
from backlit.nn import functional as f

rng = np.random.default_rng(0)


def images(n: int, *shape: int) -> bl.Tensor:
    return bl.tensor(rng.uniform(size=(n, *shape)).astype("f4"))


def test_an_autoencoder_goes_through_its_code() -> None:
    model = models.Autoencoder((1, 6, 6), (8, 3))
    x = images(2, 1, 6, 6)
    assert model.encode(x).shape == (2, 3)
    np.testing.assert_array_equal(model(x).numpy(), model.decode(model.encode(x)).numpy())
    assert 0 < model(x).numpy().min() < model(x).numpy().max() < 1


def test_vae_loss_by_hand() -> None:
    y, x = np.array([[0.2, 0.9]]), np.array([[0.0, 1.0]])
    mean, log_variance = np.array([[0.5]]), np.array([[-1.0]])
    outputs = models.VAEOutputs(*map(bl.tensor, (y, mean, log_variance)))
    expected = -math.log(0.8) - math.log(0.9) - 0.5 * (1 - 1 - 0.25 - math.exp(-1))
    assert models.vae_loss(outputs, bl.tensor(x)).item() == pytest.approx(expected, rel=1e-6)


def test_a_vae_draws_in_training_only_and_from_its_generator() -> None:
    bl.manual_seed(0)
    model = models.VAE((1, 4, 4), 8, 3, generator=bl.Generator(5))
    x = images(2, 1, 4, 4)
    first = model(x).reconstruction.numpy()
    assert (first != model(x).reconstruction.numpy()).any()
    model.generator.manual_seed(5)
    np.testing.assert_array_equal(first, model(x).reconstruction.numpy())
    mean, log_variance = (t.numpy() for t in model.encode(x))
    noise = bl.Generator(5).normal((2, 3)).numpy()
    z = mean + np.sqrt(np.exp(log_variance)) * noise
    np.testing.assert_allclose(model.decode(bl.tensor(z)).numpy(), first, rtol=1e-5)
    model.eval()
    np.testing.assert_array_equal(*(model(x).reconstruction.numpy() for _ in range(2)))
    new = [model.sample(3, generator=bl.Generator(2)).numpy() for _ in range(2)]
    assert new[0].shape == (3, 1, 4, 4)
    np.testing.assert_array_equal(*new)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_vae_learns_a_batch(compiled) -> None:
    bl.manual_seed(0)
    model = models.VAE((1, 4, 4), 16, 3)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    x = bl.tensor((rng.uniform(size=(8, 1, 4, 4)) > 0.5).astype("f4"))

    def step(x):
        loss = models.vae_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step = bl.compile(step) if compiled else step
    losses = [step(x).item() for _ in range(100)]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


@pytest.mark.slow
def test_a_generator_learns_from_its_judge_and_the_judge_from_it() -> None:
    bl.manual_seed(0)
    generator = models.DCGANGenerator(latent=8, width=2)
    judge = models.DCGANDiscriminator(width=2)
    weights = generator.main[0].weight.numpy()
    assert weights.std() == pytest.approx(0.02, rel=0.1)
    assert generator.main[1].weight.numpy().mean() == pytest.approx(1, abs=0.02)
    real = bl.tensor(rng.uniform(-1, 1, (4, 3, 64, 64)).astype("f4"))
    both = (judge, generator)
    optimizers = [optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in both]
    fake = generator(generator.noise(4, generator=bl.Generator(1)))
    assert fake.shape == (4, 3, 64, 64)
    assert judge(fake).shape == (4,)
    loss = f.binary_cross_entropy(judge(real), bl.ones(4))
    loss = loss + f.binary_cross_entropy(judge(fake.detach()), bl.zeros(4))
    loss.backward()
    assert all(p.grad is not None for p in judge.parameters())
    assert all(p.grad is None for p in generator.parameters())
    optimizers[0].step()
    f.binary_cross_entropy(judge(fake), bl.ones(4)).backward()
    assert all(p.grad is not None for p in generator.parameters())
    optimizers[1].step()
    assert (generator.main[0].weight.numpy() != weights).any()
