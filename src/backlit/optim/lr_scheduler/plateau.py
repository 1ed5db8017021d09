"""The schedule that looks at a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, count, each, of_group, outside_capture


class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor` when a metric has not become better for more than `patience` steps.

    Better means below best - threshold · |best| for a loss (mode "min"), above best + threshold ·
    |best| for an accuracy ("max"); with threshold_mode "abs" the threshold itself is the
    difference. After a reduction `cooldown` steps are not counted. Call `step(metric)` after each
    validation. A NaN is never better. `min_lr` is one for all groups, or a list of one for each.

    PyTorch has best · (1 - threshold) and best · (1 + threshold), which is the same where the best
    is positive. Where it is negative, no progress is progress there, and the rate stays.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> schedule = ReduceLROnPlateau(SGD([tensor([1.0], requires_grad=True)], lr=1.0), patience=1)
    >>> for loss in [-2.0, -2.0, -2.0]:
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ):
        name = type(self).__name__
        for what, value, allowed in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if value not in allowed:
                raise ArgumentError(f"{name}: {what} must be one of {allowed}, got {value!r}")
        if not 0 < factor < 1:
            raise ArgumentError(f"{name}: factor must lie between 0 and 1, got {factor}")
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor, self.threshold = float(factor), float(threshold)
        self.patience = count(self, "patience", patience, 0)
        self.cooldown = count(self, "cooldown", cooldown, 0)
        self.eps = float(eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)
        self.min_lr = each(self, "min_lr", min_lr, optimizer)

    def _begin(self) -> None:
        self._note()

    def _first_rate(self, i: int, group: Any) -> float:
        return group["lr"]

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Look at the metric of one validation."""
        outside_capture(self)
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for i, group in enumerate(self._groups):
                old = group["lr"]
                new = max(old * self.factor, of_group(self, "min_lr", self.min_lr, i))
                if old - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._note()

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if math.isinf(self.best):
            return value * sign > self.best * sign
        scale = abs(self.best) if self.threshold_mode == "rel" else 1.0
        return value * sign > self.best * sign + self.threshold * scale


__all__ = ["ReduceLROnPlateau"]
