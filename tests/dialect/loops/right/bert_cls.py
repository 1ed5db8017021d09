import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.p = nn.Embedding(10, 16)
        self.t = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.1), 2
        )
        self.h = nn.Linear(16, 2)

    def forward(self, x):
        return self.h(self.t(self.e(x) + self.p(torch.arange(x.shape[1])))[:, 0])


x = torch.randint(0, 20, (200, 10))
t = (x[:, 0] < x[:, 1]).long()
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
