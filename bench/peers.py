"""Who is measured: each framework with its way to build a workload's step.

A builder takes a workload and returns a function that makes one step and returns its loss in the
framework's own form, not waiting for anything that a user would not wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .workloads import Workload

Step = Callable[[], Any]
Builder = Callable[[Workload], Step]


def backlit_eager(workload: Workload) -> Step:
    """Backlit as a user writes it."""
    import backlit
    from backlit import nn, optim

    kinds = {
        "linear": nn.Linear,
        "linear without bias": lambda i, o: nn.Linear(i, o, bias=False),
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "relu": nn.ReLU,
    }
    losses = {
        "mean of squares": nn.MSELoss(),
        "sum of squares": nn.MSELoss(reduction="sum"),
        "cross-entropy": nn.CrossEntropyLoss(),
    }
    optimizers = {"adam": optim.Adam, "sgd": optim.SGD}
    model = nn.Sequential(*(kinds[kind](*sizes) for kind, *sizes in workload.layers))
    for p, value in zip(model.parameters(), workload.parameters(), strict=True):
        p.assign(value)
    x, y = (backlit.tensor(a) for a in workload.data())
    loss_fn = losses[workload.loss]
    optimizer = optimizers[workload.optimizer](model.parameters(), lr=workload.lr)

    def step() -> Any:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def backlit_compiled(workload: Workload) -> Step:
    """Backlit with the whole step compiled."""
    import backlit

    return backlit.compile(backlit_eager(workload))


def pytorch_eager(workload: Workload, **options: Any) -> Step:
    """PyTorch as a user writes it."""
    import torch
    from torch import nn, optim

    kinds = {
        "linear": nn.Linear,
        "linear without bias": lambda i, o: nn.Linear(i, o, bias=False),
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "relu": nn.ReLU,
    }
    losses = {
        "mean of squares": nn.MSELoss(),
        "sum of squares": nn.MSELoss(reduction="sum"),
        "cross-entropy": nn.CrossEntropyLoss(),
    }
    optimizers = {"adam": optim.Adam, "sgd": optim.SGD}
    model = nn.Sequential(*(kinds[kind](*sizes) for kind, *sizes in workload.layers))
    with torch.no_grad():
        for p, value in zip(model.parameters(), workload.parameters(), strict=True):
            p.copy_(torch.from_numpy(value))
    x, y = (torch.from_numpy(a) for a in workload.data())
    loss_fn = losses[workload.loss]
    optimizer = optimizers[workload.optimizer](model.parameters(), lr=workload.lr, **options)

    def step() -> Any:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def pytorch_fused(workload: Workload) -> Step:
    """PyTorch with its fused optimizer."""
    return pytorch_eager(workload, fused=True)


PEERS: dict[str, Builder] = {
    "backlit": backlit_eager,
    "backlit compiled": backlit_compiled,
    "pytorch": pytorch_eager,
    "pytorch fused": pytorch_fused,
}
#: Measured when nothing else is asked for; all are compared with the first.
DEFAULT_PEERS = ("backlit", "backlit compiled", "pytorch", "pytorch fused")
