"""A small detector of the YOLO kind: the network, and the boxes that its numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ... import nn
from ...array_api import arange, clip, exp, permute_dims, reshape, sigmoid, stack, take
from ...array_api.arguments import whole
from ...autograd import no_grad
from ...errors import ArgumentError, ShapeError
from ...nn.functional import softmax
from ...op import describe
from ...state import where_called
from ...tensor import Tensor, tensor
from ..catalogue import network
from .boxes import batched_nms, clip_boxes_to_image

#: Sizes are anchors times e^t, with t limited to this much on both sides.
_STRETCH = 4.0
#: Numbers before those of the classes: place, size, whether there is an object.
BOX, OBJECT, CLASSES = slice(0, 4), 4, 5


class Detections(NamedTuple):
    """What is seen in an image, the surest first: boxes (n, 4), scores (n) and labels (n)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@network(input=(3, 96, 96), parameters=297_096, multiply_adds=121_208_832, name="tiny_yolo")
class TinyYOLO(nn.Module):
    """A detector for small images: at each place of a grid a few boxes, each with classes.

    3×3 convolutions with batch-norm and leaky ReLU in `stages` stages; pooling after each but the
    first makes a grid of (H/s, W/s) places, s = 2^(stages - 1). There, for each of the A `anchors`
    (width, height in pixels) stand 5 + K numbers t, which `boxes_of` reads as

        x = s·(column + σ(t₀)),  y = s·(row + σ(t₁)),  w = a_w·exp t₂,  h = a_h·exp t₃

    the centre and the size of a box, σ(t₄) whether there is an object, and K logits of its class.
    `YoloLoss` trains it on what `assign` makes of true boxes; `detect` is for use.
    Source: Redmon & Farhadi, CVPR 2017, arXiv:1612.08242, sec. 2; small as "tiny" there.

    >>> from backlit import zeros
    >>> model = TinyYOLO(num_classes=3)
    >>> model(zeros((1, 3, 96, 64))).shape
    (1, 3, 12, 8, 8)
    """

    def __init__(
        self,
        num_classes: int = 3,
        anchors: Sequence[tuple[float, float]] = ((12, 12), (24, 24), (48, 48)),
        stages: int = 4,
        width: int = 16,
        channels: int = 3,
    ):
        super().__init__()
        if not anchors or not all(len(a) == 2 and min(a) > 0 for a in anchors):
            raise ArgumentError(
                f"TinyYOLO: anchors must be (width, height) in pixels, got {anchors!r:.80}"
            )
        self.num_classes = whole("TinyYOLO: num_classes", num_classes)
        self.anchors = tuple((float(w), float(h)) for w, h in anchors)
        self.stride = 2 ** (whole("TinyYOLO: stages", stages) - 1)
        layers: list[nn.Module] = []
        inputs = channels
        for number in range(stages):
            outputs = width << number
            if number:
                layers.append(nn.MaxPool2d(2))
            for a in (inputs, outputs):
                layers += [
                    nn.Conv2d(a, outputs, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.LeakyReLU(0.1),
                ]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(inputs, len(anchors) * (CLASSES + num_classes), 1)
        self._expect_nothing()

    def _expect_nothing(self) -> None:
        """Let objects be rare at the start, or the many places without one drown the others."""
        bias = self.head.bias
        if bias is not None:
            start = np.zeros((len(self.anchors), CLASSES + self.num_classes))
            start[:, OBJECT] = -4.0  # σ(-4) = 0.018
            bias.assign(start.ravel())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, A, H/s, W/s, 5 + K)."""
        if x.ndim != 4 or x.shape[2] % self.stride or x.shape[3] % self.stride:
            raise ShapeError(
                f"TinyYOLO: x must be (N, C, H, W) with H and W multiples of {self.stride}, got "
                f"{describe(x)}{where_called()}; resize the images and their boxes, or pad them"
            )
        y = self.head(self.features(x))
        n, _, rows, columns = y.shape
        y = reshape(y, (n, len(self.anchors), CLASSES + self.num_classes, rows, columns))
        return permute_dims(y, (0, 1, 3, 4, 2))

    def boxes_of(self, outputs: Tensor) -> Tensor:
        """(N, A, R, C, 5 + K) -> boxes (N, A, R, C, 4), as their borders in pixels."""
        *_, rows, columns, _ = outputs.shape
        dtype = outputs.dtype
        x = (sigmoid(outputs[..., 0]) + arange(columns, dtype=dtype)) * self.stride
        down = reshape(arange(rows, dtype=dtype), (rows, 1))
        y = (sigmoid(outputs[..., 1]) + down) * self.stride
        anchors = tensor(self.anchors, dtype=dtype)
        size = exp(clip(outputs[..., 2:4], -_STRETCH, _STRETCH))
        size = size * reshape(anchors, (1, len(self.anchors), 1, 1, 2)) / 2
        wide, high = size[..., 0], size[..., 1]
        return stack((x - wide, y - high, x + wide, y + high), axis=-1)

    def detect(
        self,
        x: Tensor,
        *,
        score_threshold: float = 0.3,
        iou_threshold: float = 0.5,
        limit: int = 100,
    ) -> list[Detections]:
        """What is seen in each image of a batch: at most `limit` boxes, cut off at its borders.

        A score is σ(t₄) times the probability of the class. Of boxes of one class that overlap by
        more than `iou_threshold` the surest stays. The network must be in evaluation mode.
        """
        if self.training:
            raise ArgumentError(
                "TinyYOLO.detect: the network must be in evaluation mode, or batch-norm mixes the "
                "images; call model.eval() first"
            )
        with no_grad():
            outputs = self(x)
            n, _, high, wide = x.shape
            all_boxes = reshape(self.boxes_of(outputs), (n, -1, 4))
            sure = sigmoid(outputs[..., OBJECT : OBJECT + 1])
            scores = reshape(
                sure * softmax(outputs[..., CLASSES:], dim=-1), (n, -1, self.num_classes)
            ).numpy()
        found = []
        for i in range(n):
            places, labels = np.nonzero(scores[i] >= score_threshold)
            boxes = clip_boxes_to_image(take(all_boxes[i], tensor(places), axis=0), (high, wide))
            values = tensor(scores[i][places, labels])
            kept = batched_nms(boxes, values, labels, iou_threshold)[:limit]
            found.append(
                Detections(
                    take(boxes, kept, axis=0),
                    take(values, kept, axis=0),
                    take(tensor(labels), kept, axis=0),
                )
            )
        return found


__all__ = ["Detections", "TinyYOLO"]
