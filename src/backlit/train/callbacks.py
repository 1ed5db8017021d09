"""What can happen beside training: hooks that a Trainer calls, and stopping early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError

if TYPE_CHECKING:
    from .trainer import Trainer


class Callback:
    """The base of callbacks: override what is needed. `trainer.stop(reason)` ends the training.

    A callback with state overrides `state_dict` and `load_state_dict`; checkpoints hold it.
    """

    def on_train_start(self, trainer: Trainer) -> None:
        """Before the first step of a `fit`."""

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        """After each step, with its loss."""

    def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
        """After each epoch and its validation, with its entry of the history."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last step of a `fit`, however it ended except by an error."""

    def state_dict(self) -> dict[str, Any]:
        """What has to survive an interruption."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""


class EarlyStopping(Callback):
    """Stop when the watched number has not got better for `patience` epochs in a row.

    `monitor` is a key of the history's records, by default the Trainer's. Better means by more than
    `min_delta`. The best weights are in the best checkpoint: see `Trainer.load_best`.
    """

    def __init__(self, patience: int = 5, monitor: str | None = None, min_delta: float = 0.0):
        if not isinstance(patience, int) or patience < 1:
            raise ArgumentError(
                f"EarlyStopping: patience must be a positive integer, got {patience!r}"
            )
        if min_delta < 0:
            raise ArgumentError(f"EarlyStopping: min_delta must not be negative, got {min_delta}")
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        self.best: float | None = None
        self.waited = 0

    def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
        """Count the epochs since the last improvement."""
        name = self.monitor or trainer.monitored(record)
        value = trainer.value(record, name)
        if trainer.is_better(name, value, self.best, self.min_delta):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            best = "none" if self.best is None else f"{self.best:.4g}"
            trainer.stop(f"{name} has not got better than {best} for {self.patience} epochs")

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the epochs since."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue counting."""
        self.best, self.waited = state["best"], state["waited"]
