import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.c = nn.GRUCell(16, 24)
        self.h = nn.Linear(24, 20)

    def forward(self, x, h):
        h = self.c(self.e(x), h)
        return (self.h(h), h)


data = torch.arange(400) % 20
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 380, (16,))
    xb = torch.stack([data[k : k + 6] for k in i])
    yb = torch.stack([data[k + 1 : k + 7] for k in i])
    h = torch.zeros(16, 24)
    loss = 0
    for k in range(6):
        y, h = net(xb[:, k], h)
        loss = loss + F.cross_entropy(y, yb[:, k])
    opt.zero_grad()
    loss.backward()
    opt.step()
