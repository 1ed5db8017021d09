# unregistered parameters
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.ls = [nn.Linear(8, 8) for _ in range(3)]
        self.o = nn.Linear(8, 4)

    def forward(self, x):
        for l in self.ls:
            x = torch.relu(l(x))
        return self.o(x)


net = Net()
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(12):
    i = torch.randint(0, len(x), (32,))
    loss = F.cross_entropy(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
