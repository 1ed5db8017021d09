import torch
from torch import nn

torch.manual_seed(0)
E = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(E.parameters(), lr=0.001)
for step in range(8):
    r = torch.randn(64, 2)
    f = torch.rand(64, 2) * 4 - 2
    a, b = (E(r), E(f))
    loss = a.mean() - b.mean() + 0.1 * (a**2 + b**2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
