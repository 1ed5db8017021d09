"""What is measured: nine training steps, their data and their starting weights.

A step is forward, loss, backward, update on one batch that stays the same. Every framework builds
the networks in its own way, in `peers`; the arrays here are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """One training step.

    `inputs` and `targets` are shapes. The inputs are whole numbers below `vocabulary` if there is
    one, the targets whole numbers below `classes`; without them they are normal numbers.
    """

    name: str
    about: str
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    loss: str
    optimizer: str
    settings: Mapping[str, float] = field(default_factory=dict)
    vocabulary: int = 0
    classes: int = 0
    dropout: float = 0.0
    checked: int = 10
    """So many losses are compared."""
    tolerance: float = 2e-4
    """So much of a loss may two frameworks differ, which add in different orders."""

    @property
    def images(self) -> bool:
        """Whether the inputs are images, (N, C, H, W)."""
        return len(self.inputs) == 4

    @property
    def large(self) -> bool:
        """Whether a step takes a good part of a second."""
        return self.name in ("alexnet", "resnet18")

    def data(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """One batch, the same for every framework."""
        rng = np.random.default_rng(seed)

        def draw(shape: tuple[int, ...], below: int) -> np.ndarray:
            if below:
                return rng.integers(0, below, shape)
            return rng.standard_normal(shape).astype(np.float32)

        x = draw(self.inputs, self.vocabulary)
        return x, draw(self.targets, self.classes)

    def weights(self, seed: int = 0) -> Arrays:
        """Starting values by name: those that Backlit's network draws, shared ones once."""
        import backlit

        backlit.manual_seed(seed)
        model = network(self)
        return {k: v.numpy() for k, v in (*model.named_parameters(), *model.named_buffers())}


def network(workload: Workload, dropout: float | None = None) -> Any:
    """Backlit's network for a workload."""
    from backlit import models

    if workload.name == "alexnet":
        return models.AlexNet(dropout=workload.dropout if dropout is None else dropout)
    if workload.name == "gpt":
        return models.GPT2(65, 64, layers=4, heads=4, width=128, dropout=0.0, approximate="none")
    kinds: dict[str, Any] = {
        "playground": models.playground,
        "two-layer": models.two_layer,
        "mlp": models.mlp,
        "lenet": models.LeNet,
        "resnet18": models.cifar_resnet18,
        "lstm": models.CharRNN,
        "ner": models.WindowTagger,
    }
    return kinds[workload.name]()


_ENTROPY = "cross-entropy"
_MOMENTUM = {"lr": 0.01, "momentum": 0.9}

WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "playground",
            "2-4-2-1 tanh, batch 10, Adam, mean of squares",
            (10, 2),
            (10, 1),
            "mean of squares",
            "adam",
            {"lr": 0.01},
        ),
        Workload(
            "two-layer",
            "1000-100-10 sigmoid, no bias, batch 64, SGD, sum of squares",
            (64, 1000),
            (64, 10),
            "sum of squares",
            "sgd",
            {"lr": 1e-4},
        ),
        Workload(
            "mlp",
            "784-512-512-10 ReLU, batch 128, Adam, cross-entropy",
            (128, 784),
            (128,),
            _ENTROPY,
            "adam",
            {"lr": 1e-3},
            classes=10,
        ),
        Workload(
            "lenet",
            "28×28, conv 32@5, pool, conv 64@5, pool, 512, 10, batch 64, Adam",
            (64, 1, 28, 28),
            (64,),
            _ENTROPY,
            "adam",
            {"lr": 1e-3},
            classes=10,
            checked=5,  # Adam magnifies the rounding of gradients near 0; later the curves part
            tolerance=1e-3,
        ),
        Workload(
            "alexnet",
            "224×224, torchvision's shape with dropout, batch 16, SGD with momentum",
            (16, 3, 224, 224),
            (16,),
            _ENTROPY,
            "sgd",
            _MOMENTUM,
            classes=1000,
            dropout=0.5,
            checked=3,
        ),
        Workload(
            "resnet18",
            "32×32, batch-norm, batch 32, SGD with momentum",
            (32, 3, 32, 32),
            (32,),
            _ENTROPY,
            "sgd",
            _MOMENTUM,
            classes=10,
            checked=3,
            tolerance=2e-3,
        ),
        Workload(
            "lstm",
            "vocabulary 65, embedding 64, hidden 256, T 64, batch 32, Adam",
            (32, 64),
            (32, 64),
            _ENTROPY,
            "adam",
            {"lr": 1e-3},
            vocabulary=65,
            classes=65,
        ),
        Workload(
            "gpt",
            "4 layers, 4 heads, width 128, context 64, batch 12, AdamW",
            (12, 64),
            (12, 64),
            _ENTROPY,
            "adamw",
            {"lr": 1e-3},
            vocabulary=65,
            classes=65,
            tolerance=1e-3,
        ),
        Workload(
            "ner",
            "vocabulary 20,000 × 50, window 5, hidden 100, 9 classes, batch 64, SGD",
            (64, 5),
            (64,),
            _ENTROPY,
            "sgd",
            {"lr": 0.01},
            vocabulary=20_000,
            classes=9,
        ),
    )
}
