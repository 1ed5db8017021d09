import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self, d=16, h=4):
        super().__init__()
        self.h = h
        self.qkv = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)
        self.l1 = nn.LayerNorm(d)
        self.l2 = nn.LayerNorm(d)
        self.m = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(self.l1(x)).split(D, 2)
        sp = lambda z: z.view(B, T, self.h, D // self.h).transpose(1, 2)
        q, k, v = (sp(q), sp(k), sp(v))
        a = q @ k.transpose(-2, -1) * (1.0 / math.sqrt(k.size(-1)))
        a = a.masked_fill(torch.tril(torch.ones(T, T)) == 0, float("-inf"))
        y = (torch.softmax(a, -1) @ v).transpose(1, 2).contiguous().view(B, T, D)
        x = x + self.o(y)
        return x + self.m(self.l2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.p = nn.Embedding(12, 16)
        self.b = nn.ModuleList([Block() for _ in range(2)])
        self.f = nn.LayerNorm(16)
        self.o = nn.Linear(16, 20, bias=False)
        self.o.weight = self.e.weight

    def forward(self, x):
        x = self.e(x) + self.p(torch.arange(x.shape[1]))
        for b in self.b:
            x = b(x)
        return self.o(self.f(x))


data = torch.randint(0, 20, (1000,))
net = GPT()
opt = torch.optim.AdamW(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 980, (16,))
    xb = torch.stack([data[k : k + 12] for k in i])
    yb = torch.stack([data[k + 1 : k + 13] for k in i])
    loss = F.cross_entropy(net(xb).view(-1, 20), yb.view(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
