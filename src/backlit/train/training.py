"""What is trained, with which settings, and how far it has come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..nn import Module
from ..optim import Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from ..tensor import Tensor
from .metrics import Mean, Metric

#: The two phases of an epoch.
TRAINING, VALIDATING = "training", "validating"
#: Why a training ended that Ctrl-C has stopped.
INTERRUPTED = "interrupted"


@dataclass(eq=False, repr=False)
class Training:
    """All that a step, a checkpoint or a failure reads of a run. A Trainer is one that goes on."""

    model: Module
    loss_fn: Callable[..., Tensor]
    optimizer: Optimizer
    _: KW_ONLY
    schedule: Any = None
    schedule_every: str = "epoch"
    metrics: list[Metric] = field(default_factory=list)
    clip_norm: float | None = None
    clip_value: float | None = None
    compile: bool = True
    checkpoints: Path | None = None
    checkpoint_steps: int | None = None
    flight: Path | None = None
    monitor: str | None = None

    #: One record for each epoch done: epoch, lr, loss, metrics, and the same of the validation.
    history: list[dict[str, float]] = field(default_factory=list, init=False)
    #: Epochs done.
    epoch: int = field(default=0, init=False)
    #: Batches done of the epoch in progress.
    position: int = field(default=0, init=False)
    #: Updates done in all.
    steps: int = field(default=0, init=False)
    phase: str = field(default=TRAINING, init=False)
    best: float | None = field(default=None, init=False)
    best_epoch: int | None = field(default=None, init=False)
    #: Why the training ended early: None, INTERRUPTED or what a callback said.
    stopped: str | None = field(default=None, init=False)
    _loss: Mean = field(default_factory=Mean, init=False)

    @property
    def meters(self) -> list[Metric]:
        """The mean loss and the metrics, with what they have gathered of the epoch in progress."""
        return [self._loss, *self.metrics]

    def so_far(self, most: int | None = None) -> dict[str, float]:
        """The mean loss and the metrics of the epoch in progress, or the first of them."""
        return {m.name: m.compute() for m in self.meters[:most]}

    @property
    def schedule_by_step(self) -> bool:
        """Whether the schedule goes on after each batch."""
        return self.schedule is not None and self.schedule_every == "step"

    def stop(self, reason: str) -> None:
        """End the training after the epoch in progress; for callbacks."""
        self.stopped = reason

    def step_schedule(self, record: dict[str, float]) -> None:
        """Let the schedule go on, by the numbers of an epoch or of a step."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(self.value(record, self.monitored(record)))
        else:
            self.schedule.step()

    def monitored(self, record: dict[str, float]) -> str:
        """The key of a record whose best value is kept."""
        if self.monitor is not None:
            return self.monitor
        return "validation_loss" if "validation_loss" in record else "loss"

    def value(self, record: dict[str, float], name: str) -> float:
        """A number of a record by its key."""
        if name not in record:
            raise ArgumentError(
                f"fit: the monitored number must be one of {', '.join(record)}, got {name!r}"
            )
        return record[name]

    def is_better(
        self, name: str, value: float, best: float | None, by_more_than: float = 0.0
    ) -> bool:
        """Whether a value of a metric (or loss) is better than the best; NaN never is."""
        if math.isnan(value) or best is None:
            return not math.isnan(value)
        plain = name.removeprefix("validation_")
        larger = any(m.larger_is_better for m in self.metrics if m.name == plain)
        return value - best > by_more_than if larger else best - value > by_more_than
