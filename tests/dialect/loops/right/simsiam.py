import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
f = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
p = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
opt = torch.optim.SGD([*f.parameters(), *p.parameters()], lr=0.05, momentum=0.9)
for step in range(10):
    x = torch.randn(64, 10)
    z1, z2 = (f(x + 0.1 * torch.randn_like(x)), f(x + 0.1 * torch.randn_like(x)))
    p1, p2 = (p(z1), p(z2))
    loss = (
        -(F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean())
        / 2
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
