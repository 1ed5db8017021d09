import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.Adam(enc.parameters(), lr=0.001)
for step in range(10):
    a, b = (torch.randn(64, 10), torch.randn(64, 10))
    y = torch.randint(0, 2, (64,)).float()
    b = torch.where(y[:, None] > 0, a + 0.1 * b, b)
    d = F.pairwise_distance(enc(a), enc(b))
    loss = (y * d**2 + (1 - y) * F.relu(1 - d) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
