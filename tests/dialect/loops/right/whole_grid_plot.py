import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(200, 3)
t = (x[:, 0] * x[:, 1] > 0).long()
net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for ep in range(3):
    p = torch.randperm(160)
    for k in range(0, 160, 32):
        i = p[k : k + 32]
        loss = F.cross_entropy(net(x[i]), t[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        print(
            (net(x).argmax(1) == t).float().mean().item(),
            (net(x[160:]).argmax(1) == t[160:]).float().mean().item(),
        )
with torch.no_grad():
    g = net(torch.rand(400, 3) * 20 - 10)
