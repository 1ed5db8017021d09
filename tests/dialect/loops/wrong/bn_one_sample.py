# batch of one sample
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
img = torch.rand(64, 1, 8, 8)
t = (img.mean((1, 2, 3)) > 0.5).long()
net = nn.Sequential(
    nn.Conv2d(1, 8, 3),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(8, 2),
)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for k in range(20):
    loss = F.cross_entropy(net(img[k : k + 1]), t[k : k + 1])
    opt.zero_grad()
    loss.backward()
    opt.step()
