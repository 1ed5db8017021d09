"""What has state in a run, by its name in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import DataError
from ..nn.keeping import generators
from .accumulation import AccumulationPart
from .callbacks import Callback
from .metrics import Mean
from .training import INTERRUPTED, REACHED, Training


def updated_parts(training: Training) -> dict[str, Any]:
    """What a step changes."""
    parts: dict[str, Any] = {"model": training.model}
    for name, optimizer in training.optimizers.items():
        parts[f"optimizer.{name}" if name else "optimizer"] = optimizer
    for name, schedule in training.schedules.items():
        parts[f"schedule.{name}" if name else "schedule"] = schedule
    if training.ema is not None:
        parts["ema"] = training.ema
    if training.accumulate > 1 or training.alternate is not None:
        parts["accumulation"] = AccumulationPart(training.accumulation, training.trained())
    return parts | _generators(training)


def all_parts(
    training: Training,
    callbacks: Sequence[Callback],
    loader: Iterable[Any] | None,
    validation: Iterable[Any] | None,
) -> dict[str, Any]:
    """Everything that has state, in the order of loading."""
    parts: dict[str, Any] = {
        **updated_parts(training),
        "training": _Numbers(training),
        **{f"callback.{i}": callback for i, callback in enumerate(callbacks)},
    }
    if hasattr(loader, "load_state_dict"):
        parts["loader"] = loader
    if hasattr(validation, "load_state_dict") and validation is not loader:
        parts["validation"] = _FromItsStart(validation)
    return parts


def _generators(training: Training) -> dict[str, Any]:
    found = {f"generator.{name}": g for name, g in generators(training.model).items()}
    if training.ema is not None:
        own = generators(training.ema.module)
        found |= {f"generator.ema.{name}": g for name, g in own.items() if name != "default"}
    return found


class _Numbers:
    """How far a training has come, as a part of a checkpoint."""

    names = ("epoch", "position", "steps", "phase", "best", "best_epoch", "stopped", "history")

    def __init__(self, training: Training):
        self.training = training

    def state_dict(self) -> dict[str, Any]:
        """The numbers, and what the metrics have gathered; an interrupted run is to go on."""
        t = self.training
        state = {name: getattr(t, name) for name in self.names}
        state["history"] = [dict(r) for r in t.history]
        if t.stopped in (INTERRUPTED, REACHED):
            state["stopped"] = None
        state["metrics"] = {m.name: m.state_dict() for m in t.meters}
        if t.used:
            state["used"] = dict(t.used)
        if t.means:
            state["numbers"] = {name: mean.state_dict() for name, mean in t.means.items()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from these numbers."""
        metrics = {m.name: m for m in self.training.meters}
        if set(state["metrics"]) != set(metrics):
            raise DataError(
                f"the metrics must be {', '.join(state['metrics'])}, got {', '.join(metrics)}"
            )
        for name, metric in metrics.items():
            metric.load_state_dict(state["metrics"][name])
        self.training.means = {name: Mean(name) for name in state.get("numbers", ())}
        for name, mean in self.training.means.items():
            mean.load_state_dict(state["numbers"][name])
        self.training.used = dict(state.get("used", {}))
        for name in self.names:
            setattr(self.training, name, state[name])


class _FromItsStart:
    """A validation loader, as a part of a checkpoint: a broken-off epoch is done again."""

    def __init__(self, loader: Any):
        self.loader = loader

    def state_dict(self) -> dict[str, Any]:
        """Where the loader's epoch began."""
        return {**self.loader.state_dict(), "position": 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin there."""
        self.loader.load_state_dict(state)
