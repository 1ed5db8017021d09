# padding is learnt
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Tag(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.r = nn.GRU(16, 16, batch_first=True)
        self.o = nn.Linear(16, 5)

    def forward(self, x):
        return self.o(self.r(self.e(x))[0])


x = torch.randint(1, 20, (64, 12))
L = torch.randint(3, 12, (64,))
m = torch.arange(12)[None] < L[:, None]
x = x * m
t = (x % 4 + 1) * m
net = Tag()
opt = torch.optim.Adam(net.parameters())
for k in range(8):
    loss = F.cross_entropy(net(x).reshape(-1, 5), t.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
