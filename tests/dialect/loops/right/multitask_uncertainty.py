import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(nn.Linear(6, 32), nn.ReLU())
        self.r = nn.Linear(32, 1)
        self.c = nn.Linear(32, 3)
        self.ls = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        h = self.b(x)
        return (self.r(h), self.c(h))


x = torch.randn(256, 6)
tr = x[:, :1] * x[:, 1:2]
tc = x[:, :3].argmax(1)
net = M()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(8):
    r, c = net(x)
    l = net.ls
    loss = (
        torch.exp(-l[0]) * F.mse_loss(r, tr) + torch.exp(-l[1]) * F.cross_entropy(c, tc) + l.sum()
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
