import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
import copy

net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 4))
tea = copy.deepcopy(net)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for p in tea.parameters():
    p.requires_grad_(False)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for step in range(8):
    y = net(x)
    loss = F.cross_entropy(y[:64], t[:64]) + F.mse_loss(F.softmax(y, 1), F.softmax(tea(x), 1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    for p, q in zip(net.parameters(), tea.parameters()):
        q.data.mul_(0.99).add_(p.data, alpha=0.01)
