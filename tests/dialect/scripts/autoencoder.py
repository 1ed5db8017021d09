"""A deep autoencoder with an L1 penalty on its code."""

import torch
import torch.nn as nn
from course import randn, set_weights
from torch.autograd import Variable


class autoencoder(nn.Module):
    def __init__(self):
        super(autoencoder, self).__init__()
        self.encoder = nn.Sequential(
            nn.Linear(20, 12), nn.ReLU(True), nn.Linear(12, 6), nn.ReLU(True), nn.Linear(6, 3)
        )
        self.decoder = nn.Sequential(
            nn.Linear(3, 6),
            nn.ReLU(True),
            nn.Linear(6, 12),
            nn.ReLU(True),
            nn.Linear(12, 20),
            nn.Tanh(),
        )

    def forward(self, x):
        code = self.encoder(x)
        return self.decoder(code), code


learning_rate = 1e-2
model = set_weights(autoencoder())
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=1e-5)
dataset = torch.tanh(randn(60, 3) @ randn(3, 20))
losses = []
for epoch in range(8):
    for data in dataset.chunk(3):
        img = Variable(data.view(data.size(0), -1))
        output, code = model(img)
        loss = criterion(output, img) + 1e-3 * torch.norm(code, 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data.item())
    print("epoch [{}/{}], loss:{:.4f}".format(epoch + 1, 8, loss.item()))
