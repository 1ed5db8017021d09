"""A variational autoencoder on MNIST, which saves reconstructions beside their originals."""

import os
import tempfile

import torch
from course import randn, set_weights
from pictures import mnist_files
from torch import nn, optim
from torch.nn import functional as F
from torchvision import datasets, transforms
from torchvision.utils import save_image

root = tempfile.TemporaryDirectory()
mnist_files(root.name, count=40)
train_loader = torch.utils.data.DataLoader(
    datasets.MNIST(root.name, train=True, download=True, transform=transforms.ToTensor()),
    batch_size=8,
)


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(784, 32)
        self.fc21 = nn.Linear(32, 4)
        self.fc22 = nn.Linear(32, 4)
        self.fc3 = nn.Linear(4, 32)
        self.fc4 = nn.Linear(32, 784)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + randn(*std.shape) * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 784))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


model = set_weights(VAE())
optimizer = optim.Adam(model.parameters(), lr=1e-3)
losses = []
for epoch in range(1, 5):
    model.train()
    for batch_idx, (data, _) in enumerate(train_loader):
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        losses.append(loss.item() / len(data) / 784)
        optimizer.step()
    comparison = torch.cat([data[:4], recon_batch.view(8, 1, 28, 28)[:4]])
    save_image(comparison.cpu(), os.path.join(root.name, f"reconstruction_{epoch}.png"), nrow=4)
with torch.no_grad():
    sample = model.decode(randn(16, 4)).cpu()
    save_image(sample.view(16, 1, 28, 28), os.path.join(root.name, "sample.png"))
    losses.append(sample.mean().item())
print(sorted(os.listdir(root.name)))
root.cleanup()
