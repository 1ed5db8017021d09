import torch
from torch import nn

torch.manual_seed(0)


class C(nn.Module):
    def __init__(s):
        super().__init__()
        s.n = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(s, x):
        a, b = x[:, :1], x[:, 1:]
        l, sh = s.n(a).chunk(2, 1)
        l = torch.tanh(l)
        return torch.cat([b * l.exp() + sh, a], 1), l.sum(1)


class Fl(nn.Module):
    def __init__(s):
        super().__init__()
        s.c = nn.ModuleList([C() for _ in range(4)])

    def forward(s, x):
        d = 0
        for c in s.c:
            x, k = c(x)
            d = d + k
        return x, d


net = Fl()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(10):
    x = torch.randn(128, 2) * torch.tensor([1.0, 0.3])
    z, d = net(x)
    loss = (0.5 * (z**2).sum(1) - d).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
