import torch
from torch import nn

torch.manual_seed(0)


class C(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(self, x):
        a, b = (x[:, :1], x[:, 1:])
        l, sh = self.n(a).chunk(2, 1)
        l = torch.tanh(l)
        return (torch.cat([b * l.exp() + sh, a], 1), l.sum(1))


class Fl(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.ModuleList([C() for _ in range(4)])

    def forward(self, x):
        d = 0
        for c in self.c:
            x, k = c(x)
            d = d + k
        return (x, d)


net = Fl()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    x = torch.randn(128, 2) * torch.tensor([1.0, 0.3])
    z, d = net(x)
    loss = (0.5 * (z**2).sum(1) - d).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
