"""Masked words are guessed by an encoder that sees both sides."""

import torch
import torch.nn as nn
from course import rand, randint, set_weights

VOCAB, MASK, PAD, DIM, LEN = 20, 1, 0, 16, 8


class BERT(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(VOCAB, DIM, padding_idx=PAD)
        self.position = nn.Embedding(LEN, DIM)
        self.segment = nn.Embedding(2, DIM)
        self.norm = nn.LayerNorm(DIM, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            d_model=DIM,
            nhead=4,
            dim_feedforward=32,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.mlm = nn.Sequential(nn.Linear(DIM, DIM), nn.GELU(), nn.LayerNorm(DIM))
        self.decoder = nn.Linear(DIM, VOCAB, bias=False)
        self.decoder.weight = self.token.weight
        self.bias = nn.Parameter(torch.zeros(VOCAB))

    def forward(self, ids, segments):
        positions = torch.arange(ids.size(1)).unsqueeze(0).expand_as(ids)
        x = self.token(ids) + self.position(positions) + self.segment(segments)
        x = self.encoder(self.norm(x), src_key_padding_mask=ids.eq(PAD))
        return self.decoder(self.mlm(x)) + self.bias


def mask_tokens(ids):
    labels = ids.clone()
    masked = (rand(*ids.shape) < 0.3) & (ids != PAD)
    labels[~masked] = -100
    inputs = ids.clone()
    inputs[masked] = MASK
    return inputs, labels


model = set_weights(BERT())
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
criterion = nn.CrossEntropyLoss(ignore_index=-100)
losses = []
for step in range(20):
    ids = randint(2, VOCAB, (8, LEN))
    ids[:, 1::2] = (ids[:, ::2] + 1).clamp(max=VOCAB - 1)
    ids[:2, 6:] = PAD
    segments = torch.zeros_like(ids)
    segments[:, LEN // 2 :] = 1
    inputs, labels = mask_tokens(ids)
    logits = model(inputs, segments)
    loss = criterion(logits.view(-1, VOCAB), labels.view(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    kept = labels != -100
    accuracy = (logits.argmax(-1)[kept] == labels[kept]).float().mean()
    print(f"{step:3d} {loss:.4f} {accuracy:.2f}")
