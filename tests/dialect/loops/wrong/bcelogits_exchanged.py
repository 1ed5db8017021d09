# arguments exchanged
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(200, 6)
t = (x[:, :1] > 0).float()
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
crit = nn.BCEWithLogitsLoss()
for step in range(10):
    loss = crit(t, net(x))
    opt.zero_grad()
    loss.backward()
    opt.step()
