import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
x = torch.randn(256, 4)
t = torch.exp(x[:, 0] * 0.5 + 0.2 * torch.randn(256))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(8):
    o = net(x)
    a, b = (F.softplus(o[:, 0]) + 0.1, F.softplus(o[:, 1]) + 0.1)
    loss = -torch.distributions.Gamma(a, b).log_prob(t).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
