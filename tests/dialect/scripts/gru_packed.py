"""Sequences of different lengths: padded, packed, and classified by a recurrent network."""

import torch
import torch.nn as nn
from course import randint, set_weights
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset


class Names(Dataset):
    def __init__(self, n):
        self.items = []
        for _ in range(n):
            length = int(randint(3, 9, (1,)))
            words = randint(1, 12, (length,))
            self.items.append((words, int(words.sum() % 3 == 0)))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(batch):
    batch.sort(key=lambda item: len(item[0]), reverse=True)
    sequences, labels = zip(*batch)
    lengths = torch.tensor([len(s) for s in sequences])
    return pad_sequence(sequences, batch_first=True), lengths, torch.LongTensor(labels)


class RNNClassifier(nn.Module):
    def __init__(self, input_size, hidden_size, output_size, n_layers=1, bidirectional=True):
        super(RNNClassifier, self).__init__()
        self.n_directions = int(bidirectional) + 1
        self.embedding = nn.Embedding(input_size, hidden_size, padding_idx=0)
        self.gru = nn.GRU(
            hidden_size, hidden_size, n_layers, bidirectional=bidirectional, batch_first=True
        )
        self.fc = nn.Linear(hidden_size * self.n_directions, output_size)

    def forward(self, input, seq_lengths):
        embedded = self.embedding(input)
        gru_input = pack_padded_sequence(embedded, seq_lengths.cpu(), batch_first=True)
        output, hidden = self.gru(gru_input)
        output, _ = pad_packed_sequence(output, batch_first=True)
        last = torch.cat([hidden[-1], hidden[-2]], dim=1)
        return self.fc(last + output.mean(dim=1))


model = set_weights(RNNClassifier(12, 8, 2))
loader = DataLoader(Names(48), batch_size=12, collate_fn=collate)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss()
losses = []
for epoch in range(5):
    total, correct = 0.0, 0
    for sequences, lengths, labels in loader:
        output = model(sequences, lengths)
        loss = criterion(output, labels)
        total += loss.item()
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        pred = output.data.max(1, keepdim=True)[1]
        correct += pred.eq(labels.data.view_as(pred)).cpu().sum().item()
        losses.append(loss.item())
    print(epoch, total, correct)
