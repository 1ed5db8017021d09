"""Training that ends when the validation loss no longer falls; the best weights come back."""

import copy
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from course import randn, set_weights
from torch.utils.data import DataLoader, TensorDataset, random_split


class EarlyStopping:
    def __init__(self, patience=7, delta=0.0, path="checkpoint.pt"):
        self.patience, self.delta, self.path = patience, delta, path
        self.counter, self.best, self.early_stop = 0, np.inf, False

    def __call__(self, val_loss, model):
        if val_loss < self.best - self.delta:
            self.best, self.counter = val_loss, 0
            torch.save(model.state_dict(), self.path)
        else:
            self.counter += 1
            self.early_stop = self.counter >= self.patience


folder = tempfile.mkdtemp()
x = randn(80, 8)
y = (x[:, :1] - x[:, 1:2] * x[:, 2:3]).tanh()
train_set, valid_set = TensorDataset(x[:60], y[:60]), TensorDataset(x[60:], y[60:])
parts = random_split(train_set, [40, 20], generator=torch.Generator().manual_seed(0))
assert [len(p) for p in parts] == [40, 20]
train_loader = DataLoader(train_set, batch_size=20)
valid_loader = DataLoader(valid_set, batch_size=20)
model = set_weights(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1)))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, amsgrad=True)
criterion = nn.MSELoss()
stopping = EarlyStopping(patience=4, path=os.path.join(folder, "best.pt"))
losses = []
best_weights = None
for epoch in range(30):
    model.train()
    for data, target in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(data), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        valid = float(np.mean([criterion(model(d), t).item() for d, t in valid_loader]))
    if valid < stopping.best:
        best_weights = copy.deepcopy(model.state_dict())
    stopping(valid, model)
    if stopping.early_stop:
        print("stopped in epoch", epoch)
        break
    if epoch == 3:
        checkpoint = os.path.join(folder, "last.tar")
        torch.save(
            {
                "epoch": epoch,
                "model_state_dict": model.state_dict(),
                "optimizer_state_dict": optimizer.state_dict(),
                "loss": loss,
            },
            checkpoint,
        )
        loaded = torch.load(checkpoint, weights_only=True)
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
        model.load_state_dict(loaded["model_state_dict"])
        optimizer = torch.optim.Adam(model.parameters(), lr=0.5, amsgrad=True)
        optimizer.load_state_dict(loaded["optimizer_state_dict"])
        assert loaded["epoch"] == 3
        losses.append(float(loaded["loss"]))
model.load_state_dict(torch.load(stopping.path, map_location=torch.device("cpu")))
for name, value in model.state_dict().items():
    assert torch.equal(value, best_weights[name]), name
losses.append(criterion(model(x[60:]), y[60:]).item())
