"""The Trainer: the training loop with validation, checkpoints, resuming and a clean end."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from ..array_api.arguments import whole
from ..data import Dataset, IterableDataset
from ..errors import ArgumentError, DataError
from ..files import hold, write_whole
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
from .arguments import (
    as_callbacks,
    as_loader,
    as_metrics,
    require_common,
    require_epochs,
    require_parts,
    require_settings,
)
from .callbacks import Callback
from .checkpoint import BEST, LATEST, encode_state, load_checkpoint, restore
from .display import Display, make_display
from .failure.recorder import FLIGHT, Recorder
from .metrics import Metric
from .parts import all_parts
from .portions import Portions
from .run import Run
from .step import Step, uncompiled_is_a_way_out
from .training import INTERRUPTED, TRAINING, VALIDATING, Training


class Trainer(Training):
    """Trains a model: the loop, and everything around it.

    >>> from backlit import nn, optim
    >>> from backlit.data import DataLoader, playground
    >>> train, test = playground("gauss", 200)
    >>> model = nn.Linear(2, 2)
    >>> trainer = Trainer(
    ...     model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.1), progress="quiet"
    ... )
    >>> history = trainer.fit(DataLoader(train, 20), DataLoader(test, 100), epochs=2)
    >>> sorted(history[-1])
    ['epoch', 'loss', 'lr', 'validation_loss']

    A batch is a tuple: the model's inputs, then the target. The loss is `loss_fn(model(*inputs),
    target)`, a mean over the batch. The optimizer holds parameters of the model, or of the loss.

    - `schedule` steps after each epoch, or with `schedule_every="step"` after each batch.
    - `metrics` are gathered in training and validation under their names; `"accuracy"` and
      `"top-5"` are names of some.
    - `clip_norm` and `clip_value` limit the gradients before each update.
    - `compile`: run steps through `backlit.compile`: the same numbers up to rounding, much faster.
      Where batches are rows of Tensors in memory (a DataLoader of a TensorDataset), many steps run
      in native code without Python in between, unless a callback looks at each step or the schedule
      changes at each.
    - `checkpoints` is a directory: `latest.safetensors` is saved after each epoch, after every
      `checkpoint_steps` steps and on Ctrl-C; `best.safetensors` whenever `monitor` (by default
      `validation_loss`, without validation `loss`) gets better. While `fit` runs no other process
      can save there.
    - `progress`: "auto" (a bar on a terminal, lines elsewhere), "bar", "lines" or "quiet".

    - `flight` is where the flight recorder writes when a step fails, by default
      `flight.safetensors` among the checkpoints; see `load_flight` and `backlit replay`.

    A loss that is not finite stops the run with NonFiniteError, which names the epoch, the step and
    the first layer with such an output; the model is put back to before that step.
    """

    def __init__(
        self,
        model: Module,
        loss_fn: Callable[..., Tensor],
        optimizer: Optimizer,
        *,
        schedule: Any = None,
        schedule_every: str = "epoch",
        metrics: Sequence[Metric | str] = (),
        callbacks: Sequence[Callback] = (),
        clip_norm: float | None = None,
        clip_value: float | None = None,
        compile: bool = True,
        checkpoints: str | Path | None = None,
        checkpoint_steps: int | None = None,
        flight: str | Path | None = None,
        monitor: str | None = None,
        progress: str = "auto",
        console: Console | None = None,
    ):
        require_settings(schedule_every, clip_norm, clip_value)
        if checkpoint_steps is not None:
            checkpoint_steps = whole("Trainer: checkpoint_steps", checkpoint_steps)
            if checkpoints is None:
                raise ArgumentError("Trainer: checkpoint_steps needs a checkpoints directory")
        require_parts(model, loss_fn, optimizer, schedule)
        folder = None if checkpoints is None else Path(checkpoints)
        if flight is None and folder is not None:
            flight = folder / FLIGHT
        super().__init__(
            model,
            loss_fn,
            optimizer,
            schedule=schedule,
            schedule_every=schedule_every,
            metrics=as_metrics(metrics),
            clip_norm=clip_norm,
            clip_value=clip_value,
            compile=compile,
            checkpoints=folder,
            checkpoint_steps=checkpoint_steps,
            flight=None if flight is None else Path(flight),
            monitor=monitor,
        )
        self.callbacks = as_callbacks(callbacks)
        self.progress = progress
        self.console = console
        self._loaders: dict[tuple[int, bool], Iterable[Any]] = {}
        self._best_weights: dict[str, Tensor] | None = None
        self._display()  # a wrong kind is an error here, not after an hour
        require_common(model, loss_fn, optimizer)
        self._step = Step(self, predicts=bool(self.metrics))
        self._recorder = Recorder(self)
        self._portions = Portions(self, self._step, self._recorder)

    # -- training -----------------------------------------------------------------------------

    def fit(
        self,
        loader: Iterable[Any],
        validation: Iterable[Any] | None = None,
        *,
        epochs: int = 1,
        resume: bool = False,
    ) -> list[dict[str, float]]:
        """Train until `epochs` epochs are done in all, earlier calls and resumed runs included.

        With `resume` the run continues from the latest checkpoint, to the same bits as if it had
        never stopped; the loader has to be made as it was then. Returns the history.

        Of a dataset instead of a loader, batches of 32 are made, shuffled for training.
        """
        epochs = whole("fit: epochs", epochs)
        loader = self._loader("fit", loader, shuffle=True)
        if validation is not None:
            validation = self._loader("fit", validation, shuffle=False)
        with nullcontext() if self.checkpoints is None else hold(self.checkpoints, "fit"):
            if resume:
                self._resume(loader, validation)
            else:
                self.stopped = None
            require_common(self.model, self.loss_fn, self.optimizer)
            for name, batches in (("loader", loader), ("validation", validation)):
                require_epochs(name, batches, epochs - self.epoch)
            self._fit(Run(loader, validation, self._display()), epochs)
        return self.history

    def _fit(self, run: Run, epochs: int) -> None:
        was_training = self.model.training
        with run, uncompiled_is_a_way_out(self.compile):
            try:
                run.display.start(self.epoch + 1, epochs, run.length, self.position)
                for callback in self.callbacks:
                    callback.on_train_start(self)
                while self.epoch < epochs and self.stopped is None:
                    self._one_epoch(run)
                if self.stopped == INTERRUPTED:
                    self._save_interrupted(run)
                elif self.stopped is not None:
                    run.display.message(f"Stopped after epoch {self.epoch}: {self.stopped}.")
                for callback in self.callbacks:
                    callback.on_train_end(self)
            finally:
                self.model.train(was_training)
                if self.position:
                    run.pause()

    def _loader(self, who: str, source: Any, *, shuffle: bool) -> Iterable[Any]:
        """The loader; of a dataset the one that was made of it before, which has its state."""
        if not isinstance(source, Dataset | IterableDataset):
            return as_loader(who, source, shuffle=shuffle)
        key = (id(source), shuffle)
        if key not in self._loaders:
            self._loaders[key] = as_loader(who, source, shuffle=shuffle)  # which keeps the dataset
        return self._loaders[key]

    def _display(self) -> Display:
        formats: dict[str, Callable[[float], str]] = {"lr": lambda v: f"{v:.3g}"}
        for m in self.meters:
            formats[m.name] = formats[f"validation_{m.name}"] = m.format
        return make_display(self.progress, self.console, formats)

    def _one_epoch(self, run: Run) -> None:
        started, before = time.monotonic(), self._loss.count if self.position else 0
        if self.phase == TRAINING:
            self._train_epoch(run)
            if self.stopped == INTERRUPTED:
                return
            self.phase = VALIDATING
        seconds, examples = time.monotonic() - started, self._loss.count - before
        record: dict[str, float] = {
            "epoch": self.epoch + 1,
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            **self.so_far(),
        }
        if run.validation is not None:
            results = self._step.measure(run.validation, run.interruption)
            if results is None:
                self.stopped = INTERRUPTED
                return
            record |= {f"validation_{name}": value for name, value in results.items()}
        improved = self._end_epoch(record)
        run.display.epoch(record, improved, seconds, examples)
        for callback in self.callbacks:
            callback.on_epoch_end(self, record)
        if improved and self.checkpoints is None:
            self._best_weights = self.model.state_dict()
        self.save(run.loader, run.validation, best=improved)

    def _train_epoch(self, run: Run) -> None:
        self.model.train()
        if self.position == 0:
            for m in self.meters:
                m.reset()
        watched = any(type(c).on_step_end is not Callback.on_step_end for c in self.callbacks)
        wanted = False
        for done in self._portions.of(run, watched):
            finite = list(itertools.takewhile(math.isfinite, done.losses))
            count = len(finite)
            self.position += count
            self.steps += count
            for i, value in enumerate(finite):
                self._loss.add(value, done.examples)
                for metric in self.metrics:
                    metric.update(done.predictions[i], done.targets[i])
            if count < len(done.losses):
                self._recorder.stop(done.rewind, count, done.losses[count], run.length)
            last = finite[-1]  # the only one, if a callback or the schedule looks at each step
            if self.schedule_by_step:
                self.step_schedule({"loss": last})
            for callback in self.callbacks:
                callback.on_step_end(self, last)
            values = self.so_far(2) if wanted else None  # the two that fit on a bar
            wanted = run.display.step(count, done.examples * count, values)
            if run.interruption.requested:
                self.stopped = INTERRUPTED
                return
            if self.checkpoint_steps and self.steps % self.checkpoint_steps == 0:
                self.save(run.loader, run.validation)
        run.require_batches(self.position)

    def _end_epoch(self, record: dict[str, float]) -> bool:
        """Count the epoch; returns whether it is the best so far."""
        name = self.monitored(record)
        value = self.value(record, name)
        improved = self.is_better(name, value, self.best)
        self.epoch += 1
        self.position = 0
        self.phase = TRAINING
        self.history.append(record)
        if improved:
            self.best, self.best_epoch = value, self.epoch
        if self.schedule is not None and not self.schedule_by_step:
            self.step_schedule(record)
        return improved

    # -- evaluation ---------------------------------------------------------------------------

    def evaluate(self, loader: Iterable[Any]) -> dict[str, float]:
        """The mean loss and the metrics over a loader, in evaluation mode; trains nothing."""
        loader = self._loader("evaluate", loader, shuffle=False)
        was_training = self.model.training
        try:
            with uncompiled_is_a_way_out(self.compile):
                results = self._step.measure(loader)
        finally:
            self.model.train(was_training)
        assert results is not None
        return results

    # -- checkpoints --------------------------------------------------------------------------

    def save(
        self,
        loader: Iterable[Any] | None = None,
        validation: Iterable[Any] | None = None,
        *,
        best: bool = False,
    ) -> None:
        """Save the latest checkpoint, with `best` also as the best; nothing without a directory."""
        if self.checkpoints is None:
            return
        parts = all_parts(self, self.callbacks, loader, validation)
        data = encode_state({name: part.state_dict() for name, part in parts.items()})
        with hold(self.checkpoints, "save"):
            if best:
                write_whole(self.checkpoints / BEST, data)
            write_whole(self.checkpoints / LATEST, data)

    def load_best(self) -> None:
        """Give the model the weights of the best epoch so far."""
        if self.checkpoints is not None:
            path = self.checkpoints / BEST
            restore({"model": self.model}, load_checkpoint(path), path)
        elif self._best_weights is not None:
            self.model.load_state_dict(self._best_weights)
        else:
            raise DataError("load_best: there is no best epoch yet; call fit first")

    def _save_interrupted(self, run: Run) -> None:
        self.save(run.loader, run.validation)
        done = f"in epoch {self.epoch + 1}, after step {self.position}"
        saved = f"saved as {self.checkpoints / LATEST}" if self.checkpoints else "nothing was saved"
        run.display.message(f"Interrupted {done}; {saved}.")

    def _resume(self, loader: Iterable[Any], validation: Iterable[Any] | None) -> None:
        if self.checkpoints is None:
            raise ArgumentError("fit: resume needs a checkpoints directory; give the Trainer one")
        path = self.checkpoints / LATEST
        parts = all_parts(self, self.callbacks, loader, validation)
        state = load_checkpoint(path)
        for name, part in list(parts.items()):
            if name not in state and isinstance(part, Callback) and not part.required:
                del parts[name]  # it was not there when the run was saved, and begins now
        restore(parts, state, path)
