import torch
from torch import nn

torch.manual_seed(0)


class Het(nn.Module):
    def __init__(s):
        super().__init__()
        s.b = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
        s.m = nn.Linear(32, 1)
        s.v = nn.Linear(32, 1)

    def forward(s, x):
        h = s.b(x)
        return s.m(h), s.v(h)


x = torch.randn(256, 4)
t = x[:, :1] - x[:, 1:2] + 0.1 * torch.randn(256, 1)
net = Het()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    m, lv = net(x)
    loss = (0.5 * (t - m) ** 2 * torch.exp(-lv) + 0.5 * lv).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
