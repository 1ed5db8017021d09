# one step counts
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(5, 24, batch_first=True)
        self.h = nn.Linear(24, 3)

    def forward(self, x):
        o, _ = self.r(x)
        return self.h(o[:, 0])


x = torch.randn(128, 12, 5)
t = x.sum(1)[:, :3].argmax(1)
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
