# masked after softmax
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(20, 16)
        s.p = nn.Embedding(12, 16)
        s.q = nn.Linear(16, 16)
        s.k = nn.Linear(16, 16)
        s.v = nn.Linear(16, 16)
        s.o = nn.Linear(16, 20)

    def forward(s, x):
        T = x.shape[1]
        h = s.e(x) + s.p(torch.arange(T))
        m = torch.tril(torch.ones(T, T))
        a = torch.softmax(s.q(h) @ s.k(h).transpose(1, 2) / 4, -1) * m
        return s.o(h + a @ s.v(h))


data = torch.randint(0, 20, (200, 11))
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(10):
    i = torch.randint(0, 200, (32,))
    loss = F.cross_entropy(net(data[i, :-1]).reshape(-1, 20), data[i, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
