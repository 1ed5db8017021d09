"""Densities by change of variables: coupling layers, masked weights, and a squashed policy."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randn, set_weights
from torch.distributions import Independent, MultivariateNormal, Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform, TanhTransform

losses = []


class Coupling(nn.Module):
    def __init__(self, mask, prior):
        super().__init__()
        self.prior = prior
        self.mask = nn.Parameter(mask, requires_grad=False)
        scales = lambda: nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2), nn.Tanh())
        shifts = lambda: nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2))
        self.t = nn.ModuleList([shifts() for _ in range(len(mask))])
        self.s = nn.ModuleList([scales() for _ in range(len(mask))])

    def log_prob(self, x):
        log_det, z = x.new_zeros(x.shape[0]), x
        for i in reversed(range(len(self.t))):
            kept = self.mask[i] * z
            s = self.s[i](kept) * (1 - self.mask[i])
            t = self.t[i](kept) * (1 - self.mask[i])
            z = (1 - self.mask[i]) * (z - t) * torch.exp(-s) + kept
            log_det -= s.sum(dim=1)
        return self.prior.log_prob(z) + log_det


masks = torch.from_numpy(np.array([[0, 1], [1, 0]] * 2).astype(np.float32))
flow = Coupling(masks, MultivariateNormal(torch.zeros(2), torch.eye(2)))
set_weights(flow)
with torch.no_grad():
    flow.mask[:] = torch.tensor([[0.0, 1.0], [1.0, 0.0]] * 2)
optimizer = torch.optim.Adam([p for p in flow.parameters() if p.requires_grad == True], lr=1e-2)
for step in range(10):
    loss = -flow.log_prob(randn(16, 2) * torch.tensor([2.0, 0.5])).mean()
    optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()
    losses.append(loss.item())


class MaskedLinear(nn.Linear):
    def __init__(self, in_features, out_features, mask):
        super().__init__(in_features, out_features)
        self.register_buffer("mask", torch.ones(out_features, in_features))
        self.mask.data.copy_(torch.from_numpy(mask.astype(np.uint8).T))

    def forward(self, input):
        return F.linear(input, self.mask * self.weight, self.bias)


made = set_weights(MaskedLinear(3, 3, np.triu(np.ones((3, 3)), 1)))
jacobian = torch.autograd.functional.jacobian(made, randn(3))
losses.extend(jacobian.tril(-1).abs().sum(1).tolist())

policy = set_weights(nn.Linear(3, 4))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
base = TransformedDistribution(Normal(0.0, 1.0), [AffineTransform(torch.tensor([0.5, -0.5]), 2.0)])
for step in range(10):
    mean, log_std = policy(randn(8, 3)).chunk(2, dim=-1)
    squash = TanhTransform(cache_size=1)
    pi = TransformedDistribution(Independent(Normal(mean, log_std.clamp(-5, 2).exp()), 1), [squash])
    with torch.no_grad():
        action = squash(mean + 0.1 * randn(8, 2))
    x = squash.inv(action)
    loss = pi.log_prob(action).mean() - base.log_prob(x).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
