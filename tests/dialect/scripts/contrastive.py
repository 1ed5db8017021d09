"""Momentum contrast: a key encoder that follows, a queue of negatives; then SimCLR's loss."""

import copy

import torch
import torch.nn.functional as F
from course import randn, set_weights
from torch import nn


class Encoder(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.GroupNorm(2, 8),
            nn.ReLU(True),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, dim, bias=False))

    def forward(self, x):
        return F.normalize(self.head(self.backbone(x)), dim=1)


class MoCo(nn.Module):
    def __init__(self, K=16, m=0.9, T=0.2):
        super().__init__()
        self.K, self.m, self.T = K, m, T
        self.encoder_q = set_weights(Encoder())
        self.encoder_k = copy.deepcopy(self.encoder_q)
        for param_q, param_k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            param_k.data.copy_(param_q.data)
            param_k.requires_grad = False
        self.register_buffer("queue", F.normalize(randn(8, K), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _momentum_update_key_encoder(self):
        for param_q, param_k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            param_k.data = param_k.data * self.m + param_q.data * (1.0 - self.m)

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys):
        batch_size = keys.shape[0]
        ptr = int(self.queue_ptr)
        assert self.K % batch_size == 0
        self.queue[:, ptr : ptr + batch_size] = keys.T
        self.queue_ptr[0] = (ptr + batch_size) % self.K

    def forward(self, im_q, im_k):
        q = self.encoder_q(im_q)
        with torch.no_grad():
            self._momentum_update_key_encoder()
            k = self.encoder_k(im_k)
        l_pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        logits = torch.cat([l_pos, l_neg], dim=1)
        logits /= self.T
        labels = torch.zeros(logits.shape[0], dtype=torch.long)
        self._dequeue_and_enqueue(k)
        return logits, labels


def nt_xent(z1, z2, temperature=0.5):
    n = z1.size(0)
    z = torch.cat((z1, z2), 0)
    sim = z @ z.t() / temperature
    sim.fill_diagonal_(-1e9)
    targets = torch.arange(2 * n).roll(n)
    return F.cross_entropy(sim, targets)


def nt_xent_masked(z1, z2, t=0.5):
    out = torch.cat([z1, z2], dim=0)
    sim = torch.exp(torch.mm(out, out.t().contiguous()) / t)
    mask = (torch.ones_like(sim) - torch.eye(2 * z1.shape[0], device=sim.device)).bool()
    sim = sim.masked_select(mask).view(2 * z1.shape[0], -1)
    pos = torch.exp(torch.sum(z1 * z2, dim=-1) / t)
    pos = torch.cat([pos, pos], dim=0)
    return (-torch.log(pos / sim.sum(dim=-1))).mean()


losses = []
model = MoCo()
optimizer = torch.optim.SGD(
    [p for p in model.parameters() if p.requires_grad],
    lr=0.05,
    momentum=0.9,
    weight_decay=1e-4,
    nesterov=True,
)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
data = randn(24, 3, 8, 8)
for epoch in range(4):
    for i in range(0, 24, 8):
        x = data[i : i + 8]
        a = x + 0.1 * randn(*x.shape)
        b = torch.flip(x, dims=[3]) + 0.1 * randn(*x.shape)
        logits, labels = model(a, b)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.encoder_q.parameters(), max_norm=1.0)
        optimizer.step()
        losses.append(loss.item())
        scheduler.step()
for _ in range(6):
    z1, z2 = model.encoder_q(data + 0.1 * randn(*data.shape)), model.encoder_q(data.flip(-1))
    la, lb = nt_xent(z1, z2), nt_xent_masked(z1, z2)
    (la + lb).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses += [la.item(), lb.item()]
