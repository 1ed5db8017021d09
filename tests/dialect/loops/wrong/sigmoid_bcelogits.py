# double sigmoid
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 8)
t = (x[:, :1] > 0).float()
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
opt = torch.optim.Adam(net.parameters())
for k in range(10):
    loss = F.binary_cross_entropy_with_logits(net(x), t)
    opt.zero_grad()
    loss.backward()
    opt.step()
