# wrong sign | loss without bound
import torch
from torch import nn

torch.manual_seed(0)
f = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.Adam(f.parameters(), lr=0.001)
for step in range(12):
    a = torch.randn(32, 8)
    p = a + 0.1 * torch.randn(32, 8)
    n = torch.randn(32, 8)
    loss = ((f(a) - f(p)).pow(2).sum(1) - (f(a) - f(n)).pow(2).sum(1)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
