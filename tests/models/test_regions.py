"""Regions of interest: against torchvision's rules, written point by point."""

import math

import numpy as np
import pytest

import backlit as bl
from backlit import torchvision
from backlit.errors import DTypeError, ShapeError
from backlit.models.detection.regions import roi_align


def read(image, y, x):
    """Between four places; 0 a place beyond the edge, and what is nearer has the edge's."""
    h, w = image.shape
    if not (-1 <= y <= h and -1 <= x <= w):
        return 0.0
    y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
    value = 0.0
    for i in {math.floor(y), min(math.floor(y) + 1, h - 1)}:
        for j in {math.floor(x), min(math.floor(x) + 1, w - 1)}:
            value += image[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return value


def reference(x, rois, size, scale, ratio, aligned):
    p, q = size
    result = np.zeros((len(rois), x.shape[1], p, q))
    for k, (number, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (c * scale - 0.5 * aligned for c in corners)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1), max(height, 1)
        rows = ratio if ratio > 0 else math.ceil(height / p)
        columns = ratio if ratio > 0 else math.ceil(width / q)
        for at in np.ndindex(x.shape[1], p, q):
            c, i, j = at
            result[k][at] = sum(
                read(x[int(number), c],
                     y1 + (i + (a + 0.5) / rows) * height / p,
                     x1 + (j + (b + 0.5) / columns) * width / q)
                for a in range(rows) for b in range(columns)
            ) / max(rows * columns, 1)  # fmt: skip
    return result


X = np.random.default_rng(0).standard_normal((2, 2, 6, 7))
ROIS = np.array(
    [[0, 1, 1, 9, 8], [1, -4, -3, 5, 20], [1, 3.3, 2.1, 3.4, 2.2], [0, 12, 10, 16, 14]], float
)


@pytest.mark.parametrize("ratio", [-1, 1, 3])
@pytest.mark.parametrize("aligned", [False, True])
def test_the_cells_of_boxes_are_means_of_their_points(ratio, aligned):
    want = reference(X, ROIS, (2, 3), 0.5, ratio, aligned)
    x = bl.tensor(X, requires_grad=True)
    got = roi_align(x, bl.tensor(ROIS), (2, 3), 0.5, ratio, aligned)
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-12)
    listed = [bl.tensor(ROIS[ROIS[:, 0] == n, 1:]) for n in range(2)]
    order = np.argsort(ROIS[:, 0], stable=True)
    layer = torchvision.ops.RoIAlign((2, 3), 0.5, ratio, aligned)
    np.testing.assert_allclose(layer(x, listed).detach().numpy(), want[order], atol=1e-12)
    up = np.random.default_rng(1).standard_normal(want.shape)
    (gradient,) = bl.grad((got * bl.tensor(up)).sum(), (x,))
    moved = np.random.default_rng(2).standard_normal(X.shape)
    change = reference(moved, ROIS, (2, 3), 0.5, ratio, aligned)  # it is linear in the image
    np.testing.assert_allclose((gradient.numpy() * moved).sum(), (up * change).sum(), rtol=1e-10)


def test_compiled_it_is_the_same():
    boxes = bl.tensor(ROIS.astype("float32"))
    x = bl.tensor(X.astype("float32"))
    f = bl.compile(lambda x, b: roi_align(x, b, 2, 0.5, 2, True))
    np.testing.assert_allclose(f(x, boxes), roi_align(x, boxes, 2, 0.5, 2, True), atol=1e-5)


def test_what_is_no_image_or_box_is_told():
    x = bl.ones((2, 1, 4, 4))
    with pytest.raises(ShapeError, match=r"roi_align: x must have shape \(N, C, H, W\), got float"):
        roi_align(bl.ones((4, 4)), bl.ones((1, 5)), 2)
    with pytest.raises(DTypeError, match="roi_align: x must be floating, got int64"):
        roi_align(x.astype("int64"), bl.ones((1, 5)), 2)
    with pytest.raises(ShapeError, match=r"boxes must have shape \(K, 5\), the image's number"):
        roi_align(x, bl.ones((1, 4)), 2)
    with pytest.raises(ShapeError, match=r"\(L, 4\) for each of 2 images, got 1 of them"):
        roi_align(x, [bl.ones((1, 4))], 2)
