"""How good scores are beyond the class that they choose: AUC, perplexity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import IndexRangeError, ShapeError
from ...op import describe
from ...tensor import Tensor, wrap
from .base import Metric, arrays


class AUROC(Metric):
    """The area under the receiver operating characteristic: how well scores order the examples.

        AUC = P(score of one of the class > score of one of the others) + P(equal) / 2

    prediction: one score (N) or (N, 1) for labels 0 and 1; or scores (N, C) of labels (N), of which
    the softmax orders each class against the others, and `compute` is the mean over the classes.

    A class that all examples or none belong to has no AUC; if none has, it is NaN. All scores are
    kept until `compute`. Source: Hanley & McNeil, Radiology 143 (1982), sec. III.

    >>> auc = AUROC()
    >>> auc.update([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> auc.compute()
    0.75
    """

    name = "auc"

    def __init__(self) -> None:
        self._scores: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        super().__init__()

    def reset(self) -> None:
        """Forget all batches."""
        self._scores, self._labels = [], []

    def update(self, prediction: Any, target: Any) -> None:
        """Keep the scores of one batch."""
        scores, labels = arrays(self.name, prediction, target)
        if (scores.ndim == 2 and scores.shape[1] == 1) or scores.shape == labels.shape:
            scores, labels = scores.reshape(-1), labels.reshape(-1)
        if labels.ndim != 1 or scores.ndim > 2 or len(scores) != len(labels):
            raise ShapeError(
                "auc: the prediction must be scores (N, C) or (N) for labels (N), got "
                f"{describe(scores)} and {describe(labels)}"
            )
        classes = scores.shape[1] if scores.ndim == 2 else 2
        outside = labels[(labels < 0) | (labels >= classes)]
        if outside.size:
            raise IndexRangeError(f"auc: labels must lie in [0, {classes}), got {outside[0]}")
        self._scores.append(scores.astype(np.float64))
        self._labels.append(labels.astype(np.int64))

    def compute(self) -> float:
        """The AUC over all batches."""
        if not self._labels:
            return float("nan")
        scores, labels = np.concatenate(self._scores), np.concatenate(self._labels)
        if scores.ndim == 1:
            return _area(scores, labels == 1)
        if scores.shape[1] == 2:
            return _area(scores[:, 1] - scores[:, 0], labels == 1)
        shares = np.exp(_log_softmax(scores))
        areas = [_area(shares[:, c], labels == c) for c in range(scores.shape[1])]
        known = [a for a in areas if not math.isnan(a)]
        return sum(known) / len(known) if known else float("nan")

    def state_dict(self) -> dict[str, Any]:
        """The scores and labels so far."""
        if not self._labels:
            return {}
        return {
            "scores": wrap(np.concatenate(self._scores)),
            "labels": wrap(np.concatenate(self._labels)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved scores."""
        self.reset()
        if state:
            scores, labels = (state[n] for n in ("scores", "labels"))
            self._scores, self._labels = [_array(scores)], [_array(labels)]


class Perplexity(Metric):
    """The exponential of the mean loss of the right class: as if one had to guess among so many.

        exp( -1/M Σ log softmax(x)_t )        prediction x: (N, C, ...), target t: (N, ...)

    M counts the targets that are not `ignore_index`.

    >>> perplexity = Perplexity()
    >>> perplexity.update([[0.0, 0.0, 0.0, 0.0]], [2])
    >>> round(perplexity.compute(), 6)
    4.0
    """

    name = "perplexity"
    larger_is_better = False

    def __init__(self, *, ignore_index: int = -100):
        super().__init__()
        self.ignore_index = ignore_index

    def update(self, prediction: Any, target: Any) -> None:
        """Take in the losses of one batch."""
        scores, labels = arrays(self.name, prediction, target)
        if scores.ndim < 2 or labels.shape != (scores.shape[0], *scores.shape[2:]):
            raise ShapeError(
                "perplexity: the prediction must be (N, C, ...) and the target (N, ...), got "
                f"{describe(scores)} and {describe(labels)}"
            )
        rows = np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1])
        truth = labels.reshape(-1).astype(np.int64)
        counted = truth != self.ignore_index
        rows, truth = rows[counted], truth[counted]
        outside = truth[(truth < 0) | (truth >= scores.shape[1])]
        if outside.size:
            raise IndexRangeError(
                f"perplexity: labels must lie in [0, {scores.shape[1]}), got {outside[0]}"
            )
        logs = _log_softmax(rows.astype(np.float64))
        self.total -= float(logs[np.arange(len(truth)), truth].sum())
        self.count += len(truth)

    def compute(self) -> float:
        """The perplexity over all batches."""
        mean = super().compute()
        return math.exp(mean) if not mean > 709 else float("inf")  # where exp overflows


def _array(value: Any) -> np.ndarray:
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """The AUC by the ranks of the positive ones; equal scores share their mean rank."""
    n = int(positive.sum())
    others = len(positive) - n
    if not n or not others or np.isnan(scores).any():
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * others))
