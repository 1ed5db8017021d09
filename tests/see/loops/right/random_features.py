import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class RF(nn.Module):
    def __init__(s):
        super().__init__()
        s.r = nn.Linear(8, 128)
        s.o = nn.Linear(128, 4)
        s.r.requires_grad_(False)

    def forward(s, x):
        return s.o(torch.cos(s.r(x)))


net = RF()

x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)

opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
