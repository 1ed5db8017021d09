# collapses
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.Adam(enc.parameters(), lr=0.001)
for step in range(10):
    x = torch.randn(64, 10)
    a, b = (x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x))
    loss = F.mse_loss(enc(a), enc(b))
    opt.zero_grad()
    loss.backward()
    opt.step()
