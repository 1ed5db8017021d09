"""Several labels for each example."""

import torch
from course import randn, set_weights
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Tags(Dataset):
    def __init__(self, n):
        self.x = randn(n, 10)
        self.y = (self.x[:, :4] + 0.5 * self.x[:, 4:8] > 0.5).float()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"features": self.x[index], "labels": self.y[index]}


def f1_score(predicted, true, eps=1e-7):
    tp = (predicted * true).sum(dim=0)
    fp = (predicted * (1 - true)).sum(dim=0)
    fn = ((1 - predicted) * true).sum(dim=0)
    precision = tp / (tp + fp + eps)
    recall = tp / (tp + fn + eps)
    return (2 * precision * recall / (precision + recall + eps)).mean()


train_set = Tags(96)
loader = DataLoader(
    train_set, batch_size=16, shuffle=False, num_workers=0, pin_memory=False, drop_last=True
)
positive = train_set.y.sum(0)
pos_weight = (len(train_set) - positive) / positive
model = set_weights(
    nn.Sequential(nn.Linear(10, 24), nn.BatchNorm1d(24), nn.ELU(), nn.Linear(24, 4))
)
criterion = nn.BCEWithLogitsLoss(pos_weight=pos_weight)
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3, momentum=0.5)
losses = []
for epoch in range(4):
    for i, sample in enumerate(loader):
        inputs, labels = sample["features"], sample["labels"]
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        predicted = (torch.sigmoid(model(train_set.x)) > 0.5).float()
        print(f"epoch {epoch}: f1 {f1_score(predicted, train_set.y).item():.3f}")
losses.append(f1_score(predicted, train_set.y).item())
