# one step counts
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(30, 16)
        s.r = nn.LSTM(16, 24, batch_first=True)
        s.h = nn.Linear(24, 2)

    def forward(s, x):
        o, _ = s.r(s.e(x))
        return s.h(o[:, 0, :])


x = torch.randint(1, 30, (200, 15))
t = (x == 7).any(1).long()
net = Net()

opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
