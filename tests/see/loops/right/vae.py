import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class VAE(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Linear(12, 32)
        s.mu = nn.Linear(32, 3)
        s.lv = nn.Linear(32, 3)
        s.d = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 12))

    def forward(s, x):
        h = torch.relu(s.e(x))
        mu, lv = s.mu(h), s.lv(h)
        return s.d(mu + torch.randn_like(mu) * torch.exp(0.5 * lv)), mu, lv


x = torch.rand(256, 12)
net = VAE()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    b = x[torch.randint(0, 256, (32,))]
    y, mu, lv = net(b)
    kl = -0.5 * torch.sum(1 + lv - mu.pow(2) - lv.exp())
    loss = F.binary_cross_entropy_with_logits(y, b, reduction="sum") + kl
    opt.zero_grad()
    loss.backward()
    opt.step()
