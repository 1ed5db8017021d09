# same random numbers
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 4))
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    torch.manual_seed(42)
    xb, tb = (x[step * 16 : (step + 1) * 16], t[step * 16 : (step + 1) * 16])
    loss = F.cross_entropy(net(xb), tb)
    opt.zero_grad()
    loss.backward()
    opt.step()
