import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Conv2d(1, 16, 4, 4)
        self.c = nn.Parameter(torch.zeros(1, 1, 16))
        self.e = nn.Parameter(torch.randn(1, 17, 16) * 0.02)
        self.t = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.1), 1
        )
        self.h = nn.Linear(16, 3)

    def forward(self, x):
        z = self.p(x).flatten(2).transpose(1, 2)
        z = torch.cat([self.c.expand(len(x), -1, -1), z], 1) + self.e
        return self.h(self.t(z)[:, 0])


x = torch.randn(128, 1, 16, 16)
t = torch.randint(0, 3, (128,))
net = ViT()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
