"""A denoising autoencoder of the second version's transforms."""

import tempfile

import torch
import torch.nn as nn
from course import rand, set_weights
from pictures import mnist_files
from torch.utils.data import DataLoader, random_split
from torchvision.datasets import MNIST
from torchvision.transforms import v2

root = tempfile.TemporaryDirectory()
mnist_files(root.name, count=48)
transform = v2.Compose(
    [v2.ToImage(), v2.CenterCrop(24), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0], [1])]
)
dataset = MNIST(root.name, train=True, transform=transform)
train_set, _ = random_split(dataset, [48, 0])
train_set.indices = sorted(train_set.indices)
model = set_weights(
    nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Sigmoid(),
    )
)
criterion = nn.MSELoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for epoch in range(4):
    for images, _ in DataLoader(train_set, batch_size=8):
        noisy = (images + 0.3 * rand(*images.shape)).clamp(0.0, 1.0)
        loss = criterion(model(noisy), images)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
root.cleanup()
