# padding counts | mask is inverted
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.p = nn.Embedding(12, 16)
        self.t = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.h = nn.Linear(16, 2)

    def forward(self, x):
        h = self.t(self.e(x) + self.p(torch.arange(x.shape[1])), src_key_padding_mask=x != 0)
        m = (x != 0).float()[..., None]
        return self.h((h * m).sum(1) / m.sum(1))


x = torch.randint(1, 20, (200, 12))
L = torch.randint(3, 12, (200,))
x = x * (torch.arange(12)[None] < L[:, None])
t = (x == 5).any(1).long()
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
