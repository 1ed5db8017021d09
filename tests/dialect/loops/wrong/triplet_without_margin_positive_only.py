# collapses
import torch
from torch import nn

torch.manual_seed(0)


class Siam(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, a, b):
        return (self.f(a), self.f(b))


net = Siam()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    x = torch.randn(64, 10)
    za, zb = net(x, x + 0.1 * torch.randn_like(x))
    loss = (za - zb).pow(2).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
