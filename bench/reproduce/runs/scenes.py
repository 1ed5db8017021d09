"""A detector on scenes that are generated: discs, squares and triangles on a ground with noise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..recipe import Arrays, Data, Recipe, State, at_least, one_cycle

_SIZE, _CLASSES = 64, 3
_ANCHORS = ((10.0, 10.0), (16.0, 16.0), (24.0, 24.0))
_SHAPE: dict[str, Any] = {"stages": 4, "width": 8}
#: Boxes with smaller scores are not looked at.
_SURE = 0.05

_Truths = list[tuple[np.ndarray, np.ndarray]]


def _scenes(count: int, seed: int) -> tuple[np.ndarray, _Truths]:
    """Images (N, 3, 64, 64) with 1 to 5 things of 8 to 26 pixels, their boxes and classes.

    The centre of a thing is never inside the box of another. Class 0 is a disc, 1 a square, 2 a
    triangle; colours say nothing.
    """
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:_SIZE, :_SIZE] + 0.5
    images = np.empty((count, 3, _SIZE, _SIZE), np.float32)
    truths = []
    for image in images:
        slope = random.uniform(-0.3, 0.3, (3, 2, 1, 1))
        image[:] = random.uniform(0.3, 0.7, (3, 1, 1)) + slope[:, 0] * row / _SIZE
        image += slope[:, 1] * column / _SIZE
        boxes: list[tuple[float, ...]] = []
        labels = []
        for _ in range(random.integers(1, 6)):
            side = random.integers(8, 27)
            x, y = random.integers(0, _SIZE - side + 1, 2)
            box = (x, y, x + side, y + side)
            if any(_centred(box, other) or _centred(other, box) for other in boxes):
                continue
            label = random.integers(0, _CLASSES)
            part = image[:, y : y + side, x : x + side]
            inside = _inside(label, side)
            away = random.choice((-1, 1), 3) * random.uniform(0.15, 0.5, 3)
            part[:, inside] = (part[:, inside].mean(1) + away)[:, None]
            boxes.append(box)
            labels.append(label)
        truths.append((np.array(boxes, np.float32), np.array(labels)))
    images += random.normal(0, 0.05, images.shape)
    return images - 0.5, truths


def _inside(label: int, side: int) -> np.ndarray:
    """Which places of a square belong to the thing that fills it."""
    down, across = (np.mgrid[:side, :side] + 0.5) / side
    if label == 0:
        return (across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.25
    return (label == 1) | (2 * abs(across - 0.5) < down)


def _centred(box: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether the centre of a box lies in another."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return other[0] <= x <= other[2] and other[1] <= y <= other[3]


def _data(root: Path | None) -> Data:
    """x, and what `assign` makes of the true boxes: found, counted, boxes, labels."""
    few = root is None
    train, _ = _part(100 if few else 2_000, 0)
    test, truths = _part(20 if few else 400, 1)
    return Data(train, test, {"truths": truths})


def _others(data: Data, seed: int) -> Data:
    """Scenes of which neither training nor the test knows."""
    test, truths = _part(400, 2 + seed)
    return Data(data.train, test, {"truths": truths})


def _part(count: int, seed: int) -> tuple[Arrays, _Truths]:
    from backlit.models.detection import assign

    x, truths = _scenes(count, seed)
    targets = assign(_our_network(), *zip(*truths, strict=True), size=(_SIZE, _SIZE))
    return (x, *(t.numpy() for t in targets)), truths


def _our_network() -> Any:
    from backlit.models.detection import TinyYOLO

    return TinyYOLO(_CLASSES, _ANCHORS, **_SHAPE)


def _ours(data: Data, dropout: float) -> Any:
    from backlit.models.detection import YoloLoss, YoloTargets

    model = _our_network()
    distance = YoloLoss(model)
    model.loss = lambda outputs, targets: distance(outputs, YoloTargets(*targets))
    model.decode = partial(model.detect, score_threshold=_SURE)
    return model


def _theirs(data: Data, dropout: float, state: State) -> Any:
    from .. import twins

    return twins.loaded(twins.TinyYOLO(_CLASSES, _ANCHORS, sure=_SURE, **_SHAPE), state)


def _loss(F: Any, model: Any, x: Any, *targets: Any) -> Any:
    return model.loss(model(x), targets)


def _mean_precision(side: Any, data: Data) -> float:
    """mAP at an overlap of 0.5, in percent; what each side sees, it says itself."""
    from backlit.models.detection import MeanAveragePrecision

    metric = MeanAveragePrecision((0.5,))
    x, truths = data.test[0], data.facts["truths"]
    for i in range(0, len(x), 100):
        true = [{"boxes": b, "labels": c} for b, c in truths[i : i + 100]]
        metric.update(side.decode(x[i : i + 100]), true)
    return 100 * metric.compute()["map_50"]


RECIPES = (
    Recipe(
        "scenes",
        "TinyYOLO of 4 stages from 8 channels on, 2,000 scenes of 64×64, batch 25, Adam, 20 "
        "epochs, one cycle",
        _data,
        _ours,
        _theirs,
        epochs=20,
        batch=25,
        optimizer="adam",
        settings={"lr": 3e-3},
        rate=one_cycle,
        loss=_loss,
        figure=_mean_precision,
        validation=_others,
        unit="mAP@0.5",
        goal="mAP@0.5 ≥ 90 %",
        met=at_least(90.0),
        tolerance=1e-3,
        long=True,
    ),
)
