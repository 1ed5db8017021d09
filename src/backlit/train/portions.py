"""The steps of an epoch in portions: one by one, or many in native code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compiler import CompiledFunction
from ..data import DataLoader
from ..tensor import Tensor, wrap
from .failure.recorder import Recorder
from .failure.rewind import Rewind
from .parts import updated_parts
from .run import Run
from .step import Step
from .training import Training

#: Steps in native code without a look from Python: at most so many, with predictions of so many
#: bytes, for about so many seconds.
MANY, ROOM, REFRESH = 2**16, 2**25, 0.1


class _Picked(Sequence[Tensor]):
    """Parts of an array as Tensors, each picked when it is asked for."""

    def __init__(self, array: np.ndarray, places: Sequence[Any] | np.ndarray):
        self.array = array
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: Any) -> Any:
        return wrap(self.array[self.places[i]])


@dataclass(frozen=True)
class Portion:
    """Steps that are done, with an item for each; `rewind` is the way back to before one."""

    losses: list[float]
    predictions: Sequence[Any]
    targets: Sequence[Any]
    examples: int  # in each batch
    rewind: Rewind


class Portions:
    """Does the steps of epochs. What the steps of a training are like is learned by doing them."""

    def __init__(self, training: Training, step: Step, recorder: Recorder):
        self.training = training
        self.step = step
        self.recorder = recorder
        #: Steps that native code makes without a look from Python.
        self.pace = 1

    def of(self, run: Run, watched: bool) -> Iterator[Portion]:
        """Do the steps of the epoch that are still to be done.

        Many at a time where a batch is some rows of Tensors, and where nobody wants to look between
        them: neither a callback that watches each step nor a schedule by step.
        """
        step, loader = self.step.updating, run.loader
        tensors = loader.tensors if isinstance(loader, DataLoader) else None
        one_by_one = watched or self.training.schedule_by_step
        if one_by_one or tensors is None or len(tensors) < 2:
            return self._one_by_one(run)
        if isinstance(step, CompiledFunction) and isinstance(loader, DataLoader):
            return self._natively(step, loader, tensors)
        return self._one_by_one(run)

    def _one_by_one(self, run: Run) -> Iterator[Portion]:
        step = self.step.updating

        def again(batches: list[tuple[Any, ...]]) -> list[float]:
            losses = []
            for batch in batches:
                loss, _ = step(*batch)
                losses.append(float(loss))
                if self.training.schedule_by_step:
                    self.training.step_schedule({"loss": losses[-1]})
            return losses

        rewind = self._rewind(again, lambda batch: (batch, None))
        for batch in run.batches(self.training.position):
            rewind.note([batch], sum(t.array.nbytes for t in batch if isinstance(t, Tensor)))
            try:
                loss, prediction = step(*batch)
            except Exception as error:
                self.recorder.explain(rewind, 0, error)
                raise
            yield Portion([float(loss)], [prediction], [batch[-1]], len(batch[-1]), rewind)

    def _natively(
        self, step: CompiledFunction, loader: DataLoader, tensors: tuple[Tensor, ...]
    ) -> Iterator[Portion]:
        most = MANY

        def steps() -> int:
            """How many steps are next: about as many as a bar on a terminal can wait for."""
            wait = self.training.checkpoint_steps or MANY
            return min(self.pace, most, wait - self.training.steps % wait)

        def again(rows: np.ndarray) -> list[float]:
            return step.epoch(rows, *tensors)[0].tolist()

        def read(row: np.ndarray) -> tuple[tuple[Any, ...], list[int]]:
            return tuple(wrap(t.array[row]) for t in tensors), row.tolist()

        rewind = self._rewind(again, read)
        for rows in loader.rows(steps):
            rewind.note(rows, rows.nbytes)
            begun = time.monotonic()
            try:
                losses, predictions = step.epoch(rows, *tensors)
            except Exception as error:
                self.recorder.explain(rewind, rewind.first_to_fail(), error)
                raise
            if time.monotonic() - begun < REFRESH / 2:
                self.pace = min(2 * self.pace, MANY)
            given: Sequence[Any] = ()
            if predictions is not None:
                most = max(1, ROOM * len(rows) // max(predictions.array.nbytes, 1))
                given = _Picked(predictions.array, range(len(rows)))
            targets = _Picked(tensors[-1].array, rows)
            yield Portion(losses.tolist(), given, targets, rows.shape[1], rewind)

    def _rewind(self, again: Any, read: Any) -> Rewind:
        room = 2 * sum(p.array.nbytes for p in self.training.model.parameters())
        return Rewind(updated_parts(self.training), again, read, room)
