"""Pieces of convolutional networks: dense, grouped, shuffled, squeezed, dropped."""

import os
import tempfile

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
from course import randint, randn, set_weights

losses = []
PATH = os.path.join(tempfile.mkdtemp(), "ckpt.pt")


class SE(nn.Module):
    def __init__(self, in_channels, se_channels):
        super().__init__()
        self.se1 = nn.Conv2d(in_channels, se_channels, kernel_size=1, bias=True)
        self.se2 = nn.Conv2d(se_channels, in_channels, kernel_size=1, bias=True)

    def forward(self, x):
        out = F.adaptive_avg_pool2d(x, (1, 1))
        out = F.silu(self.se1(out))
        out = self.se2(out).sigmoid()
        return x * out


def drop_connect(x, drop_ratio):
    keep_ratio = 1.0 - drop_ratio
    mask = torch.empty([x.shape[0], 1, 1, 1], dtype=x.dtype, device=x.device)
    mask.bernoulli_(keep_ratio)
    x.div_(keep_ratio)
    x.mul_(mask)
    return x


class ShuffleBlock(nn.Module):
    def __init__(self, groups=2):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        N, C, H, W = x.size()
        g = self.groups
        return x.view(N, g, C // g, H, W).permute(0, 2, 1, 3, 4).reshape(N, C, H, W)


class Bottleneck(nn.Module):
    def __init__(self, in_planes, growth_rate):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, 4 * growth_rate, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth_rate)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return torch.cat([out, x], 1)


class SplitBlock(nn.Module):
    def __init__(self, ratio):
        super().__init__()
        self.ratio = ratio

    def forward(self, x):
        c = int(x.size(1) * self.ratio)
        return x[:, :c, :, :], x[:, c:, :, :]


class Net(nn.Module):
    cfg = [(1, 8, 1), (6, 8, 2)]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.dense = Bottleneck(8, 4)
        self.se = SE(12, 3)
        self.shuf = ShuffleBlock(2)
        self.split = SplitBlock(0.5)
        self.dw = nn.Conv2d(12, 12, kernel_size=3, stride=2, padding=1, groups=12, bias=False)
        self.bn2 = nn.BatchNorm2d(12)
        self.grp = nn.Conv2d(12, 12, 1, groups=3)
        self.features = self._make([4, "M"])
        self.linear = nn.Linear(4 * 2 * 2, 5)

    def _make(self, cfg):
        layers = []
        c = 12
        for x in cfg:
            if x == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [
                    nn.Conv2d(c, x, kernel_size=3, padding=1),
                    nn.BatchNorm2d(x),
                    nn.ReLU(inplace=True),
                ]
                c = x
        layers += [nn.AvgPool2d(kernel_size=1, stride=1)]
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.dense(out)
        out = self.se(out)
        out = self.shuf(out)
        a, b = self.split(out)
        out = torch.cat([b, a], 1)
        out = F.relu6(self.bn2(self.dw(out)))
        out = F.hardswish(self.grp(out))
        if self.training:
            out = drop_connect(out, 0.0)
        out = self.features(out)
        out = out.view(out.size(0), -1)
        return self.linear(out)


def init_params(net):
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            init.kaiming_normal_(m.weight, mode="fan_out")
            if m.bias is not None:
                init.constant_(m.bias, 0)
        elif isinstance(m, nn.BatchNorm2d):
            init.constant_(m.weight, 1)
            init.constant_(m.bias, 0)
        elif isinstance(m, nn.Linear):
            init.normal_(m.weight, std=1e-3)
            if m.bias is not None:
                init.constant_(m.bias, 0)


net = Net()
init_params(net)
set_weights(net)
device = "cuda" if torch.cuda.is_available() else "cpu"
net = net.to(device)
net = torch.nn.DataParallel(net)
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
crit = nn.CrossEntropyLoss()
best_acc = 0
for e in range(4):
    net.train()
    for b in range(5):
        inputs, targets = randn(6, 3, 8, 8), randint(0, 5, (6,))
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = crit(outputs, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        _, predicted = outputs.max(1)
        correct = predicted.eq(targets).sum().item()
    state = {"net": net.state_dict(), "acc": correct, "epoch": e}
    torch.save(state, PATH)
checkpoint = torch.load(PATH)
net.load_state_dict(checkpoint["net"])
best_acc = checkpoint["acc"]
net.eval()
y = net(randn(2, 3, 8, 8))
losses.append(y.sum().item())
print(y.size(), [k for k in checkpoint["net"]][:2])
