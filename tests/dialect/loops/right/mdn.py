import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class MDN(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(nn.Linear(1, 32), nn.Tanh())
        self.o = nn.Linear(32, 15)

    def forward(self, x):
        a, m, l = self.o(self.b(x)).chunk(3, -1)
        return (F.log_softmax(a, -1), m, l)


x = torch.rand(256, 1)
t = torch.sin(6 * x) + 0.1 * torch.randn(256, 1)
net = MDN()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    la, m, l = net(x)
    lp = -0.5 * ((t - m) / l.exp()) ** 2 - l - 0.919
    loss = -torch.logsumexp(la + lp, -1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
