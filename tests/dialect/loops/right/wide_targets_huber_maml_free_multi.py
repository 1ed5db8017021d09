import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
x = torch.randn(300, 6)
t = torch.sigmoid(x[:, :3]).round()
for ep in range(2):
    for k in range(0, 300, 60):
        loss = F.binary_cross_entropy_with_logits(net(x[k : k + 60]), t[k : k + 60])
        opt.zero_grad()
        loss.backward()
        opt.step()
