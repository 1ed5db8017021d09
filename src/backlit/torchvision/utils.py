"""`torchvision.utils`: several pictures as one, and what is drawn into a picture."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from ..calls import explain
from ..data.pictures import pillow
from ..data.transforms import functional as F
from ..errors import ArgumentError
from ..op import describe
from ..tensor import Tensor, wrap
from ..torch.mirror import mirrored as _mirrored


def require(what: str, holds: bool, must: str) -> None:
    """Raise ArgumentError unless a condition holds."""
    if not holds:
        raise ArgumentError(f"{what}: {must}")


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Pictures side by side, `nrow` in a row, with `padding` pixels of `pad_value` around each.

        (N, C, H, W), or N of (C, H, W) -> (3 or C, height, width)

    Grey becomes RGB; one picture is returned without padding. With `normalize`, values from
    `value_range` (or from the smallest to the largest, of each picture with `scale_each`) are
    brought to [0, 1].
    """
    several = isinstance(tensor, list | tuple)
    given: Any = tensor if several else (tensor,)
    require(
        "make_grid",
        len(given) > 0 and all(isinstance(t, Tensor) for t in given),
        f"a Tensor or a list of Tensors is needed, got {given!r:.60}",
    )
    parts = [t.detach().numpy() for t in given]
    require(
        "make_grid",
        len({p.shape for p in parts}) == 1,
        f"pictures must have one shape, got {', '.join(describe(p) for p in parts[:4])}",
    )
    x: np.ndarray = np.stack(parts) if several else parts[0]
    require("make_grid", x.ndim in (2, 3, 4), f"pictures are (N, C, H, W), got {describe(x)}")
    x = x.reshape((1,) * (4 - x.ndim) + x.shape)
    x = np.repeat(x, 3, axis=1) if x.shape[1] == 1 else x
    if normalize:
        x = _normalized(x, value_range, scale_each)
    n, channels, height, width = x.shape
    if n == 1:
        return wrap(np.array(x[0]))
    across = min(nrow, n)
    down = math.ceil(n / across)
    height, width = height + padding, width + padding
    grid: np.ndarray = np.full(
        (channels, height * down + padding, width * across + padding), pad_value, x.dtype
    )
    for k, image in enumerate(x):
        top, left = k // across * height + padding, k % across * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = image
    return wrap(grid)


def _normalized(x: np.ndarray, limits: Any, each: bool) -> np.ndarray:
    require("make_grid", x.dtype.kind == "f", f"normalize needs floats, got {describe(x)}")
    require(
        "make_grid",
        limits is None or isinstance(limits, tuple),
        f"value_range must be a tuple (least, most), got {limits!r:.40}",
    )

    def scaled(part: np.ndarray) -> np.ndarray:
        low, high = limits or (float(part.min()), float(part.max()))
        return (np.clip(part, low, high) - low) / max(high - low, 1e-5)

    return np.stack([scaled(image) for image in x]) if each else scaled(x)


def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    **grid: Any,
) -> None:
    """Write pictures of floats in [0, 1] into a file, as one picture that `make_grid` makes."""
    x = make_grid(tensor, **grid).numpy()
    pixels = np.clip(x * 255 + 0.5, 0, 255).transpose(1, 2, 0).astype(np.uint8)
    pillow().fromarray(pixels).save(fp, format=format)


# -- drawing ------------------------------------------------------------------------------------


def _colours(what: str, colours: Any, count: int) -> list[tuple[int, int, int]]:
    """A colour for each of so many things."""
    from PIL import ImageColor

    if colours is None:
        steps = (2**25 - 1, 2**15 - 1, 2**21 - 1)
        colours = [tuple(i * step % 255 for step in steps) for i in range(count)]
    colours = list(colours) if isinstance(colours, list) else [colours] * count
    require(
        what,
        len(colours) >= count,
        f"there must be a colour for each of {count}, got {len(colours)}",
    )
    return [ImageColor.getrgb(c) if isinstance(c, str) else tuple(c) for c in colours[:count]]


