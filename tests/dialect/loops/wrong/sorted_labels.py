# one class | not shuffled
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
o = t.argsort()
x, t = (x[o], t[o])
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
opt = torch.optim.Adam(net.parameters())
for k in range(0, 256, 32):
    loss = F.cross_entropy(net(x[k : k + 32]), t[k : k + 32])
    opt.zero_grad()
    loss.backward()
    opt.step()
