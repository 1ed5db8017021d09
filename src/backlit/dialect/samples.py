"""PyTorch's functions of samples: slopes between them, cells they fall in, runs of equal ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import array_api as ours
from ..array_api.arguments import integers, one_axis, sequence, whole
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..promotion import floating
from ..tensor import Tensor, as_tensor


def gradient(
    input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The slopes of a function along axes, from its values at points: a Tensor for each axis.

    Inside, the parabola through three neighbours is taken; at the ends a line, or with
    `edge_order=2` a parabola, too. `spacing` is the distance of the points, or one for each axis,
    or a vector of their places for each axis. Source: B. Fornberg, Math. Comp. 51 (1988), table 3.
    """
    x = floating(as_tensor(input))
    named = range(x.ndim) if dim is None else integers("gradient: dim", dim)
    axes = [one_axis("gradient", a, x.ndim) for a in named]
    spacing = 1 if spacing is None else spacing
    places = list(spacing) if isinstance(spacing, tuple | list) else [spacing] * len(axes)
    if len(places) != len(axes):
        raise ArgumentError(
            f"gradient: there must be a spacing for each axis, got {len(places)} for {len(axes)}"
        )
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: edge_order must be 1 or 2, got {edge_order!r:.60}")
    return tuple(_slopes(x, a, p, edge_order) for a, p in zip(axes, places, strict=True))


def _slopes(x: Tensor, axis: int, spacing: Any, edge_order: int) -> Tensor:
    """The slopes along one axis."""
    f = ours.moveaxis(x, axis, 0)
    n = f.shape[0]
    if n < edge_order + 1:
        raise ShapeError(
            f"gradient: axis {axis} must have at least {edge_order + 1} points, got {describe(x)}"
        )
    given = as_tensor(spacing).astype(x.dtype)
    if given.ndim and given.shape != (n,):
        raise ShapeError(
            f"gradient: axis {axis} of {describe(x)} must have a place for each point, got "
            f"{describe(given)}"
        )
    steps = ours.diff(given) if given.ndim else ours.broadcast_to(given, (n - 1,))
    h = ours.reshape(steps, (-1, *(1,) * (f.ndim - 1)))
    rises = (f[1:] - f[:-1]) / h
    before, after = h[:-1], h[1:]
    inside = (rises[:-1] * after + rises[1:] * before) / (before + after)
    first, last = rises[:1], rises[-1:]
    if edge_order == 2:
        bend = (rises[1:] - rises[:-1]) / (before + after)
        first, last = first - bend[:1] * h[:1], last + bend[-1:] * h[-1:]
    return ours.moveaxis(ours.concat((first, inside, last), axis=0), 0, axis)


class HistogramDD(NamedTuple):
    """What `histogramdd` returns."""

    hist: Tensor
    bin_edges: tuple[Tensor, ...]


def histogramdd(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> HistogramDD:
    """How many points (..., D) fall in each cell of a grid, and the edges along each axis.

    `bins` is a number of equal parts, or one for each axis, or the edges for each axis; `range` is
    the lowest and the highest edge of each axis, one after the other. See `histogram`.
    """
    x = as_tensor(input).detach()
    if x.ndim < 2:
        raise ShapeError(f"histogramdd: x must have shape (..., D), got {describe(x)}")
    count = x.shape[-1]
    points = ours.reshape(x, (-1, count))
    parts = [bins] * count if isinstance(bins, int) else sequence("histogramdd: bins", bins)
    if len(parts) != count or (range is not None and len(range) != 2 * count):
        raise ArgumentError(
            f"histogramdd: there must be bins, and two numbers of range, for each of {count} axes, "
            f"got {len(parts)} and range={range!r:.60}"
        )
    weights = ours.ones(points.shape[:1]) if weight is None else as_tensor(weight).detach()
    inside: Any = True
    place: Any = 0
    edges: list[Tensor] = []
    for axis, part in enumerate(parts):
        column = points[:, axis]
        if isinstance(part, int):
            ends = None if range is None else tuple(range[2 * axis : 2 * axis + 2])
            part = ours.histogram(column, whole("histogramdd: bins", part), range=ends).bin_edges
        edge = as_tensor(part).detach().astype(x.dtype)
        cells = edge.shape[0] - 1
        own = ours.clip(ours.searchsorted(edge, column, side="right") - 1, 0, cells - 1)
        inside = ours.logical_and(inside, (column >= edge[0]) & (column <= edge[-1]))
        place = place * cells + own
        edges.append(edge)
    shape = tuple(e.shape[0] - 1 for e in edges)
    counted = ours.where(inside, weights.flatten().astype(x.dtype), 0.0)
    hist = ours.zeros(math.prod(shape), dtype=x.dtype)
    hist = ours.reshape(ours.index_add(hist, 0, place, counted), shape)
    if density:
        hist = hist / hist.sum()
        for axis, edge in enumerate(edges):
            hist = hist / ours.diff(edge).reshape((-1, *(1,) * (count - axis - 1)))
    return HistogramDD(hist, tuple(edges))


def unique_consecutive(
    x: Any, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None
) -> Any:
    """The first element, or slice along an axis, of each run of equal ones.

    With `return_inverse` also in which run each one is, with `return_counts` how long they are.
    """
    x = as_tensor(x)
    values = x.detach()._concrete("unique_consecutive")
    along = None if axis is None else one_axis("unique_consecutive", axis, x.ndim)
    rows = values.reshape(-1) if along is None else np.moveaxis(values, along, 0)
    differ = (rows[1:] != rows[:-1]).any(axis=tuple(range(1, rows.ndim)))
    starts = np.concatenate([np.ones(min(len(rows), 1), bool), differ])
    kept = ours.asarray(np.flatnonzero(starts))
    found = ours.take(x.flatten() if along is None else x, kept, axis=along or 0)
    run = np.cumsum(starts) - 1
    inverse = ours.asarray(run.reshape(values.shape) if along is None else run)
    counts = ours.asarray(np.bincount(run))
    wanted = [found, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    return wanted[0] if len(wanted) == 1 else tuple(wanted)
