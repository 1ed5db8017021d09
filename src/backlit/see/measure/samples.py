"""Each sample's own gradient, and how much they agree: variance, signal to noise, noise scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...nn.module import Module
from ...table import Table, Tabular
from ...tensor import Tensor
from ..problem import Fast, Problem
from ..records.value import squares

#: More bytes of gradients than this are not kept at once.
ROOM = 2 * 1024**3


@dataclass
class Noise:
    """How one parameter's gradient differs from sample to sample.

    `mean` and `variance` (unbiased) have the parameter's shape. `norms` are ‖gᵢ‖, one a sample.
    """

    mean: np.ndarray
    variance: np.ndarray
    norms: np.ndarray

    @property
    def samples(self) -> int:
        """N."""
        return len(self.norms)

    @property
    def spread(self) -> float:
        """tr Σ, the sum of the variances."""
        return float(np.sum(self.variance, dtype=np.float64))

    @property
    def power(self) -> float:
        """|G|² of the true gradient, estimated without bias: ‖ḡ‖² - tr Σ / N. May be negative."""
        return squares(self.mean) - self.spread / self.samples

    @property
    def snr(self) -> float:
        """Signal to noise of one sample: |G|² / tr Σ, at least 0; infinite without noise."""
        power = max(self.power, 0.0)
        return power / self.spread if self.spread > 0 else math.inf if power > 0 else 0.0

    @property
    def scale(self) -> float:
        """The simple noise scale tr Σ / |G|²: about the batch size beyond which more helps little.

        Source: McCandlish et al., "An Empirical Model of Large-Batch Training", 2018, section 2.2.
        Infinite where no common direction is left in the noise.
        """
        return self.spread / self.power if self.power > 0 else math.inf


class SampleGradients(Tabular, Mapping[str, np.ndarray]):
    """For each parameter's name the gradients of all samples: shape (N, *parameter.shape).

    `noise[name]` says how much they agree; `total` does so for all parameters together.
    """

    def __init__(self, gradients: dict[str, np.ndarray]):
        self.gradients = gradients
        self.noise = {name: _noise(g) for name, g in gradients.items()}
        self.total = _together(list(self.noise.values()))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.gradients:
            raise KeyError(f"{name!r}; there are {', '.join(self.gradients)}")
        return self.gradients[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.gradients)

    def __len__(self) -> int:
        return len(self.gradients)

    @property
    def norms(self) -> np.ndarray:
        """Each sample's gradient norm over all parameters: an unusual one is worth a look."""
        return self.total.norms

    def table(self) -> Table:
        """A row for each parameter, and all together."""
        rows = [
            [name, _shape(n.mean), math.sqrt(squares(n.mean)), math.sqrt(n.spread), n.snr]
            for name, n in self.noise.items()
        ]
        foot = (
            f"{self.total.samples} samples; noise scale {self.total.scale:.3g} samples; largest "
            f"sample gradient {self.norms.max():.3g} (sample {int(self.norms.argmax())}), "
            f"median {np.median(self.norms):.3g}"
        )
        return Table(["parameter", "shape", "‖mean‖", "√tr Σ", "signal/noise"], rows, foot)


def sample_gradients(model: Module, batch: Any, loss_fn: Callable[..., Tensor]) -> SampleGradients:
    """The gradient of each sample's own loss: gᵢ = ∂ loss(model(xᵢ), yᵢ) / ∂ parameters.

    `batch` is the model's inputs, then the target, samples along their first axes. Every sample
    goes through the model as a batch of one, in native code where possible, so that any graph will
    do: convolutions, residuals, norms, embeddings, recurrences. What mixes samples (batch norm in
    training mode) has no such gradients and is an error. Nothing is changed.

    >>> from backlit import nn, see, tensor
    >>> net = nn.Linear(1, 1, bias=False)
    >>> batch = tensor([[1.0], [2.0]]), tensor([[0.0], [0.0]])
    >>> g = see.sample_gradients(net, batch, nn.MSELoss())
    >>> float(g["weight"][1, 0, 0] / g["weight"][0, 0, 0])  # d(wx)²/dw = 2wx²
    4.0
    """
    problem = Problem("sample_gradients", model, batch, loss_fn)
    problem.steady()
    rows = problem.rows
    needed = rows * sum(p.size * p.dtype.itemsize for p in problem.parameters)
    if needed > ROOM:
        fits = max(rows * ROOM // needed, 1)
        raise ArgumentError(
            f"sample_gradients: {rows} samples × {problem.size:,} parameters are "
            f"{needed / 1024**3:.1f} GiB, more than {ROOM // 1024**3}; give {fits} at a time"
        )

    def of_one(*row: Tensor) -> list[Tensor]:
        return problem.gradients(problem.loss(*row))

    with problem.kept():
        stacks = Fast(of_one).each(*problem.batch)
    arrays = [g.numpy() for g in stacks]
    problem.share([g.mean(axis=0, dtype=np.float64) for g in arrays])
    return SampleGradients(dict(zip(problem.names, arrays, strict=True)))


def _noise(gradients: np.ndarray) -> Noise:
    """Mean, variance and norms of one parameter's gradients, a sample in each row."""
    wide = gradients.reshape(len(gradients), -1).astype(np.float64)
    mean = gradients.mean(axis=0, dtype=np.float64)
    if len(gradients) > 1:
        variance = gradients.var(axis=0, ddof=1, dtype=np.float64)
    else:
        variance = np.full(mean.shape, math.nan)
    return Noise(mean, variance, np.sqrt((wide * wide).sum(axis=1)))


def _together(parts: list[Noise]) -> Noise:
    """Those of several parameters as if they were one."""
    return Noise(
        np.concatenate([n.mean.reshape(-1) for n in parts]),
        np.concatenate([n.variance.reshape(-1) for n in parts]),
        np.sqrt(sum(n.norms**2 for n in parts)),
    )


def _shape(x: np.ndarray) -> str:
    """`3×4`."""
    return "×".join(map(str, x.shape)) or "scalar"
