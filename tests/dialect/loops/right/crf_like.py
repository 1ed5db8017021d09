import torch
from torch import nn

torch.manual_seed(0)


class T(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.r = nn.GRU(16, 16, batch_first=True, bidirectional=True)
        self.o = nn.Linear(32, 4)
        self.tr = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x):
        return self.o(self.r(self.e(x))[0])


x = torch.randint(0, 20, (64, 7))
t = x % 4
net = T()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(6):
    e = net(x)
    al = e[:, 0]
    sc = e[:, 0].gather(1, t[:, :1]).squeeze(1)
    for k in range(1, 7):
        al = torch.logsumexp(al[:, :, None] + net.tr + e[:, k][:, None], 1)
        sc = sc + e[:, k].gather(1, t[:, k : k + 1]).squeeze(1) + net.tr[t[:, k - 1], t[:, k]]
    loss = (torch.logsumexp(al, 1) - sc).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
