"""Signals, images and volumes at other places: interpolation on grids, and sampling at points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...array_api import (
    abs,
    broadcast_to,
    expand_dims,
    floor,
    matmul,
    permute_dims,
    reshape,
    round,
    stack,
    sum,
    take,
)
from ...array_api import where as choose
from ...backend.halves import as_one_op
from ...dtypes import FLOATING, int64
from ...errors import ArgumentError, DTypeError, ShapeError
from ...op import describe
from ...precision import in_float32
from ...promotion import floating
from ...state import where_called
from ...tensor import Tensor, wrap
from .activation import hardtanh
from .adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .common import given
from .padding import pad
from .taps import weighted_taps

#: The modes that interpolate between places, by name: for how many axes of places.
_SMOOTH = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_NEAREST = ("nearest", "nearest-exact")
_MODES = (*_NEAREST, *_SMOOTH, "area")
_AREA = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)


# -- interpolation ------------------------------------------------------------------------------


def _sizes(
    x: Tensor, size: Any, scale_factor: Any, recompute: bool
) -> tuple[list[int], list[float | None]]:
    """The new size along each axis of places, and the factor that was given for it."""
    axes = x.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"interpolate: give size or scale_factor, and not both, got size={size} and "
            f"scale_factor={scale_factor}{where_called()}"
        )
    what, value = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    values = list(value) if isinstance(value, tuple | list) else [value] * axes
    if len(values) != axes or not all(isinstance(v, int | float | np.number) for v in values):
        raise ArgumentError(
            f"interpolate: {what} must be one number or {axes} of them for {describe(x)}, got "
            f"{value!r:.60}{where_called()}"
        )
    if recompute and scale_factor is None:
        raise ArgumentError(
            f"interpolate: recompute_scale_factor goes with scale_factor, got size={size}"
            f"{where_called()}"
        )
    factors: list[float | None] = [None] * axes
    if scale_factor is not None:
        if not recompute:
            factors = [float(v) for v in values]
        values = [math.floor(n * float(v)) for n, v in zip(x.shape[2:], values, strict=True)]
    counts = [int(v) for v in values]
    if min(counts) < 1 or 0 in x.shape[1:]:
        raise ShapeError(
            f"interpolate: old and new sizes must be positive, got {describe(x)} and the new size "
            f"{tuple(counts)}{where_called()}"
        )
    return counts, factors


def _nearest(n: int, m: int, factor: float | None, exact: bool) -> np.ndarray:
    """For each of m places the nearest of n, in float32 as PyTorch rounds it."""
    if not exact and m in (n, 2 * n):  # whatever the factor
        return np.arange(m) // (m // n)
    single: Any = np.float32
    ratio = single(n) / single(m) if factor is None else single(1 / factor)
    places = np.arange(m).astype(single)
    source = np.floor((places + single(0.5)) * ratio if exact else places * ratio)
    return np.minimum(source.astype(np.int64), n - 1)


def _positions(n: int, m: int, factor: float | None, align_corners: bool) -> np.ndarray:
    """Where each of m places lies among n, whose first is 0."""
    places = np.arange(m, dtype=np.float64)
    if align_corners:
        return places * ((n - 1) / (m - 1) if m > 1 else 0.0)
    return (places + 0.5) * (n / m if factor is None else 1 / factor) - 0.5


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    """Keys's kernel at the distances t; a is its slope at 1."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _taps(
    n: int, m: int, factor: float | None, align_corners: bool, cubic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which places are read for each of m, and with which weights: two arrays (taps, m)."""
    at = _positions(n, m, factor, align_corners)
    if not cubic:
        at = np.clip(at, 0, n - 1)
    first = np.floor(at)
    offsets = np.arange(-1, 3) if cubic else np.arange(2)
    places = first + offsets[:, None]
    weights = _cubic(at - places, -0.75) if cubic else np.maximum(0, 1 - np.abs(at - places))
    return np.clip(places, 0, n - 1).astype(np.int64), weights


def _wide_taps(
    n: int, m: int, factor: float | None, align_corners: bool, cubic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The same with kernels that are as wide as the new places lie apart, against aliasing."""
    if align_corners:
        ratio = (n - 1) / (m - 1) if m > 1 else 0.0
    else:
        ratio = n / m if factor is None else 1 / factor
    spread = max(ratio, 1.0)
    reach = (2 if cubic else 1) * spread
    centre = ratio * (np.arange(m) + 0.5)
    start = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + reach + 0.5).astype(np.int64), n)
    places = start + np.arange(int((stop - start).max()))[:, None]
    distance = (places - centre + 0.5) / spread
    weights = _cubic(distance, -0.5) if cubic else np.maximum(0, 1 - np.abs(distance))
    weights = np.where(places < stop, weights, 0.0)
    return np.minimum(places, n - 1), weights / weights.sum(0)


