"""Finding objects: boxes by hand and by counting pixels, targets, loss, and mean precision."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.errors import ArgumentError, DataError, ShapeError
from backlit.models import detection
from backlit.models.detection import MeanAveragePrecision, TinyYOLO, YoloLoss, assign

rng = np.random.default_rng(0)


def some_boxes(n: int, size: int = 20) -> np.ndarray:
    a = rng.integers(0, size - 1, (n, 2))
    return np.concatenate((a, a + rng.integers(1, size // 2, (n, 2))), axis=1).astype("f8")


def pixels(box, size: int = 40) -> np.ndarray:
    """Which places of a grid lie in a box with whole borders."""
    seen = np.zeros((size, size), bool)
    x1, y1, x2, y2 = map(int, box)
    seen[y1:y2, x1:x2] = True
    return seen


# -- boxes --------------------------------------------------------------------------------------


def test_overlaps_by_counting_pixels() -> None:
    a, b = some_boxes(12), some_boxes(9)
    iou = detection.box_iou(a, b).numpy()
    giou = detection.generalized_box_iou(a, b).numpy()
    for i in range(12):
        assert detection.box_area(a[i]).item() == pixels(a[i]).sum()
        for j in range(9):
            p, q = pixels(a[i]), pixels(b[j])
            shared, union = (p & q).sum(), (p | q).sum()
            low, high = np.minimum(a[i], b[j])[:2], np.maximum(a[i], b[j])[2:]
            hull = (high - low).prod()
            assert iou[i, j] == pytest.approx(shared / union, rel=1e-12)
            assert giou[i, j] == pytest.approx(shared / union - (hull - union) / hull, rel=1e-9)
    each = detection.generalized_box_iou_loss(a[:9], b).numpy()
    np.testing.assert_allclose(each, 1 - np.diagonal(giou[:9]), rtol=1e-12)


def test_the_gradient_of_the_overlap_is_right_and_finite_for_empty_boxes() -> None:
    a = bl.tensor([[1.0, 1.0, 4.0, 5.0], [0.0, 0.0, 2.0, 2.0]], dtype="float64", requires_grad=True)
    b = bl.tensor([[2.0, 3.0, 6.0, 6.5], [7.0, 7.0, 9.0, 8.5]], dtype="float64")
    assert bl.gradcheck(lambda a: detection.generalized_box_iou_loss(a, b), a)
    empty = bl.tensor([[3.0, 3.0, 3.0, 3.0]], requires_grad=True)
    assert detection.box_iou(empty, empty).item() == 0
    bl.sum(detection.generalized_box_iou_loss(empty, empty)).backward()
    assert np.isfinite(empty.grad.numpy()).all()


def test_forms_of_boxes_there_and_back() -> None:
    a = some_boxes(5)
    np.testing.assert_array_equal(
        detection.box_convert([[1.0, 2.0, 4.0, 8.0]], "xyxy", "xywh").numpy(), [[1, 2, 3, 6]]
    )
    for form in ("xyxy", "xywh", "cxcywh"):
        other = detection.box_convert(a, "xyxy", form)
        np.testing.assert_allclose(detection.box_convert(other, form, "xyxy").numpy(), a)
    with pytest.raises(ArgumentError, match=r"out_fmt must be one of xyxy, xywh, cxcywh, got 'xy'"):
        detection.box_convert(a, "xyxy", "xy")
    cut = detection.clip_boxes_to_image([[-1.0, 2.0, 50.0, 70.0]], (40, 30)).tolist()
    assert cut == [[0.0, 2.0, 30.0, 40.0]]


def slow_nms(boxes, scores, threshold, groups) -> list[int]:
    """From the definition: one is kept if no better kept one of its group overlaps it too much."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        p = pixels(boxes[i])
        others = [pixels(boxes[k]) for k in kept if groups[k] == groups[i]]
        if all((p & q).sum() <= threshold * (p | q).sum() for q in others):
            kept.append(i)
    return kept


