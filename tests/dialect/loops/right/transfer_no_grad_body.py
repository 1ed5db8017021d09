import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()).eval()
head = nn.Linear(32, 4)
opt = torch.optim.Adam(head.parameters(), lr=0.001)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for step in range(12):
    i = torch.randint(0, 256, (32,))
    with torch.no_grad():
        h = body(x[i])
    loss = F.cross_entropy(head(h), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
