import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
og = torch.optim.Adam(G.parameters(), lr=0.001)
od = torch.optim.Adam(D.parameters(), lr=0.001)
for step in range(10):
    real = torch.randn(32, 2) + 2
    for p in D.parameters():
        p.requires_grad_(False)
    fake = G(torch.randn(32, 4))
    lg = torch.log(1 - D(fake) + 1e-06).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    for p in D.parameters():
        p.requires_grad_(True)
    ld = -(torch.log(D(real) + 1e-06) + torch.log(1 - D(fake.detach()) + 1e-06)).mean()
    od.zero_grad()
    ld.backward()
    od.step()
