"""Boxes: areas, overlaps, other forms, and of those that overlap the best one.

A box is (x₁, y₁, x₂, y₂), its left, upper, right and lower border, on the last axis. Names and
results are those of `torchvision.ops`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array_api import clip, concat, expand_dims, maximum, minimum, where
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...tensor import Tensor, as_tensor, tensor

_FORMS = ("xyxy", "xywh", "cxcywh")


def _boxes(name: str, boxes: Any) -> Tensor:
    boxes = as_tensor(boxes)
    if boxes.ndim < 1 or boxes.shape[-1] != 4:
        raise ShapeError(f"{name}: boxes must have shape (..., 4), got {describe(boxes)}")
    return boxes if boxes.dtype.kind == "f" else boxes.astype("float32")


def _sides(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def box_area(boxes: Any) -> Tensor:
    """(x₂ - x₁)(y₂ - y₁):  (..., 4) -> (...)."""
    x1, y1, x2, y2 = _sides(_boxes("box_area", boxes))
    return (x2 - x1) * (y2 - y1)


def box_convert(boxes: Any, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes in another form: "xyxy", "xywh" (corner and size) or "cxcywh" (centre and size).

    >>> box_convert([[10.0, 20.0, 30.0, 60.0]], "xyxy", "cxcywh").tolist()
    [[20.0, 40.0, 20.0, 40.0]]
    """
    for name, form in (("in_fmt", in_fmt), ("out_fmt", out_fmt)):
        if form not in _FORMS:
            raise ArgumentError(
                f"box_convert: {name} must be one of {', '.join(_FORMS)}, got {form!r}"
            )
    boxes = _boxes("box_convert", boxes)
    a, b = boxes[..., :2], boxes[..., 2:]
    if in_fmt == "xywh":
        b = a + b
    elif in_fmt == "cxcywh":
        a, b = a - b / 2, a + b / 2
    if out_fmt == "xywh":
        b = b - a
    elif out_fmt == "cxcywh":
        a, b = (a + b) / 2, b - a
    return concat((a, b), axis=-1)


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The areas of intersections and unions of boxes that broadcast."""
    ax1, ay1, ax2, ay2 = _sides(a)
    bx1, by1, bx2, by2 = _sides(b)
    wide = clip(minimum(ax2, bx2) - maximum(ax1, bx1), 0)
    high = clip(minimum(ay2, by2) - maximum(ay1, by1), 0)
    shared = wide * high
    return shared, (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared


def _over(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0, with gradients that are finite."""
    return where(b > 0, a / where(b > 0, b, 1.0), 0.0)


def _pairs(name: str, boxes1: Any, boxes2: Any) -> tuple[Tensor, Tensor]:
    a, b = _boxes(name, boxes1), _boxes(name, boxes2)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(
            f"{name}: both must have shape (boxes, 4), got {describe(a)} and {describe(b)}"
        )
    return expand_dims(a, 1), expand_dims(b, 0)


def box_iou(boxes1: Any, boxes2: Any) -> Tensor:
    """|A ∩ B| / |A ∪ B| of each pair:  (A, 4), (B, 4) -> (A, B); 0 where both are empty.

    (PyTorch's is NaN there.)

    >>> box_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0], [4.0, 4.0, 5.0, 5.0]]).tolist()
    [[0.3333333432674408, 0.0]]
    """
    shared, union = _overlap(*_pairs("box_iou", boxes1, boxes2))
    return _over(shared, union)


def _generalized(a: Tensor, b: Tensor) -> Tensor:
    shared, union = _overlap(a, b)
    ax1, ay1, ax2, ay2 = _sides(a)
    bx1, by1, bx2, by2 = _sides(b)
    hull = (maximum(ax2, bx2) - minimum(ax1, bx1)) * (maximum(ay2, by2) - minimum(ay1, by1))
    return _over(shared, union) - _over(hull - union, hull)


def generalized_box_iou(boxes1: Any, boxes2: Any) -> Tensor:
    """IoU - (|H| - |A ∪ B|) / |H| of each pair, H the smallest box around both: in (-1, 1].

    (A, 4), (B, 4) -> (A, B). Unlike IoU it has a slope where boxes do not overlap.
    Source: Rezatofighi et al., CVPR 2019, alg. 1.
    """
    return _generalized(*_pairs("generalized_box_iou", boxes1, boxes2))


def generalized_box_iou_loss(boxes1: Any, boxes2: Any) -> Tensor:
    """1 - GIoU of boxes at equal places:  (..., 4), (..., 4) -> (...)."""
    a, b = (_boxes("generalized_box_iou_loss", t) for t in (boxes1, boxes2))
    if a.shape != b.shape:
        raise ShapeError(
            f"generalized_box_iou_loss: both must have one shape, got {describe(a)} and "
            f"{describe(b)}"
        )
    return 1 - _generalized(a, b)


def clip_boxes_to_image(boxes: Any, size: tuple[int, int]) -> Tensor:
    """Boxes cut off at the borders of an image of size (height, width)."""
    boxes = _boxes("clip_boxes_to_image", boxes)
    high, wide = size
    limits = tensor([wide, high, wide, high], dtype=boxes.dtype)
    return minimum(clip(boxes, 0), limits)


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Tensor:
    """Which boxes are kept: from the best on, those that overlap no better one by more than that.

        boxes: (N, 4), scores: (N) -> int64 indices, by decreasing score

    Of equal scores the first comes first.

    >>> boxes = [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [20.0, 20.0, 30.0, 30.0]]
    >>> nms(boxes, [0.8, 0.9, 0.5], 0.5).tolist()
    [1, 2]
    """
    return batched_nms(boxes, scores, None, iou_threshold)


def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Tensor:
    """`nms` for each class alone: boxes of different `idxs` (N) never suppress each other."""
    b = _boxes("nms", boxes).numpy()
    s = np.asarray(as_tensor(scores).numpy())
    group = np.zeros(len(b), np.int64) if idxs is None else np.asarray(as_tensor(idxs).numpy())
    if b.ndim != 2 or s.shape != b.shape[:1] or group.shape != s.shape:
        raise ShapeError(
            "nms: boxes must be (N, 4), scores (and idxs) (N,), got "
            f"{b.shape}, {s.shape} and {group.shape}"
        )
    if not 0 <= iou_threshold <= 1:
        raise ArgumentError(f"nms: iou_threshold must lie in [0, 1], got {iou_threshold}")
    if np.isnan(s).any():
        raise ArgumentError("nms: scores must be numbers, got NaN")
    left = np.argsort(-s, kind="stable")
    area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        wide = np.minimum(b[left, 2], b[best, 2]) - np.maximum(b[left, 0], b[best, 0])
        high = np.minimum(b[left, 3], b[best, 3]) - np.maximum(b[left, 1], b[best, 1])
        shared = wide.clip(0) * high.clip(0)
        union = area[left] + area[best] - shared
        left = left[(shared <= iou_threshold * union) | (group[left] != group[best])]
    return tensor(np.array(kept, np.int64))


__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "nms",
]
