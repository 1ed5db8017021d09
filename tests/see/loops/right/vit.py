import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class ViT(nn.Module):
    def __init__(s):
        super().__init__()
        s.p = nn.Conv2d(1, 16, 4, 4)
        s.c = nn.Parameter(torch.zeros(1, 1, 16))
        s.e = nn.Parameter(torch.randn(1, 17, 16) * 0.02)
        s.t = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.1), 1
        )
        s.h = nn.Linear(16, 3)

    def forward(s, x):
        z = s.p(x).flatten(2).transpose(1, 2)
        z = torch.cat([s.c.expand(len(x), -1, -1), z], 1) + s.e
        return s.h(s.t(z)[:, 0])


x = torch.randn(128, 1, 16, 16)
t = torch.randint(0, 3, (128,))
net = ViT()

opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
