# wrong sign | loss without bound
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(128, 5)
t = x[:, :1] * 2
net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(12):
    loss = -torch.mean((net(x) - t) ** 2)
    opt.zero_grad()
    loss.backward()
    opt.step()
