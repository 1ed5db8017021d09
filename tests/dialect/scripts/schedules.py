"""One network after another, each with another schedule of its learning rate."""

import math

import torch
import torch.nn as nn
import torch.optim as optim
from course import randn, set_weights
from torch.optim import lr_scheduler

x = randn(32, 6)
y = (x * torch.arange(1.0, 7.0)).sum(1, keepdim=True) / 6
criterion = nn.SmoothL1Loss()
losses, rates = [], []


def warmup(step):
    if step < 3:
        return (step + 1) / 3
    return 0.5 * (1 + math.cos(math.pi * (step - 3) / 7))


for make in (
    lambda o: lr_scheduler.LambdaLR(o, lr_lambda=warmup),
    lambda o: lr_scheduler.MultiStepLR(o, milestones=[3, 6], gamma=0.3),
    lambda o: lr_scheduler.ExponentialLR(o, gamma=0.8),
    lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=11),
    lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=4, T_mult=2),
    lambda o: lr_scheduler.CyclicLR(
        o, base_lr=0.01, max_lr=0.1, step_size_up=3, mode="triangular2"
    ),
    lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.CosineAnnealingLR(o, 7)],
        milestones=[3],
    ),
):
    model = set_weights(nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 1)))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = make(optimizer)
    for epoch in range(10):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        rates.append(optimizer.param_groups[0]["lr"])
        assert abs(rates[-1] - scheduler.get_last_lr()[0]) < 1e-12
plateau = lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=1)
for value in (1.0, 1.0, 1.0, 1.0, 0.5):
    plateau.step(value)
losses.append(optimizer.param_groups[0]["lr"])
losses += rates
