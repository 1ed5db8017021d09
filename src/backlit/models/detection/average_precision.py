"""How good detections are: average precision, at one overlap or over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...tensor import as_tensor
from .boxes import box_iou

#: COCO's overlaps 0.5, 0.55, …, 0.95, and recalls 0, 0.01, …, 1.
OVERLAPS = tuple(0.5 + 0.05 * i for i in range(10))
RECALLS = np.linspace(0.0, 1.0, 101)
#: COCO looks at so many detections of a class in an image, the best ones.
_LIMIT = 100


class MeanAveragePrecision:
    """The mean over classes of the average precision, over all images that it was shown.

    Detections of a class are taken by decreasing score; each belongs to that true box of its image
    and class, not taken yet, that it overlaps most, if by at least the threshold, and is false
    otherwise. Precision is made to fall only, and averaged over 101 recalls, as COCO does: `map` is
    the mean over the overlaps 0.5 to 0.95, `map_50` and `map_75` are at one. Classes without a true
    box are left out. COCO's crowds and sizes of boxes are not known here.
    Source: Lin et al., ECCV 2014; the evaluation of pycocotools.

    >>> metric = MeanAveragePrecision()
    >>> metric.update(
    ...     [{"boxes": [[0.0, 0.0, 9.0, 10.0]], "scores": [0.9], "labels": [1]}],
    ...     [{"boxes": [[0.0, 0.0, 10.0, 10.0]], "labels": [1]}],
    ... )
    >>> round(metric.compute()["map_50"], 3), round(metric.compute()["map"], 3)
    (1.0, 0.9)
    """

    name = "map_50"
    larger_is_better = True

    def __init__(self, overlaps: Sequence[float] = OVERLAPS):
        if not overlaps or not all(0 < t <= 1 for t in overlaps):
            raise ArgumentError(
                f"MeanAveragePrecision: overlaps must lie in (0, 1], got {tuple(overlaps)}"
            )
        self.overlaps = tuple(overlaps)
        self._matches: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        self._truths: dict[int, int] = {}
        self.images = 0

    def reset(self) -> None:
        """Forget all images."""
        self._matches, self._truths, self.images = {}, {}, 0

    def update(self, detections: Iterable[Any], truths: Iterable[Any]) -> None:
        """Take in one batch: for each image a dict with boxes (xyxy), labels and scores.

        The truths have no scores.
        """
        pairs = list(zip(detections, truths, strict=True))
        read = [
            (_arrays(a, ("boxes", "labels", "scores")), _arrays(b, ("boxes", "labels")))
            for a, b in pairs
        ]
        for (boxes, labels, scores), (true_boxes, true_labels) in read:
            self.images += 1
            for c in np.union1d(labels, true_labels).tolist():
                mine, true = labels == c, true_labels == c
                self._truths[c] = self._truths.get(c, 0) + int(true.sum())
                order = np.argsort(-scores[mine], kind="stable")[:_LIMIT]
                found = self._matched(boxes[mine][order], true_boxes[true])
                self._matches.setdefault(c, []).append((scores[mine][order], found))

    def _matched(self, boxes: np.ndarray, truths: np.ndarray) -> np.ndarray:
        """(overlaps, detections): which of them, the best first, have a true box of their own."""
        result = np.zeros((len(self.overlaps), len(boxes)), bool)
        if not len(boxes) or not len(truths):
            return result
        iou = box_iou(boxes, truths).numpy()
        for i, threshold in enumerate(self.overlaps):
            free = np.ones(len(truths), bool)
            for j in range(len(boxes)):
                best = int(np.argmax(np.where(free, iou[j], -1.0)))
                if free[best] and iou[j, best] >= min(threshold, 1 - 1e-10):
                    free[best] = False
                    result[i, j] = True
        return result

    def average_precision(self) -> dict[int, np.ndarray]:
        """For each class that has true boxes its average precision at each overlap."""
        result = {}
        for c, count in sorted(self._truths.items()):
            if not count:
                continue
            scores = np.concatenate([s for s, _ in self._matches[c]])
            found = np.concatenate([m for _, m in self._matches[c]], axis=1)
            found = found[:, np.argsort(-scores, kind="stable")]
            result[c] = np.array([_average(row, count) for row in found])
        return result

    def compute(self) -> dict[str, float]:
        """`map` (mean over the overlaps), and `map_50` and `map_75` where these are among them.

        NaN if there was no true box.
        """
        each = list(self.average_precision().values())
        mean = np.mean(each, axis=0) if each else np.full(len(self.overlaps), np.nan)
        result = {"map": float(mean.mean())}
        for percent in (50, 75):
            at = [i for i, t in enumerate(self.overlaps) if round(100 * t, 6) == percent]
            if at:
                result[f"map_{percent}"] = float(mean[at[0]])
        return result

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v:.3f}" for k, v in self.compute().items())
        return f"MeanAveragePrecision({values}; {self.images:,} images)"


def _average(found: np.ndarray, count: int) -> float:
    """The average precision of detections by decreasing score, with `count` true boxes."""
    if not len(found):
        return 0.0
    right = np.cumsum(found)
    recall = right / count
    precision = right / np.arange(1, len(found) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(precision, 0.0)[at].mean())


def _arrays(image: Any, names: Sequence[str]) -> list[np.ndarray]:
    """Boxes (n, 4), labels (n) and scores (n) of an image, from a dict or an object."""
    found = []
    for name in names:
        value = image.get(name) if isinstance(image, dict) else getattr(image, name, None)
        if value is None:
            raise ArgumentError(
                f"MeanAveragePrecision: each image must have {', '.join(names)}, one has no {name}"
            )
        found.append(np.asarray(as_tensor(value).numpy()))
    found[0] = found[0].reshape(-1, 4) if found[0].size == 0 else found[0]
    n = len(found[0])
    if found[0].shape != (n, 4) or any(a.shape != (n,) for a in found[1:]):
        shapes = ", ".join(f"{k} {a.shape}" for k, a in zip(names, found, strict=True))
        raise ShapeError(
            f"MeanAveragePrecision: boxes must be (n, 4), the others (n,), got {shapes}"
        )
    return [found[0].astype(np.float64), *found[1:]]


__all__ = ["MeanAveragePrecision"]
