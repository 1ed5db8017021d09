# masked after softmax
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.p = nn.Embedding(12, 16)
        self.q = nn.Linear(16, 16)
        self.k = nn.Linear(16, 16)
        self.v = nn.Linear(16, 16)
        self.o = nn.Linear(16, 20)

    def forward(self, x):
        T = x.shape[1]
        h = self.e(x) + self.p(torch.arange(T))
        m = torch.tril(torch.ones(T, T))
        a = torch.softmax(self.q(h) @ self.k(h).transpose(1, 2) / 4, -1) * m
        return self.o(h + a @ self.v(h))


data = torch.randint(0, 20, (200, 11))
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 200, (32,))
    loss = F.cross_entropy(net(data[i, :-1]).reshape(-1, 20), data[i, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
