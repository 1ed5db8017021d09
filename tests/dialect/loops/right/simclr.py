import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 16))
opt = torch.optim.Adam(enc.parameters(), lr=0.001)
for step in range(10):
    x = torch.randn(32, 10)
    z1 = F.normalize(enc(x + 0.1 * torch.randn_like(x)), dim=1)
    z2 = F.normalize(enc(x + 0.1 * torch.randn_like(x)), dim=1)
    loss = F.cross_entropy(z1 @ z2.T / 0.5, torch.arange(32))
    opt.zero_grad()
    loss.backward()
    opt.step()
