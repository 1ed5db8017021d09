import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=1)
warm = torch.optim.lr_scheduler.LinearLR(opt, 0.5, 1.0, 4)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for ep in range(3):
    for k in range(0, 256, 64):
        loss = F.cross_entropy(net(x[k : k + 64]), t[k : k + 64])
        opt.zero_grad()
        loss.backward()
        opt.step()
    sched.step(loss.item())
