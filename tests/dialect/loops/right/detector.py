import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Det(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.c = nn.Linear(64, 3)
        self.b = nn.Linear(64, 4)

    def forward(self, x):
        h = self.f(x)
        return (self.c(h), self.b(h).sigmoid())


x = torch.rand(64, 3, 16, 16)
c = torch.randint(0, 3, (64,))
bx = torch.rand(64, 4)
net = Det()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(8):
    i = torch.randint(0, 64, (16,))
    l, b = net(x[i])
    loss = F.cross_entropy(l, c[i]) + 5 * F.smooth_l1_loss(b, bx[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
