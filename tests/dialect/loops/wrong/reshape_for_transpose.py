# reshape in place of transpose | loss over the wrong axis | mixing across the batch
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.r = nn.GRU(16, 24, batch_first=True)
        self.h = nn.Linear(24, 5)

    def forward(self, x):
        return self.h(self.r(self.e(x))[0])


x = torch.randint(0, 20, (200, 12))
t = x % 5
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 200, (32,))
    y = net(x[i])
    loss = F.cross_entropy(y.reshape(32, 5, 12), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
