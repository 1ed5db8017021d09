"""What is trained, with which settings, and how far it has come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..nn import Module
from ..optim import Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from ..optim.swa_utils import AveragedModel
from ..tensor import Tensor
from .accumulation import Accumulation
from .batch import Batch, Targets, given
from .failure.failed import Failed
from .metrics import Mean, Metric
from .objective import Outcome, as_outcome, merged, supervised, target_of

#: The two phases of an epoch.
TRAINING, VALIDATING = "training", "validating"
#: Why a training ended that Ctrl-C has stopped, or that has done as many steps as it was told.
INTERRUPTED, REACHED = "interrupted", "max_steps"


@dataclass(eq=False, repr=False)
class Training:
    """All that a step, a checkpoint or a failure reads of a run. A Trainer is one that goes on."""

    model: Module
    loss_fn: Callable[..., Tensor] | None
    optimizer: Optimizer | Mapping[str, Optimizer]
    _: KW_ONLY
    schedule: Any = None
    schedule_every: str = "epoch"
    metrics: list[Metric] = field(default_factory=list)
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    ema: AveragedModel | None = None
    targets: Targets = None
    weighted: bool = False
    own_step: Any = None
    own_validation: Any = None
    alternate: Mapping[str, int] | None = None
    compile: bool = True
    checkpoints: Path | None = None
    checkpoint_steps: int | None = None
    flight: Path | None = None
    monitor: str | None = None

    #: One record for each epoch done: epoch, lr, loss, metrics, and the same of the validation.
    #: lr is the rate of the epoch's last update, not that to which the schedule then went on.
    history: list[dict[str, float]] = field(default_factory=list, init=False)
    #: By optimizer the learning rates of its groups before the schedule last went on.
    used: dict[str, list[float]] = field(default_factory=dict, init=False)
    #: Epochs done.
    epoch: int = field(default=0, init=False)
    #: Batches done of the epoch in progress.
    position: int = field(default=0, init=False)
    #: Updates done in all.
    steps: int = field(default=0, init=False)
    phase: str = field(default=TRAINING, init=False)
    best: float | None = field(default=None, init=False)
    best_epoch: int | None = field(default=None, init=False)
    #: Why the training ended early: None, INTERRUPTED, REACHED or what a callback said.
    stopped: str | None = field(default=None, init=False)
    #: The step at which the training failed, if one did: see `failure.failed`.
    failed: Failed | None = field(default=None, init=False)
    #: What own steps return beside the loss: its mean in the epoch in progress, by name.
    means: dict[str, Mean] = field(default_factory=dict, init=False)
    accumulation: Accumulation = field(default_factory=Accumulation, init=False)
    _loss: Mean = field(default_factory=Mean, init=False)

    # -- what is minimised --------------------------------------------------------------------

    def training_step(self, batch: Any) -> Any:
        """The loss of a batch, `loss_fn(model(*inputs), target)`: override it for another.

        It returns the loss, or a dict with `loss` and further numbers, whose means get into the
        history. `prediction` and `target` among them are for the metrics, and `weight` says how
        much the batch counts where gradients are accumulated, by default as it has examples.
        """
        return supervised(
            self.model, self.loss_fn, batch if isinstance(batch, tuple) else (batch,),
            self.targets, self.weighted,
        )  # fmt: skip

    def validation_step(self, batch: Any) -> Any:
        """The same for validation, where nothing is updated: by default `training_step`."""
        if self.by_hand:
            if self.loss_fn is None:
                raise ArgumentError(
                    "fit: a training_step that makes its updates itself needs a validation_step "
                    "beside it, or a loss_fn; give one, or train without validation"
                )
            return Training.training_step(self, batch)
        return self.training_step(batch)

    def outcome(self, batch: Batch, name: str | None = None) -> Outcome:
        """What the training step says of a batch; for a name, the step of that optimizer."""
        step = self.own_step
        if isinstance(step, Mapping):
            if name is None:
                return merged({n: as_outcome(f(self, given(batch))) for n, f in step.items()})
            return as_outcome(step[name](self, given(batch)))
        return as_outcome(self.training_step(given(batch)) if step is None
                          else step(self, given(batch)))  # fmt: skip

    def validation(self, batch: Batch) -> Outcome:
        """What the validation step says of a batch."""
        if self.own_validation is not None:
            return as_outcome(self.own_validation(self, given(batch)))
        if type(self).validation_step is Training.validation_step and not self.by_hand:
            return self.outcome(batch)
        return as_outcome(self.validation_step(given(batch)))

    @property
    def has_own_step(self) -> bool:
        """Whether the step is not the usual one."""
        return self.own_step is not None or (type(self).training_step is not Training.training_step)

    @property
    def needs_target(self) -> bool:
        """Whether batches are compared with targets, by the usual step."""
        return not (self.has_own_step or self.loss_fn is None or self.targets == 0)

    @property
    def by_hand(self) -> bool:
        """Whether the step makes its updates itself: one step for several optimizers."""
        several = isinstance(self.optimizer, Mapping)
        return several and not isinstance(self.own_step, Mapping)

    def target_of(self, batch: Batch) -> Any:
        """The target of a batch for the metrics; None where none can be told."""
        if self.targets is None and not self.weighted and len(batch) > 1:
            return batch[-1]  # at once, as it is asked at each step
        if self.weighted and not isinstance(given(batch), dict):
            batch = batch[:-1]
        return target_of(batch, self.targets)

    # -- optimizers ---------------------------------------------------------------------------

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimizers by name; one alone has the name ""."""
        return dict(self.optimizer) if isinstance(self.optimizer, Mapping) else {"": self.optimizer}

    @property
    def schedules(self) -> dict[str, Any]:
        """The schedules by name; one alone has the name ""."""
        if self.schedule is None:
            return {}
        return dict(self.schedule) if isinstance(self.schedule, Mapping) else {"": self.schedule}

    def trained(self) -> list[Tensor]:
        """The parameters that the optimizers hold."""
        groups = [g for o in self.optimizers.values() for g in o.param_groups]
        return [p for group in groups for p in group["params"]]

    def turn(self) -> tuple[str, ...]:
        """The names of the optimizers that make the next step."""
        if self.alternate is None:
            return tuple(self.optimizer) if isinstance(self.optimizer, Mapping) else ("",)
        order = [n for n, times in self.alternate.items() for _ in range(times)]
        return (order[self.accumulation.updates % len(order)],)

    @property
    def rates(self) -> dict[str, float]:
        """The learning rate of each optimizer's first group: `lr`, or of several `lr_NAME`."""
        return {
            f"lr_{name}" if name else "lr": float(o.param_groups[0]["lr"])
            for name, o in self.optimizers.items()
        }

    @property
    def last_rates(self) -> dict[str, float]:
        """The same as they were for the last update of the epoch in progress."""
        names = dict(zip(self.optimizers, self.rates, strict=True))
        before = self.used if self.schedule_by_step else {}
        return self.rates | {names[name]: rates[0] for name, rates in before.items()}

    @property
    def first_rate(self) -> float:
        """The learning rate of the first group of the first optimizer."""
        return next(iter(self.rates.values()))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the model is its moving average, if there is one."""
        model = self.model
        if self.ema is not None:
            self.model = self.ema.module
        try:
            yield
        finally:
            self.model = model

    # -- numbers ------------------------------------------------------------------------------

    @property
    def meters(self) -> list[Metric]:
        """The mean loss and the metrics, with what they have gathered of the epoch in progress."""
        return [self._loss, *self.metrics]

    def so_far(self, most: int | None = None) -> dict[str, float]:
        """The mean loss and the metrics of the epoch in progress, or the first of them."""
        return {m.name: m.compute() for m in [*self.meters, *self.means.values()][:most]}

    @property
    def schedule_by_step(self) -> bool:
        """Whether the schedule goes on after each step."""
        return self.schedule is not None and self.schedule_every == "step"

    def stop(self, reason: str) -> None:
        """End the training after the epoch in progress; for callbacks."""
        self.stopped = reason

    def step_schedule(self, record: dict[str, float]) -> None:
        """Let the schedules go on, by the numbers of an epoch or of a step."""
        self.used = {
            name: [float(g["lr"]) for g in o.param_groups] for name, o in self.optimizers.items()
        }
        for schedule in self.schedules.values():
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(self.value(record, self.monitored(record)))
            else:
                schedule.step()

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
