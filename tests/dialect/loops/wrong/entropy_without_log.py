# no log-probabilities | loss without bound | wrong sign | loss escapes its targets
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    y = net(x)
    loss = -y[torch.arange(256), t].mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
