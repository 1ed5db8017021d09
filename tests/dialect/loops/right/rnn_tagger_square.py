import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.r = nn.GRU(16, 24, batch_first=True)
        self.h = nn.Linear(24, 8)

    def forward(self, x):
        return self.h(self.r(self.e(x))[0]).transpose(1, 2)


x = torch.randint(0, 20, (200, 8))
t = x % 8
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
