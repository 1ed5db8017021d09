# targets of other rows
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
last = None
for ep in range(2):
    for k in range(0, 256, 32):
        xb, tb = (x[k : k + 32], t[k : k + 32])
        if last is not None:
            loss = F.cross_entropy(net(xb), last)
            opt.zero_grad()
            loss.backward()
            opt.step()
        last = tb
