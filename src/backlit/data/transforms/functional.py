"""Transforms of images as functions: of a PIL image by Pillow, of a Tensor by its values.

A Tensor is one image (C, H, W) or several (…, C, H, W); floats have the range [0, 1], integers that
of their dtype. No gradient goes through a transform.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from enum import Enum
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...array_api.arguments import number, whole
from ...calls import explain
from ...conversion import as_array
from ...dtypes import as_dtype
from ...errors import ArgumentError, DTypeError, ShapeError
from ...foreign import words
from ...op import describe
from ...tensor import Tensor, as_tensor, wrap
from ..pictures import pillow
from . import arrays

if TYPE_CHECKING:
    from PIL.Image import Image


class InterpolationMode(Enum):
    """How values between pixels are found; in Tensors by the first four."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


#: Pillow's numbers for them.
_NUMBERED = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def interpolation_mode(what: str, given: Any) -> InterpolationMode:
    """One of the modes, which may be given by its name or by Pillow's number."""
    try:
        if isinstance(given, int) and not isinstance(given, bool):
            given = _NUMBERED[given]
        return InterpolationMode(given)
    except (ValueError, IndexError):
        known = ", ".join(m.value for m in InterpolationMode)
        raise ArgumentError(
            f"{what}: interpolation must be one of {known}, got {given!r:.60}"
        ) from None


def is_picture(image: Any) -> bool:
    """Whether an object is an image of Pillow's, without importing that."""
    library = sys.modules.get("PIL.Image")
    return library is not None and isinstance(image, library.Image)


#: What to do with boxes, masks and labels beside an image.
ONE_IMAGE = (
    "a transform takes one image: give it alone, and move boxes or masks with it by your own code, "
    "as hflip does x to W - x, with functions of transforms.functional and numbers that you draw"
)


def _by_pillow() -> ModuleType:
    from . import pil

    return pil


def _values(what: str, image: Any) -> np.ndarray:
    """The array of an image that is a Tensor."""
    if not isinstance(image, Tensor):
        kind, cure = words(image)
        if isinstance(image, np.ndarray):
            kind, cure = describe(image), "use ToTensor() first, or PIL.Image.fromarray(image)"
        elif isinstance(image, tuple | dict):
            cure = ONE_IMAGE
        raise DTypeError(f"{what}: an image is a PIL image or a Tensor, got {kind}; {cure}")
    image._require_cut(what, "transform the images before, or give image.detach()")
    array = image.numpy()
    if array.ndim < 2:
        raise ShapeError(f"{what}: an image has shape (..., H, W), got {describe(array)}")
    return array


def _either(what: str, image: Any, name: str, *args: Any) -> Any:
    """A function of both modules, of an image of either kind."""
    if is_picture(image):
        return getattr(_by_pillow(), name)(image, *args)
    return wrap(getattr(arrays, name)(_values(what, image), *args))


