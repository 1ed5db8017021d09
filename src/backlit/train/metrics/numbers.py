"""How far predicted numbers are from the true ones: MAE, RMSE, R²."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...op import describe
from .base import Metric, arrays


class MeanAbsoluteError(Metric):
    """The mean of |x - t| over all numbers.

    prediction and target: of one shape; (N, 1) and (N) are taken for one

    >>> error = MeanAbsoluteError()
    >>> error.update([[1.0], [4.0]], [2.0, 2.0])
    >>> error.compute()
    1.5
    """

    name = "mae"
    larger_is_better = False

    def update(self, prediction: Any, target: Any) -> None:
        """Take in the distances of one batch."""
        x, t = _pairs(self.name, prediction, target)
        self.total += float(np.abs(x - t).sum())
        self.count += t.size


class RootMeanSquaredError(Metric):
    """The root of the mean of (x - t)² over all numbers; shapes as for `MeanAbsoluteError`.

    >>> error = RootMeanSquaredError()
    >>> error.update([1.0, 7.0], [2.0, 0.0])
    >>> error.compute()
    5.0
    """

    name = "rmse"
    larger_is_better = False

    def update(self, prediction: Any, target: Any) -> None:
        """Take in the squares of one batch."""
        x, t = _pairs(self.name, prediction, target)
        self.total += float(((x - t) ** 2).sum())
        self.count += t.size

    def compute(self) -> float:
        """The root of the mean."""
        return math.sqrt(super().compute())


class R2Score(Metric):
    """The coefficient of determination: the share of the targets' variance that is predicted.

        R² = 1 - Σ (x - t)² / Σ (t - mean t)²

    Of targets (N, D, ...) it is the mean over all but the first axis. It is NaN while all targets
    are equal. The sum around the mean is updated batch by batch: Chan, Golub & LeVeque, "Algorithms
    for computing the sample variance", The American Statistician 37 (1983), eq. 2.1.

    >>> r2 = R2Score()
    >>> r2.update([1.0, 2.0], [1.0, 2.0])
    >>> r2.update([3.0, 4.0], [3.0, 5.0])
    >>> round(r2.compute(), 4)
    0.8857
    """

    name = "r2"

    def __init__(self) -> None:
        self._columns = np.zeros((3, 0))  # of each: Σ (x - t)², mean t, Σ (t - mean t)²
        super().__init__()

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._columns = np.zeros((3, 0))

    def update(self, prediction: Any, target: Any) -> None:
        """Take in one batch."""
        x, t = (a.reshape(len(a), -1) for a in _pairs(self.name, prediction, target))
        if not len(t):
            return
        if not self.count:
            self._columns = np.zeros((3, t.shape[1]))
        squares, mean, spread = self._columns
        if t.shape[1] != len(mean):
            raise ShapeError(
                f"r2: all batches must have {len(mean)} numbers an example, got {t.shape[1]}"
            )
        n, m = self.count, len(t)
        step = t.mean(axis=0) - mean
        squares += ((x - t) ** 2).sum(axis=0)
        spread += ((t - t.mean(axis=0)) ** 2).sum(axis=0) + step**2 * (n * m / (n + m))
        mean += step * (m / (n + m))
        self.count = n + m

    def compute(self) -> float:
        """R² over all batches."""
        squares, _, spread = self._columns
        if not spread.size or (spread == 0).any():
            return float("nan")
        return float((1 - squares / spread).mean())

    def state_dict(self) -> dict[str, Any]:
        """The sums so far."""
        return {"count": self.count, "columns": self._columns.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved sums."""
        self.count = state["count"]
        self._columns = np.array(state["columns"], np.float64).reshape(3, -1)


def _pairs(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true numbers in one shape, with an axis of examples in front."""
    x, t = arrays(name, prediction, target)
    shapes = [s[:-1] if len(s) > 1 and s[-1] == 1 else s for s in (x.shape, t.shape)]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            f"{name}: the prediction must have the target's shape, got {describe(x)} and "
            f"{describe(t)}"
        )
    shape = shapes[1] or (1,)
    return x.astype(np.float64).reshape(shape), t.astype(np.float64).reshape(shape)
