import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
A = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())
C = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
import copy

At, Ct = (copy.deepcopy(A), copy.deepcopy(C))
oa = torch.optim.Adam(A.parameters(), lr=0.0001)
oc = torch.optim.Adam(C.parameters(), lr=0.001)
for step in range(10):
    s, s2, a, r = (
        torch.randn(32, 3),
        torch.randn(32, 3),
        torch.rand(32, 1) * 2 - 1,
        torch.randn(32, 1),
    )
    with torch.no_grad():
        y = r + 0.99 * Ct(torch.cat([s2, At(s2)], 1))
    lc = F.mse_loss(C(torch.cat([s, a], 1)), y)
    oc.zero_grad()
    lc.backward()
    oc.step()
    la = -C(torch.cat([s, A(s)], 1)).mean()
    oa.zero_grad()
    la.backward()
    oa.step()
    for p, q in zip(C.parameters(), Ct.parameters()):
        q.data.mul_(0.995).add_(0.005 * p.data)
    for p, q in zip(A.parameters(), At.parameters()):
        q.data.mul_(0.995).add_(0.005 * p.data)