# -- from and to Tensors ----------------------------------------------------------------------


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width].

    >>> get_dimensions(as_tensor([[0.5, 1.0]]))
    [1, 1, 2]
    """
    if is_picture(img):
        return [_by_pillow().channels(img), img.height, img.width]
    shape = _values("get_dimensions", img).shape
    return [shape[-3] if len(shape) > 2 else 1, *shape[-2:]]


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """How many values a pixel has."""
    return get_dimensions(img)[0]


def to_tensor(pic: Any) -> Tensor:
    """A PIL image or an array (H, W, C) as Tensor (C, H, W): bytes as float32 in [0, 1].

    Values that are not bytes are as they were.

    >>> to_tensor(np.array([[0, 51, 255]], "uint8")).tolist()
    [[[0.0, 0.20000000298023224, 1.0]]]
    """
    if is_picture(pic):
        return wrap(_by_pillow().scaled(pic))
    if not isinstance(pic, np.ndarray):
        kind, cure = words(pic)
        if isinstance(pic, Tensor):
            cure = "it is a Tensor already: use ConvertImageDtype(backlit.float32)"
        raise DTypeError(f"to_tensor: a PIL image or an array is needed, got {kind}; {cure}")
    if pic.ndim not in (2, 3):
        raise ShapeError(f"to_tensor: an array has shape (H, W) or (H, W, C), got {describe(pic)}")
    planes = as_array(pic if pic.ndim == 3 else pic[:, :, np.newaxis]).transpose(2, 0, 1)
    if planes.dtype == np.uint8:
        return wrap(planes.astype(np.float32, order="C") / np.float32(255))
    return wrap(np.array(planes, order="C"))


def pil_to_tensor(pic: Any) -> Tensor:
    """The values of a PIL image as a Tensor (C, H, W), as they are."""
    if not is_picture(pic):
        raise DTypeError(f"pil_to_tensor: a PIL image is needed, got {words(pic)[0]}")
    return wrap(np.ascontiguousarray(_by_pillow().pixels(pic)))


def to_pil_image(pic: Any, mode: str | None = None) -> Image:
    """A Tensor (C, H, W) or an array (H, W, C) as a PIL image: floats in [0, 1] as bytes."""
    pillow()
    if isinstance(pic, Tensor):
        values = _values("to_pil_image", pic)
        values = values.transpose(1, 2, 0) if values.ndim == 3 else values
    elif isinstance(pic, np.ndarray):
        values = pic
    else:
        raise DTypeError(f"to_pil_image: a Tensor or an array is needed, got {words(pic)[0]}")
    return _by_pillow().image_of(values, mode)


def convert_image_dtype(image: Tensor, dtype: Any = "float32") -> Tensor:
    """Another dtype, and its range: floats [0, 1], integers [0, largest].

    >>> convert_image_dtype(as_tensor(np.array([[0, 51, 255]], "uint8"))).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    """
    return wrap(arrays.convert(_values("convert_image_dtype", image), np.dtype(as_dtype(dtype))))


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """(x - mean) / std, for each channel.

    >>> normalize(as_tensor([[[0.5, 1.0]]]), [0.5], [0.25]).tolist()
    [[[0.0, 2.0]]]
    """
    x = _values("normalize", tensor)
    if x.dtype.kind in "iub" or x.ndim < 3:
        raise DTypeError(
            f"normalize: the image must have floats, in shape (..., C, H, W), got {describe(x)}; "
            "use ToTensor() first, or ConvertImageDtype(backlit.float32)"
        )
    middle, spread = (np.asarray(as_array(v), x.dtype) for v in (mean, std))
    for name, v in (("mean", middle), ("std", spread)):
        if v.ndim == 1 and len(v) not in (1, x.shape[-3]):
            raise ShapeError(
                f"normalize: {name} must have a number for each of {x.shape[-3]} channels, got "
                f"{len(v)}"
            )
    if np.any(spread == 0):
        raise ArgumentError(f"normalize: std must not be 0, got {std!r:.60}")
    middle, spread = (v[:, np.newaxis, np.newaxis] if v.ndim == 1 else v for v in (middle, spread))
    y = x - middle
    y /= spread
    return tensor.assign(y) if inplace else wrap(y)


# -- places -----------------------------------------------------------------------------------


def pair(what: str, size: Any) -> tuple[int, int]:
    """(height, width): two numbers, or one for both."""
    values = list(size) if isinstance(size, Sequence) else [size]
    if len(values) not in (1, 2):
        raise ArgumentError(f"{what} must be one integer or (height, width), got {size!r:.60}")
    height, width = (whole(what, v) for v in (values * 2)[:2])
    return height, width


def resized_size(
    size: Any, max_size: int | None, height: int, width: int, what: str = "resize"
) -> tuple[int, int]:
    """The size that an image gets: one number is that of its shorter side."""
    values = list(size) if isinstance(size, Sequence) else [size]
    if len(values) == 2:
        if max_size is not None:
            raise ArgumentError(f"{what}: max_size goes with a size of one number, got {size}")
        return pair(f"{what}: size", size)
    short = pair(f"{what}: size", size)[0]
    long = int(short * max(height, width) / min(height, width))
    if max_size is not None:
        if max_size <= short:
            raise ArgumentError(
                f"{what}: max_size must be above size, got max_size={max_size} and size={short}"
            )
        if long > max_size:
            short, long = int(max_size * short / long), max_size
    return (short, long) if height <= width else (long, short)


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Another size, (height, width); one number is the new length of the shorter side.

    A `max_size` is the most that the longer side may have then.

    >>> resize(as_tensor([[[0.0, 1.0, 2.0, 3.0]]]), (1, 2), antialias=False).tolist()
    [[[0.5, 2.5]]]
    """
    mode = interpolation_mode("resize", interpolation).value
    _, height, width = get_dimensions(img)
    new = resized_size(size, max_size, height, width)
    if new == (height, width):
        return img
    return _either("resize", img, "resize", new, mode, bool(antialias))


