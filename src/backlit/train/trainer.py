"""The Trainer: the training loop with validation, checkpoints, resuming and a clean end."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from ..array_api.arguments import whole
from ..data import Dataset, IterableDataset
from ..errors import ArgumentError, DataError
from ..files import hold, write_whole
from ..foreign import words
from ..nn import Module
from ..optim import Optimizer
from ..optim.swa_utils import AveragedModel, get_ema_avg_fn
from ..tensor import Tensor
from .arguments import (
    BATCH_SIZE,
    as_callbacks,
    as_loader,
    as_metrics,
    require_common,
    require_epochs,
    require_parts,
    require_settings,
    require_step,
)
from .arrays import is_arrays, loaders_of, rows_of_arrays
from .batch import Targets, require_targets
from .callbacks import Callback
from .checkpoint import BEST, LATEST, encode_state, load_checkpoint, restore
from .display import Display, make_display
from .evaluation import Evaluation, stacked
from .failure.recorder import FLIGHT, Recorder
from .hooks import Hooks
from .metrics import Mean
from .parts import all_parts
from .portions import Portion, Portions
from .rates import RateRange, find_lr
from .run import Run
from .step import Step, uncompiled_is_a_way_out
from .training import INTERRUPTED, REACHED, TRAINING, VALIDATING, Training


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
    One entry alone is its own target, as for an autoencoder. A dict has its target under "labels",
    "label", "targets" or "target", and the rest are arguments of the model by name.

    - `targets`: how many of the last entries of a tuple are targets, or under which key or keys of
      a dict they are. With several of them `loss_fn` gets a tuple, or a dict.
    - `loss_fn=None` is for a model that returns its loss: alone, first in a tuple, or as `loss`.
    - `weighted`: the last entry of a batch ("weights" in a dict) says how much each example counts.
      Weights of classes are the loss's: `nn.CrossEntropyLoss(weight)`.
    - `schedule` steps after each epoch, or with `schedule_every="step"` after each step.
    - `metrics` are gathered in training and validation under their names: Metrics, the names of
      some as `"accuracy"`, `"f1"` or `"rmse"`, or functions of prediction and target; or a dict of
      these by name.
    - `clip_norm` and `clip_value` limit the gradients before each update.
    - `accumulate`: so many batches are one step, that of all their examples in one batch. The last
      step of an epoch may have fewer.
    - `ema`: the decay of a moving average of the parameters over the steps, 0.999 or so. It is
      `trainer.ema.module`, and validation, `evaluate` and `predict` use it.
    - `training_step`: a function of trainer and batch that says the loss in place of the usual one,
      or the same as a method of a subclass; see the method `training_step`. `validation_step`
      likewise. A step that reads what changes from step to step, as `trainer.steps`, is compiled
      again each time, unless that is a Tensor.
    - Several optimizers are a dict by name, and `training_step` one with a function for each: in
      each step each makes an update by the loss of its function, in order; or with
      `alternate={"critic": 5, "generator": 1}` so many steps each in turn. If `training_step` is
      one function, it makes the updates itself. `schedule` may be a dict by name.
    - `compile`: run steps through `backlit.compile`: the same numbers up to rounding, much faster.
      Where batches are rows of Tensors in memory (a DataLoader of a TensorDataset), many steps run
      in native code without Python in between, unless a callback looks at each step, the schedule
      changes at each, or a step has several batches.
    - `checkpoints` is a directory: `latest.safetensors` is saved after each epoch, after every
      `checkpoint_steps` steps and on Ctrl-C; `best.safetensors` whenever `monitor` (by default
      `validation_loss`, without validation `loss`) gets better. While `fit` runs no other process
      can save there. A run that begins where another one was saved warns of that.
    - `progress`: "auto" (a bar on a terminal, lines elsewhere), "bar", "lines" or "quiet".

    - `flight` is where the flight recorder writes when a step fails, by default
      `flight.safetensors` among the checkpoints; see `load_flight` and `backlit replay`.

    A loss that is not finite stops the run with NonFiniteError, which names the epoch, the step and
    the first layer with such an output; the model is put back to before that step.
    """

    def __init__(
        self,
        model: Module,
        loss_fn: Callable[..., Tensor] | None,
        optimizer: Optimizer | Mapping[str, Optimizer],
        *,
        schedule: Any = None,
        schedule_every: str = "epoch",
        metrics: Any = (),
        callbacks: Sequence[Callback] = (),
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
        targets: Targets = None,
        weighted: bool = False,
        training_step: Any = None,
        validation_step: Any = None,
        alternate: Mapping[str, int] | None = None,
        compile: bool = True,
        checkpoints: str | Path | None = None,
        checkpoint_steps: int | None = None,
        flight: str | Path | None = None,
        monitor: str | None = None,
        progress: str = "auto",
        console: Console | None = None,
    ):
        require_settings(schedule_every, clip_norm, clip_value, ema)
        if checkpoint_steps is not None:
            checkpoint_steps = whole("Trainer: checkpoint_steps", checkpoint_steps)
            if checkpoints is None:
                raise ArgumentError("Trainer: checkpoint_steps needs a checkpoints directory")
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
            accumulate=whole("Trainer: accumulate", accumulate),
            targets=require_targets(targets),
            weighted=weighted,
            own_step=training_step,
            own_validation=validation_step,
            alternate=alternate,
            compile=compile,
            checkpoints=folder,
            checkpoint_steps=checkpoint_steps,
            flight=None if flight is None else Path(flight),
            monitor=monitor,
        )
        require_parts(self)
        require_step(self)
        self.callbacks = as_callbacks(callbacks)
        self.progress = progress
        self.console = console
        self._loaders: dict[Any, Any] = {}
        self._best: dict[str, dict[str, Tensor]] | None = None
        self._display()  # a wrong kind is an error here, not after an hour
        require_common(self)
        if ema is not None:
            self.ema = AveragedModel(model, avg_fn=get_ema_avg_fn(ema))
        self._step = Step(self, predicts=bool(self.metrics))
        self._evaluation = Evaluation(self)
        self._recorder = Recorder(self)
        self._portions = Portions(self, self._step, self._recorder)

    # -- training -----------------------------------------------------------------------------

    def fit(
        self,
        loader: Any,
        validation: Any = None,
        *,
        epochs: int | None = None,
        max_steps: int | None = None,
        limit_batches: int | None = None,
        limit_validation_batches: int | None = None,
        resume: bool = False,
        batch_size: int = BATCH_SIZE,
        validation_split: float = 0.0,
        validation_data: Any = None,
        sample_weight: Any = None,
        seed: int = 0,
    ) -> list[dict[str, float]]:
        """Train until `epochs` epochs are done in all, earlier calls and resumed runs included.

        With `resume` the run continues from the latest checkpoint, to the same bits as if it had
        never stopped; the loader has to be made as it was then. Returns the history.

        Of a dataset instead of a loader, batches of 32 are made, shuffled for training. Of arrays,
        `fit(X, y)`, batches of `batch_size`, shuffled from the `seed`. They are validated with
        `validation_data=(X, y)`, or with `validation_split=0.2` of their rows, drawn from the seed
        (in Keras the last ones). `sample_weight` is for `Trainer(..., weighted=True)`. Several
        inputs are a tuple of arrays, a dict of arrays gives dicts as batches.

        It ends after `max_steps` updates in all, also in the middle of an epoch: that one is
        validated and stands in the history as far as it got, and a later call goes on in it.
        Without `epochs` there is 1, or with `max_steps` as many as that takes. An epoch is at most
        `limit_batches` batches of a pass over the loader, a validation `limit_validation_batches`.
        """
        if epochs is None and max_steps is None:
            epochs = 1
        epochs = _count("epochs", epochs)
        max_steps = _count("max_steps", max_steps)
        limit_batches = _count("limit_batches", limit_batches)
        limit_validation_batches = _count("limit_validation_batches", limit_validation_batches)
        if is_arrays(loader):
            if validation is None and not isinstance(loader, Mapping) and self.needs_target:
                several = isinstance(loader, tuple) and len(loader) > 1
                raise ArgumentError(
                    "fit: targets must be given beside the inputs, got "
                    + (
                        f"a tuple of {len(loader)}, all of them inputs"
                        if several
                        else "inputs alone"
                    )
                    + "; write fit(X, y), or for an autoencoder fit(X, X)"
                )
            key = (batch_size, validation_split, seed)
            data = (loader, validation, validation_data, sample_weight)
            loader, validation = self._of_arrays(data, key)
        elif validation_split or validation_data is not None or sample_weight is not None:
            raise ArgumentError(
                "fit: validation_split, validation_data and sample_weight are for arrays, got "
                f"{words(loader)[0]}; give loaders for training and validation: fit(train, test)"
            )
        else:
            loader = self._loader("fit", loader, shuffle=True)
        if validation is not None:
            validation = self._loader("fit", validation, shuffle=False)
        with nullcontext() if self.checkpoints is None else hold(self.checkpoints, "fit"):
            if resume:
                self._resume(loader, validation)
            else:
                self.stopped = None
                self._warn_of_another_run()
            require_common(self)
            for name, batches in (("loader", loader), ("validation", validation)):
                require_epochs(name, batches, 1 if epochs is None else epochs - self.epoch)
            run = Run(
                loader, validation, self._display(), max_steps, limit_batches,
                limit_validation_batches,
            )  # fmt: skip
            self._fit(run, epochs)
        return self.history

    def _fit(self, run: Run, epochs: int | None) -> None:
        was_training = self.model.training
        with run, uncompiled_is_a_way_out(self.compile):
            hooks = Hooks(self, self.callbacks)
            self.failed = None
            try:
                run.display.start(self.epoch + 1, epochs, run.length, self.position)
                hooks.call("on_train_start")
                while (epochs is None or self.epoch < epochs) and self.stopped is None:
                    if run.reached(self.steps):
                        break
                    self._one_epoch(run, hooks)
                if self.stopped == INTERRUPTED:
                    self._save_interrupted(run)
                elif self.stopped not in (None, REACHED):
                    run.display.message(f"Stopped after epoch {self.epoch}: {self.stopped}.")
                hooks.call("on_train_end")
            except BaseException as error:
                hooks.failed(error)
                raise
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

    def _of_arrays(self, data: tuple[Any, ...], key: tuple[Any, ...]) -> tuple[Any, Any]:
        """Loaders of arrays, the same ones for the same arrays: they know how far they are."""
        name = (*map(id, data), *key)
        if name not in self._loaders:
            made = loaders_of(*data, *key, weighted=self.weighted)
            self._loaders[name] = *made, data  # kept, so that no id is given again
        return self._loaders[name][:2]

    def _display(self) -> Display:
        formats: dict[str, Callable[[float], str]] = {"lr": lambda v: f"{v:.3g}"}
        for m in self.meters:
            formats[m.name] = formats[f"validation_{m.name}"] = m.format
        return make_display(self.progress, self.console, formats)

    def _one_epoch(self, run: Run, hooks: Hooks) -> None:
        started, before = time.monotonic(), self._loss.count if self.position else 0
        del self.history[self.epoch :]  # what stood there of this epoch, as far as it had got
        if self.phase == TRAINING:
            if self.position == 0:
                hooks.call("on_epoch_start")
            self._train_epoch(run, hooks)
            if self.stopped == INTERRUPTED:
                return
        whole = self.stopped != REACHED or self.position == 0 or self.position == run.length
        if whole:
            self.phase = VALIDATING
        seconds, examples = time.monotonic() - started, self._loss.count - before
        record = {"epoch": self.epoch + 1, **self.last_rates, **self.so_far()}
        if run.validation is not None:
            hooks.call("on_validation_start")
            results = self._evaluation.measure(
                run.validation, run.interruption, run.validation_limit
            )
            if results is None:
                self.stopped = INTERRUPTED
                return
            hooks.call("on_validation_end", results)
            record |= {f"validation_{name}": value for name, value in results.items()}
        if not whole:
            self.history.append(record)
            run.display.epoch(record, False, seconds, examples)
            self.save(run.loader, run.validation)
            return
        run.end_epoch(self.position)
        improved = self._end_epoch(record)
        run.display.epoch(record, improved, seconds, examples)
        hooks.call("on_epoch_end", record)
        if improved and self.checkpoints is None:
            self._best = {name: part.state_dict() for name, part in self._learned().items()}
        self.save(run.loader, run.validation, best=improved)

    def _train_epoch(self, run: Run, hooks: Hooks) -> None:
        self.model.train()
        if self.position == 0:
            for m in self.meters:
                m.reset()
            self.means.clear()
        wanted = False
        for done in self._portions.of(run, hooks):
            finite = list(itertools.takewhile(math.isfinite, done.losses))
            updates = finite
            if done.updates is not done.losses:
                updates = list(itertools.takewhile(math.isfinite, done.updates))
            self._gather(done, finite)
            self.steps += len(updates)
            if len(finite) < len(done.losses):
                bad = done.losses[len(finite)]
                self._recorder.stop(done.rewind, len(finite), bad, run.length)
            for last in updates[-1:]:  # the only one, if somebody looks at each step
                if self.schedule_by_step:
                    self.step_schedule({"loss": last})
                hooks.call("on_step_end", last)
            values = self.so_far(2) if wanted else None  # the two that fit on a bar
            wanted = run.display.step(len(finite), done.examples * len(finite), values)
            if run.interruption.requested:
                self.stopped = INTERRUPTED
                return
            every = self.checkpoint_steps
            if every and updates and self.steps % every == 0:
                self.save(run.loader, run.validation)
            if run.reached(self.steps):
                self.stopped = REACHED
                if self.position != run.length:
                    return
        run.require_batches(self.position)

    def _gather(self, done: Portion, finite: list[float]) -> None:
        """Count batches that are done, with their losses and what the metrics say of them."""
        self.position += len(finite)
        for i, value in enumerate(finite):
            self._loss.add(value, done.examples)
            for metric in self.metrics:
                metric.update(done.predictions[i], done.targets[i])
            for name, values in done.numbers.items():
                mean = self.means.setdefault(name, Mean(name))
                mean.add(values[i], done.examples)

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

    def evaluate(self, loader: Any, *, limit_batches: int | None = None) -> dict[str, float]:
        """The mean loss and the metrics over a loader, in evaluation mode; trains nothing."""
        loader = self._loader("evaluate", loader, shuffle=False)
        with uncompiled_is_a_way_out(self.compile):
            results = self._evaluation.measure(loader, limit=limit_batches)
        assert results is not None
        return results

    def predict(
        self,
        data: Any,
        *,
        targets: Targets = None,
        batch_size: int = BATCH_SIZE,
        stack: bool = True,
    ) -> Any:
        """What the model says of data, in evaluation mode: its outputs, joined over the batches.

        The data is an array, several in a tuple (the model's inputs), a dict of arrays, a dataset
        or a loader. Targets in its batches are left out: of a tuple the last entry, if there is
        more than one, or as `targets` says (0 for none), by default those of the Trainer.

        Outputs keep their structure; each Tensor in it is joined along its first axis. With
        `stack=False` the outputs are a list, one for each batch.

        >>> from backlit import nn, ones, optim
        >>> model = nn.Linear(2, 3)
        >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1))
        >>> trainer.predict(ones((100, 2))).shape
        (100, 3)
        """
        targets = require_targets(self.targets if targets is None else targets)
        if is_arrays(data):
            data, targets = rows_of_arrays("predict", data, batch_size), 0
        else:
            data = self._loader("predict", data, shuffle=False)
        with uncompiled_is_a_way_out(self.compile):
            outputs = list(self._evaluation.predictions(data, targets))
        return stacked(outputs) if stack else outputs

    def find_lr(
        self, loader: Any, *, lowest: float = 1e-7, highest: float = 10.0, steps: int = 100
    ) -> RateRange:
        """A learning-rate range test: the losses of steps whose rate rises from lowest to highest.

        Rates rise by the same factor from step to step, those of several groups together. It ends
        early where the loss is not finite, or the smoothed one 4 times its best. The `suggestion`
        is the rate at which the smoothed loss falls fastest. Afterwards weights, optimizer, loader
        and random numbers are as before.

        >>> from backlit import nn, optim
        >>> from backlit.data import DataLoader, playground
        >>> model = nn.Linear(2, 2)
        >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1))
        >>> found = trainer.find_lr(DataLoader(playground("gauss", 200)[0], 20))
        >>> 1e-3 < found.suggestion < 10
        True

        Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, sec. 3.3.
        """
        loader = self._loader("find_lr", loader, shuffle=True)
        limits = {"lowest": lowest, "highest": highest}
        with uncompiled_is_a_way_out(self.compile):
            return find_lr(self, self._step, loader, **limits, steps=steps)

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
        """Give the model, and its moving average, the weights of the best epoch so far."""
        if self.checkpoints is not None:
            path = self.checkpoints / BEST
            restore(self._learned(), load_checkpoint(path), path)
        elif self._best is not None:
            for name, part in self._learned().items():
                part.load_state_dict(self._best[name])
        else:
            raise DataError("load_best: there is no best epoch yet; call fit first")

    def _learned(self) -> dict[str, Module]:
        """What has weights, by its name in a checkpoint."""
        return {"model": self.model} | ({} if self.ema is None else {"ema": self.ema})

    def _warn_of_another_run(self) -> None:
        """Warn before the first step of a run where another one was saved."""
        if self.checkpoints is None or self.epoch or self.steps:
            return
        path = self.checkpoints / LATEST
        if path.exists():
            warnings.warn(
                f"fit: {path} is of another run and is going to be overwritten; continue that run "
                "with resume=True, or give the Trainer another checkpoints directory",
                stacklevel=3,
            )

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


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else whole(f"fit: {name}", value)
