# learning rate too high
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 8)
t = x[:, :1] * x[:, 1:2]
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for k in range(10):
    loss = F.mse_loss(net(x), t, reduction="sum")
    opt.zero_grad()
    loss.backward()
    opt.step()
