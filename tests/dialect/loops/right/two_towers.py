import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
a = nn.Linear(8, 16)
b = nn.Linear(8, 16)
opt = torch.optim.Adam([*a.parameters(), *b.parameters()], lr=0.001)
for step in range(12):
    x = torch.randn(32, 8)
    za, zb = (a(x), b(x + 0.1))
    loss = F.cross_entropy(za @ zb.T, torch.arange(32))
    opt.zero_grad()
    loss.backward()
    opt.step()
