import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.r = nn.LSTM(16, 16, batch_first=True, bidirectional=True)
        self.a = nn.Linear(32, 1)
        self.h = nn.Linear(32, 2)

    def forward(self, x):
        h, _ = self.r(self.e(x))
        w = torch.softmax(self.a(h).squeeze(-1), 1)
        return self.h((w[:, None] @ h).squeeze(1))


x = torch.randint(0, 20, (200, 10))
t = (x[:, 0] < x[:, 1]).long()
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
