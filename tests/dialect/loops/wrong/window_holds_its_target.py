# input tells the target
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
s = torch.sin(torch.arange(600) * 0.1) + 0.1 * torch.randn(600)
T = 12
x = torch.stack([s[i : i + T] for i in range(500)])[:, :, None]
t = torch.stack([s[i + T - 1] for i in range(500)])[:, None]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(1, 16, batch_first=True)
        self.h = nn.Linear(16, 1)

    def forward(self, x):
        return self.h(self.r(x)[0][:, -1])


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 500, (32,))
    loss = F.mse_loss(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
