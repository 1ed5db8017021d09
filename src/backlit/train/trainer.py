"""The Trainer: the training loop with validation, checkpoints, resuming and a clean end."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..array_api.arguments import number, whole
from ..autograd import no_grad
from ..compiler import CompiledFunction
from ..compiler import compile as compile_function
from ..data import DataLoader, Dataset, IterableDataset
from ..errors import ArgumentError, DataError, NonFiniteError, TraceError
from ..files import hold, write_whole
from ..foreign import words
from ..nn import Module
from ..nn.keeping import generators, kept
from ..op import describe
from ..optim import Optimizer, clip_grad_norm_, clip_grad_value_
from ..optim.lr_scheduler import ReduceLROnPlateau
from ..tensor import Tensor, wrap
from .arguments import (
    as_batch,
    as_callbacks,
    as_loader,
    as_metrics,
    require_common,
    require_epochs,
    require_parts,
    used_up,
)
from .callbacks import Callback
from .checkpoint import encode_state, load_checkpoint, restore
from .display import Display, make_display
from .finite import first_non_finite
from .flight import STEPS, look_at
from .flight import write as write_flight
from .interrupt import Interruption
from .metrics import Mean, Metric
from .rewind import Rewind

#: Steps in native code without a look from Python: at most so many, with predictions of so many
#: bytes, for about so many seconds.
_MANY, _ROOM, _REFRESH = 2**16, 2**25, 0.1
LATEST, BEST, FLIGHT = "latest.safetensors", "best.safetensors", "flight.safetensors"
_TRAINING, _VALIDATING = "training", "validating"


class Trainer:
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
        if schedule_every not in ("epoch", "step"):
            raise ArgumentError(
                f"Trainer: schedule_every must be 'epoch' or 'step', got {schedule_every!r}"
            )
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None and not number(f"Trainer: {name}", limit) > 0:
                raise ArgumentError(f"Trainer: {name} must be positive, got {limit}")
        if checkpoint_steps is not None:
            checkpoint_steps = whole("Trainer: checkpoint_steps", checkpoint_steps)
            if checkpoints is None:
                raise ArgumentError("Trainer: checkpoint_steps needs a checkpoints directory")
        require_parts(model, loss_fn, optimizer, schedule)
        self.metrics = as_metrics(metrics)
        names = ["loss", *(m.name for m in self.metrics)]
        if len(set(names)) != len(names):
            raise ArgumentError(f"Trainer: metrics must have different names, got {names[1:]}")
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.schedule = schedule
        self.schedule_every = schedule_every
        self.callbacks = as_callbacks(callbacks)
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.compile = compile
        self.checkpoints = None if checkpoints is None else Path(checkpoints)
        self.checkpoint_steps = checkpoint_steps
        if flight is None and self.checkpoints is not None:
            flight = self.checkpoints / FLIGHT
        self.flight = None if flight is None else Path(flight)
        self.monitor = monitor
        self.progress = progress
        self.console = console
        #: One record for each epoch done: epoch, lr, loss, metrics, and the same of the validation.
        self.history: list[dict[str, float]] = []
        self.epoch = 0  # epochs done
        self.position = 0  # batches done of the epoch in progress
        self.steps = 0  # updates done in all
        self.phase = _TRAINING
        self.best: float | None = None
        self.best_epoch: int | None = None
        #: Why the training ended early: None, "interrupted" or what a callback said.
        self.stopped: str | None = None
        self._predicts = bool(self.metrics)
        self._pace = 1  # steps that native code makes without a look from Python
        self._loss = Mean("loss")
        self._loaders: dict[tuple[int, bool], Iterable[Any]] = {}
        self._best_weights: dict[str, Tensor] | None = None
        formats: dict[str, Callable[[float], str]] = {"lr": lambda v: f"{v:.3g}"}
        for m in (self._loss, *self.metrics):
            formats[m.name] = formats[f"validation_{m.name}"] = m.format
        self._formats = formats
        make_display(progress, console, formats)  # a wrong kind is an error here, not after an hour
        require_common(model, loss_fn, optimizer)
        self._step = compile_function(self._train_step)
        self._evaluation = self._compiled(self._evaluation_step)

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
            return self._fit(loader, validation, epochs, resume)

    def _fit(
        self, loader: Iterable[Any], validation: Iterable[Any] | None, epochs: int, resume: bool
    ) -> list[dict[str, float]]:
        if resume:
            self._resume(loader, validation)
        elif self.stopped is not None:
            self.stopped = None
        require_common(self.model, self.loss_fn, self.optimizer)
        for name, batches in (("loader", loader), ("validation", validation)):
            require_epochs(name, batches, epochs - self.epoch)
        step = self._step if self.compile else self._train_step
        display = make_display(self.progress, self.console, self._formats)
        was_training = self.model.training
        with Interruption() as interruption, _uncompiled_is_a_way_out(self.compile):
            try:
                display.start(self.epoch + 1, epochs, _length(loader), self.position)
                for callback in self.callbacks:
                    callback.on_train_start(self)
                while self.epoch < epochs and self.stopped is None:
                    self._one_epoch(step, loader, validation, display, interruption)
                if self.stopped == "interrupted":
                    self._save_interrupted(loader, validation, display)
                elif self.stopped is not None:
                    display.message(f"Stopped after epoch {self.epoch}: {self.stopped}.")
                for callback in self.callbacks:
                    callback.on_train_end(self)
            finally:
                display.close()
                self.model.train(was_training)
                if self.position and isinstance(loader, DataLoader):
                    loader.load_state_dict(loader.state_dict())  # the next fit goes on from here
        return self.history

    def _loader(self, who: str, source: Any, *, shuffle: bool) -> Iterable[Any]:
        """The loader; of a dataset the one that was made of it before, which has its state."""
        if not isinstance(source, Dataset | IterableDataset):
            return as_loader(who, source, shuffle=shuffle)
        key = (id(source), shuffle)
        if key not in self._loaders:
            self._loaders[key] = as_loader(who, source, shuffle=shuffle)  # which keeps the dataset
        return self._loaders[key]

    def stop(self, reason: str) -> None:
        """End the training after the epoch in progress; for callbacks."""
        self.stopped = reason

    def _one_epoch(
        self,
        step: Callable[..., Any],
        loader: Iterable[Any],
        validation: Iterable[Any] | None,
        display: Display,
        interruption: Interruption,
    ) -> None:
        started, before = time.monotonic(), self._loss.count if self.position else 0
        if self.phase == _TRAINING:
            self._train_epoch(step, loader, validation, display, interruption)
            if self.stopped == "interrupted":
                return
            self.phase = _VALIDATING
        seconds, examples = time.monotonic() - started, self._loss.count - before
        record: dict[str, float] = {
            "epoch": self.epoch + 1,
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "loss": self._loss.compute(),
            **{m.name: m.compute() for m in self.metrics},
        }
        if validation is not None:
            trained = [m.state_dict() for m in self.metrics]
            results = self._measure(validation, interruption)
            for metric, state in zip(self.metrics, trained, strict=True):
                metric.load_state_dict(state)
            if results is None:
                self.stopped = "interrupted"
                return
            record |= {f"validation_{name}": value for name, value in results.items()}
        self._end_epoch(record, loader, validation, display, seconds, examples)

    def _train_epoch(
        self,
        step: Callable[..., Any],
        loader: Iterable[Any],
        validation: Iterable[Any] | None,
        display: Display,
        interruption: Interruption,
    ) -> None:
        self.model.train()
        if self.position == 0:
            self._reset()
        wanted = False
        for done in self._portions(step, loader):
            finite = list(itertools.takewhile(math.isfinite, done.losses))
            self.position += len(finite)
            self.steps += len(finite)
            for i, value in enumerate(finite):
                self._loss.add(value, done.examples)
                for metric in self.metrics:
                    metric.update(done.prediction(i), done.batch(i)[-1])
            if len(finite) < len(done.losses):
                bad = done.losses[len(finite)]
                written = self._record_flight(done, len(finite), bad)
                self._raise_non_finite(bad, done.batch(len(finite)), _length(loader), written)
            if self.schedule is not None and self.schedule_every == "step":
                self._step_schedule({"loss": value})
            for callback in self.callbacks:
                callback.on_step_end(self, value)
            wanted = display.step(
                len(finite), done.examples * len(finite), self._running() if wanted else None
            )
            if interruption.requested:
                self.stopped = "interrupted"
                return
            if self.checkpoint_steps and self.steps % self.checkpoint_steps == 0:
                self.save(loader, validation)
        if self.position == 0:
            raise ArgumentError(
                "fit: the loader must give at least one batch, got none; with drop_last the batch "
                f"size must not exceed the number of examples{used_up(loader)}"
            )

    def _portions(self, step: Callable[..., Any], loader: Iterable[Any]) -> Iterator[_Portion]:
        """Do the steps of the epoch that are still to be done: one by one, or many in native code.

        Many where a batch is some rows of Tensors, and where nobody wants to look between them.
        """
        tensors = loader.tensors if isinstance(loader, DataLoader) else None
        looks = any(type(c).on_step_end is not Callback.on_step_end for c in self.callbacks)
        if tensors is None or len(tensors) < 2 or looks or self._by_step:
            return self._single(step, loader)
        if isinstance(step, CompiledFunction) and isinstance(loader, DataLoader):
            return self._many(step, loader, tensors)
        return self._single(step, loader)

    @property
    def _by_step(self) -> bool:
        return self.schedule is not None and self.schedule_every == "step"

    def _rewind(self, run: Callable[[Any], list[float]]) -> Rewind:
        room = 2 * sum(p.array.nbytes for p in self.model.parameters())
        return Rewind(self._updated_parts(), run, room)

    def _single(self, step: Callable[..., Any], loader: Iterable[Any]) -> Iterator[_Portion]:
        def run(batches: list[tuple[Any, ...]]) -> list[float]:
            losses = []
            for batch in batches:
                loss, _ = step(*batch)
                losses.append(float(loss))
                if self._by_step:
                    self._step_schedule({"loss": losses[-1]})
            return losses

        rewind = self._rewind(run)
        for batch in self._batches(loader):
            rewind.note([batch], sum(t.array.nbytes for t in batch if isinstance(t, Tensor)))
            portion = _Portion([], len(batch[-1]), [batch], rewind, lambda batch: (batch, None))
            try:
                loss, prediction = step(*batch)
            except Exception as error:
                self._explain_failure(portion, 0, error)
                raise
            portion.losses = [float(loss)]
            portion.prediction = lambda i, prediction=prediction: prediction  # type: ignore[misc]
            yield portion

    def _many(
        self, step: CompiledFunction, loader: DataLoader, tensors: tuple[Tensor, ...]
    ) -> Iterator[_Portion]:
        most = _MANY

        def steps() -> int:
            """How many steps are next: about as many as a bar on a terminal can wait for."""
            wait = self.checkpoint_steps or _MANY
            return min(self._pace, most, wait - self.steps % wait)

        def run(rows: np.ndarray) -> list[float]:
            return step.epoch(rows, *tensors)[0].tolist()

        def item(row: np.ndarray) -> tuple[tuple[Any, ...], list[int]]:
            return tuple(wrap(t.array[row]) for t in tensors), row.tolist()

        rewind = self._rewind(run)
        for rows in loader.rows(steps):
            rewind.note(rows, rows.nbytes)
            portion = _Portion([], rows.shape[1], rows, rewind, item)
            begun = time.monotonic()
            try:
                losses, predictions = step.epoch(rows, *tensors)
            except Exception as error:
                self._explain_failure(portion, portion.first_to_fail(), error)
                raise
            if time.monotonic() - begun < _REFRESH / 2:
                self._pace = min(2 * self._pace, _MANY)
            if predictions is not None:
                most = max(1, _ROOM * len(rows) // max(predictions.array.nbytes, 1))
            portion.losses = losses.tolist()
            portion.prediction = lambda i, all=predictions: wrap(all.array[i])  # type: ignore[misc]
            yield portion

    # -- when a step fails --------------------------------------------------------------------

    def _record_flight(self, portion: _Portion, count: int, failure: float | Exception) -> bool:
        """Put the run back to after `count` steps of a portion; write down the next if wanted."""
        if self.flight is None:
            portion.rewind.go_back(count)
            return False

        def look(item: Any) -> dict[str, Any]:
            return look_at(self, *portion.item(item))

        past = portion.rewind.go_back(count, look, STEPS)
        batch, rows = portion.item(portion.unit[count])
        write_flight(self.flight, self, self._updated_parts(), past, batch, rows, failure)
        return True

    def _explain_failure(self, portion: _Portion, count: int | None, error: Exception) -> None:
        """Add to an exception of a step where its flight was written."""
        if self.flight is None or count is None:
            return
        self.position += count
        self.steps += count
        try:
            self._record_flight(portion, count, error)
        except Exception as other:
            error.add_note(f"The flight recorder failed, too: {type(other).__name__}: {other}")
        else:
            error.add_note(
                f"In epoch {self.epoch + 1}, step {self.position + 1}; the model is as before this "
                f"step. Look at it with: backlit replay {self.flight}"
            )

    def _train_step(self, *batch: Any) -> tuple[Tensor, Tensor | None]:
        *inputs, target = batch
        prediction = self.model(*inputs)
        loss = self._one_loss(prediction, target)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        if self.clip_value is not None:
            clip_grad_value_(self.model.parameters(), self.clip_value)
        self.optimizer.step()
        self.optimizer.zero_grad()  # so that a compiled step need not hand them out
        return loss.detach(), prediction.detach() if self._predicts else None

    def _compiled(self, step: Callable[..., Any]) -> Callable[..., Any]:
        return compile_function(step) if self.compile else step

    def _batches(self, loader: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """The batches of the epoch that are still to be done."""
        skipped = 0 if hasattr(loader, "load_state_dict") else self.position
        for batch in itertools.islice(loader, skipped, None):
            yield as_batch(batch)

    def _running(self) -> dict[str, float]:
        """The numbers of the epoch so far, for the bar; the loss and the first metric fit on it."""
        return {m.name: m.compute() for m in (self._loss, *self.metrics[:1])}

    def _reset(self) -> None:
        for m in (self._loss, *self.metrics):
            m.reset()

    def _end_epoch(
        self,
        record: dict[str, float],
        loader: Iterable[Any],
        validation: Iterable[Any] | None,
        display: Display,
        seconds: float,
        examples: int,
    ) -> None:
        name = self.monitored(record)
        value = self.value(record, name)
        improved = self.is_better(name, value, self.best)
        self.epoch += 1
        self.position = 0
        self.phase = _TRAINING
        self.history.append(record)
        if improved:
            self.best, self.best_epoch = value, self.epoch
        if self.schedule is not None and self.schedule_every == "epoch":
            self._step_schedule(record)
        display.epoch(record, improved, seconds, examples)
        for callback in self.callbacks:
            callback.on_epoch_end(self, record)
        if improved and self.checkpoints is None:
            self._best_weights = self.model.state_dict()
        self.save(loader, validation, best=improved)

    def _step_schedule(self, record: dict[str, float]) -> None:
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(self.value(record, self.monitored(record)))
        else:
            self.schedule.step()

    # -- numbers that are watched -------------------------------------------------------------

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

    # -- losses that are not finite -----------------------------------------------------------

    def _updated_parts(self) -> dict[str, Any]:
        """What a step changes."""
        parts = {"model": self.model, "optimizer": self.optimizer}
        if self.schedule is not None:
            parts["schedule"] = self.schedule
        return {**parts, **{f"generator.{n}": g for n, g in generators(self.model).items()}}

    def _raise_non_finite(
        self, value: float, batch: tuple[Any, ...], batches: int | None, written: bool
    ) -> None:
        *inputs, target = batch
        with kept(self.model):
            where = first_non_finite(self.model, self.loss_fn, tuple(inputs), target)
        raise NonFiniteError(
            f"fit: the loss must be finite, got {value} in epoch {self.epoch + 1}, "
            f"step {self.position + 1}{f' of {batches}' if batches else ''}; first: {where}; "
            "the model is as before this step; lower the learning rate, limit the gradients with "
            "clip_norm, or mend what is named here"
            + (f"; look at this step with: backlit replay {self.flight}" if written else "")
        )

    # -- evaluation ---------------------------------------------------------------------------

    def evaluate(self, loader: Iterable[Any]) -> dict[str, float]:
        """The mean loss and the metrics over a loader, in evaluation mode; trains nothing."""
        loader = self._loader("evaluate", loader, shuffle=False)
        kept = [m.state_dict() for m in self.metrics]
        was_training = self.model.training
        try:
            with _uncompiled_is_a_way_out(self.compile):
                results = self._measure(loader, None)
        finally:
            for metric, state in zip(self.metrics, kept, strict=True):
                metric.load_state_dict(state)
            self.model.train(was_training)
        assert results is not None
        return results

    def _measure(
        self, loader: Iterable[Any], interruption: Interruption | None
    ) -> dict[str, float] | None:
        """The results over a loader; None if there was an interruption."""
        loss = Mean("loss")
        for metric in self.metrics:
            metric.reset()
        self.model.eval()
        with no_grad():
            for batch in map(as_batch, loader):
                if interruption is not None and interruption.requested:
                    return None
                value, prediction = self._evaluation(*batch)
                loss.add(float(value), len(batch[-1]))
                for metric in self.metrics:
                    metric.update(prediction, batch[-1])
        if loss.count == 0:
            raise ArgumentError(
                f"evaluate: the loader must give at least one batch, got none{used_up(loader)}"
            )
        return {m.name: m.compute() for m in (loss, *self.metrics)}

    def _evaluation_step(self, *batch: Any) -> tuple[Tensor, Tensor]:
        *inputs, target = batch
        prediction = self.model(*inputs)
        return self._one_loss(prediction, target), prediction

    def _one_loss(self, prediction: Any, target: Any) -> Tensor:
        loss = self.loss_fn(prediction, target)
        if not isinstance(loss, Tensor) or loss.size != 1:
            what = describe(loss) if isinstance(loss, Tensor) else words(loss)[0]
            raise ArgumentError(
                f"fit: the loss must be a Tensor of one number, got {what}; return the mean over "
                "the batch from loss_fn"
            )
        return loss

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
        data = encode_state({n: o.state_dict() for n, o in self._parts(loader, validation).items()})
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

    def _save_interrupted(
        self, loader: Iterable[Any], validation: Iterable[Any] | None, display: Display
    ) -> None:
        self.save(loader, validation)
        done = f"in epoch {self.epoch + 1}, after step {self.position}"
        saved = f"saved as {self.checkpoints / LATEST}" if self.checkpoints else "nothing was saved"
        display.message(f"Interrupted {done}; {saved}.")

    def _resume(self, loader: Iterable[Any], validation: Iterable[Any] | None) -> None:
        if self.checkpoints is None:
            raise ArgumentError("fit: resume needs a checkpoints directory; give the Trainer one")
        path = self.checkpoints / LATEST
        parts, state = self._parts(loader, validation), load_checkpoint(path)
        for name, part in list(parts.items()):
            if name not in state and isinstance(part, Callback) and not part.required:
                del parts[name]  # it was not there when the run was saved, and begins now
        restore(parts, state, path)

    def _parts(
        self, loader: Iterable[Any] | None, validation: Iterable[Any] | None
    ) -> dict[str, Any]:
        """Everything that has state, by its name in a checkpoint, in the order of loading."""
        parts: dict[str, Any] = {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "training": _Numbers(self),
        }
        for name, generator in generators(self.model).items():
            parts[f"generator.{name}"] = generator
        for i, callback in enumerate(self.callbacks):
            parts[f"callback.{i}"] = callback
        if hasattr(loader, "load_state_dict"):
            parts["loader"] = loader
        if hasattr(validation, "load_state_dict"):
            parts["validation"] = _FromItsStart(validation)
        return {name: part for name, part in parts.items() if part is not None}


@dataclass
class _Portion:
    """Steps that are done: their losses, and how to come by the rest if it is wanted."""

    losses: list[float]
    examples: int  # in each batch
    unit: Any  # a sequence with an item for each step
    rewind: Rewind
    item: Callable[[Any], tuple[tuple[Any, ...], list[int] | None]]  # its batch, and its rows
    prediction: Callable[[int], Any] = lambda i: None

    def batch(self, i: int) -> tuple[Any, ...]:
        """The batch of a step."""
        return self.item(self.unit[i])[0]

    def first_to_fail(self) -> int | None:
        """The step that raises, when they are done one by one; None if none does."""
        self.rewind.go_back(0)
        for i in range(len(self.unit)):
            try:
                self.rewind.run(self.unit[i : i + 1])
            except Exception:
                return i
        return None


class _Numbers:
    """The Trainer's own numbers, as a part of a checkpoint."""

    names = ("epoch", "position", "steps", "phase", "best", "best_epoch", "stopped", "history")

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def state_dict(self) -> dict[str, Any]:
        t = self.trainer
        state = {name: getattr(t, name) for name in self.names}
        state["history"] = [dict(r) for r in t.history]
        if t.stopped == "interrupted":
            state["stopped"] = None
        state["metrics"] = {m.name: m.state_dict() for m in (t._loss, *t.metrics)}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        t = self.trainer
        metrics = {m.name: m for m in (t._loss, *t.metrics)}
        if set(state["metrics"]) != set(metrics):
            raise DataError(
                f"the metrics must be {', '.join(state['metrics'])}, got {', '.join(metrics)}"
            )
        for name, metric in metrics.items():
            metric.load_state_dict(state["metrics"][name])
        for name in self.names:
            setattr(t, name, state[name])


class _FromItsStart:
    """A validation loader, as a part of a checkpoint: a broken-off epoch is done again."""

    def __init__(self, loader: Any):
        self.loader = loader

    def state_dict(self) -> dict[str, Any]:
        return {**self.loader.state_dict(), "position": 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loader.load_state_dict(state)


@contextmanager
def _uncompiled_is_a_way_out(compiled: bool) -> Iterator[None]:
    """Add to the error of a step that cannot be compiled that the Trainer can do without."""
    try:
        yield
    except TraceError as error:
        if compiled:
            error.args = (f"{error}; or train without compiling: Trainer(..., compile=False)",)
        raise


def _length(loader: Iterable[Any]) -> int | None:
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:
        return None
