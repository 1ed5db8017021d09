"""Steps of Backlit: op by op, compiled, and compiled with the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backlit
import backlit.compiler.plan.plan  # with LLVM: the others' compilers are part of their import, too
from backlit import nn, optim

from ..workloads import Arrays, Workload, network
from . import Steps

_OPTIMIZERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}


def _losses(workload: Workload) -> Callable[[Any, Any], Any]:
    if workload.loss != "cross-entropy":
        mean = workload.loss == "mean of squares"
        return nn.MSELoss(reduction="mean" if mean else "sum")
    entropy = nn.CrossEntropyLoss()
    classes = workload.classes
    if workload.name == "lstm":
        return lambda y, targets: entropy(y[0].reshape(-1, classes), targets.reshape(-1))
    if workload.name == "gpt":
        return lambda y, targets: entropy(y.reshape(-1, classes), targets.reshape(-1))
    return entropy


def _step(workload: Workload, weights: Arrays, dropout: float) -> Callable[[Any, Any], Any]:
    """The step as a user writes it."""
    model = network(workload, dropout)
    model.load_state_dict({k: backlit.asarray(v) for k, v in weights.items()})
    optimizer = _OPTIMIZERS[workload.optimizer](model.parameters(), **workload.settings)
    loss_fn = _losses(workload)

    def step(x: Any, y: Any) -> Any:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def _many(step: Callable[[Any, Any], Any], x: Any, y: Any) -> Steps:
    def steps(n: int) -> Any:
        for _ in range(n):
            loss = step(x, y)
        return loss

    return steps


def eager(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """Op by op."""
    return _many(_step(workload, weights, dropout), *map(backlit.asarray, data))


def compiled(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """The whole step compiled, and called from Python."""
    step = backlit.compile(_step(workload, weights, dropout))
    steps = _many(step, *map(backlit.asarray, data))
    steps.operations = lambda: sum(row[4] for row in step.kernels.rows)  # type: ignore[attr-defined]
    return steps


def loop(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """Many compiled steps in one call."""
    step = backlit.compile(_step(workload, weights, dropout))
    x, y = map(backlit.asarray, data)
    return lambda n: step.repeat(n, x, y)
