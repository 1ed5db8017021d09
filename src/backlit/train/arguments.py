"""What a Trainer is given, as what it works with; or refused with the cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..array_api.arguments import number
from ..data import DataLoader, Dataset, IterableDataset
from ..errors import ArgumentError
from ..foreign import words
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor, as_tensor
from .callbacks import Callback
from .metrics import (
    AUROC,
    Accuracy,
    F1Score,
    Function,
    IoU,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    R2Score,
    RootMeanSquaredError,
    TopK,
)

#: Examples in a batch where a Trainer is given a dataset instead of a loader.
BATCH_SIZE = 32

_METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "top-5": lambda: TopK(5),
    "f1": F1Score,
    "iou": IoU,
    "auc": AUROC,
    "perplexity": Perplexity,
    "mae": MeanAbsoluteError,
    "rmse": RootMeanSquaredError,
    "r2": R2Score,
}


def require_parts(model: Any, loss_fn: Any, optimizer: Any, schedule: Any) -> None:
    """Raise unless these are a Module, a function, an Optimizer and a schedule or None."""
    is_loss = callable(loss_fn) and not isinstance(loss_fn, type)
    steps = schedule is None or (hasattr(schedule, "state_dict") and not isinstance(schedule, type))
    for fits, name, must, value, cure in (
        (isinstance(model, Module), "model", "a Module", model,
         "wrap a function in a Module's forward"),
        (is_loss, "loss_fn", "a function of prediction and target", loss_fn,
         "as nn.CrossEntropyLoss() or nn.MSELoss()"),
        (isinstance(optimizer, Optimizer), "optimizer", "an Optimizer", optimizer,
         "as optim.Adam(model.parameters())"),
        (steps, "schedule", "a schedule or None", schedule,
         "as optim.lr_scheduler.StepLR(optimizer, step_size=10)"),
    ):  # fmt: skip
        if not fits:
            what, own_cure = words(value)
            if isinstance(value, type):
                cure = f"{own_cure}, {cure}"
            raise ArgumentError(f"Trainer: {name} must be {must}, got {what}; {cure}")


def require_settings(schedule_every: str, clip_norm: Any, clip_value: Any) -> None:
    """Raise unless these settings of a Trainer are such."""
    if schedule_every not in ("epoch", "step"):
        raise ArgumentError(
            f"Trainer: schedule_every must be 'epoch' or 'step', got {schedule_every!r}"
        )
    for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if limit is not None and not number(f"Trainer: {name}", limit) > 0:
            raise ArgumentError(f"Trainer: {name} must be positive, got {limit}")


def require_common(model: Module, loss_fn: Any, optimizer: Optimizer) -> None:
    """Raise if the optimizer would train something else than the model, or its loss."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    parts = [m for m in (model, loss_fn) if isinstance(m, Module)]
    trained = {id(p) for m in parts for p in m.parameters()}
    if not any(id(p) in trained for p in held):
        raise ArgumentError(
            f"Trainer: the optimizer must hold parameters of the model, but none of its "
            f"{len(held)} is one of the {len(trained)} of {type(model).__name__}; make it of "
            "model.parameters(), after the last change of the model"
        )


def used_up(loader: Iterable[Any]) -> str:
    """What to add to an error about an epoch without batches."""
    kind = type(loader)
    if not hasattr(kind, "__next__"):
        return ""
    return f"; a {kind.__name__} gives its batches once: use a list of them, or a DataLoader"


def require_epochs(name: str, loader: Any, epochs: int) -> None:
    """Raise if a loader is known to be used up after the first of several epochs."""
    kind = type(loader)
    if epochs > 1 and hasattr(kind, "__next__") and kind.__module__ in ("builtins", "itertools"):
        raise ArgumentError(
            f"fit: {name} must give {epochs} epochs, but a {kind.__name__} gives its batches "
            "once; use a list of them, or a DataLoader"
        )


def as_metrics(metrics: Any) -> list[Metric]:
    """Metrics as a list, a dict by name, or one alone; each itself, its name, or a function."""
    if isinstance(metrics, Mapping):
        found = [_as_metric(m, name) for name, m in metrics.items()]
    elif isinstance(metrics, str | Metric | type) or callable(metrics):
        found = [_as_metric(metrics)]
    else:
        found = [_as_metric(m) for m in _listed("metrics", metrics)]
    names = [m.name for m in found]
    if len({"loss", *names}) <= len(names):
        raise ArgumentError(f"Trainer: metrics must have different names, got {names}")
    return found


def _as_metric(metric: Any, name: str | None = None) -> Metric:
    if isinstance(metric, str) and metric in _METRICS:
        metric = _METRICS[metric]()
    elif callable(metric) and not isinstance(metric, type | Metric):
        return Function(metric, name)
    if isinstance(metric, Metric):
        metric.name = name or metric.name
        return metric
    what, cure = words(metric)
    if isinstance(metric, str):
        cure = f"the names are {', '.join(_METRICS)}"
    elif not isinstance(metric, type):
        cure = "give a function, or subclass train.Metric with an update(prediction, target)"
    raise ArgumentError(f"Trainer: metrics must be Metrics or their names, got {what}; {cure}")


def as_callbacks(callbacks: Any) -> list[Callback]:
    """Callbacks given as a list or alone."""
    several = [callbacks] if isinstance(callbacks, Callback) else _listed("callbacks", callbacks)
    for callback in several:
        cure = words(callback)[1] if isinstance(callback, type) else "subclass train.Callback"
        if not isinstance(callback, Callback):
            raise ArgumentError(
                f"Trainer: callbacks must be Callbacks, got {words(callback)[0]}; {cure}"
            )
    return several


def _listed(name: str, values: Any) -> list[Any]:
    if values is None:
        return []
    if isinstance(values, str | type) or not isinstance(values, Iterable):
        raise ArgumentError(f"Trainer: {name} must be a list, got {words(values)[0]}")
    return list(values)


def as_loader(who: str, source: Any, *, shuffle: bool) -> Iterable[Any]:
    """What gives batches. A dataset gives examples: a DataLoader makes batches of them."""
    if isinstance(source, Dataset):
        return DataLoader(source, BATCH_SIZE, shuffle=shuffle)
    if isinstance(source, IterableDataset):
        return DataLoader(source, BATCH_SIZE)
    cure = "DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True)"
    if not isinstance(source, Iterable | DataLoader) or isinstance(source, str | bytes | Tensor):
        what = words(source)[0] if not isinstance(source, Tensor) else "a Tensor"
        raise ArgumentError(f"{who}: a loader of batches is required, got {what}; use {cure}")
    return source


def as_batch(batch: Any) -> tuple[Any, ...]:
    """A batch as the inputs and the target, Tensors where they are arrays."""
    if isinstance(batch, tuple | list) and len(batch) > 1:
        return tuple(b if isinstance(b, dict) else as_tensor(b) for b in batch)
    if isinstance(batch, tuple | list):
        what, cure = f"a {type(batch).__name__} of {len(batch)}", "give the targets, too"
    elif isinstance(batch, dict):
        what, cure = words(batch)[0], "make a tuple of its values in a collate_fn"
    else:
        what, cure = type(batch).__name__, "put both in"
    raise ArgumentError(
        f"fit: a batch must be a tuple of the model's inputs and the target, got {what}; {cure}: "
        "DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True)"
    )
