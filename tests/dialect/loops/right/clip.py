import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
I, T = (nn.Linear(20, 16), nn.Linear(12, 16))
sc = nn.Parameter(torch.tensor(2.659))
opt = torch.optim.Adam([*I.parameters(), *T.parameters(), sc], lr=0.001)
for step in range(8):
    z = torch.randn(32, 4)
    a = F.normalize(I(torch.cat([z] * 5, 1)), dim=1)
    b = F.normalize(T(torch.cat([z] * 3, 1)), dim=1)
    l = sc.exp() * a @ b.T
    y = torch.arange(32)
    loss = (F.cross_entropy(l, y) + F.cross_entropy(l.T, y)) / 2
    opt.zero_grad()
    loss.backward()
    opt.step()
