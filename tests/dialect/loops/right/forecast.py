import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
s = torch.sin(torch.arange(600) * 0.1) + 0.1 * torch.randn(600)
T = 12
x = torch.stack([s[i : i + T] for i in range(500)])[:, :, None]
t = torch.stack([s[i + T] for i in range(500)])[:, None]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(1, 16, batch_first=True)
        self.h = nn.Linear(16, 1)

    def forward(self, x):
        return self.h(self.r(x)[0][:, -1])


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for ep in range(2):
    for k in range(0, 400, 50):
        loss = F.mse_loss(net(x[k : k + 50]), t[k : k + 50])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        v = F.mse_loss(net(x[400:]), t[400:])
