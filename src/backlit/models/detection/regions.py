"""Regions of interest: what an image's features are inside boxes, on a grid of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...array_api import clip, concat, floor, logical_and, maximum, permute_dims, reshape, take
from ...array_api import sum as total
from ...array_api.arguments import whole
from ...dtypes import FLOATING
from ...errors import DTypeError, ShapeError
from ...op import describe
from ...tensor import Tensor, as_tensor, wrap


def roi_align(
    input: Any,
    boxes: Any,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """The mean of each cell of a grid over each box, interpolated between the places of an image.

        x: (N, C, H, W), boxes: (K, 5) of (image, x₁, y₁, x₂, y₂), or for each image (L, 4)
        -> (K, C, P, Q)

    Boxes times `spatial_scale` lie on x, with `aligned` half a place up and left, where the middles
    of places have whole numbers; else a box is at least one place large. A cell is read at
    `sampling_ratio`² points, or at as many as it has places. The image gets a gradient, boxes none.
    Source: He et al., "Mask R-CNN", ICCV 2017, sec. 3; torchvision's rules at the edges.

    >>> from backlit import arange
    >>> x = arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(x, [as_tensor([[0.0, 0.0, 2.0, 2.0]])], 1, aligned=True).tolist()
    [[[[2.5]]]]
    """
    x = as_tensor(input)
    if x.ndim != 4 or 0 in x.shape[2:]:
        raise ShapeError(f"roi_align: x must have shape (N, C, H, W), got {describe(x)}")
    if x.dtype not in FLOATING:
        raise DTypeError(f"roi_align: x must be floating, got {describe(x)}; use x.astype(dtype)")
    grid = output_size if isinstance(output_size, Sequence) else (output_size, output_size)
    p, q = (whole("roi_align: output_size", n, 1) for n in grid)
    of, corners = _regions(boxes, x)
    n, channels, h, w = x.shape
    corners = corners * spatial_scale - (0.5 if aligned else 0.0)
    low, size = corners[:, :2], corners[:, 2:] - corners[:, :2]
    if not aligned:
        size = maximum(size, 1.0)
    places, weights = [], []
    for axis, cells, length in ((1, p, h), (0, q, w)):
        at, share = _points(low[:, axis], size[:, axis], cells, length, sampling_ratio)
        places.append(at)
        weights.append(share)
    (rows, columns), (above, beside) = places, weights
    index = (of[:, None, None] * h + rows[:, :, None]) * w + columns[:, None, :]
    pixels = reshape(permute_dims(x, (1, 0, 2, 3)), (channels, n * h * w))
    values = reshape(take(pixels, reshape(index, (-1,)), axis=1), (channels, *index.shape))
    values = values * (above[:, :, None] * beside[:, None, :])
    k, a, b = index.shape
    sums = total(reshape(values, (channels, k, p, a // p, q, b // q)), axis=(3, 5))
    return permute_dims(sums, (1, 0, 2, 3))


def _regions(boxes: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """The image that each box is of, and its corners."""
    if isinstance(boxes, list | tuple):
        each = [as_tensor(b) for b in boxes]
        wrong = [b for b in each if b.ndim != 2 or b.shape[1] != 4]
        if wrong or len(each) != x.shape[0]:
            got = describe(wrong[0]) if wrong else f"{len(each)} of them"
            raise ShapeError(
                f"roi_align: boxes must be (L, 4) for each of {x.shape[0]} images, got {got}"
            )
        numbers = np.repeat(np.arange(len(each)), [b.shape[0] for b in each])
        return wrap(numbers), concat([b.detach().astype(x.dtype) for b in each], axis=0)
    rows = as_tensor(boxes).detach()
    if rows.ndim != 2 or rows.shape[1] != 5:
        raise ShapeError(
            f"roi_align: boxes must have shape (K, 5), the image's number before its corners, or "
            f"be a list of (L, 4), got {describe(rows)}"
        )
    return rows[:, 0].astype("int64"), rows[:, 1:].astype(x.dtype)


def _points(
    low: Tensor, size: Tensor, cells: int, length: int, ratio: int
) -> tuple[Tensor, Tensor]:
    """Along an axis the places that each box reads, (K, cells · points · 2), and their shares."""
    if ratio > 0:
        counts, most = wrap(np.full(low.shape, ratio)), ratio
    else:
        counts = wrap(np.ceil(size.numpy() / cells).astype(np.int64))
        most = max(int(counts.numpy().max(initial=0)), 1)
    cell = (size / cells)[:, None, None]
    point = wrap(np.arange(most))
    many = maximum(counts, 1).astype(low.dtype)[:, None, None]
    used = (point < counts[:, None])[:, None, :].astype(low.dtype) / many
    at = (
        low[:, None, None]
        + wrap(np.arange(cells))[:, None].astype(low.dtype) * cell
        + (point.astype(low.dtype) + 0.5) * cell / many
    )
    inside = logical_and(at >= -1.0, at <= float(length)).astype(low.dtype)
    at = clip(at, 0.0, float(length - 1))
    first = floor(at)
    beyond = at - first
    near = first.astype("int64")
    both = concat([near[..., None], clip(near + 1, None, length - 1)[..., None]], axis=-1)
    shares = concat([(1.0 - beyond)[..., None], beyond[..., None]], axis=-1)
    shares = shares * (used * inside)[..., None]
    flat = (low.shape[0], math.prod(both.shape[1:]))
    return reshape(both, flat), reshape(shares, flat)


__all__ = ["roi_align"]
