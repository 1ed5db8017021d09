"""What becomes of the values of an image: arrays (..., C, H, W), of bytes or other numbers.

Floats have the range [0, 1], integers [0, largest]. The formulas are torchvision's for Tensors,
which are Pillow's with rounding at the end only; they are computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError, DTypeError, ShapeError
from ...nn.functional import grid_sample, interpolate
from ...op import describe
from ...tensor import wrap

#: Places (x, y).
Points = Sequence[Sequence[float]]

#: Weights of red, green and blue in grey: ITU-R BT.601.
_GREY = (0.2989, 0.587, 0.114)


def largest(dtype: np.dtype) -> float:
    """The value of white."""
    if dtype.kind == "b":
        raise DTypeError("transforms: an image has numbers, got bool; use image.astype('uint8')")
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else 1


def _floating(dtype: np.dtype) -> bool:
    return dtype.kind not in "iu"


def _kind(x: np.ndarray) -> Any:
    """The type in which is computed."""
    return np.float64 if x.dtype == np.float64 else np.float32


def _as_floats(x: np.ndarray) -> np.ndarray:
    return x.astype(_kind(x), copy=False)


def _back(y: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats rounded to the nearest number of a dtype."""
    return (np.rint(y) if not _floating(dtype) else y).astype(dtype, copy=False)


def require_channels(what: str, x: np.ndarray, *counts: int) -> int:
    """The number of channels, which must be one of these."""
    if x.ndim < 3 or (counts and x.shape[-3] not in counts):
        known = f" with C {' or '.join(map(str, counts))}" if counts else ""
        raise ShapeError(f"{what}: an image has shape (..., C, H, W){known}, got {describe(x)}")
    return x.shape[-3]


