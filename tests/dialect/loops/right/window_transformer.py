import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class W(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 1)
        self.q = nn.Linear(8, 24)
        self.h = nn.Linear(8, 3)

    def forward(self, x):
        x = self.c(x).permute(0, 2, 3, 1)
        B, H, Wd, C = x.shape
        w = x.view(B, H // 4, 4, Wd // 4, 4, C).transpose(2, 3).reshape(-1, 16, C)
        q, k, v = self.q(w).chunk(3, -1)
        y = torch.softmax(q @ k.transpose(1, 2) / C**0.5, -1) @ v
        y = y.view(B, H // 4, Wd // 4, 4, 4, C).transpose(2, 3).reshape(B, H, Wd, C)
        return self.h(y.mean((1, 2)))


x = torch.randn(64, 1, 8, 8)
t = torch.randint(0, 3, (64,))
net = W()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
