import torch
from torch import nn

torch.manual_seed(0)
pi = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
opt = torch.optim.Adam(pi.parameters(), lr=0.01)
for ep in range(10):
    s = torch.randn(40, 4)
    d = torch.distributions.Categorical(logits=pi(s))
    a = d.sample()
    r = (a == (s[:, 0] > 0).long()).float()
    ret = (r - r.mean()) / (r.std() + 1e-08)
    loss = -(d.log_prob(a) * ret).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
