import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
s = torch.zeros(3)
for k in range(40):
    s = 0.9 * s + 0.1 * torch.randn(3)
    loss = (net(s) - s[:1].sin()).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
