import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 24)
        self.pos = nn.Parameter(torch.zeros(1, 16, 24))
        self.t = nn.TransformerEncoderLayer(24, 4, 48, batch_first=True, dropout=0.0)
        self.h = nn.Linear(24, 3)

    def forward(self, x):
        n = len(x)
        z = x.view(n, 4, 4, 4, 4).permute(0, 1, 3, 2, 4).reshape(n, 16, 16)
        return self.h(self.t(self.p(z) + self.pos).mean(1))


x = torch.randn(128, 1, 16, 16)
t = torch.randint(0, 3, (128,))
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
