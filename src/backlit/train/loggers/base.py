"""What a logger is told: the numbers of each epoch, and the loss of some steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...array_api.arguments import whole
from ..callbacks import Callback
from ..training import Training

#: What the loss of a single step is called.
STEP_LOSS = "step_loss"


class Logger(Callback):
    """The base of loggers: subclass it, and write `begin` and `log`.

    It gets the record of each epoch, as it stands in the history, and with `every_steps=n` the loss
    of every n-th step, for which each step is seen from Python. A resumed run goes on in its log:
    what was written after the checkpoint is taken away first, so that no step stands there twice.
    """

    required = False

    def __init__(self, *, every_steps: int | None = None):
        self.every_steps = (
            None
            if every_steps is None
            else whole(f"{type(self).__name__}: every_steps", every_steps)
        )
        self._begun = False

    def begin(self, epoch: int, step: int) -> None:
        """A run begins after so many epochs and steps; (0, 0) is a new one."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers after so many steps. Those of an epoch have `epoch` among them."""
        raise NotImplementedError(f"{type(self).__name__} must define log()")

    def end(self) -> None:
        """A call of `fit` is over."""

    def wants(self, hook: str) -> bool:
        """Steps are watched only where some are logged."""
        return hook != "on_step_end" or self.every_steps is not None

    def on_train_start(self, trainer: Training) -> None:
        """Begin, or go on."""
        if not self._begun:
            self.begin(trainer.epoch, trainer.steps)
            self._begun = True

    def on_step_end(self, trainer: Training, loss: float) -> None:
        """Log the loss, if it is this step's turn."""
        if self.every_steps is not None and trainer.steps % self.every_steps == 0:
            self.log(trainer.steps, {STEP_LOSS: loss})

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Log the epoch."""
        self.log(trainer.steps, record)

    def on_train_end(self, trainer: Training) -> None:
        """End."""
        self.end()


def is_later(numbers: Mapping[str, Any], at: float, epoch: int, step: int) -> bool:
    """Whether numbers logged at a step belong after so many epochs and steps.

    An epoch's record may be written at the step of a checkpoint that does not have the epoch yet.
    """
    done = numbers.get("epoch")
    return at > step or (done is not None and float(done) > epoch)