def pad(
    img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"
) -> Any:
    """More pixels around: one number for all sides, (left and right, top and bottom), or for each
    of left, top, right, bottom.

    They have the colour `fill`, or with `padding_mode` "edge" that of the edge, with "reflect" or
    "symmetric" those of the image mirrored, without its edge or with it.

    >>> pad(as_tensor([[[1, 2]]]), (1, 0)).tolist()
    [[[0, 1, 2, 0]]]
    """
    values = list(padding) if isinstance(padding, Sequence) else [padding]
    if len(values) not in (1, 2, 4):
        raise ArgumentError(f"pad: padding must be 1, 2 or 4 integers, got {padding!r:.60}")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ArgumentError(
            "pad: padding_mode must be constant, edge, reflect or symmetric, got "
            f"{padding_mode!r:.60}"
        )
    sides = tuple(whole("pad: padding", v, -math.inf) for v in (values * 4)[:4])
    return _either("pad", img, "pad", sides, 0 if fill is None else fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part from a place on; what lies outside of the image is 0.

    >>> crop(as_tensor([[[1, 2, 3]]]), 0, 1, 1, 3).tolist()
    [[[2, 3, 0]]]
    """
    return _either("crop", img, "crop", top, left, height, width)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The part in the middle; an image that is too small gets 0 around.

    >>> center_crop(as_tensor([[[1, 2, 3]]]), (1, 1)).tolist()
    [[[2]]]
    """
    new_h, new_w = pair("center_crop: output_size", output_size)
    _, h, w = get_dimensions(img)
    if new_w > w or new_h > h:
        more_w, more_h = max(new_w - w, 0), max(new_h - h, 0)
        img = pad(img, [more_w // 2, more_h // 2, (more_w + 1) // 2, (more_h + 1) // 2])
        _, h, w = get_dimensions(img)
    return crop(img, round((h - new_h) / 2.0), round((w - new_w) / 2.0), new_h, new_w)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part, in another size."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """The parts top left, top right, bottom left, bottom right, and in the middle."""
    height, width = pair("five_crop: size", size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        raise ArgumentError(f"five_crop: size must be at most {(h, w)}, got {(height, width)}")
    places = ((0, 0), (0, w - width), (h - height, 0), (h - height, w - width))
    return *(crop(img, *p, height, width) for p in places), center_crop(img, (height, width))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """The five parts of the image, and of the mirrored image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


def hflip(img: Any) -> Any:
    """Mirrored from left to right.

    >>> hflip(as_tensor([[[1, 2]]])).tolist()
    [[[2, 1]]]
    """
    return _either("hflip", img, "flip", -1)


def vflip(img: Any) -> Any:
    """Mirrored from top to bottom."""
    return _either("vflip", img, "flip", -2)


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Any:
    """Turned counter-clockwise by an angle in degrees, around the middle or a `center` (x, y).

    With `expand` the image becomes so large that nothing is cut off; the rest has the colour
    `fill`.

    >>> rotate(as_tensor([[[1, 2], [3, 4]]]), 90).tolist()
    [[[2, 4], [1, 3]]]
    """
    mode = interpolation_mode("rotate", interpolation).value
    angle = number("rotate: angle", angle)
    if is_picture(img):
        return _by_pillow().rotate(img, angle, mode, expand, center, fill)
    _, h, w = get_dimensions(img)
    centre = _from_middle(center, w, h)
    matrix = arrays.inverse_affine(centre, -angle, (0, 0), 1.0, (0, 0))
    size = arrays.rotated_size(matrix, h, w) if expand else (h, w)
    return wrap(arrays.mapped(_values("rotate", img), matrix, size, mode, fill))


def _from_middle(center: Sequence[float] | None, w: int, h: int) -> tuple[float, float]:
    return (0.0, 0.0) if center is None else (center[0] - w * 0.5, center[1] - h * 0.5)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[int] | None = None,
) -> Any:
    """Turned clockwise by an angle, moved by pixels (x, y), scaled and sheared by angles (x, y).

    The `center` (x, y) stays where it is, but for the translation; it is the middle if not given.
    """
    mode = interpolation_mode("affine", interpolation).value
    if len(translate) != 2:
        raise ArgumentError(f"affine: translate must be (x, y), got {translate!r:.60}")
    if not scale > 0:
        raise ArgumentError(f"affine: scale must be positive, got {scale}")
    shears = list(shear) if isinstance(shear, Sequence) else [shear, 0.0]
    if len(shears) not in (1, 2):
        raise ArgumentError(f"affine: shear must be one angle or (x, y), got {shear!r:.60}")
    shears = (shears * 2)[:2]
    _, h, w = get_dimensions(img)
    if is_picture(img):
        centre = center if center is not None else (w * 0.5, h * 0.5)
        matrix = arrays.inverse_affine(centre, angle, translate, scale, shears)
        return _by_pillow().mapped(img, matrix, (h, w), mode, fill)
    centre = _from_middle(center, w, h)
    matrix = arrays.inverse_affine(centre, angle, translate, scale, shears)
    return wrap(arrays.mapped(_values("affine", img), matrix, (h, w), mode, fill))


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[float]],
    endpoints: Sequence[Sequence[float]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """The image seen so that its four points (x, y) `startpoints` lie at `endpoints`.

    >>> x = as_tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> corners, turned = [(0, 0), (2, 0), (2, 2), (0, 2)], [(2, 0), (2, 2), (0, 2), (0, 0)]
    >>> perspective(x, corners, turned, "nearest").tolist()
    [[[3.0, 1.0], [4.0, 2.0]]]
    """
    mode = interpolation_mode("perspective", interpolation).value
    if not all(len(p) == 4 and all(len(q) == 2 for q in p) for p in (startpoints, endpoints)):
        raise ArgumentError(
            "perspective: startpoints and endpoints must be four (x, y) each, got "
            f"{startpoints!r:.60} and {endpoints!r:.60}"
        )
    numbers = arrays.plane_map(startpoints, endpoints)
    if is_picture(img):
        _, h, w = get_dimensions(img)
        return _by_pillow().mapped(img, numbers, (h, w), mode, fill)
    return wrap(arrays.perspective(_values("perspective", img), numbers, mode, fill))


def elastic_transform(
    img: Any, displacement: Any, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """The image with each place moved by a `displacement` (1, H, W, 2), in halves of its sizes.

    >>> x = as_tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> elastic_transform(x, [[[[1.0, 0.0]] * 2] * 2]).tolist()  # 1 is half the width
    [[[2.0, 0.0], [4.0, 0.0]]]
    """
    if is_picture(img):
        moved = elastic_transform(pil_to_tensor(img), displacement, interpolation, fill)
        return to_pil_image(moved, img.mode)
    mode = interpolation_mode("elastic_transform", interpolation).value
    _, h, w = get_dimensions(img)
    steps = as_tensor(displacement)
    if steps.shape != (1, h, w, 2):
        raise ShapeError(
            f"elastic_transform: displacement must have shape {(1, h, w, 2)}, got {describe(steps)}"
        )
    values = _values("elastic_transform", img)
    return wrap(arrays.elastic(values, steps.numpy()[0], mode, fill))


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A box of a Tensor, from row i and column j on, filled with a value, or values (C, h, w)."""
    y = arrays.erase(_values("erase", img), i, j, h, w, as_tensor(v).numpy())
    return img.assign(y) if inplace else wrap(y)


# -- colours ----------------------------------------------------------------------------------


def _factor(what: str, factor: Any) -> float:
    value = number(what, factor)
    if not value >= 0:
        raise ArgumentError(f"{what} must not be negative, got {factor}")
    return value


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Darker below 1, down to black, and brighter above.

    >>> adjust_brightness(as_tensor([[[0.5, 1.0]]]), 0.5).tolist()
    [[[0.25, 0.5]]]
    """
    factor = _factor("adjust_brightness: brightness_factor", brightness_factor)
    return _either("adjust_brightness", img, "brightness", factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Nearer to the mean of its grey below 1, farther above."""
    factor = _factor("adjust_contrast: contrast_factor", contrast_factor)
    return _either("adjust_contrast", img, "contrast", factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Nearer to grey below 1, more colourful above."""
    factor = _factor("adjust_saturation: saturation_factor", saturation_factor)
    return _either("adjust_saturation", img, "saturation", factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Colours turned on their circle, by a part of it in [-0.5, 0.5]."""
    if not -0.5 <= number("adjust_hue: hue_factor", hue_factor) <= 0.5:
        raise ArgumentError(f"adjust_hue: hue_factor must lie in [-0.5, 0.5], got {hue_factor}")
    return _either("adjust_hue", img, "hue", float(hue_factor))


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain · x^gamma, for x in [0, 1]."""
    return _either("adjust_gamma", img, "gamma", _factor("adjust_gamma: gamma", gamma), gain)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Smoother below 1, sharper above."""
    factor = _factor("adjust_sharpness: sharpness_factor", sharpness_factor)
    return _either("adjust_sharpness", img, "sharpness", factor)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Grey, 0.2989 red + 0.587 green + 0.114 blue, in 1 or 3 equal channels."""
    if num_output_channels not in (1, 3):
        raise ArgumentError(
            f"rgb_to_grayscale: num_output_channels must be 1 or 3, got {num_output_channels!r:.60}"
        )
    return _either("rgb_to_grayscale", img, "grey", num_output_channels)


to_grayscale = rgb_to_grayscale


def gaussian_blur(
    img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Any:
    """Weighted means over windows of a size (x, y), with weights exp(-d² / 2σ²).

    Without `sigma`, σ = 0.15 size + 0.35. Edges are mirrored.

    >>> gaussian_blur(as_tensor([[[0.0, 1.0, 0.0]] * 3]), 3, 0.05)[0, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    sizes = pair("gaussian_blur: kernel_size", kernel_size)
    if any(size % 2 == 0 for size in sizes):
        raise ArgumentError(f"gaussian_blur: kernel_size must be odd, got {kernel_size}")
    given = [0.15 * size + 0.35 for size in sizes] if sigma is None else sigma
    values = list(given) if isinstance(given, Sequence) else [given]
    sigmas = [number("gaussian_blur: sigma", s) for s in (values * 2)[:2]]
    if len(values) not in (1, 2) or not all(s > 0 for s in sigmas):
        raise ArgumentError(f"gaussian_blur: sigma must be 1 or 2 positive numbers, got {sigma}")
    if is_picture(img):
        return to_pil_image(gaussian_blur(pil_to_tensor(img), sizes, sigmas), img.mode)
    return wrap(arrays.blur(_values("gaussian_blur", img), sizes, sigmas))


def invert(img: Any) -> Any:
    """White minus the image."""
    return _either("invert", img, "invert")


def posterize(img: Any, bits: int) -> Any:
    """As many upper bits of bytes as are asked for; the others are 0."""
    if not 0 <= whole("posterize: bits", bits, 0) <= 8:
        raise ArgumentError(f"posterize: bits must lie in [0, 8], got {bits}")
    return _either("posterize", img, "posterize", bits)


def solarize(img: Any, threshold: float) -> Any:
    """What is not below a threshold inverted."""
    return _either("solarize", img, "solarize", threshold)


def autocontrast(img: Any) -> Any:
    """Each channel stretched to the whole range."""
    return _either("autocontrast", img, "autocontrast")


def equalize(img: Any) -> Any:
    """Each channel of bytes with values that are about equally frequent."""
    return _either("equalize", img, "equalize")


__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]


explain(__name__)
