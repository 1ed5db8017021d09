import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
og = torch.optim.Adam(G.parameters(), lr=0.001)
od = torch.optim.Adam(D.parameters(), lr=0.001)
for step in range(10):
    real = torch.randn(32, 2) + 2
    fake = G(torch.randn(32, 4))
    y = torch.cat([torch.ones(32, 1), torch.zeros(32, 1)])
    ld = F.binary_cross_entropy_with_logits(D(torch.cat([real, fake.detach()])), y)
    od.zero_grad()
    ld.backward()
    od.step()
    lg = F.softplus(-D(fake)).mean()
    og.zero_grad()
    lg.backward()
    og.step()
