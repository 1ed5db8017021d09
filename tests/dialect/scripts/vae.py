"""A variational autoencoder."""

import torch
from course import rand, randn, set_weights
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(36, 24)
        self.fc21 = nn.Linear(24, 4)
        self.fc22 = nn.Linear(24, 4)
        self.fc3 = nn.Linear(4, 24)
        self.fc4 = nn.Linear(24, 36)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = randn(*std.shape)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 36))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 36), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


device = torch.device("cpu")
model = set_weights(VAE()).to(device)
optimizer = optim.Adam(model.parameters(), lr=1e-2)
data = (rand(64, 1, 6, 6) > 0.6).float()
losses = []
for epoch in range(6):
    model.train()
    train_loss = 0
    for batch_idx, batch in enumerate(torch.split(data, 16)):
        batch = batch.to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(batch)
        loss = loss_function(recon_batch, batch, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        losses.append(loss.item() / len(batch))
    print("====> Epoch: {} Average loss: {:.4f}".format(epoch, train_loss / len(data)))
with torch.no_grad():
    sample = model.decode(randn(8, 4)).cpu().view(8, 1, 6, 6)
losses.append(sample.mean().item())