def convert(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Another dtype, and its range."""
    if x.dtype == dtype:
        return x
    top, new_top = largest(x.dtype), largest(dtype)
    if _floating(x.dtype):
        if _floating(dtype):
            return x.astype(dtype)
        held = {np.dtype(np.float64): 63, np.dtype(np.float32): 31}.get(x.dtype, 9)
        if int(new_top).bit_length() >= held:
            raise DTypeError(
                f"convert_image_dtype: {x.dtype} does not hold all numbers of {dtype}; convert to "
                "uint8 or int16, or to float64 first"
            )
        return (x * x.dtype.type(new_top + 1.0 - 1e-3)).astype(dtype)
    if _floating(dtype):
        return x.astype(dtype) / dtype.type(top)
    if top > new_top:
        return (x // np.array((top + 1) // (new_top + 1), x.dtype)).astype(dtype)
    return x.astype(dtype) * np.array((new_top + 1) // (top + 1), dtype)


def crop(x: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """A part; what lies outside of the image is 0."""
    h, w = x.shape[-2:]
    (first, last), (start, end) = _inside(top, height, h), _inside(left, width, w)
    part = x[..., first:last, start:end] if first >= 0 and start >= 0 else x[..., :0, :0]
    if part.shape[-2:] == (height, width):
        return part
    y = np.zeros((*x.shape[:-2], height, width), x.dtype)
    y[..., first - top : last - top, start - left : end - left] = part
    return y


def _inside(first: int, count: int, n: int) -> tuple[int, int]:
    """From where to where a range lies below n; nowhere, at its beginning, if it does not."""
    start, end = max(first, 0), min(first + count, n)
    return (start, end) if start < end else (first, first)


def pad(
    x: np.ndarray, sides: tuple[int, int, int, int], fill: Any, padding_mode: str
) -> np.ndarray:
    """More places on the sides (left, top, right, bottom); fewer where a number is negative."""
    left, top, right, bottom = sides
    h, w = x.shape[-2:]
    x = x[..., max(-top, 0) : h - max(-bottom, 0), max(-left, 0) : w - max(-right, 0)]
    widths = [(0, 0)] * (x.ndim - 2) + [
        (max(top, 0), max(bottom, 0)),
        (max(left, 0), max(right, 0)),
    ]
    if padding_mode != "constant":
        return np.pad(x, widths, mode=padding_mode)  # type: ignore[call-overload]
    colour = np.asarray(fill)
    if colour.size == 1:
        return np.pad(x, widths, constant_values=colour.reshape(()).astype(x.dtype))
    y = np.empty(
        (*x.shape[:-2], *(n + a + b for n, (a, b) in zip(x.shape[-2:], widths[-2:], strict=True))),
        x.dtype,
    )
    y[...] = _colour("pad", fill, x)
    (a, b), (c, d) = widths[-2:]
    y[..., a : y.shape[-2] - b, c : y.shape[-1] - d] = x
    return y


def _colour(what: str, fill: Any, x: np.ndarray) -> np.ndarray:
    """A colour of the image's channels, as (C, 1, 1)."""
    colour = np.asarray(fill, x.dtype).reshape(-1, 1, 1)
    if len(colour) not in (1, x.shape[-3]):
        raise ShapeError(
            f"{what}: fill must be one number, or one for each of {x.shape[-3]} channels, got "
            f"{fill!r:.60}"
        )
    return colour


def flip(x: np.ndarray, axis: int) -> np.ndarray:
    """Mirrored along an axis."""
    return np.ascontiguousarray(np.flip(x, axis))


def _with_one_batch(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, *x.shape[-3:]) if x.ndim >= 3 else x[np.newaxis, np.newaxis]


def resize(x: np.ndarray, size: tuple[int, int], mode: str, antialias: bool) -> np.ndarray:
    """Another size, by `nn.functional.interpolate`."""
    if mode not in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        raise ArgumentError(
            f"resize: interpolation of Tensors must be nearest, nearest-exact, bilinear or "
            f"bicubic, got {mode}; for {mode} use a PIL image"
        )
    smooth = mode.startswith("bi")
    values = wrap(_with_one_batch(_as_floats(x)))
    y = interpolate(values, size, mode=mode, antialias=antialias and smooth).numpy()
    if mode == "bicubic" and not _floating(x.dtype):
        y = np.clip(y, np.iinfo(x.dtype).min, largest(x.dtype))
    return _back(y, x.dtype).reshape(*x.shape[:-2], *size)


def grey(x: np.ndarray, channels: int = 1) -> np.ndarray:
    """0.2989 red + 0.587 green + 0.114 blue, in as many equal channels as are wanted."""
    if require_channels("rgb_to_grayscale", x, 1, 3) == 3:
        kind = _kind(x)
        red, green, blue = (x[..., i, :, :].astype(kind, copy=False) for i in range(3))
        weights = [kind(w) for w in _GREY]
        y = weights[0] * red + weights[1] * green + weights[2] * blue
        x = y.astype(x.dtype)[..., np.newaxis, :, :]
    return np.repeat(x, channels, axis=-3) if channels > 1 else x


def blend(x: np.ndarray, other: np.ndarray | float, factor: float) -> np.ndarray:
    """factor · x + (1 - factor) · other, within the range of the dtype."""
    kind = _kind(x)
    y = kind(factor) * x.astype(kind, copy=False) + kind(1.0 - factor) * np.asarray(other, kind)
    return np.clip(y, 0, largest(x.dtype)).astype(x.dtype)


def brightness(x: np.ndarray, factor: float) -> np.ndarray:
    """Blended with black."""
    require_channels("adjust_brightness", x, 1, 3)
    return blend(x, 0.0, factor)


def contrast(x: np.ndarray, factor: float) -> np.ndarray:
    """Blended with the mean of its grey."""
    require_channels("adjust_contrast", x, 1, 3)
    kind = _kind(x)
    return blend(x, grey(x).mean((-3, -2, -1), dtype=kind, keepdims=True), factor)


def saturation(x: np.ndarray, factor: float) -> np.ndarray:
    """Blended with its grey."""
    one = require_channels("adjust_saturation", x, 1, 3) == 1
    return x if one else blend(x, grey(x), factor)


def hue(x: np.ndarray, shift: float) -> np.ndarray:
    """Colours turned on their circle, of which 1 is a whole turn."""
    if require_channels("adjust_hue", x, 1, 3) == 1:
        return x
    h, s, v = _hsv(convert(x, np.dtype(np.float32)))
    return convert(_rgb((h + np.float32(shift)) % np.float32(1), s, v), x.dtype)


def _hsv(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue, saturation and value, each in [0, 1]. Source: Smith, SIGGRAPH 1978."""
    red, green, blue = (x[..., i, :, :] for i in range(3))
    top, bottom = x.max(-3), x.min(-3)
    span = top - bottom
    grey_ones = span == 0
    s = span / np.where(grey_ones, 1, top)
    divisor = np.where(grey_ones, 1, span)
    from_red, from_green, from_blue = ((top - c) / divisor for c in (red, green, blue))
    h = np.where(
        top == red,
        from_blue - from_green,
        np.where(top == green, 2 + from_red - from_blue, 4 + from_green - from_red),
    )
    return np.fmod(h / np.float32(6) + np.float32(1), np.float32(1)), s, top


def _rgb(h: np.ndarray, s: np.ndarray, v: np.ndarray) -> np.ndarray:
    sector = np.floor(h * 6)
    f = h * 6 - sector
    p, q, t = (np.clip(v * (1 - part), 0, 1) for part in (s, s * f, s * (1 - f)))
    which = sector.astype(np.int64) % 6
    channels = ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q))
    return np.stack([np.choose(which, c) for c in channels], axis=-3).astype(np.float32)


def gamma(x: np.ndarray, power: float, gain: float) -> np.ndarray:
    """gain · x^power."""
    require_channels("adjust_gamma", x, 1, 3)
    values = x if _floating(x.dtype) else convert(x, np.dtype(np.float32))
    return convert(np.clip(gain * values**power, 0, 1).astype(values.dtype), x.dtype)


def invert(x: np.ndarray) -> np.ndarray:
    """White minus the image."""
    require_channels("invert", x, 1, 3)
    return (largest(x.dtype) - x).astype(x.dtype)


def posterize(x: np.ndarray, bits: int) -> np.ndarray:
    """The upper bits of bytes."""
    require_channels("posterize", x, 1, 3)
    _require_bytes("posterize", x)
    return x & np.uint8(256 - 2 ** (8 - bits))


def _require_bytes(what: str, x: np.ndarray) -> None:
    if x.dtype != np.uint8:
        raise DTypeError(
            f"{what}: the image must have bytes, got {describe(x)}; use it before ToTensor, or "
            "after ConvertImageDtype('uint8')"
        )


def solarize(x: np.ndarray, threshold: float) -> np.ndarray:
    """What is not below a threshold inverted."""
    if threshold > largest(x.dtype):
        raise ArgumentError(
            f"solarize: threshold must be at most {largest(x.dtype)} for {x.dtype}, got {threshold}"
        )
    return np.where(x >= threshold, invert(x), x)


def sharpness(x: np.ndarray, factor: float) -> np.ndarray:
    """Blended with a smoothed image: means with weight 5 in the middle of 3 by 3, 1 around."""
    require_channels("adjust_sharpness", x, 1, 3)
    h, w = x.shape[-2:]
    if h <= 2 or w <= 2:
        return x
    values = _as_floats(x)
    total = np.zeros((*x.shape[:-2], h - 2, w - 2), values.dtype)
    for i in range(3):
        for j in range(3):
            weight = values.dtype.type(5 / 13 if i == j == 1 else 1 / 13)
            total += weight * values[..., i : h - 2 + i, j : w - 2 + j]
    smooth = x.copy()
    smooth[..., 1:-1, 1:-1] = _back(total, x.dtype)
    return blend(x, smooth, factor)


def autocontrast(x: np.ndarray) -> np.ndarray:
    """Each channel stretched to the whole range."""
    require_channels("autocontrast", x, 1, 3)
    values = _as_floats(x)
    low = values.min((-2, -1), keepdims=True)
    span = values.max((-2, -1), keepdims=True) - low
    flat = span == 0
    scale = np.where(flat, 1, 1 / np.where(flat, 1, span) * largest(x.dtype)).astype(values.dtype)
    return np.clip((values - np.where(flat, 0, low)) * scale, 0, largest(x.dtype)).astype(x.dtype)


def equalize(x: np.ndarray) -> np.ndarray:
    """Each channel with values that are about equally frequent, as Pillow has it."""
    require_channels("equalize", x, 1, 3)
    _require_bytes("equalize", x)
    y = x.copy()
    for channel in y.reshape(-1, *x.shape[-2:]):
        counts = np.bincount(channel.reshape(-1), minlength=256)
        step = counts[counts > 0][:-1].sum() // 255
        if step:
            before = np.concatenate([[0], np.cumsum(counts)[:-1] + step // 2])
            before[1:] //= step
            channel[...] = np.clip(before, 0, 255).astype(np.uint8)[channel]
    return y


def blur(x: np.ndarray, sizes: Sequence[int], sigmas: Sequence[float]) -> np.ndarray:
    """Weighted means of sizes (x, y), with weights exp(-d² / 2σ²); edges are mirrored."""
    require_channels("gaussian_blur", x)
    y = _as_floats(x)
    for size, sigma, axis in zip(sizes, sigmas, (-1, -2), strict=True):
        half = size // 2
        if half >= x.shape[axis]:
            raise ArgumentError(
                f"gaussian_blur: half of kernel_size must be below the image's size, got {size} "
                f"and {describe(x)}"
            )
        weights = np.exp(-0.5 * ((np.arange(size) - half) / sigma) ** 2)
        weights = (weights / weights.sum()).astype(y.dtype)
        widths = [(0, 0)] * x.ndim
        widths[axis] = (half, half)
        padded = np.moveaxis(np.pad(y, widths, mode="reflect"), axis, 0)
        n = x.shape[axis]
        total = sum(w * padded[i : i + n] for i, w in enumerate(weights))
        y = np.moveaxis(np.asarray(total), 0, axis)
    return _back(y, x.dtype)


def erase(x: np.ndarray, i: int, j: int, h: int, w: int, value: Any) -> np.ndarray:
    """A box filled with a value."""
    y = x.copy()
    y[..., i : i + h, j : j + w] = value
    return y


def mapped(
    x: np.ndarray, matrix: Sequence[float], size: tuple[int, int], mode: str, fill: Any
) -> np.ndarray:
    """An image of another size, whose places are found in this one by a matrix.

        (x, y) = (a x' + b y' + c, d x' + e y' + f)      (x', y') from the middle of the new image

    What lies outside is 0, or the colour `fill`.
    """
    kind, (h, w), (new_h, new_w) = _as_floats(x).dtype.type, x.shape[-2:], size
    theta = np.array(matrix, kind).reshape(2, 3) / np.array([[0.5 * w], [0.5 * h]], kind)
    places = np.ones((new_h, new_w, 3), kind)
    places[..., 0] = np.arange(new_w) - (new_w - 1) * 0.5
    places[..., 1] = (np.arange(new_h) - (new_h - 1) * 0.5)[:, np.newaxis]
    return sampled("affine", x, places @ theta.T, mode, fill)


def sampled(what: str, x: np.ndarray, places: np.ndarray, mode: str, fill: Any) -> np.ndarray:
    """An image whose pixels are found in this one at places (H, W, 2), (x, y) from -1 to 1."""
    require_channels(what, x)
    if mode not in ("nearest", "bilinear"):
        raise ArgumentError(
            f"{what}: interpolation of Tensors must be nearest or bilinear, got {mode}; for {mode} "
            "use a PIL image"
        )
    values = _with_one_batch(_as_floats(x))
    kind, (h, w), size = values.dtype.type, x.shape[-2:], places.shape[:2]
    grid = np.broadcast_to(places.astype(kind), (len(values), *places.shape))
    inside = np.ones((len(values), 1, h, w), kind)
    if fill is not None:
        values = np.concatenate([values, inside], axis=1)
    y = grid_sample(wrap(values), wrap(grid), mode, align_corners=False).numpy()
    if fill is not None:
        y, share = y[:, :-1], y[:, -1:]
        colour = np.asarray(fill, kind).reshape(-1, 1, 1)
        _colour(what, fill, x)
        y = (
            np.where(share < 0.5, colour, y)
            if mode == "nearest"
            else y * share + (1 - share) * colour
        )
    return _back(y, x.dtype).reshape(*x.shape[:-2], *size)


def plane_map(start: Points, end: Points) -> list[float]:
    """(a, …, h) of the map of the plane that finds each of four points of `end` at its `start`.

    x = (a x' + b y' + c) / (g x' + h y' + 1)      y = (d x' + e y' + f) / (g x' + h y' + 1)
    """
    rows, values = [], []
    for (x, y), (u, v) in zip(start, end, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -x * u, -x * v], [0, 0, 0, u, v, 1, -y * u, -y * v]]
        values += [x, y]
    found = np.linalg.lstsq(np.array(rows, float), np.array(values, float), rcond=None)[0]
    return [float(c) for c in found]


def perspective(x: np.ndarray, numbers: Sequence[float], mode: str, fill: Any) -> np.ndarray:
    """An image whose pixels are found in this one by a map of the plane, from its corner on."""
    h, w = x.shape[-2:]
    a, b, c, d, e, f, g, k = numbers
    u, v = np.arange(w) + 0.5, (np.arange(h) + 0.5)[:, np.newaxis]
    below = g * u + k * v + 1
    places = np.stack([(a * u + b * v + c) / (0.5 * w), (d * u + e * v + f) / (0.5 * h)], -1)
    return sampled("perspective", x, places / below[..., np.newaxis] - 1, mode, fill)


def elastic(x: np.ndarray, steps: np.ndarray, mode: str, fill: Any) -> np.ndarray:
    """An image whose places are moved by steps (H, W, 2), in halves of its sizes."""
    h, w = x.shape[-2:]
    places = np.empty((h, w, 2))
    places[..., 0] = (2 * np.arange(w) + 1) / w - 1
    places[..., 1] = ((2 * np.arange(h) + 1) / h - 1)[:, np.newaxis]
    return sampled("elastic_transform", x, places + steps, mode, fill)


def rotated_size(matrix: Sequence[float], h: int, w: int) -> tuple[int, int]:
    """The size (H, W) that the whole image has after the map of a matrix."""
    corners = np.array([[-0.5 * w, -0.5 * h, 1], [-0.5 * w, 0.5 * h, 1],
                        [0.5 * w, 0.5 * h, 1], [0.5 * w, -0.5 * h, 1]], np.float32)  # fmt: skip
    places = corners @ np.array(matrix, np.float32).reshape(2, 3).T
    places = places + np.array([0.5 * w, 0.5 * h], np.float32)
    tolerance = np.float32(1e-4)
    high = np.ceil(np.trunc(places.max(0) / tolerance) * tolerance)
    low = np.floor(np.trunc(places.min(0) / tolerance) * tolerance)
    width, height = (high - low).astype(int).tolist()
    return height, width


def inverse_affine(
    centre: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """The matrix (a, b, c, d, e, f) that finds where a place of the new image comes from.

    It is the inverse of T C R Q S C⁻¹: translation, the centre, rotation, shears and scale.
    """
    turn, sx, sy = (math.radians(v) for v in (angle, *shear))
    a = math.cos(turn - sy) / math.cos(sy)
    b = -a * math.tan(sx) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -c * math.tan(sx) + math.cos(turn)
    inverse = np.array([[d, -b], [-c, a]]) / scale
    shift = np.asarray(centre) - inverse @ (np.asarray(centre) + np.asarray(translate))
    return [float(v) for v in (*inverse[0], shift[0], *inverse[1], shift[1])]
