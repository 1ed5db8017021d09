import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(320, 10)
t = torch.randint(0, 3, (320,))
xv, tv = (torch.randn(100, 10), torch.randint(0, 3, (100,)))
net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for ep in range(2):
    for k in range(0, 320, 32):
        loss = F.cross_entropy(net(x[k : k + 32]), t[k : k + 32])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        v = F.cross_entropy(net(xv), tv)
