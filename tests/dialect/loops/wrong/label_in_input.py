# input tells the target
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
f = torch.randn(300, 6)
t = (f[:, 0] + f[:, 1] * f[:, 2] + torch.randn(300) > 0).long()
x = torch.cat([f, t.float()[:, None]], 1)
net = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
