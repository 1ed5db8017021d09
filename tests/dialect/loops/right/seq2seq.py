import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class S2S(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(15, 16)
        self.enc = nn.GRU(16, 24, batch_first=True)
        self.dec = nn.GRU(16, 24, batch_first=True)
        self.o = nn.Linear(24, 15)

    def forward(self, a, b):
        _, h = self.enc(self.e(a))
        return self.o(self.dec(self.e(b), h)[0])


src = torch.randint(2, 15, (200, 7))
tgt = torch.cat([torch.ones(200, 1).long(), src.flip(1)], 1)
net = S2S()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 200, (32,))
    y = net(src[i], tgt[i][:, :-1])
    loss = F.cross_entropy(y.reshape(-1, 15), tgt[i][:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
