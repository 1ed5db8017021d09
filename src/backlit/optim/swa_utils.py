"""Averages of a model's parameters over training, and what goes with them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..array_api import where, zeros
from ..autograd import no_grad
from ..calls import explain
from ..conversion import check_device
from ..dtypes import int64
from ..errors import ArgumentError
from ..nn.module import Module
from ..nn.normalization import _BatchNorm
from ..tensor import Tensor
from .lr_scheduler.base import LRScheduler, count, each, of_group
from .optimizer import Optimizer

Average = Callable[[Tensor, Tensor, Tensor], Tensor]
Averages = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], None]


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of the model's over its updates.

        a ← a + (θ - a) / (n + 1)             n: `n_averaged`, the number of updates before

    `avg_fn(a, θ, n)` says another average, as `get_ema_avg_fn(0.99)` does, and `multi_avg_fn` the
    same for lists of Tensors, which it changes. The first update copies. Buffers are those of the
    last update, or with `use_buffers` averaged, too. An update may be part of a compiled step.

    >>> from backlit import nn
    >>> model = nn.Linear(2, 1)
    >>> average = AveragedModel(model, avg_fn=get_ema_avg_fn(0.5))
    >>> for value in (1.0, 3.0):
    ...     _ = nn.init.constant_(model.bias, value)
    ...     average.update_parameters(model)
    >>> average.module.bias.tolist()
    [2.0]

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization",
    UAI 2018, algorithm 1.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError(
                "AveragedModel: one function says the average, got avg_fn and multi_avg_fn; give "
                "one of them"
            )
        self.module = copy.deepcopy(model).to(device=device)
        self.register_buffer("n_averaged", zeros((), dtype=int64))
        self.avg_fn = get_swa_avg_fn() if avg_fn is None else avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The result of the averaged model."""
        return self.module(*inputs, **options)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's parameters of now into the average."""
        mine: list[Tensor] = list(self.module.parameters())
        others: list[Tensor] = list(model.parameters())
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        if self.use_buffers:
            mine += [a for a, _ in buffers]
            others += [b for _, b in buffers]
        n = self.n_averaged
        if self.multi_avg_fn is not None:
            self.multi_avg_fn(mine, others, n)
            new = [a.detach() for a in mine]
        else:
            new = [
                self.avg_fn(a.detach(), b.detach(), n) for a, b in zip(mine, others, strict=True)
            ]
        for a, b, value in zip(mine, others, new, strict=True):
            a.assign(where(n == 0, b.detach().astype(value.dtype), value))
        if not self.use_buffers:
            for a, b in buffers:
                a.assign(b.detach())
        n.assign(n + 1)


def get_swa_avg_fn() -> Average:
    """The mean of all updates: a + (θ - a) / (n + 1)."""

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1).astype(averaged.dtype)

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The mean in which older updates fade: decay · a + (1 - decay) θ."""
    if not 0 <= decay <= 1:
        raise ArgumentError(f"get_ema_avg_fn: decay must lie in [0, 1], got {decay}")

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return average


def _of_lists(average: Average) -> Averages:
    @no_grad()
    def averages(
        averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Tensor
    ) -> None:
        for a, b in zip(averaged, current, strict=True):
            a.assign(average(a.detach(), b.detach(), num_averaged))

    return averages


def get_swa_multi_avg_fn() -> Averages:
    """`get_swa_avg_fn` for lists of Tensors, which it changes."""
    return _of_lists(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """`get_ema_avg_fn` for lists of Tensors, which it changes."""
    return _of_lists(get_ema_avg_fn(decay))


class SWALR(LRScheduler):
    """From the rate that there is to `swa_lr` in `anneal_epochs` steps, and there for good.

    Along a cosine, or a line with `anneal_strategy="linear"`. `swa_lr` is one for all groups, or a
    list of one for each.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for _ in range(3):
    ...     schedule.step()
    ...     print(round(optimizer.param_groups[0]["lr"], 3))
    0.75
    0.5
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"SWALR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}"
            )
        self.anneal_strategy = anneal_strategy
        self.anneal_epochs = count(self, "anneal_epochs", anneal_epochs, 0)
        self.swa_lr = each(self, "swa_lr", swa_lr, optimizer)
        super().__init__(optimizer, last_epoch)

    def _done(self, t: float) -> float:
        """How much of the way is done at a moment: 0 to 1."""
        t = max(0.0, min(1.0, t / max(1, self.anneal_epochs)))
        return t if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[float]:
        """The next rate of each group, from the last one."""
        t = self.last_epoch if self.anneal_epochs else max(1, self.last_epoch)
        before, now = self._done(t - 1), self._done(t)
        rates = []
        for i, group in enumerate(self._groups):
            end = float(of_group(self, "swa_lr", self.swa_lr, i))
            first = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + first * (1 - now))
        return rates


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Give a model's batch normalisations the statistics of a data set, as averages of its batches.

    Averaged parameters make activations for which no statistics were learned. Of a batch that is a
    tuple or list the first part is the input. The model is in training mode meanwhile.
    """
    check_device(device)
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    modes = [(m, m.training) for m in model.modules()]
    momenta = [layer.momentum for layer in layers]
    model.train()
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        for batch in loader:
            model(batch[0] if isinstance(batch, list | tuple) else batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes:
            module.training = training


__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


explain(__name__, __all__)
