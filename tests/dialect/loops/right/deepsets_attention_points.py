import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.i = nn.Linear(3, 16)
        self.a = nn.MultiheadAttention(16, 2, batch_first=True)
        self.h = nn.Linear(16, 2)

    def forward(self, x):
        h = self.i(x)
        return self.h((h + self.a(h, h, h)[0]).mean(1))


x = torch.randn(200, 10, 3)
t = (x.norm(dim=2).mean(1) > 1.6).long()
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
