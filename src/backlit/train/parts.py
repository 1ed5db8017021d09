"""What has state in a run, by its name in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import DataError
from ..nn.keeping import generators
from .callbacks import Callback
from .training import INTERRUPTED, Training


def updated_parts(training: Training) -> dict[str, Any]:
    """What a step changes."""
    parts = {"model": training.model, "optimizer": training.optimizer}
    if training.schedule is not None:
        parts["schedule"] = training.schedule
    return parts | _generators(training)


def all_parts(
    training: Training,
    callbacks: Sequence[Callback],
    loader: Iterable[Any] | None,
    validation: Iterable[Any] | None,
) -> dict[str, Any]:
    """Everything that has state, in the order of loading."""
    parts: dict[str, Any] = {
        "model": training.model,
        "optimizer": training.optimizer,
        "schedule": training.schedule,
        "training": _Numbers(training),
        **_generators(training),
        **{f"callback.{i}": callback for i, callback in enumerate(callbacks)},
    }
    if hasattr(loader, "load_state_dict"):
        parts["loader"] = loader
    if hasattr(validation, "load_state_dict"):
        parts["validation"] = _FromItsStart(validation)
    return {name: part for name, part in parts.items() if part is not None}


def _generators(training: Training) -> dict[str, Any]:
    return {f"generator.{name}": g for name, g in generators(training.model).items()}


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
        if t.stopped == INTERRUPTED:
            state["stopped"] = None
        state["metrics"] = {m.name: m.state_dict() for m in t.meters}
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
