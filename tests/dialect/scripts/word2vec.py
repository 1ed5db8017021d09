"""Words become vectors by guessing their neighbours, against words of chance."""

from collections import Counter

import torch
import torch.nn as nn
from course import randint, set_weights


class SkipGram(nn.Module):
    def __init__(self, n_vocab, n_embed, noise_dist=None):
        super().__init__()
        self.n_vocab, self.n_embed, self.noise_dist = n_vocab, n_embed, noise_dist
        self.in_embed = nn.Embedding(n_vocab, n_embed)
        self.out_embed = nn.Embedding(n_vocab, n_embed)
        self.in_embed.weight.data.uniform_(-1, 1)
        self.out_embed.weight.data.uniform_(-1, 1)

    def forward_noise(self, batch_size, n_samples):
        noise_words = randint(0, self.n_vocab, (batch_size * n_samples,))
        return self.out_embed(noise_words).view(batch_size, n_samples, self.n_embed)


class NegativeSamplingLoss(nn.Module):
    def forward(self, input_vectors, output_vectors, noise_vectors):
        batch_size, embed_size = input_vectors.shape
        input_vectors = input_vectors.view(batch_size, embed_size, 1)
        output_vectors = output_vectors.view(batch_size, 1, embed_size)
        out_loss = torch.bmm(output_vectors, input_vectors).sigmoid().log()
        out_loss = out_loss.squeeze()
        noise_loss = torch.bmm(noise_vectors.neg(), input_vectors).sigmoid().log()
        noise_loss = noise_loss.squeeze().sum(1)
        return -(out_loss + noise_loss).mean()


def cosine_similarity(embedding, valid):
    embed_vectors = embedding.weight
    magnitudes = embed_vectors.pow(2).sum(dim=1).sqrt().unsqueeze(0)
    valid_vectors = embedding(valid)
    return torch.mm(valid_vectors, embed_vectors.t()) / magnitudes


text = "the cat sat on the mat and the dog sat on the log while the cat saw the dog".split()
counts = Counter(text)
vocab = sorted(counts, key=lambda w: (-counts[w], w))
ids = [vocab.index(w) for w in text]
pairs = [
    (ids[i], ids[j])
    for i in range(len(ids))
    for j in range(max(0, i - 2), min(len(ids), i + 3))
    if i != j
]
inputs, targets = torch.LongTensor(pairs).t()
freqs = torch.tensor([counts[w] / len(text) for w in vocab])
unigram = freqs**0.75 / (freqs**0.75).sum()
assert abs(unigram.sum().item() - 1) < 1e-6
model = set_weights(SkipGram(len(vocab), 6, unigram))
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
criterion = NegativeSamplingLoss()
losses = []
for step in range(22):
    input_vectors = model.in_embed(inputs)
    output_vectors = model.out_embed(targets)
    noise_vectors = model.forward_noise(inputs.shape[0], 3)
    loss = criterion(input_vectors, output_vectors, noise_vectors)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
similarities = cosine_similarity(model.in_embed, torch.tensor([0, 1]))
_, closest = similarities.topk(3)
print([vocab[i] for i in closest[0]])
