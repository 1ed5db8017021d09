"""`torchvision.ops`: boxes and their overlaps, which `backlit.models.detection` has."""

from __future__ import annotations

import sys as _sys

import numpy as np

from ..calls import explain
from ..models.detection import boxes as _ours
from ..models.detection.boxes import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    generalized_box_iou,
    nms,
)
from ..models.detection.regions import roi_align
from ..nn.module import Module as _Module
from ..tensor import Tensor
from ..tensor import wrap as _wrap
from ..torch import nn as _nn
from ..torch.mirror import mirrored as _mirrored
from .utils import require as _require


def _reduced(what: str, values: Tensor, reduction: str) -> Tensor:
    known = ("none", "mean", "sum")
    _require(
        what, reduction in known, f"reduction must be one of {', '.join(known)}, got {reduction!r}"
    )
    return values if reduction == "none" else getattr(values, reduction)()


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - GIoU of boxes at equal places; `eps` is not needed, as no quotient has a divisor of 0."""
    losses = _ours.generalized_box_iou_loss(boxes1, boxes2)
    return _reduced("generalized_box_iou_loss", losses, reduction)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The indices of the boxes of which no side is shorter."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return _wrap(np.flatnonzero((sides.numpy() >= min_size).all(axis=-1)))


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """Binary cross-entropy of logits with a weight (1 - p)^γ, p the probability of the target.

    With `alpha` targets of 1 count alpha, those of 0 count 1 - alpha; -1 leaves that out.
    Source: Lin et al., ICCV 2017, eq. 5.
    """
    _require(
        "sigmoid_focal_loss",
        0 <= alpha <= 1 or alpha == -1,
        f"alpha must lie in [0, 1], or be -1, got {alpha}",
    )
    p = inputs.sigmoid()
    losses = _nn.functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    losses = losses * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        losses = losses * (alpha * targets + (1 - alpha) * (1 - targets))
    return _reduced("sigmoid_focal_loss", losses, reduction)


boxes = _sys.modules[__name__]  # torchvision's file, which has what is here


class RoIAlign(_Module):
    """`roi_align` of one grid, as a layer."""

    def __init__(
        self, output_size: object, spatial_scale: float, sampling_ratio: int, aligned: bool = False
    ):
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, input: Tensor, rois: object) -> Tensor:
        """Of an image's features and boxes."""
        how = (self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)
        return roi_align(input, rois, *how)  # type: ignore[arg-type]


__getattr__ = _mirrored("torchvision.ops")

explain(__name__, list(globals()))
