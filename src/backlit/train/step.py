"""The steps of a training, each compiled once: whole, or gradients and update apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..compiler import compile as compile_function
from ..dtypes import float64
from ..errors import TraceError
from ..optim import clip_grad_norm_, clip_grad_value_
from ..tensor import Tensor, as_tensor, wrap
from .batch import Batch
from .objective import Outcome, merged
from .training import Training


class Taken(NamedTuple):
    """A batch that has been trained on. `updated` is the mean loss of a step that ended with it."""

    loss: float
    prediction: Any
    target: Any
    numbers: Mapping[str, Tensor]
    updated: float | None


class Step:
    """The step of a training, with its settings as they are when it is done.

    `update` takes the names of the optimizers whose turn it is, and a batch; `updating` is that for
    the next turn, compiled if the training is. Where a step has several batches, or somebody wants
    to see gradients, `gradients` and `apply` do it in pieces. `predicts` is whether a step gives
    the prediction, too.
    """

    def __init__(self, training: Training, *, predicts: bool):
        self.training = training
        self.predicts = predicts
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def _once(self, function: Callable[..., Any], *key: Any) -> Callable[..., Any]:
        """The function, compiled once for a key if the training is compiled.

        What it calls has to be written out in it, for the compiler to see what that reads.
        """
        if not self.training.compile:
            return function
        if key not in self._compiled:
            self._compiled[key] = compile_function(function)
        return self._compiled[key]

    @property
    def updating(self) -> Callable[..., Any]:
        """What makes the update whose turn it is."""
        turn = self.training.turn()
        known = self._compiled.get(("update", turn))  # at once, as it is asked at each step
        if known is not None and self.training.compile:
            return known
        return self._once(lambda *batch: self.update(turn, *batch), "update", turn)

    # -- a step as a whole --------------------------------------------------------------------

    def update(self, turn: tuple[str, ...], *batch: Any) -> tuple[Any, ...]:
        """Make one update; returns loss, prediction, target and numbers, from before it."""
        training = self.training
        if training.by_hand:
            outcome = training.outcome(batch)
            self._forget()
        else:
            outcomes = {}
            for name in turn:
                self._forget()
                outcomes[name] = training.outcome(batch, name or None)
                outcomes[name].loss.backward()
                self.apply(name)
            outcome = merged(outcomes) if turn != ("",) else outcomes[""]
        self.average()
        return self._seen(outcome)

    def _seen(self, outcome: Outcome) -> tuple[Any, ...]:
        shown = (outcome.prediction, outcome.target) if self.predicts else (None, None)
        return outcome.loss.detach(), *shown, outcome.numbers

    def _forget(self) -> None:
        for optimizer in self.training.optimizers.values():
            optimizer.zero_grad()  # also after it, so that a compiled step need not hand them out

    def apply(self, name: str) -> None:
        """Make the update that follows from the gradients."""
        training, optimizer = self.training, self.training.optimizers[name]
        clipped = list(training.model.parameters())
        if name:
            clipped = [p for group in optimizer.param_groups for p in group["params"]]
        if training.clip_norm is not None:
            clip_grad_norm_(clipped, training.clip_norm)
        if training.clip_value is not None:
            clip_grad_value_(clipped, training.clip_value)
        optimizer.step()
        self._forget()

    def average(self) -> None:
        """Take the parameters into their moving average."""
        if self.training.ema is not None:
            self.training.ema.update_parameters(self.training.model)

    # -- a step in pieces ---------------------------------------------------------------------

    def gradients(self, name: str, before: Tensor, *batch: Any) -> tuple[Any, ...]:
        """Take a batch into the mean gradient of those before, which count `before`.

            G ← (W G + w g) / (W + w)            W: before, w: what this batch counts

        Returns what `update` does, and w; None where losses are summed, as their gradients are.
        """
        outcome = self.training.outcome(batch, name or None)
        weight = outcome.weight() if callable(outcome.weight) else outcome.weight
        loss = outcome.loss
        if weight is not None:
            weight = as_tensor(weight).astype(float64)
            kept = before / (before + weight)
            for group in self.training.optimizers[name].param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad = p.grad * kept.astype(p.grad.dtype)
            loss = loss * (1 - kept).astype(loss.dtype)
        loss.backward()
        return *self._seen(outcome), weight

    # -- a batch, either way ------------------------------------------------------------------

    def _gradients(self, name: str) -> Callable[..., Any]:
        return self._once(
            lambda before, *batch: self.gradients(name, before, *batch), "gradients", name
        )

    def take(self, batch: Batch, seen: Callable[[], None] | None = None) -> Taken:
        """Train on a batch; `seen` is called when the gradients of a step are there."""
        training, progress = self.training, self.training.accumulation
        if training.accumulate == 1 and seen is None:
            loss, prediction, target, numbers = self.updating(*batch)
            progress.updates += 1
            value = float(loss)
            return Taken(value, prediction, target, numbers, value)
        outcomes, updated = {}, None
        for name in training.turn():
            if progress.batches == 0:
                self._forget()
            before = wrap(np.array(progress.weight))
            loss, prediction, target, numbers, weight = self._gradients(name)(before, *batch)
            outcomes[name] = Outcome(loss, prediction, target, None, numbers)
            progress.add(float(loss), None if weight is None else float(weight))
            if progress.batches == training.accumulate:
                updated = self._end(name, seen)
        outcome = merged(outcomes) if "" not in outcomes else outcomes[""]
        value = float(outcome.loss)
        if updated is not None:
            self._once(lambda: self.average(), "average")()
            updated = updated if len(outcomes) == 1 else value
        return Taken(value, outcome.prediction, outcome.target, outcome.numbers, updated)

    def finish(self, seen: Callable[[], None] | None = None) -> float | None:
        """Make the update of a step whose batches have run out; None if there is none."""
        if self.training.accumulation.batches == 0:
            return None
        (name,) = self.training.turn()
        updated = self._end(name, seen)
        self._once(lambda: self.average(), "average")()
        return updated

    def _end(self, name: str, seen: Callable[[], None] | None) -> float:
        if seen is not None:
            seen()
        self._once(lambda: self.apply(name), "apply", name)()
        return self.training.accumulation.finish()


@contextmanager
def uncompiled_is_a_way_out(compiled: bool) -> Iterator[None]:
    """Add to the error of a step that cannot be compiled that the Trainer can do without."""
    try:
        yield
    except TraceError as error:
        if compiled:
            error.args = (f"{error}; or train without compiling: Trainer(..., compile=False)",)
        raise