def test_suppression_is_that_of_its_definition() -> None:
    for n, threshold in ((0, 0.5), (1, 0.0), (30, 0.1), (30, 0.5), (30, 1.0)):
        boxes, scores, groups = some_boxes(n), rng.integers(0, 9, n) / 9, rng.integers(0, 2, n)
        got = detection.nms(boxes, scores, threshold).tolist()
        assert got == slow_nms(boxes, scores, threshold, np.zeros(n))
        got = detection.batched_nms(boxes, scores, groups, threshold).tolist()
        assert got == slow_nms(boxes, scores, threshold, groups)


def test_a_box_that_overlaps_by_just_the_threshold_is_kept() -> None:
    boxes = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]]
    assert detection.nms(boxes, [0.9, 0.8], 0.5).tolist() == [0, 1]
    assert detection.nms(boxes, [0.9, 0.8], 0.49).tolist() == [0]


def test_errors_of_boxes() -> None:
    with pytest.raises(ShapeError, match=r"box_area: boxes must have shape \(..., 4\), got float"):
        detection.box_area(bl.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"box_iou: both must have shape \(boxes, 4\), got"):
        detection.box_iou(bl.zeros((1, 2, 4)), bl.zeros((2, 4)))
    with pytest.raises(ShapeError, match=r"_loss: both must have one shape, got"):
        detection.generalized_box_iou_loss(bl.zeros((1, 4)), bl.zeros((2, 4)))
    with pytest.raises(ShapeError, match=r"nms: boxes must be \(N, 4\), scores .* got \(2, 4\)"):
        detection.nms(bl.zeros((2, 4)), bl.zeros(3), 0.5)
    with pytest.raises(ArgumentError, match=r"nms: iou_threshold must lie in \[0, 1\], got 2"):
        detection.nms(bl.zeros((2, 4)), bl.zeros(2), 2)
    with pytest.raises(ArgumentError, match=r"nms: scores must be numbers, got NaN"):
        detection.nms(bl.zeros((2, 4)), [1.0, bl.nan], 0.5)


# -- the detector -------------------------------------------------------------------------------


def detector(classes: int = 2) -> TinyYOLO:
    bl.manual_seed(0)
    return TinyYOLO(classes, anchors=((6, 6), (12, 8)), stages=3, width=4)


def test_boxes_are_read_as_the_documentation_says() -> None:
    model = detector()
    outputs = rng.normal(size=(1, 2, 3, 4, 7))
    boxes = model.boxes_of(bl.tensor(outputs)).numpy()
    for a, row, column in ((0, 0, 0), (1, 2, 3), (1, 0, 2)):
        t = outputs[0, a, row, column]
        x = 4 * (column + 1 / (1 + np.exp(-t[0])))
        y = 4 * (row + 1 / (1 + np.exp(-t[1])))
        w, h = np.array(((6, 6), (12, 8))[a]) * np.exp(t[2:4])
        expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        np.testing.assert_allclose(boxes[0, a, row, column], expected, rtol=1e-12)


def test_targets_stand_in_the_cell_of_the_centre_at_the_anchor_of_their_shape() -> None:
    t = assign(detector(), [[[0, 0, 7, 5], [10, 9, 20, 17]], []], [[1, 0], []], (20, 24))
    assert t.found.shape == (2, 2, 5, 6)
    assert np.argwhere(t.found.numpy()).tolist() == [[0, 0, 0, 0], [0, 1, 3, 3]]
    assert t.boxes[0, 1, 3, 3].tolist() == [10, 9, 20, 17]
    assert t.labels[0, 0, 0, 0].item() == 1
    # 7×5 and the other anchor, 12×8: 35 / 96 < 1/2; 10×8 and 6×6: 36 / 80 < 1/2
    assert (t.counted.numpy() == 1).all()
    t = assign(detector(), [[[0, 0, 7, 7]]], [[0]], (20, 24))
    assert np.argwhere(t.counted.numpy() == 0).tolist() == [[0, 1, 0, 0]]  # 49 / 96 > 1/2


