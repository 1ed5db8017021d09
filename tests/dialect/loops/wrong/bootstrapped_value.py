# target is trained
import torch
from torch import nn

torch.manual_seed(0)
v = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(v.parameters())
for k in range(10):
    s, s2, r = (torch.randn(32, 4), torch.randn(32, 4), torch.randn(32, 1))
    delta = r + 0.95 * v(s2) - v(s)
    loss = delta.pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
