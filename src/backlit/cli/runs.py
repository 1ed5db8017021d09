"""What a run on the disk is: a folder with its settings, its checkpoints and its result."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import __version__, manual_seed, nn, optim
from ..errors import ArgumentError, DataError
from ..files import read_bytes, write_whole
from ..train.checkpoint import BEST, LATEST, load_checkpoint, restore
from .tasks import TASKS, Task

FORMAT = "backlit-run-1"
SETTINGS, RESULT, REPORT = "run.json", "result.json", "report.html"

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "elu": nn.ELU}
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "one-cycle")


def write_settings(folder: Path, task: Task, settings: dict[str, Any]) -> None:
    """Write down what the run is, before it starts."""
    _write(folder / SETTINGS, {"dataset": task.name, "settings": settings})


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write down how the run ended."""
    _write(folder / RESULT, result)


def _write(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, "backlit": __version__, **content}, indent=2)
    write_whole(path, (text + "\n").encode())


def read_settings(folder: Path) -> tuple[Task, dict[str, Any]]:
    """What the run in a folder is. Raises DataError if there is none."""
    path = folder / SETTINGS
    if not path.is_file():
        raise DataError(
            f"{folder} must be the folder of a run, but has no {SETTINGS}; "
            f"start one with: backlit train digits --out {folder}"
        )
    try:
        content = json.loads(read_bytes(path, "run"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"the format must be {FORMAT!r}")
        task, settings = TASKS[content["dataset"]], content["settings"]
        for name in (*task.settings, "seed", "data"):
            if name not in settings:
                raise ValueError(f"no {name}")
            if not _SETTINGS[name](settings[name]):
                raise ValueError(f"{name} is {settings[name]!r:.60}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} must describe a run ({FORMAT}), but cannot be read: {error}"
        ) from None
    return task, settings


def _number(x: Any, low: float, high: float = math.inf, kind: type = float) -> bool:
    """Whether x is a number in [low, high)."""
    return type(x) in (int, kind) and low <= x < high


def _is_model(x: Any) -> bool:
    return isinstance(x, str) and hidden_widths(x) is not None


#: What each setting of a run may be, as the options of `backlit train` allow it.
_SETTINGS: dict[str, Callable[[Any], bool]] = {
    "model": _is_model,
    "activation": lambda x: isinstance(x, str) and x in ACTIVATIONS,
    "batch_norm": lambda x: isinstance(x, bool),
    "dropout": lambda x: _number(x, 0, 1),
    "optimizer": lambda x: x in OPTIMIZERS,
    "lr": lambda x: _number(x, 0) and x > 0,
    "weight_decay": lambda x: _number(x, 0),
    "schedule": lambda x: x in SCHEDULES,
    "epochs": lambda x: _number(x, 1, kind=int),
    "batch_size": lambda x: _number(x, 1, kind=int),
    "noise": lambda x: _number(x, 0, 0.5) or x == 0.5,
    "samples": lambda x: _number(x, 20, kind=int),
    "seed": lambda x: _number(x, 0, 2**32 + 1, kind=int),
    "data": lambda x: x is None or isinstance(x, str),
}


def build_network(task: Task, settings: dict[str, Any]) -> nn.Sequential:
    """The network of a run, with weights drawn from the run's seed.

    `linear` is one layer; `mlp:256-128` has hidden layers of these widths.
    """
    manual_seed(settings["seed"])
    layers: list[nn.Module] = [nn.Flatten()] if len(task.example) > 1 else []
    width = math.prod(task.example)
    for hidden in hidden_widths(settings["model"]):
        layers.append(nn.Linear(width, hidden))
        if settings["batch_norm"]:
            layers.append(nn.BatchNorm1d(hidden))
        layers.append(ACTIVATIONS[settings["activation"]]())
        if settings["dropout"]:
            layers.append(nn.Dropout(settings["dropout"]))
        width = hidden
    layers.append(nn.Linear(width, len(task.classes)))
    return nn.Sequential(*layers)


def hidden_widths(model: str) -> list[int]:
    """The widths of the hidden layers that a model's name asks for."""
    kind, _, sizes = model.partition(":")
    if kind == "linear" and not sizes:
        return []
    parts = sizes.split("-")
    if kind != "mlp" or not all(p.isascii() and p.isdigit() and 0 < int(p) <= 65536 for p in parts):
        raise ArgumentError(
            f"model: must be linear, or mlp: with hidden widths such as mlp:256-128, got {model!r}"
        )
    return [int(p) for p in parts]


def build_optimizer(model: nn.Module, settings: dict[str, Any]) -> optim.Optimizer:
    """The optimizer of a run."""
    name, lr, decay = settings["optimizer"], settings["lr"], settings["weight_decay"]
    parameters = model.parameters()
    if name == "sgd":
        return optim.SGD(parameters, lr=lr, weight_decay=decay)
    if name == "momentum":
        return optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=decay)
    rules = {
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
    }
    return rules[name](parameters, lr=lr, weight_decay=decay)


def build_schedule(optimizer: optim.Optimizer, settings: dict[str, Any], steps: int) -> Any:
    """The learning-rate schedule of a run of so many steps: stepped after each of them."""
    if settings["schedule"] == "cosine":
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    if settings["schedule"] == "one-cycle":
        momentum = settings["optimizer"] in ("momentum", "adam", "adamw")
        return optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=settings["lr"], total_steps=steps, cycle_momentum=momentum
        )
    return None


def load_network(folder: Path, which: str = "best") -> tuple[Task, dict[str, Any], nn.Sequential]:
    """The run in a folder, and its network with the best or latest weights, ready to be used."""
    task, settings = read_settings(folder)
    path = folder / (BEST if which == "best" else LATEST)
    if not path.is_file():
        raise DataError(
            f"{folder} has no {path.name}: the run was stopped before it saved one; "
            f"continue it with: backlit train {task.name} --resume --out {folder}"
        )
    model = build_network(task, settings)
    restore({"model": model}, load_checkpoint(path), path)
    model.eval()
    return task, settings, model
