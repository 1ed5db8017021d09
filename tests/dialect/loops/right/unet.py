import torch
from torch import nn

torch.manual_seed(0)


class U(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.b = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        self.u = nn.ConvTranspose2d(16, 8, 2, 2)
        self.o = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        a = self.a(x)
        return self.o(torch.cat([a, self.u(self.b(a))], 1))


x = torch.rand(64, 1, 16, 16)
t = (x > 0.6).float()
net = U()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
bce = nn.BCEWithLogitsLoss()
for step in range(8):
    i = torch.randint(0, 64, (8,))
    loss = bce(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
