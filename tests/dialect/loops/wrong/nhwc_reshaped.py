# reshape in place of transpose
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
img = torch.rand(128, 10, 12, 3)
t = (img[:, :, :, 0].mean((1, 2)) > 0.5).long()
net = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
)
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 128, (32,))
    xb = img[i].reshape(32, 3, 10, 12)
    loss = F.cross_entropy(net(xb), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
