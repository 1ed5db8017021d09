import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
A = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2))
C = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
oa = torch.optim.Adam(A.parameters(), lr=0.001)
oc = torch.optim.Adam(C.parameters(), lr=0.001)
for step in range(8):
    s, s2, a, r = (
        torch.randn(32, 3),
        torch.randn(32, 3),
        torch.rand(32, 1) * 2 - 1,
        torch.randn(32, 1),
    )
    with torch.no_grad():
        m, l = A(s2).chunk(2, 1)
        y = r + 0.99 * C(torch.cat([s2, torch.tanh(m)], 1))
    lc = F.mse_loss(C(torch.cat([s, a], 1)), y)
    oc.zero_grad()
    lc.backward()
    oc.step()
    m, l = A(s).chunk(2, 1)
    e = torch.randn_like(m)
    u = m + l.clamp(-5, 2).exp() * e
    act = torch.tanh(u)
    lp = (-0.5 * e**2 - l.clamp(-5, 2)).sum(1) - torch.log(1 - act**2 + 1e-06).sum(1)
    la = (0.2 * lp - C(torch.cat([s, act], 1)).squeeze(1)).mean()
    oa.zero_grad()
    la.backward()
    oa.step()
