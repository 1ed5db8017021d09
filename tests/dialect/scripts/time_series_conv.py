"""Causal convolutions with weight norm foresee a series; a quantile loss says how sure it is."""

import torch
import torch.nn as nn
from course import randn, set_weights
from torch.nn.utils import weight_norm


class Chomp1d(nn.Module):
    def __init__(self, chomp_size):
        super(Chomp1d, self).__init__()
        self.chomp_size = chomp_size

    def forward(self, x):
        return x[:, :, : -self.chomp_size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, n_inputs, n_outputs, kernel_size, dilation):
        super(TemporalBlock, self).__init__()
        padding = (kernel_size - 1) * dilation
        self.conv1 = weight_norm(
            nn.Conv1d(n_inputs, n_outputs, kernel_size, padding=padding, dilation=dilation)
        )
        self.net = nn.Sequential(self.conv1, Chomp1d(padding), nn.ReLU(), nn.Dropout(0.0))
        self.downsample = nn.Conv1d(n_inputs, n_outputs, 1) if n_inputs != n_outputs else None
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [TemporalBlock(1 if i == 0 else 6, 6, 2, 2**i) for i in range(3)]
        self.network = nn.Sequential(*layers)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.network(x).transpose(1, 2))


def quantile_loss(pred, target, quantiles):
    errors = target.unsqueeze(-1) - pred
    return torch.max((quantiles - 1) * errors, quantiles * errors).mean()


time = torch.arange(0, 33, dtype=torch.float32)
series = torch.sin(time / 3)[None] * (1 + 0.1 * torch.arange(4.0))[:, None] + 0.1 * randn(4, 33)
quantiles = torch.tensor([0.1, 0.5, 0.9])
model = set_weights(TCN())
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
for step in range(22):
    pred = model(series[:, None, :-1])
    loss = quantile_loss(pred, series[:, 1:], quantiles)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
low, middle, high = pred.detach().unbind(dim=-1)
print(((series[:, 1:] > low) & (series[:, 1:] < high)).float().mean().item())
