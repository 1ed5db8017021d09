# training mode while evaluating
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4))
opt = torch.optim.Adam(net.parameters())
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for ep in range(3):
    for k in range(0, 192, 32):
        loss = F.cross_entropy(net(x[k : k + 32]), t[k : k + 32])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        acc = (net(x[192:]).argmax(1) == t[192:]).float().mean()
