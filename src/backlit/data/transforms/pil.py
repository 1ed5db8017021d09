"""What becomes of a picture of Pillow's, by Pillow. Imported when the first one comes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ...errors import ArgumentError, ShapeError
from ...op import describe

#: Pillow's ways to interpolate.
MODES = {
    "nearest": Image.Resampling.NEAREST,
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}
_WIDE = "I;16" if sys.byteorder == "little" else "I;16B"
#: Modes that are not of bytes: the dtype of their values.
_DTYPES = {"I": np.int32, "I;16": np.int16, "I;16B": np.int16, "F": np.float32}
#: The modes that an image may be made in, by channels; the first if none is asked for.
_BYTES: dict[int, tuple[str | None, ...]] = {
    1: ("L",),
    2: ("LA",),
    3: ("RGB", "YCbCr", "HSV"),
    4: ("RGBA", "CMYK", "RGBX"),
}


def pixels(image: Image.Image) -> np.ndarray:
    """The values, (C, H, W), a copy."""
    values = np.array(image)
    return values[np.newaxis] if values.ndim == 2 else values.transpose(2, 0, 1)


def scaled(image: Image.Image) -> np.ndarray:
    """The values (C, H, W): bytes as float32 in [0, 1], others as they are."""
    if image.mode in _DTYPES:
        return pixels(image).astype(_DTYPES[image.mode])
    if image.mode == "1":
        return pixels(image).astype(np.float32)
    planes = np.asarray(image)
    planes = planes[np.newaxis] if planes.ndim == 2 else planes.transpose(2, 0, 1)
    found = np.empty(planes.shape, np.float32)
    np.divide(planes, np.float32(255), out=found, dtype=np.float32)
    return found


def image_of(x: np.ndarray, mode: str | None) -> Image.Image:
    """A picture of values (H, W) or (H, W, C); floats have the range [0, 1]."""
    if x.ndim == 2:
        x = x[:, :, np.newaxis]
    if x.ndim != 3 or not 1 <= x.shape[2] <= 4:
        raise ShapeError(
            f"to_pil_image: an image has 1 to 4 channels, as Tensor (C, H, W) or array (H, W, C), "
            f"got {describe(x)}"
        )
    if x.dtype.kind == "f" and mode != "F":
        x = (x * 255).astype(np.uint8)
    channels = x.shape[2]
    modes = _BYTES[channels]
    if channels == 1:
        known = {np.dtype(np.uint8): "L", np.dtype(np.int16): _WIDE, np.dtype(np.int32): "I",
                 np.dtype(np.float32): "F"}  # fmt: skip
        modes = (known.get(x.dtype),)
        x = x[:, :, 0]
    elif x.dtype != np.uint8:
        modes = ()
    if not modes or modes[0] is None or (mode is not None and mode not in modes):
        raise ArgumentError(
            f"to_pil_image: {describe(x)} makes no picture of mode {mode}; "
            + (f"use {' or '.join(map(str, modes))}" if modes and modes[0] else "convert to uint8")
        )
    # A mode that the numbers do not say, as YCbCr, is given by its bytes.
    chosen = str(mode or modes[0])
    if chosen in ("L", "LA", "RGB", "RGBA", "I", "F"):
        return Image.fromarray(np.ascontiguousarray(x))
    return Image.frombytes(chosen, (x.shape[1], x.shape[0]), np.ascontiguousarray(x).tobytes())


def channels(image: Image.Image) -> int:
    """How many values a pixel has."""
    return len(image.getbands())


def _colour(what: str, fill: Any, image: Image.Image) -> Any:
    """A colour as Pillow takes it: a number, or a tuple of one for each channel."""
    values = list(fill) if isinstance(fill, Sequence) else [0 if fill is None else fill]
    n = channels(image)
    if len(values) not in (1, n):
        raise ShapeError(
            f"{what}: fill must be one number, or one for each of {n} channels, got {fill!r:.60}"
        )
    values = values if image.mode == "F" else [int(v) for v in values]
    return values[0] if n == 1 else tuple(values * n if len(values) == 1 else values)


def crop(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
    """A part; what lies outside of the image is 0."""
    return image.crop((left, top, left + width, top + height))


def pad(
    image: Image.Image, sides: tuple[int, int, int, int], fill: Any, padding_mode: str
) -> Image.Image:
    """More pixels on the sides (left, top, right, bottom); fewer where a number is negative."""
    left, top, right, bottom = sides
    if padding_mode == "constant":
        new = ImageOps.expand(image, border=sides, fill=_colour("pad", fill, image))
    else:
        image = image.crop(
            (
                max(-left, 0),
                max(-top, 0),
                image.width + min(right, 0),
                image.height + min(bottom, 0),
            )
        )
        widths = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)]
        values = np.asarray(image)
        padded = np.pad(values, widths[: values.ndim], mode=padding_mode)  # type: ignore[call-overload]
        new = Image.fromarray(padded)
    if image.mode == "P":
        new.putpalette(image.getpalette() or [])
    return new


def flip(image: Image.Image, axis: int) -> Image.Image:
    """Mirrored along an axis, -1 from left to right and -2 from top to bottom."""
    way = Image.Transpose.FLIP_LEFT_RIGHT if axis == -1 else Image.Transpose.FLIP_TOP_BOTTOM
    return image.transpose(way)


def resize(image: Image.Image, size: tuple[int, int], mode: str, antialias: bool) -> Image.Image:
    """Another size (H, W); Pillow always takes care of aliasing."""
    return image.resize((size[1], size[0]), MODES[mode])


def grey(image: Image.Image, channels: int = 1) -> Image.Image:
    """Pillow's grey, in 1 or 3 channels."""
    found = image.convert("L")
    return found if channels == 1 else Image.merge("RGB", (found, found, found))


