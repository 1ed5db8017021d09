import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class AE(nn.Module):
    def __init__(s):
        super().__init__()
        s.w = nn.Parameter(torch.randn(12, 5) * 0.3)
        s.b = nn.Parameter(torch.zeros(5))
        s.c = nn.Parameter(torch.zeros(12))

    def forward(s, x):
        return torch.sigmoid(x @ s.w + s.b) @ s.w.T + s.c


x = torch.rand(256, 12)
net = AE()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(10):
    loss = F.mse_loss(net(x), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
