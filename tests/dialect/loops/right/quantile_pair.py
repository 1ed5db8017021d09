import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
x = torch.randn(256, 6)
t = x[:, :1] + torch.randn(256, 1)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
qs = torch.tensor([0.1, 0.5, 0.9])
for step in range(8):
    e = t - net(x)
    loss = torch.max(qs * e, (qs - 1) * e).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
