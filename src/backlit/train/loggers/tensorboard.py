"""Logs for TensorBoard, written without TensorFlow."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...files import read_bytes
from ...nn.keeping import kept
from ..batch import as_batch
from ..training import Training
from . import events, records
from .base import Logger, is_later

_VERSION = "brain.Event:2"
_ENDING = ".backlit"


class TensorBoard(Logger):
    """Write an event file into a folder, for `tensorboard --logdir`; nothing else is needed.

    Each epoch has the numbers of the history as scalars, at the steps done. With `every_steps=n`
    there is a `step_loss` of every n-th step. With `histograms` each epoch has the distributions of
    the parameters (`weights/NAME`), and with a `batch` those of its gradients (`gradients/NAME`),
    for which the batch goes through the model between epochs; the training stays the same to the
    bit. `settings` are shown among the hyperparameters, `text` on the text page.

    An earlier run's file in the folder is renamed, so that TensorBoard does not see it, unless the
    run is resumed: then its events up to the checkpoint stay.

    >>> import os, tempfile
    >>> from backlit import nn, ones, optim
    >>> from backlit.train import Trainer
    >>> folder = tempfile.mkdtemp()
    >>> model = nn.Linear(2, 1)
    >>> trainer = Trainer(
    ...     model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1),
    ...     callbacks=[TensorBoard(folder, histograms=True)], progress="quiet",
    ... )
    >>> _ = trainer.fit([(ones((4, 2)), ones((4, 1)))], epochs=2)
    >>> [name.startswith("events.out.tfevents.") for name in os.listdir(folder)]
    [True]
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every_steps: int | None = None,
        histograms: bool = False,
        batch: Sequence[Any] | Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        text: Mapping[str, str] | None = None,
    ):
        super().__init__(every_steps=every_steps)
        self.folder = Path(folder)
        self.histograms = histograms
        self.batch = batch
        self.settings = dict(settings or {})
        self.text = dict(text or {})
        #: The event file, once there is one.
        self.path: Path | None = None
        self._told = False  # whether settings and texts are written

    def begin(self, epoch: int, step: int) -> None:
        """Set an earlier run's file aside, or keep its events up to here."""
        found = sorted(self.folder.glob(f"events.out.tfevents.*{_ENDING}"))
        if step == 0 and epoch == 0:
            for file in found:
                file.rename(file.with_name(file.name.replace("tfevents", "earlier")))
        elif found:
            self.path = found[-1]
            self._told = epoch > 0
            self._cut(self.path, epoch, step)
            return
        self.path = begun(self.folder, _ENDING)

    @staticmethod
    def _cut(path: Path, epoch: int, step: int) -> None:
        """Take away the events from the first on that is later, or not whole."""
        end = 0
        for end_of_record, data in records.decode(read_bytes(path, "TensorBoard")):
            at, numbers = events.scalars(data)
            if is_later(numbers, at, epoch, step):
                break
            end = end_of_record
        os.truncate(path, end)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write scalars."""
        self._write(step, numbers, [])

    def _write(self, step: int, numbers: Mapping[str, float], more: list[bytes]) -> None:
        """Write one event, so that all of it or nothing is there."""
        values: list[bytes] = []
        if "epoch" in numbers and not self._told:
            values, self._told = self._preface(numbers), True
        values += [events.scalar(name, value) for name, value in numbers.items()]
        self._append(events.event(time.time(), step, values + more))

    def _preface(self, numbers: Mapping[str, float]) -> list[bytes]:
        values = [events.text(name, content) for name, content in self.text.items()]
        if self.settings:
            judged = [name for name in numbers if name != "epoch"]
            values += events.settings(self.settings, judged, time.time())
        return values

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Log the epoch, and what was asked for of the parameters."""
        shown: list[bytes] = []
        if self.histograms:
            shown = [
                events.histogram(f"weights/{name}", p.array)
                for name, p in trainer.model.named_parameters()
            ]
        self._write(trainer.steps, record, shown + self._gradients(trainer))

    def _gradients(self, trainer: Training) -> list[bytes]:
        if self.batch is None:
            return []
        with kept(trainer.model):
            trainer.model.train()
            for p in trainer.model.parameters():
                p.grad = None
            trainer.outcome(as_batch(self.batch)).loss.backward()
            return [
                events.histogram(f"gradients/{name}", p.grad.array)
                for name, p in trainer.model.named_parameters()
                if p.grad is not None
            ]

    def _append(self, data: bytes) -> None:
        assert self.path is not None
        append(self.path, data)


def begun(folder: Path, ending: str) -> Path:
    """A new event file in a folder, with the event that says what it is."""
    now = time.time()
    name = f"events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}{ending}"
    folder.mkdir(parents=True, exist_ok=True)
    append(folder / name, events.event(now, 0, version=_VERSION))
    return folder / name


def append(path: Path, data: bytes) -> None:
    """Write one event at the end of a file, at once."""
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(records.encode(data))
    except OSError as error:
        raise DataError(
            f"TensorBoard: {path} cannot be written: {error.strerror}; free space or "
            "choose another place"
        ) from None
