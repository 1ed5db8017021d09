# copies of tied weights
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
import copy


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 16)
        self.r = nn.GRU(16, 16, batch_first=True)
        self.o = nn.Linear(16, 20, bias=False)
        self.o.weight = copy.deepcopy(self.e.weight)

    def forward(self, x):
        return self.o(self.r(self.e(x))[0])


d = torch.randint(0, 20, (200, 13))
net = LM()
opt = torch.optim.Adam(net.parameters())
for k in range(8):
    b = d[k * 16 : (k + 1) * 16]
    loss = F.cross_entropy(net(b[:, :-1]).reshape(-1, 20), b[:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
