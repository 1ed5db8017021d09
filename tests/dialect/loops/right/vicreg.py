import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
f = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.Adam(f.parameters(), lr=0.001)


def off(c):
    return (c - torch.diag(torch.diagonal(c))).pow(2).sum() / 8


for step in range(10):
    x = torch.randn(64, 10)
    a, b = (f(x + 0.1 * torch.randn_like(x)), f(x + 0.1 * torch.randn_like(x)))
    inv = F.mse_loss(a, b)
    var = (
        F.relu(1 - torch.sqrt(a.var(0) + 0.0001)).mean()
        + F.relu(1 - torch.sqrt(b.var(0) + 0.0001)).mean()
    )
    ac, bc = (a - a.mean(0), b - b.mean(0))
    cov = off(ac.T @ ac / 63) + off(bc.T @ bc / 63)
    loss = 25 * inv + 25 * var + cov
    opt.zero_grad()
    loss.backward()
    opt.step()
