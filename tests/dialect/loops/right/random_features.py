import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class RF(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.Linear(8, 128)
        self.o = nn.Linear(128, 4)
        self.r.requires_grad_(False)

    def forward(self, x):
        return self.o(torch.cos(self.r(x)))


net = RF()
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
