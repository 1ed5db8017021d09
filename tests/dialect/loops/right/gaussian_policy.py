import torch
from torch import nn

torch.manual_seed(0)
mu = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
ls = nn.Parameter(torch.zeros(2))
opt = torch.optim.Adam([*mu.parameters(), ls], lr=0.001)
for it in range(6):
    s = torch.randn(64, 4)
    d = torch.distributions.Normal(mu(s), ls.exp())
    a = d.sample()
    adv = torch.randn(64)
    loss = -(d.log_prob(a).sum(-1) * adv).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
