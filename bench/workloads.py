"""What is measured: training steps as data, which every framework builds in its own way.

A layer is its kind and its sizes; `peers` has a table of kinds for each framework. A new workload
is a new entry here, a new kind of layer a new line in those tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Layer = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """One training step: forward, loss, backward, update."""

    name: str
    about: str
    layers: tuple[Layer, ...]
    loss: str
    optimizer: str
    lr: float
    batch: tuple[int, ...]
    targets: tuple[int, ...]

    def data(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """One batch, the same for every framework."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(self.batch).astype(np.float32)
        if self.loss == "cross-entropy":
            classes = self.layers[-1][-1]
            return x, rng.integers(0, classes, self.targets)
        return x, rng.standard_normal(self.targets).astype(np.float32)

    def parameters(self, seed: int = 1) -> list[np.ndarray]:
        """Starting values in the order of the layers, weights before biases."""
        rng = np.random.default_rng(seed)
        values = []
        for kind, *sizes in self.layers:
            if kind.startswith("linear"):
                rows, columns = sizes[1], sizes[0]
                bound = columns**-0.5
                values.append(rng.uniform(-bound, bound, (rows, columns)).astype(np.float32))
                if kind == "linear":
                    values.append(np.zeros(rows, np.float32))
        return values


WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "playground",
            "2-4-2-1 tanh, batch 10, Adam, mean of squares",
            (
                ("linear", 2, 4),
                ("tanh",),
                ("linear", 4, 2),
                ("tanh",),
                ("linear", 2, 1),
                ("tanh",),
            ),
            "mean of squares",
            "adam",
            0.01,
            (10, 2),
            (10, 1),
        ),
        Workload(
            "two-layer",
            "1000-100-10 sigmoid, batch 64, SGD, no bias, sum of squares",
            (("linear without bias", 1000, 100), ("sigmoid",), ("linear without bias", 100, 10)),
            "sum of squares",
            "sgd",
            1e-4,
            (64, 1000),
            (64, 10),
        ),
        Workload(
            "mlp",
            "784-512-512-10 ReLU, batch 128, Adam, cross-entropy",
            (
                ("linear", 784, 512),
                ("relu",),
                ("linear", 512, 512),
                ("relu",),
                ("linear", 512, 10),
            ),
            "cross-entropy",
            "adam",
            1e-3,
            (128, 784),
            (128,),
        ),
    )
}
