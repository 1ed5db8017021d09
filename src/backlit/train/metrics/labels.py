"""How often the right class was found: accuracy, confusions, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array_api.arguments import number, whole
from ...dtypes import FLOATING
from ...errors import ArgumentError, IndexRangeError, ShapeError
from ...op import describe
from .base import Metric, arrays


class Accuracy(Metric):
    """The share of examples whose largest score is that of their label.

        prediction: scores (N, C, ...), target: labels (N, ...)

    A prediction of the target's own shape, or with one more axis of size 1, is one score for each
    example: above `threshold` it means 1. The threshold is 0 for logits, 0.5 for probabilities.
    Examples labelled `ignore_index` do not count.

    >>> accuracy = Accuracy()
    >>> accuracy.update([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    >>> accuracy
    Accuracy(50.0 %)
    """

    name = "accuracy"

    def __init__(self, threshold: float = 0.0, *, ignore_index: int | None = None):
        super().__init__()
        self.threshold = number("Accuracy: threshold", threshold)
        self.ignore_index = ignore_index

    def update(self, prediction: Any, target: Any) -> None:
        """Count the hits of one batch."""
        scores, labels = arrays(self.name, prediction, target)
        hits = _labels(self.name, scores, labels, self.threshold) == labels
        if self.ignore_index is not None:
            hits = hits[labels != self.ignore_index]
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
        scores, labels = arrays(self.name, prediction, target)
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
        IoU_c       = n_cc / (Σ_t n_tc + Σ_p n_cp - n_cc)

    A ratio without any example is NaN, never 0. `compute` is the accuracy. Without `classes` there
    are as many as scores in the first batch, or 2. Examples labelled `ignore_index` do not count.

    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]], [0, 0, 1])
    >>> matrix.counts.tolist(), matrix.precision().tolist(), matrix.recall().tolist()
    ([[1, 1], [0, 1]], [1.0, 0.5], [0.5, 1.0])
    """

    name = "confusion"

    def __init__(
        self,
        classes: int | None = None,
        threshold: float = 0.0,
        *,
        ignore_index: int | None = None,
    ):
        what = type(self).__name__
        self.classes = 0 if classes is None else whole(f"{what}: classes", classes, 2)
        self.threshold = number(f"{what}: threshold", threshold)
        self.ignore_index = ignore_index
        self.counts = np.zeros((self.classes, self.classes), np.int64)
        super().__init__()

    def reset(self) -> None:
        """Forget all batches."""
        self.counts = np.zeros((self.classes, self.classes), np.int64)

    def update(self, prediction: Any, target: Any) -> None:
        """Count the pairs of one batch."""
        what = type(self).__name__
        scores, labels = arrays(self.name, prediction, target)
        guesses = _labels(what, scores, labels, self.threshold).ravel().astype(int)
        truth = labels.ravel().astype(int)
        if self.ignore_index is not None:
            counted = truth != self.ignore_index
            truth, guesses = truth[counted], guesses[counted]
        if not self.classes:
            self.classes = scores.shape[1] if scores.ndim == labels.ndim + 1 > 1 else 2
            self.classes = max(self.classes, 2)
            self.reset()
        for name, values in (("target", truth), ("prediction", guesses)):
            if values.size and not 0 <= values.min() <= values.max() < self.classes:
                bad = values.min() if values.min() < 0 else values.max()
                raise IndexRangeError(
                    f"{what}: {name} labels must lie in [0, {self.classes}), got {bad}"
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

    def iou(self) -> np.ndarray:
        """Of the examples that belong to a class or were taken for it, the share that did both."""
        hits = np.diag(self.counts)
        return _ratio(hits, self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits)

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        return {"counts": self.counts.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved counts."""
        counts = np.array(state["counts"], np.int64)
        self.classes = len(counts)
        self.counts = counts.reshape(self.classes, self.classes)


class F1Score(ConfusionMatrix):
    """The harmonic mean of precision and recall.

    With `average="binary"` that of class 1, with "macro" the mean over the classes that occur, as
    label or as prediction; by default the first where there are two classes.

    >>> f1 = F1Score()
    >>> f1.update([0.5, 2.0, -1.0], [0, 1, 1])
    >>> f1.compute()
    0.5
    """

    name = "f1"

    def __init__(
        self,
        classes: int | None = None,
        threshold: float = 0.0,
        *,
        average: str | None = None,
        ignore_index: int | None = None,
    ):
        if average not in (None, "binary", "macro"):
            raise ArgumentError(f"F1Score: average must be 'binary' or 'macro', got {average!r}")
        super().__init__(classes, threshold, ignore_index=ignore_index)
        self.average = average

    def compute(self) -> float:
        """The F1 over all batches."""
        average = self.average or ("binary" if self.classes == 2 else "macro")
        if average == "binary" and self.classes > 2:
            raise ArgumentError(
                f"F1Score: average='binary' is for 2 classes, got {self.classes}; use 'macro'"
            )
        return float(self.f1()[1]) if average == "binary" and self.classes else _mean(self.f1())


class IoU(ConfusionMatrix):
    """Intersection over union, the Jaccard index: its mean over the classes that occur.

        prediction: scores (N, C, ...), target: labels (N, ...)

    >>> iou = IoU()
    >>> iou.update([[[3.0, 0.0, 0.0], [0.0, 1.0, 1.0]]], [[0, 0, 1]])
    >>> iou.compute()
    0.5
    """

    name = "iou"

    def compute(self) -> float:
        """The mean over the classes."""
        return _mean(self.iou())


def _mean(values: np.ndarray) -> float:
    """The mean of those that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


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
