"""What a detector is trained on: true boxes at their places, and how far it is from them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import nn
from ...array_api import maximum, reshape, sum
from ...errors import ArgumentError, DataError, ShapeError
from ...nn.functional import binary_cross_entropy_with_logits, cross_entropy
from ...op import describe
from ...tensor import Tensor, as_tensor, tensor
from .boxes import generalized_box_iou_loss
from .yolo import CLASSES, OBJECT, TinyYOLO

#: An anchor that is not the best one for a box, but this near to its shape, is not told that it is
#: wrong there.
_NEAR = 0.5


class YoloTargets(NamedTuple):
    """True boxes at their places (N, A, R, C): where they are, and what stands there.

    `found` is 1 where a box has its place; `counted` is 0 where nothing is asked; `boxes` (…, 4)
    and `labels` hold what is true where `found` is 1.
    """

    found: Tensor
    counted: Tensor
    boxes: Tensor
    labels: Tensor


def shape_iou(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The overlap of boxes at one centre:  (n, 2), (A, 2) -> (n, A)."""
    shared = np.minimum(sizes[:, None], anchors[None]).prod(axis=2)
    return shared / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - shared)


def assign(
    model: TinyYOLO, boxes: Sequence[Any], labels: Sequence[Any], size: tuple[int, int]
) -> YoloTargets:
    """Give each true box its place: the cell of its centre, and the anchor nearest to its shape.

    `boxes` has for each image an array (n, 4) of borders in pixels, `labels` one (n); `size` is
    (height, width) of the images. Where two boxes want one place the larger takes it and the other
    the next best anchor of the cell; if none is free it is left out, with a warning.
    Raises DataError, with the image and the box, for boxes that are empty or outside.

    >>> t = assign(TinyYOLO(2), [[[2.0, 3.0, 14.0, 13.0]]], [[1]], (32, 32))
    >>> t.found.shape, int(t.found.sum()), t.labels[0, 0, 1, 1].item()
    ((1, 3, 4, 4), 1, 1)
    """
    if len(boxes) != len(labels):
        raise ShapeError(
            f"assign: boxes and labels must be of one number of images, got {len(boxes)} and "
            f"{len(labels)}"
        )
    high, wide = size
    anchors = np.array(model.anchors)
    shape = (len(boxes), len(anchors), high // model.stride, wide // model.stride)
    found, counted = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    # What stands elsewhere is a box, too, so that its loss is finite where it counts 0.
    where = np.tile(np.array([0, 0, 1, 1], np.float32), (*shape, 1))
    classes = np.zeros(shape, np.int64)
    left_out = 0
    for i, (given, names) in enumerate(zip(boxes, labels, strict=True)):
        b, c = _of_image(model, i, given, names, size)
        sides = b[:, 2:] - b[:, :2]
        fits = shape_iou(sides, anchors)
        for j in np.argsort(-sides.prod(axis=1), kind="stable"):
            column, row = ((b[j, :2] + b[j, 2:]) / 2 // model.stride).astype(int)
            row, column = min(row, shape[2] - 1), min(column, shape[3] - 1)
            free = found[i, :, row, column] == 0
            counted[i, (fits[j] > _NEAR) & free, row, column] = 0
            if not free.any():
                left_out += 1
                continue
            anchor = int(np.argmax(np.where(free, fits[j], -1)))
            place = (i, anchor, row, column)
            found[place], counted[place] = 1, 1
            where[place], classes[place] = b[j], c[j]
    if left_out:
        warnings.warn(
            f"assign: {left_out} true boxes found no free anchor in their cell and are left out; "
            "give the detector more anchors, or fewer stages for a finer grid",
            stacklevel=2,
        )
    return YoloTargets(tensor(found), tensor(counted), tensor(where), tensor(classes))


def _of_image(
    model: TinyYOLO, i: int, boxes: Any, labels: Any, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes and labels of an image, which make sense."""
    b = np.asarray(as_tensor(boxes).numpy(), np.float64).reshape(-1, 4)
    c = np.asarray(as_tensor(labels).numpy()).reshape(-1)
    if len(b) != len(c):
        raise ShapeError(f"assign: image {i} has {len(b)} boxes but {len(c)} labels")
    inside = (b[:, 0] >= 0) & (b[:, 1] >= 0) & (b[:, 2] <= size[1]) & (b[:, 3] <= size[0])
    bad = ~(inside & (b[:, 2] > b[:, 0]) & (b[:, 3] > b[:, 1]))
    if bad.any():
        j = int(np.argmax(bad))
        raise DataError(
            f"assign: box {j} of image {i} must have 0 ≤ x1 < x2 ≤ {size[1]} and 0 ≤ y1 < y2 ≤ "
            f"{size[0]}, got {b[j].tolist()}; clip_boxes_to_image cuts boxes off"
        )
    wrong = (c < 0) | (c >= model.num_classes)
    if wrong.any():
        j = int(np.argmax(wrong))
        raise DataError(
            f"assign: label {j} of image {i} must lie in [0, {model.num_classes}), got {c[j]}"
        )
    return b, c.astype(np.int64)


class YoloLoss(nn.Module):
    """How far a detector's numbers are from the true boxes, for each of these.

        (β Σ (1 - GIoU) + Σ H(found) + ν Σ H(not found) + Σ H(class)) / n

    The sums go over the places of true boxes, of which there are n; that of ν over all other places
    that count. H is the cross-entropy. β = 5 and ν = 0.5 are YOLO's; the overlap takes the place of
    squared differences. Source: Redmon et al., CVPR 2016, eq. 3; Rezatofighi et al., CVPR 2019.
    """

    def __init__(self, model: TinyYOLO, box_weight: float = 5.0, empty_weight: float = 0.5):
        super().__init__()
        if box_weight < 0 or empty_weight < 0:
            raise ArgumentError(
                f"YoloLoss: weights must not be negative, got {box_weight} and {empty_weight}"
            )
        self.boxes_of = model.boxes_of
        self.num_classes = model.num_classes
        self.box_weight, self.empty_weight = box_weight, empty_weight

    def forward(self, outputs: Tensor, targets: YoloTargets) -> Tensor:
        """(N, A, R, C, 5 + K) and what `assign` gives -> the loss."""
        found, counted, boxes = (t.astype(outputs.dtype) for t in targets[:3])
        if outputs.shape[:4] != found.shape:
            raise ShapeError(
                f"YoloLoss: outputs and targets must have the same places (N, A, R, C), got "
                f"{describe(outputs)} and {describe(found)}; assign() needs the images' size"
            )
        n = maximum(sum(found), 1.0)
        place = sum(found * generalized_box_iou_loss(self.boxes_of(outputs), boxes))
        there = binary_cross_entropy_with_logits(outputs[..., OBJECT], found, reduction="none")
        weight = found + self.empty_weight * (1 - found)
        logits = reshape(outputs[..., CLASSES:], (-1, self.num_classes))
        entropies = cross_entropy(logits, reshape(targets.labels, (-1,)), reduction="none")
        named = sum(reshape(found, (-1,)) * entropies)
        return (self.box_weight * place + sum(counted * weight * there) + named) / n


def anchors_of(
    boxes: Any, count: int, *, seed: int = 0, rounds: int = 100
) -> list[tuple[float, float]]:
    """Shapes that stand for those of true boxes: k-means with 1 - IoU as the distance.

    `boxes` (n, 4) are those of all images. The result is sorted by area.
    Source: Redmon & Farhadi, CVPR 2017, sec. 2 (dimension clusters).

    >>> anchors_of([[0, 0, 10, 10], [5, 5, 15, 15], [0, 0, 30, 20], [1, 1, 31, 21]], 2)
    [(10.0, 10.0), (30.0, 20.0)]
    """
    b = np.asarray(as_tensor(boxes).numpy(), np.float64).reshape(-1, 4)
    sizes = b[:, 2:] - b[:, :2]
    different = np.unique(sizes, axis=0)
    if not 0 < count <= len(different):
        raise ArgumentError(
            f"anchors_of: count must lie in [1, {len(different)}], the number of different shapes, "
            f"got {count}"
        )
    centres = np.random.default_rng(seed).permutation(different)[:count]
    for _ in range(rounds):
        nearest = shape_iou(sizes, centres).argmax(axis=1)
        new = np.array(
            [sizes[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k]
             for k in range(count)]
        )  # fmt: skip
        if (new == centres).all():
            break
        centres = new
    order = np.argsort(centres.prod(axis=1), kind="stable")
    return [(float(w), float(h)) for w, h in centres[order]]


__all__ = ["YoloLoss", "YoloTargets", "anchors_of", "assign"]
