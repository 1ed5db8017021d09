import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
        self.w = nn.Parameter(torch.randn(10, 16))

    def forward(self, x):
        return 16 * F.normalize(self.f(x), dim=1) @ F.normalize(self.w, dim=1).T


x = torch.randn(400, 8)
t = torch.randint(0, 10, (400,))
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
