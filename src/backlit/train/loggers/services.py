"""Logs at services: Weights & Biases and MLflow, where their packages are installed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from ...errors import MissingDependencyError
from .base import Logger


def _package(name: str, extra: str, who: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingDependencyError(
            f'{who}: {name} must be installed, but is not; pip install "backlit[{extra}]"'
        ) from None


class _ServiceLogger(Logger):
    """A run at a service, known by its number there, which checkpoints hold."""

    def __init__(
        self, *, settings: Mapping[str, Any] | None = None, every_steps: int | None = None
    ):
        super().__init__(every_steps=every_steps)
        self.settings = dict(settings or {})
        #: The run's number at the service, once it has begun.
        self.id: str | None = None

    def state_dict(self) -> dict[str, Any]:
        """The run's number."""
        return {"id": self.id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in that run."""
        self.id = state["id"]


class WeightsAndBiases(_ServiceLogger):
    """Log to Weights & Biases: the record of each epoch, and the loss of every n-th step if asked.

    `options` go to `wandb.init`: project, name, mode="offline" … `settings` are its config. A
    resumed run is the same run there. Steps that it has already are not logged again. Needs
    `pip install "backlit[wandb]"`.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, Any] | None = None,
        every_steps: int | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        super().__init__(settings=settings, every_steps=every_steps)
        self.options = dict(options or {})
        self._wandb = _package("wandb", "wandb", "WeightsAndBiases")
        self._run: Any = None
        self._known = -1  # the last step that the run has from before

    def begin(self, epoch: int, step: int) -> None:
        """Begin a run, or go on in the one of the checkpoint."""
        options = {**self.options, "config": self.settings}
        if self.id is not None:
            options |= {"id": self.id, "resume": "allow"}
        self._run = self._wandb.init(**options)
        self._known = self._run.step - 1
        self.id = self._run.id

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers, if the run there is not further."""
        if step > self._known:
            self._run.log(dict(numbers), step=step)

    def end(self) -> None:
        """Tell the service that the run is over; a later `fit` goes on in it."""
        self._run.finish()
        self._begun = False


class MLflow(_ServiceLogger):
    """Log to MLflow: the record of each epoch, and the loss of every n-th step if asked.

    `options` go to `mlflow.start_run`: run_name, experiment_id … `settings` are its parameters;
    where it writes says `mlflow.set_tracking_uri`. Inside `with mlflow.start_run():` it logs to
    that run, and leaves it open. A resumed run is the same run there. Numbers of steps that it has
    already are not logged again, and numbers that are not finite not at all. Needs
    `pip install "backlit[mlflow]"`.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, Any] | None = None,
        every_steps: int | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        super().__init__(settings=settings, every_steps=every_steps)
        self.options = dict(options or {})
        self._mlflow = _package("mlflow", "mlflow", "MLflow")
        self._client: Any = None
        self._last: dict[str, int] = {}  # the step logged last, by number
        self._own = True  # whether the run is to be ended here

    def begin(self, epoch: int, step: int) -> None:
        """Begin a run, or go on in the one of the checkpoint."""
        self._client = self._mlflow.MlflowClient()
        run = self._mlflow.active_run()
        self._own = run is None or run.info.run_id == self.id
        if self.id is not None:
            if run is None or not self._own:
                self._mlflow.start_run(run_id=self.id)
            return
        if run is None:
            run = self._mlflow.start_run(**self.options)
        self.id = run.info.run_id
        if self.settings:
            self._mlflow.log_params(self.settings)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log the numbers that the run there does not have yet."""
        new = {}
        for name, value in numbers.items():
            if name not in self._last:
                known = self._client.get_metric_history(self.id, name)
                self._last[name] = max((m.step for m in known), default=-1)
            if step > self._last[name] and math.isfinite(value):
                new[name] = float(value)
                self._last[name] = step
        self._mlflow.log_metrics(new, step=step)

    def end(self) -> None:
        """Tell the service that the run is over; a later `fit` goes on in it."""
        if self._own:
            self._mlflow.end_run()
        self._begun = False
