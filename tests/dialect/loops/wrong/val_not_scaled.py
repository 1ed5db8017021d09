# validation scaled otherwise
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
raw = torch.randn(400, 6) * torch.tensor([1.0, 5, 2, 9, 3, 4]) + 30
t = (raw[:, 0] > 30).long()
tr, va = (raw[:300], raw[300:])
tt, tv = (t[:300], t[300:])
x = (tr - tr.mean(0)) / tr.std(0)
net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for ep in range(2):
    for k in range(0, 300, 50):
        loss = F.cross_entropy(net(x[k : k + 50]), tt[k : k + 50])
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        acc = (net(va).argmax(1) == tv).float().mean()
    net.train()
