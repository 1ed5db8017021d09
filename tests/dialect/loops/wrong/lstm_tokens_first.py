# one step counts
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(30, 16)
        self.r = nn.LSTM(16, 24, batch_first=True)
        self.h = nn.Linear(24, 2)

    def forward(self, x):
        o, _ = self.r(self.e(x))
        return self.h(o[:, 0, :])


x = torch.randint(1, 30, (200, 15))
t = (x == 7).any(1).long()
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
