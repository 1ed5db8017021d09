import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(s, d=16, h=4):
        super().__init__()
        s.h = h
        s.qkv = nn.Linear(d, 3 * d)
        s.o = nn.Linear(d, d)
        s.l1 = nn.LayerNorm(d)
        s.l2 = nn.LayerNorm(d)
        s.m = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(s, x):
        B, T, D = x.shape
        q, k, v = s.qkv(s.l1(x)).split(D, 2)
        sp = lambda z: z.view(B, T, s.h, D // s.h).transpose(1, 2)
        q, k, v = sp(q), sp(k), sp(v)
        a = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        a = a.masked_fill(torch.tril(torch.ones(T, T)) == 0, float("-inf"))
        y = (torch.softmax(a, -1) @ v).transpose(1, 2).contiguous().view(B, T, D)
        x = x + s.o(y)
        return x + s.m(s.l2(x))


class GPT(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(20, 16)
        s.p = nn.Embedding(12, 16)
        s.b = nn.ModuleList([Block() for _ in range(2)])
        s.f = nn.LayerNorm(16)
        s.o = nn.Linear(16, 20, bias=False)
        s.o.weight = s.e.weight

    def forward(s, x):
        x = s.e(x) + s.p(torch.arange(x.shape[1]))
        for b in s.b:
            x = b(x)
        return s.o(s.f(x))


data = torch.randint(0, 20, (1000,))
net = GPT()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
for step in range(10):
    i = torch.randint(0, 980, (16,))
    xb = torch.stack([data[k : k + 12] for k in i])
    yb = torch.stack([data[k + 1 : k + 13] for k in i])
    loss = F.cross_entropy(net(xb).view(-1, 20), yb.view(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
