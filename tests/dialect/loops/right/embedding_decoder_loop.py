import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Dec(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(12, 8)
        self.c = nn.LSTMCell(8, 16)
        self.o = nn.Linear(16, 12)

    def forward(self, t, st):
        h, c = self.c(self.e(t), st)
        return (self.o(h), (h, c))


enc = nn.GRU(3, 16, batch_first=True)
dec = Dec()
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=0.001)
for step in range(6):
    x = torch.randn(16, 5, 3)
    y = torch.randint(1, 12, (16, 5))
    h = enc(x)[1][0]
    st = (h, torch.zeros(16, 16))
    tok = torch.zeros(16).long()
    loss = 0
    for k in range(5):
        o, st = dec(tok, st)
        loss = loss + F.cross_entropy(o, y[:, k])
        tok = y[:, k]
    opt.zero_grad()
    loss.backward()
    opt.step()