def test_boxes_that_want_one_place_share_its_anchors_and_then_one_is_left_out() -> None:
    same = [[0, 0, 6, 6], [1, 1, 7, 7]]
    t = assign(detector(), [same], [[0, 1]], (16, 16))
    assert t.found.numpy()[0, :, 0, 0].tolist() == [1, 0]
    assert t.found.numpy()[0, :, 1, 1].tolist() == [1, 0]
    same = [[0, 0, 6, 6], [0, 0, 7, 7]]
    t = assign(detector(), [same], [[0, 1]], (16, 16))
    assert t.found.numpy()[0, :, 0, 0].tolist() == [1, 1]
    assert t.labels.numpy()[0, :, 0, 0].tolist() == [1, 0]  # the larger took the nearer anchor
    with pytest.warns(UserWarning, match=r"assign: 1 true boxes found no free anchor in "):
        assign(detector(), [[*same, [0, 0, 5, 5]]], [[0, 1, 0]], (16, 16))


def test_the_loss_by_hand() -> None:
    model = detector()
    outputs = rng.normal(size=(1, 2, 2, 2, 7))
    truth = [2.0, 1.0, 7.0, 6.0]
    targets = assign(model, [[truth]], [[1]], (8, 8))
    ((_, a, row, column),) = np.argwhere(targets.found.numpy())
    t = outputs[0, a, row, column]
    box = model.boxes_of(bl.tensor(outputs))[0, a, row, column].numpy()
    giou = detection.generalized_box_iou([box.tolist()], [truth]).item()
    entropy = np.log1p(np.exp(-outputs[..., 4])) + (1 - targets.found.numpy()) * outputs[..., 4]
    weight = np.where(targets.found.numpy() == 1, 1, 0.5) * targets.counted.numpy()
    classes = np.log(np.exp(t[5:]).sum()) - t[6]
    expected = 5 * (1 - giou) + (weight * entropy).sum() + classes
    loss = YoloLoss(model)(bl.tensor(outputs), targets)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    nothing = YoloLoss(model)(bl.tensor(outputs), assign(model, [[]], [[]], (8, 8)))
    expected = 0.5 * np.log1p(np.exp(outputs[..., 4])).sum()
    assert nothing.item() == pytest.approx(expected, rel=1e-6)


def scenes(n: int, size: int = 32) -> tuple[np.ndarray, list, list]:
    """Bright rectangles of two colours on a dark ground."""
    x = rng.normal(0, 0.1, (n, 3, size, size)).astype("f4")
    boxes, labels = [], []
    for image in x:
        wide, high = rng.integers(5, 12, 2)
        left, top = rng.integers(0, size - wide), rng.integers(0, size - high)
        label = int(rng.integers(0, 2))
        image[2 * label, top : top + high, left : left + wide] += 1
        boxes.append([[left, top, left + wide, top + high]])
        labels.append([label])
    return x, boxes, labels


