"""What a Trainer is given, as what it works with; or refused with the cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..array_api.arguments import number, whole
from ..data import DataLoader, Dataset, IterableDataset
from ..errors import ArgumentError
from ..foreign import words
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
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
from .training import Training

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


def require_parts(training: Training) -> None:
    """Raise unless its parts are a Module, a function, Optimizers and schedules, or None."""
    loss_fn = training.loss_fn
    is_loss = loss_fn is None or (callable(loss_fn) and not isinstance(loss_fn, type))
    checks: list[tuple[bool, str, str, Any, str]] = [
        (isinstance(training.model, Module), "model", "a Module", training.model,
         "wrap a function in a Module's forward"),
        (is_loss, "loss_fn", "a function of prediction and target", loss_fn,
         "as nn.CrossEntropyLoss() or nn.MSELoss()"),
    ]  # fmt: skip
    for name, optimizer in training.optimizers.items():
        checks.append(
            (isinstance(optimizer, Optimizer), _labelled("optimizer", name), "an Optimizer",
             optimizer, "as optim.Adam(model.parameters())")
        )  # fmt: skip
    for name, schedule in training.schedules.items():
        fits = hasattr(schedule, "state_dict") and not isinstance(schedule, type)
        checks.append(
            (fits, _labelled("schedule", name), "a schedule or None", schedule,
             "as optim.lr_scheduler.StepLR(optimizer, step_size=10)")
        )  # fmt: skip
    for fits, name, must, value, cure in checks:
        if not fits:
            what, own_cure = words(value)
            if isinstance(value, type):
                cure = f"{own_cure}, {cure}"
            raise ArgumentError(f"Trainer: {name} must be {must}, got {what}; {cure}")


def _labelled(kind: str, name: str) -> str:
    return f"{kind} {name!r}" if name else kind


def require_step(training: Training) -> None:
    """Raise unless several optimizers and an own step go together."""
    names, step = set(training.optimizers), training.own_step
    several = isinstance(training.optimizer, Mapping)
    if several and (not names or "" in names):
        raise ArgumentError(
            "Trainer: several optimizers must have names, got "
            f"{', '.join(map(repr, training.optimizers)) or 'none'}"
        )
    if isinstance(step, Mapping) and (not several or set(step) != names):
        raise ArgumentError(
            "Trainer: training_step must have one function for each optimizer, got "
            f"{', '.join(step)} for {', '.join(n for n in names if n) or 'one without a name'}"
        )
    own = (*step.values(),) if isinstance(step, Mapping) else (step,)
    for function in (*own, training.own_validation):
        if function is not None and not callable(function):
            raise ArgumentError(
                "Trainer: an own step must be a function of the trainer and a batch, got "
                f"{words(function)[0]}"
            )
    if several and not training.has_own_step:
        raise ArgumentError(
            f"Trainer: several optimizers ({', '.join(names)}) need a training_step: a dict of "
            "functions that say the loss of each, or one that makes the updates itself"
        )
    if several and training.accumulate > 1:
        raise ArgumentError(
            "Trainer: accumulate is for one optimizer, got "
            f"{', '.join(names)}; let the loader make larger batches"
        )
    turns = training.alternate
    if turns is not None and (not isinstance(step, Mapping) or not set(turns) <= names):
        raise ArgumentError(
            "Trainer: alternate says how many steps each optimizer makes in turn, and needs a "
            f"training_step for each; got turns for {', '.join(turns)}, and the optimizers are "
            f"{', '.join(n for n in names if n) or 'one without a name'}"
        )
    if turns is not None:
        for name, times in turns.items():
            whole(f"Trainer: alternate[{name!r}]", times)


def require_settings(schedule_every: str, clip_norm: Any, clip_value: Any, ema: Any) -> None:
    """Raise unless these settings of a Trainer are such."""
    if ema is not None and not 0 <= number("Trainer: ema", ema) < 1:
        raise ArgumentError(f"Trainer: ema must lie in [0, 1), got {ema}")
    if schedule_every not in ("epoch", "step"):
        raise ArgumentError(
            f"Trainer: schedule_every must be 'epoch' or 'step', got {schedule_every!r}"
        )
    for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if limit is not None and not number(f"Trainer: {name}", limit) > 0:
            raise ArgumentError(f"Trainer: {name} must be positive, got {limit}")


def require_common(training: Training) -> None:
    """Raise if an optimizer trains neither the model nor its loss, or a schedule none of them."""
    parts = [m for m in (training.model, training.loss_fn) if isinstance(m, Module)]
    trained = {id(p) for m in parts for p in m.parameters()}
    for name, optimizer in training.optimizers.items():
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if not any(id(p) in trained for p in held):
            raise ArgumentError(
                f"Trainer: the {_labelled('optimizer', name)} must hold parameters of the model, "
                f"but none of its {len(held)} is one of the {len(trained)} of "
                f"{type(training.model).__name__}; make it of model.parameters(), after the last "
                "change of the model"
            )
    for name, schedule in training.schedules.items():
        other = getattr(schedule, "optimizer", None)
        if isinstance(other, Optimizer) and all(
            other is not o for o in training.optimizers.values()
        ):
            raise ArgumentError(
                f"Trainer: the {_labelled('schedule', name)} must be of this training's optimizer, "
                f"but is a {type(schedule).__name__} of another {type(other).__name__}; make it of "
                "the optimizer that the Trainer gets"
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
