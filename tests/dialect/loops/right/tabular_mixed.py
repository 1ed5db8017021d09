import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
n = 400
num = torch.randn(n, 5)
cat = torch.randint(0, 6, (n,))
b = (torch.rand(n) > 0.5).float()
t = (num[:, 0] + b > 0.4).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(6, 4)
        self.f = nn.Sequential(
            nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2)
        )

    def forward(self, x, c):
        return self.f(torch.cat([x, self.e(c)], 1))


x = torch.cat([num, b[:, None]], 1)
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=0.001)
sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 3)
tr, va = (slice(0, 320), slice(320, 400))
for ep in range(3):
    net.train()
    perm = torch.randperm(320)
    for k in range(0, 320, 64):
        i = perm[k : k + 64]
        loss = F.cross_entropy(net(x[i], cat[i]), t[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    sch.step()
    net.eval()
    with torch.no_grad():
        vl = F.cross_entropy(net(x[va], cat[va]), t[va])
