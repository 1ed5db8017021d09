# frozen at random
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(s):
        super().__init__()
        s.body = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        s.head = nn.Linear(32, 4)

    def forward(s, x):
        return s.head(s.body(x))


net = Net()
for n, p in net.named_parameters():
    if "head" in n:
        p.requires_grad = False
opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)

x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
