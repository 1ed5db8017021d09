"""How well a network does, as numbers gathered batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array_api.arguments import number, whole
from ..dtypes import FLOATING
from ..errors import IndexRangeError, ShapeError
from ..op import describe
from ..tensor import as_tensor


class Metric:
    """The base of all metrics: `update` with each batch, then `compute`.

    The counts are plain numbers, so that a run that is resumed in the middle of an epoch continues
    them (`state_dict`).
    """

    name = "metric"
    #: Whether more is better.
    larger_is_better = True

    #: What has been gathered: the sum, and of how many. Here, too, for metrics without __init__.
    total: float = 0.0
    count: int = 0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.total = 0.0
        self.count = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Take in one batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def compute(self) -> float:
        """The value over all batches; NaN before the first."""
        return self.total / self.count if self.count else float("nan")

    def format(self, value: float) -> str:
        """A value as people read it."""
        return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.2e}"

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved counts."""
        self.total, self.count = state["total"], state["count"]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.format(self.compute())})"


class Mean(Metric):
    """The mean of a number that each batch has, weighted by the number of examples.

    >>> loss = Mean("loss")
    >>> loss.add(1.0, 3)
    >>> loss.add(2.0, 1)
    >>> loss.compute()
    1.25
    """

    larger_is_better = False

    def __init__(self, name: str = "loss"):
        super().__init__()
        self.name = name

    def add(self, value: float, examples: int = 1) -> None:
        """Take in the value of a batch of so many examples."""
        self.total += float(value) * examples
        self.count += examples


class Accuracy(Metric):
    """The share of examples whose largest score is that of their label.

        prediction: scores (N, C, ...), target: labels (N, ...)

    A prediction of the target's own shape, or with one more axis of size 1, is one score for each
    example: above `threshold` it means 1. The threshold is 0 for logits, 0.5 for probabilities.

    >>> accuracy = Accuracy()
    >>> accuracy.update([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    >>> accuracy
    Accuracy(50.0 %)
    """

    name = "accuracy"

    def __init__(self, threshold: float = 0.0):
        super().__init__()
        self.threshold = number("Accuracy: threshold", threshold)

    def update(self, prediction: Any, target: Any) -> None:
        """Count the hits of one batch."""
        scores, labels = as_tensor(prediction).numpy(), as_tensor(target).numpy()
        hits = _labels(self.name, scores, labels, self.threshold) == labels.reshape(labels.shape)
        self.total += int(hits.sum())
        self.count += hits.size

    def format(self, value: float) -> str:
        """In percent."""
        return f"{100 * value:.1f} %"


class TopK(Accuracy):
    """The share of examples whose label is among the k largest scores.

        prediction: (N, C), target: (N,)

    Among equal scores the smaller label counts as larger.

    >>> top = TopK(2)
    >>> top.update([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], [1, 2])
    >>> top.compute()
    0.5
    """

    def __init__(self, k: int = 5):
        super().__init__()
        self.k = whole("TopK: k", k)
        self.name = f"top-{k}"

    def update(self, prediction: Any, target: Any) -> None:
        """Count the hits of one batch."""
        scores, labels = as_tensor(prediction).numpy(), as_tensor(target).numpy()
        if scores.ndim != 2 or labels.shape != scores.shape[:1]:
            raise ShapeError(
                "TopK: the prediction must be (N, C) and the target (N,), "
                f"got {describe(scores)} and {describe(labels)}"
            )
        if not self.k <= scores.shape[1]:
            raise ShapeError(f"TopK: k = {self.k} must not exceed the {scores.shape[1]} classes")
        # The smallest integer has no negative, and an unsigned one wraps; ~x reverses their order.
        backwards = -scores if scores.dtype in FLOATING else ~scores
        best = np.argsort(backwards, axis=1, kind="stable")[:, : self.k]
        self.total += int((best == labels[:, None]).any(axis=1).sum())
        self.count += len(labels)


class ConfusionMatrix(Metric):
    """How often each class (row) was taken for each class (column), and what follows from that.

        precision_c = n_cc / Σ_t n_tc    of those taken for c, the share that are c
        recall_c    = n_cc / Σ_p n_cp    of those that are c, the share taken for c
        F1_c        = 2 n_cc / (Σ_t n_tc + Σ_p n_cp)

    A ratio without any example is NaN, never 0. `compute` is the accuracy.

    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]], [0, 0, 1])
    >>> matrix.counts.tolist(), matrix.precision().tolist(), matrix.recall().tolist()
    ([[1, 1], [0, 1]], [1.0, 0.5], [0.5, 1.0])
    """

    name = "confusion"

    def __init__(self, classes: int, threshold: float = 0.0):
        self.classes = whole("ConfusionMatrix: classes", classes, 2)
        self.threshold = number("ConfusionMatrix: threshold", threshold)
        self.counts = np.zeros((self.classes, self.classes), np.int64)
        super().__init__()

    def reset(self) -> None:
        """Forget all batches."""
        self.counts = np.zeros((self.classes, self.classes), np.int64)

    def update(self, prediction: Any, target: Any) -> None:
        """Count the pairs of one batch."""
        scores, labels = as_tensor(prediction).numpy(), as_tensor(target).numpy()
        guesses = _labels("ConfusionMatrix", scores, labels, self.threshold).ravel().astype(int)
        truth = labels.ravel().astype(int)
        for what, values in (("target", truth), ("prediction", guesses)):
            if values.size and not 0 <= values.min() <= values.max() < self.classes:
                bad = values.min() if values.min() < 0 else values.max()
                raise IndexRangeError(
                    f"ConfusionMatrix: {what} labels must lie in [0, {self.classes}), got {bad}"
                )
        np.add.at(self.counts, (truth, guesses), 1)

    def compute(self) -> float:
        """The accuracy."""
        return float(_ratio(np.trace(self.counts), self.counts.sum()))

    def precision(self) -> np.ndarray:
        """Of the examples taken for each class, the share that belong to it."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=0))

    def recall(self) -> np.ndarray:
        """Of the examples of each class, the share that was found."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall of each class."""
        return _ratio(2 * np.diag(self.counts), self.counts.sum(axis=0) + self.counts.sum(axis=1))

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        return {"counts": self.counts.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved counts."""
        self.counts = np.array(state["counts"], np.int64)


def _ratio(part: Any, whole: Any) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _labels(name: str, scores: np.ndarray, target: np.ndarray, threshold: float) -> np.ndarray:
    """The predicted labels, in the target's shape."""
    if scores.ndim == target.ndim + 1 and scores.shape[1] > 1:
        labels = scores.argmax(axis=1)
    elif scores.size == target.size and scores.dtype in FLOATING:
        labels = (scores > threshold).reshape(target.shape)
    else:
        labels = None
    if labels is None or labels.shape != target.shape:
        raise ShapeError(
            f"{name}: the prediction must be scores (N, C, ...) for labels (N, ...), or one score "
            f"for each label, got {describe(scores)} and {describe(target)}"
        )
    return labels
