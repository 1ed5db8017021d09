import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class S2S(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(15, 16)
        s.enc = nn.GRU(16, 24, batch_first=True)
        s.dec = nn.GRU(16, 24, batch_first=True)
        s.o = nn.Linear(24, 15)

    def forward(s, a, b):
        _, h = s.enc(s.e(a))
        return s.o(s.dec(s.e(b), h)[0])


src = torch.randint(2, 15, (200, 7))
tgt = torch.cat([torch.ones(200, 1).long(), src.flip(1)], 1)
net = S2S()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(10):
    i = torch.randint(0, 200, (32,))
    y = net(src[i], tgt[i][:, :-1])
    loss = F.cross_entropy(y.reshape(-1, 15), tgt[i][:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
