"""The steps of an epoch in portions: one by one, or many in native code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..compiler import CompiledFunction
from ..data import DataLoader
from ..tensor import Tensor, wrap
from ..tree import flatten, unflatten
from .batch import Batch
from .failure.recorder import Recorder
from .failure.rewind import Rewind
from .hooks import Hooks
from .metrics.base import examples_in
from .parts import updated_parts
from .run import Run
from .step import Step
from .training import Training

#: Steps in native code without a look from Python: at most so many, with predictions of so many
#: bytes, for about so many seconds.
MANY, ROOM, REFRESH = 2**16, 2**25, 0.1


class _Picked(Sequence[Any]):
    """Parts of arrays as Tensors, each picked when it is asked for; the arrays may be nested."""

    def __init__(self, tree: Any, places: Sequence[Any] | np.ndarray):
        self.leaves, self.structure = flatten(tree)
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: Any) -> Any:
        place = self.places[i]
        if self.structure is None and isinstance(self.leaves[0], Tensor):
            return wrap(self.leaves[0].array[place])
        parts = [wrap(x.array[place]) if isinstance(x, Tensor) else x for x in self.leaves]
        return unflatten(self.structure, parts)


def _bytes(batch: Batch) -> int:
    plain = all(type(entry) is Tensor for entry in batch)
    return sum(t.array.nbytes for t in (batch if plain else flatten(batch)[0]))


class Portion(NamedTuple):
    """Steps that are done, with an item for each; `rewind` is the way back to before one."""

    losses: list[float]
    predictions: Sequence[Any]
    targets: Sequence[Any]
    numbers: dict[str, list[float]]
    examples: int  # in each batch
    rewind: Rewind
    updates: list[float]  # the mean loss of each update


class Portions:
    """Does the steps of epochs. What the steps of a training are like is learned by doing them."""

    def __init__(self, training: Training, step: Step, recorder: Recorder):
        self.training = training
        self.step = step
        self.recorder = recorder
        #: Steps that native code makes without a look from Python.
        self.pace = 1

    def of(self, run: Run, hooks: Hooks) -> Iterator[Portion]:
        """Do the steps of the epoch that are still to be done.

        Many at a time where a batch is some rows of Tensors, and where nobody wants to look between
        them: neither a callback that watches each step nor a schedule by step.
        """
        training, loader = self.training, run.loader
        tensors = loader.tensors if isinstance(loader, DataLoader) else None
        one_by_one = hooks.watching or training.schedule_by_step or training.accumulate > 1
        if one_by_one or tensors is None or training.alternate is not None:
            return self._one_by_one(run, hooks)
        step = self.step.updating
        if isinstance(step, CompiledFunction) and isinstance(loader, DataLoader):
            return self._natively(step, run, loader, tensors)
        return self._one_by_one(run, hooks)

    def _one_by_one(self, run: Run, hooks: Hooks) -> Iterator[Portion]:
        training, take = self.training, self.step.take

        def again(batches: list[Batch]) -> list[float]:
            losses = []
            for batch in batches:
                taken = take(batch, hooks.seen)
                losses.append(taken.loss)
                if training.schedule_by_step and taken.updated is not None:
                    training.step_schedule({"loss": taken.updated})
            return losses

        rewind = self._rewind(again, lambda batch: (batch, None))
        for batch in run.batches(training.position):
            hooks.batch(batch)
            rewind.note([batch], _bytes(batch))
            try:
                taken = take(batch, hooks.seen)
            except Exception as error:
                self.recorder.explain(rewind, 0, error)
                raise
            target = training.target_of(batch) if taken.target is None else taken.target
            numbers = {name: [float(n)] for name, n in taken.numbers.items()}
            examples = examples_in(batch if target is None else target)
            losses = [taken.loss]
            updates = [] if taken.updated is None else [taken.updated]
            if taken.updated is taken.loss:
                updates = losses
            yield Portion(losses, [taken.prediction], [target], numbers, examples, rewind, updates)
        last = self.step.finish(hooks.seen)
        if last is not None:
            yield Portion([], [], [], {}, 0, rewind, [last])

    def _natively(
        self, step: CompiledFunction, run: Run, loader: DataLoader, tensors: tuple[Tensor, ...]
    ) -> Iterator[Portion]:
        most = MANY

        def steps() -> int:
            """How many steps are next: about as many as a bar on a terminal can wait for."""
            wait, done = self.training.checkpoint_steps or MANY, self.training.steps
            left = MANY if run.max_steps is None else run.max_steps - done
            rest = MANY if run.limit is None else run.limit - self.training.position
            return min(self.pace, most, wait - done % wait, left, rest)

        def again(rows: np.ndarray) -> list[float]:
            return step.epoch(rows, *tensors)[0].tolist()

        if run.limit is not None and self.training.position >= run.limit:
            return
        target_in_data = self.training.target_of(tensors)

        def read(row: np.ndarray) -> tuple[tuple[Any, ...], list[int]]:
            return tuple(wrap(t.array[row]) for t in tensors), row.tolist()

        rewind = self._rewind(again, read)
        for rows in loader.rows(steps):
            rewind.note(rows, rows.nbytes)
            begun = time.monotonic()
            try:
                losses, predictions, targets, numbers = step.epoch(rows, *tensors)
            except Exception as error:
                self.recorder.explain(rewind, rewind.first_to_fail(), error)
                raise
            if time.monotonic() - begun < REFRESH / 2:
                self.pace = min(2 * self.pace, MANY)
            given: Sequence[Any] = ()
            if predictions is not None:
                leaves = flatten((predictions, targets))[0]
                size = sum(x.array.nbytes for x in leaves if isinstance(x, Tensor))
                most = max(1, ROOM * len(rows) // max(size, 1))
                given = _Picked(predictions, range(len(rows)))
            wanted = (target_in_data, rows) if targets is None else (targets, range(len(rows)))
            means = {name: values.tolist() for name, values in numbers.items()}
            values = losses.tolist()
            yield Portion(values, given, _Picked(*wanted), means, rows.shape[1], rewind, values)
            if run.limit is not None and self.training.position >= run.limit:
                return

    def _rewind(self, again: Any, read: Any) -> Rewind:
        room = 2 * sum(p.array.nbytes for p in self.training.model.parameters())
        return Rewind(updated_parts(self.training), again, read, room)
