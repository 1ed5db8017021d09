"""A trained network gets a new head; what is below stays as it is, then learns slowly."""

import torch
import torch.nn as nn
from course import randint, randn, set_weights


class Backbone(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding="same"),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=2, stride=2),
            nn.Conv2d(6, 8, 3),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = x.flatten(1)
        return self.fc(x)


def data(classes, n=24):
    y = randint(0, classes, (n,))
    x = 0.5 * randn(n, 3, 8, 8)
    x[torch.arange(n), y % 3] += 1.0
    return x, y


def fit(model, x, y, optimizer, steps):
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


losses = []
model = set_weights(Backbone(5))
x, y = data(5)
fit(model, x, y, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 6)

pretrained = {k: v for k, v in model.state_dict().items() if not k.startswith("fc")}
new = Backbone(2)
missing, unexpected = new.load_state_dict(pretrained, strict=False)
print(missing, unexpected)
for param in new.parameters():
    param.requires_grad = False
num_ftrs = new.fc.in_features
new.fc = set_weights(
    nn.Sequential(nn.Linear(num_ftrs, 6), nn.ReLU(), nn.Dropout(0.0), nn.Linear(6, 2)), 3
)
x, y = data(2)
trainable = [p for p in new.parameters() if p.requires_grad]
print(sum(p.numel() for p in trainable), "of", sum(p.numel() for p in new.parameters()))
fit(new, x, y, torch.optim.Adam(filter(lambda p: p.requires_grad, new.parameters()), lr=1e-2), 8)

for param in new.features.parameters():
    param.requires_grad_(True)
groups = [
    {"params": new.features.parameters(), "lr": 1e-3},
    {"params": new.fc.parameters()},
]
fit(new, x, y, torch.optim.SGD(groups, lr=1e-2, momentum=0.9), 8)
