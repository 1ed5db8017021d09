# silent broadcasting
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 8)
t = x[:, 0] * x[:, 1]
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters())
for k in range(10):
    loss = ((net(x) - t) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
