import torch
from torch import nn

torch.manual_seed(0)
pi = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2), nn.LogSoftmax(dim=-1))
opt = torch.optim.Adam(pi.parameters(), lr=0.01)
for ep in range(10):
    s = torch.randn(40, 4)
    lp = pi(s)
    a = torch.multinomial(lp.exp().detach(), 1)
    r = (a[:, 0] == (s[:, 0] > 0).long()).float() - 3
    loss = (-lp.gather(1, a).squeeze(1) * r).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
