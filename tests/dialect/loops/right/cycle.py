import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
P = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
Q = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
D = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt = torch.optim.Adam([*P.parameters(), *Q.parameters()], lr=0.001)
od = torch.optim.Adam(D.parameters(), lr=0.001)
for step in range(8):
    a, b = (torch.randn(32, 4), torch.randn(32, 4) + 1)
    fb = P(a)
    loss = (
        F.mse_loss(D(fb), torch.ones(32, 1)) + 10 * F.l1_loss(Q(fb), a) + 10 * F.l1_loss(P(Q(b)), b)
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
    ld = F.mse_loss(D(b), torch.ones(32, 1)) + F.mse_loss(D(fb.detach()), torch.zeros(32, 1))
    od.zero_grad()
    ld.backward()
    od.step()
