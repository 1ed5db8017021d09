import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for step in range(12):
    for p in net[0].parameters():
        p.requires_grad = step >= 6
    i = torch.randint(0, 256, (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