def _picked(x: Tensor, axis: int, index: np.ndarray) -> Tensor:
    """x at places along one axis; where each is repeated as often, without an index array."""
    n, m = x.shape[axis], len(index)
    if m % n or (index != np.arange(m) // (m // n)).any():
        return take(x, wrap(index), axis=axis)
    if m == n:
        return x
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    y = broadcast_to(reshape(x, (*before, n, 1, *after)), (*before, n, m // n, *after))
    return reshape(y, (*before, m, *after))


def _interpolated(
    x: Tensor,
    sizes: list[int],
    factors: list[float | None],
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> Tensor:
    if mode == "area":
        return _AREA[x.ndim - 3](x, tuple(sizes))
    taps = _wide_taps if antialias else _taps
    for axis, (m, factor) in enumerate(zip(sizes, factors, strict=True), 2):
        n = x.shape[axis]
        if mode in _NEAREST:
            x = _picked(x, axis, _nearest(n, m, factor, mode == "nearest-exact"))
        elif m != n or (factor not in (None, 1.0) and not align_corners):
            x = weighted_taps(x, axis, *taps(n, m, factor, align_corners, mode == "bicubic"))
    return x


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """A signal, image or volume with another number of places.

        x: (N, C, L), (N, C, H, W) or (N, C, D, H, W); size or scale_factor: one, or one each axis

    With n places of x and m of y, place i of y lies at (i + ½) n/m - ½ of x, and with
    `align_corners` at i (n-1)/(m-1). A `scale_factor` s makes m = ⌊n s⌋ places and stands for
    m/n in the formula, unless `recompute_scale_factor` is True. `mode` is

        "nearest"         place ⌊i n/m⌋, as old versions of OpenCV have it
        "nearest-exact"   the nearest place
        "linear", "bilinear", "trilinear"      between the 2 places around, along 1, 2 or 3 axes
        "bicubic"         Keys's kernel over 4 places, with a = -0.75
        "area"            `adaptive_avg_pool`

    `antialias` (for "bilinear", "bicubic") widens the kernels where m < n, as Pillow does.
    Source: Keys, "Cubic convolution interpolation", IEEE Trans. ASSP 29 (1981), eq. 15.

    >>> from backlit import tensor
    >>> x = tensor([[[0.0, 4.0]]])
    >>> interpolate(x, scale_factor=2).tolist()
    [[[0.0, 0.0, 4.0, 4.0]]]
    >>> interpolate(x, 4, mode="linear").tolist()
    [[[0.0, 1.0, 3.0, 4.0]]]
    """
    x = given(input)
    if x.ndim not in (3, 4, 5):
        raise ShapeError(
            f"interpolate: x must have shape (N, C, L), (N, C, H, W) or (N, C, D, H, W), got "
            f"{describe(x)}{where_called()}"
        )
    if mode not in _MODES:
        known = ", ".join(map(repr, _MODES))
        raise ArgumentError(
            f"interpolate: mode must be one of {known}, got {mode!r}{where_called()}"
        )
    if mode in _SMOOTH and _SMOOTH[mode] != x.ndim - 2:
        raise ShapeError(
            f"interpolate: mode={mode!r} goes with {_SMOOTH[mode] + 2} axes, got "
            f"{describe(x)}{where_called()}"
        )
    if align_corners is not None and mode not in _SMOOTH:
        raise ArgumentError(
            f"interpolate: align_corners goes with {', '.join(_SMOOTH)}, got "
            f"{align_corners} with mode={mode!r}{where_called()}"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ArgumentError(
            f"interpolate: antialias goes with bilinear and bicubic, got mode={mode!r}"
            f"{where_called()}"
        )
    if mode not in _NEAREST:
        x = floating(x)
    sizes, factors = _sizes(x, size, scale_factor, bool(recompute_scale_factor))
    run = _interpolated if mode in _NEAREST else as_one_op(_interpolated)
    return run(x, sizes, factors, mode, bool(align_corners), antialias)


def upsample(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under its old name.

    >>> from backlit import tensor
    >>> upsample(tensor([[[1.0, 2.0]]]), 4).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode="nearest".

    >>> from backlit import tensor
    >>> upsample_nearest(tensor([[[1.0, 2.0]]]), 4).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` of images with mode="bilinear" and align_corners=True.

    >>> from backlit import tensor
    >>> upsample_bilinear(tensor([[[[0.0, 2.0]]]]), (1, 3)).tolist()
    [[[[0.0, 1.0, 2.0]]]]
    """
    return interpolate(input, size, scale_factor, "bilinear", True)


# -- sampling at points -------------------------------------------------------------------------


def _unit_positions(n: int, align_corners: bool) -> np.ndarray:
    """n places from -1 to 1: their middles, or with `align_corners` the first and last exactly."""
    if n == 1:
        return np.zeros(1)
    ends = np.linspace(-1, 1, n)
    return ends if align_corners else ends * ((n - 1) / n)


@as_one_op
def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """For each place of an image of `size` where an affine map takes it, for `grid_sample`.

        theta: (N, 2, 3), size: (N, C, H, W) -> (N, H, W, 2), last axis (x, y)
        theta: (N, 3, 4), size: (N, C, D, H, W) -> (N, D, H, W, 3), last axis (x, y, z)

    -1 and 1 are the edges of the image, or with `align_corners` the middles of its outer places.
    Source: Jaderberg et al., "Spatial transformer networks", NIPS 2015, eq. 1.

    >>> from backlit import tensor
    >>> affine_grid(tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2)).tolist()
    [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    theta = given(theta)
    if theta.dtype not in FLOATING:
        raise DTypeError(
            f"affine_grid: theta must be floating, got {describe(theta)}{where_called()}"
        )
    axes = len(size) - 2
    if axes not in (2, 3) or theta.shape != (size[0], axes, axes + 1) or min(size) < 1:
        raise ShapeError(
            f"affine_grid: theta must have shape (N, 2, 3) for size (N, C, H, W), or (N, 3, 4) for "
            f"(N, C, D, H, W), got {describe(theta)} and {tuple(size)}{where_called()}"
        )
    along = [_unit_positions(n, bool(align_corners)) for n in size[2:]]
    mesh = np.meshgrid(*along, indexing="ij")
    points = np.stack([*(m.ravel() for m in reversed(mesh)), np.ones(mesh[0].size)], 1)
    y = matmul(wrap(points.astype(theta.dtype)), theta.mT)
    return reshape(y, (size[0], *size[2:], axes))


def _reflected(at: Tensor, low: float, high: float) -> Tensor:
    """A position mirrored at low and high until it lies between them."""
    if low == high:
        return at * 0.0
    span = high - low
    distance = abs(at - low)
    flips = floor(distance / span).detach()
    rest = distance - flips * span
    return choose(flips % 2 == 0, rest + low, high - rest)


def _bounded(at: Tensor, n: int, padding_mode: str, align_corners: bool) -> Tensor:
    """A position as the padding has it: limited to the places, mirrored, or as it is."""
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        at = _reflected(at, 0.0, n - 1.0) if align_corners else _reflected(at, -0.5, n - 0.5)
    return hardtanh(at, 0.0, n - 1.0)


def _keys(t: Tensor) -> list[Tensor]:
    """The weights of the 4 places around, for a position t behind the second of them; a = -0.75."""
    a = -0.75

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _corners(
    at: Tensor, n: int, mode: str, padding_mode: str, align_corners: bool
) -> tuple[Tensor, Tensor | None]:
    """The K places that one axis reads, still floating, and their weights: (K, …)."""
    if mode == "bicubic":
        first = floor(at).detach()
        places = _behind(first, range(-1, 3))
        return _bounded(places, n, padding_mode, align_corners), stack(_keys(at - first))
    at = _bounded(at, n, padding_mode, align_corners)
    if mode == "nearest":
        return expand_dims(round(at.detach()), axis=0), None
    first = floor(at).detach()
    t = at - first
    return _behind(first, range(2)), stack([1 - t, t])


def _behind(first: Tensor, steps: range) -> Tensor:
    """The places at so many steps behind the first: (K, …)."""
    offsets = np.arange(steps.start, steps.stop, dtype=first.dtype)
    return first + wrap(offsets.reshape(-1, *(1,) * first.ndim))


@as_one_op
def _sampled(x: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool) -> Tensor:
    sizes = x.shape[2:]
    axes = len(sizes)
    # What lies outside is read off a frame of zeros: place i stands at i + 1.
    framed = pad(permute_dims(x, (0, *range(2, x.ndim), 1)), (0, 0, *(1, 1) * axes))
    rows = reshape(framed, (math.prod(framed.shape[:-1]), x.shape[1]))
    number = wrap(np.arange(x.shape[0]).reshape(-1, *(1,) * axes))  # of a row: first the image's
    weights = None
    for axis, n in enumerate(sizes):
        unit = grid[..., axes - 1 - axis]
        at = (unit + 1) / 2 * (n - 1) if align_corners else ((unit + 1) * n - 1) / 2
        places, own = _corners(at, n, mode, padding_mode, align_corners)
        inside = (places >= 0) & (places <= n - 1)
        # One axis of corners for each axis of places: (K, 1, N, P, Q) and (K, N, P, Q).
        spread = (places.shape[0], *(1,) * (axes - 1 - axis), *at.shape)
        index = reshape(choose(inside, places + 1, 0.0).astype(int64), spread)
        number = number * (n + 2) + index
        if own is not None:
            own = reshape(choose(inside, own, 0.0), spread)
            weights = own if weights is None else weights * own
    y = take(rows, number, axis=0)
    if weights is not None:
        y = y * expand_dims(weights, axis=-1)
    y = sum(y, axis=tuple(range(axes)))
    return permute_dims(y, (0, y.ndim - 1, *range(1, y.ndim - 1)))


@in_float32
def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """An image at the points of a grid, between its places.

        x: (N, C, H, W), grid: (N, P, Q, 2), last axis (x, y) in [-1, 1] -> (N, C, P, Q)
        x: (N, C, D, H, W), grid: (N, P, Q, R, 3), last axis (x, y, z) -> (N, C, P, Q, R)

    -1 and 1 are the edges of the image, or with `align_corners` the middles of its outer places.
    `mode` is "bilinear" (of volumes trilinear), "nearest" or, of images, "bicubic". What lies
    outside is 0, or with `padding_mode` "border" or "reflection" the edge or the mirror image.
    Image and grid get gradients; in "nearest" the grid's is 0.
    Source: Jaderberg et al., "Spatial transformer networks", NIPS 2015, eq. 3 to 7.

    >>> from backlit import tensor
    >>> grid_sample(tensor([[[[0.0, 4.0]]]]), tensor([[[[0.25, 0.0]]]])).tolist()
    [[[[3.0]]]]
    """
    x, points = given(input), given(grid)
    axes = x.ndim - 2
    for what, value, known in (
        ("mode", mode, ("bilinear", "nearest", "bicubic")),
        ("padding_mode", padding_mode, ("zeros", "border", "reflection")),
    ):
        if value not in known:
            raise ArgumentError(
                f"grid_sample: {what} must be one of {', '.join(map(repr, known))}, got "
                f"{value!r}{where_called()}"
            )
    fits = axes in (2, 3) and points.ndim == x.ndim and points.shape[-1] == axes
    if not fits or points.shape[0] != x.shape[0] or 0 in x.shape[2:]:
        raise ShapeError(
            f"grid_sample: x must have shape (N, C, H, W) and grid (N, P, Q, 2), or (N, C, D, H, "
            f"W) and (N, P, Q, R, 3), and x must have places, got {describe(x)} and "
            f"{describe(points)}{where_called()}"
        )
    if mode == "bicubic" and axes == 3:
        raise ArgumentError(
            f"grid_sample: bicubic goes with images, got {describe(x)}{where_called()}"
        )
    if x.dtype != points.dtype or x.dtype not in FLOATING:
        raise DTypeError(
            f"grid_sample: x and grid must have one floating dtype, got {describe(x)} and "
            f"{describe(points)}{where_called()}"
        )
    return _sampled(x, points, mode, padding_mode, bool(align_corners))
