"""Finding objects: boxes and their overlaps, a small detector, its training, and how good it is.

- `boxes`: overlaps (IoU, GIoU), other forms, suppression of boxes that overlap (`nms`);
- `yolo`: the network, and the boxes that its numbers mean;
- `training`: true boxes at their places, the loss, anchors that fit the data;
- `average_precision`: mAP at one overlap, and COCO's over many.
"""

from .average_precision import MeanAveragePrecision
from .boxes import *
from .boxes import __all__ as _boxes
from .training import YoloLoss, YoloTargets, anchors_of, assign
from .yolo import Detections, TinyYOLO

__all__ = [
    *_boxes,
    "Detections",
    "MeanAveragePrecision",
    "TinyYOLO",
    "YoloLoss",
    "YoloTargets",
    "anchors_of",
    "assign",
]