@pytest.mark.slow
def test_a_detector_learns_to_find_rectangles() -> None:
    x, boxes, labels = scenes(8)
    shapes = detection.anchors_of(np.concatenate(boxes), 2)
    bl.manual_seed(0)
    model = TinyYOLO(2, shapes, stages=3, width=8)
    loss_fn = YoloLoss(model)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    @bl.compile
    def step(x, targets):
        loss = loss_fn(model(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    targets = assign(model, boxes, labels, (32, 32))
    for _ in range(60):
        step(bl.tensor(x), targets)
    found = model.eval().detect(bl.tensor(x))
    metric = MeanAveragePrecision()
    metric.update(found, [{"boxes": b, "labels": c} for b, c in zip(boxes, labels, strict=True)])
    assert metric.compute()["map_50"] > 0.9
    borders = np.concatenate([d.boxes.numpy() for d in found])
    assert borders.min() >= 0
    assert borders.max() <= 32


def test_what_is_seen_is_sorted_limited_and_suppressed() -> None:
    model = detector()
    x = bl.tensor(rng.normal(size=(2, 3, 16, 16)).astype("f4"))
    everything = model.eval().detect(x, score_threshold=0.0, iou_threshold=1.0, limit=10**6)
    assert [len(d.scores) for d in everything] == [2 * 2 * 4 * 4] * 2
    for d in model.detect(x, score_threshold=0.0, iou_threshold=0.2, limit=5):
        assert len(d.scores) == len(d.boxes) == len(d.labels) == 5
        assert (np.diff(d.scores.numpy()) <= 0).all()
    assert [len(d.boxes) for d in model.detect(x, score_threshold=1.0)] == [0, 0]


def test_anchors_are_found_again() -> None:
    sizes = np.repeat([[6.0, 6.0], [20.0, 10.0], [30.0, 30.0]], 20, axis=0)
    sizes += rng.normal(0, 0.2, sizes.shape)
    boxes = np.concatenate((np.zeros_like(sizes), sizes), axis=1)
    np.testing.assert_allclose(
        detection.anchors_of(boxes, 3), [(6, 6), (20, 10), (30, 30)], atol=0.3
    )
    with pytest.raises(ArgumentError, match=r"count must lie in \[1, 60\], the number of differ"):
        detection.anchors_of(boxes, 61)


def test_errors_of_the_detector() -> None:
    model = detector()
    with pytest.raises(ShapeError, match=r"TinyYOLO: x must be \(N, C, H, W\) with H and W multip"):
        model(bl.zeros((1, 3, 18, 16)))
    with pytest.raises(ArgumentError, match=r"anchors must be \(width, height\) in pixels, got"):
        TinyYOLO(2, anchors=[(0, 3)])
    with pytest.raises(ArgumentError, match=r"detect: the network must be in evaluation mode"):
        model.detect(bl.zeros((1, 3, 16, 16)))
    with pytest.raises(DataError, match=r"box 1 of image 0 must have 0 ≤ x1 < x2 ≤ 16 .* got \[3"):
        assign(model, [[[0, 0, 4, 4], [3, 3, 3, 5]]], [[0, 0]], (16, 16))
    with pytest.raises(DataError, match=r"label 0 of image 1 must lie in \[0, 2\), got 2"):
        assign(model, [[], [[0, 0, 4, 4]]], [[], [2]], (16, 16))
    with pytest.raises(ShapeError, match=r"image 0 has 1 boxes but 2 labels"):
        assign(model, [[[0, 0, 4, 4]]], [[0, 0]], (16, 16))
    with pytest.raises(ShapeError, match=r"one number of images, got 1 and 2"):
        assign(model, [[]], [[], []], (16, 16))
    with pytest.raises(ShapeError, match=r"YoloLoss: outputs and targets must have the same"):
        YoloLoss(model)(bl.zeros((1, 2, 4, 4, 7)), assign(model, [[]], [[]], (8, 8)))
    with pytest.raises(ArgumentError, match=r"YoloLoss: weights must not be negative, got -1"):
        YoloLoss(model, box_weight=-1)


# -- mean average precision -----------------------------------------------------------------------


def truth(*boxes, labels=None) -> dict:
    return {"boxes": list(boxes), "labels": labels or [0] * len(boxes)}


def seen(*boxes, scores, labels=None) -> dict:
    return {**truth(*boxes, labels=labels), "scores": scores}


A, B = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]


def test_precision_by_hand() -> None:
    """Of three detections the second is false: precision 1 up to recall ½, then 2/3 up to 1."""
    metric = MeanAveragePrecision()
    metric.update([seen(A, [50, 50, 60, 60], B, scores=[0.9, 0.8, 0.7])], [truth(A, B)])
    assert metric.compute()["map_50"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert metric.compute()["map"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert list(metric.average_precision()) == [0]


def test_a_true_box_is_found_once_and_in_its_image_and_class_only() -> None:
    metric = MeanAveragePrecision()
    metric.update([seen(A, A, scores=[0.9, 0.8])], [truth(A)])
    assert metric.compute()["map"] == pytest.approx(1)
    metric.reset()
    metric.update([seen(A, scores=[0.5]), seen(B, scores=[0.9])], [truth(B), truth(B)])
    assert metric.compute()["map_50"] == pytest.approx(51 / 101)
    metric.reset()
    metric.update([seen(A, scores=[0.5], labels=[1])], [truth(A)])
    assert metric.compute()["map_50"] == 0
    assert list(metric.average_precision()) == [0]  # class 1 has no true box
    assert metric.images == 1


def test_a_detection_takes_another_true_box_if_the_nearest_is_taken() -> None:
    metric = MeanAveragePrecision([0.5])
    metric.update([seen(A, A, scores=[0.9, 0.8])], [truth(A, [0, 0, 10, 12])])
    assert metric.compute()["map"] == pytest.approx(1)


def test_an_overlap_of_nine_tenths_counts_up_to_there() -> None:
    metric = MeanAveragePrecision()
    metric.update([seen([0, 0, 9, 10], scores=[1.0])], [truth(A)])
    np.testing.assert_allclose(metric.average_precision()[0], [1] * 9 + [0])
    assert MeanAveragePrecision([0.75]).compute().keys() == {"map", "map_75"}
    assert "map=0.900, map_50=1.000, map_75=1.000; 1 images" in repr(metric)


def test_batches_and_nothing_at_all() -> None:
    data = [(seen(A, B, scores=[0.3, 0.6]), truth(A)), (seen(A, scores=[0.5]), truth(B, A))]
    together, apart = MeanAveragePrecision(), MeanAveragePrecision()
    together.update(*zip(*data, strict=True))
    for a, b in data:
        apart.update([a], [b])
    assert together.compute() == apart.compute()
    empty = MeanAveragePrecision()
    empty.update([seen(scores=[])], [truth()])
    assert np.isnan(empty.compute()["map"])
    empty.update([seen(scores=[])], [truth(A)])
    assert empty.compute()["map"] == 0


def test_errors_of_the_metric() -> None:
    metric = MeanAveragePrecision()
    with pytest.raises(ArgumentError, match=r"must have boxes, labels, scores, one has no scores"):
        metric.update([truth(A)], [truth(A)])
    with pytest.raises(ShapeError, match=r"the others \(n,\), got boxes \(1, 4\), labels \(2,\)"):
        metric.update([seen(A, scores=[1.0], labels=[0, 0])], [truth(A)])
    assert metric.images == 0
    with pytest.raises(ArgumentError, match=r"overlaps must lie in \(0, 1\], got \(0,\)"):
        MeanAveragePrecision([0])


def test_numbers_are_those_of_pycocotools() -> None:
    """Of version 2.0, for these detections, some of which have equal scores."""
    rng = np.random.default_rng(7)
    found, true = [], []
    for _ in range(15):
        n = int(rng.integers(0, 6))
        a = rng.uniform(0, 50, (n, 2))
        boxes = np.concatenate((a, a + rng.uniform(3, 30, (n, 2))), axis=1)
        labels = rng.integers(1, 4, n)
        near = np.concatenate((boxes + rng.normal(0, 1.5, boxes.shape), rng.uniform(0, 40, (2, 4))))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        named = np.where(rng.uniform(size=n) < 0.85, labels, rng.integers(1, 4, n))
        named = np.concatenate((named, rng.integers(1, 4, 2)))
        scores = np.round(rng.uniform(size=n + 2), 2)
        found.append({"boxes": near, "labels": named, "scores": scores})
        true.append({"boxes": boxes, "labels": labels})
    metric = MeanAveragePrecision()
    metric.update(found, true)
    expected = {"map": 0.1863427903, "map_50": 0.4046007165, "map_75": 0.1733054734}
    assert metric.compute() == pytest.approx(expected, abs=1e-7)
