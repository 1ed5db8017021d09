# reshape in place of transpose
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Attn(nn.Module):
    def __init__(self, d=16, h=4):
        super().__init__()
        self.h = h
        self.q = nn.Linear(d, d)
        self.k = nn.Linear(d, d)
        self.v = nn.Linear(d, d)
        self.o = nn.Linear(d, d)

    def forward(self, x):
        B, T, D = x.shape
        sp = lambda z: z.view(B, self.h, T, D // self.h)
        q, k, v = (sp(self.q(x)), sp(self.k(x)), sp(self.v(x)))
        a = torch.softmax(q @ k.transpose(-2, -1) / (D // self.h) ** 0.5, -1)
        return self.o((a @ v).transpose(1, 2).reshape(B, T, D))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.p = nn.Embedding(10, 16)
        self.a = Attn()
        self.l = nn.Linear(16, 3)

    def forward(self, x):
        h = self.e(x) + self.p(torch.arange(x.shape[1]))
        return self.l((h + self.a(h)).mean(1))


x = torch.randint(0, 20, (200, 10))
t = x.sum(1) % 3
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
