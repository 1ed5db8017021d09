import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(12, 5) * 0.3)
        self.b = nn.Parameter(torch.zeros(5))
        self.c = nn.Parameter(torch.zeros(12))

    def forward(self, x):
        return torch.sigmoid(x @ self.w + self.b) @ self.w.T + self.c


x = torch.rand(256, 12)
net = AE()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    loss = F.mse_loss(net(x), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
