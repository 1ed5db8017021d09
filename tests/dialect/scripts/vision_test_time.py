"""Augmentation at test time: the mean over crops and mirrored pictures."""

import tempfile

import torch
import torch.nn as nn
import torchvision.transforms.functional as TF
from course import set_weights
from pictures import cifar_files
from torchvision import datasets, transforms

root = tempfile.TemporaryDirectory()
cifar_files(root.name, count=4)
mean, std = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
normalize = transforms.Normalize(mean, std)
plain = transforms.Compose([transforms.CenterCrop(24), transforms.ToTensor(), normalize])
ten_crops = transforms.Compose(
    [
        transforms.TenCrop(24),
        transforms.Lambda(
            lambda crops: torch.stack([normalize(transforms.ToTensor()(crop)) for crop in crops])
        ),
    ]
)
train_set = datasets.CIFAR10(root.name, train=True, transform=plain)
test_set = datasets.CIFAR10(root.name, train=False, transform=ten_crops)
model = set_weights(
    nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(96, 10),
    )
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
losses = []
for epoch in range(5):
    for x, y in torch.utils.data.DataLoader(train_set, batch_size=5):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
model.eval()
with torch.no_grad():
    for x, y in torch.utils.data.DataLoader(test_set, batch_size=2):
        bs, ncrops, c, h, w = x.size()
        averaged = model(x.view(-1, c, h, w)).view(bs, ncrops, -1).mean(1)
        losses.append(criterion(averaged, y).item())
    pil, label = datasets.CIFAR10(root.name, train=False)[0]
    views = [pil, TF.hflip(pil), TF.rotate(pil, 10), TF.adjust_brightness(pil, 1.2)]
    views += [TF.affine(pil, 0, (2, 1), 1.1, 5, interpolation=TF.InterpolationMode.BILINEAR)]
    logits = [model(plain(view).unsqueeze(0)).softmax(-1) for view in views]
    losses += [p[0, label].item() for p in logits]
root.cleanup()
