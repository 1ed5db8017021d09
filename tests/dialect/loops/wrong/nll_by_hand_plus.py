# wrong sign
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.Adam(net.parameters())
for k in range(10):
    lp = F.log_softmax(net(x), 1)
    loss = lp[torch.arange(256), t].mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
