# validation rows in training
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(400, 6)
t = (x[:, 0] > 0).long()
xv, tv = (x[250:], t[250:])
x, t = (x[:300], t[:300])
net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for ep in range(2):
    for k in range(0, 300, 50):
        loss = F.cross_entropy(net(x[k : k + 50]), t[k : k + 50])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        acc = (net(xv).argmax(1) == tv).float().mean()
