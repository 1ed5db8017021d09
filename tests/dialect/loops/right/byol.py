import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
import copy

f = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))
p = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
ft = copy.deepcopy(f)
opt = torch.optim.Adam([*f.parameters(), *p.parameters()], lr=0.001)
for step in range(10):
    x = torch.randn(64, 10)
    a, b = (x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x))
    with torch.no_grad():
        tb = ft(b)
    loss = 2 - 2 * F.cosine_similarity(p(f(a)), tb).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    for u, v in zip(f.parameters(), ft.parameters()):
        v.data.mul_(0.99).add_(0.01 * u.data)