def _require_picture(what: str, image: Any, channels: Sequence[int]) -> None:
    fits = isinstance(image, Tensor) and image.ndim == 3 and image.shape[0] in channels
    require(
        what,
        fits and (image.dtype == np.uint8 or image.dtype.kind == "f"),
        f"one picture (C, H, W) is needed, C {' or '.join(map(str, channels))}, of bytes or "
        f"floats, got {describe(image) if isinstance(image, Tensor) else type(image).__name__}",
    )


def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str] | None = None,
    colors: Any = None,
    fill: bool = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Any = None,
) -> Tensor:
    """A picture with boxes (N, 4), each x₁, y₁, x₂, y₂ in pixels, and with their labels.

    Colours are names, "#rrggbb" or (r, g, b): one, or a list with one for each box. `font` is a
    TrueType file. The result is RGB.
    """
    from PIL import ImageDraw, ImageFont

    what = "draw_bounding_boxes"
    _require_picture(what, image, (1, 3))
    corners = boxes.numpy()
    count = len(corners)
    require(
        what,
        corners.ndim == 2
        and corners.shape[1] == 4
        and bool((corners[:, :2] <= corners[:, 2:]).all()),
        f"boxes must be (N, 4), with x1 <= x2 and y1 <= y2, got {describe(corners)}",
    )
    require(
        what,
        labels is None or len(labels) == count,
        f"there must be a label for each of {count} boxes, got {len(labels or ())}",
    )
    if not count:
        warnings.warn("draw_bounding_boxes: there are no boxes", stacklevel=2)
        return image
    lines = _colours(what, colors, count)
    words = lines if label_colors is None else _colours(what, label_colors, count)
    letters = (
        ImageFont.load_default() if font is None else ImageFont.truetype(font, font_size or 10)
    )
    rgb = wrap(np.repeat(image.numpy(), 3, axis=0)) if image.shape[0] == 1 else image
    picture = F.to_pil_image(F.convert_image_dtype(rgb, "uint8"))
    draw = ImageDraw.Draw(picture, "RGBA" if fill else None)
    for i, box in enumerate(corners.astype(np.int64).tolist()):
        draw.rectangle(box, (*lines[i], 100) if fill else None, lines[i], width)
        if labels is not None and labels[i] is not None:
            place = (box[0] + width + 1, box[1] + width + 1)
            draw.text(place, labels[i], fill=words[i], font=letters)
    return F.convert_image_dtype(F.pil_to_tensor(picture), image.dtype)


def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Any = None
) -> Tensor:
    """A picture (3, H, W) with coloured masks, bool (N, H, W) or (H, W), that let it show through.

    Where masks overlap they are black. `alpha` is how much covers the picture.
    """
    what = "draw_segmentation_masks"
    _require_picture(what, image, (3,))
    shown = masks.numpy()
    shown = shown[np.newaxis] if shown.ndim == 2 else shown
    require(
        what,
        shown.dtype == np.bool_ and shown.ndim == 3 and shown.shape[1:] == image.shape[1:],
        f"masks must be bool (N, {', '.join(map(str, image.shape[1:]))}), got {describe(shown)}",
    )
    x = image.numpy()
    painted = x.copy()
    for mask, colour in zip(shown, _colours(what, colors, len(shown)), strict=True):
        scaled = np.asarray(colour, x.dtype) / (x.dtype.type(255) if x.dtype.kind == "f" else 1)
        painted[:, mask] = scaled.astype(x.dtype)[:, np.newaxis]
    painted[:, shown.sum(axis=0) > 1] = 0
    return wrap((x * np.float32(1 - alpha) + painted * np.float32(alpha)).astype(x.dtype))


__getattr__ = _mirrored("torchvision.utils")

explain(__name__)
