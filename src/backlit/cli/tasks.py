"""What the command line can learn: the data sets, and settings that suit each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..data import TensorDataset, digits, idx_folder, playground, random_split
from ..data.idx import CLASSES
from ..errors import ArgumentError


@dataclass(frozen=True)
class Task:
    """A data set with its classes, the shape of an example, and the settings it is trained with."""

    name: str
    kind: str  # "image" or "points"
    classes: tuple[str, ...]
    example: tuple[int, ...]
    validation: float  # the share of the training examples that only chooses the best epoch
    settings: dict[str, Any] = field(default_factory=dict)


_IMAGES = {
    "model": "mlp:256",
    "activation": "relu",
    "batch_norm": True,
    "dropout": 0.3,
    "optimizer": "adamw",
    "lr": 5e-3,
    "weight_decay": 1e-2,
    "schedule": "cosine",
    "epochs": 20,
    "batch_size": 64,
}
_POINTS = {
    "model": "mlp:8-8",
    "activation": "tanh",
    "batch_norm": False,
    "dropout": 0.0,
    "optimizer": "adam",
    "lr": 0.03,
    "weight_decay": 0.0,
    "schedule": "cosine",
    "epochs": 100,
    "batch_size": 10,
    "noise": 0.1,
    "samples": 500,
}
_FILES = {**_IMAGES, "model": "mlp:512-256", "lr": 2e-3, "epochs": 12, "batch_size": 128}
_SIDES = ("orange", "blue")

TASKS = {
    task.name: task
    for task in (
        Task("digits", "image", tuple("0123456789"), (1, 8, 8), 0.1, _IMAGES),
        Task(
            "spiral",
            "points",
            _SIDES,
            (2,),
            0.2,
            {**_POINTS, "model": "mlp:16-16", "epochs": 300, "noise": 0.0},
        ),
        Task("circle", "points", _SIDES, (2,), 0.2, _POINTS),
        Task("xor", "points", _SIDES, (2,), 0.2, _POINTS),
        Task("gauss", "points", _SIDES, (2,), 0.2, {**_POINTS, "model": "linear", "epochs": 30}),
        Task("mnist", "image", CLASSES["mnist"], (1, 28, 28), 0.1, _FILES),
        Task("fashion-mnist", "image", CLASSES["fashion-mnist"], (1, 28, 28), 0.1, _FILES),
    )
}


def load_test(task: Task, settings: dict[str, Any], data: str | None = None) -> TensorDataset:
    """The test examples of a run with these settings, or of another folder of data."""
    settings = settings if data is None else {**settings, "data": data}
    if task.name in CLASSES:
        return _folder(task, settings, "t10k")
    return _whole(task, settings)[1]


def load_training(task: Task, settings: dict[str, Any]) -> tuple[Any, Any]:
    """The examples to train on, and those that choose the best epoch; none is a test example."""
    data = _folder(task, settings, "train") if task.name in CLASSES else _whole(task, settings)[0]
    seed = settings["seed"]
    train, chosen = random_split(data, [1 - task.validation, task.validation], seed=seed)
    return train, chosen


def _whole(task: Task, settings: dict[str, Any]) -> tuple[TensorDataset, TensorDataset]:
    if task.name == "digits":
        return digits(seed=settings["seed"], images=True)
    return playground(
        task.name, settings["samples"], noise=settings["noise"], seed=settings["seed"]
    )


def _folder(task: Task, settings: dict[str, Any], part: str) -> TensorDataset:
    if settings["data"] is None:
        raise ArgumentError(
            f"{task.name} needs --data DIR, a folder with train-images-idx3-ubyte, "
            "train-labels-idx1-ubyte and their t10k counterparts, plain or .gz"
        )
    data = idx_folder(settings["data"], part, classes=len(task.classes))
    shape = data.tensors[0].shape[1:]
    if shape != task.example:
        raise ArgumentError(
            f"{task.name}: images must be {task.example[1]} by {task.example[2]} pixels, "
            f"got {shape[1]} by {shape[2]} in {settings['data']}"
        )
    return data
