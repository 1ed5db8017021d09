"""Sentences are classified by convolutions of several widths over their words."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randint, set_weights


class CNN(nn.Module):
    def __init__(
        self, vocab_size, embedding_dim, n_filters, filter_sizes, output_dim, dropout, pad_idx
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=pad_idx)
        self.convs = nn.ModuleList(
            [
                nn.Conv1d(in_channels=embedding_dim, out_channels=n_filters, kernel_size=fs)
                for fs in filter_sizes
            ]
        )
        self.fc = nn.Linear(len(filter_sizes) * n_filters, output_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, text):
        embedded = self.embedding(text)
        embedded = embedded.permute(0, 2, 1)
        conved = [F.relu(conv(embedded)) for conv in self.convs]
        pooled = [F.max_pool1d(conv, conv.shape[2]).squeeze(2) for conv in conved]
        cat = self.dropout(torch.cat(pooled, dim=1))
        return self.fc(cat)


def binary_accuracy(preds, y):
    rounded_preds = torch.round(torch.sigmoid(preds))
    correct = (rounded_preds == y).float()
    return correct.sum() / len(correct)


def count_parameters(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


model = set_weights(CNN(20, 8, 4, [2, 3, 4], 1, 0.0, 0))
model.embedding.weight.data[0] = torch.zeros(8)
print(f"The model has {count_parameters(model):,} trainable parameters")
text = randint(1, 20, (64, 12))
text[::3, 9:] = 0
labels = ((text == 3) | (text == 7)).any(dim=1).float()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.BCEWithLogitsLoss()
losses = []
for epoch in range(5):
    epoch_acc = 0
    for start in range(0, 64, 16):
        optimizer.zero_grad()
        predictions = model(text[start : start + 16]).squeeze(1)
        loss = criterion(predictions, labels[start : start + 16])
        acc = binary_accuracy(predictions, labels[start : start + 16])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        epoch_acc += acc.item()
    print(f"{epoch}: {100 * epoch_acc / 4:.1f}%")
