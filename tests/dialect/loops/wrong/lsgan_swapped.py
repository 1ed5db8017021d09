# wrong sign
import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
og = torch.optim.Adam(G.parameters(), lr=0.001)
od = torch.optim.Adam(D.parameters(), lr=0.001)
for step in range(10):
    z = torch.randn(32, 4)
    fake = G(z)
    out = D(fake)
    lg = ((out - 0.0) ** 2).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    ld = ((D(torch.randn(32, 2) + 2) - 1) ** 2).mean() + (D(fake.detach()) ** 2).mean()
    od.zero_grad()
    ld.backward()
    od.step()
