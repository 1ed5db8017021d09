import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Linear(12, 32)
        self.mu = nn.Linear(32, 3)
        self.lv = nn.Linear(32, 3)
        self.d = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 12))

    def forward(self, x):
        h = torch.relu(self.e(x))
        mu, lv = (self.mu(h), self.lv(h))
        return (self.d(mu + torch.randn_like(mu) * torch.exp(0.5 * lv)), mu, lv)


x = torch.rand(256, 12)
net = VAE()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    b = x[torch.randint(0, 256, (32,))]
    y, mu, lv = net(b)
    kl = -0.5 * torch.sum(1 + lv - mu.pow(2) - lv.exp())
    loss = F.binary_cross_entropy_with_logits(y, b, reduction="sum") + kl
    opt.zero_grad()
    loss.backward()
    opt.step()
