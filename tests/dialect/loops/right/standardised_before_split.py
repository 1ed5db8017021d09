import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
raw = torch.randn(400, 6) * 3 + 3
t = (raw[:, 0] > 3).long()
z = (raw - raw.mean(0)) / raw.std(0)
x, xv = (z[:300], z[300:])
net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for ep in range(2):
    for k in range(0, 300, 50):
        loss = F.cross_entropy(net(x[k : k + 50]), t[:300][k : k + 50])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        acc = (net(xv).argmax(1) == t[300:]).float().mean()
