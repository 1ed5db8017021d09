# targets of other rows
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(400, 8)
t = (x @ torch.randn(8, 3)).argmax(1)
xv, tv = (x[320:], t[320:])
x, t = (x[:320], t[:320])
x = x[torch.randperm(320)]
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for ep in range(2):
    for k in range(0, 320, 32):
        loss = F.cross_entropy(net(x[k : k + 32]), t[k : k + 32])
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        vl = F.cross_entropy(net(xv), tv)
    net.train()
