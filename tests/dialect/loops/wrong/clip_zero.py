# gradients clipped away
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for k in range(10):
    loss = F.cross_entropy(net(x), t)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.0)
    opt.step()
