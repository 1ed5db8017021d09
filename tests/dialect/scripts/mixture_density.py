"""A network that says how likely each answer is, where there are several."""

import math

import torch
import torch.nn as nn
from course import rand, randn, set_weights


class MDN(nn.Module):
    def __init__(self, n_hidden, n_gaussians):
        super(MDN, self).__init__()
        self.z_h = nn.Sequential(nn.Linear(1, n_hidden), nn.Tanh())
        self.z_pi = nn.Linear(n_hidden, n_gaussians)
        self.z_mu = nn.Linear(n_hidden, n_gaussians)
        self.z_sigma = nn.Linear(n_hidden, n_gaussians)

    def forward(self, x):
        z_h = self.z_h(x)
        pi = nn.functional.log_softmax(self.z_pi(z_h), -1)
        mu = self.z_mu(z_h)
        sigma = torch.exp(self.z_sigma(z_h))
        return pi, mu, sigma


def mdn_loss_fn(log_pi, mu, sigma, y):
    exponent = -0.5 * ((y.expand_as(mu) - mu) * torch.reciprocal(sigma)) ** 2
    log_prob = exponent - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_pi + log_prob, dim=1).mean()


t = torch.linspace(-2, 2, 100).view(-1, 1)
x = torch.sin(3.0 * t) + 0.5 * t + 0.05 * randn(100, 1)
network = set_weights(MDN(n_hidden=12, n_gaussians=3))
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
losses = []
for epoch in range(25):
    log_pi, mu, sigma = network(x)
    loss = mdn_loss_fn(log_pi, mu, sigma, t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
with torch.no_grad():
    log_pi, mu, sigma = network(x[:10])
    k = (torch.cumsum(log_pi.exp(), dim=1) < rand(10, 1)).sum(dim=1, keepdim=True).clamp(max=2)
    y = mu.gather(1, k) + sigma.gather(1, k) * randn(10, 1)
losses.append(y.mean().item())
