import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 4))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for step in range(8):
    a, b = (net(x), net(x))
    loss = (
        F.cross_entropy(a, t)
        + F.cross_entropy(b, t)
        + 0.5
        * (
            F.kl_div(F.log_softmax(a, 1), F.softmax(b, 1), reduction="batchmean")
            + F.kl_div(F.log_softmax(b, 1), F.softmax(a, 1), reduction="batchmean")
        )
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
