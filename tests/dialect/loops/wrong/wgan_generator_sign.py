# wrong sign
import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
og = torch.optim.RMSprop(G.parameters(), lr=0.0005)
od = torch.optim.RMSprop(D.parameters(), lr=0.0005)
for step in range(10):
    real = torch.randn(32, 2) + 2
    with torch.no_grad():
        fake = G(torch.randn(32, 4))
    ld = D(fake).mean() - D(real).mean()
    od.zero_grad()
    ld.backward()
    od.step()
    for p in D.parameters():
        p.data.clamp_(-0.1, 0.1)
    lg = D(G(torch.randn(32, 4))).mean()
    og.zero_grad()
    lg.backward()
    og.step()
