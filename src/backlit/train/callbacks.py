"""What can happen beside training: hooks that a Trainer calls, and stopping early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..array_api.arguments import number, whole
from ..errors import ArgumentError
from ..nn.keeping import kept
from ..see import Diagnosis, diagnose
from ..table import quantity
from .training import Training


class Callback:
    """The base of callbacks: override what is needed. `trainer.stop(reason)` ends the training.

    Of one that overrides a method about steps each step is seen from Python, which takes longer.

    A callback with state overrides `state_dict` and `load_state_dict`; checkpoints hold it.
    """

    @property
    def required(self) -> bool:
        """Whether a run that was saved without this callback must not be resumed with it.

        By default, if it has state. One that does not change the training can begin at any time.
        """
        return bool(self.state_dict())

    def wants(self, hook: str) -> bool:
        """Whether a method about steps that it overrides is to be called in this `fit`."""
        return True

    def on_train_start(self, trainer: Any) -> None:
        """Before the first step of a `fit`."""

    def on_epoch_start(self, trainer: Any) -> None:
        """Before the first step of an epoch."""

    def on_step_start(self, trainer: Any, batch: Any) -> None:
        """Before each batch, which is a tuple of Tensors, or a dict.

        A step of `accumulate` batches has so many.
        """

    def on_after_backward(self, trainer: Any) -> None:
        """When the gradients of a step are there, before they are clipped and used.

        They are the parameters' `grad`. What is changed there is used.
        """

    def on_step_end(self, trainer: Any, loss: float) -> None:
        """After each step, with its loss."""

    def on_validation_start(self, trainer: Any) -> None:
        """Before the validation of an epoch."""

    def on_validation_end(self, trainer: Any, results: dict[str, float]) -> None:
        """After the validation of an epoch, with its loss and metrics."""

    def on_epoch_end(self, trainer: Any, record: dict[str, float]) -> None:
        """After each epoch and its validation, with its entry of the history."""

    def on_train_end(self, trainer: Any) -> None:
        """After the last step of a `fit`, however it ended except by an error."""

    def on_exception(self, trainer: Any, error: BaseException) -> None:
        """When an exception ends a `fit`, which it goes on to do. After a step that failed the
        model is as before it.
        """

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
        if number("EarlyStopping: min_delta", min_delta) < 0:
            raise ArgumentError(f"EarlyStopping: min_delta must not be negative, got {min_delta}")
        self.patience = whole("EarlyStopping: patience", patience)
        self.monitor = monitor
        self.min_delta = min_delta
        self.best: float | None = None
        self.waited = 0

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Count the epochs since the last improvement."""
        name = self.monitor or trainer.monitored(record)
        value = trainer.value(record, name)
        if trainer.is_better(name, value, self.best, self.min_delta):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            best = "none" if self.best is None else f"{self.best:.4g}"
            waited = quantity(self.patience, "epoch")
            trainer.stop(f"{name} has not got better than {best} for {waited}")

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the epochs since."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue counting."""
        self.best, self.waited = state["best"], state["waited"]


class Diagnose(Callback):
    """Look over the run with `see.diagnose`, before it and after every `every` epochs.

    `batch` is what the loader gives: the model's inputs, then the target. It is looked at between
    epochs, so steps stay native; training goes on as if nobody had looked, to the bit. `data` and
    `validation`, which are looked at before the first epoch, are those of `fit`. `diagnoses`
    has what was said, by epochs done. With `stop`, a finding that is an error ends the training.

    >>> from backlit import nn, optim, tensor
    >>> from backlit.train import Trainer
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1))
    >>> batch = tensor([[0.5, -1.0], [1.0, 0.3], [-0.2, 0.7]]), tensor([0, 1, 1])
    >>> look = Diagnose(batch, stop=True)
    >>> optimizer = optim.SGD(net.parameters(), lr=0.1)
    >>> loss_fn = nn.CrossEntropyLoss()
    >>> trainer = Trainer(net, loss_fn, optimizer, callbacks=[look], progress="quiet")
    >>> _ = trainer.fit([batch], epochs=5)
    >>> trainer.stopped, trainer.epoch
    ('diagnose: double softmax', 1)
    """

    def __init__(
        self,
        batch: Sequence[Any],
        every: int = 1,
        *,
        stop: bool = False,
        data: Any = None,
        validation: Any = None,
    ):
        self.batch = batch
        self.data, self.validation = data, validation
        self.every = whole("Diagnose: every", every)
        self.stop = stop
        self.diagnoses: dict[int, Diagnosis] = {}

    def on_train_start(self, trainer: Training) -> None:
        """Diagnose before the first step, with a rehearsal."""
        self._look(trainer, rehearse=True)

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Diagnose, and stop if that was asked for."""
        if trainer.epoch % self.every:
            return
        found = self._look(trainer, rehearse=False)
        errors = [f.rule for f in found if f.severity == "error"]
        if self.stop and errors:
            trainer.stop(f"diagnose: {', '.join(dict.fromkeys(errors))}")

    def _look(self, trainer: Training, rehearse: bool) -> Diagnosis:
        if trainer.loss_fn is None or isinstance(trainer.optimizer, Mapping):
            raise ArgumentError(
                "Diagnose: the training must have a loss_fn and one optimizer; without them use "
                "see.diagnose yourself, with a function that says the loss"
            )
        with kept(trainer.model):
            trainer.model.train()
            found = diagnose(
                trainer.model,
                self.batch,
                trainer.loss_fn,
                trainer.optimizer,
                data=self.data if rehearse else None,
                validation=self.validation if rehearse else None,
                clip_norm=trainer.clip_norm,
                rehearse=rehearse,
            )
        self.diagnoses[trainer.epoch] = found
        return found