def brightness(image: Image.Image, factor: float) -> Image.Image:
    """Blended with black."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    """Blended with the mean of its grey."""
    return ImageEnhance.Contrast(image).enhance(factor)


def saturation(image: Image.Image, factor: float) -> Image.Image:
    """Blended with its grey."""
    return ImageEnhance.Color(image).enhance(factor)


def sharpness(image: Image.Image, factor: float) -> Image.Image:
    """Blended with a smoothed image."""
    return ImageEnhance.Sharpness(image).enhance(factor)


def hue(image: Image.Image, shift: float) -> Image.Image:
    """Colours turned on their circle, of which 1 is a whole turn, in 255 steps."""
    if image.mode in ("L", "1", "I", "F"):
        return image
    h, s, v = image.convert("HSV").split()
    turned = np.asarray(h) + np.int32(shift * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), s, v)).convert(image.mode)


def gamma(image: Image.Image, power: float, gain: float) -> Image.Image:
    """gain · x^power."""
    table = [int((256 - 1e-3) * gain * (v / 255.0) ** power) for v in range(256)] * 3
    return image.convert("RGB").point(table).convert(image.mode)


def invert(image: Image.Image) -> Image.Image:
    """White minus the image."""
    return ImageOps.invert(image)


def posterize(image: Image.Image, bits: int) -> Image.Image:
    """The upper bits of bytes."""
    return ImageOps.posterize(image, bits)


def solarize(image: Image.Image, threshold: float) -> Image.Image:
    """What is not below a threshold inverted."""
    return ImageOps.solarize(image, threshold)  # type: ignore[arg-type]


def autocontrast(image: Image.Image) -> Image.Image:
    """Each channel stretched to the whole range."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image) -> Image.Image:
    """Each channel with values that are about equally frequent."""
    return ImageOps.equalize(image)


def mapped(
    image: Image.Image, matrix: Sequence[float], size: tuple[int, int], mode: str, fill: Any
) -> Image.Image:
    """An image whose pixels are found in this one by a matrix, from its corner on.

    Six numbers are an affine map, eight a perspective one.
    """
    kind = Image.Transform.AFFINE if len(matrix) == 6 else Image.Transform.PERSPECTIVE
    colour = _colour(kind.name.lower(), fill, image)
    return image.transform((size[1], size[0]), kind, list(matrix), MODES[mode], fillcolor=colour)


def rotate(
    image: Image.Image, angle: float, mode: str, expand: bool, centre: Any, fill: Any
) -> Image.Image:
    """Turned by an angle in degrees, counter-clockwise."""
    colour = _colour("rotate", fill, image)
    return image.rotate(angle, MODES[mode], expand, centre, fillcolor=colour)
