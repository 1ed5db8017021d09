# unscaled inputs
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randint(0, 256, (128, 1, 8, 8)).float()
t = torch.randint(0, 3, (128,))
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
