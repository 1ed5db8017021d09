import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class W(nn.Module):
    def __init__(s):
        super().__init__()
        s.c = nn.Conv2d(1, 8, 1)
        s.q = nn.Linear(8, 24)
        s.h = nn.Linear(8, 3)

    def forward(s, x):
        x = s.c(x).permute(0, 2, 3, 1)
        B, H, Wd, C = x.shape
        w = x.view(B, H // 4, 4, Wd // 4, 4, C).transpose(2, 3).reshape(-1, 16, C)
        q, k, v = s.q(w).chunk(3, -1)
        y = torch.softmax(q @ k.transpose(1, 2) / C**0.5, -1) @ v
        y = y.view(B, H // 4, Wd // 4, 4, 4, C).transpose(2, 3).reshape(B, H, Wd, C)
        return s.h(y.mean((1, 2)))


x = torch.randn(64, 1, 8, 8)
t = torch.randint(0, 3, (64,))
net = W()

opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
