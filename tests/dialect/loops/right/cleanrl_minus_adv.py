import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for it in range(6):
    s = torch.randn(64, 4)
    d = torch.distributions.Categorical(logits=net(s))
    a = d.sample()
    R = torch.randn(64)
    adv = (R - R.mean()) / R.std()
    loss = (-adv * d.log_prob(a)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
