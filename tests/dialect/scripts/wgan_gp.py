"""A Wasserstein game with a penalty on the critic's slope."""

import torch
import torch.nn as nn
from course import rand, randn, set_weights
from torch import autograd

DIM, BATCH, LAMBDA, CRITIC_ITERS = 16, 24, 0.1, 2


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()
        self.main = nn.Sequential(
            nn.Linear(2, DIM), nn.ReLU(True), nn.Linear(DIM, DIM), nn.ReLU(True), nn.Linear(DIM, 2)
        )

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.main = nn.Sequential(
            nn.Linear(2, DIM), nn.Softplus(), nn.Linear(DIM, DIM), nn.Tanh(), nn.Linear(DIM, 1)
        )

    def forward(self, inputs):
        return self.main(inputs).view(-1)


def calc_gradient_penalty(netD, real_data, fake_data):
    alpha = rand(BATCH, 1)
    alpha = alpha.expand(real_data.size())
    interpolates = alpha * real_data + ((1 - alpha) * fake_data)
    interpolates.requires_grad_(True)
    disc_interpolates = netD(interpolates)
    gradients = autograd.grad(
        outputs=disc_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones(disc_interpolates.size()),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * LAMBDA


def ring():
    angle = 2 * torch.pi * rand(BATCH)
    return torch.stack([torch.cos(angle), torch.sin(angle)], dim=1) + 0.02 * randn(BATCH, 2)


netG, netD = set_weights(Generator()), set_weights(Discriminator(), seed=2)
optimizerD = torch.optim.Adam(netD.parameters(), lr=5e-3, betas=(0.5, 0.9))
optimizerG = torch.optim.Adam(netG.parameters(), lr=5e-3, betas=(0.5, 0.9))
losses = []
for iteration in range(10):
    for p in netD.parameters():
        p.requires_grad = True
    for i in range(CRITIC_ITERS):
        real = ring()
        netD.zero_grad()
        with torch.no_grad():
            fake = netG(randn(BATCH, 2))
        D_real, D_fake = netD(real).mean(), netD(fake).mean()
        gradient_penalty = calc_gradient_penalty(netD, real.data, fake.data)
        D_cost = D_fake - D_real + gradient_penalty
        D_cost.backward()
        optimizerD.step()
        losses.append(D_cost.item())
    for p in netD.parameters():
        p.requires_grad = False
    netG.zero_grad()
    G_cost = -netD(netG(randn(BATCH, 2))).mean()
    G_cost.backward()
    optimizerG.step()
    losses.append(G_cost.item())
