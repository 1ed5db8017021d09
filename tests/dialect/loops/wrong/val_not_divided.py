# validation scaled otherwise
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.rand(300, 1, 8, 8)
t = (x.mean((1, 2, 3)) > 0.5).long()
xv = torch.randint(0, 256, (60, 1, 8, 8)).float()
tv = (xv.mean((1, 2, 3)) > 127).long()
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
opt = torch.optim.Adam(net.parameters())


def evaluate():
    net.eval()
    good = 0
    with torch.no_grad():
        for k in range(0, 60, 20):
            good += (net(xv[k : k + 20]).argmax(dim=1) == tv[k : k + 20]).sum().item()
    net.train()
    return good / 60


for ep in range(2):
    for k in range(0, 300, 30):
        loss = F.cross_entropy(net(x[k : k + 30]), t[k : k + 30])
        opt.zero_grad()
        loss.backward()
        opt.step()
    evaluate()
