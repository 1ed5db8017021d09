import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    x = torch.randn(64, 2) * 0.5 + 1
    tt = torch.rand(64, 1)
    e = torch.randn_like(x)
    xt = (1 - tt).sqrt() * x + tt.sqrt() * e
    loss = F.mse_loss(net(torch.cat([xt, tt], 1)), e)
    opt.zero_grad()
    loss.backward()
    opt.step()
