import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
f = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.Adam(f.parameters(), lr=0.001)
for step in range(12):
    a = torch.randn(32, 8)
    p = a + 0.1 * torch.randn(32, 8)
    n = torch.randn(32, 8)
    loss = F.triplet_margin_loss(f(a), f(p), f(n))
    opt.zero_grad()
    loss.backward()
    opt.step()
