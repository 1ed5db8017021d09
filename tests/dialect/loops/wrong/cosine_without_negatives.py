# collapses
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.Adam(enc.parameters(), lr=0.001)
for step in range(10):
    x = torch.randn(64, 10)
    z1 = F.normalize(enc(x + 0.1 * torch.randn_like(x)), dim=1)
    z2 = F.normalize(enc(x + 0.1 * torch.randn_like(x)), dim=1)
    loss = 1 - (z1 * z2).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
