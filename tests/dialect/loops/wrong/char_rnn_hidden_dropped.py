# context is not used
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

    def forward(self, x):
        out = []
        for k in range(x.shape[1]):
            h = torch.zeros(x.shape[0], 24)
            h = self.c(self.e(x[:, k]), h)
            out.append(self.h(h))
        return torch.stack(out, 1)


data = torch.arange(400) % 20
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 380, (16,))
    xb = torch.stack([data[k : k + 9] for k in i])
    yb = torch.stack([data[k + 1 : k + 10] for k in i])
    loss = F.cross_entropy(net(xb).reshape(-1, 20), yb.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
