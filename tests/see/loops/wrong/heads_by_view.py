# reshape in place of transpose
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Attn(nn.Module):
    def __init__(s, d=16, h=4):
        super().__init__()
        s.h = h
        s.q = nn.Linear(d, d)
        s.k = nn.Linear(d, d)
        s.v = nn.Linear(d, d)
        s.o = nn.Linear(d, d)

    def forward(s, x):
        B, T, D = x.shape
        sp = lambda z: z.view(B, s.h, T, D // s.h)
        q, k, v = sp(s.q(x)), sp(s.k(x)), sp(s.v(x))
        a = torch.softmax(q @ k.transpose(-2, -1) / (D // s.h) ** 0.5, -1)
        return s.o((a @ v).transpose(1, 2).reshape(B, T, D))


class Net(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(20, 16)
        s.p = nn.Embedding(10, 16)
        s.a = Attn()
        s.l = nn.Linear(16, 3)

    def forward(s, x):
        h = s.e(x) + s.p(torch.arange(x.shape[1]))
        return s.l((h + s.a(h)).mean(1))


x = torch.randint(0, 20, (200, 10))
t = x.sum(1) % 3
net = Net()

opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
